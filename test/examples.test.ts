/**
 * The examples, run as their readers run them: with the built package, each to its own end, and each says what it should.
 * `said` is in order, other lines may stand between.
 */
import { type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite, type TestContext } from './support/suite.ts'

const test = suite('examples', { watchdogMs: 1_800_000 })

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The longest takes some ten seconds on a quiet machine. */
const DEADLINE_MS = 180_000

interface Expected {
  readonly said: readonly RegExp[]
  readonly args?: readonly string[]
  readonly needs?: (t: TestContext) => void
}

const needsRoot = (t: TestContext): void => {
  if (process.platform !== 'linux') t.skip('network namespaces exist on Linux only')
  if (process.getuid?.() !== 0) t.missing('root')
  for (const program of ['ip', 'nft']) if (spawnSync(program, ['-V']).error !== undefined) t.missing(program)
}

const needsPrometheus = (t: TestContext): void => {
  if (spawnSync('prometheus', ['--version']).status !== 0) t.missing('prometheus')
}

const READINGS = [/^the desk reads 20\.0 degrees/, /^the desk reads 20\.5 degrees/, /^the desk reads 21\.0 degrees/]
const SENSOR_LOST = [/^the sensor has lost its power$/, /^the desk was told that the sensor is gone: noconnection$/]

const EXAMPLES: Readonly<Record<string, Expected | readonly Expected[]>> = {
  'chat/main.ts': {
    said: [
      /has come in on/,
      /^bert reads {2}anna: hello from the other server$/,
      /^anna reads {2}bert: good night$/,
      /^mallory was turned away, code \d+$/,
    ],
  },
  'counter-failover/main.ts': {
    said: [/^the counter on (one|two|three) says 10$/, /^\w+ was killed$/, /^the counter on (one|two|three) says 20$/],
  },
  'counter-server.ts': {
    said: [
      /^on its node, by pid: 101$/,
      /^from another node, by name: 201$/,
      /^a cast that does not fit: \w+/,
      /^after a restart: 201$/,
      /^a call that nobody handles: ERR_SKEIN_NO_HANDLER$/,
    ],
  },
  'counter.ts': {
    said: [
      /^the sum of 1 to 100 is 5050$/,
      /^a call to a process that ends: ERR_SKEIN_\w+$/,
      /^the monitor says: DOWN/,
      /^a call to a process that is gone: ERR_SKEIN_NOPROC$/,
    ],
  },
  'door-lock.ts': {
    said: [/^stateDiagram-v2$/, /^the door is open$/, /^welcome, Anna$/, /^welcome, Ben$/, /^welcome, Carl$/],
  },
  'edge-sensors/main.ts': [
    { needs: needsRoot, said: [/behind a NAT each$/, ...READINGS, ...SENSOR_LOST] },
    {
      args: ['--loopback'],
      said: [
        /a relay instead of NATs$/,
        ...READINGS.map((one) => new RegExp(`${one.source}, by relay$`)),
        ...SENSOR_LOST,
      ],
    },
  ],
  'guests.ts': {
    said: [
      /bert is here$/,
      /bert: hello from another node$/,
      /^bert reads {2}anna: good night$/,
      /^anna reads {2}room: bert is gone$/,
    ],
  },
  'metrics-page/main.ts': {
    said: [
      /^before the sale {2}\/ready: 200/,
      /^shop_orders_total\{kind="book"\} 100$/,
      /^after the sale {3}\/ready: 503/,
      /runs \d+ processes$/,
    ],
  },
  'ping-pong.ts': { said: [/^left@.+ is connected to right@/, /^1000 rounds between .+ ms each$/] },
  'prometheus/main.ts': {
    needs: needsPrometheus,
    said: [
      /^Prometheus says {2}up\{job="skein"\} = 1$/,
      /^Prometheus says {2}shop_orders_total = 25$/,
      /^Prometheus says {2}skein_processes = \d+$/,
    ],
  },
  'replicated-key-value/main.ts': {
    said: [
      /^three replicas see each other$/,
      /^two and three have it$/,
      /^one was killed; three still says green$/,
      /^four joined and has everything: tea black and cake apple$/,
    ],
  },
  'simulation.ts': { said: [/^seed 1, after /, /^the careful account: \d+ runs, and every payment was made once$/] },
  'supervised.ts': {
    said: [
      /^"apples" was started again: /,
      /^apples: 10, pears: 20$/,
      /^over there: 1,2,3$/,
      /^3 children run over there$/,
    ],
  },
  'terminal-chat/main.ts': {
    said: [
      /^bert reads {2}anna: hello bert$/,
      /reads {2}cleo: good evening$/,
      /^bert reads {2}\* here: anna, bert, cleo$/,
      /^bert has left \(kill -9\)/,
      /^anna reads {2}\* bert is gone$/,
      /^anna has left \(Ctrl-D\), exit code 0$/,
      /^cleo has left \(Ctrl-D\), exit code 0$/,
    ],
  },
  'typed-service.ts': {
    said: [
      /^the compiler knows that the balance is a number: 40\.00$/,
      /^zod refused it there: .*amount/,
      /^nothing was changed: 40$/,
    ],
  },
  'worker-pool/main.ts': {
    said: [/one of the processes was killed$/, /^148933 primes below 2000000/, /^there are six workers again, on /],
  },
}

/** Runs an example and gives its lines; one that is left over is killed with all that it started. */
const linesOf = async (t: TestContext, file: string, args: readonly string[]): Promise<string[]> => {
  const options: SpawnOptions = { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], detached: process.platform !== 'win32' }
  const child = spawn(process.execPath, ['--import', 'tsx', join('examples', file), ...args], options)
  t.defer(() => {
    if (child.exitCode !== null || child.pid === undefined) return
    if (options.detached) process.kill(-child.pid, 'SIGKILL')
    else child.kill('SIGKILL')
  })
  let [out, problems] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    problems += text
  })
  const [code] = await once(child, 'close')
  assert.is(code, 0, `exit code ${code}, after:\n${out}\n${problems}`)
  return out.split('\n')
}

const expectLines = (lines: readonly string[], said: readonly RegExp[]): void => {
  let from = 0
  for (const pattern of said) {
    const index = lines.findIndex((line, i) => i >= from && pattern.test(line))
    assert.ok(index >= 0, `${pattern} is not in what it said from line ${from + 1} on:\n${lines.join('\n')}`)
    from = index + 1
  }
}

/** A program by itself, or `main.ts` in a folder. */
const files = readdirSync(join(ROOT, 'examples'), { withFileTypes: true }).flatMap((entry) => {
  if (entry.isDirectory()) return [`${entry.name}/main.ts`]
  return entry.name.endsWith('.ts') ? [entry.name] : []
})

test('every example is tested, and told of in the list', () => {
  assert.equal(Object.keys(EXAMPLES).sort(), files.sort())
  const list = readFileSync(join(ROOT, 'examples', 'README.md'), 'utf8')
  for (const file of files) assert.ok(list.includes(`](${file})`), `examples/README.md does not name ${file}`)
  for (const [, link = ''] of list.matchAll(/\]\(([^)]+)\)/g)) {
    const [path = ''] = link.split('#')
    assert.ok(existsSync(join(ROOT, 'examples', path)), `examples/README.md links ${link}`)
  }
})

for (const [file, expected] of Object.entries(EXAMPLES)) {
  for (const { said, args = [], needs } of [expected].flat()) {
    const body = async (t: TestContext): Promise<void> => {
      needs?.(t)
      expectLines(await linesOf(t, file, args), said)
    }
    test([file, ...args].join(' '), body, { deadlineMs: DEADLINE_MS })
  }
}

test.run()

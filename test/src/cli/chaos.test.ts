/**
 * `skein chaos` as a user runs it, and that it notices when something goes wrong.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { Cli, jsonLines, runCli, type Spawn } from './cli-support.ts'

/** Each node of the chaos compiles itself first, each time that it comes back. */
const DEADLINE_MS = 600_000

const test = suite('chaos', { watchdogMs: 1_300_000 })

test(
  'nodes are killed, restarted, stopped and frozen, and all that is promised holds',
  async (t) => {
    const cli = new Cli(t, ['chaos', '--nodes', '3', '--for', '10m', '--seed', '5', '--json'], {})
    const started = await cli.printed({ type: 'started' })
    assert.equal([started.nodes, started.seed], [3, 5])
    const first = await cli.printed({ type: 'round', round: 1 })
    const faults = first.faults as { kind: string; node: string }[]
    assert.is(faults.length, 1, 'of three nodes two are left alone')
    assert.match(`${faults[0]?.kind} ${faults[0]?.node}`, /^(kill|restart|stop|pause) n[123]$/)
    await cli.printed({ type: 'round', round: 2 })
    cli.signal('SIGINT')
    const { code, stdout, stderr } = await cli.ended
    assert.equal([code, stderr], [0, ''], stdout)
    const ended = jsonLines(stdout).at(-1)
    assert.equal([ended?.type, ended?.violations], ['ended', 0])
    assert.ok(Number(ended?.rounds) >= 2)
    assert.ok(Number(ended?.answered) > 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node process that somebody else kills is a violation, and the command fails',
  async (t) => {
    if (process.platform !== 'linux') t.skip('child processes are looked up in /proc')
    let child: ChildProcess | undefined
    const run: Spawn = (command, args, options) => {
      child = spawn(command, args, options)
      return child
    }
    const cli = new Cli(t, ['chaos', '--nodes', '3', '--for', '10m', '--seed', '5'], {}, run)
    await cli.line((line) => line.includes('all agree'))
    const { pid = 0 } = child ?? {}
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
    // Compilers may be among them.
    const victim = children.find((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes('chaos-node'))
    if (victim === undefined) throw new Error('no node process was found')
    process.kill(victim, 'SIGKILL')
    await cli.line((line) => /VIOLATION the process of n\d ended: SIGKILL/.test(line))
    cli.signal('SIGINT')
    const { code, stdout } = await cli.ended
    assert.is(code, 1)
    assert.match(stdout, /\d rounds?, [1-9]\d* violations?\n$/)
    assert.match(stdout, 'seed 5')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'wrong arguments say what may be given, and help shows how it is used',
  async (t) => {
    const [few, many, seed, span, help] = await Promise.all([
      runCli(t, ['chaos', '--nodes', '2']),
      runCli(t, ['chaos', '--nodes', '99']),
      runCli(t, ['chaos', '--seed', 'x', '--json']),
      runCli(t, ['chaos', '--for', '5']),
      runCli(t, ['chaos', '--help']),
    ])
    assert.equal(
      [few, many, seed, span].map(({ code, stdout }) => [code, stdout]),
      Array(4).fill([2, '']),
    )
    assert.match(few.stderr, 'It must be 3 to 16.')
    assert.match(many.stderr, 'It must be 3 to 16.')
    assert.match(String(jsonLines(seed.stderr)[0]?.message), 'It must be 0 to 4294967295.')
    assert.match(span.stderr, 'such as 30s, 10m or 2h')
    assert.is(help.code, 0)
    assert.match(help.stdout, 'skein chaos --nodes 9 --for 10m')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

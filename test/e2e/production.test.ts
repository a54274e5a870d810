/**
 * docs/production at work: its program on three machines, with the settings of the Kubernetes manifest, finding each other by
 * a name of DNS alone; probes as the files have them; and a rolling restart by SIGTERM.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as assert from 'uvu/assert'
import { type LanHost, lan } from '../support/lan.ts'
import {
  dockerfileCommand,
  type Environment,
  FOLDER,
  kubernetes,
  kubernetesEnvironment,
  pieceOf,
} from '../support/production-files.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('production', { watchdogMs: 360_000 })

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DEADLINE_MS = 300_000
const POLL_MS = 200
/** The first digit of a good status. */
const OK = 2

type Said = Readonly<Record<string, unknown>>

/** The folder of an image: the program, and the package as sources. */
const imageFolder = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-image-'))
  t.defer(() => rmSync(folder, { recursive: true, force: true }))
  const skein = join(folder, 'node_modules/skein')
  mkdirSync(skein, { recursive: true })
  writeFileSync(join(skein, 'package.json'), '{ "type": "module", "exports": "./index.ts" }')
  writeFileSync(join(skein, 'index.ts'), `export * from '${pathToFileURL(join(ROOT, 'src/index.ts')).href}'\n`)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  copyFileSync(join(FOLDER, 'app.js'), join(folder, 'app.js'))
  writeFileSync(join(folder, 'cookie'), 'a cookie of the production test\n', { mode: 0o600 })
  return folder
}

/** A machine's program: what it says, and how it ended. */
class Service {
  readonly name: string
  readonly #host: LanHost
  readonly #child: ChildProcess
  readonly #said: Said[] = []
  readonly #waiting = new Set<() => void>()
  readonly ended: Promise<unknown>
  #output = ''
  #errors = ''

  constructor(t: TestContext, host: LanHost, folder: string, environment: Environment) {
    this.#host = host
    this.name = environment.SKEIN_NAME ?? ''
    const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('SKEIN_'))
    // The names of the cluster are known to this program alone, not to the machine that tests it.
    const command = `mount --bind ${folder}/hosts /etc/hosts && exec "$@"`
    const program = [
      process.execPath,
      '--import',
      'tsx',
      ...dockerfileCommand('CMD')
        .slice(1)
        .map((file) => join(folder, file)),
    ]
    this.#child = host.spawn('unshare', ['-m', '--', 'sh', '-c', command, 'sh', ...program], {
      cwd: ROOT,
      env: { ...Object.fromEntries(inherited), ...environment, SKEIN_COOKIE_FILE: join(folder, 'cookie') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.ended = once(this.#child, 'close').then(([code]) => {
      this.#wake()
      return code
    })
    t.defer(async () => {
      this.#child.kill('SIGKILL')
      await this.ended
    })
  }

  get errors(): string {
    return this.#errors
  }

  /** What it said, or will, that has these fields. */
  async said(fields: Said): Promise<Said> {
    for (;;) {
      const found = this.#said.find((one) => Object.entries(fields).every(([key, value]) => one[key] === value))
      if (found !== undefined) return found
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#output}${this.#errors}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  terminate(): void {
    this.#child.kill('SIGTERM')
  }

  /** Exit code of a program on its machine. */
  async run([command = '', ...args]: readonly string[], environment: Environment = {}): Promise<number> {
    const child = this.#host.spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...environment } })
    const [code] = (await once(child, 'exit')) as [number]
    return code
  }

  /** The first digit of the status of an answer to another machine's probe; 0 without an answer. */
  async probe(from: Service, path: string, port: number): Promise<number> {
    const script = `fetch('http://${this.#host.ipv4}:${port}${path}').then(({ status }) => process.exit(Math.floor(status / 100)), () => process.exit(0))`
    return from.run([process.execPath, '-e', script])
  }

  #hear(text: string): void {
    this.#output += text
    const lines = this.#output.split('\n')
    for (const line of lines.slice(this.#said.length, -1)) this.#said.push(JSON.parse(line) as Said)
    this.#wake()
  }

  #wake(): void {
    for (const waiting of this.#waiting) waiting()
    this.#waiting.clear()
  }
}

test(
  'three machines by a name of DNS, probed, then restarted one after the other',
  async (t) => {
    const hosts = lan(t, 3, { multicast: false })
    const folder = imageFolder(t)
    const environment = kubernetesEnvironment()
    const addresses = hosts.map(({ ipv4 }) => `${ipv4} ${environment.SKEIN_DNS}\n`)
    writeFileSync(join(folder, 'hosts'), ['127.0.0.1 localhost\n', ...addresses].join(''))
    const start = (index: number): Service =>
      new Service(t, hosts[index] as LanHost, folder, { ...environment, SKEIN_NAME: `app-${index}@pod-${index}` })
    const services = [0, 1, 2].map(start)
    const [first, second, third] = services as [Service, Service, Service]

    for (const one of services) {
      for (const other of services) if (one !== other) await one.said({ type: 'nodeup', node: other.name })
    }
    const [container] = pieceOf(kubernetes(), 'StatefulSet').spec.template.spec.containers
    const port = Number(environment.HEALTH_PORT)
    for (const { httpGet } of [container.livenessProbe, container.readinessProbe]) {
      for (const one of services)
        assert.is(await one.probe(second === one ? third : second, httpGet.path, port), OK, httpGet.path)
    }
    assert.is(await first.probe(second, '/metrics', port), OK)
    const healthCheck = [process.execPath, ...dockerfileCommand('HEALTHCHECK').slice(1)]
    assert.is(await first.run(healthCheck, environment), 0)
    assert.is(await first.run(healthCheck, { HEALTH_PORT: '9' }), 1)

    // As a StatefulSet does it: the last one first, the next one when it is back.
    const moved: unknown[] = []
    for (const [index, old] of [...services.entries()].reverse()) {
      const others = services.filter((one) => one !== old)
      old.terminate()
      const report = await old.said({ type: 'drained' })
      assert.equal([report.notMoved, report.hookErrors], [[], []])
      moved.push(...(report.moved as unknown[]))
      assert.is(await old.ended, 0)
      assert.is(old.errors, '')
      for (const one of others) await one.said({ type: 'nodedown', node: old.name, reason: 'shutdown' })
      const next = start(index)
      services[index] = next
      for (const other of others) await next.said({ type: 'nodeup', node: other.name })
      while ((await next.probe(others[0] as Service, '/ready', port)) !== OK) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    }
    // The child was somewhere, so at least one of the three had it to hand over.
    assert.ok(moved.length >= 1, 'nothing was handed over')
    for (const one of services) one.terminate()
    for (const one of services) assert.is(await one.ended, 0, one.errors)
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

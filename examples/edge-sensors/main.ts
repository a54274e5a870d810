/**
 * A sensor behind a NAT and the desk that reads it, behind another one: neither can be reached from outside, both know a hub.
 * They find each other through it, it relays at once, and if their routers allow it they end up with a way of their own.
 * Then the sensor loses its power. Run it with: npx tsx examples/edge-sensors/main.ts
 *
 * The NATs are network namespaces, which need root. Elsewhere, and with --loopback, everything runs on the loopback, the
 * sensor with IPv6 alone and the desk with IPv4 alone: they cannot reach each other either, and the hub relays.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { canMakeNetworks, makeNetwork } from './network.ts'

const network = !process.argv.includes('--loopback') && canMakeNetworks() ? makeNetwork() : undefined
console.log(
  network === undefined
    ? 'no network namespaces: all on the loopback, and a relay instead of NATs'
    : 'the sensor and the desk are behind a NAT each',
)
const env: NodeJS.ProcessEnv = { ...process.env, SKEIN_COOKIE: randomBytes(32).toString('hex') }

class Member {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(role: 'hub' | 'sensor' | 'desk', host: string, ...seeds: string[]) {
    const node = fileURLToPath(new URL('node.ts', import.meta.url))
    const program = [process.execPath, ...process.execArgv, node, role, host, ...seeds]
    const [command = '', ...args] = [...(network?.on(role) ?? []), ...program]
    this.#child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  /** Passes on what it prints, up to a line that begins so. */
  async until(beginning: string): Promise<string> {
    for (;;) {
      const { value: line, done } = await this.#lines.next()
      if (done) throw new Error(`a node ended before it said "${beginning}"`)
      if (!line.startsWith('ready')) console.log(line)
      if (line.startsWith(beginning)) return line
    }
  }

  async end(how: 'stop' | 'kill -9'): Promise<void> {
    const ended = once(this.#child, 'exit')
    if (how === 'stop') this.#child.stdin?.end()
    else this.#child.kill('SIGKILL')
    await ended
  }
}

try {
  const hub = new Member('hub', '')
  const port = (await hub.until('ready')).split(' ')[1]
  const sensor = new Member('sensor', network ? '' : '::1', network ? `${network.hub}:${port}` : `[::1]:${port}`)
  await sensor.until('ready')
  const desk = new Member('desk', network ? '' : '127.0.0.1', `${network?.hub ?? '127.0.0.1'}:${port}`)
  await desk.until('the desk watches')
  await sensor.end('kill -9')
  console.log('the sensor has lost its power')
  await desk.until('the desk was told')
  await Promise.all([desk.end('stop'), hub.end('stop')])
} finally {
  network?.remove()
}

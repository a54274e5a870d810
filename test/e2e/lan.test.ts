/** `skein start` on hosts of a LAN, with nothing configured but the cookie: found by multicast DNS, gone with a goodbye. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { Avahi } from '../support/avahi.ts'
import { type LanHost, lan } from '../support/lan.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { temporaryFolder } from './support.ts'

const test = suite('lan')
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

interface Event {
  readonly type: string
  readonly node?: string
  readonly status?: { readonly source: string; readonly state: string; readonly detail: string }
}

/** A node started from the command line. */
class Skein {
  readonly child: ChildProcess
  readonly #events: Event[] = []
  #wake = (): void => {}

  constructor(t: TestContext, host: LanHost, cookieFile: string, name: string) {
    const args = ['--import', 'tsx', MAIN, 'start', '--json', '--name', name, '--cookie-file', cookieFile]
    this.child = host.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    t.defer(() => this.end('SIGKILL'))
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.#events.push(JSON.parse(line) as Event)
      this.#wake()
    })
  }

  async event(fits: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const event = this.#events.find(fits)
      if (event !== undefined) return event
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Sends the signal, and gives the code it ended with. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit')
      this.child.kill(signal)
      await exited
    }
    return this.child.exitCode
  }
}

const cookieFile = async (t: TestContext): Promise<string> => {
  const file = join(await temporaryFolder(t), 'cookie')
  await writeFile(file, 'a cookie for this test', { mode: 0o600 })
  return file
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(
    `two nodes connect with nothing configured, and on ${signal} one says goodbye, which avahi hears`,
    async (t) => {
      const hosts = lan(t, 3)
      const file = await cookieFile(t)
      const avahi = await Avahi.start(t, hosts[2]!, 'third')
      const browser = avahi.run('avahi-browse', '--parsable', '_skein._udp')
      const a = new Skein(t, hosts[0]!, file, 'a@one')
      const b = new Skein(t, hosts[1]!, file, 'b@two')
      await Promise.all([
        a.event(({ type, node }) => type === 'nodeup' && node === 'b@two'),
        b.event(({ type, node }) => type === 'nodeup' && node === 'a@one'),
      ])
      await browser.line((line) => line.startsWith('+;') && line.includes('b\\064two'))
      const gone = browser.line((line) => line.startsWith('-;') && line.includes('b\\064two'))
      assert.is(await b.end(signal), 0)
      const leftMs = performance.now()
      await gone
      assert.ok(performance.now() - leftMs < 2500)
    },
    { deadlineMs: 60_000 },
  )
}

test(
  'with multicast blocked a node says so within seconds, stays up, and stops when it is told to',
  async (t) => {
    const [host] = lan(t, 1)
    host!.filter(
      t,
      `table inet skein {
        chain drops {
          type filter hook output priority 0
          ip daddr 224.0.0.251 drop
          ip6 daddr ff02::fb drop
        }
      }\n`,
    )
    const a = new Skein(t, host!, await cookieFile(t), 'a@one')
    await a.event(({ type }) => type === 'started')
    const { status } = await a.event((event) => event.type === 'discoveryStatus' && event.status?.source === 'mdns')
    assert.ok(status?.state === 'failed' || status?.state === 'degraded', JSON.stringify(status))
    await sleep(500)
    assert.is(a.child.exitCode, null)
    assert.is(await a.end('SIGTERM'), 0)
  },
  { deadlineMs: 40_000 },
)

test.run()

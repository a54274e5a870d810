/**
 * Three processes on hosts of a LAN whose links are cut one by one: a relay makes up for a single link, and without relays one
 * of the two steps back; that all are back afterwards.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { type LanHost, lan } from '../support/lan.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { temporaryFolder } from './support.ts'

const test = suite('partitions', { watchdogMs: 300_000 })
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const PORT = 4433

interface Event {
  readonly type: string
  readonly node?: string
  readonly lost?: readonly string[]
  readonly reason?: string
  readonly way?: string
}

interface Shared {
  readonly seed: string
  readonly cookieFile: string
  /** Whether they relay for each other. */
  readonly relay: boolean
}

/** A node on its host, started from the command line; the first one is the seed of the others. */
class Machine {
  readonly name: string
  readonly host: LanHost
  readonly connected = new Set<string>()
  readonly events: Event[] = []
  readonly child: ChildProcess
  #wake = (): void => {}

  constructor(t: TestContext, host: LanHost, name: string, shared: Shared) {
    const { seed, cookieFile, relay } = shared
    this.name = name
    this.host = host
    const args = ['--import', 'tsx', MAIN, 'start', '--json', '--name', name, '--cookie-file', cookieFile]
    const own = {
      SKEIN_HOST: host.ipv4,
      SKEIN_PORT: String(PORT),
      SKEIN_DISCOVERY: 'none',
      SKEIN_SEEDS: `${seed}:${PORT}`,
      SKEIN_RELAY: String(relay),
    }
    this.child = host.spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...own },
    })
    t.defer(async () => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return
      const exited = once(this.child, 'exit')
      this.child.kill('SIGKILL')
      await exited
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const event = JSON.parse(line) as Event
      this.events.push(event)
      if (event.type === 'nodeup') this.connected.add(event.node!)
      if (event.type === 'nodedown') this.connected.delete(event.node!)
      this.#wake()
    })
  }

  /** Resolves when it holds after an event of this node. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Packets of these no longer come in. */
  deaf(t: TestContext, ...from: readonly Machine[]): void {
    const rules = from.map(({ host }) => `ip saddr ${host.ipv4} drop`).join('\n')
    this.host.filter(t, `table inet cut {\nchain drops {\ntype filter hook input priority 0\n${rules}\n}\n}\n`)
  }

  hear(t: TestContext): void {
    this.host.filter(t, 'delete table inet cut\n')
  }
}

const start = async (t: TestContext, relay: boolean): Promise<[Machine, Machine, Machine]> => {
  const hosts = lan(t, 3)
  const file = join(await temporaryFolder(t), 'cookie')
  await writeFile(file, 'a cookie for this test', { mode: 0o600 })
  const shared = { seed: hosts[0]!.ipv4, cookieFile: file, relay }
  const machine = (index: number, name: string): Machine => new Machine(t, hosts[index]!, name, shared)
  const machines: [Machine, Machine, Machine] = [machine(0, 'a@one'), machine(1, 'b@two'), machine(2, 'c@three')]
  await meshed(machines)
  return machines
}

const meshed = async (machines: readonly Machine[]): Promise<void> => {
  await Promise.all(machines.map((machine) => machine.until(() => machine.connected.size === machines.length - 1)))
}

/** As it told last of the connection to anybody. */
const isRelayed = ({ events }: Machine): boolean => events.findLast(({ type }) => type === 'moved')?.way === 'relay'

const hasSteppedBack = ({ events }: Machine): boolean => events.some(({ type }) => type === 'overlappingPartition')

for (const way of ['both ways', 'one way'] as const) {
  test(
    `the link between two of three cut ${way}: the third relays, and back it goes when the link is whole`,
    async (t) => {
      const machines = await start(t, true)
      const [, b, c] = machines
      b.deaf(t, c)
      if (way === 'both ways') c.deaf(t, b)
      await Promise.all([b, c].map((machine) => machine.until(() => isRelayed(machine))))
      b.hear(t)
      if (way === 'both ways') c.hear(t)
      await Promise.all([b, c].map((machine) => machine.until(() => !isRelayed(machine))))
      for (const { events } of machines)
        assert.equal(
          events.filter(({ type }) => type === 'nodedown' || type === 'overlappingPartition'),
          [],
        )
    },
    { deadlineMs: 60_000 },
  )

  test(
    `the link between two of three cut ${way}, without relays: one of the two steps back, and comes again`,
    async (t) => {
      const machines = await start(t, false)
      const [a, b, c] = machines
      b.deaf(t, c)
      if (way === 'both ways') c.deaf(t, b)
      await Promise.race([b, c].map((machine) => machine.until(() => hasSteppedBack(machine))))
      const gone = hasSteppedBack(b) ? b : c
      const stays = gone === b ? c : b
      await Promise.all([
        gone.until(() => gone.connected.size === 0),
        a.until(() => !a.connected.has(gone.name)),
        stays.until(() => !stays.connected.has(gone.name)),
      ])
      assert.equal([...a.connected], [stays.name])
      assert.equal([...stays.connected], ['a@one'])
      assert.ok(
        a.events.some(
          ({ type, node, reason }) => type === 'nodedown' && node === gone.name && reason === 'overlapping_partition',
        ),
      )
      assert.not(hasSteppedBack(stays))
      b.hear(t)
      if (way === 'both ways') c.hear(t)
      const healedMs = performance.now()
      await meshed(machines)
      console.log(
        `${gone.name} stepped back; all connected ${Math.round(performance.now() - healedMs)} ms after the healing`,
      )
    },
    { deadlineMs: 120_000 },
  )
}

test(
  'one node cut off from both others: they stay together, and it is back within seconds of the healing',
  async (t) => {
    const machines = await start(t, true)
    const [a, b, c] = machines
    c.deaf(t, a, b)
    a.deaf(t, c)
    b.deaf(t, c)
    await Promise.all([
      c.until(() => c.connected.size === 0),
      a.until(() => !a.connected.has(c.name)),
      b.until(() => !b.connected.has(c.name)),
    ])
    await c.until(() => c.events.some(({ type, lost }) => type === 'partitioned' && lost?.length === 2))
    for (const machine of machines) machine.hear(t)
    const healedMs = performance.now()
    await meshed(machines)
    console.log(`all connected ${Math.round(performance.now() - healedMs)} ms after the healing`)
    await c.until(() => c.events.some(({ type }) => type === 'healed'))
    for (const machine of machines) assert.not(hasSteppedBack(machine))
    assert.ok(a.connected.has(b.name))
  },
  { deadlineMs: 90_000 },
)

test.run()

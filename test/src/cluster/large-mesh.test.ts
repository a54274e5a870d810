/** Beyond the size of a full mesh: neighbours stay connected, others on demand, and idle connections end without a DOWN. */
import * as assert from 'uvu/assert'
import type { Identity } from '../../../certs/identity.ts'
import { IDLE_MS } from '../../../src/cluster/idle-connections.ts'
import { Overlay } from '../../../src/cluster/overlay.ts'
import type { CallMessage, Pid, Self } from '../../../src/index.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { SimulatedCluster, type SimulatedHost, type Simulation, simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'

const test = suite('large mesh', { watchdogMs: 300_000 })

const COUNT = 16
const FULL_MESH_NODES = 8
/** Two idle times, and some. */
const SETTLE_MS = 3 * IDLE_MS
/** How often a node looks at its connections until it gives one up. */
const LOOKS = 4
const LOOK_MS = IDLE_MS / LOOKS
const nodes = Array.from({ length: COUNT }, (_, index) => `n${index}`)

const makeIdentities = async (): Promise<Identity[]> => {
  const cluster = new SimulatedCluster({ seed: 79 })
  const made: Identity[] = []
  while (made.length < COUNT) made.push(await cluster.identity())
  return made
}

const options = { nodes, identities: await makeIdentities(), fullMeshNodes: FULL_MESH_NODES }

const idsOf = (connected: readonly { readonly id: string }[]): string[] => connected.map(({ id }) => id).sort()

/** The neighbours that each of these nodes should have. */
const overlayOf = (hosts: readonly SimulatedHost[]): Overlay => {
  const overlay = new Overlay()
  for (const { node } of hosts) overlay.join(node.id)
  return overlay
}

const hasItsNeighbours = ({ node }: SimulatedHost, overlay: Overlay): boolean => {
  const connected = new Set(idsOf(node.connectedNodes()))
  return [...overlay.neighboursOf(node.id)].every((id) => connected.has(id))
}

const hasOnlyItsNeighbours = ({ node }: SimulatedHost, overlay: Overlay): boolean =>
  node.connectedNodes().length === overlay.neighboursOf(node.id).size

const settled = async (sim: Simulation): Promise<SimulatedHost[]> => {
  const hosts = Object.values(sim.hosts)
  const overlay = overlayOf(hosts)
  const isThere = (host: SimulatedHost): boolean =>
    hasItsNeighbours(host, overlay) && hasOnlyItsNeighbours(host, overlay)
  await sim.until('neighbours and nobody else', () => hosts.every(isThere), { withinMs: SETTLE_MS })
  return hosts
}

/** Two nodes that are not meant to be connected. */
const strangersOf = (hosts: readonly SimulatedHost[]): [SimulatedHost, SimulatedHost] => {
  const overlay = overlayOf(hosts)
  for (const a of hosts) {
    const b = hosts.find((one) => one !== a && !overlay.neighboursOf(a.node.id).has(one.node.id))
    if (b !== undefined) return [a, b]
  }
  return assert.unreachable('everybody is a neighbour') as never
}

const echo = async (self: Self<CallMessage<string, string>>): Promise<void> => {
  for await (const { from, request } of self) self.reply(from, request)
}

/** Collects what it gets. */
const collector = (got: unknown[], first: (self: Self<unknown>) => void) => async (self: Self<unknown>) => {
  first(self)
  for await (const message of self) got.push(message)
}

const isConnected = (a: SimulatedHost, b: SimulatedHost): boolean => a.node.nodes().includes(b.node.name)

test(
  'a cluster above the size settles to neighbours, and stays reachable',
  async () => {
    await simulate({ ...options, seed: 1 }, async (sim) => {
      const hosts = await settled(sim)
      const degrees = hosts.map(({ node }) => node.connectedNodes().length)
      assert.ok(Math.max(...degrees) < COUNT - 1, 'nobody is connected to all')
      const [a, b] = strangersOf(hosts)
      assert.is(await a.node.call(b.node.spawn(echo), 'hello'), 'hello')
      assert.ok(isConnected(a, b), 'on demand')
      await sim.until('it ends again', () => !isConnected(a, b) && !isConnected(b, a), { withinMs: SETTLE_MS })
      assert.is(await b.node.call(a.node.spawn(echo), 'again'), 'again')
      console.log(`seed 1: ${COUNT} nodes, degrees ${Math.min(...degrees)} to ${Math.max(...degrees)}`)
    })
  },
  { deadlineMs: 60_000 },
)

test(
  'what hangs on a connection keeps it; nobody gets a DOWN for an idle one',
  async () => {
    const reasons: string[] = []
    const boot = (node: SkeinNode): void => {
      void (async () => {
        for await (const event of node.events) {
          if (event.type === 'nodedown') reasons.push(event.reason)
        }
      })()
    }
    await simulate({ ...options, seed: 2, boot }, async (sim) => {
      const hosts = await settled(sim)
      const [a, b] = strangersOf(hosts)
      const got: unknown[] = []
      const pid = b.node.spawn(echo)
      const watcher = a.node.spawn(collector(got, (self) => self.monitor(pid)))
      await sim.sleep(SETTLE_MS)
      assert.ok(isConnected(a, b), 'monitored')
      assert.equal(got, [])
      a.node.exit(watcher, 'kill')
      await sim.until('nobody needs it', () => !isConnected(a, b), { withinMs: SETTLE_MS })
      const { writable } = await a.node.openStream(b.node.spawn(collector([], () => {})))
      await sim.sleep(SETTLE_MS)
      assert.ok(isConnected(a, b), 'a stream is open')
      await writable.abort()
      await sim.until('nobody needs it any more', () => !isConnected(a, b), { withinMs: SETTLE_MS })
      assert.equal([...new Set(reasons)], ['idle'])
    })
  },
  { deadlineMs: 60_000 },
)

test(
  'sends and monitors at the very moment of parting: none is lost, none fires',
  async () => {
    const rounds = 24
    const moments = { before: 0, between: 0, after: 0 }
    await simulate({ ...options, seed: 3, limitMs: 7_200_000 }, async (sim) => {
      const hosts = await settled(sim)
      const [a, b] = strangersOf(hosts)
      for (let round = 0; round < rounds; round++) {
        const heard: unknown[] = []
        const got: unknown[] = []
        const [from, to] = round % 2 === 0 ? [a, b] : [b, a]
        const target: Pid = to.node.spawn(collector(heard, () => {}))
        from.node.send(target, 'first')
        await sim.until('connected', () => heard.length === 1 && isConnected(a, b) && isConnected(b, a))
        // All nodes started at once and look at their connections together: the one that finds it used, and four more.
        const partingMs = (Math.ceil(sim.nowMs / LOOK_MS) + LOOKS) * LOOK_MS
        await sim.sleep(partingMs - sim.nowMs - 1 + (round % 6) + sim.random.float())
        const isHere = isConnected(from, to)
        moments[sim.nowMs < partingMs ? 'before' : isHere ? 'between' : 'after']++
        const watcher = from.node.spawn(
          collector(got, (self) => {
            self.monitor(target)
            self.send(target, 'second')
          }),
        )
        await sim.until('it arrives', () => heard.includes('second'), { withinMs: 10_000 })
        await sim.sleep(500)
        assert.equal(got, [], `round ${round}: no DOWN`)
        assert.ok(isConnected(from, to) && isConnected(to, from), `round ${round}: connected`)
        from.node.exit(watcher, 'kill')
        to.node.exit(target, 'kill')
      }
    })
    console.log(`seed 3: ${rounds} rounds, ${JSON.stringify(moments)}`)
    for (const count of Object.values(moments)) assert.ok(count > 0)
  },
  { deadlineMs: 120_000 },
)

test(
  'two sides of a partition find together again',
  async () => {
    await simulate({ ...options, seed: 5 }, async (sim) => {
      const hosts = await settled(sim)
      const overlay = overlayOf(hosts)
      sim.partition(hosts.slice(COUNT / 2))
      await sim.sleep(60_000)
      for (const host of hosts.slice(COUNT / 2))
        for (const other of hosts.slice(0, COUNT / 2)) assert.not(isConnected(host, other))
      sim.heal()
      const healedMs = sim.nowMs
      await sim.until('all neighbours', () => hosts.every((host) => hasItsNeighbours(host, overlay)), {
        withinMs: 10_000,
      })
      console.log(`seed 5: all neighbours ${Math.round(sim.nowMs - healedMs)} ms after the healing`)
    })
  },
  { deadlineMs: 60_000 },
)

test(
  'who comes and goes changes little, and the cluster stays connected',
  async () => {
    await simulate({ ...options, seed: 4 }, async (sim) => {
      const hosts = await settled(sim)
      for (const host of [hosts[3]!, hosts[11]!]) host.crash()
      const left = hosts.filter((host) => host.isUp)
      const overlay = overlayOf(left)
      await sim.until('new neighbours', () => left.every((host) => hasItsNeighbours(host, overlay)), {
        withinMs: 60_000,
      })
      await hosts[3]!.restart()
      const all = overlayOf([...left, hosts[3]!])
      const everybody = [...left, hosts[3]!]
      await sim.until('it is back', () => everybody.every((host) => hasItsNeighbours(host, all)), { withinMs: 60_000 })
    })
  },
  { deadlineMs: 60_000 },
)

test.run()

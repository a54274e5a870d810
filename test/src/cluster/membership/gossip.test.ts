/** Memberships beyond a full mesh on a light network: joins, crashes, leaves, pauses, cuts, and what liars can do. */
import * as assert from 'uvu/assert'
import { encodeGossip, MEMBERSHIP_FRAMES } from '../../../../src/cluster/membership/frames.ts'
import type { Doubt } from '../../../../src/cluster/membership/statements.ts'
import { QUORUM } from '../../../../src/cluster/membership/suspicions.ts'
import { suite } from '../../../support/suite.ts'
import { MembershipNetwork, type SimulatedNetwork, type SimulatedNode } from './simulation.ts'

const test = suite('gossip membership', { watchdogMs: 600_000 })

const NODES = 48
/** Whole clusters on a busy machine. */
const DEADLINE = { deadlineMs: 60_000 }
/** The promise of docs/membership.md. */
const AGREE_MS = 5000

/** Beyond a full mesh, and settled. */
const settled = (options: Partial<SimulatedNetwork> = {}): MembershipNetwork => {
  const network = new MembershipNetwork({ seed: 1, nodes: NODES, delayMs: 25, fullMeshNodes: 16, ...options })
  network.grow()
  network.run(10_000)
  for (const node of network.nodes) {
    assert.is(node.membership.view.size, NODES - 1)
    assert.ok(node.links.size < NODES / 2, 'connected to its neighbours only')
  }
  assert.equal(network.events, [])
  return network
}

const others = (network: MembershipNetwork, ...without: SimulatedNode[]): SimulatedNode[] =>
  network.nodes.filter((node) => !node.hasCrashed && !without.includes(node))

const stateAt = (node: SimulatedNode, about: SimulatedNode): string | undefined =>
  node.membership.view.get(about.origin.id)?.state

const downs = (network: MembershipNetwork): number => network.events.filter(({ type }) => type === 'down').length

for (const seed of [1, 2, 3, 4, 5]) {
  test(
    `a crash is seen by all within 5 s, seed ${seed}`,
    () => {
      const network = settled({ seed, loss: 0.02 })
      const victim = network.nodes[7]!
      network.crash(victim)
      const took = network.until(() => others(network).every((node) => stateAt(node, victim) === undefined), 20_000)
      assert.ok(took !== undefined && took <= AGREE_MS, `${took} ms`)
      assert.is(downs(network), NODES - 1, 'nobody else was declared down')
      for (const node of others(network)) {
        const seen = network.events.filter((event) => event.node === node.index).map(({ type }) => type)
        assert.equal(seen, ['suspect', 'down'])
      }
    },
    DEADLINE,
  )
}

test(
  'a newcomer that knows one node is a member everywhere, and knows everybody',
  () => {
    const network = settled()
    const fresh = network.add()
    network.connect(fresh, network.nodes[3]!)
    fresh.membership.ask(network.nodes[3]!.origin.id)
    const took = network.until(
      () =>
        fresh.membership.view.size === NODES &&
        others(network, fresh).every((node) => stateAt(node, fresh) === 'alive'),
      20_000,
    )
    assert.ok(took !== undefined && took <= AGREE_MS, `${took} ms`)
    network.run(10_000)
    assert.ok(fresh.links.size > 4, 'connected to its neighbours')
    assert.is(downs(network), 0)
  },
  DEADLINE,
)

test(
  'who says goodbye has left everywhere, and nobody calls it down',
  () => {
    const network = settled()
    const leaver = network.nodes[9]!
    network.leave(leaver)
    const took = network.until(() => others(network).every((node) => stateAt(node, leaver) === undefined), 20_000)
    assert.ok(took !== undefined && took <= 500, `${took} ms`)
    network.run(20_000)
    assert.equal(new Set(network.events.map(({ type }) => type)), new Set(['shutdown']))
  },
  DEADLINE,
)

test(
  'a pause that is short enough costs nothing, one that is not is made good',
  () => {
    const network = settled()
    const sleeper = network.nodes[5]!
    network.pause(sleeper)
    network.run(1500)
    network.resume(sleeper)
    network.run(5000)
    assert.is(downs(network), 0)
    assert.ok(others(network, sleeper).every((node) => stateAt(node, sleeper) === 'alive'))

    network.events.length = 0
    network.pause(sleeper)
    network.run(30_000)
    assert.ok(others(network, sleeper).every((node) => stateAt(node, sleeper) === undefined))
    const before = network.events.length
    network.resume(sleeper)
    const took = network.until(
      () => others(network, sleeper).every((node) => stateAt(node, sleeper) === 'alive') && sleeper.links.size > 4,
      30_000,
    )
    assert.ok(took !== undefined && took <= 10_000, `${took} ms`)
    network.run(10_000)
    const accused = network.events.slice(before).filter(({ type }) => type === 'down')
    assert.equal(accused, [], 'it accused nobody when it woke up')
    assert.is(sleeper.membership.view.size, NODES - 1)
  },
  DEADLINE,
)

test(
  'a connection that is cut in one direction is no death: others vouch for both ends',
  () => {
    const network = settled()
    const a = network.nodes[0]!
    const b = [...a.links.keys()][0]!
    network.cut = (from, to) => from === a && to === b
    network.run(60_000)
    assert.is(downs(network), 0)
    for (const node of network.nodes) assert.is(node.membership.view.size, NODES - 1)
  },
  DEADLINE,
)

test(
  'two halves forget each other and find together again',
  () => {
    const network = settled()
    const isLow = ({ index }: SimulatedNode): boolean => index < NODES / 2
    network.cut = (from, to) => isLow(from) !== isLow(to)
    const apart = (): boolean => network.nodes.every((node) => node.membership.view.size === NODES / 2 - 1)
    assert.ok(network.until(apart, 120_000) !== undefined, 'apart')
    network.cut = () => false
    network.connect(network.nodes[0]!, network.nodes[NODES - 1]!)
    const together = (): boolean => network.nodes.every((node) => node.membership.view.size === NODES - 1)
    const took = network.until(together, 60_000)
    assert.ok(took !== undefined && took <= 10_000, `${took} ms`)
  },
  DEADLINE,
)

test(
  'a restart is the end of the old incarnation',
  () => {
    const network = settled()
    const before = network.nodes[11]!
    network.crash(before)
    network.run(300)
    const after = network.restart(before)
    network.connect(after, network.nodes[2]!)
    after.membership.ask(network.nodes[2]!.origin.id)
    network.run(10_000)
    for (const node of others(network, after)) {
      assert.is(node.membership.view.get(before.origin.id)?.incarnation, after.origin.incarnation)
    }
    const reasons = new Set(network.events.filter(({ about }) => about === before.index).map(({ type }) => type))
    assert.ok(reasons.has('replaced') && !reasons.has('down'), [...reasons].join(' '))
  },
  DEADLINE,
)

// Liars

const tell = (liar: SimulatedNode, to: SimulatedNode, items: Parameters<typeof encodeGossip>[0]): void => {
  for (const body of encodeGossip(items)) to.membership.received(liar.origin.id, MEMBERSHIP_FRAMES.gossip, body)
}

const doubtOf = (liar: SimulatedNode, victim: SimulatedNode, level: Doubt['level'], refutation = 0): Doubt =>
  liar.notary.doubt({ level, subject: victim.origin.id, incarnation: victim.origin.incarnation, refutation })

test(
  'a lone liar declares nobody down, and after a while nobody listens to it',
  () => {
    const network = settled()
    const liar = network.nodes[0]!
    const victims = [...liar.topology.neighboursOf(liar.origin.id)].map(
      (id) => network.nodes.find(({ origin }) => origin.id === id)!,
    )
    for (let round = 0; round < 12; round++) {
      const lies = victims.flatMap((victim) => [
        doubtOf(liar, victim, 'suspect', round),
        doubtOf(liar, victim, 'down', round),
      ])
      for (const to of liar.links.keys()) tell(liar, to, lies)
      network.run(1500)
    }
    assert.is(downs(network), 0)
    const refusals = others(network, liar).flatMap(({ refusals }) => refusals)
    assert.ok(refusals.includes(`${liar.origin.name} ERR_SKEIN_GOSSIP_REFUSED`))
    for (const node of others(network, liar)) {
      assert.is(new Set(node.refusals).size, node.refusals.length, 'told once')
    }
    network.events.length = 0
    for (const to of liar.links.keys()) tell(liar, to, [doubtOf(liar, victims[0]!, 'suspect', 99)])
    network.run(3000)
    assert.equal(network.events, [], 'nobody suspects anybody because of it')
  },
  DEADLINE,
)

test(
  'a quorum of liars is not believed by whoever hears the victim itself, and it refutes them',
  () => {
    const network = settled()
    const victim = network.nodes[20]!
    const liars = [...victim.links.keys()].slice(0, QUORUM)
    const witness = [...victim.links.keys()][QUORUM]!
    const lies = liars.map((liar) => doubtOf(liar, victim, 'down'))
    tell([...witness.links.keys()][0]!, witness, lies)
    assert.is.not(stateAt(witness, victim), undefined)
    network.run(10_000)
    for (const node of others(network, victim)) assert.is(stateAt(node, victim), 'alive')
  },
  DEADLINE,
)

test(
  'who is no neighbour of a member has no say about it',
  () => {
    const network = settled()
    const victim = network.nodes[20]!
    const far = others(network, victim).filter(
      ({ origin }) => !victim.topology.neighboursOf(victim.origin.id).has(origin.id),
    )
    assert.ok(far.length >= QUORUM)
    const listener = others(network, victim, ...far)[0]!
    const liar = [...listener.links.keys()][0]!
    tell(
      liar,
      listener,
      far.slice(0, 10).map((one) => doubtOf(one, victim, 'down')),
    )
    network.run(3000)
    assert.equal(network.events, [])
  },
  DEADLINE,
)

test(
  'forged statements are refused, told of once, and change nothing',
  () => {
    const network = settled()
    const [liar, listener] = [network.nodes[0]!, [...network.nodes[0]!.links.keys()][0]!]
    const victim = others(network, liar, listener)[0]!
    const genuine = victim.announcement()
    for (let i = 1; i <= 20; i++) {
      const { name, incarnation } = victim.origin
      const said = { name, incarnation, refutation: i, hasLeft: true, addresses: [] }
      // The liar's own words under the victim's key.
      const forged = liar.notary.announce(said)
      const body = Buffer.from(forged.body)
      body.set(genuine.publicKey, 2)
      tell(liar, listener, [{ ...forged, body, publicKey: genuine.publicKey, signer: victim.origin.id }])
    }
    network.run(3000)
    assert.equal(network.events, [])
    assert.equal(listener.refusals, [`${liar.origin.name} ERR_SKEIN_GOSSIP_REFUSED`])
  },
  DEADLINE,
)

test(
  'a statement holds in its own cluster only',
  () => {
    const network = settled()
    const [liar, listener] = [network.nodes[0]!, [...network.nodes[0]!.links.keys()][0]!]
    const stranger = network.strangerAnnouncement()
    tell(liar, listener, [stranger])
    network.run(1000)
    assert.equal(network.events, [])
    assert.equal(listener.refusals, [`${liar.origin.name} ERR_SKEIN_GOSSIP_REFUSED`])
  },
  DEADLINE,
)

test(
  'a flood is cut off, told of once, and no third party notices',
  () => {
    const network = settled()
    const [liar, listener] = [network.nodes[0]!, [...network.nodes[0]!.links.keys()][0]!]
    const before = new Map(network.nodes.map((node) => [node, node.sentBytes]))
    const noise = network.nodes.slice(2).map((victim) => doubtOf(liar, victim, 'suspect', 4_000_000))
    for (let i = 0; i < 1000; i++) tell(liar, listener, noise)
    network.run(5000)
    assert.equal(network.events, [])
    assert.equal(listener.refusals, [`${liar.origin.name} ERR_SKEIN_LIMIT`])
    for (const node of network.nodes) assert.ok((node.sentBytes - before.get(node)!) / 5 < 2048, String(node.index))
  },
  DEADLINE,
)

test(
  'invented members are found out',
  () => {
    const network = settled()
    const [liar, listener] = [network.nodes[0]!, [...network.nodes[0]!.links.keys()][0]!]
    tell(
      liar,
      listener,
      Array.from({ length: 5 }, () => network.inventedAnnouncement()),
    )
    network.run(1000)
    assert.ok(network.nodes.slice(1).every((node) => node.membership.view.size === NODES + 4))
    const took = network.until(
      () => network.nodes.every((node) => node.membership.view.size === NODES - 1),
      120_000,
      500,
    )
    assert.ok(took !== undefined && took < 60_000, `${took} ms`)
  },
  DEADLINE,
)

test(
  'the table is bounded, whoever fills it',
  () => {
    const network = settled()
    const [liar, listener] = [network.nodes[0]!, [...network.nodes[0]!.links.keys()][0]!]
    for (let i = 0; i < 5; i++) {
      tell(
        liar,
        listener,
        Array.from({ length: 1000 }, () => network.inventedAnnouncement()),
      )
    }
    assert.ok(listener.membership.view.size <= 4096)
    assert.equal(listener.refusals, [`${liar.origin.name} ERR_SKEIN_LIMIT`])
  },
  DEADLINE,
)

test(
  'at rest a node sends less than 2 KiB/s',
  () => {
    const network = settled()
    const before = network.nodes.map(({ sentBytes }) => sentBytes)
    network.run(20_000)
    for (const [index, { sentBytes }] of network.nodes.entries()) assert.ok((sentBytes - before[index]!) / 20 <= 2048)
  },
  DEADLINE,
)

test(
  'the same seed gives the same run',
  () => {
    const run = (): unknown => {
      const network = settled({ seed: 9, loss: 0.05 })
      network.crash(network.nodes[3]!)
      network.run(10_000)
      return network.events
    }
    assert.equal(run(), run())
  },
  DEADLINE,
)

test.run()

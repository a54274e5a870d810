/** Membership of whole nodes: pauses, one-way cuts, loss, goodbyes, versions, and clusters beyond a full mesh. */
import * as assert from 'uvu/assert'
import type { NodeEvent } from '../../../../src/event-stream.ts'
import type { SkeinNode } from '../../../../src/node.ts'
import { simulate } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'
import { meshed, ofType, pass, settled, startCluster, until, watch } from '../../node-support.ts'

const test = suite('membership of nodes', { watchdogMs: 300_000 })
/** On a busy machine. */
const DEADLINE = { deadlineMs: 60_000 }

const membersOf = (node: SkeinNode): string[] =>
  node
    .members()
    .map(({ name }) => name)
    .sort()

const downs = (events: readonly NodeEvent[]): string[] => ofType(events, 'memberdown').map(({ node }) => node)

test(
  'in a full mesh members are the connected nodes',
  async (t) => {
    const cluster = await startCluster(t, 5)
    const seen = watch(cluster.nodes[0]!)
    await meshed(cluster)
    for (const node of cluster.nodes) {
      assert.equal(membersOf(node), node.nodes().sort())
      for (const member of node.members()) {
        assert.is(member.state, 'alive')
        assert.ok(member.addresses.length > 0)
      }
    }
    assert.is(ofType(seen, 'memberup').length, 4)
    await settled(cluster, cluster.nodes[4]!.disconnect(cluster.nodes[0]!.name))
    await pass(cluster, 1000)
    assert.equal(
      ofType(seen, 'memberdown').map(({ node, reason }) => [node, reason]),
      [[cluster.nodes[4]!.name, 'disconnected']],
    )
  },
  DEADLINE,
)

test(
  'a cut in one direction between two of five: both stay connected while others hear both, and part at the limit',
  async () => {
    await simulate({ nodes: ['a', 'b', 'c', 'd', 'e'], seed: 3, preventOverlappingPartitions: false }, async (sim) => {
      const { a, b } = sim.hosts
      await sim.meshed()
      sim.cut([a], [b])
      await sim.sleep(8000)
      // b does not hear a any more, and a gets no answers: the others hear both.
      assert.ok(b.node.nodes().includes(a.node.name))
      assert.ok(a.node.nodes().includes(b.node.name))
      await sim.sleep(8000)
      assert.not(b.node.nodes().includes(a.node.name))
      sim.heal()
      await sim.meshed()
    })
  },
  DEADLINE,
)

test(
  'a crash among twelve is seen by all within 4 s',
  async () => {
    const names = Array.from({ length: 12 }, (_, index) => `n${index}`)
    await simulate({ nodes: names, seed: 4, preventOverlappingPartitions: false }, async (sim) => {
      await sim.meshed()
      const victim = sim.hosts.n3!
      const { name } = victim.node
      const rest = Object.values(sim.hosts).filter((host) => host !== victim)
      victim.crash()
      const startMs = sim.nowMs
      await sim.until('nobody sees it', () => rest.every((host) => !host.node.nodes().includes(name)), {
        withinMs: 4000,
      })
      assert.ok(sim.nowMs - startMs <= 4000)
    })
  },
  DEADLINE,
)

test(
  'who was paused is lost to the others, and itself accuses nobody when it goes on',
  async (t) => {
    const cluster = await startCluster(t, 6)
    await meshed(cluster)
    const sleeper = cluster.nodes[2]!
    const events = cluster.nodes.map(watch)
    cluster.network.pause('10.0.0.3')
    await pass(cluster, 15_000)
    assert.ok(cluster.nodes.every((node) => node === sleeper || !node.nodes().includes(sleeper.name)))
    cluster.resume(2)
    await meshed(cluster)
    for (const [index, seen] of events.entries()) {
      if (index === 2) {
        assert.ok(ofType(seen, 'nodedown').every(({ reason }) => reason !== 'net_tick_timeout'))
      } else assert.equal(new Set(downs(seen)), new Set([sleeper.name]))
    }
  },
  DEADLINE,
)

test(
  'with 5 % loss nobody is suspected for long, and nobody is down',
  async (t) => {
    const cluster = await startCluster(t, 8, { network: { defaults: { delayMs: 25, loss: 0.05 } } })
    await meshed(cluster)
    const events = cluster.nodes.map(watch)
    await pass(cluster, 120_000)
    assert.equal(events.flatMap(downs), [])
  },
  DEADLINE,
)

test(
  'beyond a full mesh everybody knows everybody, a crash and a goodbye are seen by all, and a newcomer too',
  async (t) => {
    const count = 24
    const cluster = await startCluster(t, count, {
      fullMeshNodes: 8,
      network: { defaults: { delayMs: 10, loss: 0.01 } },
    })
    const { nodes } = cluster
    await until(cluster, 'everybody knows everybody', () => nodes.every((node) => node.members().length === count - 1))
    await pass(cluster, 90_000)
    for (const node of nodes) assert.is(node.members().length, count - 1)
    const events = nodes.map(watch)

    const dead = nodes[5]!
    cluster.crash(5)
    const rest = nodes.filter((node) => node !== dead)
    const crashedMs = cluster.clock.now()
    await until(cluster, 'the crash is seen', () => rest.every((node) => !membersOf(node).includes(dead.name)))
    assert.ok(cluster.clock.now() - crashedMs <= 5000, `${cluster.clock.now() - crashedMs} ms`)
    for (const [index, seen] of events.entries()) if (index !== 5) assert.equal(downs(seen), [dead.name])

    const leaver = rest.pop()!
    const stopped = leaver.stop()
    const leftMs = cluster.clock.now()
    await until(cluster, 'the goodbye is seen', () => rest.every((node) => !membersOf(node).includes(leaver.name)))
    await until(cluster, 'stopped', () => !leaver.isAlive)
    assert.ok(cluster.clock.now() - leftMs <= 1000)
    await pass(cluster, 1000)
    await stopped

    const fresh = await cluster.start(count)
    await until(
      cluster,
      'the newcomer is known and knows',
      () => fresh.members().length === rest.length && rest.every((node) => membersOf(node).includes(fresh.name)),
    )
  },
  DEADLINE,
)

test(
  'a node of version 1 is a member among those of version 2',
  async (t) => {
    const cluster = await startCluster(t, 2)
    await cluster.start(2, { protocolVersions: [1, 1] })
    await meshed(cluster)
    await pass(cluster, 20_000)
    for (const node of cluster.nodes) assert.is(node.members().length, 2)
    cluster.crash(2)
    await until(cluster, 'it is gone', () => cluster.nodes[0]!.members().length === 1)
  },
  DEADLINE,
)

test.run()

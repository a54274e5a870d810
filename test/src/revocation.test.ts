/** Revoked nodes, and lists of members: who is let in, what ends, and what is not passed on. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import type { NodeEvent, SkeinNode } from '../../src/index.ts'
import { formatAddress } from '../../transport/address.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { emptyCluster, failureOf, meshed, ofType, pass, settled, startCluster, until, watch } from './node-support.ts'

const test = suite('revocation')

/** Three connected nodes, and what each of them tells from then on. */
const three = async (t: TestContext) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b, c] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  const events = [watch(a), watch(b), watch(c)] as const
  return { cluster, a, b, c, events }
}

const addressOf = ({ addresses }: SkeinNode): string => addresses.map(formatAddress)[0] ?? ''

const downs = (events: readonly NodeEvent[]): string[] =>
  ofType(events, 'nodedown').map(({ node, reason }) => `${node} ${reason}`)

test('its session ends at once, both are told why, and neither way leads back in', async (t) => {
  const { cluster, a, b, c, events } = await three(t)
  const pid = c.spawn(async (self) => void (await self.receive()))
  assert.ok(a.revoke(c.id))
  assert.not(a.revoke(c.id), 'once is enough')
  assert.equal(a.revoked(), [c.id])
  assert.not(a.nodes().includes(c.name))
  await until(cluster, 'it notices', () => !c.nodes().includes(a.name))
  assert.equal([downs(events[0]), downs(events[2])], [[`${c.name} revoked`], [`${a.name} revoked`]])
  for (const [from, to] of [
    [c, a],
    [a, c],
  ] as const) {
    const error = await failureOf(cluster, from.connect(addressOf(to)))
    const codes = [error.code, ...error.attempts.map(({ code }) => code)]
    assert.ok(codes.includes('ERR_SKEIN_REVOKED'), codes.join())
  }
  assert.is((await failureOf(cluster, a.call(pid, 'hello'))).code, 'ERR_SKEIN_NOCONNECTION')
  await pass(cluster, 60_000)
  assert.equal(a.nodes(), [b.name], 'however often it tries')
  assert.equal(b.nodes().sort(), [a.name, c.name].sort(), 'it is this node that has revoked it, and no other')
  assert.ok(ofType(events[2], 'refused').some(({ code, byPeer }) => code === 'ERR_SKEIN_REVOKED' && byPeer))
  assert.ok(ofType(events[0], 'refused').length <= 40, 'the operator is not told of every try')
})

test('nobody steps back from anybody, as after a partition', async (t) => {
  const { cluster, a, c, events } = await three(t)
  a.revoke(c.id)
  await pass(cluster, 30_000)
  for (const seen of events) assert.equal(ofType(seen, 'overlappingPartition'), [])
})

test('taken back, it comes again', async (t) => {
  const { cluster, a, c } = await three(t)
  a.revoke(c.id)
  await pass(cluster, 1000)
  assert.ok(a.unrevoke(c.id))
  assert.not(a.unrevoke(c.id))
  assert.equal(a.revoked(), [])
  await settled(cluster, c.connect(addressOf(a)))
  await until(cluster, 'it is there', () => a.nodes().includes(c.name))
})

test('a node with another key that comes under its name is let in', async (t) => {
  const { cluster, a, b, c } = await three(t)
  for (const node of [a, b]) node.revoke(c.id)
  await settled(cluster, c.stop())
  const again = await cluster.start(2, { name: c.name })
  await until(cluster, 'the new one', () => a.nodes().includes(again.name))
  assert.is(again.name, c.name)
})

test('what is no id, the node itself, and more than a list holds', async (t) => {
  const { a } = await three(t)
  const codeOf = (id: string): string | undefined => {
    try {
      a.revoke(id)
    } catch (error) {
      return isSkeinError(error) ? error.code : String(error)
    }
    return undefined
  }
  assert.equal([codeOf('n2@host'), codeOf(a.id)], ['ERR_SKEIN_BAD_ARGUMENT', 'ERR_SKEIN_SELF'])
})

test('beyond the full mesh it is no member either, and what is said of it is not passed on', async (t) => {
  const cluster = await startCluster(t, 6, { fullMeshNodes: 2 })
  const ids = (node: SkeinNode): string[] => node.members().map(({ id }) => id)
  await until(cluster, 'everybody knows everybody', () => cluster.nodes.every((node) => node.members().length === 5))
  const [a] = cluster.nodes as [SkeinNode]
  const out = cluster.nodes[5] as SkeinNode
  for (const node of cluster.nodes) if (node !== out) node.revoke(out.id)
  for (const node of cluster.nodes) if (node !== out) assert.not(ids(node).includes(out.id))
  await pass(cluster, 120_000)
  for (const node of cluster.nodes) if (node !== out) assert.not(ids(node).includes(out.id), node.name)
  const late = await cluster.start(6)
  await until(cluster, 'a new one knows the others', () => ids(late).length >= 5)
  await pass(cluster, 30_000)
  assert.not(ids(late).includes(out.id), 'nobody has told it of the one that was revoked')
  assert.ok(a.nodes().length > 0)
})

test('with a list of members nobody else is let in', async (t) => {
  const cluster = emptyCluster(t)
  const [one, two, three] = await Promise.all([cluster.identity(), cluster.identity(), cluster.identity()])
  const members = [two.nodeId]
  const a = await cluster.start(0, { identity: one, members })
  const b = await cluster.start(1, { identity: two })
  const c = await cluster.start(2, { identity: three })
  await until(cluster, 'the listed one', () => a.nodes().includes(b.name))
  const error = await failureOf(cluster, c.connect(addressOf(a)))
  const codes = [error.code, ...error.attempts.map(({ code }) => code)]
  assert.ok(codes.includes('ERR_SKEIN_NOT_ADMITTED'), codes.join())
  await pass(cluster, 10_000)
  assert.equal(a.nodes(), [b.name])
})

test('an option revokes from the start', async (t) => {
  const cluster = emptyCluster(t)
  const out = await cluster.identity()
  const a = await cluster.start(0, { revoked: [out.nodeId] })
  const c = await cluster.start(1, { identity: out })
  assert.equal(a.revoked(), [out.nodeId])
  await pass(cluster, 10_000)
  assert.equal([a.nodes(), c.nodes()], [[], []])
})

test.run()

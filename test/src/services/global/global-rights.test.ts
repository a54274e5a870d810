/** Global names that a node may not have by the rules of the others: what they see, and that nobody else suffers for it. */
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../../../src/index.ts'
import { simulatedHost } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'
import {
  emptyCluster,
  failureOf,
  meshed,
  ofType,
  pass,
  settled,
  startCluster,
  until,
  watch,
} from '../../node-support.ts'

const test = suite('rights to global names')

/** On all nodes alike. */
const allow = [{ nodes: 'n2', register: ['own-*'] }]

const waiting = (node: SkeinNode) => node.spawn(async (self) => void (await self.receive(() => false)))

test('a refused registration is seen by nobody, and the name stays free for others', async (t) => {
  const cluster = await startCluster(t, 3, { allow })
  await meshed(cluster)
  const [a, b, c] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  const mine = waiting(c)
  assert.is((await failureOf(cluster, c.global.register('x', mine))).code, 'ERR_SKEIN_FORBIDDEN')
  await settled(cluster, c.global.register('own-x', mine))
  const pid = waiting(a)
  await settled(cluster, a.global.register('x', pid))
  const seen = (): boolean => [a, b, c].every(({ global }) => global.whereis('x')?.equals(pid) === true)
  await until(cluster, 'everybody sees it, the one that may not have it too', seen)
  await until(cluster, 'what it may have', () => [a, b].every(({ global }) => global.whereis('own-x')?.equals(mine)))
  assert.is((await failureOf(cluster, a.global.transfer('x', mine))).code, 'ERR_SKEIN_FORBIDDEN')
  assert.ok(seen(), 'it could not be handed over, and stays where it was')
  assert.ok((a.counters().forbidden ?? 0) >= 2)
})

test('what it registered alone is not believed, and its refusal keeps nobody from the name', async (t) => {
  const cluster = emptyCluster(t, { allow })
  const a = await cluster.start(0)
  const b = await cluster.start(1)
  const c = await cluster.start(2, { seeded: false })
  const events = watch(a)
  const mine = waiting(c)
  await settled(cluster, c.global.register('x', mine))
  await settled(cluster, c.connect(`${simulatedHost(0)}:4433`))
  await meshed(cluster)
  await pass(cluster, 1000)
  assert.equal([a.global.whereis('x'), b.global.whereis('x')], [undefined, undefined])
  assert.ok(ofType(events, 'memberRefused').some(({ code }) => code === 'ERR_SKEIN_FORBIDDEN'))
  const pid = waiting(a)
  await settled(cluster, a.global.register('x', pid))
  await until(cluster, 'all who may', () => b.global.whereis('x')?.equals(pid) === true)
  await pass(cluster, 20_000)
  assert.ok(a.global.whereis('x')?.equals(pid), 'no conflict takes it away')
  assert.ok(c.global.whereis('x')?.equals(mine), 'that node alone believes itself')
})

test('one that may not have the name and does not answer costs a second, and not ten', async (t) => {
  const cluster = await startCluster(t, 3, { allow })
  await meshed(cluster)
  await pass(cluster, 1000)
  const [a] = cluster.nodes as [SkeinNode]
  cluster.network.pause(simulatedHost(2))
  const beganMs = cluster.clock.now()
  await settled(cluster, a.global.register('x', waiting(a)))
  assert.ok(cluster.clock.now() - beganMs < 2000)
  cluster.network.resume(simulatedHost(2))
})

test('nor does it keep a name from being handed over', async (t) => {
  const cluster = await startCluster(t, 3, { allow })
  await meshed(cluster)
  await pass(cluster, 1000)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  await settled(cluster, a.global.register('x', waiting(a)))
  await until(cluster, 'the other sees it', () => b.global.whereis('x') !== undefined)
  const heir = waiting(b)
  cluster.network.pause(simulatedHost(2))
  const beganMs = cluster.clock.now()
  await settled(cluster, a.global.transfer('x', heir))
  const tookMs = cluster.clock.now() - beganMs
  assert.ok(tookMs < 3000, `${tookMs} ms`)
  await until(cluster, 'both see it', () => [a, b].every(({ global }) => global.whereis('x')?.equals(heir) === true))
  cluster.network.resume(simulatedHost(2))
})

test('a supervisor that a node has a part in comes with the names of its leader and children', async (t) => {
  const rules = [{ nodes: '*', register: [], supervise: ['sup'] }]
  const cluster = await startCluster(t, 2, { allow: rules })
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  b.behaviour('wait', async (self) => void (await self.receive(() => false)))
  const sup = a.supervise('sup', { children: [{ id: 'c', behaviour: 'wait' }] })
  a.supervise('other', { children: [{ id: 'c', behaviour: 'wait' }] })
  await until(cluster, 'the child', () => sup.child('c') !== undefined && b.global.whereis('sup/c') !== undefined)
  await pass(cluster, 5000)
  assert.equal(
    ['supervisor:other', 'other/c'].map((name) => b.global.whereis(name)),
    [undefined, undefined],
  )
})

test.run()

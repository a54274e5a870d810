/** Processes of other nodes that follow the events of a node: what they are told, and that others cannot end it. */
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../src/node.ts'
import { Ref } from '../../src/pid.ts'
import type { Self } from '../../src/process/self.ts'
import { SYSTEM_PROCESS } from '../../src/system-process.ts'
import type { SimulatedCluster } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'
import { meshed, pass, startCluster, until } from './node-support.ts'

const test = suite('event followers')

/** Follows the events of `to` from `from`, and gives what came of it so far. */
const follow = async (cluster: SimulatedCluster, from: SkeinNode, to: SkeinNode) => {
  const told: Record<string, unknown>[] = []
  let reply: unknown
  const pid = from.spawn(async (self: Self) => {
    reply = await self.call({ name: SYSTEM_PROCESS, node: to.name }, { type: 'follow' })
    for await (const message of self) told.push((message as { event: Record<string, unknown> }).event)
  })
  await until(cluster, 'an answer', () => reply !== undefined)
  return { pid, told, reply }
}

test('a crash is told, also where nobody can look at the reason, and what others say ends nothing', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b, c] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  const { told, reply } = await follow(cluster, b, a)
  assert.equal(reply, { type: 'following' })
  const { origin } = a.spawn(() => {})
  for (const message of [null, 5, { type: 'DOWN' }]) c.send({ name: SYSTEM_PROCESS, node: a.name }, message)
  for (let number = 0; number < 200; number++) {
    c.send({ name: SYSTEM_PROCESS, node: a.name }, { type: 'DOWN', ref: new Ref(origin, number), reason: 'lie' })
  }
  await pass(cluster, 1000)
  const crashes = (): unknown[] => told.filter(({ type }) => type === 'processCrashed').map(({ reason }) => reason)
  const shy = new Proxy(
    {},
    {
      getPrototypeOf: () => {
        throw new Error('not to be looked at')
      },
    },
  )
  for (const reason of ['first', shy, 'last']) a.spawn(() => Promise.reject(reason))
  await until(cluster, 'three crashes', () => crashes().length === 3)
  assert.equal(crashes(), ['first', undefined, 'last'])
  assert.ok(told.filter(({ type }) => type === 'processCrashed').every(({ pid }) => typeof pid === 'string'))
})

test('there is room for 32, and for 8 of one node; who ends makes room', async (t) => {
  const cluster = await startCluster(t, 6)
  await meshed(cluster)
  const [a, b, c, d, e, f] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode, SkeinNode, SkeinNode, SkeinNode]
  const [following, busy] = [{ type: 'following' }, { type: 'busy' }]
  const followers: Awaited<ReturnType<typeof follow>>[] = []
  for (const from of [b, c, d, e]) {
    for (let index = 0; index < 8; index++) followers.push(await follow(cluster, from, a))
    if (from === b) assert.equal((await follow(cluster, b, a)).reply, busy)
  }
  assert.ok(followers.every(({ reply }) => (reply as { type: string }).type === 'following'))
  assert.equal((await follow(cluster, f, a)).reply, busy)
  const [first] = followers
  assert.ok(first)
  b.exit(first.pid, 'kill')
  await pass(cluster, 1000)
  assert.equal((await follow(cluster, b, a)).reply, following)
  assert.equal((await follow(cluster, f, a)).reply, busy)
})

test.run()

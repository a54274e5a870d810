/** Two versions of the protocol in one cluster: processes work across, services are among those of version 2. */
import * as assert from 'uvu/assert'
import { type CallMessage, type DistributedSupervisor, Pid, type Self, type SkeinNode } from '../../../../src/index.ts'
import { type SimulatedCluster, simulatedNodes } from '../../../../src/testing/index.ts'
import { Runs } from '../../../sim/children.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('two protocol versions')

const OLD = [1, 1] as const
const PATIENCE_MS = 30_000

const until = async (cluster: SimulatedCluster, what: string, condition: () => boolean): Promise<void> => {
  const end = await cluster.clock.run({ until: condition, untilMs: cluster.clock.now() + PATIENCE_MS })
  assert.is(end, 'condition', what)
}

/** Lets time run until it is settled. */
const done = async <T>(cluster: SimulatedCluster, promise: Promise<T>): Promise<T> => {
  let settled = false
  const over = (): void => {
    settled = true
  }
  promise.then(over, over)
  await cluster.clock.run({ until: () => settled, untilMs: cluster.clock.now() + PATIENCE_MS })
  return promise
}

const whole = (nodes: readonly SkeinNode[]): boolean => nodes.every((node) => node.nodes().length === nodes.length - 1)

type Echo = CallMessage<unknown, unknown>

const echo = async (self: Self<Echo>): Promise<void> => {
  for await (const { from, request } of self) {
    if (request === 'end') return
    self.reply(from, request)
  }
}

test('old and new nodes send, call, link, monitor and spawn across; upgraded one by one they end with all services', async (t) => {
  const cluster = await simulatedNodes(0, { seed: 5 })
  t.defer(() => cluster.stop())
  const runs = new Runs()
  const identities = await Promise.all([0, 1, 2, 3].map(() => cluster.identity()))
  const supervisors: (DistributedSupervisor | undefined)[] = []
  const start = async (index: number, isOld: boolean): Promise<SkeinNode> => {
    const identity = identities[index]
    if (identity === undefined) throw new Error('no identity')
    // The first one is the seed of the others; started again it is found by them.
    const node = await cluster.start(index, { identity, ...(isOld ? { protocolVersions: OLD } : {}) })
    node.behaviour('echo', echo)
    runs.offer(node)
    supervisors[index] = isOld
      ? undefined
      : node.supervise('sup', { children: [{ id: 'x', behaviour: 'counter', args: [0] }] })
    return node
  }
  for (const index of [0, 1, 2, 3]) await start(index, index >= 2)
  const { nodes } = cluster
  await until(cluster, 'a mesh', () => whole(nodes))
  const versions = nodes.map((node) =>
    node
      .connectedNodes()
      .map(({ version }) => version)
      .sort(),
  )
  assert.equal(versions, [
    [1, 1, 2],
    [1, 1, 2],
    [1, 1, 1],
    [1, 1, 1],
  ])

  // Across, both ways.
  for (const [from, to] of [
    [0, 2],
    [2, 0],
    [3, 1],
    [2, 3],
  ] as const) {
    const node = nodes[from] as SkeinNode
    const heard: unknown[] = []
    const other = (nodes[to] as SkeinNode).name
    const working = new Promise<void>((resolve, reject) => {
      node.spawn(async (self: Self) => {
        try {
          self.trapExit = true
          const { pid, ref } = await self.spawnMonitorOn(other, 'echo')
          self.link(pid)
          heard.push(await self.call(pid, { deep: [1, 'two'] } as never))
          self.send(pid, { type: 'call', from: { call: ref }, request: 'end' } as never)
          for (let i = 0; i < 2; i++) heard.push((await self.receive()) as unknown)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
    await done(cluster, working)
    assert.equal(heard[0], { deep: [1, 'two'] })
    const types = heard.slice(1).map((message) => (message as { type: string }).type)
    assert.equal(types.sort(), ['DOWN', 'EXIT'])
  }

  // Services see version 2 only.
  await until(cluster, 'the child runs', () => runs.of('sup/x').length === 1)
  const pid = (nodes[0] as SkeinNode).spawn(echo)
  await done(cluster, (nodes[0] as SkeinNode).global.register('someone', pid))
  ;(nodes[0] as SkeinNode).groups.join('all', pid)
  await until(cluster, 'the new ones know', () => nodes[1]?.global.whereis('someone') !== undefined)
  assert.is(nodes[2]?.global.whereis('someone'), undefined)
  assert.equal(nodes[2]?.groups.members('all'), [])
  assert.is(nodes[0]?.behavioursOf(nodes[2]?.name ?? ''), undefined)

  // One after the other.
  for (const index of [2, 3]) {
    await done(cluster, (nodes[index] as SkeinNode).drain({ timeoutMs: 2000 }))
    await start(index, false)
    await until(cluster, 'a mesh again', () => whole(nodes))
    await until(cluster, 'it knows', () => nodes[index]?.global.whereis('someone') instanceof Pid)
    assert.is(nodes[index]?.groups.members('all').length, 1)
  }
  assert.ok(nodes.every((node) => node.connectedNodes().every(({ version }) => version === 2)))
  const knowsAll = (node: SkeinNode): boolean => nodes.every(({ name }) => node.behavioursOf(name) !== undefined)
  await until(cluster, 'all know what all can start', () => nodes.every(knowsAll))
  await done(cluster, (nodes[0] as SkeinNode).drain({ timeoutMs: 2000 }))
  const [, ...rest] = nodes
  await until(cluster, 'it runs among the others', () => rest.some(({ name }) => runs.of('sup/x')[0]?.node === name))
  assert.is(supervisors.filter((one) => one?.isLeader === true && one !== supervisors[0]).length, 1)
})

test.run()

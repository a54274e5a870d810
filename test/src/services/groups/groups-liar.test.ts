/** A member that lies to the groups: it harms nobody but itself, each kind of lie is told of once, and floods end at a bound. */
import * as assert from 'uvu/assert'
import type { NodeEvent } from '../../../../src/event-stream.ts'
import type { Pid } from '../../../../src/pid.ts'
import { MAX_ENTRIES_PER_OWNER } from '../../../../src/services/board.ts'
import { DEFAULT_SCOPE, GroupService } from '../../../../src/services/groups/group-service.ts'
import { keyOf } from '../../../../src/services/groups/place.ts'
import { channelHost, type ServicesHost } from '../../../../src/services/services.ts'
import { systemClock } from '../../../../transport/clock.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { type Actor, actor, type Pair, pair, turns } from '../../process/process-support.ts'

const test = suite('groups and a liar')

interface Scene {
  readonly net: Pair
  readonly groups: GroupService
  readonly events: NodeEvent[]
  /** A process of the liar's, which has passed for its groups. */
  readonly liar: Actor
  /** Says something to the groups of the other node. */
  readonly say: (message: unknown) => Promise<void>
}

const scene = async (t: TestContext): Promise<Scene> => {
  const net = pair(t)
  const events: NodeEvent[] = []
  const { origin, processes } = net.a
  const node = { name: 'b@test', id: 'id-b', incarnation: net.b.origin.incarnation, hidden: false, version: 2 }
  const host = {
    self: origin,
    hidden: false,
    clock: systemClock,
    random: seededRandom(1),
    processes,
    connected: () => [node],
    connectedAs: (name: string) => (name === node.name ? node : undefined),
    emit: (event: NodeEvent) => events.push(event),
    defect: (error: unknown) => assert.unreachable(String(error)),
  } as unknown as ServicesHost
  const groups = new GroupService(host, channelHost(host))
  const liar = await actor(net.b)
  const say = async (message: unknown): Promise<void> => {
    liar.self.cast({ name: 'skein.groups', node: 'a@test' }, message as never)
    await net.flow()
  }
  processes.nodeUp('b@test')
  await turns()
  await net.flow()
  await say({ type: 'hello' })
  return { net, groups, events, liar, say }
}

const told = (put: readonly (readonly [string, unknown])[], number = 0) =>
  ({ type: 'board', number, put, removed: [], complete: true }) as const

const key = (group: string, number: number): string => keyOf({ scope: DEFAULT_SCOPE, group, number })

const strings = (pids: readonly Pid[]): string[] => pids.map((pid) => `${pid}`)

test('whatever number it names is one of its own processes, never of another node', async (t) => {
  const { net, groups, liar, say } = await scene(t)
  const victim = await actor(net.a)
  groups.join(DEFAULT_SCOPE, 'g', [victim.self.pid])
  await say(told([[key('g', victim.self.pid.number), true]]))
  const [first, second] = groups.members(DEFAULT_SCOPE, 'g')
  assert.ok(first?.equals(victim.self.pid))
  assert.is(second?.origin.key, liar.self.pid.origin.key)
  // Nor can it take anybody out.
  await say({ ...told([], 1), removed: [key('g', victim.self.pid.number)] })
  assert.equal(strings(groups.members(DEFAULT_SCOPE, 'g')), strings([victim.self.pid]))
})

test('nonsense costs that entry or message, and is told of once', async (t) => {
  const { groups, events, say } = await scene(t)
  await say(
    told([
      ['', true],
      ['x', true],
      [key('g', 5), 'value'],
      [key('good', 5), true],
    ] as const),
  )
  assert.equal(groups.groups(DEFAULT_SCOPE), ['good'])
  for (const message of [undefined, 5, 'x', { type: 'what' }, told(5 as never, 1), { type: 'board' }, [], new Map()]) {
    await say(message)
  }
  assert.equal(groups.groups(DEFAULT_SCOPE), ['good'])
  const refusals = events.filter(({ type }) => type === 'memberRefused')
  assert.is(refusals.length, 1)
  const [refusal] = refusals
  assert.ok(refusal?.type === 'memberRefused' && refusal.code === 'ERR_SKEIN_PROTOCOL' && refusal.node === 'b@test')
})

test('another process of its node does not speak for it', async (t) => {
  const { net, groups } = await scene(t)
  const other = await actor(net.b)
  other.self.cast({ name: 'skein.groups', node: 'a@test' }, told([[key('g', 5), true]]) as never)
  await net.flow()
  assert.equal(groups.groups(DEFAULT_SCOPE), [])
})

test(
  'a flood ends at the bound, and goes with the connection',
  async (t) => {
    const { net, groups, events, say } = await scene(t)
    const chunk = 8192
    for (let number = 0; number * chunk < MAX_ENTRIES_PER_OWNER + chunk; number++) {
      const put = Array.from({ length: chunk }, (_, i) => [key('flood', number * chunk + i + 1), true] as const)
      await say(told(put, number))
    }
    assert.is(groups.members(DEFAULT_SCOPE, 'flood').length, MAX_ENTRIES_PER_OWNER)
    assert.ok(events.some((event) => event.type === 'memberRefused' && event.code === 'ERR_SKEIN_LIMIT'))
    // What it told stays until it has told everything again, which it never does.
    for (const round of [1, 2]) {
      for (let number = 0; number * chunk < MAX_ENTRIES_PER_OWNER; number++) {
        const first = (round * 40 + number) * chunk + 1
        const put = Array.from({ length: chunk }, (_, i) => [key('flood', first + i), true] as const)
        await say({ ...told(put, number), complete: false })
      }
    }
    assert.is(groups.members(DEFAULT_SCOPE, 'flood').length, 2 * MAX_ENTRIES_PER_OWNER)
    net.cut()
    net.a.processes.nodeDown('b@test', 'connection_closed')
    await turns()
    assert.equal(groups.groups(DEFAULT_SCOPE), [])
  },
  { deadlineMs: 60_000 },
)

test('who comes and goes within one message is told of in that order', async (t) => {
  const { groups, say } = await scene(t)
  const seen = new Set<string>()
  const read = async (): Promise<void> => {
    for await (const event of groups.watch(DEFAULT_SCOPE, 'g')) {
      if (event.type === 'join') for (const pid of event.pids) seen.add(`${pid}`)
      else if (event.type === 'leave') for (const pid of event.pids) seen.delete(`${pid}`)
    }
  }
  void read()
  await say(told([[key('g', 5), true]]))
  assert.is(seen.size, 1)
  const put = [
    [key('g', 6), true],
    [key('g', 6), 'no value'],
  ] as const
  await say({ ...told(put, 1), removed: [key('g', 5)] })
  await turns()
  assert.equal([groups.members(DEFAULT_SCOPE, 'g').length, seen.size], [0, 0])
})

test.run()

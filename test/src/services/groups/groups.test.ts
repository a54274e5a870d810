/** Groups of processes over simulated nodes: who is in them, what is told of it, and what is published. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { MAX_BUFFERED_EVENTS } from '../../../../src/event-stream.ts'
import type { GroupEvent, Lagged, Pid, Self, SkeinNode } from '../../../../src/index.ts'
import type { SimulatedCluster } from '../../../../src/testing/index.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { meshed, ofType, pass, settled, startCluster, until, watch } from '../../node-support.ts'

const test = suite('groups')

interface Actor {
  readonly self: Self
  readonly pid: Pid
  readonly got: unknown[]
}

/** A process that notes what it gets. */
const actor = async (cluster: SimulatedCluster, node: SkeinNode): Promise<Actor> => {
  let self: Self | undefined
  const got: unknown[] = []
  const pid = node.spawn(async (own: Self) => {
    self = own
    for await (const message of own) got.push(message)
  })
  await until(cluster, 'the process', () => self !== undefined)
  return { self: self as Self, pid: pid as Pid, got }
}

const mesh = async (t: TestContext, count: number, seed = 1): Promise<[SimulatedCluster, ...SkeinNode[]]> => {
  const cluster = await startCluster(t, count, { seed })
  await meshed(cluster)
  return [cluster, ...cluster.nodes]
}

const keys = (pids: readonly Pid[]): string[] => pids.map(({ key }) => key).sort()

const agree = (cluster: SimulatedCluster, nodes: readonly SkeinNode[], group: string, pids: readonly Pid[]) =>
  until(cluster, `all see who is in ${group}`, () =>
    nodes.every((node) => keys(node.groups.members(group)).join() === keys(pids).join()),
  )

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (isSkeinError(error)) return error.code
    throw error
  }
  return 'nothing'
}

test('a join is seen here at once and elsewhere soon; ends of processes and nodes are leaves', async (t) => {
  const [cluster, a, b, c] = await mesh(t, 3)
  assert.ok(a && b && c)
  const [one, two, three] = [await actor(cluster, a), await actor(cluster, b), await actor(cluster, b)]
  a.groups.join('room', one.pid)
  assert.equal(a.groups.members('room'), [one.pid])
  b.groups.join('room', [two.pid, three.pid])
  await agree(cluster, [a, b, c], 'room', [one.pid, two.pid, three.pid])
  assert.equal(keys(b.groups.localMembers('room')), keys([two.pid, three.pid]))
  assert.equal(c.groups.localMembers('room'), [])
  assert.equal(c.groups.groups(), ['room'])
  b.exit(two.pid, 'kill')
  assert.equal(b.groups.localMembers('room'), [three.pid], 'gone before anybody hears of it')
  await agree(cluster, [a, b, c], 'room', [one.pid, three.pid])
  assert.ok(b.groups.leave('room', three.pid))
  assert.not(b.groups.leave('room', three.pid))
  await agree(cluster, [a, b, c], 'room', [one.pid])
  cluster.crash(0)
  await agree(cluster, [b, c], 'room', [])
  assert.equal(b.groups.groups(), [])
})

test('a process leaves as often as it has joined, and is one member', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const one = await actor(cluster, a)
  a.groups.join('g', [one.pid, one.pid])
  a.groups.join('g', one.pid)
  await agree(cluster, [a, b], 'g', [one.pid])
  assert.ok(a.groups.leave('g', [one.pid, one.pid]))
  await pass(cluster, 500)
  assert.equal([a.groups.members('g').length, b.groups.members('g').length], [1, 1])
  a.groups.leave('g', one.pid)
  await agree(cluster, [a, b], 'g', [])
})

test('scopes are apart, also over the wire', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const [one, two] = [await actor(cluster, a), await actor(cluster, a)]
  a.groups.join('g', one.pid)
  a.groups.scope('other').join('g', two.pid)
  await until(cluster, 'both', () => b.groups.groups().length + b.groups.scope('other').groups().length === 2)
  assert.equal(b.groups.members('g'), [one.pid])
  assert.equal(b.groups.scope('other').members('g'), [two.pid])
  b.groups.scope('other').publish('g', 'hi')
  await pass(cluster, 500)
  assert.equal([one.got, two.got], [[], ['hi']])
})

test('what cannot be: processes of others, dead ones, names; then nobody has joined', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const [one, dead, far] = [await actor(cluster, a), await actor(cluster, a), await actor(cluster, b)]
  a.exit(dead.pid, 'kill')
  assert.is(
    codeOf(() => a.groups.join('g', [one.pid, far.pid])),
    'ERR_SKEIN_NOPROC',
  )
  assert.is(
    codeOf(() => a.groups.join('g', [one.pid, dead.pid])),
    'ERR_SKEIN_NOPROC',
  )
  for (const name of ['', 'x'.repeat(161)]) {
    assert.is(
      codeOf(() => a.groups.join(name, one.pid)),
      'ERR_SKEIN_BAD_NAME',
    )
  }
  assert.is(
    codeOf(() => a.groups.scope('x'.repeat(65))),
    'ERR_SKEIN_BAD_NAME',
  )
  assert.equal(a.groups.groups(), [])
  assert.not(a.groups.leave('g', [far.pid, dead.pid]))
})

test('watching: one event for those who come or go together, and every reader can lag', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const seen: (GroupEvent | Lagged)[] = []
  const reader = b.groups.watch('g')[Symbol.asyncIterator]()
  const read = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.next()
      if (done) return
      seen.push(value)
    }
  }
  void read()
  const members = [await actor(cluster, a), await actor(cluster, a), await actor(cluster, a)]
  a.groups.join(
    'g',
    members.map(({ pid }) => pid),
  )
  a.groups.join('elsewhere', members[0]!.pid)
  a.groups.scope('s').join('g', members[0]!.pid)
  await until(cluster, 'the join', () => seen.length === 1)
  const [first] = seen
  assert.ok(first?.type === 'join' && first.group === 'g')
  assert.equal(keys(first.pids), keys(members.map(({ pid }) => pid)))
  cluster.crash(0)
  await until(cluster, 'the leave', () => seen.length === 2)
  const [, second] = seen
  assert.ok(second?.type === 'leave' && second.pids.length === 3)
  // A reader that does not read.
  const slow = b.groups.watch()[Symbol.asyncIterator]()
  const own = await actor(cluster, b)
  for (let i = 0; i < MAX_BUFFERED_EVENTS; i++) {
    b.groups.join('flip', own.pid)
    b.groups.leave('flip', own.pid)
  }
  assert.equal((await slow.next()).value, { type: 'lagged', lost: MAX_BUFFERED_EVENTS })
  await b.stop()
  for (let i = 0; i < MAX_BUFFERED_EVENTS; i++) assert.not((await slow.next()).done)
  // The end of its process was told before the end of the watching; then there is nothing more.
  while (!(await slow.next()).done);
})

test('published and sent arrive in the order of their sender, near and far (G1)', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const sender = await actor(cluster, a)
  const [near, far, other] = [await actor(cluster, a), await actor(cluster, b), await actor(cluster, b)]
  a.groups.join('g', near.pid)
  b.groups.join('g', [far.pid, other.pid])
  await agree(cluster, [a, b], 'g', [near.pid, far.pid, other.pid])
  const expected: number[] = []
  for (let i = 0; i < 300; i++) {
    expected.push(i)
    if (i % 3 === 0) sender.self.publish('g', i)
    else for (const { pid } of [near, far, other]) sender.self.send(pid, i)
  }
  await until(cluster, 'all', () => [near, far, other].every(({ got }) => got.length === expected.length))
  for (const { got } of [near, far, other]) assert.equal(got, expected)
})

test('publishing: to all but some, to those here, to nobody, from whom', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const actors = [await actor(cluster, a), await actor(cluster, a), await actor(cluster, b), await actor(cluster, b)]
  const [one, two, three, four] = actors
  assert.ok(one && two && three && four)
  a.groups.join('g', [one.pid, two.pid])
  b.groups.join('g', [three.pid, four.pid])
  await agree(
    cluster,
    [a, b],
    'g',
    actors.map(({ pid }) => pid),
  )
  assert.ok(one.self.publish('g', 'not to me', { exclude: one.pid }))
  assert.ok(a.groups.publish('g', 'not to two', { exclude: [one.pid, three.pid] }))
  assert.ok(a.groups.publish('g', 'here', { localOnly: true }))
  assert.ok(a.groups.publish('nobody', 'x'))
  assert.ok(one.self.publish('g', 'elsewhere', { scope: 'other' }))
  assert.is(
    codeOf(() => a.groups.publish('g', () => 1)),
    'ERR_SKEIN_UNSERIALISABLE',
  )
  await one.self.drained({ group: 'g' })
  await a.groups.drained('g')
  await pass(cluster, 500)
  assert.equal(one.got, ['here'])
  assert.equal(two.got, ['not to me', 'not to two', 'here'])
  assert.equal(three.got, ['not to me'])
  // Of different senders: in any order (N2).
  assert.equal([...four.got].sort(), ['not to me', 'not to two'])
})

test('who has much to read already makes publish say so, and drained wait', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  let open = (): void => {}
  const pid = a.spawnWith({ mailbox: { limit: 3, onFull: 'block' } }, async (self: Self) => {
    await new Promise<void>((resolve) => {
      open = resolve
    })
    for await (const _ of self);
  })
  a.groups.join('g', pid)
  await pass(cluster, 10)
  let sent = 0
  while (a.groups.publish('g', sent)) assert.ok(++sent < 100)
  let drained = false
  void a.groups.drained('g').then(() => {
    drained = true
  })
  await pass(cluster, 100)
  assert.not(drained)
  open()
  await until(cluster, 'room', () => drained)
})

test('a full mailbox is a dead letter for its owner and nothing to the others', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  const events = watch(a)
  const full = a.spawnWith({ mailbox: { limit: 1, onFull: 'block' } }, () => new Promise<void>(() => {}))
  const one = await actor(cluster, a)
  a.groups.join('g', [full, one.pid])
  for (let i = 0; i < 20; i++) a.groups.publish('g', i)
  await until(cluster, 'all', () => one.got.length === 20)
  const letters = ofType(events, 'deadLetter')
  assert.is(letters.length, 4)
  assert.ok(letters.every(({ reason, to }) => reason === 'ERR_SKEIN_QUEUE_FULL' && `${to}` === `${full}`))
})

test('a hidden node takes no part', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const hidden = await cluster.start(2, { hidden: true })
  await settled(cluster, hidden.connect('10.0.0.1:4433'))
  const [one, two] = [await actor(cluster, a), await actor(cluster, hidden)]
  a.groups.join('g', one.pid)
  hidden.groups.join('g', two.pid)
  await agree(cluster, [a, b], 'g', [one.pid])
  await pass(cluster, 5000)
  assert.equal(keys(hidden.groups.members('g')), [two.pid.key])
  assert.equal(keys(a.groups.members('g')), [one.pid.key])
})

test('lists are kept until the group changes', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  const [one, two] = [await actor(cluster, a), await actor(cluster, a)]
  a.groups.join('g', one.pid)
  const list = a.groups.members('g')
  a.groups.join('other', two.pid)
  assert.is(a.groups.members('g'), list)
  a.groups.join('g', two.pid)
  assert.equal(list, [one.pid], 'who has it keeps it')
  assert.equal(a.groups.members('g'), [one.pid, two.pid])
})

test.run()

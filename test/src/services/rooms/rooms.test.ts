/** Rooms of sockets over simulated nodes: who is in them, what they get, and what becomes of those that do not read. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import type { Lagged, RoomEvent, RoomSocket, SkeinNode } from '../../../../src/index.ts'
import type { SimulatedCluster } from '../../../../src/testing/index.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { ending, failureOf, meshed, ofType, pass, settled, startCluster, until, watch } from '../../node-support.ts'

const test = suite('rooms')

class Socket implements RoomSocket {
  readyState = 1
  bufferedAmount = 0
  readonly got: (string | Uint8Array)[] = []
  terminated = false
  isBroken = false
  readonly #listeners: (() => void)[] = []

  send(data: string | Uint8Array): void {
    if (this.isBroken) throw new Error('broken')
    this.got.push(data)
  }

  close(): void {
    this.readyState = 3
    for (const listener of this.#listeners) listener()
  }

  terminate(): void {
    this.terminated = true
    this.close()
  }

  addEventListener(_type: 'close', listener: () => void): void {
    this.#listeners.push(listener)
  }

  get listeners(): number {
    return this.#listeners.length
  }
}

const mesh = async (t: TestContext, count: number): Promise<[SimulatedCluster, ...SkeinNode[]]> => {
  const cluster = await startCluster(t, count)
  await meshed(cluster)
  return [cluster, ...cluster.nodes]
}

const follow = (node: SkeinNode, room?: string): (RoomEvent | Lagged)[] => {
  const seen: (RoomEvent | Lagged)[] = []
  const read = async (): Promise<void> => {
    for await (const event of node.rooms().watch(room)) seen.push(event)
  }
  void read()
  return seen
}

const enter = async (cluster: SimulatedCluster, node: SkeinNode, room: string, as: string): Promise<Socket> => {
  const socket = new Socket()
  await settled(cluster, node.rooms().join(room, socket, { as }))
  return socket
}

const counted = (cluster: SimulatedCluster, nodes: readonly SkeinNode[], room: string, count: number): Promise<void> =>
  until(cluster, `${count} in ${room}`, () => nodes.every((node) => node.rooms().count(room) === count))

/** Every node with sockets in the room can be published to from here. */
const routed = (cluster: SimulatedCluster, node: SkeinNode, room: string, count: number): Promise<void> =>
  until(cluster, 'the groups', () => node.groups.scope('skein.rooms').members(room).length === count)

test('what is broadcast on one node is written to the sockets on all, in order', async (t) => {
  const [cluster, a, b, c] = await mesh(t, 3)
  assert.ok(a && b && c)
  const [anna, bert, carl] = [
    await enter(cluster, a, 'lobby', 'anna'),
    await enter(cluster, b, 'lobby', 'bert'),
    await enter(cluster, b, 'elsewhere', 'carl'),
  ]
  await counted(cluster, [a, b, c], 'lobby', 2)
  for (let i = 0; i < 50; i++) assert.ok(c.rooms().broadcast('lobby', `${i}`))
  c.rooms().broadcast('lobby', Uint8Array.of(1, 2))
  await until(cluster, 'all', () => anna.got.length === 51 && bert.got.length === 51)
  for (const { got } of [anna, bert]) {
    assert.equal(
      got.slice(0, 50),
      Array.from({ length: 50 }, (_, i) => `${i}`),
    )
    assert.equal(Uint8Array.from(got[50] as Uint8Array), Uint8Array.of(1, 2))
  }
  a.rooms().broadcast('lobby', 'not to me', { except: anna })
  await until(cluster, 'the other', () => bert.got.length === 52)
  await settled(cluster, a.rooms().drained('lobby'))
  assert.equal([anna.got.length, carl.got], [51, []])
  assert.throws(() => a.rooms().broadcast('lobby', 5 as never), /string or a Uint8Array/)
})

test('who is there, everywhere; leaving, closing, and the end of a node', async (t) => {
  const [cluster, a, b, c] = await mesh(t, 3)
  assert.ok(a && b && c)
  const seen = follow(c, 'lobby')
  const [anna, bert, berta] = [
    await enter(cluster, a, 'lobby', 'anna'),
    await enter(cluster, b, 'lobby', 'bert'),
    await enter(cluster, b, 'lobby', 'berta'),
  ]
  await settled(cluster, b.rooms().join('other', bert, { as: 'bert' }))
  await counted(cluster, [a, b, c], 'lobby', 3)
  const names = c
    .rooms()
    .members('lobby')
    .map(({ name, node }) => `${name} on ${node}`)
  assert.equal(names.sort(), [`anna on ${a.name}`, `bert on ${b.name}`, `berta on ${b.name}`])
  assert.is(
    new Set(
      c
        .rooms()
        .members('lobby')
        .map(({ id }) => id),
    ).size,
    3,
  )
  bert.close()
  await counted(cluster, [a, b, c], 'lobby', 2)
  await counted(cluster, [a, b, c], 'other', 0)
  assert.equal(c.rooms().rooms(), ['lobby'])
  assert.ok(b.rooms().leave('lobby', berta))
  assert.not(b.rooms().leave('lobby', berta))
  await counted(cluster, [a, b, c], 'lobby', 1)
  assert.equal(b.groups.scope('skein.rooms').localMembers('lobby'), [], 'its process went with the last socket')
  assert.is(anna.readyState, 1)
  cluster.crash(0)
  await counted(cluster, [b, c], 'lobby', 0)
  const told = seen.map((event) =>
    event.type === 'join' || event.type === 'leave' ? `${event.type} ${event.member.name}` : '',
  )
  assert.equal([...told].sort(), ['join anna', 'join bert', 'join berta', 'leave anna', 'leave bert', 'leave berta'])
})

test('entering twice is one seat, and coming back adds no listener', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  const socket = await enter(cluster, a, 'lobby', 'anna')
  const again = await settled(cluster, a.rooms().join('lobby', socket, { as: 'anna' }))
  assert.equal(again, a.rooms().members('lobby')[0])
  for (let i = 0; i < 10; i++) {
    a.rooms().leaveAll(socket)
    await settled(cluster, a.rooms().join('lobby', socket, { as: 'anna' }))
  }
  assert.equal([a.rooms().count('lobby'), socket.listeners], [1, 1])
})

test('authorize decides, whatever it does', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  const rooms = a.rooms({
    authorize: async ({ as, room }) => {
      if (as === 'thrower') throw new Error('no')
      return as === 'anna' && room === 'lobby'
    },
  })
  await settled(cluster, rooms.join('lobby', new Socket(), { as: 'anna' }))
  for (const [room, as] of [
    ['lobby', 'bert'],
    ['lobby', 'thrower'],
    ['cellar', 'anna'],
  ] as const) {
    assert.is((await failureOf(cluster, rooms.join(room, new Socket(), { as }))).code, 'ERR_SKEIN_ROOM_REFUSED')
  }
  const closing = new Socket()
  const outcome = ending(rooms.join('lobby', closing, { as: 'anna' }))
  closing.close()
  await until(cluster, 'the refusal', () => outcome.code === 'ERR_SKEIN_ROOM_REFUSED')
  assert.is(rooms.count('lobby'), 1)
  assert.throws(
    () => a.rooms({}),
    (error: unknown) => isSkeinError(error, 'ERR_SKEIN_BAD_OPTION'),
  )
  for (const [room, as] of [
    ['', 'anna'],
    ['lobby', ''],
  ] as const) {
    assert.is((await failureOf(cluster, rooms.join(room, new Socket(), { as }))).code, 'ERR_SKEIN_BAD_NAME')
  }
})

test('a slow socket is dropped, with an event, and the others go on', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  a.rooms({ maxBufferedBytes: 1000 })
  const seen = follow(a)
  const [slow, quick] = [await enter(cluster, a, 'lobby', 'slow'), await enter(cluster, a, 'lobby', 'quick')]
  await routed(cluster, b, 'lobby', 1)
  slow.bufferedAmount = 1001
  b.rooms().broadcast('lobby', 'one')
  b.rooms().broadcast('lobby', 'two')
  await until(cluster, 'both', () => quick.got.length === 2)
  assert.equal([slow.got, slow.terminated], [[], true])
  const event = seen.find(({ type }) => type === 'slow')
  assert.ok(event?.type === 'slow' && event.action === 'drop' && event.bufferedBytes === 1001)
  assert.is(event.member.name, 'slow')
  await counted(cluster, [a, b], 'lobby', 1)
})

test('or it misses what comes while it is behind', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  a.rooms({ maxBufferedBytes: 1000, whenSlow: 'skip' })
  const seen = follow(a)
  const slow = await enter(cluster, a, 'lobby', 'slow')
  const say = async (text: string): Promise<void> => {
    a.rooms().broadcast('lobby', text)
    await pass(cluster, 10)
  }
  await say('one')
  slow.bufferedAmount = 2000
  await say('two')
  await say('three')
  slow.bufferedAmount = 0
  await say('four')
  assert.equal(slow.got, ['one', 'four'])
  assert.is(seen.filter(({ type }) => type === 'slow').length, 1)
  assert.is(slow.readyState, 1)
})

test('a socket that throws is out, and nobody else notices', async (t) => {
  const [cluster, a] = await mesh(t, 2)
  assert.ok(a)
  const [broken, whole] = [await enter(cluster, a, 'lobby', 'broken'), await enter(cluster, a, 'lobby', 'whole')]
  broken.isBroken = true
  a.rooms().broadcast('lobby', 'hi')
  await until(cluster, 'the other', () => whole.got.length === 1)
  assert.is(a.rooms().count('lobby'), 1)
})

test('what is no broadcast does not reach a room from another node, and nobody there can end it', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  const socket = await enter(cluster, a, 'lobby', 'anna')
  await routed(cluster, b, 'lobby', 1)
  const events = watch(a)
  const [room] = b.groups.scope('skein.rooms').members('lobby')
  assert.ok(room)
  for (const message of [{ type: 'broadcast', data: 5 }, 'x', undefined, { type: 'DOWN' }])
    b.send(room, message as never)
  b.cast(room, { type: 'broadcast', data: 'cast' } as never)
  b.exit(room, 'kill')
  b.rooms().broadcast('lobby', 'still here')
  await until(cluster, 'the broadcast', () => socket.got.length === 1)
  await until(cluster, 'the letters', () => ofType(events, 'deadLetter').length === 6)
  const reasons = ofType(events, 'deadLetter').map(({ reason }) => reason)
  assert.is(reasons.filter((reason) => reason === 'ERR_SKEIN_BAD_REQUEST').length, 5)
})

test('a restarted node and a healed partition: all see the same again', async (t) => {
  const [cluster, a, b] = await mesh(t, 2)
  assert.ok(a && b)
  await enter(cluster, a, 'lobby', 'anna')
  await enter(cluster, b, 'lobby', 'bert')
  await counted(cluster, [a, b], 'lobby', 2)
  cluster.network.partition(['10.0.0.1'], ['10.0.0.2'])
  await counted(cluster, [a, b], 'lobby', 1)
  cluster.network.heal()
  await counted(cluster, [a, b], 'lobby', 2)
  cluster.crash(1)
  await counted(cluster, [a], 'lobby', 1)
  const again = await cluster.start(1)
  await counted(cluster, [a, again], 'lobby', 1)
  const carl = await enter(cluster, again, 'lobby', 'carl')
  await counted(cluster, [a, again], 'lobby', 2)
  a.rooms().broadcast('lobby', 'welcome')
  await until(cluster, 'the word', () => carl.got.length === 1)
})

test('a broadcast from a socket alone in its room says false when the room has much to write, and never throws', async (t) => {
  const [cluster, a] = await mesh(t, 1)
  assert.ok(a)
  const anna = await enter(cluster, a, 'lobby', 'anna')
  const bert = await enter(cluster, a, 'lobby', 'bert')
  const events = watch(a)
  let isFree = true
  let count = 0
  for (; isFree && count < 200_000; count++) isFree = a.rooms().broadcast('lobby', 'x', { except: anna })
  assert.not(isFree)
  for (; count < 1_200_000; count++) a.rooms().broadcast('lobby', 'x', { except: anna })
  await settled(cluster, a.rooms().drained('lobby'))
  assert.ok(bert.got.length > 0)
  assert.is(anna.got.length, 0)
  assert.ok(ofType(events, 'deadLetter').some(({ reason }) => reason === 'ERR_SKEIN_QUEUE_FULL'))
})

test('without authorize any number may enter at once', async (t) => {
  const [cluster, a] = await mesh(t, 1)
  assert.ok(a)
  const joins = Array.from({ length: 10_100 }, (_, i) => a.rooms().join('lobby', new Socket(), { as: `${i}` }))
  await settled(cluster, Promise.all(joins))
  assert.is(a.rooms().count('lobby'), 10_100)
})

test('a slow socket that takes no code of ours is closed all the same', async (t) => {
  const [cluster, a] = await mesh(t, 1)
  assert.ok(a)
  const closed: unknown[] = []
  const socket: RoomSocket = {
    readyState: 1,
    bufferedAmount: 0,
    send() {},
    close(code) {
      closed.push(code)
      if (code !== undefined) throw new Error('InvalidAccessError')
    },
    addEventListener() {},
  }
  await settled(cluster, a.rooms().join('lobby', socket, { as: 'anna' }))
  Object.assign(socket, { bufferedAmount: 2 << 20 })
  a.rooms().broadcast('lobby', 'x')
  await until(cluster, 'it is gone', () => a.rooms().count('lobby') === 0)
  assert.equal(closed, [1013, undefined])
})

test('a room that could not be opened leaves nothing behind', async (t) => {
  const [cluster, a] = await mesh(t, 1)
  assert.ok(a)
  const waiter = a.spawn(async (self) => {
    for await (const _ of self);
  })
  const count = async (): Promise<number> => (await settled(cluster, a.observer.local())).processes.count
  const before = await count()
  // Places of all processes of a node in groups: 262 144.
  for (let i = 0; i < 262_144; i++) a.groups.join(`g${i}`, waiter)
  const error = await failureOf(cluster, a.rooms().join('lobby', new Socket(), { as: 'anna' }))
  assert.is(error.code, 'ERR_SKEIN_LIMIT')
  await pass(cluster, 10)
  assert.equal([await count(), a.rooms().count('lobby')], [before, 0])
})

test.run()

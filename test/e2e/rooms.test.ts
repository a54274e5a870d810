/** Rooms over real WebSockets and real QUIC: nodes with a server of the package `ws` each, also in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { WebSocket, WebSocketServer } from 'ws'
import {
  type RoomEvent,
  type Rooms,
  type RoomsOptions,
  type SkeinNode,
  serveRooms,
  startNode,
} from '../../src/index.ts'
import { COOKIE } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('rooms over WebSockets')

interface Place {
  readonly node: SkeinNode
  readonly rooms: Rooms
  readonly url: string
}

/** ws://host/ROOM/NAME enters a room. */
const place = async (t: TestContext, name: string, options?: RoomsOptions): Promise<Place> => {
  const node = await startNode({
    name,
    cookie: COOKIE,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    logLevel: 'silent',
  })
  t.defer(() => node.stop())
  const rooms = node.rooms(options)
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.defer(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  serveRooms(server, rooms, {
    enter: ({ url = '' }) => {
      const [, room, as] = url.split('/')
      return room && as ? { room, as } : undefined
    },
  })
  await once(server, 'listening')
  return { node, rooms, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const two = async (t: TestContext, options?: RoomsOptions): Promise<readonly [Place, Place]> => {
  const [a, b] = [await place(t, 'a', options), await place(t, 'b', options)]
  await a.node.connect(`127.0.0.1:${b.node.addresses[0]?.port}`)
  return [a, b]
}

/** Resolves when so many are in the room, as seen from there. */
const counted = async ({ rooms }: Place, room: string, count: number): Promise<void> => {
  const events = rooms.watch(room)[Symbol.asyncIterator]()
  while (rooms.count(room) !== count) await events.next()
  await events.return?.()
}

const connect = (t: TestContext, url: string): WebSocket => {
  const socket = new WebSocket(url)
  t.defer(() => socket.terminate())
  return socket
}

const heard = async (socket: WebSocket): Promise<string | Buffer> => {
  const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean]
  return isBinary ? data : data.toString()
}

test('a browser on one node gets what one on the other says, text and bytes, and leaves when it closes', async (t) => {
  const [a, b] = await two(t)
  const [anna, bert] = [connect(t, `${a.url}/lobby/anna`), connect(t, `${b.url}/lobby/bert`)]
  await Promise.all([counted(a, 'lobby', 2), counted(b, 'lobby', 2)])
  let hears = heard(bert)
  anna.send('hello')
  assert.is(await hears, 'hello')
  hears = heard(anna)
  bert.send(Buffer.of(1, 2, 3))
  assert.equal(await hears, Buffer.of(1, 2, 3))
  assert.equal(
    a.rooms
      .members('lobby')
      .map(({ name, node }) => `${name} ${node}`)
      .sort(),
    [`anna ${a.node.name}`, `bert ${b.node.name}`],
  )
  bert.close()
  await counted(a, 'lobby', 1)
})

test('who is not let in is closed with 1008', async (t) => {
  const [a] = await two(t, { authorize: ({ as }) => as !== 'mallory' })
  const mallory = connect(t, `${a.url}/lobby/mallory`)
  assert.is((await once(mallory, 'close'))[0], 1008)
  const nowhere = connect(t, a.url)
  assert.is((await once(nowhere, 'close'))[0], 1008)
})

test(
  'a socket that does not read is dropped, with an event, while the others get everything',
  async (t) => {
    const [a, b] = await two(t, { maxBufferedBytes: 1 << 20 })
    const [slow, quick] = [connect(t, `${b.url}/lobby/slow`), connect(t, `${b.url}/lobby/quick`)]
    await Promise.all([counted(a, 'lobby', 2), counted(b, 'lobby', 2)])
    slow.pause()
    let got = 0
    quick.on('message', () => {
      got++
    })
    const dropped = (async (): Promise<RoomEvent | undefined> => {
      for await (const event of b.rooms.watch('lobby')) if (event.type === 'slow') return event
      return undefined
    })()
    let isDropped = false
    void dropped.then(() => {
      isDropped = true
    })
    const chunk = Buffer.alloc(256 << 10)
    let sent = 0
    while (!isDropped) {
      sent++
      if (!a.rooms.broadcast('lobby', chunk)) await a.rooms.drained('lobby')
      while (got < sent) await once(quick, 'message')
    }
    const event = await dropped
    assert.ok(event?.type === 'slow' && event.action === 'drop' && event.member.name === 'slow')
    assert.ok(event.bufferedBytes > 1 << 20 && event.bufferedBytes < 8 << 20, `${event.bufferedBytes} bytes`)
    await counted(a, 'lobby', 1)
    assert.is(quick.readyState, WebSocket.OPEN)
  },
  { deadlineMs: 60_000 },
)

interface RoomProcess {
  readonly child: ChildProcess
  readonly address: string
  readonly url: string
}

const roomProcess = async (t: TestContext, name: string, ...seeds: string[]): Promise<RoomProcess> => {
  const file = fileURLToPath(new URL('fixtures/room-node.ts', import.meta.url))
  const child = fork(file, [name, COOKIE, ...seeds], { execArgv: ['--import', 'tsx'] })
  t.defer(() => child.kill('SIGKILL'))
  const [ready] = (await once(child, 'message')) as [{ readonly address: string; readonly url: string }]
  return { child, ...ready }
}

/** Resolves when that process sees just these in the lobby. */
const sees = async ({ child }: RoomProcess, names: readonly string[]): Promise<void> => {
  for (const endMs = performance.now() + 40_000; ; await pause(20)) {
    const answered = once(child, 'message') as Promise<[string[]]>
    child.send('lobby')
    const [seen] = await answered
    if ([...seen].sort().join() === names.join()) return
    if (performance.now() > endMs) assert.equal([...seen].sort(), names)
  }
}

test(
  'three processes: who is on a node that is killed is gone for the others, who talk on',
  async (t) => {
    const a = await roomProcess(t, 'a')
    const [b, c] = await Promise.all([roomProcess(t, 'b', a.address), roomProcess(t, 'c', a.address)])
    const anna = connect(t, `${a.url}/lobby/anna`)
    const bert = connect(t, `${b.url}/lobby/bert`)
    const carl = connect(t, `${c.url}/lobby/carl`)
    for (const each of [a, b, c]) await sees(each, ['anna', 'bert', 'carl'])
    let all = Promise.all([heard(bert), heard(carl)])
    anna.send('hello')
    assert.equal(await all, ['hello', 'hello'])
    const closed = once(carl, 'close')
    c.child.kill('SIGKILL')
    await closed
    for (const each of [a, b]) await sees(each, ['anna', 'bert'])
    const again = connect(t, `${b.url}/lobby/carl`)
    for (const each of [a, b]) await sees(each, ['anna', 'bert', 'carl'])
    all = Promise.all([heard(bert), heard(again)])
    anna.send('still here')
    assert.equal(await all, ['still here', 'still here'])
  },
  { deadlineMs: 120_000 },
)

test.run()

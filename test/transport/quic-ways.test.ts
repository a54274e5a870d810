/**
 * Connections that change their way: NATs that forget at either end, relays, and the move from a relay to the direct way,
 * under a stream of numbered frames in both directions.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import * as assert from 'uvu/assert'
import type { Address } from '../../transport/address.ts'
import { systemClock } from '../../transport/clock.ts'
import { PathSize } from '../../transport/path-size.ts'
import { challenge } from '../../transport/quic-datagrams.ts'
import { type PathHost, QuicPath } from '../../transport/quic-path.ts'
import type { QuicTransport } from '../../transport/quic-transport.ts'
import type { QuicSession } from '../../transport/quiche.ts'
import { systemRandom } from '../../transport/random.ts'
import type { CloseReason, Connection, ConnectionHandler, ConnectOptions } from '../../transport/transport.ts'
import type { Way } from '../../transport/way.ts'
import { NONCE_BYTES } from '../../transport/way-keeper.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf } from './compliance.ts'
import { count, newIdentity, openPort, Relay, Stranger, until } from './quic-support.ts'

const test = suite('QUIC port: ways')

const FRAME_BYTES = 50
const FRAMES_PER_BATCH = 25
const BATCH_MS = 5

/** One end that sends numbered frames as long as it is told to, and checks those of the peer. */
class End implements ConnectionHandler {
  connection!: Connection
  isOpen = false
  moves = 0
  sentFrames = 0
  receivedFrames = 0
  readonly faults: string[] = []
  readonly closes: CloseReason[] = []
  readonly messages: Uint8Array[] = []
  onMessage: (bytes: Uint8Array) => void = (bytes) => this.messages.push(bytes)
  #stream = -1
  #waiting = Buffer.alloc(0)
  #rest = Buffer.alloc(0)
  #timer: NodeJS.Timeout | undefined
  readonly #target = Buffer.alloc(64 * 1024)

  /** About five thousand frames a second. */
  begin(): void {
    this.#timer = setInterval(() => {
      // What the path does not take waits: no more is made then.
      if (this.#waiting.length > 64 * FRAME_BYTES * FRAMES_PER_BATCH) return
      const batch = Buffer.alloc(FRAMES_PER_BATCH * FRAME_BYTES, 0xab)
      for (let i = 0; i < FRAMES_PER_BATCH; i++) batch.writeUInt32BE(this.sentFrames++, i * FRAME_BYTES)
      this.#waiting = Buffer.concat([this.#waiting, batch])
      this.connection.requestFlush()
    }, BATCH_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  onOpen(): void {
    this.isOpen = true
  }

  onFlush(): void {
    if (this.#waiting.length === 0) return
    if (this.#stream < 0) this.#stream = this.connection.openStream(true)
    this.#waiting = this.#waiting.subarray(this.connection.write(this.#stream, this.#waiting, false))
  }

  onReadable(stream: number): void {
    for (;;) {
      const { bytes } = this.connection.read(stream, this.#target)
      if (bytes === 0) return
      let data = Buffer.concat([this.#rest, this.#target.subarray(0, bytes)])
      for (; data.length >= FRAME_BYTES; data = data.subarray(FRAME_BYTES)) {
        const number = data.readUInt32BE()
        if (number !== this.receivedFrames) this.faults.push(`${number} instead of ${this.receivedFrames}`)
        this.receivedFrames = number + 1
      }
      this.#rest = Buffer.from(data)
    }
  }

  onDatagram(bytes: Uint8Array): void {
    this.onMessage(bytes)
  }

  onMoved(): void {
    this.moves++
  }

  onClosed(reason: CloseReason): void {
    this.closes.push(reason)
  }
}

const dial = (t: TestContext, port: QuicTransport, to: Address, options: ConnectOptions = {}): End => {
  const end = new End()
  t.defer(() => end.stop())
  end.connection = port.connect(to, end, options)
  return end
}

const serve = (t: TestContext, port: QuicTransport): End[] => {
  const ends: End[] = []
  port.listen((connection) => {
    const end = new End()
    t.defer(() => end.stop())
    end.connection = connection
    ends.push(end)
    return end
  })
  return ends
}

/** Everything that was sent arrived, in order, and nobody closed. */
const settle = async (ends: readonly [End, End], patienceMs?: number): Promise<void> => {
  const [a, b] = ends
  for (const end of ends) end.stop()
  const isThrough = (): boolean => a.receivedFrames === b.sentFrames && b.receivedFrames === a.sentFrames
  await until(isThrough, 'all frames arrive', patienceMs).catch((error: Error) => {
    throw new Error(`${error.message}: ${a.receivedFrames} of ${b.sentFrames}, ${b.receivedFrames} of ${a.sentFrames}`)
  })
  for (const end of ends) {
    assert.equal(end.closes, [])
    assert.equal(end.faults, [])
  }
}

const goOn = async (ends: readonly [End, End], frames: number, patienceMs?: number): Promise<void> => {
  const [a, b] = ends
  const wanted = [a.receivedFrames + frames, b.receivedFrames + frames] as const
  await until(() => a.receivedFrames >= wanted[0] && b.receivedFrames >= wanted[1], `${frames} more frames`, patienceMs)
}

const bind = async (): Promise<Socket> => {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.setRecvBufferSize(4 << 20)
  return socket
}

/** What lies between a dialler and an acceptor: either may come to look as if it were elsewhere. */
class Between {
  readonly #dialler: Address
  readonly #acceptor: Address
  #front!: Socket
  #back!: Socket
  #isCut = false
  /** The last one from the acceptor that was cut off. */
  #lost = Buffer.alloc(0)
  readonly sockets: Socket[] = []
  /** Of the dialler's, towards the acceptor. */
  readonly captured: Buffer[] = []
  /** Takes a datagram of the dialler's away: true if it does. */
  divert: (bytes: Buffer) => boolean = () => false

  private constructor(dialler: Address, acceptor: Address) {
    this.#dialler = dialler
    this.#acceptor = acceptor
  }

  static async open(t: TestContext, dialler: Address, acceptor: Address): Promise<Between> {
    const between = new Between(dialler, acceptor)
    t.defer(async () => {
      for (const socket of between.sockets) await new Promise<void>((resolve) => socket.close(() => resolve()))
    })
    await between.moveAcceptor()
    await between.moveDialler()
    return between
  }

  /** Where the dialler sees the acceptor. */
  get address(): Address {
    return { host: '127.0.0.1', port: this.#front.address().port }
  }

  set isCut(isCut: boolean) {
    this.#isCut = isCut
  }

  /** The dialler sees the acceptor at another port from now on; what goes to the old one is lost, at once or after a while. */
  async moveAcceptor(lostAfterMs = 0): Promise<void> {
    const front = await bind()
    this.sockets.push(front)
    front.on('message', (bytes) => {
      if (this.#isCut || this.divert(bytes)) return
      if (this.captured.push(bytes) > 1000) this.captured.shift()
      this.#back.send(bytes, this.#acceptor.port, this.#acceptor.host)
    })
    const old = this.#front as Socket | undefined
    this.#front = front
    setTimeout(() => old?.removeAllListeners('message'), lostAfterMs)
  }

  /** While cut: what the acceptor has sent so far is lost for certain. */
  async drained(t: TestContext): Promise<void> {
    const mark = Buffer.from('the last of all')
    const stranger = await Stranger.open(t)
    await stranger.send(mark, { host: '127.0.0.1', port: this.#back.address().port })
    await until(() => this.#lost.equals(mark), 'nothing is on the way any more')
  }

  /** To the acceptor, late. */
  deliver(bytes: Uint8Array): Promise<void> {
    const { port, host } = this.#acceptor
    return new Promise((resolve, reject) =>
      this.#back.send(bytes, port, host, (error) => (error === null ? resolve() : reject(error))),
    )
  }

  async moveDialler(lostAfterMs = 0): Promise<void> {
    const back = await bind()
    this.sockets.push(back)
    back.on('message', (bytes) => {
      if (this.#isCut) this.#lost = bytes
      else this.#front.send(bytes, this.#dialler.port, this.#dialler.host)
    })
    const old = this.#back as Socket | undefined
    this.#back = back
    setTimeout(() => old?.removeAllListeners('message'), lostAfterMs)
  }
}

interface Pair {
  readonly a: QuicTransport
  readonly b: QuicTransport
  readonly between: Between
  readonly ends: readonly [End, End]
}

const openPair = async (t: TestContext): Promise<Pair> => {
  const [a, b] = [await openPort(t), await openPort(t)]
  const between = await Between.open(t, addressOf(a), addressOf(b))
  const accepted = serve(t, b)
  const dialled = dial(t, a, between.address)
  await until(() => dialled.isOpen && accepted[0]?.isOpen === true, 'the connection opens')
  return { a, b, between, ends: [dialled, accepted[0] as End] }
}

for (const who of ['dialler', 'acceptor', 'both'] as const) {
  test(
    `numbered frames survive when ${who === 'both' ? 'both ends are' : `the ${who} is`} moved again and again`,
    async (t) => {
      const { between, ends } = await openPair(t)
      // Two that move at once find each other only when the old places have been silent for a second.
      const rounds = who === 'both' ? 6 : 20
      for (const end of ends) end.begin()
      for (let round = 0; round < rounds; round++) {
        await goOn(ends, 200)
        const [a, b] = ends
        const moves = [a.moves, b.moves] as const
        if (who === 'both') {
          // What goes to the old places still arrives for a moment: otherwise neither could tell the other.
          await Promise.all([between.moveDialler(300), between.moveAcceptor(300)])
          await until(() => a.moves > moves[0] && b.moves > moves[1], 'both follow')
        } else if (who === 'dialler') {
          await between.moveDialler()
          await until(() => b.moves > moves[1], 'the acceptor follows')
        } else {
          await between.moveAcceptor()
          await until(() => a.moves > moves[0], 'the dialler follows')
        }
      }
      await settle(ends)
      assert.ok(Math.max(ends[0].moves, ends[1].moves) >= rounds)
    },
    { deadlineMs: 60_000 },
  )
}

test(
  'two hundred moves cost neither the connection nor a frame, and its ids do not run out',
  async (t) => {
    const { a, b, between, ends } = await openPair(t)
    for (const end of ends) end.begin()
    for (let round = 0; round < 200; round++) {
      await goOn(ends, 50)
      const [, acceptor] = ends
      const { moves } = acceptor
      await between.moveDialler()
      await until(() => acceptor.moves > moves, `move ${round}`)
    }
    await goOn(ends, 5000)
    await settle(ends)
    assert.ok(ends[1].moves >= 200)
    for (const port of [a, b]) assert.ok(count(port, 'connectionIds') <= 72, `${count(port, 'connectionIds')} ids`)
  },
  { deadlineMs: 120_000 },
)

// ---- relays

interface Relayed {
  readonly a: QuicTransport
  readonly b: QuicTransport
  readonly wayToB: Way
  readonly wayToA: Way
  readonly accepted: End[]
  /** Datagrams that the relay took from one for the other. */
  readonly carried: Uint8Array[]
  cutRelay(): void
}

/** a and b are both connected to r, which passes on what they send each other. */
const openRelayed = async (t: TestContext): Promise<Relayed> => {
  const [a, b, r] = [await openPort(t), await openPort(t), await openPort(t)]
  const atR = serve(t, r)
  const [fromA, fromB] = [dial(t, a, addressOf(r)), dial(t, b, addressOf(r))]
  await until(() => fromA.isOpen && fromB.isOpen && atR.length === 2 && atR.every((end) => end.isOpen), 'r is there')
  // Which of them is which shows where its packets come from.
  const isA = (end: End): boolean => end.connection.remote.port === addressOf(a).port
  const [rA, rB] = [atR.find(isA), atR.find((end) => !isA(end))]
  const carried: Uint8Array[] = []
  let isCut = false
  const relayWay = (end: End): Way => ({
    kind: 'relay',
    key: `relay ${addressOf(r).port}`,
    address: addressOf(r),
    maxBytes: 1240,
    send: (bytes, length) => void end.connection.sendDatagram(bytes.subarray(0, length)),
  })
  const [wayToB, wayToA] = [relayWay(fromA), relayWay(fromB)]
  const pass = (to: End | undefined) => (bytes: Uint8Array) => {
    if (isCut) return
    if (carried.length < 1000) carried.push(Uint8Array.from(bytes))
    to?.connection.sendDatagram(bytes)
  }
  ;(rA as End).onMessage = pass(rB)
  ;(rB as End).onMessage = pass(rA)
  fromA.onMessage = (bytes) => a.ways.receive(wayToB, bytes)
  fromB.onMessage = (bytes) => b.ways.receive(wayToA, bytes)
  return {
    a,
    b,
    wayToB,
    wayToA,
    accepted: serve(t, b),
    carried,
    cutRelay: () => {
      isCut = true
    },
  }
}

const openThroughRelay = async (t: TestContext): Promise<Relayed & { readonly ends: readonly [End, End] }> => {
  const relayed = await openRelayed(t)
  const dialled = dial(t, relayed.a, addressOf(relayed.b), { way: relayed.wayToB })
  await until(() => dialled.isOpen && relayed.accepted[0]?.isOpen === true, 'the relayed connection opens')
  return { ...relayed, ends: [dialled, relayed.accepted[0] as End] }
}

test(
  'a relayed connection carries frames, and the relay sees nothing of them',
  async (t) => {
    const { ends, carried, wayToA, wayToB } = await openThroughRelay(t)
    assert.is(ends[0].connection.way, wayToB)
    assert.is(ends[1].connection.way, wayToA)
    assert.equal(ends[0].connection.remote, wayToB.address)
    for (const end of ends) end.begin()
    await goOn(ends, 2000)
    await settle(ends)
    for (const end of ends) assert.is(end.connection.stats().pathSizeBytes, 1200, 'no size is tried on a relay')
    // Every frame is made of this byte.
    for (const bytes of carried) assert.not.ok(Buffer.from(bytes).includes(Buffer.alloc(8, 0xab)))
    assert.ok(carried.length > 10)
    for (const bytes of carried) assert.ok(bytes.length <= 1240)
  },
  { deadlineMs: 30_000 },
)

test(
  'from the relay to the direct way under load, nothing is lost or reordered, and larger packets are found',
  async (t) => {
    const { a, b, ends } = await openThroughRelay(t)
    for (const end of ends) end.begin()
    await goOn(ends, 1000)
    const direct = a.ways.direct(addressOf(b))
    assert.ok(direct !== undefined)
    ends[0].connection.offer(direct)
    await until(() => ends.every((end) => end.connection.way?.kind === 'port'), 'both are direct')
    assert.equal(ends[0].connection.remote, addressOf(b))
    assert.equal(ends[1].connection.remote, addressOf(a))
    await goOn(ends, 1000)
    await until(() => ends.every((end) => end.connection.stats().pathSizeBytes > 1350), 'larger packets')
    await settle(ends)
    for (const end of ends) assert.is(end.moves, 1)
  },
  { deadlineMs: 30_000 },
)

test(
  'when the direct way falls silent at both ends the relay takes over, and the direct one comes back when offered',
  async (t) => {
    const { a, b, ends } = await openThroughRelay(t)
    const between = await Between.open(t, addressOf(a), addressOf(b))
    for (const end of ends) end.begin()
    const direct = a.ways.direct(between.address) as Way
    ends[0].connection.offer(direct)
    await until(() => ends.every((end) => end.connection.way?.kind === 'port'), 'both are direct')
    await goOn(ends, 1000)
    between.isCut = true
    await until(() => ends.every((end) => end.connection.way?.kind === 'relay'), 'both are back at the relay', 5000)
    await goOn(ends, 1000)
    between.isCut = false
    ends[0].connection.offer(direct)
    await until(() => ends.every((end) => end.connection.way?.kind === 'port'), 'both are direct again')
    await goOn(ends, 1000)
    await settle(ends)
  },
  { deadlineMs: 40_000 },
)

test(
  'a way that is gone is left at once',
  async (t) => {
    const { a, b, wayToA, wayToB, ends, cutRelay } = await openThroughRelay(t)
    for (const end of ends) end.begin()
    await goOn(ends, 200)
    ends[0].connection.offer(a.ways.direct(addressOf(b)) as Way)
    await until(() => ends.every((end) => end.connection.way?.kind === 'port'), 'both are direct')
    cutRelay()
    a.ways.gone(wayToB)
    b.ways.gone(wayToA)
    await goOn(ends, 1000)
    for (const end of ends) assert.is(end.connection.way?.kind, 'port', 'it was not in use')
    await settle(ends)
  },
  { deadlineMs: 30_000 },
)

test('the present way gone: another known one is taken', async (t) => {
  const { a, b, ends } = await openThroughRelay(t)
  for (const end of ends) end.begin()
  const direct = a.ways.direct(addressOf(b)) as Way
  ends[0].connection.offer(direct)
  await until(() => ends.every((end) => end.connection.way?.kind === 'port'), 'both are direct')
  a.ways.gone(direct)
  await until(() => ends[0].connection.way?.kind === 'relay', 'a takes the relay')
  await goOn(ends, 500)
  await settle(ends)
})

test('a way that leads nowhere, or to somebody else, changes nothing', async (t) => {
  const { a, ends } = await openThroughRelay(t)
  const [nobody, other] = [await Stranger.open(t), await openPort(t)]
  for (const address of [nobody.address, addressOf(other)]) {
    ends[0].connection.offer(a.ways.direct(address) as Way)
  }
  await until(() => nobody.heard.length === 3 && count(other, 'unconnected') === 3, 'three tries each')
  for (const bytes of nobody.heard) assert.ok(bytes.length <= 96, `${bytes.length} bytes`)
  for (const end of ends) end.begin()
  await goOn(ends, 200)
  await settle(ends)
  assert.is(ends[0].connection.way?.kind, 'relay')
  assert.is(ends[0].moves, 0)
})

// ---- connection ids

const idOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(1, 17)).toString('hex')
const isShort = (bytes: Uint8Array): boolean => (bytes[0] as number) < 0x80

/** The dialler goes another way, and begins to name the acceptor by another id. */
const changeWay = async (t: TestContext, { a, b, between, ends }: Pair): Promise<Between> => {
  await until(() => between.captured.some(isShort), 'a packet')
  const before = idOf(between.captured.findLast(isShort) as Buffer)
  const other = await Between.open(t, addressOf(a), addressOf(b))
  const [end] = ends
  const present = end.connection.way as Way
  end.connection.offer(a.ways.direct(other.address) as Way)
  await until(() => other.captured.length > 0, 'it is tried')
  a.ways.gone(present)
  await until(() => end.connection.remote.port === other.address.port, 'the dialler moves')
  await until(() => other.captured.some((bytes) => isShort(bytes) && idOf(bytes) !== before), 'another id')
  return other
}

test(
  'a packet that was held up until its id was given back harms nobody',
  async (t) => {
    const pair = await openPair(t)
    const { b, between, ends } = pair
    for (const end of ends) end.begin()
    await goOn(ends, 100)
    const held: Buffer[] = []
    between.divert = (bytes) => isShort(bytes) && held.length < 5 && held.push(bytes) > 0
    await until(() => held.length === 5, 'some packets are held up')
    await changeWay(t, pair)
    await goOn(ends, 500)
    const late = count(b, 'late')
    for (const bytes of held) await between.deliver(bytes)
    await until(() => count(b, 'late') === late + 5, 'they come')
    assert.is(count(b, 'resets'), 0)
    await goOn(ends, 500)
    await settle(ends)
  },
  { deadlineMs: 30_000 },
)

test(
  'the first packet of a connection, sent again when its id was given back, opens no second one by that id',
  async (t) => {
    const pair = await openPair(t)
    const { b, between, ends } = pair
    const [first] = between.captured
    assert.ok(first !== undefined && !isShort(first))
    for (const end of ends) end.begin()
    await goOn(ends, 100)
    const old = between.captured.findLast(isShort) as Buffer
    await changeWay(t, pair)
    await goOn(ends, 500)
    await between.deliver(first)
    await until(() => count(b, 'late') === 1, 'it comes')
    assert.is(count(b, 'accepted'), 1)
    // Otherwise the second one would take the memory of its ids with it when it is given up.
    await between.deliver(old)
    await until(() => count(b, 'late') === 2, 'and another old one')
    assert.is(count(b, 'resets'), 0)
    await settle(ends)
  },
  { deadlineMs: 30_000 },
)

test(
  'whoever starts again knows its old connections, though the peer uses another id by now',
  async (t) => {
    const identity = await newIdentity()
    const [a, b] = [await openPort(t), await openPort(t, { identity })]
    const between = await Between.open(t, addressOf(a), addressOf(b))
    const accepted = serve(t, b)
    const dialled = dial(t, a, between.address)
    await until(() => dialled.isOpen && accepted[0]?.isOpen === true, 'the connection opens')
    const ends = [dialled, accepted[0] as End] as const
    for (const end of ends) end.begin()
    const way = await changeWay(t, { a, b, between, ends })
    ends[1].stop()
    way.isCut = true
    const { port } = addressOf(b)
    await b.close()
    await way.drained(t)
    await openPort(t, { identity, port })
    assert.equal(dialled.closes, [])
    way.isCut = false
    await until(() => dialled.closes.length > 0, 'the reset is understood', 5000)
    assert.is(dialled.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  },
  { deadlineMs: 30_000 },
)

// ---- messages

test('messages up to the limit arrive whole, those that need two packets as well', async (t) => {
  const { ends } = await openThroughRelay(t)
  const [a, b] = ends
  const sizes = [0, 1, 100, 1100, 1159, 1160, 1200, 1279, 1280]
  for (const size of sizes) assert.ok(a.connection.sendDatagram(Buffer.alloc(size, size & 0xff)))
  assert.not.ok(a.connection.sendDatagram(Buffer.alloc(1281)), 'too long')
  await until(() => b.messages.length === sizes.length, 'all of them')
  const heard = b.messages.map((bytes) => bytes.length).sort((one, other) => one - other)
  assert.equal(heard, sizes)
  for (const bytes of b.messages) assert.ok(bytes.every((byte) => byte === (bytes.length & 0xff)))
})

test('too many messages at once are refused, not hoarded', async (t) => {
  const { a, ends } = await openPair(t)
  let taken = 0
  while (taken < 5000 && ends[0].connection.sendDatagram(Buffer.alloc(1000))) taken++
  assert.ok(taken > 500 && taken <= 1024, `${taken}`)
  assert.is(count(a, 'droppedMessages'), 1)
  await until(() => ends[0].connection.sendDatagram(Buffer.alloc(1)), 'there is room again')
})

test('a packet of a size to be tried that the window has no room for does not hold up the messages behind it', async (t) => {
  const [a, b] = [await openPort(t), await openPort(t)]
  // The window is ten of the largest packets (16 383 bytes) at first: this leaves some of it, but no room for one of them.
  let bulk = Buffer.alloc(150_000)
  let accepted: End | undefined
  b.listen((connection) => {
    const end = new End()
    end.connection = connection
    end.onFlush = () => {
      if (bulk.length === 0) return
      bulk = bulk.subarray(connection.write(connection.openStream(true), bulk, true))
    }
    accepted = end
    return end
  })
  const dialled = dial(t, a, addressOf(b))
  let received = 0
  dialled.onReadable = (stream) => {
    const target = Buffer.alloc(64 * 1024)
    for (let bytes = -1; bytes !== 0; received += bytes) bytes = dialled.connection.read(stream, target).bytes
  }
  await until(() => received === 150_000, 'the window was used')
  assert.ok(accepted?.connection.sendDatagram(Buffer.alloc(1000)))
  await until(() => dialled.messages.length === 1, 'the message')
})

test('a way that is offered before it can be proven does not keep the timer busy', async (t) => {
  const [a, b] = [await openPort(t), await openPort(t)]
  const between = await Relay.open(t, addressOf(b))
  // Nothing from the acceptor once its part of the handshake is through.
  between.passes = (bytes, direction) => direction === 'toServer' || !isShort(bytes)
  serve(t, b)
  const dialled = dial(t, a, between.address)
  await until(() => dialled.isOpen, 'the connection opens')
  let flushes = 0
  dialled.onFlush = () => void flushes++
  dialled.connection.offer(a.ways.direct(addressOf(b)) as Way)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.ok(flushes < 30, `${flushes} flushes in 300 ms`)
})

// ---- strangers

test(
  'captured packets that come again from elsewhere move nothing and cause no packet',
  async (t) => {
    const { a, b, between, ends } = await openPair(t)
    for (const end of ends) end.begin()
    await goOn(ends, 500)
    const stranger = await Stranger.open(t)
    const before = count(b, 'received')
    for (const bytes of between.captured) await stranger.send(bytes, addressOf(b))
    const sent = between.captured.length
    await until(() => count(b, 'received') >= before + sent, 'all of it')
    await goOn(ends, 500)
    await settle(ends)
    assert.equal(
      stranger.heard.filter((bytes) => (bytes[0] as number) < 0x80),
      [],
    )
    for (const end of ends) assert.is(end.moves, 0)
    for (const port of [a, b]) assert.is(count(port, 'connections'), 1)
  },
  { deadlineMs: 30_000 },
)

test(
  'one who is quicker with our packets than we are is challenged a bounded number of times, and not followed',
  async (t) => {
    const { b, between, ends } = await openPair(t)
    for (const end of ends) end.begin()
    await goOn(ends, 500)
    // Packets that b has not seen yet come from the stranger's address, and no other way; answers do not get back.
    const stranger = await Stranger.open(t)
    let stolen = 0
    let stolenBytes = 0
    between.divert = (bytes) => {
      if (stolen >= 200 || Math.random() < 0.7) return false
      stolen++
      stolenBytes += bytes.length
      void stranger.send(bytes, addressOf(b))
      return true
    }
    await until(() => stolen >= 200, 'two hundred packets')
    await goOn(ends, 1000)
    await settle(ends)
    const heardBytes = stranger.heard.reduce((sum, bytes) => sum + bytes.length, 0)
    assert.ok(heardBytes < 3 * stolenBytes, `${heardBytes} for ${stolenBytes}`)
    assert.ok(stranger.heard.length < 40, `${stranger.heard.length} packets`)
    for (const bytes of stranger.heard) assert.ok(bytes.length <= 96)
    assert.is(ends[1].moves, 0)
  },
  { deadlineMs: 30_000 },
)

test('a datagram full of challenges, from an address that is not proven, is answered once', () => {
  const from = (name: string): Way => ({
    kind: 'port',
    key: name,
    address: { host: '192.0.2.1', port: 1 },
    maxBytes: 1500,
    send: () => {},
  })
  // What one datagram brings, and what quiche would send.
  const frames = Array.from({ length: 8 }, (_, i) => challenge(new Uint8Array(NONCE_BYTES).fill(i)))
  const brought: Uint8Array[] = []
  let receivedPackets = 0
  let toSend: Uint8Array | undefined
  const session = {
    receive: () => {
      brought.push(...frames)
      receivedPackets++
    },
    tally: () => ({ receivedPackets }),
    get datagramsWaiting() {
      return brought.length
    },
    receiveDatagram: () => brought.shift(),
    get datagramsToSend() {
      return toSend === undefined ? 0 : 1
    },
    sendDatagram: (frame: Uint8Array) => {
      toSend = frame
      return true
    },
    nextPacket: () => {
      const length = toSend?.length ?? 0
      toSend = undefined
      return length
    },
  }
  const sent: string[] = []
  const host: PathHost = {
    clock: systemClock,
    random: systemRandom,
    packetBuffer: (sizeBytes) => new Uint8Array(sizeBytes),
    transmit: (_length, by) => void sent.push(by.key),
    pathSize: () => new PathSize({ baseBytes: 1200, maximumBytes: 1200 }),
  }
  const path = new QuicPath(
    'acceptor',
    session as unknown as QuicSession,
    host,
    { message: () => {}, moved: () => {} },
    from('present'),
    { pathSize: new PathSize({ baseBytes: 1200, maximumBytes: 1200 }), largestBytes: 1200 },
  )
  path.confirm()
  path.receive(new Uint8Array(130), from('elsewhere'))
  path.sendProofs()
  assert.equal(sent, ['elsewhere', 'elsewhere'], 'an answer, and a challenge')
  path.receive(new Uint8Array(130), from('present'))
  path.read()
  path.sendProofs()
  assert.is(sent.filter((key) => key === 'present').length, 8)
})

test.run()

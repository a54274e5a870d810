/**
 * Connections that change their way: NATs that forget at either end, relays, and the move from a relay to the direct way,
 * under a stream of numbered frames in both directions.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import * as assert from 'uvu/assert'
import type { Address } from '../../transport/address.ts'
import type { QuicTransport } from '../../transport/quic-transport.ts'
import type { CloseReason, Connection, ConnectionHandler, ConnectOptions } from '../../transport/transport.ts'
import type { Way } from '../../transport/way.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf } from './compliance.ts'
import { count, newIdentity, openPort, Stranger, until } from './quic-support.ts'

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
      for (const end of ends) end.begin()
      for (let round = 0; round < 20; round++) {
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
      console.log('WHO', who, performance.now())
      await settle(ends)
      assert.ok(Math.max(ends[0].moves, ends[1].moves) >= 20)
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
      const t0=performance.now(); await until(() => acceptor.moves > moves, `move ${round}`); if (round%20===0) console.log('MOVE', round, performance.now()-t0)
    }
    await goOn(ends, 5000)
    await settle(ends)
    assert.ok(ends[1].moves >= 200)
    for (const port of [a, b]) assert.ok(count(port, 'connectionIds') <= 72, `${count(port, 'connectionIds')} ids`)
  },
  { deadlineMs: 120_000 },
)


test.run()

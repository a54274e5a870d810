/** What the tests of the TCP carrier share: ports opened for one test, pairs for the suites, and bare sockets for strangers. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createIdentity, type Identity } from '../../certs/identity.ts'
import type { Address } from '../../transport/address.ts'
import { type Clock, systemClock } from '../../transport/clock.ts'
import { STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { systemRandom } from '../../transport/random.ts'
import { FRAME, FrameReader } from '../../transport/tcp-frames.ts'
import { TcpGate } from '../../transport/tcp-gate.ts'
import { bindingOf, TcpTls } from '../../transport/tcp-tls.ts'
import { openTcpTransport, type TcpTransport, type TcpTransportOptions } from '../../transport/tcp-transport.ts'
import type { TestContext } from '../support/suite.ts'
import type { LaneHarness } from './lanes-harness.ts'

const PATIENCE_MS = 9000
/** Lanes fall idle after seconds; for these tests, and for the pauses in them, time runs faster. */
const HASTE = 40

const hastyClock: Clock = {
  ...systemClock,
  after: (ms, fn, background) => systemClock.after(ms / HASTE, fn, background),
}

/** Waits for what no event announces. */
export const until = async (condition: () => boolean, what = 'a condition'): Promise<void> => {
  const start = performance.now()
  while (!condition()) {
    if (performance.now() - start > PATIENCE_MS) throw new Error(`waited ${PATIENCE_MS} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** The gate key of all ports that do not ask for another. */
export const GATE_KEY = Buffer.alloc(32, 'members of the test')

export const newIdentity = (): Promise<Identity> => createIdentity({ wallNowMs: Date.now() })

/** A port on 127.0.0.1, closed after the test. */
export const openTcpPort = async (
  t: TestContext,
  options: Partial<TcpTransportOptions> = {},
): Promise<TcpTransport> => {
  const transport = await openTcpTransport({
    host: '127.0.0.1',
    port: 0,
    identity: options.identity ?? (await newIdentity()),
    gateKeys: [GATE_KEY],
    clock: systemClock,
    random: systemRandom,
    ...options,
  })
  t.defer(() => transport.close())
  return transport
}

/** Two ports for the suites of lanes and streams. */
export const tcpPair = async (t: TestContext): Promise<LaneHarness> => ({
  a: await openTcpPort(t),
  b: await openTcpPort(t),
  clockA: hastyClock,
  clockB: hastyClock,
  streamWindowBytes: STREAM_WINDOW_BYTES,
  until,
})

/** A bare connection to a port, that keeps what it hears. */
export class TcpStranger {
  readonly socket: Socket
  readonly heard: Buffer[] = []
  isClosed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => this.heard.push(bytes))
    socket.on('error', () => {})
    socket.once('close', () => {
      this.isClosed = true
    })
  }

  static async open(t: TestContext, { host, port }: Address): Promise<TcpStranger> {
    const stranger = new TcpStranger(connect({ host, port }))
    t.defer(() => stranger.socket.destroy())
    await Promise.race([once(stranger.socket, 'connect'), once(stranger.socket, 'close')])
    return stranger
  }
}

/** A preamble that opens, made now. */
export const preamble = (key: Uint8Array = GATE_KEY, wallNowMs = Date.now()): Uint8Array =>
  new TcpGate([key], systemRandom).seal(wallNowMs)

/** One frame as it is on the wire, of whatever type and body. */
export const rawFrame = (type: number, body: Uint8Array, length = body.length): Buffer => {
  const head = Buffer.alloc(4)
  head[0] = type
  head.writeUIntBE(length, 1, 3)
  return Buffer.concat([head, body])
}

/** Numbers of six bytes, as in frames. */
export const sixes = (...numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(6 * numbers.length)
  for (const [index, number] of numbers.entries()) bytes.writeUIntBE(number, 6 * index, 6)
  return bytes
}

/** A member that knows the cookie and has a certificate, and whose frames are made by hand. */
export class RawMember {
  readonly tls: TLSSocket
  /** Beneath TLS. */
  readonly socket: Socket
  readonly frames: { type: number; body: Buffer }[] = []
  isClosed = false

  private constructor(tls: TLSSocket, socket: Socket) {
    this.tls = tls
    this.socket = socket
    const reader = new FrameReader({
      data: (_stream, bytes, ends) =>
        this.frames.push({ type: ends ? FRAME.end : FRAME.data, body: Buffer.from(bytes) }),
      frame: (type, body) => this.frames.push({ type, body }),
    })
    tls.on('data', (bytes: Buffer) => reader.take(bytes))
    tls.on('error', () => {})
    tls.once('close', () => {
      this.isClosed = true
    })
  }

  /** With `saysWord` false it passed with somebody else's preamble. */
  static async open(t: TestContext, to: Address, saysWord = true): Promise<RawMember> {
    const { socket } = await TcpStranger.open(t, to)
    socket.removeAllListeners('data')
    socket.write(preamble())
    const tls = new TcpTls(await newIdentity()).initiate(socket, () => {})
    const member = new RawMember(tls, socket)
    await Promise.race([once(tls, 'secureConnect'), once(tls, 'close')])
    if (saysWord)
      member.put(rawFrame(FRAME.word, new TcpGate([GATE_KEY], systemRandom).word('initiator', bindingOf(tls))))
    return member
  }

  put(...pieces: readonly Uint8Array[]): void {
    this.tls.write(Buffer.concat(pieces))
  }

  /** What the port said when it closed the connection. */
  get farewell(): { wireCode: number; message: string } | undefined {
    const close = this.frames.find(({ type }) => type === FRAME.close)
    return close && { wireCode: close.body.readUInt32BE(), message: close.body.toString('utf8', 4) }
  }
}

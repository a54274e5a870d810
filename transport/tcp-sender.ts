/**
 * What one TCP connection sends: frames (tcp-frames.ts) of its streams, and its own, as far as there is room.
 *
 * Little stands in front of what is urgent: a bounded piece in this process, a bounded one under way (tcp-pace.ts). Who was
 * refused something is told when there may be room again. When frames are written, and what the peer's mean, belongs to
 * tcp-connection.ts.
 */
import type { Socket } from 'node:net'
import { BulkRoom, type PathFigures } from './bulk-room.ts'
import type { Clock } from './clock.ts'
import { boundedCloseMessage } from './close-codes.ts'
import { OutgoingStreams } from './outgoing-streams.ts'
import { MAX_PEER_STREAMS, STREAM_WINDOW_BYTES } from './path-settings.ts'
import { FRAME, FrameWriter, MAX_DATA_BYTES } from './tcp-frames.ts'
import { TcpPace } from './tcp-pace.ts'
import type { TcpIncomingStreams } from './tcp-streams.ts'

/** Written here and not yet taken by the kernel, bytes. */
const SOCKET_BUFFER_BYTES = 256 * 1024
/** Messages of `sendDatagram` that wait for room. */
const MAX_DATAGRAMS_WAITING = 64
/** The largest close code that fits. */
const MAX_WIRE_CODE = 2 ** 32 - 1

const LIMITS = {
  streamWindowBytes: STREAM_WINDOW_BYTES,
  // As on QUIC (path-settings.ts): a lane that is not read must hold back nobody else.
  connectionWindowBytes: Number.POSITIVE_INFINITY,
  maxStreams: MAX_PEER_STREAMS,
}

export class TcpSender {
  /** What holds the connection: bare TCP first, then TLS on it. */
  socket: Socket
  readonly #clock: Clock
  readonly #onRoom: () => void
  readonly #streams: OutgoingStreams
  readonly #writer = new FrameWriter()
  readonly #pace = new TcpPace()
  readonly #bulkRoom = new BulkRoom('loopback')
  readonly #datagrams: Uint8Array[] = []
  /** The newest ping of the peer that was not answered. */
  #owedPong: number | undefined
  #wasRefused = false
  readonly #figures = (): PathFigures => this.#pace.figures()
  readonly #onWritten = (): void => {
    if (this.#bufferedBytes <= SOCKET_BUFFER_BYTES / 2) this.#mayHaveRoom()
  }

  /** `onRoom`: something was refused, and may be taken in the next flush. */
  constructor(role: 'initiator' | 'acceptor', socket: Socket, clock: Clock, onRoom: () => void) {
    this.socket = socket
    this.#clock = clock
    this.#onRoom = onRoom
    this.#streams = new OutgoingStreams(role, LIMITS)
  }

  get rttMs(): number {
    return this.#pace.rttMs
  }

  // ---- streams and datagrams

  /** A new stream; -1 while the peer allows no more. */
  open(): number {
    const stream = this.#streams.open()
    if (stream < 0) this.#wasRefused = true
    return stream
  }

  /** Bytes taken; the stream ends behind them if `finish`, and all were taken. */
  write(stream: number, bytes: Uint8Array, finish: boolean): number {
    const streamRoom = this.#streams.room(stream)
    if (streamRoom === undefined) return 0
    const taken = Math.max(0, Math.min(bytes.length, streamRoom, this.#roomBytes()))
    if (taken < bytes.length) this.#wasRefused = true
    const ends = finish && taken === bytes.length
    if (taken === 0 && !ends) return 0
    this.#streams.send(stream, taken, ends)
    let at = 0
    do {
      const piece = bytes.subarray(at, Math.min(taken, at + MAX_DATA_BYTES))
      at += piece.length
      this.#writer.data(stream, piece, ends && at === taken)
      this.#pace.writtenBytes += piece.length
      if (this.#pace.pingIsDue(false)) this.ping()
    } while (at < taken)
    return taken
  }

  /** False for a stream that is over. */
  reset(stream: number): boolean {
    if (this.#streams.reset(stream) === undefined) return false
    this.#writer.limits(FRAME.reset, stream)
    return true
  }

  /** Takes a message, which is copied; false when too many wait. */
  queue(datagram: Uint8Array): boolean {
    if (this.#datagrams.length >= MAX_DATAGRAMS_WAITING) return false
    this.#datagrams.push(Uint8Array.from(datagram))
    return true
  }

  // ---- room

  isBlocked(): boolean {
    const isBlocked = this.#roomBytes() <= 0
    if (isBlocked) this.#wasRefused = true
    return isBlocked
  }

  /** As Connection.bulkRoomBytes. */
  bulkRoomBytes(writtenBytes: number): number {
    const { windowBytes, underWayBytes } = this.#pace
    const freeBytes = windowBytes - underWayBytes
    const now = this.#clock.now()
    return this.#bulkRoom.bytes(now, writtenBytes, freeBytes, windowBytes, MAX_DATA_BYTES, this.#figures)
  }

  get #bufferedBytes(): number {
    return this.#writer.bytes + this.socket.writableLength
  }

  #roomBytes(): number {
    return Math.min(SOCKET_BUFFER_BYTES - this.#bufferedBytes, this.#pace.windowBytes - this.#pace.underWayBytes)
  }

  #mayHaveRoom(): void {
    if (this.#wasRefused) this.#onRoom()
  }

  // ---- what the peer said

  /** It takes more of a stream, up to here. */
  creditStream(stream: number, limitBytes: number): void {
    this.#streams.allowStream(stream, limitBytes)
    this.#mayHaveRoom()
  }

  /** It takes so many streams over the connection's life. */
  creditStreams(limit: number): void {
    this.#streams.allowStreams(limit)
    this.#mayHaveRoom()
  }

  /** It wants this ping answered. */
  owePong(number: number): void {
    this.#owedPong = number
  }

  /** It answered a ping; false if that was never sent. */
  answered(number: number, nowMs: number): boolean {
    return this.#pace.answered(number, nowMs)
  }

  // ---- the connection's own frames

  word(word: Uint8Array): void {
    this.#writer.body(FRAME.word, word)
  }

  ping(): void {
    const number = this.#pace.ping(this.#clock.now())
    if (number !== undefined) this.#writer.ping(FRAME.ping, number)
  }

  /** The last frame. */
  close(wireCode: number, message: string): void {
    this.#writer.close(Math.min(wireCode, MAX_WIRE_CODE), boundedCloseMessage(message))
    this.send()
  }

  /** A flush begins: what the connection itself has to say, and datagrams as far as there is room. */
  begin(incoming: TcpIncomingStreams): void {
    this.#wasRefused = false
    // A peer that asks much and reads nothing is answered when it has read.
    if (this.#bufferedBytes >= SOCKET_BUFFER_BYTES) {
      this.#wasRefused = true
      return
    }
    if (this.#owedPong !== undefined) this.#writer.ping(FRAME.pong, this.#owedPong)
    this.#owedPong = undefined
    incoming.tell(
      (limit) => this.#writer.limits(FRAME.streams, limit),
      (stream, limit) => this.#writer.limits(FRAME.credit, stream, limit),
    )
    while (this.#datagrams.length > 0 && this.#roomBytes() > 0) {
      const bytes = this.#datagrams.shift() as Uint8Array
      this.#writer.body(FRAME.datagram, bytes)
      this.#pace.writtenBytes += bytes.length
    }
    if (this.#datagrams.length > 0) this.#wasRefused = true
  }

  /** A flush ends: nothing more is written for now. */
  end(): void {
    if (this.#pace.pingIsDue(true)) this.ping()
    this.send()
  }

  /** Gives all that was written to the socket. */
  send(): void {
    if (this.#writer.bytes === 0) return
    const pieces = this.#writer.take()
    if (!this.socket.writable) return
    for (const piece of pieces) this.socket.write(piece, this.#onWritten)
  }
}

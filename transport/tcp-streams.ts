/**
 * The incoming streams of one TCP connection: their bytes in order, ready to be read, and the credit that holds each
 * sender back. Bytes come in order, so there are no gaps as in memory-streams.ts; but they come from somebody who may
 * break every rule, so each frame is judged.
 *
 * Memory: a stream keeps at most its window, plus one piece of PIECE_BYTES for small frames; streams are bounded in
 * number. All streams are unidirectional and numbered as QUIC's (RFC 9000, 2.1).
 */
import { SkeinError } from '../certs/errors.ts'
import { firstStreamOf } from './outgoing-streams.ts'
import { MAX_PEER_STREAMS, STREAM_WINDOW_BYTES } from './path-settings.ts'
import type { ReadResult } from './transport.ts'

/** Smaller pieces are gathered: what waits may not cost many times its bytes. */
const PIECE_BYTES = 4 * 1024

interface Piece {
  readonly bytes: Uint8Array
  start: number
  end: number
}

interface IncomingStream {
  readonly pieces: Piece[]
  receivedBytes: number
  readBytes: number
  /** The last limit told to the sender. */
  limitBytes: number
  state: 'open' | 'finished' | 'reset'
}

const newStream = (): IncomingStream => ({
  pieces: [],
  receivedBytes: 0,
  readBytes: 0,
  limitBytes: STREAM_WINDOW_BYTES,
  state: 'open',
})

const broken = (message: string): SkeinError => new SkeinError('ERR_SKEIN_PROTOCOL', message)

export class TcpIncomingStreams {
  /** The lowest two bits of all numbers. */
  readonly #first: number
  readonly #open = new Map<number, IncomingStream>()
  /** How many the peer opened; a lower one that is not in `#open` is over. */
  #opened = 0
  #done = 0
  #maxOpened = MAX_PEER_STREAMS
  #tellCount = false
  /** Streams whose new limit the peer must hear of. */
  readonly #toldStreams = new Set<number>()
  readonly #result: ReadResult = { bytes: 0, finished: false, reset: false }

  constructor(peerRole: 'initiator' | 'acceptor') {
    this.#first = firstStreamOf(peerRole)
  }

  /** Takes a piece of a stream; the bytes are only lent. Throws ERR_SKEIN_PROTOCOL. */
  receive(number: number, bytes: Uint8Array, ends: boolean): void {
    const stream = this.#find(number)
    stream.receivedBytes += bytes.length
    if (stream.receivedBytes > stream.limitBytes) throw broken(`the peer overran its credit on stream ${number}`)
    if (bytes.length > 0) keep(stream.pieces, bytes)
    if (ends) stream.state = 'finished'
  }

  /** The peer cut it off: what waits is dropped. Throws ERR_SKEIN_PROTOCOL. */
  reset(number: number): void {
    const stream = this.#find(number)
    stream.state = 'reset'
    stream.pieces.length = 0
  }

  /** The result is reused by the next call. */
  read(number: number, target: Uint8Array): ReadResult {
    const result = this.#result
    result.bytes = 0
    result.finished = false
    result.reset = false
    const stream = this.#open.get(number)
    if (stream === undefined) return result
    const { pieces } = stream
    let used = 0
    while (used < pieces.length && result.bytes < target.length) {
      const piece = pieces[used] as Piece
      const end = Math.min(piece.end, piece.start + target.length - result.bytes)
      target.set(piece.bytes.subarray(piece.start, end), result.bytes)
      result.bytes += end - piece.start
      piece.start = end
      if (end === piece.end) used++
    }
    if (used > 0) pieces.splice(0, used)
    stream.readBytes += result.bytes
    result.reset = stream.state === 'reset'
    result.finished = stream.state === 'finished' && pieces.length === 0
    if (result.reset || result.finished) this.#over(number)
    else this.#widen(number, stream)
    return result
  }

  get hasToTell(): boolean {
    return this.#tellCount || this.#toldStreams.size > 0
  }

  /** Says each limit that grew since the last time. */
  tell(streams: (limit: number) => void, credit: (stream: number, limit: number) => void): void {
    if (this.#tellCount) streams(this.#maxOpened)
    this.#tellCount = false
    for (const number of this.#toldStreams) {
      const stream = this.#open.get(number)
      if (stream?.state === 'open') credit(number, stream.limitBytes)
    }
    this.#toldStreams.clear()
  }

  /** A stream opens all before it that had not begun (RFC 9000, 3.2). */
  #find(number: number): IncomingStream {
    if (number % 4 !== this.#first) throw broken(`stream ${number} is not the peer's to write`)
    const index = (number - this.#first) / 4
    if (index >= this.#maxOpened) throw broken(`the peer opened more than ${MAX_PEER_STREAMS} streams`)
    for (; this.#opened <= index; this.#opened++) this.#open.set(4 * this.#opened + this.#first, newStream())
    const stream = this.#open.get(number)
    if (stream?.state !== 'open') throw broken(`stream ${number} has ended`)
    return stream
  }

  /** Half a window read is worth telling: often enough that a sender never stands, seldom enough to be cheap. */
  #widen(number: number, stream: IncomingStream): void {
    const limitBytes = stream.readBytes + STREAM_WINDOW_BYTES
    if (stream.state !== 'open' || limitBytes - stream.limitBytes < STREAM_WINDOW_BYTES / 2) return
    stream.limitBytes = limitBytes
    this.#toldStreams.add(number)
  }

  #over(number: number): void {
    this.#open.delete(number)
    this.#done++
    if (this.#done + MAX_PEER_STREAMS - this.#maxOpened < MAX_PEER_STREAMS / 2) return
    this.#maxOpened = this.#done + MAX_PEER_STREAMS
    this.#tellCount = true
  }
}

/** Copies: what is lent is part of a larger buffer, which would live as long as the least of its pieces. */
const keep = (pieces: Piece[], bytes: Uint8Array): void => {
  const last = pieces[pieces.length - 1]
  const fits = last === undefined ? 0 : Math.min(last.bytes.length - last.end, bytes.length)
  if (last !== undefined && fits > 0) {
    last.bytes.set(bytes.subarray(0, fits), last.end)
    last.end += fits
  }
  if (fits === bytes.length) return
  const piece = Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, bytes.length - fits))
  piece.set(bytes.subarray(fits))
  pieces.push({ bytes: piece, start: 0, end: bytes.length - fits })
}

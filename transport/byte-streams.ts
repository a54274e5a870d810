/**
 * The streams of bytes of one connection: what is open in either direction, and how its ends are told.
 *
 * A stream is a QUIC stream that begins as a lane does, of kind `stream`, with its number in place of a mark; after that
 * it carries bytes and no frames. Outgoing ones take part in the round robin of heavy lanes (bulk-turns.ts). Ends travel
 * as frames of the control lane, which name the number, because a reset may take the beginning of the stream with it:
 *
 *   writer aborts:   frame `aborted`, and RESET_STREAM to free the stream
 *   reader stops:    frame `stopped`; the writer answers with RESET_STREAM, and the reader throws away what comes till then
 *   all was read:    frame `delivered`
 *
 * Frames about a number that is not open (any more) are ignored: ends cross each other. How many streams a peer may open
 * is bounded by QUIC (MAX_PEER_STREAMS), how many it may announce by the layer above.
 */
import { SkeinError } from '../certs/errors.ts'
import { Reader } from './byte-reader.ts'
import {
  type ByteReader,
  type ByteReaderHandler,
  type ByteStreams,
  type ByteWriter,
  type ByteWriterHandler,
  STREAM_CUTS,
  type StreamPriority,
} from './byte-stream.ts'
import { Writer } from './byte-writer.ts'
import type { Rest } from './lane-in.ts'
import {
  CUT_BYTES,
  FRAME_ABORTED,
  FRAME_DELIVERED,
  FRAME_STOPPED,
  NUMBER_BYTES,
  type StreamCarrier,
  tellCut,
} from './stream-carrier.ts'

export class ByteStreamTable implements ByteStreams {
  readonly #carrier: StreamCarrier
  readonly #writers = new Map<number, Writer>()
  /** By their number. */
  readonly #readers = new Map<number, Reader>()
  /** Those that have begun, by their QUIC stream. Without a reader: what comes is thrown away. */
  readonly #begun = new Map<number, Reader | undefined>()

  constructor(carrier: StreamCarrier) {
    this.#carrier = carrier
  }

  open(number: number, priority: StreamPriority, handler: ByteWriterHandler): ByteWriter {
    const writer = new Writer(this.#carrier, number, priority, handler, () => this.#writers.delete(number))
    if (this.#carrier.closed) return writer
    // A number that the peer chose twice: the first one is over.
    this.#writers.get(number)?.stopped('unexpected')
    this.#writers.set(number, writer)
    writer.begin()
    return writer
  }

  expect(number: number, handler: ByteReaderHandler): ByteReader {
    const reader = new Reader(this.#carrier, number, handler, (stream, outcome) => {
      this.#readers.delete(number)
      if (stream === undefined) return
      if (outcome === 'finished') this.#begun.delete(stream)
      else this.#giveUp(stream)
    })
    if (this.#carrier.closed) return reader
    this.#readers.get(number)?.aborted('unexpected')
    this.#readers.set(number, reader)
    return reader
  }

  /** Open in both directions, those whose end is not settled included. */
  get size(): number {
    return this.#writers.size + this.#readers.size + this.#begun.size
  }

  /** A stream of the peer has begun; `rest` is what was read of it so far. Throws ERR_SKEIN_PROTOCOL. */
  begun(number: number, stream: number, rest: Rest): void {
    const reader = this.#readers.get(number)
    if (reader?.stream !== undefined) throw new SkeinError('ERR_SKEIN_PROTOCOL', `stream ${number} begins twice`)
    this.#begun.set(stream, reader)
    if (reader !== undefined) return reader.begin(stream, rest)
    tellCut(this.#carrier, FRAME_STOPPED, number, 'unexpected')
    if (rest.finished) this.#begun.delete(stream)
    else this.#giveUp(stream)
  }

  /** True: the QUIC stream is one of these, and was dealt with. */
  onReadable(stream: number): boolean {
    if (!this.#begun.has(stream)) return false
    const reader = this.#begun.get(stream)
    if (reader === undefined) this.#throwAway(stream)
    else reader.readable()
    return true
  }

  /** A frame of the control lane; false if it is none of these. Throws ERR_SKEIN_PROTOCOL. */
  onFrame(type: number, body: Buffer): boolean {
    if (type < FRAME_ABORTED || type > FRAME_DELIVERED) return false
    const isCut = type !== FRAME_DELIVERED
    const why = isCut ? STREAM_CUTS[body[NUMBER_BYTES] as number] : STREAM_CUTS[0]
    if (body.length !== (isCut ? CUT_BYTES : NUMBER_BYTES) || why === undefined)
      throw new SkeinError('ERR_SKEIN_PROTOCOL', 'a frame about a stream is malformed')
    const number = body.readUInt32LE()
    if (type === FRAME_ABORTED) this.#readers.get(number)?.aborted(why)
    else if (type === FRAME_STOPPED) this.#writers.get(number)?.stopped(why)
    else this.#writers.get(number)?.delivered()
    return true
  }

  /** The connection is over. */
  clear(): void {
    this.#writers.clear()
    this.#readers.clear()
    this.#begun.clear()
  }

  /** From now on nobody wants this stream. */
  #giveUp(stream: number): void {
    if (this.#carrier.closed) return
    this.#begun.set(stream, undefined)
    this.#carrier.soon(() => this.#throwAway(stream))
  }

  /** Reads what came of a stream that nobody wants; in the end it is over. */
  #throwAway(stream: number): void {
    const { connection, scratch } = this.#carrier
    while (this.#begun.has(stream)) {
      const { bytes, finished, reset } = connection.read(stream, scratch)
      if (finished || reset) this.#begun.delete(stream)
      if (bytes === 0) return
    }
  }
}

/**
 * Streams of bytes beside the lanes: one writer here, one reader there, each stream with a flow control of its own.
 *
 * The layer above agrees with the peer on the number of a stream before a byte of it is sent: the reader's side expects
 * it, then the writer's side opens it. A stream that nobody expects is stopped and read by nobody. Every end but the
 * connection's is told once to the other side; when the connection ends nothing is called any more.
 *
 * What streams are for, and whom they belong to, is not known here (src/streams).
 */
import type { ReadResult } from './transport.ts'

/** How much of the connection a stream gets beside others, see STREAM_QUANTUM_BYTES. */
export type StreamPriority = 'high' | 'normal' | 'low'

/** Why a stream was cut off, in the order of their numbers on the wire. */
export const STREAM_CUTS = [
  /** Somebody wanted that. */
  'abandoned',
  /** The process it belonged to has ended. */
  'processEnded',
  /** Nobody expects it, or no longer. */
  'unexpected',
] as const
export type StreamCut = (typeof STREAM_CUTS)[number]

/** Streams of one connection in either direction; whoever announces or takes more is refused by the layer above. */
export const MAX_STREAMS = 256

/** The writing end of a stream of bytes. */
export interface ByteWriter {
  /** Copies as many bytes as there is room for and returns how many. If these are not all, `onRoom` follows. */
  write(bytes: Uint8Array): number
  /** The stream ends behind what was written; `onDelivered` follows when all of it was read. */
  finish(): void
  /** Cuts it off; what was not read by then may never be. The handler hears nothing more. Idempotent. */
  abort(why: StreamCut): void
}

/** What a writing end tells its owner. */
export interface ByteWriterHandler {
  onRoom(): void
  onDelivered(): void
  /** The reader wants no more. */
  onStopped(why: StreamCut): void
}

/** The reading end of a stream of bytes. */
export interface ByteReader {
  /** As Connection.read; `finished` is told once. */
  read(target: Uint8Array): ReadResult
  /** Wants no more. The handler hears nothing more. Idempotent. */
  stop(why: StreamCut): void
}

/** What a reading end tells its owner. */
export interface ByteReaderHandler {
  /** The writer has begun, or there is something to read, the end included. Cheap to be called in vain. */
  onReadable(): void
  /** The writer cut it off. */
  onAborted(why: StreamCut): void
}

/** The streams of one connection. Numbers are from 1 to 2^32 - 1; each is used once in each direction. */
export interface ByteStreams {
  /** A stream to the peer, which expects that number. */
  open(number: number, priority: StreamPriority, handler: ByteWriterHandler): ByteWriter
  /** A stream of the peer, which was told that number or chose it. */
  expect(number: number, handler: ByteReaderHandler): ByteReader
}

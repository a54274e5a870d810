/**
 * Large bodies of frames, packed: a mark that begins no value, the size of the body, and a Brotli stream (RFC 7932) of it.
 *
 * Each body is packed alone, so nothing of one message can be learnt from the size of another. From the size of one
 * that holds both a secret and what an attacker chose, much can be learnt (CRIME, BREACH), encrypted or not: so nobody
 * packs unless told to. Brotli at this quality sees what does not pack as fast as it copies; deflate needs a millisecond for 64 KiB of it.
 *
 * Invariants: kept only where it saves a tenth; a sender whose bodies do not pack is left alone for a while, longer each
 * time; what is unpacked has exactly the size that was claimed, which is judged before anything else, and so is the window.
 */
import { Buffer } from 'node:buffer'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { SkeinError } from '../../certs/errors.ts'
import { MAX_VARINT_BYTES, readVarint, varintBytes, writeVarint } from './codec-varint.ts'

/** First byte of a packed body; MessagePack never uses it. */
export const PACKED = 0xc1
/** What packs best in the time it takes: 64 KiB of JSON in some 120 us, a seventh of its size (measured; bench/compression.ts). */
const QUALITY = 1
/** Base 2 logarithm of how far back a stream may refer, bytes. The receiver takes that much memory. */
const WINDOW_BITS = 20
/** Larger bodies go as they are: one would hold up the whole node for tens of milliseconds. */
export const MAX_PACKED_BODY_BYTES = 4 * 1024 * 1024
/** What a byte received may cost at most. What packs even better, zeros mostly, goes as it is. */
const MAX_RATIO = 256
/** Packed it is at most so much of what it was, or it is not kept. */
const WORTH = 0.9
/**
 * How many bodies of a sender go as they are after one that did not pack, twice as many after each more. Few at first, for
 * senders of both kinds; at the longest, trying in vain costs a 64 KiB body half a microsecond on average.
 */
const FIRST_REST = 1
const LONGEST_REST = 64
/** Senders that are left alone just now; one too many, and all are tried anew. */
const MAX_RESTING_SENDERS = 1024

/** Off unless given. */
export interface CompressionOptions {
  /** Bodies above this size are packed where that pays. */
  readonly aboveBytes: number
}

interface Rest {
  /** Bodies still to pass over. */
  left: number
  length: number
}

/** The sending half, for one node. */
export class Packer {
  readonly #aboveBytes: number
  readonly #resting = new Map<number, Rest>()

  constructor({ aboveBytes }: CompressionOptions) {
    this.#aboveBytes = aboveBytes
  }

  /** The body in bytes[start..end), packed, if that pays. `sender` is the number of the process. */
  pack(sender: number, bytes: Buffer, start: number, end: number): Uint8Array | undefined {
    const sizeBytes = end - start
    if (sizeBytes <= this.#aboveBytes || sizeBytes > MAX_PACKED_BODY_BYTES) return undefined
    const rest = this.#resting.get(sender)
    if (rest !== undefined && rest.left-- > 0) return undefined
    const stream = brotliCompressSync(bytes.subarray(start, end), {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: sizeBytes,
      },
    })
    if (stream.length > sizeBytes * WORTH || stream.length * MAX_RATIO < sizeBytes) {
      this.#leaveAlone(sender, rest)
      return undefined
    }
    if (rest !== undefined) this.#resting.delete(sender)
    const packed = Buffer.allocUnsafe(1 + varintBytes(sizeBytes) + stream.length)
    packed[0] = PACKED
    packed.set(stream, writeVarint(packed, 1, sizeBytes))
    return packed
  }

  #leaveAlone(sender: number, before: Rest | undefined): void {
    if (before === undefined && this.#resting.size >= MAX_RESTING_SENDERS) this.#resting.clear()
    const length = before === undefined ? FIRST_REST : Math.min(2 * before.length, LONGEST_REST)
    this.#resting.set(sender, { left: length, length })
  }
}

/** The body that was packed into bytes[start..end). Throws ERR_SKEIN_BAD_MESSAGE where it is none; what follows the stream is ignored. */
export const unpack = (bytes: Buffer, start: number, end: number, maxBytes: number): Buffer => {
  const sizeBytes = readVarint(bytes, start + 1, Math.min(end, start + 1 + MAX_VARINT_BYTES))
  const streamStart = start + 1 + varintBytes(Math.max(sizeBytes, 0))
  if (sizeBytes < 1 || sizeBytes > maxBytes || sizeBytes > MAX_PACKED_BODY_BYTES) throw broken('its size cannot be')
  if (streamStart >= end || (end - streamStart) * MAX_RATIO < sizeBytes) throw broken('it claims to hold too much')
  if (windowBits(bytes[streamStart]!) > WINDOW_BITS) throw broken('its window is too large')
  let body: Buffer
  try {
    body = brotliDecompressSync(bytes.subarray(streamStart, end), { maxOutputLength: sizeBytes })
  } catch (error) {
    throw broken('it cannot be unpacked', error)
  }
  if (body.length !== sizeBytes) throw broken('its size is not as claimed')
  return body
}

/** By the first byte of a stream (RFC 7932, 9.1). */
const windowBits = (byte: number): number => {
  if ((byte & 1) === 0) return 16
  const high = (byte >> 1) & 7
  // The rest is below 18, or a stream with a large window, which Brotli itself refuses.
  return high === 0 ? 17 : 17 + high
}

const broken = (why: string, cause?: unknown): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_MESSAGE', `A packed body is broken: ${why}`, { cause })

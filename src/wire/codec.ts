/**
 * Messages to bytes and back: MessagePack with extensions, one codec per node.
 *
 * `encode` refuses at the sender what cannot be had back (codec-encoder.ts); `decode` judges hostile bytes while it reads
 * them (codec-decoder.ts). `peer` is the node at the other end of what is being encoded or decoded: pids of the two
 * nodes are written short, relative to it. Both are synchronous, so one codec serves all connections of a node in turn.
 * The format, for other languages: docs/wire.md.
 */
import type { Buffer } from 'node:buffer'
import { Origin } from '../pid.ts'
import { Decoder } from './codec-decoder.ts'
import { Encoder } from './codec-encoder.ts'
import { DEFAULT_MAX_MESSAGE_BYTES, type WireType, WireTypes } from './codec-types.ts'
import type { KnownKeys, SentKeys } from './key-tables.ts'

export interface Codec {
  /** The bytes are valid until the next encode. Throws ERR_SKEIN_UNSERIALISABLE or ERR_SKEIN_MESSAGE_TOO_LARGE. */
  encode(value: unknown): Uint8Array
  /** The value in buffer[start..end), sharing no memory with it. Throws ERR_SKEIN_BAD_MESSAGE or ERR_SKEIN_UNKNOWN_TYPE. */
  decode(buffer: Uint8Array, start: number, end: number): unknown
}

export interface CodecOptions {
  /** The node that encodes and decodes. */
  readonly local: Origin
  /** Default 16 MiB; the same on every node. */
  readonly maxMessageBytes?: number
}

/** No node: nothing is written relative to it. */
const NOWHERE = new Origin('', '', '')

export class MessageCodec implements Codec {
  /** The node at the other end; undefined until it is known (then only its own pids cannot be decoded). */
  peer: Origin | undefined
  readonly #types: WireTypes
  readonly maxMessageBytes: number
  readonly #encoder: Encoder
  readonly #decoder: Decoder

  constructor(options: CodecOptions, types = new WireTypes()) {
    const maxBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.#types = types
    this.maxMessageBytes = maxBytes
    this.#encoder = new Encoder(options.local, this.#types, maxBytes)
    this.#decoder = new Decoder(options.local, this.#types, maxBytes)
  }

  /** Lets instances of a class cross the wire; the same id on every node. Throws ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_LIMIT. */
  registerType<T extends object>(type: WireType<T>): void {
    this.#types.register(type)
  }

  /** A codec with the same registered types for bytes that are kept: pids are whole in them, whoever reads them. */
  forStorage(): Codec {
    return new MessageCodec({ local: NOWHERE, maxMessageBytes: this.maxMessageBytes }, this.#types)
  }

  encode(value: unknown): Uint8Array {
    const end = this.#encoder.encode(value, this.peer, 0)
    return this.#encoder.encoded.subarray(0, end)
  }

  /** As `encode`, behind `reserved` bytes left to the caller; returns the end in `encoded` and saves the view on it. */
  encodeBehind(reserved: number, value: unknown, keys?: SentKeys): number {
    return this.#encoder.encode(value, this.peer, reserved, keys)
  }

  /** Where `encodeBehind` wrote; valid until the next encode. */
  get encoded(): Buffer {
    return this.#encoder.encoded
  }

  decode(buffer: Uint8Array, start: number, end: number, known?: KnownKeys): unknown {
    return this.#decoder.decode(buffer, start, end, this.peer, known)
  }

  /** What the value decoded last takes in memory beyond its bytes, roughly. */
  get heapBytes(): number {
    return this.#decoder.heapBytes
  }

  /** A name in the head of a frame: UTF-8 in bytes[start..start + length), which must be there. */
  text(bytes: Buffer, start: number, length: number): string {
    return this.#decoder.text(bytes, start, length)
  }
}

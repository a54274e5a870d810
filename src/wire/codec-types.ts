/**
 * What the two halves of the codec agree on: extension numbers, limits, and the types a user registers.
 *
 * The limits are counted in the same way by the encoder and the decoder, so that a message which leaves one node is never
 * found hostile by another. docs/wire.md describes the format for other languages.
 */
import { SkeinError } from '../../certs/errors.ts'

/** In place of a key: a byte with its number follows (key-tables.ts). MessagePack never uses it. */
export const KNOWN_KEY = 0xc1

/** Application extension types of MessagePack (0 to 127 are ours to give). Numbers are never reused. */
export const EXTENSION_UNDEFINED = 0
export const EXTENSION_PID = 1
export const EXTENSION_REF = 2
export const EXTENSION_ERROR = 3
export const EXTENSION_MAP = 4
export const EXTENSION_SET = 5
export const EXTENSION_DATE = 6
export const EXTENSION_BIGINT = 7
export const EXTENSION_REGEXP = 8
export const EXTENSION_BYTES = 9
export const EXTENSION_REGISTERED = 10

/** Whose process or reference it is, seen from the sender. */
export const ORIGIN_SENDER = 0
export const ORIGIN_RECEIVER = 1
export const ORIGIN_THIRD = 2

/** Containers within containers; far above what people write, far below what a stack holds. */
export const MAX_DEPTH = 64
/** 16 MiB: larger things are sent in parts. */
export const DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
/**
 * Values in one message. An empty object costs the sender one byte and the receiver about 60; this keeps a hostile 16 MiB
 * message below some 100 MiB of heap. Numbers in bulk belong into typed arrays, which count once.
 */
export const MAX_VALUES = 2 ** 20
/** What a value takes in memory beside its bytes on the wire, bytes, roughly: its place in an array or object. */
export const HEAP_PER_VALUE = 16
/** The same of an array, object or extension, beside its place. An empty object of one byte takes 64 with it (measured). */
export const HEAP_PER_NODE = 48
/** A Map or Set takes the room of about eight values even when empty. */
export const COST_OF_EXTENSION = 8
/** An Error captures a stack trace when it is made: microseconds, and a kilobyte. */
export const COST_OF_ERROR = 64
/** Characters of pattern. Compiling is lazy, but parsing is not. */
export const MAX_REGEXP_LENGTH = 4096
/** Names of nodes and processes, UTF-8 bytes: their length is one byte on the wire. */
export const MAX_NAME_BYTES = 255
/** Digits of base32 in a node id, see certs/node-id.ts. */
export const NODE_ID_LENGTH = 32
export const INCARNATION_BYTES = 8

/** Place in this list = number on the wire. Elements are little-endian there, as on every platform with a prebuilt binary. */
export const VIEW_TYPES = [
  ArrayBuffer,
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
] as const

/** A class of the user's that may cross the wire; to be registered under the same id on every node. */
export interface WireType<T extends object = object> {
  /** 'namespace/name', for example 'shop/Money'. */
  readonly id: string
  /** Instances of exactly this class; a subclass is a type of its own. */
  readonly class: abstract new (
    ...args: never
  ) => T
  /** What goes on the wire instead: anything that is serialisable itself. */
  readonly encode: (instance: T) => unknown
  /** The instance again. What a hostile peer may have put into `value` is this function's to check: it may throw. */
  readonly decode: (value: unknown) => T
}

const MAX_WIRE_TYPES = 1024
const TYPE_ID = /^[A-Za-z0-9_.-]{1,63}\/[A-Za-z0-9_.-]{1,63}$/

/** The registered types of one node. */
export class WireTypes {
  readonly #byId = new Map<string, WireType>()
  readonly #byPrototype = new Map<object, WireType>()

  /** Throws ERR_SKEIN_BAD_ARGUMENT for a malformed or taken id or class, ERR_SKEIN_LIMIT for one too many. */
  register<T extends object>(type: WireType<T>): void {
    if (typeof type.id !== 'string' || !TYPE_ID.test(type.id)) {
      throw bad(
        `The id of a registered type must look like 'namespace/name', not ${JSON.stringify(type.id)?.slice(0, 80)}`,
      )
    }
    const prototype: unknown = typeof type.class === 'function' ? type.class.prototype : undefined
    if (typeof prototype !== 'object' || prototype === null || prototype === Object.prototype) {
      throw bad(`Type ${type.id}: 'class' must be a class other than Object`)
    }
    if (typeof type.encode !== 'function' || typeof type.decode !== 'function') {
      throw bad(`Type ${type.id}: 'encode' and 'decode' must be functions`)
    }
    if (this.#byId.has(type.id)) throw bad(`Type ${type.id} is already registered`)
    const other = this.#byPrototype.get(prototype)
    if (other) throw bad(`Type ${type.id}: its class is already registered as ${other.id}`)
    if (this.#byId.size >= MAX_WIRE_TYPES) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `A node registers at most ${MAX_WIRE_TYPES} types`)
    }
    // Only instances of the class reach `encode` (found by prototype), so the erased parameter is sound.
    const erased = type as unknown as WireType
    this.#byId.set(type.id, erased)
    this.#byPrototype.set(prototype, erased)
  }

  byId(id: string): WireType | undefined {
    return this.#byId.get(id)
  }

  byPrototype(prototype: object): WireType | undefined {
    return this.#byPrototype.get(prototype)
  }
}

const bad = (message: string): SkeinError => new SkeinError('ERR_SKEIN_BAD_ARGUMENT', message)

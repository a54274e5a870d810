/**
 * Values to bytes: the sending half of the codec. One pass that writes MessagePack and judges at the same time.
 *
 * Invariants: what cannot be had back equal on the other side is refused by name (ERR_SKEIN_UNSERIALISABLE, with the path
 * to it), never dropped or flattened in silence; no more than the limit is ever allocated; after a refusal the encoder is
 * as good as new; getters and the `encode` functions of registered types may use the same encoder meanwhile.
 *
 * The wire form of every value is in docs/wire.md. It does not know frames (wire.ts).
 */
import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { isNodeId } from '../../certs/node-id.ts'
import { type Origin, Pid, Ref } from '../pid.ts'
import { fieldsOf } from './codec-error.ts'
import { printPath, TooDeep, tooDeep } from './codec-path.ts'
import {
  COST_OF_ERROR,
  COST_OF_EXTENSION,
  EXTENSION_BIGINT,
  EXTENSION_BYTES,
  EXTENSION_DATE,
  EXTENSION_ERROR,
  EXTENSION_MAP,
  EXTENSION_PID,
  EXTENSION_REF,
  EXTENSION_REGEXP,
  EXTENSION_REGISTERED,
  EXTENSION_SET,
  EXTENSION_UNDEFINED,
  INCARNATION_BYTES,
  MAX_DEPTH,
  MAX_NAME_BYTES,
  MAX_REGEXP_LENGTH,
  MAX_VALUES,
  ORIGIN_RECEIVER,
  ORIGIN_SENDER,
  ORIGIN_THIRD,
  VIEW_TYPES,
  type WireType,
  type WireTypes,
} from './codec-types.ts'
import { writeVarint } from './codec-varint.ts'
import { Writer, type WriterState } from './codec-writer.ts'
import { MAX_RECORD_KEYS, type SentKeys } from './key-tables.ts'

/** What a use of the encoder within a use of the encoder gives back. */
interface EncoderState extends WriterState {
  readonly peer: Origin | undefined
  readonly keys: SentKeys | undefined
  readonly budget: number
  readonly depth: number
  readonly path: (string | number)[]
}

export class Encoder extends Writer {
  /** What the last `encode` wrote: encoded[0..its result). Valid until the next. */
  encoded: Buffer
  readonly #local: Origin
  readonly #types: WireTypes
  readonly #maxBytes: number
  #peer: Origin | undefined
  #keys: SentKeys | undefined
  #busy = false
  /** Object.prototype has nothing that `for in` would see. */
  #bare = true
  #budget = 0
  #depth = 0
  /** #path[0..#depth) leads to the value being written. */
  #path: (string | number)[] = []

  constructor(local: Origin, types: WireTypes, maxBytes: number) {
    super()
    this.#local = local
    this.#types = types
    this.#maxBytes = maxBytes
    this.encoded = this.bytes
  }

  /**
   * Writes `value` behind `reserved` bytes (at most a frame's head) that the caller fills in afterwards, and returns where
   * it ends in `encoded`. Throws ERR_SKEIN_UNSERIALISABLE and ERR_SKEIN_MESSAGE_TOO_LARGE.
   */
  encode(value: unknown, peer: Origin | undefined, reserved: number, keys?: SentKeys): number {
    const outer = this.#busy ? this.#suspend() : undefined
    this.begin(reserved, this.#maxBytes)
    this.#busy = true
    this.#bare = isBare(Object.prototype)
    this.#peer = peer
    this.#keys = keys
    this.#budget = MAX_VALUES
    this.#depth = 0
    try {
      this.#value(value)
      if (this.position > this.limit) throw this.tooLarge()
      this.encoded = this.bytes
      return this.position
    } catch (error) {
      if (isSkeinError(error)) throw error
      if (error instanceof TooDeep) throw tooDeep(value, this.#path)
      throw this.#refused('cannot be read', error)
    } finally {
      this.#busy = false
      if (outer) this.#resume(outer)
    }
  }

  #suspend(): EncoderState {
    const state = {
      ...this.putAside(),
      peer: this.#peer,
      keys: this.#keys,
      budget: this.#budget,
      depth: this.#depth,
      path: this.#path,
    }
    this.#path = []
    return state
  }

  #resume(state: EncoderState): void {
    this.takeBack(state)
    this.#busy = true
    this.#peer = state.peer
    this.#keys = state.keys
    this.#budget = state.budget
    this.#depth = state.depth
    this.#path = state.path
  }

  // Comparisons, not a switch: V8 makes a call and a text of `switch (typeof value)`, and an instruction of these.
  #value(value: unknown): void {
    if (typeof value === 'string') this.string(value)
    else if (typeof value === 'number') this.number(value)
    else if (typeof value === 'object' && value !== null) this.#object(value)
    else this.#rare(value)
  }

  #rare(value: unknown): void {
    this.scalarRoom()
    if (typeof value === 'boolean') this.byte(value ? 0xc3 : 0xc2)
    else if (value === null) this.byte(0xc0)
    else if (typeof value === 'bigint') this.#bigint(value)
    else if (value === undefined) {
      this.byte(0xd4)
      this.byte(EXTENSION_UNDEFINED)
      this.byte(0)
    } else throw this.#refused(`is a ${typeof value}`)
  }

  #object(value: object): void {
    this.scalarRoom()
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) this.#plain(value as Record<string, unknown>)
    else if (prototype === Array.prototype) this.#array(value as unknown[])
    else if (prototype === Buffer.prototype) this.#buffer(value as Buffer)
    else if (value instanceof Pid) this.#identifier(EXTENSION_PID, value)
    else if (value instanceof Ref) this.#identifier(EXTENSION_REF, value)
    else this.#special(value, prototype as object)
  }

  /**
   * `for in` reads the properties of objects of a known layout without a look-up and without a list of their names (14 ns
   * against 36 for three of them). It sees what is inherited too, so unless that is nothing for certain (`bare`), each is asked for.
   */
  #plain(value: Record<string, unknown>, bare = this.#bare): void {
    let count = 0
    for (const _ in value) count++
    this.#enter(count)
    const start = this.position
    this.header(count, 0x80, 0xde)
    const keys = count > MAX_RECORD_KEYS ? undefined : this.#keys
    const path = this.#path
    const last = this.#depth - 1
    let written = 0
    for (const key in value) {
      if (!bare && !Object.hasOwn(value, key)) continue
      path[last] = key
      if (key === '__proto__') throw this.#refused('is a key that changes the prototype of objects')
      const number = keys === undefined ? -1 : keys.numberOf(key)
      if (number < 0) this.string(key)
      else this.knownKey(number)
      this.#value(value[key])
      written++
    }
    // Only a Proxy can do so. The header has no room for more, and nobody has paid for them.
    if (written > count) throw this.#refused('got more keys while it was read')
    // Something was inherited, or a getter took away what was still to come.
    if (written !== count) this.setCount(start, written)
    this.#depth = last
  }

  /** Holes are filled with undefined. */
  #array(value: readonly unknown[]): void {
    const count = value.length
    this.#enter(count)
    this.header(count, 0x90, 0xdc)
    const path = this.#path
    const last = this.#depth - 1
    for (let i = 0; i < count; i++) {
      const item = value[i]
      if (typeof item === 'number') this.number(item)
      else {
        path[last] = i
        this.#value(item)
      }
    }
    this.#depth = last
  }

  /** The beginning of a container with so many values to pay for. */
  #enter(cost: number): void {
    if (this.#depth === MAX_DEPTH) throw new TooDeep()
    this.#pay(cost)
    this.#path[this.#depth++] = 0
  }

  #pay(cost: number): void {
    this.#budget -= cost
    if (this.#budget < 0) throw this.tooLarge(`more than ${MAX_VALUES} values`)
  }

  #identifier(type: number, value: Pid | Ref): void {
    const { origin, number } = value
    if (!Number.isSafeInteger(number) || number < 0) throw this.#refused(`has the number ${number}`)
    const kind =
      origin.key === this.#local.key ? ORIGIN_SENDER : origin.key === this.#peer?.key ? ORIGIN_RECEIVER : ORIGIN_THIRD
    if (kind === ORIGIN_THIRD) {
      const start = this.openExtension(type)
      this.byte(kind)
      this.position = writeVarint(this.bytes, this.position, number)
      this.#origin(origin)
      this.closeExtension(start)
      return
    }
    // The common kinds are short: a length of one byte does.
    const bytes = this.bytes
    const start = this.position
    bytes[start] = 0xc7
    bytes[start + 2] = type
    bytes[start + 3] = kind
    this.position = writeVarint(bytes, start + 4, number)
    bytes[start + 1] = this.position - start - 3
  }

  #origin(origin: Origin): void {
    if (!isNodeId(origin.id) || !/^[0-9a-f]{16}$/.test(origin.incarnation))
      throw this.#refused('names a node that cannot be')
    this.room(INCARNATION_BYTES + origin.id.length + 1 + MAX_NAME_BYTES)
    const nameBytes = Buffer.byteLength(origin.name)
    if (nameBytes > MAX_NAME_BYTES) throw this.#refused('names a node with too long a name')
    const bytes = this.bytes
    this.position += bytes.write(origin.incarnation, this.position, 'hex')
    this.position += bytes.write(origin.id, this.position, 'latin1')
    this.byte(nameBytes)
    this.position += bytes.write(origin.name, this.position, 'utf8')
  }

  #bigint(value: bigint): void {
    // Before any text is made of it: does it fit at all? (asIntN is linear and allocates no more than the value itself.)
    const roomBytes = Math.max(0, this.limit - this.position)
    if (value !== BigInt.asIntN(64, value) && value !== BigInt.asIntN(8 * roomBytes, value)) throw this.tooLarge()
    const digits = (value < 0n ? -value : value).toString(16)
    const magnitude = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
    const start = this.openExtension(EXTENSION_BIGINT)
    this.byte(value < 0n ? 1 : 0)
    this.append(magnitude)
    this.closeExtension(start)
  }

  /** Everything that is neither plain, an array nor one of ours. Built-ins are known by brand: they may be another realm's. */
  #special(value: object, prototype: object): void {
    const registered = this.#types.byPrototype(prototype)
    if (registered) this.#registered(registered, value)
    else if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) this.#binary(value)
    else if (value instanceof Error || types.isNativeError(value)) this.#error(value)
    else if (isRootPrototype(prototype)) this.#plain(value as Record<string, unknown>, false)
    // A class of the user's that extends a built-in would lose its own part.
    else if (!isRootPrototype(Object.getPrototypeOf(prototype))) throw this.#foreign(prototype)
    else if (Array.isArray(value)) this.#array(value)
    else if (types.isMap(value)) this.#map(value)
    else if (types.isSet(value)) this.#set(value)
    else if (types.isDate(value)) this.#date(value)
    else if (types.isRegExp(value)) this.#regexp(value)
    else throw this.#foreign(prototype)
  }

  #foreign(prototype: object): SkeinError {
    const { name } = (prototype.constructor ?? {}) as { name?: unknown }
    const className = typeof name === 'string' && name !== '' ? name : 'a nameless class'
    return this.#refused(`is an instance of ${className}, which is not a registered type`)
  }

  #buffer(value: Buffer): void {
    const length = value.length
    if (length + this.position > this.limit) throw this.tooLarge()
    this.#pay(COST_OF_EXTENSION)
    this.binHeader(length)
    this.append(value)
  }

  #map(value: ReadonlyMap<unknown, unknown>): void {
    this.#enter(COST_OF_EXTENSION)
    const start = this.openExtension(EXTENSION_MAP)
    const last = this.#depth - 1
    let index = 0
    for (const [key, item] of value) {
      this.#path[last] = index++
      this.#pay(1)
      this.#value(key)
      this.#value(item)
    }
    this.closeExtension(start)
    this.#depth = last
  }

  #set(value: ReadonlySet<unknown>): void {
    this.#enter(COST_OF_EXTENSION)
    const start = this.openExtension(EXTENSION_SET)
    const last = this.#depth - 1
    let index = 0
    for (const item of value) {
      this.#path[last] = index++
      this.#pay(1)
      this.#value(item)
    }
    this.closeExtension(start)
    this.#depth = last
  }

  #date(value: Date): void {
    this.byte(0xd7)
    this.byte(EXTENSION_DATE)
    this.position = this.bytes.writeDoubleBE(Date.prototype.getTime.call(value), this.position)
  }

  #regexp(value: RegExp): void {
    if (value.source.length > MAX_REGEXP_LENGTH)
      throw this.#refused(`is a pattern of more than ${MAX_REGEXP_LENGTH} characters`)
    this.#pay(COST_OF_EXTENSION)
    const start = this.openExtension(EXTENSION_REGEXP)
    this.string(value.source)
    this.string(value.flags)
    this.closeExtension(start)
  }

  #binary(value: ArrayBufferView | ArrayBufferLike): void {
    if (Buffer.isBuffer(value)) return this.#buffer(value)
    const view = ArrayBuffer.isView(value)
    const content = view ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value)
    if (content.length + this.position > this.limit) throw this.tooLarge()
    this.#pay(COST_OF_EXTENSION)
    const kind = view ? VIEW_TYPES.findIndex((type) => type.name === kindOf(value)) : 0
    if (kind < 0) throw this.#refused('is a typed array of a kind that has no wire form')
    const start = this.openExtension(EXTENSION_BYTES)
    this.byte(kind)
    this.append(content)
    this.closeExtension(start)
  }

  #error(value: Error): void {
    this.#pay(COST_OF_ERROR)
    const start = this.openExtension(EXTENSION_ERROR)
    this.#plain(fieldsOf(value))
    this.closeExtension(start)
  }

  #registered(type: WireType, value: object): void {
    this.#enter(COST_OF_EXTENSION)
    this.#path[this.#depth - 1] = `<${type.id}>`
    let encoded: unknown
    try {
      encoded = type.encode(value)
    } catch (error) {
      throw this.#refused('was refused by the encode function of its type', error)
    }
    const start = this.openExtension(EXTENSION_REGISTERED)
    this.string(type.id)
    this.#value(encoded)
    this.closeExtension(start)
    this.#depth--
  }

  protected override tooLarge(than = `more than ${this.#maxBytes} bytes`): SkeinError {
    return new SkeinError(
      'ERR_SKEIN_MESSAGE_TOO_LARGE',
      `The message has ${than} (reached at ${printPath(this.#path, this.#depth)})`,
    )
  }

  #refused(why: string, cause?: unknown): SkeinError {
    return new SkeinError('ERR_SKEIN_UNSERIALISABLE', `${printPath(this.#path, this.#depth)} ${why}`, { cause })
  }
}

const isBare = (prototype: object): boolean => {
  for (const _ in prototype) return false
  return true
}

/** Object.prototype of this realm or another. */
const isRootPrototype = (prototype: object | null): boolean =>
  prototype !== null && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')

/** 'Uint8Array' also for subclasses and for those of another realm. */
const kindOf = (view: ArrayBufferView): unknown => (view as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]

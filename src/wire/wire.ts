/**
 * Signals as frames of a lane: a type, a head of a few numbers and perhaps a name, and a body made by the codec.
 *
 * Invariants: `encode` throws before anything is queued; `decode` throws nothing but SkeinErrors, ERR_SKEIN_PROTOCOL for
 * a head and the codec's codes for a body; neither makes garbage apart from the decoded signal. A registered type that is
 * not known here is no error: the signal comes with an Unreadable for content, with the error itself for a reason. A
 * process is addressed by number or by registered name: NAMED in the type tells which. docs/wire.md has every frame.
 *
 * It does not know lanes, connections or the handshake.
 */
import { Buffer } from 'node:buffer'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Origin } from '../pid.ts'
import { type Signal, type To, Unreadable } from '../signals.ts'
import type { MessageCodec } from './codec.ts'
import { MAX_NAME_BYTES } from './codec-types.ts'
import { MAX_VARINT_BYTES, readVarint, varintBytes, writeVarint } from './codec-varint.ts'
import type { KnownKeys, SentKeys } from './key-tables.ts'
import { NameBytes } from './name-bytes.ts'
import { PACKED, type Packer, unpack } from './packing.ts'
import { readTrace, TRACE_BYTES, writeTrace } from './trace-context.ts'

/** Numbers of frame types, 0x01 to 0x1f, on the wire; never reused. */
export const FRAME_TYPES = {
  send: 0x01,
  call: 0x02,
  reply: 0x03,
  link: 0x04,
  unlink: 0x05,
  unlinkAck: 0x06,
  monitor: 0x07,
  demonitor: 0x08,
  linkExit: 0x09,
  exit: 0x0a,
  down: 0x0b,
  callFailed: 0x0c,
  callEnded: 0x0d,
  cast: 0x0e,
  spawn: 0x0f,
  spawned: 0x10,
  started: 0x11,
  spawnFailed: 0x12,
  inspect: 0x13,
  sendMany: 0x14,
  stream: 0x15,
} as const satisfies Record<Signal['type'], number>

/** Targets of one sendMany: their numbers, each as its distance from the one before, take no more than the head of a frame may. */
export const MAX_SEND_TARGETS = 500

/** Added to a type whose `to` is a registered name instead of a number. */
export const NAMED = 0x20

/** Added to the type of a send, call or cast whose head begins with the trace it belongs to. Not in protocol version 1. */
export const TRACED = 0x40

/** The first protocol version whose nodes know TRACED. */
export const FIRST_TRACED_VERSION = 2

/** The first protocol version whose nodes know streams. */
export const STREAMS_VERSION = 2

/** Streams are announced with numbers from 1 to below this. */
export const STREAM_NUMBERS = 2 ** 31

/** Bits of a spawn's options. */
const SPAWN_LINKED = 1
const SPAWN_STARTED = 2
const SPAWN_NAMED = 4
const SPAWN_VERSIONED = 8
const SPAWN_OPTIONS = SPAWN_LINKED | SPAWN_STARTED | SPAWN_NAMED | SPAWN_VERSIONED

/** Frames up to here are handed over in one piece, as nothing but head: one copy instead of two and no view. */
const ONE_PIECE_BYTES = 256

/** In place of the sender for whose sake a body is packed. */
const AS_IT_IS = -1

/** What LaneSender.send takes. The object and its buffers are reused by the next encode. */
export interface FrameParts {
  readonly type: number
  /** head[0..headLength) goes first; of a short frame it holds the body too. */
  readonly head: Uint8Array
  readonly headLength: number
  readonly body: Uint8Array | undefined
}

type SignalOf<T extends Signal['type']> = Extract<Signal, { type: T }>

type Writable<T> = { -readonly [K in keyof T]: T[K] }

export class Wire {
  readonly #codec: MessageCodec
  readonly #packer: Packer | undefined
  readonly #names = new NameBytes()
  readonly #parts: Writable<FrameParts>
  /** For frames without a body: three numbers at most, one of which may be a name. */
  readonly #bare = Buffer.alloc(2 * MAX_VARINT_BYTES + 1 + MAX_NAME_BYTES)
  /** Whoever the signal being encoded goes to understands packed bodies. */
  #packs = false
  /** What whoever it goes to knows by number, and what the sender of the one being decoded does. */
  #keys: SentKeys | undefined
  #known: KnownKeys | undefined
  /** By how much the body of the frame decoded last was larger than the frame. */
  unpackedBytes = 0
  /** What the body of the frame decoded last takes in memory beyond its bytes, roughly; 0 without a body. */
  heapBytes = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #position = 0
  #end = 0

  /** Without a packer all bodies go as they are. */
  constructor(codec: MessageCodec, packer?: Packer) {
    this.#codec = codec
    this.#packer = packer
    this.#parts = { type: 0, head: codec.encoded, headLength: 0, body: undefined }
  }

  /** Throws ERR_SKEIN_UNSERIALISABLE, ERR_SKEIN_MESSAGE_TOO_LARGE, or ERR_SKEIN_BAD_ARGUMENT for a name that cannot be. */
  encode(signal: Signal, peer: Origin, packs = false, keys?: SentKeys): FrameParts {
    this.#codec.peer = peer
    this.#keys = keys
    this.#packs = packs
    switch (signal.type) {
      case 'send':
        return this.#frame(FRAME_TYPES.send, signal.from, signal.to, -1, true, signal.message, signal.trace)
      case 'sendMany':
        return this.#sendMany(signal)
      case 'cast':
        return this.#frame(FRAME_TYPES.cast, signal.from, signal.to, -1, true, signal.message, signal.trace)
      case 'call':
        return this.#frame(FRAME_TYPES.call, signal.from, signal.to, signal.call, true, signal.request, signal.trace)
      case 'reply':
        return this.#frame(FRAME_TYPES.reply, signal.from, -1, signal.call, true, signal.value)
      case 'callFailed':
        return this.#frame(FRAME_TYPES.callFailed, signal.from, -1, signal.call, true, signal.reason)
      case 'callEnded':
        return this.#frame(FRAME_TYPES.callEnded, signal.from, -1, signal.call, false, undefined)
      case 'link':
        return this.#frame(FRAME_TYPES.link, signal.from, signal.to, -1, false, undefined)
      case 'unlink':
        return this.#frame(FRAME_TYPES.unlink, signal.from, signal.to, signal.id, false, undefined)
      case 'unlinkAck':
        return this.#frame(FRAME_TYPES.unlinkAck, signal.from, signal.to, signal.id, false, undefined)
      case 'monitor':
        return this.#frame(FRAME_TYPES.monitor, signal.from, signal.to, signal.ref, false, undefined)
      case 'demonitor':
        return this.#frame(FRAME_TYPES.demonitor, signal.from, signal.to, signal.ref, false, undefined)
      case 'linkExit':
        return this.#frame(FRAME_TYPES.linkExit, signal.from, signal.to, -1, true, signal.reason)
      case 'exit':
        return this.#frame(FRAME_TYPES.exit, signal.from, signal.to, -1, true, signal.reason)
      case 'down':
        return this.#frame(FRAME_TYPES.down, signal.from, -1, signal.ref, true, signal.reason)
      case 'spawn':
        return this.#spawn(signal)
      case 'spawned':
        return this.#frame(FRAME_TYPES.spawned, signal.from, -1, signal.request, false, undefined)
      case 'started':
        return this.#frame(FRAME_TYPES.started, signal.from, -1, signal.request, false, undefined)
      case 'spawnFailed':
        return this.#frame(FRAME_TYPES.spawnFailed, signal.from, -1, signal.request, true, signal.reason)
      case 'stream': {
        const { from, to, call, stream, duplex, meta } = signal
        return this.#numbered(FRAME_TYPES.stream, [from, to, call, stream, duplex ? 1 : 0], [], meta)
      }
      case 'inspect':
        return this.#frame(FRAME_TYPES.inspect, signal.from, signal.to, signal.call, false, undefined)
    }
  }

  /** The signal in buffer[start..end), sent by `peer`. */
  decode(type: number, buffer: Uint8Array, start: number, end: number, peer: Origin, known?: KnownKeys): Signal {
    this.#codec.peer = peer
    this.#known = known
    this.#bytes = buffer
    this.#position = start
    this.#end = Math.min(end, buffer.length)
    this.unpackedBytes = 0
    this.heapBytes = 0
    if ((type & TRACED) !== 0) return this.#traced(type & ~TRACED)
    return this.#signal(type)
  }

  #signal(type: number): Signal {
    const named = type & NAMED
    const from = this.#number()
    switch (type & ~NAMED) {
      case FRAME_TYPES.send: {
        const to = this.#to(named)
        return { type: 'send', from, to, message: this.#body() }
      }
      case FRAME_TYPES.sendMany: {
        const to = this.#targets(this.#only(named))
        return { type: 'sendMany', from, to, message: this.#body() }
      }
      case FRAME_TYPES.cast: {
        const to = this.#to(named)
        return { type: 'cast', from, to, message: this.#body() }
      }
      case FRAME_TYPES.call: {
        const to = this.#to(named)
        const call = this.#number()
        return { type: 'call', from, to, call, request: this.#body() }
      }
      case FRAME_TYPES.reply: {
        const call = this.#only(named)
        return { type: 'reply', from, call, value: this.#body() }
      }
      case FRAME_TYPES.callFailed: {
        const call = this.#only(named)
        return { type: 'callFailed', from, call, reason: this.#reason() }
      }
      case FRAME_TYPES.callEnded:
        return this.#done({ type: 'callEnded', from, call: this.#only(named) })
      case FRAME_TYPES.link:
        return this.#done({ type: 'link', from, to: this.#only(named) })
      case FRAME_TYPES.unlink:
        return this.#done({ type: 'unlink', from, to: this.#only(named), id: this.#number() })
      case FRAME_TYPES.unlinkAck:
        return this.#done({ type: 'unlinkAck', from, to: this.#only(named), id: this.#number() })
      case FRAME_TYPES.monitor:
        return this.#done({ type: 'monitor', from, to: this.#to(named), ref: this.#number() })
      case FRAME_TYPES.demonitor:
        return this.#done({ type: 'demonitor', from, to: this.#to(named), ref: this.#number() })
      case FRAME_TYPES.linkExit: {
        const to = this.#only(named)
        return { type: 'linkExit', from, to, reason: this.#reason() }
      }
      case FRAME_TYPES.exit: {
        const to = this.#to(named)
        return { type: 'exit', from, to, reason: this.#reason() }
      }
      case FRAME_TYPES.down: {
        const ref = this.#only(named)
        return { type: 'down', from, ref, reason: this.#reason() }
      }
      case FRAME_TYPES.spawn:
        return this.#spawnOf(from, this.#only(named))
      case FRAME_TYPES.spawned:
        return this.#done({ type: 'spawned', from, request: this.#only(named) })
      case FRAME_TYPES.started:
        return this.#done({ type: 'started', from, request: this.#only(named) })
      case FRAME_TYPES.spawnFailed: {
        const request = this.#only(named)
        return { type: 'spawnFailed', from, request, reason: this.#reason() }
      }
      case FRAME_TYPES.stream:
        return this.#streamOf(from, this.#only(named))
      case FRAME_TYPES.inspect:
        return this.#done({ type: 'inspect', from, to: this.#only(named), call: this.#number() })
      default:
        throw broken(`type 0x${type.toString(16)} is not known`)
    }
  }

  /** A send, cast or call with a trace before the rest of its head; a trace that is none is left away. */
  #traced(type: number): Signal {
    const position = this.#position
    if (this.#end - position < TRACE_BYTES) throw broken('a trace is cut off')
    this.#position = position + TRACE_BYTES
    const trace = readTrace(this.#bytes, position)
    const signal = this.#signal(type)
    if (!isTraceable(signal)) {
      throw broken('a trace where none is allowed')
    }
    return trace === undefined ? signal : { ...signal, trace }
  }

  /** `to` and `number` are left out where negative. The body comes first: encoding it may run code of the user's. */
  #frame(
    type: number,
    from: number,
    to: To,
    number: number,
    hasBody: boolean,
    content: unknown,
    trace?: string,
  ): FrameParts {
    const keys = this.#keys
    const name = typeof to === 'string' ? this.#names.of(to, keys) : undefined
    const toBytes = name !== undefined ? name.length : (to as number) < 0 ? 0 : varintBytes(to as number)
    const traceBytes = trace === undefined ? 0 : TRACE_BYTES
    const headBytes = traceBytes + varintBytes(from) + toBytes + (number < 0 ? 0 : varintBytes(number))
    const packFor = this.#packs ? from : AS_IT_IS
    const end = hasBody ? this.#codec.encodeBehind(headBytes, content, keys) : headBytes
    // The codec's own buffer may just now hold half of a message whose getter is sending this frame.
    const bytes = hasBody ? this.#codec.encoded : this.#bare
    if (trace !== undefined) writeTrace(bytes, 0, trace)
    let position = writeVarint(bytes, traceBytes, from)
    if (name !== undefined) {
      for (let i = 0; i < name.length; i++) bytes[position++] = name[i]!
    } else if ((to as number) >= 0) {
      position = writeVarint(bytes, position, to as number)
    }
    if (number >= 0) writeVarint(bytes, position, number)
    const flags = (name !== undefined ? NAMED : 0) | (trace === undefined ? 0 : TRACED)
    return this.#cut(type | flags, bytes, headBytes, end, packFor)
  }

  #sendMany({ from, to, message, trace }: SignalOf<'sendMany'>): FrameParts {
    const traceBytes = trace === undefined ? 0 : TRACE_BYTES
    let headBytes = traceBytes + varintBytes(from) + varintBytes(to.length)
    let last = 0
    for (const number of to) {
      headBytes += varintBytes(number - last)
      last = number
    }
    const packFor = this.#packs ? from : AS_IT_IS
    const end = this.#codec.encodeBehind(headBytes, message, this.#keys)
    const bytes = this.#codec.encoded
    if (trace !== undefined) writeTrace(bytes, 0, trace)
    let position = writeVarint(bytes, traceBytes, from)
    position = writeVarint(bytes, position, to.length)
    last = 0
    for (const number of to) {
      position = writeVarint(bytes, position, number - last)
      last = number
    }
    return this.#cut(FRAME_TYPES.sendMany | (trace === undefined ? 0 : TRACED), bytes, headBytes, end, packFor)
  }

  #targets(count: number): number[] {
    if (count === 0 || count > MAX_SEND_TARGETS) throw broken(`a message to ${count} processes`)
    const targets: number[] = []
    for (let last = 0; targets.length < count; ) {
      const distance = this.#number()
      last += distance
      if (distance === 0 || !Number.isSafeInteger(last)) throw broken('the numbers of processes do not rise')
      targets.push(last)
    }
    return targets
  }

  #spawn({ from, request, behaviour, version, link, start, ref, name, args }: SignalOf<'spawn'>): FrameParts {
    const bonds = (link ? SPAWN_LINKED : 0) | (start ? SPAWN_STARTED : 0)
    const options = bonds | (name === '' ? 0 : SPAWN_NAMED) | (version === '' ? 0 : SPAWN_VERSIONED)
    const names = [behaviour, ...(name === '' ? [] : [name]), ...(version === '' ? [] : [version])]
    return this.#numbered(FRAME_TYPES.spawn, [from, request, options, ref], names, args)
  }

  /** A head of numbers and then names, and a body. */
  #numbered(type: number, numbers: readonly number[], names: readonly string[], content: unknown): FrameParts {
    let headBytes = 0
    for (const number of numbers) headBytes += varintBytes(number)
    for (const name of names) headBytes += this.#names.of(name).length
    const packFor = this.#packs ? numbers[0]! : AS_IT_IS
    const end = this.#codec.encodeBehind(headBytes, content, this.#keys)
    const bytes = this.#codec.encoded
    let position = 0
    for (const number of numbers) position = writeVarint(bytes, position, number)
    for (const name of names) {
      const encoded = this.#names.of(name)
      bytes.set(encoded, position)
      position += encoded.length
    }
    return this.#cut(type, bytes, headBytes, end, packFor)
  }

  #streamOf(from: number, to: number): SignalOf<'stream'> {
    const call = this.#number()
    const stream = this.#number()
    const duplex = this.#number()
    if (stream === 0 || stream >= STREAM_NUMBERS || duplex > 1) throw broken('a stream is announced in a strange way')
    return { type: 'stream', from, to, call, stream, duplex: duplex === 1, meta: this.#body() }
  }

  #spawnOf(from: number, request: number): SignalOf<'spawn'> {
    const options = this.#number()
    if (options > SPAWN_OPTIONS) throw broken('an option of a spawn is not known')
    const ref = this.#number()
    const behaviour = this.#name()
    const name = (options & SPAWN_NAMED) === 0 ? '' : this.#name()
    const version = (options & SPAWN_VERSIONED) === 0 ? '' : this.#name()
    const link = (options & SPAWN_LINKED) !== 0
    const start = (options & SPAWN_STARTED) !== 0
    return { type: 'spawn', from, request, behaviour, version, link, start, ref, name, args: this.#body() }
  }

  /** Gives bytes[0..end) in one piece if it is short or all head, else cut where the head ends. */
  #cut(type: number, bytes: Buffer, headBytes: number, end: number, packFor: number): FrameParts {
    const parts = this.#parts
    parts.type = type
    parts.head = bytes
    const onePiece = headBytes === end || end <= ONE_PIECE_BYTES
    parts.headLength = onePiece ? end : headBytes
    parts.body = onePiece ? undefined : (this.#packed(bytes, headBytes, end, packFor) ?? bytes.subarray(headBytes, end))
    return parts
  }

  #packed(bytes: Buffer, start: number, end: number, sender: number): Uint8Array | undefined {
    return sender === AS_IT_IS ? undefined : this.#packer?.pack(sender, bytes, start, end)
  }

  #number(): number {
    const value = readVarint(this.#bytes, this.#position, this.#end)
    if (value < 0) throw broken('a number is malformed')
    this.#position += varintBytes(value)
    return value
  }

  /** A number, in a frame that takes no name. */
  #only(named: number): number {
    if (named !== 0) throw broken('a name where only a number is allowed')
    return this.#number()
  }

  #to(named: number): To {
    return named === 0 ? this.#number() : this.#name()
  }

  #name(): string {
    const start = this.#position + 1
    const length = start <= this.#end ? this.#bytes[this.#position]! : 0
    if (length === 0 && start < this.#end && this.#known !== undefined) return this.#knownName(this.#known, start)
    if (length === 0 || length > this.#end - start) throw broken('a name is malformed')
    this.#position = start + length
    return this.#codec.text(bufferOf(this.#bytes), start, length)
  }

  #knownName(known: KnownKeys, position: number): string {
    const name = known[this.#bytes[position]!]
    // No name is empty, however it is sent; a key may be.
    if (name === undefined || name === '') throw broken('a name was not announced')
    this.#position = position + 1
    return name
  }

  #body(): unknown {
    try {
      if (this.#bytes[this.#position] === PACKED && this.#position < this.#end) return this.#unpacked()
      const value = this.#codec.decode(this.#bytes, this.#position, this.#end, this.#known)
      this.heapBytes = this.#codec.heapBytes
      return value
    } catch (error) {
      if (isSkeinError(error, 'ERR_SKEIN_UNKNOWN_TYPE')) return new Unreadable(error)
      throw error
    }
  }

  #unpacked(): unknown {
    const body = unpack(bufferOf(this.#bytes), this.#position, this.#end, this.#codec.maxMessageBytes)
    this.unpackedBytes = Math.max(0, body.length - (this.#end - this.#position))
    const value = this.#codec.decode(body, 0, body.length, this.#known)
    this.heapBytes = this.#codec.heapBytes
    return value
  }

  /** Who waits for a reason must get one: one that cannot be read is replaced by the error that says so. */
  #reason(): unknown {
    const reason = this.#body()
    return reason instanceof Unreadable ? reason.error : reason
  }

  /** For frames without a body. */
  #done<S extends Signal>(signal: S): S {
    if (this.#position !== this.#end) throw broken('bytes follow the head')
    return signal
  }
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

const isTraceable = (signal: Signal): signal is SignalOf<'send' | 'sendMany' | 'cast' | 'call'> =>
  signal.type === 'send' || signal.type === 'sendMany' || signal.type === 'cast' || signal.type === 'call'

const broken = (why: string): SkeinError =>
  new SkeinError('ERR_SKEIN_PROTOCOL', `The head of a frame is broken: ${why}`)

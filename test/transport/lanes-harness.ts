/**
 * What the tests of lanes share: two ends with lanes on any carrier, a listener that keeps what it hears, senders whose
 * frames can be checked without keeping them, and a peer made by hand that may break every rule.
 */
import * as assert from 'uvu/assert'
import type { Clock } from '../../transport/clock.ts'
import type { Hold, LaneSender, LanesHandler } from '../../transport/lane.ts'
import { Lanes, type LanesOptions } from '../../transport/lanes.ts'
import { seededRandom } from '../../transport/random.ts'
import type { CloseReason, Connection, ConnectionHandler, Transport } from '../../transport/transport.ts'
import { addressOf } from './compliance.ts'

export interface LaneHarness {
  readonly a: Transport
  readonly b: Transport
  readonly clockA: Clock
  readonly clockB: Clock
  /** How far a writer may be ahead of a reader on one stream. */
  readonly streamWindowBytes: number
  /** Waits until the condition holds; rejects after a while. */
  until(condition: () => boolean): Promise<void>
}

/** The types of frame that these tests use; the layer above has its own. */
export const DATA = 1
export const CONTROL = 2

export const NO_HEAD = new Uint8Array(0)

export interface Kept {
  readonly type: number
  readonly bytes: Buffer
}

/** Keeps what it hears; replace `take` to do something else with the frames of senders. */
export class Listener implements LanesHandler {
  opened = 0
  readonly closes: CloseReason[] = []
  readonly frames: Kept[] = []
  readonly controls: Kept[] = []
  /** What was called before onOpen or after onClosed, which must be nothing. */
  readonly untimely: string[] = []
  take: (type: number, bytes: Buffer) => Hold | undefined = (type, bytes) => {
    this.frames.push({ type, bytes: Buffer.from(bytes) })
    return undefined
  }
  whenOpen: () => void = () => {}
  whenControlled: (type: number, bytes: Buffer) => void = () => {}

  onOpen(): void {
    if (this.opened > 0 || this.closes.length > 0) this.untimely.push('onOpen')
    this.opened++
    this.whenOpen()
  }

  onFrame(type: number, buffer: Uint8Array, start: number, end: number): Hold | undefined {
    if (this.opened === 0 || this.closes.length > 0) this.untimely.push('onFrame')
    return this.take(type, Buffer.from(buffer.buffer, buffer.byteOffset + start, end - start))
  }

  onControl(type: number, buffer: Uint8Array, start: number, end: number): void {
    if (this.opened === 0 || this.closes.length > 0) this.untimely.push('onControl')
    this.controls.push({ type, bytes: Buffer.from(buffer.subarray(start, end)) })
    this.whenControlled(type, this.controls.at(-1)!.bytes)
  }

  onClosed(reason: CloseReason): void {
    if (this.closes.length > 0) this.untimely.push('onClosed')
    this.closes.push(reason)
  }
}

export interface LaneEnd {
  readonly lanes: Lanes
  readonly listener: Listener
}

type MakeLanes = (listener: Listener, options: LanesOptions) => Lanes

export interface PairOptions extends Omit<Partial<LanesOptions>, 'clock'> {
  /** Both ends accept lanes as soon as they are open; the default. */
  readonly accept?: boolean
  readonly make?: MakeLanes
}

/** A connection from `a` to `b`, lanes at both ends. */
export const openPair = async (
  h: LaneHarness,
  { accept = true, make = (listener, options) => new Lanes(listener, options), ...options }: PairOptions = {},
): Promise<{ a: LaneEnd; b: LaneEnd }> => {
  const end = (clock: Clock): LaneEnd => {
    const listener = new Listener()
    const lanes = make(listener, { ...options, clock })
    if (accept) listener.whenOpen = () => lanes.acceptLanes()
    return { lanes, listener }
  }
  const a = end(h.clockA)
  const b = end(h.clockB)
  h.b.listen((connection) => b.lanes.attach(connection))
  a.lanes.attach(h.a.connect(addressOf(h.b), a.lanes))
  await h.until(() => a.listener.opened === 1 && b.listener.opened === 1)
  return { a, b }
}

/** A control frame there and one back: what was under way before has arrived, on a carrier that loses nothing. */
export const roundTrip = async (h: LaneHarness, a: LaneEnd, b: LaneEnd): Promise<void> => {
  const [heardByA, heardByB] = [a.listener.controls.length, b.listener.controls.length]
  a.lanes.control(CONTROL, NO_HEAD)
  await h.until(() => b.listener.controls.length > heardByB)
  b.lanes.control(CONTROL, NO_HEAD)
  await h.until(() => a.listener.controls.length > heardByA)
}

// ---- senders whose frames can be checked

/** Bodies are cut from here, so that a frame can be compared with what was sent. */
const POOL = Buffer.from(seededRandom(4711).bytes(1 << 20))
/** Sender u16, number of the frame u32, place of its body in the pool u32, length of the body u32. */
const HEAD_BYTES = 14

/** Sends numbered frames with known bodies. */
export class Speaker {
  readonly id: number
  readonly sender: LaneSender
  sent = 0
  sentBytes = 0
  readonly #head = Buffer.alloc(HEAD_BYTES)

  constructor(id: number, lanes: Lanes) {
    this.id = id
    this.sender = lanes.sender()
  }

  /** Sends one frame; what `send` gave. */
  say(bodyBytes: number): boolean {
    const at = (this.id * 7919 + this.sent * 104_729) % (POOL.length - bodyBytes + 1)
    this.#head.writeUInt16LE(this.id, 0)
    this.#head.writeUInt32LE(this.sent, 2)
    this.#head.writeUInt32LE(at, 6)
    this.#head.writeUInt32LE(bodyBytes, 10)
    const goOn = this.sender.send(
      DATA,
      this.#head,
      HEAD_BYTES,
      bodyBytes === 0 ? undefined : POOL.subarray(at, at + bodyBytes),
    )
    this.sent++
    this.sentBytes += bodyBytes
    return goOn
  }
}

/** Checks what speakers said. Wrong order and damage are kept as words, so that a canary can look for them. */
export class Audience {
  readonly faults: string[] = []
  readonly #heard = new Map<number, number>()
  readonly #heardBytes = new Map<number, number>()

  /** Takes one frame; gives the id of its speaker. */
  hear(type: number, bytes: Buffer): number {
    if (type !== DATA || bytes.length < HEAD_BYTES) {
      this.faults.push(`no frame of a speaker: type ${type}, ${bytes.length} bytes`)
      return -1
    }
    const id = bytes.readUInt16LE(0)
    const number = bytes.readUInt32LE(2)
    const expected = this.heard(id)
    if (number !== expected) this.faults.push(`speaker ${id}: frame ${number} where ${expected} was due`)
    const at = bytes.readUInt32LE(6)
    const length = bytes.readUInt32LE(10)
    if (bytes.length - HEAD_BYTES !== length || POOL.compare(bytes, HEAD_BYTES, bytes.length, at, at + length) !== 0)
      this.faults.push(`speaker ${id}: frame ${number} is damaged`)
    this.#heard.set(id, expected + 1)
    this.#heardBytes.set(id, this.heardBytes(id) + length)
    return id
  }

  /** Listens to an end, without ever holding. */
  attend(listener: Listener): this {
    listener.take = (type, bytes) => {
      this.hear(type, bytes)
      return undefined
    }
    return this
  }

  heard(id: number): number {
    return this.#heard.get(id) ?? 0
  }

  heardBytes(id: number): number {
    return this.#heardBytes.get(id) ?? 0
  }

  get total(): number {
    let sum = 0
    for (const count of this.#heard.values()) sum += count
    return sum
  }

  get totalBytes(): number {
    let sum = 0
    for (const bytes of this.#heardBytes.values()) sum += bytes
    return sum
  }

  /** Everything that was said was heard, once and in order. */
  heardAll(speakers: readonly Speaker[]): boolean {
    return speakers.every((speaker) => this.heard(speaker.id) === speaker.sent)
  }

  assertFaultless(what = ''): void {
    assert.equal(this.faults.slice(0, 3), [], what)
  }
}

/** A mailbox that is full until it is relieved. */
export class Full implements Hold {
  #resumes: (() => void)[] = []

  get isWaitedFor(): boolean {
    return this.#resumes.length > 0
  }

  onceRelieved(resume: () => void): void {
    this.#resumes.push(resume)
  }

  relieve(): void {
    for (const resume of this.#resumes.splice(0)) resume()
  }
}

// ---- a peer made by hand

export const OPEN = 0xf0
export const MARK = 0xf1
const DONE = 0xf2
export const KIND = { control: 0, shared: 1, dedicated: 2 } as const

/** One frame as it is on the wire. */
export const frame = (type: number, body: Uint8Array = NO_HEAD): Buffer => {
  const bytes = Buffer.alloc(5 + body.length)
  bytes.writeUInt32LE(1 + body.length, 0)
  bytes[4] = type
  bytes.set(body, 5)
  return bytes
}

const number = (value: number, sizeBytes: number): Buffer => {
  const bytes = Buffer.alloc(sizeBytes)
  bytes.writeUIntLE(value, 0, sizeBytes)
  return bytes
}

export const openFrame = (kind: number, mark = 0): Buffer =>
  frame(OPEN, Buffer.concat([Uint8Array.of(kind), number(mark, 4)]))
export const markFrame = (mark: number): Buffer => frame(MARK, number(mark, 4))
export const doneFrame = (stream: number): Buffer => frame(DONE, number(stream, 6))

interface RawStream {
  stream: number
  waiting: Buffer
  finish: boolean
  isDone: boolean
}

/** Writes what it is told on streams numbered 0, 1, 2... in the order of their opening; drops what it hears. */
export class RawPeer implements ConnectionHandler {
  connection!: Connection
  isOpen = false
  heardBytes = 0
  /** Streams of the other side that said something, and those that ended. */
  readonly heard = new Set<number>()
  readonly ended = new Set<number>()
  readonly closes: CloseReason[] = []
  readonly #streams: RawStream[] = []
  readonly #target = new Uint8Array(16 * 1024)

  onOpen(): void {
    this.isOpen = true
  }

  onReadable(stream: number): void {
    for (;;) {
      const { bytes, finished } = this.connection.read(stream, this.#target)
      this.heardBytes += bytes
      if (bytes > 0) this.heard.add(stream)
      if (finished) this.ended.add(stream)
      if (bytes === 0 || finished) return
    }
  }

  onFlush(): void {
    for (const one of this.#streams) {
      if (one.isDone) continue
      if (one.stream < 0) one.stream = this.connection.openStream(false)
      if (one.stream < 0) return
      if (one.waiting.length === 0 && !one.finish) continue
      const taken = this.connection.write(one.stream, one.waiting, one.finish)
      one.isDone = one.finish && taken === one.waiting.length
      one.waiting = one.waiting.subarray(taken)
    }
  }

  onClosed(reason: CloseReason): void {
    this.closes.push(reason)
  }

  get opened(): number {
    return this.#streams.length
  }

  /** Appends to the index-th stream, which is opened with all before it. */
  put(index: number, bytes: Uint8Array, finish = false): this {
    while (this.#streams.length <= index)
      this.#streams.push({ stream: -1, waiting: Buffer.alloc(0), finish: false, isDone: false })
    const one = this.#streams[index]!
    one.waiting = Buffer.concat([one.waiting, bytes])
    one.finish ||= finish
    this.connection.requestFlush()
    return this
  }
}

/** A peer made by hand at `a`, lanes at `b`, which have accepted. */
export const openRaw = async (h: LaneHarness, options: PairOptions = {}): Promise<{ raw: RawPeer; b: LaneEnd }> => {
  const { accept = true, make, ...rest } = options
  const listener = new Listener()
  const lanes = (make ?? ((l, o) => new Lanes(l, o)))(listener, { ...rest, clock: h.clockB })
  if (accept) listener.whenOpen = () => lanes.acceptLanes()
  h.b.listen((connection) => lanes.attach(connection))
  const raw = new RawPeer()
  raw.connection = h.a.connect(addressOf(h.b), raw)
  await h.until(() => raw.isOpen && listener.opened === 1)
  return { raw, b: { lanes, listener } }
}

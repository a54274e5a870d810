/**
 * One other node as the process layer sees it: a Route. It is made when somebody first needs the node, holds what is
 * sent while the dial runs, passes everything on once a session is attached, and ends once, for good.
 *
 * A route stands for one incarnation. While dialling it may not be known which; whoever sends to a pid pins it, and if
 * another incarnation answers, this route ends and a new one begins. So nothing meant for a process of the past reaches
 * one of the present. What it does not do: connect (dialler.ts), or decide when it is over (peers.ts).
 */
import { SkeinError } from '../../certs/errors.ts'
import type { ByteStreams } from '../../transport/byte-stream.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import type { Hold, LaneConnection, LaneSender } from '../../transport/lane.ts'
import { Origin } from '../pid.ts'
import type { Route, SignalSink } from '../route.ts'
import { type Signal, withoutTrace } from '../signals.ts'
import { encodeKeys, learnKeys, SentKeys } from '../wire/key-tables.ts'
import { TRACE_BYTES } from '../wire/trace-context.ts'
import { FIRST_TRACED_VERSION, FRAME_TYPES, type FrameParts, STREAMS_VERSION, TRACED, type Wire } from '../wire/wire.ts'
import { CONTROL, encodeNumber } from './control.ts'

/** What may wait for a dial to end; a sender beyond that is told ERR_SKEIN_QUEUE_FULL. */
export const MAX_WAITING_SIGNALS = 4096
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** From here on `send` answers false while dialling. */
const HIGH_WATER_SIGNALS = 1024
const HIGH_WATER_BYTES = 1024 * 1024
/** As much as is read of a lane in one turn: bodies that were unpacked count in full, however few bytes they came in. */
const UNPACKED_BYTES_PER_TURN = 512 * 1024
/**
 * In what people send a byte that came becomes some ten when it is unpacked, and such a byte at most 16 in memory. Beyond
 * this, of either, the lanes rest long.
 */
const DENSE_FACTOR = 32

/** Nobody's: what is encoded for a peer not yet known spells out every origin. */
const UNKNOWN_ORIGIN = new Origin('', '', '')

const NO_HEAD = new Uint8Array(0)

/** Signals since the start of the node, over all connections. */
export interface Traffic {
  sent: number
  received: number
}

/** What a peer needs of the node. */
export interface PeerHost {
  readonly wire: Wire
  readonly sink: SignalSink
  readonly traffic: Traffic
}

interface WaitingFrame {
  readonly from: number
  readonly type: number
  readonly bytes: Uint8Array
}

interface Dialling {
  readonly phase: 'dialling'
  /** Encoded when sent, so later changes to a message do not travel, and what cannot be sent is refused at once. */
  readonly waiting: WaitingFrame[]
  waitingBytes: number
  /** Senders that have ended meanwhile. */
  readonly gone: Set<number>
  /** Those who wait for room. */
  readonly onSettled: (() => void)[]
}

/** Sends a frame of the control lane. */
type TellPeer = (type: number, body: Uint8Array) => void

/** What a peer said it can do. */
export interface PeerAbilities {
  readonly packs?: boolean
  readonly tell?: TellPeer | undefined
}

interface Up {
  readonly phase: 'up'
  readonly lanes: LaneConnection
  readonly origin: Origin
  readonly version: number
  /** The peer knows traces. */
  readonly traces: boolean
  /** The peer understands packed bodies. */
  readonly packs: boolean
  /** Undefined: the peer knows no keys by number. */
  readonly tell: TellPeer | undefined
  readonly keys: SentKeys | undefined
  /** What the peer announced. */
  readonly known: string[]
  /** By number of the sending process. */
  readonly senders: Map<number, LaneSender>
}

/** The connection may be given up because nobody needs it: what is sent meanwhile waits for what is decided. */
interface Held {
  readonly phase: 'held'
  readonly up: Up
  readonly next: Dialling
}

type PeerState = Dialling | Up | Held | { readonly phase: 'down' }

const dialling = (): Dialling => ({ phase: 'dialling', waiting: [], waitingBytes: 0, gone: new Set(), onSettled: [] })

export class Peer implements Route {
  readonly node: string
  readonly #host: PeerHost
  #origin: Origin | undefined
  #state: PeerState = dialling()
  /** A signal came or went since `takeUsed` was asked last. */
  #used = true
  /** Lanes that a full mailbox holds up. */
  #holds = 0
  /** Of frames that were unpacked or dense, since the lanes rested last: what came, how long it was unpacked, and in memory. */
  #cameBytes = 0
  #plainBytes = 0
  #becameBytes = 0

  constructor(node: string, host: PeerHost) {
    this.node = node
    this.#host = host
  }

  get origin(): Origin | undefined {
    return this.#origin
  }

  get version(): number | undefined {
    return this.#up?.version
  }

  get phase(): 'dialling' | 'up' | 'down' {
    return this.#state.phase === 'held' ? 'up' : this.#state.phase
  }

  /** Whether it was used since this was asked last, or what came is still unread. */
  takeUsed(): boolean {
    const used = this.#used || this.#holds > 0
    this.#used = false
    return used
  }

  get waits(): boolean {
    return this.#state.phase === 'held' || this.#state.phase === 'dialling'
  }

  get streams(): ByteStreams | undefined {
    return this.#up?.lanes.streams
  }

  /** From now on this route stands for that incarnation. */
  pin(origin: Origin): void {
    this.#origin ??= origin
  }

  /** The session is up: everything that waited goes out, in order. */
  attach(lanes: LaneConnection, origin: Origin, version: number, { packs, tell }: PeerAbilities = {}): void {
    const before = this.#state
    if (before.phase !== 'dialling') return
    this.#origin = origin
    const traces = version >= FIRST_TRACED_VERSION
    const keys = tell && new SentKeys((texts) => tell(CONTROL.keys, encodeKeys(texts)))
    const state: Up = {
      phase: 'up',
      lanes,
      origin,
      version,
      traces,
      packs: packs === true,
      tell,
      keys,
      known: [],
      senders: new Map(),
    }
    this.#state = state
    this.#sendWaiting(state, before)
  }

  /** From now on what is sent waits, until `goOn` or `depart`. False: it is not up. */
  hold(): boolean {
    const state = this.#state
    if (state.phase !== 'up') return false
    this.#state = { phase: 'held', up: state, next: dialling() }
    return true
  }

  /** The connection stays. */
  goOn(): void {
    const state = this.#state
    if (state.phase !== 'held') return
    this.#state = state.up
    this.#sendWaiting(state.up, state.next)
  }

  /**
   * The connection is over because nobody needed it. True: somebody did after all, and this route goes on with another
   * connection. False: it is still to be ended.
   */
  depart(): boolean {
    const state = this.#state
    if (state.phase !== 'held' || state.next.waiting.length === 0) return false
    this.#state = state.next
    return true
  }

  send(signal: Signal): boolean {
    this.#used = true
    const state = this.#state
    if (state.phase === 'up') {
      const parts = this.#host.wire.encode(
        state.traces ? signal : withoutTrace(signal),
        state.origin,
        state.packs,
        state.keys,
      )
      state.keys?.tellNews()
      const sender = state.senders.get(signal.from) ?? this.#openSender(state, signal.from)
      this.#host.traffic.sent++
      return sender.send(parts.type, parts.head, parts.headLength, parts.body)
    }
    const waits = state.phase === 'held' ? state.next : state
    return waits.phase === 'down' || this.#wait(waits, signal.from, this.#host.wire.encode(signal, UNKNOWN_ORIGIN))
  }

  drained(from: number): Promise<void> {
    const state = this.#state
    if (state.phase === 'up') return state.senders.get(from)?.drained() ?? Promise.resolve()
    if (state.phase === 'down') return Promise.resolve()
    const waits = state.phase === 'held' ? state.next : state
    return new Promise((resolve) => waits.onSettled.push(resolve))
  }

  senderGone(from: number): void {
    const state = this.#state
    const waits = state.phase === 'held' ? state.next : state
    if (waits.phase === 'dialling' && waits.waiting.some((frame) => frame.from === from)) waits.gone.add(from)
    else if (state.phase === 'up' || state.phase === 'held') {
      const { senders } = state.phase === 'held' ? state.up : state
      // Others may still be answered on its behalf (noproc), behind what it said itself.
      senders.get(from)?.close(() => senders.delete(from))
    }
  }

  /** While it is dialled nobody is owed so much. */
  giveUp(): void {
    this.#up?.lanes.close(
      wireCodeOf('ERR_SKEIN_LIMIT'),
      'ERR_SKEIN_LIMIT',
      'The node does not take the signals it is owed.',
    )
  }

  /** A frame of one of the peer's processes. Throws a SkeinError when it does not decode. */
  receive(type: number, buffer: Uint8Array, start: number, end: number): Hold | undefined {
    const state = this.#up
    if (state === undefined) return undefined
    this.#used = true
    this.#host.traffic.received++
    const signal = this.#host.wire.decode(type, buffer, start, end, state.origin, state.known)
    const cameBytes = end - start
    const { unpackedBytes, heapBytes } = this.#host.wire
    const plainBytes = cameBytes + unpackedBytes
    const becameBytes = plainBytes + heapBytes
    if (unpackedBytes > 0 || heapBytes > DENSE_FACTOR * cameBytes)
      this.#count(state, cameBytes, plainBytes, becameBytes)
    const hold = this.#host.sink.deliver(this, signal, becameBytes)
    return hold === undefined ? undefined : this.#counted(hold)
  }

  /** Keys and names it will use by number. Throws ERR_SKEIN_PROTOCOL. */
  learnKeys(body: Uint8Array): void {
    const up = this.#up
    if (up === undefined) return
    const tell = tellerOf(up)
    learnKeys(up.known, body)
    tell(CONTROL.keysKnown, encodeNumber(up.known.length))
  }

  /** It knows so many of ours. Throws ERR_SKEIN_PROTOCOL. */
  keysKnown(count: number): void {
    const up = this.#up
    if (up === undefined) return
    tellerOf(up)
    up.keys?.acknowledge(count)
  }

  #count({ lanes }: Up, cameBytes: number, plainBytes: number, becameBytes: number): void {
    this.#cameBytes += cameBytes
    this.#plainBytes += plainBytes
    this.#becameBytes += becameBytes
    if (this.#becameBytes - this.#cameBytes < UNPACKED_BYTES_PER_TURN) return
    const isDense =
      this.#plainBytes > DENSE_FACTOR * this.#cameBytes || this.#becameBytes > DENSE_FACTOR * this.#plainBytes
    lanes.rest.begin(isDense ? 'long' : 'short', this.#becameBytes)
    this.#cameBytes = 0
    this.#plainBytes = 0
    this.#becameBytes = 0
  }

  #counted(hold: Hold): Hold {
    this.#holds++
    return {
      onceRelieved: (resume) =>
        hold.onceRelieved(() => {
          this.#holds--
          resume()
        }),
    }
  }

  /** The end, exactly once: what waits is dropped, and every monitor, link and call over this route fires. */
  end(): void {
    const before = this.#state
    if (before.phase === 'down') return
    this.#state = { phase: 'down' }
    const waits = before.phase === 'held' ? before.next : before
    if (waits.phase === 'dialling') for (const settle of waits.onSettled) settle()
    this.#host.sink.routeDown(this)
  }

  /** The connection there is, also if it may be given up. */
  get #up(): Up | undefined {
    const state = this.#state.phase === 'held' ? this.#state.up : this.#state
    return state.phase === 'up' ? state : undefined
  }

  #openSender(state: Up, from: number): LaneSender {
    const sender = state.lanes.sender(from)
    state.senders.set(from, sender)
    return sender
  }

  #wait(state: Dialling, from: number, parts: FrameParts): boolean {
    const bodyBytes = parts.body?.length ?? 0
    const sizeBytes = parts.headLength + bodyBytes
    if (state.waiting.length >= MAX_WAITING_SIGNALS || state.waitingBytes + sizeBytes > MAX_WAITING_BYTES) {
      throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `Too much already waits for ${this.node} while it is dialled.`)
    }
    const bytes = new Uint8Array(sizeBytes)
    bytes.set(parts.head.subarray(0, parts.headLength))
    if (parts.body !== undefined) bytes.set(parts.body, parts.headLength)
    state.waiting.push({ from, type: parts.type, bytes })
    state.waitingBytes += sizeBytes
    return state.waiting.length < HIGH_WATER_SIGNALS && state.waitingBytes < HIGH_WATER_BYTES
  }

  #sendWaiting(state: Up, { waiting, gone, onSettled }: Dialling): void {
    for (const frame of waiting) this.#sendLate(state, frame)
    for (const number of gone) this.senderGone(number)
    for (const settle of onSettled) settle()
  }

  /** MAX_WAITING_BYTES is far below what fresh or idle lanes take, so none of it is refused. */
  #sendLate(state: Up, frame: WaitingFrame): void {
    // Whoever announces a stream is told by the process layer.
    if (frame.type === FRAME_TYPES.stream && state.version < STREAMS_VERSION) return
    const sender = state.senders.get(frame.from) ?? this.#openSender(state, frame.from)
    const strips = !state.traces && (frame.type & TRACED) !== 0
    if (strips) sender.send(frame.type & ~TRACED, NO_HEAD, 0, frame.bytes.subarray(TRACE_BYTES))
    else sender.send(frame.type, NO_HEAD, 0, frame.bytes)
  }
}

/** Whoever did not say that it knows keys by number has none to tell. */
const tellerOf = ({ tell }: Up): TellPeer => {
  if (tell === undefined) throw new SkeinError('ERR_SKEIN_PROTOCOL', 'The peer tells of keys, and did not say it can.')
  return tell
}

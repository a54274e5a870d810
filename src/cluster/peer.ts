/**
 * One other node as the process layer sees it: a Route. It is made when somebody first needs the node, holds what is
 * sent while the dial runs, passes everything on once a session is attached, and ends once, for good.
 *
 * A route stands for one incarnation. While dialling it may not be known which; whoever sends to a pid pins it, and if
 * another incarnation answers, this route ends and a new one begins. So nothing meant for a process of the past reaches
 * one of the present. What it does not do: connect (dialler.ts), or decide when it is over (peers.ts).
 */
import { SkeinError } from '../../certs/errors.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import type { Hold, LaneConnection, LaneSender } from '../../transport/lane.ts'
import { Origin } from '../pid.ts'
import type { Route, SignalSink } from '../route.ts'
import type { Signal } from '../signals.ts'
import type { FrameParts, Wire } from '../wire/wire.ts'

/** What may wait for a dial to end; a sender beyond that is told ERR_SKEIN_QUEUE_FULL. */
export const MAX_WAITING_SIGNALS = 4096
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** From here on `send` answers false while dialling. */
const HIGH_WATER_SIGNALS = 1024
const HIGH_WATER_BYTES = 1024 * 1024

/** Nobody's: what is encoded for a peer not yet known spells out every origin. */
const UNKNOWN_ORIGIN = new Origin('', '', '')

const NO_HEAD = new Uint8Array(0)

/** What a peer needs of the node. */
export interface PeerHost {
  readonly wire: Wire
  readonly sink: SignalSink
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

interface Up {
  readonly phase: 'up'
  readonly lanes: LaneConnection
  readonly origin: Origin
  readonly version: number
  /** By number of the sending process. */
  readonly senders: Map<number, LaneSender>
}

type PeerState = Dialling | Up | { readonly phase: 'down' }

export class Peer implements Route {
  readonly node: string
  readonly #host: PeerHost
  #origin: Origin | undefined
  #state: PeerState = { phase: 'dialling', waiting: [], waitingBytes: 0, gone: new Set(), onSettled: [] }

  constructor(node: string, host: PeerHost) {
    this.node = node
    this.#host = host
  }

  get origin(): Origin | undefined {
    return this.#origin
  }

  get version(): number | undefined {
    return this.#state.phase === 'up' ? this.#state.version : undefined
  }

  get phase(): PeerState['phase'] {
    return this.#state.phase
  }

  /** From now on this route stands for that incarnation. */
  pin(origin: Origin): void {
    this.#origin ??= origin
  }

  /** The session is up: everything that waited goes out, in order. */
  attach(lanes: LaneConnection, origin: Origin, version: number): void {
    const before = this.#state
    if (before.phase !== 'dialling') return
    this.#origin = origin
    const state: Up = { phase: 'up', lanes, origin, version, senders: new Map() }
    this.#state = state
    for (const frame of before.waiting) this.#sendLate(state, frame)
    for (const number of before.gone) this.senderGone(number)
    for (const settle of before.onSettled) settle()
  }

  send(signal: Signal): boolean {
    const state = this.#state
    if (state.phase === 'up') {
      const parts = this.#host.wire.encode(signal, state.origin)
      const sender = state.senders.get(signal.from) ?? this.#openSender(state, signal.from)
      return sender.send(parts.type, parts.head, parts.headLength, parts.body)
    }
    return state.phase === 'down' || this.#wait(state, signal.from, this.#host.wire.encode(signal, UNKNOWN_ORIGIN))
  }

  drained(from: number): Promise<void> {
    const state = this.#state
    if (state.phase === 'up') return state.senders.get(from)?.drained() ?? Promise.resolve()
    if (state.phase === 'down') return Promise.resolve()
    return new Promise((resolve) => state.onSettled.push(resolve))
  }

  senderGone(from: number): void {
    const state = this.#state
    if (state.phase === 'up') {
      // Others may still be answered on its behalf (noproc), behind what it said itself.
      state.senders.get(from)?.close(() => state.senders.delete(from))
    } else if (state.phase === 'dialling' && state.waiting.some((frame) => frame.from === from)) {
      state.gone.add(from)
    }
  }

  /** While it is dialled nobody is owed so much. */
  giveUp(): void {
    const state = this.#state
    if (state.phase !== 'up') return
    state.lanes.close(
      wireCodeOf('ERR_SKEIN_LIMIT'),
      'ERR_SKEIN_LIMIT',
      'The node does not take the signals it is owed.',
    )
  }

  /** A frame of one of the peer's processes. Throws a SkeinError when it does not decode. */
  receive(type: number, buffer: Uint8Array, start: number, end: number): Hold | undefined {
    const state = this.#state
    if (state.phase !== 'up') return undefined
    return this.#host.sink.deliver(this, this.#host.wire.decode(type, buffer, start, end, state.origin), end - start)
  }

  /** The end, exactly once: what waits is dropped, and every monitor, link and call over this route fires. */
  end(): void {
    const before = this.#state
    if (before.phase === 'down') return
    this.#state = { phase: 'down' }
    if (before.phase === 'dialling') for (const settle of before.onSettled) settle()
    this.#host.sink.routeDown(this)
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

  /** MAX_WAITING_BYTES is far below what a fresh connection's lanes take, so none of it is refused. */
  #sendLate(state: Up, frame: WaitingFrame): void {
    const sender = state.senders.get(frame.from) ?? this.#openSender(state, frame.from)
    sender.send(frame.type, NO_HEAD, 0, frame.bytes)
  }
}

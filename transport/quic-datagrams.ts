/**
 * What travels in DATAGRAM frames (RFC 9221) of a QUIC connection. The first byte tells the kind:
 *
 *     1 probe        size u16, padding          does a packet of this size pass? (path-size.ts)
 *     2 probeAnswer  size u16
 *     3 challenge    nonce 8                    does this way lead to you? (way-keeper.ts)
 *     4 answer       nonce 8, uses u8           uses: 1 if the challenge came by the way the answering end uses itself
 *     5 message      bytes                      Connection.sendDatagram
 *     6 first half   number u16, bytes          of a message that is too long for one packet of this path
 *     7 second half  number u16, bytes
 *
 * Numbers are big-endian. What is malformed or of an unknown kind is ignored. Messages wait here and not with quiche,
 * whose queue stops at a message that fits no packet any more.
 *
 * Sans-io. It does not decide anything about ways or sizes.
 */
import type { Clock } from './clock.ts'
import { MAX_DATAGRAM_BYTES } from './transport.ts'
import { NONCE_BYTES } from './way-keeper.ts'

const PROBE = 1
const PROBE_ANSWER = 2
const CHALLENGE = 3
const ANSWER = 4
const MESSAGE = 5
const FIRST_HALF = 6
const SECOND_HALF = 7

const HALF_HEAD_BYTES = 3
/** Messages that wait for the congestion window; more are refused. About 1.3 MB. */
const MAX_WAITING_MESSAGES = 1024
/** Halves that wait for the other one; the oldest is forgotten. */
const MAX_HALVES = 64
const HALF_LIFE_MS = 1000
/** Header and tag of a 1-RTT packet (first byte, connection id, packet number, AEAD tag), and of the DATAGRAM frame. */
const FRAME_OVERHEAD_BYTES = 1 + 16 + 4 + 16 + 3

/** Who hears what came in. */
export interface DatagramListener {
  probed(sizeBytes: number): void
  probeAnswered(sizeBytes: number): void
  challenged(nonce: Uint8Array): void
  answered(nonce: Uint8Array, peerUsesIt: boolean): void
  message(bytes: Uint8Array): void
}

interface Half {
  readonly kind: typeof FIRST_HALF | typeof SECOND_HALF
  readonly bytes: Uint8Array
  readonly untilMs: number
}

const withSize = (bytes: Uint8Array, kind: number, sizeBytes: number): Uint8Array => {
  bytes[0] = kind
  bytes[1] = sizeBytes >> 8
  bytes[2] = sizeBytes & 0xff
  return bytes
}

/** A probe that makes its packet as long as this. */
export const probe = (packetBytes: number): Uint8Array =>
  withSize(new Uint8Array(packetBytes - FRAME_OVERHEAD_BYTES), PROBE, packetBytes)

export const probeAnswer = (packetBytes: number): Uint8Array => withSize(new Uint8Array(3), PROBE_ANSWER, packetBytes)

export const challenge = (nonce: Uint8Array): Uint8Array => Uint8Array.of(CHALLENGE, ...nonce)

export const challengeAnswer = (nonce: Uint8Array, usesIt: boolean): Uint8Array =>
  Uint8Array.of(ANSWER, ...nonce, usesIt ? 1 : 0)

/** Tells the listener of one DATAGRAM frame. A message keeps the frame's memory. */
export class QuicDatagrams {
  readonly #clock: Clock
  readonly #listener: DatagramListener
  /** From #firstWaiting on; frames as they go out, two for a message in halves. */
  #waiting: Uint8Array[] = []
  #firstWaiting = 0
  #nextNumber = 0
  /** By number; of each message the half that came first. */
  readonly #halves = new Map<number, Half>()
  /** Messages not taken, since too many waited or they no longer fit the path. */
  dropped = 0

  constructor(clock: Clock, listener: DatagramListener) {
    this.#clock = clock
    this.#listener = listener
  }

  // ---- out

  /** Takes a message for a path of packets of this size; the bytes are copied. False: too many wait. */
  queue(bytes: Uint8Array, packetBytes: number): boolean {
    if (bytes.length > MAX_DATAGRAM_BYTES || this.waiting + 2 > MAX_WAITING_MESSAGES) {
      this.dropped++
      return false
    }
    const room = packetBytes - FRAME_OVERHEAD_BYTES
    if (bytes.length < room) {
      const frame = new Uint8Array(1 + bytes.length)
      frame[0] = MESSAGE
      frame.set(bytes, 1)
      this.#waiting.push(frame)
      return true
    }
    const number = this.#nextNumber
    this.#nextNumber = (number + 1) & 0xffff
    const middle = bytes.length >> 1
    for (const [kind, part] of [
      [FIRST_HALF, bytes.subarray(0, middle)],
      [SECOND_HALF, bytes.subarray(middle)],
    ] as const) {
      const frame = withSize(new Uint8Array(HALF_HEAD_BYTES + part.length), kind, number)
      frame.set(part, HALF_HEAD_BYTES)
      this.#waiting.push(frame)
    }
    return true
  }

  get waiting(): number {
    return this.#waiting.length - this.#firstWaiting
  }

  /** The next frame for a packet of this size; one that fits no more is dropped. */
  next(packetBytes: number): Uint8Array | undefined {
    for (;;) {
      const frame = this.#waiting[this.#firstWaiting]
      if (frame === undefined) return undefined
      if (++this.#firstWaiting === this.#waiting.length || this.#firstWaiting >= MAX_WAITING_MESSAGES) {
        this.#waiting = this.#waiting.slice(this.#firstWaiting)
        this.#firstWaiting = 0
      }
      if (frame.length <= packetBytes - FRAME_OVERHEAD_BYTES) return frame
      this.dropped++
    }
  }

  // ---- in

  /** One frame of the peer's; of a message its memory is passed on. */
  receive(frame: Uint8Array): void {
    const listener = this.#listener
    switch (frame[0]) {
      case PROBE:
        if (frame.length >= 3) listener.probed(numberIn(frame))
        return
      case PROBE_ANSWER:
        if (frame.length >= 3) listener.probeAnswered(numberIn(frame))
        return
      case CHALLENGE:
        if (frame.length === 1 + NONCE_BYTES) listener.challenged(frame.subarray(1))
        return
      case ANSWER:
        if (frame.length === 2 + NONCE_BYTES)
          listener.answered(frame.subarray(1, 1 + NONCE_BYTES), frame[1 + NONCE_BYTES] === 1)
        return
      case MESSAGE:
        if (frame.length <= 1 + MAX_DATAGRAM_BYTES) listener.message(frame.subarray(1))
        return
      case FIRST_HALF:
      case SECOND_HALF:
        this.#receiveHalf(frame[0], frame)
    }
  }

  #receiveHalf(kind: typeof FIRST_HALF | typeof SECOND_HALF, frame: Uint8Array): void {
    if (frame.length < HALF_HEAD_BYTES || frame.length > HALF_HEAD_BYTES + MAX_DATAGRAM_BYTES) return
    const now = this.#clock.now()
    const number = numberIn(frame)
    const bytes = frame.subarray(HALF_HEAD_BYTES)
    const other = this.#halves.get(number)
    this.#halves.delete(number)
    // Numbers come round again: a half that waited long belongs to a message long gone.
    if (other !== undefined && other.kind !== kind && now < other.untilMs) {
      const [first, second] = kind === FIRST_HALF ? [bytes, other.bytes] : [other.bytes, bytes]
      const message = new Uint8Array(first.length + second.length)
      message.set(first)
      message.set(second, first.length)
      if (message.length <= MAX_DATAGRAM_BYTES) this.#listener.message(message)
      return
    }
    this.#halves.set(number, { kind, bytes, untilMs: now + HALF_LIFE_MS })
    if (this.#halves.size <= MAX_HALVES) return
    for (const oldest of this.#halves.keys()) {
      this.#halves.delete(oldest)
      return
    }
  }
}

const numberIn = (frame: Uint8Array): number => ((frame[1] as number) << 8) | (frame[2] as number)

/**
 * Acknowledgements, loss and silence of one end of a connection, after RFC 9002 and RFC 9000 section 10.1, without
 * congestion control: the window is fixed. It keeps no timer; the connection asks for the `deadline`.
 */
import type { DataPacket, Frame } from './memory-packet.ts'

/** RFC 9002, 6.1.1: a packet is lost when one sent this many later was acknowledged. */
const PACKET_THRESHOLD = 3
/** RFC 9002, 6.1.2: or when it was sent this many round trips before an acknowledged one. */
const TIME_THRESHOLD = 9 / 8
/** RFC 9002, 6.2.2. */
const INITIAL_RTT_MS = 333
/** RFC 9002, 6.1.2: the granularity of timers. */
const GRANULARITY_MS = 1
/** Probes back off to this interval and no further, so that a healed network is noticed soon. */
const MAX_PROBE_INTERVAL_MS = 1000

interface Sent {
  readonly frames: readonly Frame[]
  readonly sizeBytes: number
  readonly sentMs: number
}

const NOTHING: readonly number[] = []

export class Recovery {
  rttMs = 0
  lostPackets = 0
  inFlightBytes = 0
  #varianceMs = 0
  /** By packet number, ascending. */
  readonly #inFlight = new Map<number, Sent>()
  #nextNumber = 0
  #largestAcked = -1
  #lastSentMs = 0
  #probes = 0
  /** RFC 9000, 10.1: restarts when the peer is heard, and at the first sending after that. */
  #silentSinceMs = 0
  #sentSinceHeard = false
  // The receiving side.
  #receivedBelow = 0
  readonly #receivedAbove = new Set<number>()

  /** True while something waits for its acknowledgement. */
  get isWaiting(): boolean {
    return this.#inFlight.size > 0
  }

  get unresolvedFrom(): number {
    for (const number of this.#inFlight.keys()) return number
    return this.#nextNumber
  }

  get receivedBelow(): number {
    return this.#receivedBelow
  }

  get receivedAbove(): readonly number[] {
    return this.#receivedAbove.size === 0 ? NOTHING : [...this.#receivedAbove]
  }

  /** Notes a packet that wants an acknowledgement; returns its number. */
  sent(frames: readonly Frame[], sizeBytes: number, nowMs: number): number {
    const number = this.#nextNumber++
    this.#inFlight.set(number, { frames, sizeBytes, sentMs: nowMs })
    this.inFlightBytes += sizeBytes
    this.#lastSentMs = nowMs
    if (!this.#sentSinceHeard) {
      this.#sentSinceHeard = true
      this.#silentSinceMs = nowMs
    }
    return number
  }

  /** Takes in the header of a packet from the peer; false when the packet was here before. */
  received(packet: DataPacket, nowMs: number): boolean {
    this.#silentSinceMs = nowMs
    this.#sentSinceHeard = false
    this.#acknowledged(packet, nowMs)
    const number = packet.number
    if (number === undefined) return true
    const above = this.#receivedAbove
    const isNew = number >= this.#receivedBelow && !above.has(number)
    if (isNew) above.add(number)
    if (packet.unresolvedFrom > this.#receivedBelow) {
      this.#receivedBelow = packet.unresolvedFrom
      for (const one of above) if (one < this.#receivedBelow) above.delete(one)
    }
    while (above.delete(this.#receivedBelow)) this.#receivedBelow++
    return isNew
  }

  /** Takes out the packets that must be counted as lost by now, to be sent again. */
  takeLost(nowMs: number): readonly (readonly Frame[])[] {
    const lost: (readonly Frame[])[] = []
    for (const [number, sent] of this.#inFlight) {
      if (number > this.#largestAcked) break
      if (this.#largestAcked - number < PACKET_THRESHOLD && nowMs < sent.sentMs + this.#lossDelayMs()) continue
      this.#resolve(number, sent)
      this.lostPackets++
      lost.push(sent.frames)
    }
    return lost
  }

  /** Takes out the oldest packet when nothing was heard for too long: sent again, it makes the peer answer. */
  takeProbe(nowMs: number): readonly Frame[] | undefined {
    if (nowMs < this.#lastSentMs + this.#probeIntervalMs()) return undefined
    for (const [number, sent] of this.#inFlight) {
      this.#resolve(number, sent)
      this.lostPackets++
      this.#probes++
      return sent.frames
    }
    return undefined
  }

  /** When to look again, while something waits. */
  deadlineMs(): number {
    let deadline = this.#lastSentMs + this.#probeIntervalMs()
    for (const [number, sent] of this.#inFlight) {
      if (number < this.#largestAcked) deadline = Math.min(deadline, sent.sentMs + this.#lossDelayMs())
      break
    }
    return deadline
  }

  /** Since when the peer has owed a sign of life. */
  get silentSinceMs(): number {
    return this.#silentSinceMs
  }

  #acknowledged(packet: DataPacket, nowMs: number): void {
    let newest = -1
    let newestSentMs = 0
    const resolve = (number: number, sent: Sent): void => {
      this.#resolve(number, sent)
      if (number <= newest) return
      newest = number
      newestSentMs = sent.sentMs
    }
    for (const [number, sent] of this.#inFlight) {
      if (number >= packet.ackedBelow) break
      resolve(number, sent)
    }
    for (const number of packet.ackedAbove) {
      const sent = this.#inFlight.get(number)
      if (sent !== undefined) resolve(number, sent)
    }
    if (newest < 0) return
    this.#probes = 0
    if (newest > this.#largestAcked) {
      this.#largestAcked = newest
      this.#sampleRtt(nowMs - newestSentMs)
    }
  }

  #resolve(number: number, sent: Sent): void {
    this.#inFlight.delete(number)
    this.inFlightBytes -= sent.sizeBytes
  }

  /** RFC 9002, 5.3. */
  #sampleRtt(sampleMs: number): void {
    if (this.rttMs === 0) {
      this.rttMs = sampleMs
      this.#varianceMs = sampleMs / 2
      return
    }
    this.#varianceMs = (3 * this.#varianceMs + Math.abs(this.rttMs - sampleMs)) / 4
    this.rttMs = (7 * this.rttMs + sampleMs) / 8
  }

  #lossDelayMs(): number {
    return Math.max(GRANULARITY_MS, TIME_THRESHOLD * (this.rttMs + this.#varianceMs))
  }

  /** RFC 9002, 6.2.1. */
  #probeIntervalMs(): number {
    const interval =
      this.rttMs === 0
        ? 3 * INITIAL_RTT_MS
        : this.rttMs + Math.max(GRANULARITY_MS, 4 * this.#varianceMs) + GRANULARITY_MS
    return Math.max(interval, Math.min(interval * 2 ** this.#probes, MAX_PROBE_INTERVAL_MS))
  }
}

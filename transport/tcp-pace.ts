/**
 * How much of what was written to a TCP connection may be under way, between this process and the peer's.
 *
 * The kernel takes megabytes into its send buffer, and whatever is urgent would wait behind them. Node cannot set
 * TCP_NOTSENT_LOWAT, so the ends count themselves: pings between the data are answered in order, and what precedes an
 * answered ping has arrived. Rate and round trip follow from the same answers. Twice what the path holds may be under
 * way, as in BBR (its congestion window's gain): enough to find more bandwidth, and no more than one path's worth waits.
 *
 * Sans-io: it is told what was written and answered, and says when a ping is due.
 */
import type { PathFigures } from './bulk-room.ts'

/** Beyond this many bytes since the last ping another one is due within a flush, and beyond the smaller one behind it. */
const PING_EVERY_BYTES = 32 * 1024
const PING_BEHIND_BYTES = 4 * 1024
/** Pings not answered; while there are so many no more are sent, and the next one speaks for all. */
const MAX_PINGS = 1024
/** Bounds of what may be under way, bytes: the least keeps a local network busy whose ends are slow to answer. */
const LEAST_WINDOW_BYTES = 1 << 20
const MOST_WINDOW_BYTES = 16 << 20
const WINDOW_GAIN = 2
/** Weight of a new round trip in the smoothed one (RFC 6298, section 2). */
const RTT_WEIGHT = 1 / 8
/** The best rate seen counts half after this long: paths change, and pauses say nothing about them. */
const RATE_HALF_LIFE_MS = 5000

interface Ping {
  readonly number: number
  readonly sentMs: number
  /** Bytes written before it. */
  readonly writtenBytes: number
  /** Bytes known to have arrived when it was sent, and since when. */
  readonly arrivedBytes: number
  readonly arrivedMs: number
}

export class TcpPace {
  writtenBytes = 0
  #arrivedBytes = 0
  #arrivedMs = 0
  #pingedBytes = 0
  #lastNumber = 0
  readonly #pings: Ping[] = []
  /** Smoothed; 0 before the first answer. */
  rttMs = 0
  /** The shortest is the path's own, which a TCP connection keeps; longer ones hold queues. */
  #leastRttMs = Number.POSITIVE_INFINITY
  #bytesPerSecond = 0
  #ratedMs = 0

  get underWayBytes(): number {
    return this.writtenBytes - this.#arrivedBytes
  }

  get windowBytes(): number {
    if (this.rttMs === 0) return LEAST_WINDOW_BYTES
    const heldBytes = (this.#bytesPerSecond * this.#leastRttMs) / 1000
    return Math.floor(Math.min(MOST_WINDOW_BYTES, Math.max(LEAST_WINDOW_BYTES, WINDOW_GAIN * heldBytes)))
  }

  figures(): PathFigures {
    const rttMs = this.rttMs === 0 ? 0 : this.#leastRttMs
    return { windowBytes: this.windowBytes, bytesPerSecond: this.#bytesPerSecond, rttMs }
  }

  /** So much was written that a ping should follow; `behind`: nothing more is written for now. */
  pingIsDue(behind: boolean): boolean {
    const sinceBytes = this.writtenBytes - this.#pingedBytes
    return sinceBytes >= (behind ? PING_BEHIND_BYTES : PING_EVERY_BYTES)
  }

  /** The number of a ping to be sent now; undefined while too many are not answered. */
  ping(nowMs: number): number | undefined {
    if (this.#pings.length >= MAX_PINGS) return undefined
    this.#lastNumber = (this.#lastNumber + 1) >>> 0
    this.#pingedBytes = this.writtenBytes
    const number = this.#lastNumber
    // After a pause the rate is measured from its end on.
    if (this.#pings.length === 0) this.#arrivedMs = nowMs
    this.#pings.push({
      number,
      sentMs: nowMs,
      writtenBytes: this.writtenBytes,
      arrivedBytes: this.#arrivedBytes,
      arrivedMs: this.#arrivedMs,
    })
    return number
  }

  /** False for an answer to what was never asked. */
  answered(number: number, nowMs: number): boolean {
    const index = this.#pings.findIndex((ping) => ping.number === number)
    if (index < 0) return false
    const [ping] = this.#pings.splice(0, index + 1).slice(-1) as [Ping]
    const rttMs = Math.max(nowMs - ping.sentMs, Number.EPSILON)
    this.rttMs = this.rttMs === 0 ? rttMs : this.rttMs + RTT_WEIGHT * (rttMs - this.rttMs)
    this.#leastRttMs = Math.min(this.#leastRttMs, rttMs)
    this.#arrivedBytes = ping.writtenBytes
    this.#arrivedMs = nowMs
    // From one answer to the next, as in BBR: the round trip of a single ping says nothing of what was sent long before it.
    const tookMs = Math.max(nowMs - ping.arrivedMs, rttMs)
    const sample = (1000 * (ping.writtenBytes - ping.arrivedBytes)) / tookMs
    const faded = this.#bytesPerSecond * 0.5 ** ((nowMs - this.#ratedMs) / RATE_HALF_LIFE_MS)
    this.#bytesPerSecond = Math.max(sample, faded)
    this.#ratedMs = nowMs
    return true
  }
}

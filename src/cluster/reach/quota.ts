/**
 * A rate that many share: each who uses it has an equal part of it for certain, and beyond that what the others leave.
 *
 * So whoever takes all there is takes nothing from somebody within his part. Over any time all together get at most the
 * rate and twice the burst. Those count as users who asked for something in this second or the one before. Pure: the time
 * is brought along. It keeps no list of users; each holds its own `Share`.
 */
const WINDOW_MS = 1000

/** What one user may take at once, for a start and when there are many, bytes: some of the longest datagrams. */
const MIN_SHARE_BYTES = 4 * 1280

/** What one user has of it. */
export class Share {
  leftBytes = MIN_SHARE_BYTES
  atMs: number
  /** The window in which it was used last. */
  window = -1

  constructor(nowMs: number) {
    this.atMs = nowMs
  }
}

export class SharedRate {
  readonly #bytesPerSecond: number
  readonly #burstBytes: number
  #leftBytes: number
  #atMs: number
  #window = -1
  #users = 0
  #usersBefore = 0

  constructor(bytesPerSecond: number, burstBytes: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond
    this.#burstBytes = burstBytes
    this.#leftBytes = burstBytes
    this.#atMs = nowMs
  }

  /** False: so much may not be sent now, and nothing was taken. */
  take(share: Share, nowMs: number, bytes: number): boolean {
    this.#count(share, nowMs)
    const users = Math.max(1, this.#users, this.#usersBefore)
    this.#leftBytes = Math.min(this.#burstBytes, this.#leftBytes + this.#flow(nowMs - this.#atMs))
    this.#atMs = nowMs
    const mostBytes = Math.max(MIN_SHARE_BYTES, this.#burstBytes / users)
    share.leftBytes = Math.min(mostBytes, share.leftBytes + this.#flow(nowMs - share.atMs) / users)
    share.atMs = nowMs
    // A part that was saved up may lead into debt, which the rate pays back before anybody gets more than his part.
    const isOwn = share.leftBytes >= bytes && this.#leftBytes - bytes >= -this.#burstBytes
    if (!isOwn && this.#leftBytes < bytes) return false
    if (isOwn) share.leftBytes -= bytes
    this.#leftBytes -= bytes
    return true
  }

  #flow(ms: number): number {
    return (ms / 1000) * this.#bytesPerSecond
  }

  #count(share: Share, nowMs: number): void {
    const window = Math.floor(nowMs / WINDOW_MS)
    if (window !== this.#window) {
      this.#usersBefore = window === this.#window + 1 ? this.#users : 0
      this.#users = 0
      this.#window = window
    }
    if (share.window === window) return
    share.window = window
    this.#users++
  }
}

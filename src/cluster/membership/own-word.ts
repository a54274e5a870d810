/**
 * What this node says of itself beyond a full mesh: that it is there, after doubts that it still is, and that it leaves.
 *
 * A refutation raises the number that doubts are bound to, so it makes all of them void; each accuser counts once, however
 * often others repeat its doubt. It is said no more than once a second. What it does not do: judge others.
 */
import type { Address } from '../../../transport/address.ts'
import type { Origin } from '../../pid.ts'
import type { Grapevine } from './grapevine.ts'
import type { Announcement, Doubt, Notary } from './statements.ts'

/** Own refutations no more often. */
const MIN_REFUTATION_INTERVAL_MS = 1000

export interface OwnWordOptions {
  readonly self: Origin
  readonly notary: Pick<Notary, 'announce'>
  readonly grapevine: Pick<Grapevine, 'spread' | 'flush'>
  /** Where this node listens. */
  readonly addresses: () => readonly Address[]
}

export class OwnWord {
  readonly #options: OwnWordOptions
  #said: Announcement
  #refutedMs = Number.NEGATIVE_INFINITY
  /** A doubt to refute came too soon after the last one. */
  #mustRefute = false
  /** Whose doubts are not refuted yet. */
  readonly #accusers = new Set<string>()

  constructor(options: OwnWordOptions) {
    this.#options = options
    this.#said = this.#announce(0, false)
  }

  /** What it said last. */
  get said(): Announcement {
    return this.#said
  }

  /** This doubt is of what was said last, and its author has not told it before. */
  mustAnswer({ signer, incarnation, refutation }: Doubt): boolean {
    const { self } = this.#options
    return incarnation === self.incarnation && refutation === this.#said.refutation && !this.#accusers.has(signer)
  }

  doubtedBy(accuser: string, nowMs: number): void {
    this.#accusers.add(accuser)
    this.#refute(nowMs)
  }

  beat(nowMs: number): void {
    if (this.#mustRefute) this.#refute(nowMs)
  }

  /** The last word, at once. */
  leave(): void {
    this.#say(this.#announce(this.#said.refutation, true))
    this.#options.grapevine.flush()
  }

  #refute(nowMs: number): void {
    this.#mustRefute = nowMs - this.#refutedMs < MIN_REFUTATION_INTERVAL_MS
    if (this.#mustRefute) return
    this.#refutedMs = nowMs
    this.#accusers.clear()
    this.#say(this.#announce(this.#said.refutation + 1, false))
  }

  #say(announcement: Announcement): void {
    this.#said = announcement
    this.#options.grapevine.spread(announcement)
  }

  #announce(refutation: number, hasLeft: boolean): Announcement {
    const { self, notary, addresses } = this.#options
    const { name, incarnation } = self
    return notary.announce({ name, incarnation, refutation, hasLeft, addresses: addresses() })
  }
}

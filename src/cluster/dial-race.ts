/**
 * One dial to one node at several addresses: who answers first wins (RFC 8305 section 5).
 *
 * Addresses are tried in their order, each a moment after the one before, or as soon as one failed; none is given up
 * meanwhile. When none is left and nobody has answered, the node is searched for once: it may have moved. New places join
 * the race as they become known. It ends with the first peer that is up, or when everything has failed.
 */
import type { Attempt } from '../../certs/errors.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { DialOutcome } from './dialler.ts'
import type { Peer } from './peer.ts'

/** RFC 8305 section 5: how long an attempt has to itself before the next one begins. */
const STAGGER_MS = 250
/** Addresses tried in one dial. */
const MAX_ATTEMPTS = 16

/** One address, and who is expected there. */
export interface Place {
  readonly id: string | undefined
  readonly address: Address
}

export interface DialRaceOptions {
  readonly clock: Clock
  /** What is known now, in the order to try. */
  readonly places: () => readonly Place[]
  /** Looks for more places; undefined if there is nothing to look by. Never rejects. */
  readonly search: (() => Promise<void>) | undefined
  /** Tries one. Never rejects. */
  readonly attempt: (place: Place) => Promise<DialOutcome>
  /** The node is connected by another way. */
  readonly connected: (places: readonly Place[]) => Peer | undefined
}

export class DialRace {
  /** The winner, undefined if there is none. */
  readonly result: Promise<Peer | undefined>
  readonly #options: DialRaceOptions
  readonly #tried = new Set<string>()
  /** What became of each attempt that failed, by the order of their beginning. */
  readonly #failures = new Map<number, Attempt>()
  #pending = 0
  #stagger: Timer | undefined
  #searched = false
  #searching = false
  #over = false
  #settle: (peer: Peer | undefined) => void = () => {}

  constructor(options: DialRaceOptions) {
    this.#options = options
    this.result = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.goOn()
  }

  /** What was tried, in that order. */
  get failures(): readonly Attempt[] {
    return [...this.#failures].sort(([a], [b]) => a - b).map(([, attempt]) => attempt)
  }

  /** Something is new: an attempt ended, a place became known, it is time for the next one. */
  goOn(): void {
    if (this.#over) return
    this.#stagger?.cancel()
    const { places, connected, search } = this.#options
    const all = places()
    const already = connected(all)
    if (already !== undefined) return this.#end(already)
    const isLeft = this.#tried.size < MAX_ATTEMPTS
    const next = isLeft ? all.find(({ address }) => !this.#tried.has(formatAddress(address))) : undefined
    if (next !== undefined) void this.#begin(next)
    else if (search !== undefined && !this.#searched) void this.#search(search)
    else if (this.#pending === 0 && !this.#searching) this.#end(undefined)
  }

  /** Ends it without a winner; attempts under way end by themselves. */
  stop(): void {
    this.#end(undefined)
  }

  async #begin(place: Place): Promise<void> {
    const what = formatAddress(place.address)
    const order = this.#tried.add(what).size
    this.#pending++
    this.#stagger = this.#options.clock.after(STAGGER_MS, () => this.goOn())
    const outcome = await this.#options.attempt(place)
    this.#pending--
    if (outcome.type === 'up') return this.#end(outcome.peer)
    this.#failures.set(order, { what, code: outcome.end.code, message: outcome.end.message })
    this.goOn()
  }

  async #search(search: () => Promise<void>): Promise<void> {
    this.#searched = true
    this.#searching = true
    await search()
    this.#searching = false
    this.goOn()
  }

  #end(peer: Peer | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#stagger?.cancel()
    this.#settle(peer)
  }
}

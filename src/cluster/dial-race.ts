/**
 * One dial to one node at several addresses: who answers first wins (RFC 8305 section 5).
 *
 * Addresses are tried in their order, each a moment after the one before, or as soon as one failed; none is given up
 * meanwhile. When none is left and nobody has answered, the node is searched for: it may have moved. New places join
 * the race as they become known. It ends with the first peer that is up, or when everything has failed.
 */
import type { Attempt, ErrorCode } from '../../certs/errors.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { DialOutcome } from './dialler.ts'
import type { Peer } from './peer.ts'

/** RFC 8305 section 5: how long an attempt has to itself before the next one begins. */
const STAGGER_MS = 250
/** Addresses tried in one dial, by each carrier. */
const MAX_ATTEMPTS = 16

/** How it shows that a node is not, or no longer, where it was looked for. */
const ABSENT: readonly string[] = [
  'closed',
  'ERR_SKEIN_BAD_ADDRESS',
  'ERR_SKEIN_CERT_FOREIGN',
  'ERR_SKEIN_CONNECT_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_NO_RELAY',
  'ERR_SKEIN_STOPPED',
] satisfies readonly (ErrorCode | 'closed')[]

/** One address, and who is expected there; or any relay to that node. */
export type Place = AddressPlace | RelayPlace

export interface AddressPlace {
  readonly id: string | undefined
  readonly address: Address
  readonly by: 'udp' | 'tcp'
}

interface RelayPlace {
  readonly id: string
  readonly by: 'relay'
  /** Beside whatever else is tried, not after it. */
  readonly atOnce: boolean
}

export interface DialRaceOptions {
  readonly clock: Clock
  /** What is known now, in the order to try. */
  readonly places: () => readonly Place[]
  /** Begins to look for more places; undefined if there is nothing to look by. Calls back in the end, unless cancelled. */
  readonly search: ((onOver: () => void) => Timer) | undefined
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
  readonly #begun = { udp: 0, tcp: 0, relay: 0 }
  /** What became of each attempt that failed, by the order of their beginning. */
  readonly #failures = new Map<number, Attempt>()
  #pending = 0
  #stagger: Timer | undefined
  /** Undefined before it began. */
  #search: Timer | undefined
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
    const left = all.filter((place) => this.#begun[place.by] < MAX_ATTEMPTS && !this.#tried.has(labelOf(place)))
    for (const place of left) if (isAtOnce(place)) void this.#begin(place)
    const next = left.find((place) => !isAtOnce(place))
    if (next !== undefined) void this.#begin(next)
    else if (this.#pending === 0 && this.#wasRefused) this.#end(undefined)
    else if (search !== undefined && this.#search === undefined) this.#beginSearch(search)
    else if (this.#pending === 0 && !this.#searching) this.#end(undefined)
  }

  /** Ends it without a winner; attempts under way end by themselves. */
  stop(): void {
    this.#end(undefined)
  }

  async #begin(place: Place): Promise<void> {
    const what = labelOf(place)
    const order = this.#tried.add(what).size
    this.#begun[place.by]++
    this.#pending++
    if (!isAtOnce(place)) this.#stagger = this.#options.clock.after(STAGGER_MS, () => this.goOn())
    const outcome = await this.#options.attempt(place)
    this.#pending--
    if (outcome.type === 'up') return this.#end(outcome.peer)
    this.#failures.set(order, { what, code: outcome.end.code, message: outcome.end.message })
    this.goOn()
  }

  /** Somebody answered, and it was the right one: no other place would change its mind. */
  get #wasRefused(): boolean {
    return [...this.#failures.values()].some(({ code }) => !ABSENT.includes(code))
  }

  #beginSearch(search: (onOver: () => void) => Timer): void {
    this.#searching = true
    this.#search = search(() => {
      this.#searching = false
      this.goOn()
    })
  }

  #end(peer: Peer | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#stagger?.cancel()
    this.#search?.cancel()
    this.#settle(peer)
  }
}

/** How an attempt is called, among those of one node. */
const labelOf = (place: Place): string => {
  if (place.by === 'relay') return `a relay to ${place.id}`
  return place.by === 'tcp' ? `${formatAddress(place.address)} over TCP` : formatAddress(place.address)
}

const isAtOnce = (place: Place): boolean => place.by === 'relay' && place.atOnce

/**
 * What others see of this node: its public address, voted for by the 'ip' of their replies (BEP 42).
 *
 * Anybody can lie, so a network has one vote (a /16 of IPv4, a /32 of IPv6: what one party hardly has many of), the last
 * it gave. The host changes only when enough networks agree on another one, and more of them than on any other; until
 * then votes do nothing. Ports count apart: observers who see one host with different ports tell of a NAT that maps every
 * destination anew. Votes grow old, and the table of them is bounded. One instance is for one family of addresses.
 */
import type { Address } from '../../transport/address.ts'
import { familyOf, hostBytes, IPV4_BYTES } from './compact-address.ts'
import { isExemptHost } from './dht-id.ts'

/** How many networks must agree before a host is believed. */
const AGREEING_VOTES = 4
/** Twice the time after which a quiet bucket is refreshed. */
const VOTE_LIFETIME_MS = 30 * 60_000
/** The oldest vote goes first. */
export const MAX_VOTES = 64

interface Vote {
  readonly observed: Address
  readonly atMs: number
}

/** What the ports in the votes tell of the NAT on the way; 'varying': hardly two observers see the same. */
export type PortMapping = 'unknown' | 'stable' | 'varying'

export interface AddressVotesOptions {
  /** Who has one vote: a network; or, in a private DHT, all of which may lie in one network, a host. */
  readonly voter?: 'network' | 'host'
}

export class AddressVotes {
  readonly #votesByHost: boolean
  /** By voter, the oldest first. */
  readonly #votes = new Map<string, Vote>()
  #host: string | undefined

  constructor({ voter = 'network' }: AddressVotesOptions = {}) {
    this.#votesByHost = voter === 'host'
  }

  /** The host that was agreed upon last. */
  get host(): string | undefined {
    return this.#host
  }

  /** The agreed host with the port that most observers see, if more than half of them do. */
  get address(): Address | undefined {
    const { port, votes, outOf } = this.#ports()
    return this.#host === undefined || port === undefined || votes * 2 <= outOf ? undefined : { host: this.#host, port }
  }

  get portMapping(): PortMapping {
    const { votes, outOf } = this.#ports()
    if (votes * 2 > outOf) return votes >= 2 ? 'stable' : 'unknown'
    return outOf >= AGREEING_VOTES ? 'varying' : 'unknown'
  }

  /** How many votes are held. */
  get size(): number {
    return this.#votes.size
  }

  /** Counts what `observer` sees. True if the agreed host is another one now. */
  add(observed: Address, observer: Address, nowMs: number): boolean {
    if (!isCredible(observed.host, observer.host)) return false
    const voter = this.#votesByHost ? observer.host : networkOf(observer.host)
    this.#votes.delete(voter)
    this.#votes.set(voter, { observed, atMs: nowMs })
    for (const [old, { atMs }] of this.#votes) {
      if (nowMs - atMs < VOTE_LIFETIME_MS && this.#votes.size <= MAX_VOTES) break
      this.#votes.delete(old)
    }
    // The favourite can only have become the host just voted for.
    if (observed.host === this.#host) return false
    const hosts = tally([...this.#votes.values()].map((vote) => vote.observed.host))
    const votes = hosts.get(observed.host) ?? 0
    hosts.delete(observed.host)
    if (votes < AGREEING_VOTES || votes <= Math.max(0, ...hosts.values())) return false
    this.#host = observed.host
    return true
  }

  /** The favourite port among those who see the agreed host, with its votes and theirs in all. */
  #ports(): { port: number | undefined; votes: number; outOf: number } {
    const seen = [...this.#votes.values()].map(({ observed }) => observed).filter(({ host }) => host === this.#host)
    let best: { port: number | undefined; votes: number } = { port: undefined, votes: 0 }
    for (const [port, votes] of tally(seen.map(({ port }) => port))) if (votes > best.votes) best = { port, votes }
    return { ...best, outOf: seen.length }
  }
}

const tally = <T>(items: readonly T[]): Map<T, number> => {
  const counts = new Map<T, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return counts
}

/** A private address says nothing about how a public observer sees this node, nor does one of the other family. */
const isCredible = (observed: string, observer: string): boolean =>
  familyOf(observed) === familyOf(observer) && (!isExemptHost(observed) || isExemptHost(observer))

const networkOf = (host: string): string => {
  const bytes = hostBytes(host)
  if (bytes === undefined) return host
  return bytes.subarray(0, bytes.length === IPV4_BYTES ? 2 : 4).join('.')
}

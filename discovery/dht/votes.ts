/**
 * What others see of this node: its public address, voted for by the 'ip' of their replies (BEP 42).
 *
 * Anybody can lie, so a network has one vote (a /16 of IPv4, a /32 of IPv6: what one party hardly has many of), the last
 * it gave. The host changes only when enough networks agree on another one, and more of them than on any other; until
 * then votes do nothing. Ports count apart: observers who see one host with different ports tell of a NAT that maps every
 * destination anew. Votes grow old, and the table of them is bounded. One instance is for one family of addresses.
 *
 * Where voters are known by their keys (src/cluster/reach/self-view.ts) each host has a vote, fewer are enough, and they
 * last until they are taken back.
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
  /** How many must agree before a host is believed, and how many tell that ports vary. Default: 4. */
  readonly agreeing?: number
  /** Default: 30 minutes. */
  readonly lifetimeMs?: number
}

export class AddressVotes {
  readonly #votesByHost: boolean
  readonly #agreeing: number
  readonly #lifetimeMs: number
  /** By voter, the oldest first. */
  readonly #votes = new Map<string, Vote>()
  #host: string | undefined

  constructor(options: AddressVotesOptions = {}) {
    const { voter = 'network', agreeing = AGREEING_VOTES, lifetimeMs = VOTE_LIFETIME_MS } = options
    this.#votesByHost = voter === 'host'
    this.#agreeing = agreeing
    this.#lifetimeMs = lifetimeMs
  }

  /** The host that was agreed upon last. */
  get host(): string | undefined {
    return this.#host
  }

  /** More than half of all who have a vote see the agreed host. */
  get isUndisputed(): boolean {
    return this.#host !== undefined && (this.#hosts().get(this.#host) ?? 0) * 2 > this.#votes.size
  }

  /** The agreed host with the port that most observers see, if more than half of them do. */
  get address(): Address | undefined {
    const { port, votes, outOf } = this.#ports()
    return this.#host === undefined || port === undefined || votes * 2 <= outOf ? undefined : { host: this.#host, port }
  }

  get portMapping(): PortMapping {
    return this.portMappingSince(Number.NEGATIVE_INFINITY)
  }

  /** As those votes tell that were given at this time or later. */
  portMappingSince(sinceMs: number): PortMapping {
    const { votes, outOf } = this.#ports(sinceMs)
    if (votes * 2 > outOf) return votes >= 2 ? 'stable' : 'unknown'
    return outOf >= this.#agreeing ? 'varying' : 'unknown'
  }

  /** How many votes are held. */
  get size(): number {
    return this.#votes.size
  }

  /** Counts what `observer` sees. True if the agreed host is another one now. */
  add(observed: Address, observer: Address, nowMs: number): boolean {
    if (!isCredible(observed.host, observer.host)) return false
    const voter = this.#voterAt(observer.host)
    this.#votes.delete(voter)
    this.#votes.set(voter, { observed, atMs: nowMs })
    for (const [old, { atMs }] of this.#votes) {
      if (nowMs - atMs < this.#lifetimeMs && this.#votes.size <= MAX_VOTES) break
      this.#votes.delete(old)
    }
    // The favourite can only have become the host just voted for.
    return this.#elect(observed.host)
  }

  /** Takes back what this host said. True if the agreed host is another one now; none, where no vote for it is left. */
  remove(host: string): boolean {
    if (!this.#votes.delete(this.#voterAt(host))) return false
    const left = this.#hosts()
    for (const candidate of left.keys()) if (this.#elect(candidate)) return true
    if (this.#host === undefined || left.has(this.#host)) return false
    this.#host = undefined
    return true
  }

  /** Whether this one is believed from now on, in place of another. */
  #elect(candidate: string): boolean {
    if (candidate === this.#host) return false
    const hosts = this.#hosts()
    const votes = hosts.get(candidate) ?? 0
    hosts.delete(candidate)
    if (votes < this.#agreeing || votes <= Math.max(0, ...hosts.values())) return false
    this.#host = candidate
    return true
  }

  #hosts(): Map<string, number> {
    return tally([...this.#votes.values()].map((vote) => vote.observed.host))
  }

  #voterAt(host: string): string {
    return this.#votesByHost ? host : networkOf(host)
  }

  /** The favourite port among those who see the agreed host, with its votes and theirs in all. */
  #ports(sinceMs = Number.NEGATIVE_INFINITY): { port: number | undefined; votes: number; outOf: number } {
    const recent = [...this.#votes.values()].filter(({ atMs }) => atMs >= sinceMs)
    const seen = recent.map(({ observed }) => observed).filter(({ host }) => host === this.#host)
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

/** The network of a host, as one party hardly has many of. */
export const networkOf = (host: string): string => {
  const bytes = hostBytes(host)
  if (bytes === undefined) return host
  return bytes.subarray(0, bytes.length === IPV4_BYTES ? 2 : 4).join('.')
}

/**
 * How many queries are answered: per source, per network of sources, and of all strangers together, as token buckets.
 *
 * A source is an IPv4 address or the /64 of an IPv6 one, its network the /24 or /48. A query costs both one token, and one
 * that is refused costs nothing, so a source beyond its rate leaves the rest of its network to the others. Loopback
 * addresses cannot be forged from outside and are shared by all nodes of a machine: there a source has a port, and the
 * network does not count.
 *
 * Sources can be forged, another one for each datagram: that is what the limit for all together is for. Those who are known
 * to be where they say are exempt from it, so that such a flood does not cut them off.
 *
 * The tables are bounded. Where one is full, room is made among those not seen for longest, by the one that has used the
 * least of its bucket: a flood of forged sources does not free those that are held back. No timers.
 */
import { type Address, sameAddress, unmapHost } from '../../transport/address.ts'
import { hostBytes } from './compact-address.ts'

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export interface RateLimits {
  readonly source: Rate
  readonly network: Rate
  /** Of all sources together that are not known; without it there is no such limit. */
  readonly total?: Rate
}

export const RATE_LIMITS: RateLimits = {
  source: { perSecond: 20, burst: 50 },
  network: { perSecond: 100, burst: 250 },
  // At some 50 us each, a twentieth of a processor.
  total: { perSecond: 1000, burst: 2000 },
}

export const MAX_SOURCES = 4096
export const MAX_NETWORKS = 2048
/** How many candidates are looked at when room is made. */
const EVICTION_CANDIDATES = 8

export class RateLimit {
  readonly #sources: Buckets
  readonly #networks: Buckets
  readonly #totalRate: Rate | undefined
  readonly #total: Bucket
  /** A flood comes from one address for the most part: what it counts as is not worked out anew for each datagram. */
  #lastFrom: Address | undefined
  #lastKeys: Keys = { source: '', network: undefined }

  constructor(limits: RateLimits = RATE_LIMITS) {
    this.#sources = new Buckets(limits.source, MAX_SOURCES)
    this.#networks = new Buckets(limits.network, MAX_NETWORKS)
    this.#totalRate = limits.total
    this.#total = { tokens: limits.total?.burst ?? 0, atMs: Number.NEGATIVE_INFINITY }
  }

  /** Whether a query from this address may be answered now; if so it is counted. All together do not matter if it is known. */
  admit(from: Address, nowMs: number, isKnown = false): boolean {
    const isCounted = !isKnown && this.#totalRate !== undefined
    if (isCounted && this.isTotalUsedUp(nowMs)) return false
    const { source, network } = this.#keysOf(from)
    const own = this.#sources.at(source, nowMs)
    if (own.tokens < 1) return false
    const shared = network === undefined ? undefined : this.#networks.at(network, nowMs)
    if (shared !== undefined && shared.tokens < 1) return false
    own.tokens--
    if (shared !== undefined) shared.tokens--
    if (isCounted) this.#total.tokens--
    return true
  }

  /** Whether all strangers together have used up what they may ask. The cheapest of all questions here. */
  isTotalUsedUp(nowMs: number): boolean {
    if (this.#totalRate === undefined) return false
    const total = this.#total
    total.tokens = levelOf(total, this.#totalRate, nowMs)
    total.atMs = nowMs
    return total.tokens < 1
  }

  /** Whether this address has used up what it may ask; nothing is counted or remembered, so it costs little. */
  isUsedUp(from: Address, nowMs: number): boolean {
    const { source, network } = this.#keysOf(from)
    if (this.#sources.tokensOf(source, nowMs) < 1) return true
    return network !== undefined && this.#networks.tokensOf(network, nowMs) < 1
  }

  #keysOf(from: Address): Keys {
    if (this.#lastFrom === undefined || !sameAddress(this.#lastFrom, from)) {
      this.#lastKeys = keysOf(from)
      this.#lastFrom = from
    }
    return this.#lastKeys
  }

  /** How many sources and networks are remembered. */
  get size(): { readonly sources: number; readonly networks: number } {
    return { sources: this.#sources.size, networks: this.#networks.size }
  }
}

interface Bucket {
  tokens: number
  atMs: number
}

/** What is in a bucket of this rate now. */
const levelOf = ({ tokens, atMs }: Bucket, { perSecond, burst }: Rate, nowMs: number): number =>
  Math.min(burst, tokens + ((nowMs - atMs) / 1000) * perSecond)

class Buckets {
  readonly #rate: Rate
  readonly #max: number
  /** Those not seen for longest first. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(rate: Rate, max: number) {
    this.#rate = rate
    this.#max = max
  }

  get size(): number {
    return this.#buckets.size
  }

  /** The bucket of this key with what has flowed into it until now. */
  at(key: string, nowMs: number): Bucket {
    const known = this.#buckets.get(key)
    if (known !== undefined) {
      known.tokens = this.#level(known, nowMs)
      known.atMs = nowMs
      this.#buckets.delete(key)
      this.#buckets.set(key, known)
      return known
    }
    if (this.#buckets.size >= this.#max) this.#makeRoom(nowMs)
    const fresh = { tokens: this.#rate.burst, atMs: nowMs }
    this.#buckets.set(key, fresh)
    return fresh
  }

  /** What is in the bucket of this key. */
  tokensOf(key: string, nowMs: number): number {
    const known = this.#buckets.get(key)
    return known === undefined ? this.#rate.burst : this.#level(known, nowMs)
  }

  #level(bucket: Bucket, nowMs: number): number {
    return levelOf(bucket, this.#rate, nowMs)
  }

  #makeRoom(nowMs: number): void {
    let fullest: string | undefined
    let most = -1
    let looked = 0
    for (const [key, bucket] of this.#buckets) {
      const level = this.#level(bucket, nowMs)
      if (level > most) {
        fullest = key
        most = level
      }
      if (++looked === EVICTION_CANDIDATES || most >= this.#rate.burst) break
    }
    if (fullest !== undefined) this.#buckets.delete(fullest)
  }
}

/** What counts as one source here and wherever else something is bounded per source. */
export const sourceOf = (from: Address): string => keysOf(from).source

interface Keys {
  readonly source: string
  readonly network: string | undefined
}

const keysOf = ({ host, port }: Address): Keys => {
  const plain = unmapHost(host)
  if (plain === '::1' || plain.startsWith('127.')) return { source: `${plain} ${port}`, network: undefined }
  if (!plain.includes(':')) return { source: plain, network: plain.slice(0, plain.lastIndexOf('.')) }
  const bytes = hostBytes(plain)
  // With a zone: a link, which nobody forges from elsewhere.
  if (bytes === undefined) return { source: plain, network: undefined }
  return { source: bytes.subarray(0, 8).join('.'), network: bytes.subarray(0, 6).join('.') }
}

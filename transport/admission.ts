/**
 * Who gets in: limits on incoming connections, so that a stranger, a flood or a peer gone mad costs a bounded amount.
 *
 * Half-open means that the other end has not proven its certificate yet. While few are half-open everybody is accepted;
 * above that a client must first show with a retry that it receives at its address, so forged addresses cost nothing; at
 * the limits even that does not help. Part of an address's own half-open places are kept for clients that have shown it, so
 * that nobody can lock an address out by forging it.
 *
 * An "address" here is an IPv4 address, or the 64-bit prefix of an IPv6 one: a single customer usually holds all of it
 * (RFC 6177). Ports do not count.
 *
 * Sans-io. Only connections that exist have entries, so the table is bounded by the limit on connections in all. It does
 * not end half-open connections that stay so: their deadline is the connection's own.
 */
import ipaddr from 'ipaddr.js'
import { type Address, unmapHost } from './address.ts'

export interface AdmissionLimits {
  /** Half-open connections in all. */
  readonly halfOpen: number
  /** From so many half-open ones on, a client has to show its address. */
  readonly halfOpenBeforeRetry: number
  /** Half-open connections of one address. */
  readonly halfOpenPerAddress: number
  /** From so many half-open ones of an address on, its clients have to show it. */
  readonly halfOpenPerAddressBeforeRetry: number
  /** Connections of one address, half-open ones included. */
  readonly connectionsPerAddress: number
  /** Connections in all, half-open ones included. */
  readonly connections: number
}

/** A connection costs about 24 KB of native memory: 1024 half-open ones 24 MB, 16 384 in all 400 MB. */
export const ADMISSION_LIMITS: AdmissionLimits = {
  halfOpen: 1024,
  halfOpenBeforeRetry: 64,
  halfOpenPerAddress: 32,
  halfOpenPerAddressBeforeRetry: 16,
  connectionsPerAddress: 1024,
  connections: 16_384,
}

/** Once a flood was noticed, retry is asked for this long after its last sign: the first of each wave costs nothing either. */
const RETRY_HOLD_MS = 5000

/**
 * 'retry': only with a token that proves the address; a client that brought one is to be accepted.
 * 'refuse': not even then.
 */
export type Decision = 'accept' | 'retry' | 'refuse'

/** The place that one connection takes. Both methods may be called again without effect. */
export interface Admitted {
  /** The other end has proven its certificate: no longer half-open. */
  established(): void
  /** The connection is gone, established or not: its place is free. */
  closed(): void
}

interface Tally {
  halfOpen: number
  connections: number
}

/** What counts as one address. */
const addressKey = (host: string): string => {
  const plain = unmapHost(host)
  const zone = plain.indexOf('%')
  const literal = zone < 0 ? plain : plain.slice(0, zone)
  if (!ipaddr.IPv6.isValid(literal)) return plain
  // Link-local prefixes are all the same: only the zone tells the networks apart.
  return `${ipaddr.IPv6.parse(literal).parts.slice(0, 4).join(':')}${zone < 0 ? '' : plain.slice(zone)}`
}

export class Admission {
  readonly #limits: AdmissionLimits
  readonly #tallies = new Map<string, Tally>()
  readonly #all: Tally = { halfOpen: 0, connections: 0 }
  #retryUntilMs = Number.NEGATIVE_INFINITY

  /** Limits left out keep their defaults. */
  constructor(limits: Partial<AdmissionLimits> = {}) {
    this.#limits = { ...ADMISSION_LIMITS, ...limits }
  }

  /** May a connection from this address begin now? */
  decide(address: Address, nowMs: number): Decision {
    const limits = this.#limits
    const all = this.#all
    if (all.halfOpen >= limits.halfOpenBeforeRetry) this.#retryUntilMs = nowMs + RETRY_HOLD_MS
    if (all.connections >= limits.connections || all.halfOpen >= limits.halfOpen) return 'refuse'
    const own = this.#tallies.get(addressKey(address.host))
    if (own !== undefined) {
      if (own.connections >= limits.connectionsPerAddress || own.halfOpen >= limits.halfOpenPerAddress) return 'refuse'
      if (own.halfOpen >= limits.halfOpenPerAddressBeforeRetry) return 'retry'
    }
    return nowMs < this.#retryUntilMs ? 'retry' : 'accept'
  }

  /** A connection from this address begins, half-open. The place it takes is the caller's to give back. */
  opened(address: Address): Admitted {
    const key = addressKey(address.host)
    const own = this.#tallies.get(key) ?? { halfOpen: 0, connections: 0 }
    this.#tallies.set(key, own)
    const tallies = [own, this.#all]
    for (const tally of tallies) {
      tally.halfOpen++
      tally.connections++
    }
    let state: 'halfOpen' | 'established' | 'closed' = 'halfOpen'
    return {
      established: () => {
        if (state !== 'halfOpen') return
        state = 'established'
        for (const tally of tallies) tally.halfOpen--
      },
      closed: () => {
        if (state === 'closed') return
        for (const tally of tallies) {
          if (state === 'halfOpen') tally.halfOpen--
          tally.connections--
        }
        state = 'closed'
        if (own.connections === 0) this.#tallies.delete(key)
      },
    }
  }

  /** For counters and tests; a fresh object each time. */
  get counts(): { readonly halfOpen: number; readonly connections: number; readonly addresses: number } {
    return { ...this.#all, addresses: this.#tallies.size }
  }
}

/**
 * How long a datagram may be on this path: found by probing (Datagram PLPMTUD, RFC 8899; for QUIC RFC 9000 section 14.3).
 *
 * Sizes are bytes of UDP payload. The search climbs a short list of candidates, smallest first, so that most of the gain is
 * there after one round trip:
 *
 *     search    a candidate is to be probed         -> waiting when the probe was sent
 *     waiting   a probe is on its way               -> search with the next candidate when acknowledged, with the same one
 *                                                      after 1 s of silence, complete after three tries
 *     complete  the next candidate does not pass    -> search after 10 minutes: paths change
 *     top       the largest candidate passed        nothing to do
 *     fallback  large packets vanished: safe size   -> search after a pause that doubles each time
 *
 * RFC 8899's Base state, which confirms that the base size passes at all, is QUIC's handshake: its datagrams are padded to
 * 1200 bytes. Losing a probe says nothing about congestion and must not slow the sender (RFC 9000 section 14.4).
 *
 * Sans-io: it says what to probe and when, it sends nothing.
 *
 * A limit of Node: its UDP sockets cannot forbid fragmentation. Linux cuts what is longer than the link of this machine
 * into fragments, and after a router's refusal also what is longer than the path it then knows of, so such a probe may
 * arrive in pieces and pass. That works, but one lost piece loses all. So no candidate is longer than the link of
 * this machine (`candidatesFor`), and jumbo frames are tried only where the link is known to have them.
 */
import ipaddr from 'ipaddr.js'
import { unmapHost } from './address.ts'
import { MAX_PACKET_BYTES } from './quiche.ts'

/** MAX_PROBES of RFC 8899 section 5.1.2: more than one, so that a single loss decides nothing. */
const MAX_PROBES = 3
/** PROBE_TIMER of RFC 8899 section 5.1.1: not shorter than a second. */
const PROBE_TIMEOUT_MS = 1000
/** PMTU_RAISE_TIMER of RFC 8899 section 5.1.1. */
const RAISE_INTERVAL_MS = 600_000
/** The first pause after large packets vanished; it doubles up to RAISE_INTERVAL_MS, so a path that lies cannot make us flap. */
const FALLBACK_PAUSE_MS = 10_000

type State =
  | { readonly type: 'search'; readonly size: number; readonly tries: number }
  | { readonly type: 'waiting'; readonly size: number; readonly tries: number; readonly untilMs: number }
  | { readonly type: 'complete'; readonly untilMs: number }
  | { readonly type: 'fallback'; readonly untilMs: number }
  | { readonly type: 'top' }

export interface PathSizeOptions {
  /** Where the search begins: what passes on every path one may expect there. */
  readonly baseBytes: number
  /** The size that passes for certain, whatever the path becomes. Default: the base size. */
  readonly safeBytes?: number
  /** No candidate is larger: larger ones are cut to it. */
  readonly maximumBytes: number
  /** Sizes worth a try, in any order; by default just the maximum. */
  readonly candidates?: readonly number[]
}

export class PathSize {
  /** The size that passes for certain. */
  readonly safeBytes: number
  readonly #candidates: readonly number[]
  #currentBytes: number
  #largestProbed: number
  #pauseMs = FALLBACK_PAUSE_MS
  #state: State

  constructor({ baseBytes, safeBytes = baseBytes, maximumBytes, candidates = [maximumBytes] }: PathSizeOptions) {
    this.safeBytes = safeBytes
    this.#candidates = [...new Set([baseBytes, ...candidates].map((size) => Math.min(size, maximumBytes)))]
      .filter((size) => size > safeBytes && size >= baseBytes)
      .sort((a, b) => a - b)
    this.#currentBytes = baseBytes
    this.#largestProbed = baseBytes
    this.#state = this.#climb()
  }

  /** The size to use now. */
  get currentBytes(): number {
    return this.#currentBytes
  }

  /** Where the search stands, for figures and tests. */
  get state(): State['type'] {
    return this.#state.type
  }

  /** When to call `onTimeout`; undefined: there is nothing to wait for. */
  get deadlineMs(): number | undefined {
    return 'untilMs' in this.#state ? this.#state.untilMs : undefined
  }

  /** The size of the probe to send now, if one is due. */
  nextProbe(nowMs: number): number | undefined {
    this.onTimeout(nowMs)
    return this.#state.type === 'search' ? this.#state.size : undefined
  }

  onProbeSent(size: number, nowMs: number): void {
    if (this.#state.type !== 'search' || this.#state.size !== size) return
    this.#largestProbed = Math.max(this.#largestProbed, size)
    this.#state = { type: 'waiting', size, tries: this.#state.tries + 1, untilMs: nowMs + PROBE_TIMEOUT_MS }
  }

  /** A probe of this size arrived. A late answer counts as well; a size never probed, or one that is in use, does not. */
  onProbeAcked(size: number): void {
    if (size <= this.#currentBytes || size > this.#largestProbed || !this.#candidates.includes(size)) return
    this.#currentBytes = size
    this.#state = this.#climb()
  }

  /** Does nothing before the deadline. */
  onTimeout(nowMs: number): void {
    const state = this.#state
    if (!('untilMs' in state) || nowMs < state.untilMs) return
    if (state.type !== 'waiting') this.#state = this.#climb()
    else if (state.tries < MAX_PROBES) this.#state = { type: 'search', size: state.size, tries: state.tries }
    else this.#state = { type: 'complete', untilMs: nowMs + RAISE_INTERVAL_MS }
  }

  /** Large packets vanish while small ones pass, or nothing passes any more (RFC 8899 section 4.3): back to the safe size. */
  onBlackHole(nowMs: number): void {
    if (this.#currentBytes === this.safeBytes) return
    this.#currentBytes = this.safeBytes
    // Answers to probes of the old path no longer count.
    this.#largestProbed = this.safeBytes
    this.#state = { type: 'fallback', untilMs: nowMs + this.#pauseMs }
    this.#pauseMs = Math.min(this.#pauseMs * 2, RAISE_INTERVAL_MS)
  }

  #climb(): State {
    const size = this.#candidates.find((candidate) => candidate > this.#currentBytes)
    return size === undefined ? { type: 'top' } : { type: 'search', size, tries: 0 }
  }
}

/** What lies between two nodes, as far as addresses tell. */
export type DestinationKind = 'loopback' | 'lan' | 'wan'

/** Header of IP without options, plus 8 of UDP. */
const OVERHEAD_BYTES = { 4: 28, 6: 48 } as const

/** Link sizes met in practice: VXLAN overlays of containers, Ethernet, jumbo frames. */
const LAN_LINK_BYTES = [1450, 1500, 9000] as const
/** The least of IPv6 (RFC 8200 section 5), WireGuard's default, PPPoE (RFC 2516), Ethernet. */
const WAN_LINK_BYTES = [1280, 1420, 1492, 1500] as const
const ETHERNET_BYTES = 1500

/**
 * Sizes worth probing, smallest first, for PathSize (which cuts them to what the connection allows). `linkBytes` is the MTU
 * of the interface the datagrams leave by; where it is not known, jumbo frames are not tried.
 */
export const candidatesFor = (
  kind: DestinationKind,
  family: 4 | 6,
  linkBytes: number = ETHERNET_BYTES,
): readonly number[] => {
  if (kind === 'loopback') return [MAX_PACKET_BYTES]
  const links: readonly number[] = kind === 'lan' ? LAN_LINK_BYTES : WAN_LINK_BYTES
  return links.filter((bytes) => bytes <= linkBytes).map((bytes) => bytes - OVERHEAD_BYTES[family])
}

const withoutZone = (host: string): string => unmapHost(host).replace(/%.*$/, '')

/** Ranges of ipaddr.js within which routers are few and links are alike. */
const LAN_RANGES: ReadonlySet<string> = new Set(['private', 'linkLocal', 'uniqueLocal'])

/**
 * Where a host's address leads. Addresses of this machine are loopback whatever they look like: the kernel never puts them on a
 * wire. Shared addresses (100.64.0.0/10) count as WAN, for they mean tunnels or a provider's NAT. A host that is no
 * literal address is WAN, the careful guess.
 */
export const kindOfDestination = (remoteHost: string, localAddresses: readonly string[]): DestinationKind => {
  const host = withoutZone(remoteHost)
  if (!ipaddr.isValid(host)) return 'wan'
  const parsed = ipaddr.parse(host)
  const range = parsed.range()
  const canonical = parsed.toString()
  const isLocal = (local: string): boolean => {
    const text = withoutZone(local)
    return ipaddr.isValid(text) && ipaddr.parse(text).toString() === canonical
  }
  if (range === 'loopback' || localAddresses.some(isLocal)) return 'loopback'
  return LAN_RANGES.has(range) ? 'lan' : 'wan'
}

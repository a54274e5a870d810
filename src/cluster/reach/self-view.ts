/**
 * What a node knows of itself: at which address the world sees it, and how the NAT before it, if there is one, maps its
 * port.
 *
 * Members that are connected tell at which address they see this node. They are certain by their keys and may lie, so
 * each member, and each host that members are on, has one vote: what more than half of them see counts. Those in a
 * private network (a LAN, containers on one machine) see another side of this node than the public does, and vote apart.
 * The DHT, whose nodes are strangers, has a vote of its own besides. A port that changes for one and the same observer
 * tells nothing of how ports are chosen, only that the mapping was forgotten; how long it was idle before then is what
 * the keepalive goes by.
 *
 * It does not measure: nothing is sent for all this. Bounded by MAX_OBSERVERS and the votes' own bound.
 */
import { compactAddress, familyOf } from '../../../discovery/dht/compact-address.ts'
import { isExemptHost } from '../../../discovery/dht/dht-id.ts'
import { AddressVotes, type PortMapping } from '../../../discovery/dht/votes.ts'
import type { NatClass } from '../../../discovery/source.ts'
import { type Address, formatAddress, sameAddress, unmapHost } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import { isLoopback } from '../membership/member-record.ts'

/** The longest-known members; hundreds see what thousands do. */
export const MAX_OBSERVERS = 256
/** As many as a record and a hello hold. */
const MAX_ADDRESSES = 16
/** Linux forgets a UDP mapping after 30 s that only ever saw one direction (nf_conntrack_udp_timeout). */
export const KEEPALIVE_MS = 20_000
const MIN_KEEPALIVE_MS = 5000
/** Of the shortest life of a mapping: one keepalive may be lost. */
const KEEPALIVE_PART = 0.45

export interface SelfViewOptions {
  readonly clock: Clock
  /** Addresses of the interfaces, with the port. */
  readonly local: () => readonly Address[]
  /** Something of what is known changed. */
  readonly changed: () => void
}

/** What a member said last. */
interface Observation {
  readonly observer: Address
  readonly seen: Address
  readonly atMs: number
}

/** Those who see the same side of this node. */
interface Side {
  readonly votes: AddressVotes
  /** When a mapping was last seen to have been replaced; what was said before may be about the former one. */
  replacedMs: number
  nat: NatClass
  /** Of which host the class is. */
  host: string | undefined
}

type SideName = 'public4' | 'private4' | 'public6' | 'private6'

export class SelfView {
  readonly #options: SelfViewOptions
  readonly #observations = new Map<string, Observation>()
  readonly #sides: Readonly<Record<SideName, Side>> = {
    public4: newSide(),
    private4: newSide(),
    public6: newSide(),
    private6: newSide(),
  }
  #dht: { readonly address: Address | undefined; readonly mapping: PortMapping } = {
    address: undefined,
    mapping: 'unknown',
  }
  #natByDht: NatClass = 'unknown'
  #mapped: Address | undefined
  #shortestMappingMs: number | undefined
  #local: readonly Address[] = []
  #told = ''

  constructor(options: SelfViewOptions) {
    this.#options = options
    this.#judge()
    this.#told = this.#summary()
  }

  /**
   * A member sees this node at this address; `observer` is where this node sees the member. `idleMs`: how long nothing
   * had been sent to it before; without it, at most since it last said so.
   */
  observed(by: string, observer: Address, seen: Address, idleMs?: number): void {
    const from = { host: unmapHost(observer.host), port: observer.port }
    const at = { host: unmapHost(seen.host), port: seen.port }
    const side = this.#sideOf(from, at)
    const before = this.#observations.get(by)
    if (side === undefined || (before === undefined && this.#observations.size >= MAX_OBSERVERS)) return
    const nowMs = this.#options.clock.now()
    if (before !== undefined && sameAddress(before.observer, from) && before.seen.host === at.host) {
      if (before.seen.port !== at.port) this.#replaced(side, idleMs ?? nowMs - before.atMs)
    }
    this.#observations.set(by, { observer: from, seen: at, atMs: nowMs })
    if (before !== undefined) this.#takeBack(before)
    side.votes.add(at, from, nowMs)
    this.#review()
  }

  /** The DHT's own vote. */
  dhtSaw(address: Address | undefined, mapping: PortMapping): void {
    this.#dht = { address, mapping }
    this.#review()
  }

  /** A member is connected no more. */
  gone(by: string): void {
    const observation = this.#observations.get(by)
    if (observation === undefined) return
    this.#observations.delete(by)
    this.#takeBack(observation)
    this.#review()
  }

  /** The router lets in what comes for this address; undefined: no more. */
  mapped(address: Address | undefined): void {
    this.#mapped = address
    this.#review()
  }

  /** The interfaces have other addresses. */
  localChanged(): void {
    this.#review()
  }

  /** For IPv4. */
  get nat(): NatClass {
    const { public4, private4 } = this.#sides
    if (public4.nat !== 'unknown') return public4.nat
    if (this.#natByDht !== 'unknown') return this.#natByDht
    // Whoever is on the same LAN sees no NAT, and that says nothing of the world.
    const isMapped = private4.nat === 'cone' || private4.nat === 'symmetric'
    return isMapped && hostOf(public4) === undefined ? private4.nat : 'unknown'
  }

  /** A NAT is known of, or its own addresses are such as need one. */
  get mayHaveNat(): boolean {
    const own = this.#options.local().filter((one) => familyOf(one.host) === 'ip4' && !isLoopback(one))
    const isPrivate = own.length > 0 && own.every(({ host }) => isExemptHost(host))
    return this.nat === 'unknown' ? isPrivate : this.nat !== 'open'
  }

  /**
   * The class to publish. A node whose router lets in what comes for its mapped address is as good as open to whoever
   * wants to dial it.
   */
  get publishedNat(): NatClass {
    return this.#mapped === undefined ? this.nat : 'open'
  }

  /** As the public sees this node, for each family; with port 0 where others see other ports. */
  publicAddresses(): readonly Address[] {
    const seen = [this.#seenOn(this.#sides.public4), this.#seenOn(this.#sides.public6)]
    const { address } = this.#dht
    const isMissing = address !== undefined && !seen.some((one) => one && familyOf(one.host) === familyOf(address.host))
    return distinct([...seen, isMissing && !isExemptHost(address.host) ? address : undefined])
  }

  /** What others may dial without asking: of a NAT only what it is known to let in. */
  advertised(): readonly Address[] {
    const open = this.nat === 'open' ? this.publicAddresses().filter(({ host }) => this.#isOwn(host)) : []
    return distinct([this.#mapped, ...open, ...this.#options.local()])
  }

  /** For a punch: what can be dialled, without loopback, then how others see this node, where that is one address. */
  candidates(): readonly Address[] {
    const sides = [this.#sides.private4, this.#sides.private6].map((side) => this.#seenOn(side))
    const direct = this.advertised().filter((one) => !isLoopback(one))
    return distinct([...direct, ...this.publicAddresses(), ...sides]).filter(({ port }) => port > 0)
  }

  /** After how short a silence the NAT forgot a mapping, since this node is where it is. */
  get shortestMappingMs(): number | undefined {
    return this.#shortestMappingMs
  }

  /** How long a connection may be silent without being forgotten by the NAT. */
  get keepaliveMs(): number {
    const shortestMs = this.#shortestMappingMs ?? Number.POSITIVE_INFINITY
    return Math.max(MIN_KEEPALIVE_MS, Math.min(KEEPALIVE_MS, shortestMs * KEEPALIVE_PART))
  }

  /**
   * Undefined for what cannot be true: a public observer sees no private address, and nobody one of another family, or one
   * that nobody can send to.
   */
  #sideOf(observer: Address, seen: Address): Side | undefined {
    const family = familyOf(seen.host)
    if (family !== familyOf(observer.host) || isLoopback(observer) || compactAddress(seen) === undefined)
      return undefined
    const isPrivate = isExemptHost(observer.host)
    if (isExemptHost(seen.host) && !isPrivate) return undefined
    if (family === 'ip4') return this.#sides[isPrivate ? 'private4' : 'public4']
    return this.#sides[isPrivate ? 'private6' : 'public6']
  }

  #takeBack({ observer, seen }: Observation): void {
    // Another member on that host may have said something since.
    const others = [...this.#observations.values()].filter((one) => one.observer.host === observer.host)
    const votes = this.#sideOf(observer, seen)?.votes
    votes?.remove(observer.host)
    for (const other of others.sort((a, b) => a.atMs - b.atMs)) votes?.add(other.seen, other.observer, other.atMs)
  }

  #replaced(side: Side, idleMs: number): void {
    side.replacedMs = this.#options.clock.now()
    // Sooner than any keepalive: a router that was restarted, or one that is full. A keepalive helps against neither.
    if (idleMs < MIN_KEEPALIVE_MS) return
    this.#shortestMappingMs = Math.min(this.#shortestMappingMs ?? Number.POSITIVE_INFINITY, idleMs)
  }

  #review(): void {
    this.#judge()
    const summary = this.#summary()
    if (summary === this.#told) return
    this.#told = summary
    this.#options.changed()
  }

  #judge(): void {
    this.#local = this.#options.local()
    for (const side of Object.values(this.#sides)) {
      const host = hostOf(side)
      // Elsewhere there is another NAT.
      if (side.host !== undefined && host !== undefined && side.host !== host) this.#shortestMappingMs = undefined
      const former = side.host === host ? side.nat : 'unknown'
      side.host = host ?? side.host
      side.nat = this.#classOf(side, host) ?? former
    }
    this.#natByDht = this.#classByDht(hostOf(this.#sides.public4))
  }

  /** Undefined where there is too little to tell. */
  #classOf({ votes, replacedMs }: Side, host: string | undefined): NatClass | undefined {
    if (host === undefined) return 'unknown'
    if (this.#isOwn(host)) return 'open'
    if (votes.portMapping === 'stable') return 'cone'
    return votes.portMappingSince(replacedMs) === 'varying' ? 'symmetric' : undefined
  }

  #classByDht(host: string | undefined): NatClass {
    const { address, mapping } = this.#dht
    // Of which host the ports vary it does not say; it may be one of our own, seen by liars.
    if (address === undefined) return mapping === 'varying' && !this.#local.some(isPublic4) ? 'symmetric' : 'unknown'
    if (!isPublic4(address) || (host !== undefined && host !== address.host)) return 'unknown'
    if (this.#isOwn(address.host)) return 'open'
    return mapping === 'stable' ? 'cone' : 'unknown'
  }

  #seenOn(side: Side): Address | undefined {
    const host = hostOf(side)
    if (host === undefined) return undefined
    return side.nat === 'symmetric' ? { host, port: 0 } : (side.votes.address ?? { host, port: 0 })
  }

  #isOwn(host: string): boolean {
    return this.#local.some((own) => unmapHost(own.host) === host)
  }

  #summary(): string {
    const addresses = [...this.publicAddresses(), ...this.advertised(), ...this.candidates()].map(formatAddress)
    return [this.nat, this.publishedNat, this.keepaliveMs, ...addresses].join(' ')
  }
}

const newSide = (): Side => ({
  // As long as a member is connected its word counts; each host has a vote, as a network may be the whole world of a lab.
  votes: new AddressVotes({ voter: 'host', agreeing: 1, lifetimeMs: Number.POSITIVE_INFINITY }),
  replacedMs: Number.NEGATIVE_INFINITY,
  nat: 'unknown',
  host: undefined,
})

const isPublic4 = ({ host }: Address): boolean => familyOf(host) === 'ip4' && !isExemptHost(host)

const hostOf = ({ votes }: Side): string | undefined => (votes.isUndisputed ? votes.host : undefined)

const distinct = (addresses: readonly (Address | undefined)[]): readonly Address[] => {
  const given = addresses.filter((address) => address !== undefined)
  return [...new Map(given.map((address) => [formatAddress(address), address])).values()].slice(0, MAX_ADDRESSES)
}

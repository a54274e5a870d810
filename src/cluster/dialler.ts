/**
 * Reaching one node: look its name up, try its addresses (dial-race.ts), and tell what was tried when none worked.
 *
 * One dial at a time per target; whoever else wants the same waits for it. A dial that lost to one from the other side is
 * no failure: the node is connected through the winner. If no winner shows up, the other side still believes in a
 * connection that this one has lost, and the dial is repeated with the word to replace it.
 */
import { type Attempt, ERRORS, type ErrorCode, isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { NatClass } from '../../discovery/source.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Way } from '../../transport/way.ts'
import type { CarrierChoice } from './carrier-choice.ts'
import { type AddressPlace, DialRace, type Place } from './dial-race.ts'
import type { Peer } from './peer.ts'
import { search } from './search.ts'
import type { SessionEnd } from './session.ts'

/** Dials under way at once. */
const MAX_DIALS = 1024
/** How long the connection that won may take to be up. */
const WINNER_TIMEOUT_MS = 1000
/** How long a name is waited for that is unknown, or known where nobody answers, while all sources look again. */
const LOOKUP_TIMEOUT_MS = 3000

export type DialOutcome =
  | { readonly type: 'up'; readonly peer: Peer }
  | { readonly type: 'failed'; readonly end: SessionEnd; readonly id: string | undefined }

export interface DialOptions {
  /** Any other key that answers is an error. */
  readonly expectedId: string | undefined
  readonly replace: boolean
  readonly timeoutMs: number
  /** By this way instead of straight to the address. */
  readonly way?: Way
  readonly carrier?: 'udp' | 'tcp'
}

/** Where to reach a node, in the order to try. */
export interface Whereabouts {
  readonly id?: string
  readonly addresses: readonly Address[]
  readonly nat?: NatClass
  /** Nodes that are connected to it, for when it cannot be reached directly. */
  readonly introducers?: readonly Address[]
}

/** A way through a relay. */
export interface OpenedWay {
  readonly way: Way
  /** It was of no use. */
  close(): void
}

/** What a dial needs of relays. */
export interface DialRelays {
  /** There may be one to this node. */
  canReach(node: Whereabouts): boolean
  /** Nothing but a relay, or a punch that one helps with, will do for a beginning. */
  isBehindNat(node: Whereabouts): boolean
  /** These addresses may be dialled without harm: a packet that nobody expects can spoil a punch. */
  dialable(node: Whereabouts): readonly Address[]
  /** By the likeliest relay, without waiting for its word: should it refuse, the way is gone and a dial by it fails at once. */
  quick(node: Whereabouts): OpenedWay | undefined
  /** Rejects with a SkeinError. */
  open(node: Whereabouts): Promise<OpenedWay>
}

/** What a dial needs of the table of peers. */
export interface DialTable {
  dialOnce(address: Address, options: DialOptions): Promise<DialOutcome>
  peerById(id: string): Peer | undefined
  peerByName(name: string): Peer | undefined
  /** The peer of this id as soon as it is up; undefined when the time is over. */
  whenUp(id: string, timeoutMs: number): Promise<Peer | undefined>
}

/** What a dial needs of discovery. */
export interface DialDirectory {
  find(name: string): readonly Whereabouts[]
  /** Asks every source to look for this name; resolves when those that can tell have their answer. Never rejects. */
  refresh(name: string): Promise<void>
  /** Another key answers at the address: what members told of this node is out of date. */
  forget(id: string): void
}

export interface DiallerOptions {
  readonly table: DialTable
  readonly directory: DialDirectory
  /** Undefined where the carrier has no other ways than its own. */
  readonly relays: DialRelays | undefined
  readonly carriers: CarrierChoice
  readonly clock: Clock
  /** How long one address has to finish TLS. */
  readonly connectTimeoutMs: number
}

export class Dialler {
  readonly #table: DialTable
  readonly #directory: DialDirectory
  readonly #relays: DialRelays | undefined
  readonly #carriers: CarrierChoice
  readonly #clock: Clock
  readonly #connectTimeoutMs: number
  readonly #running = new Map<string, Promise<Peer>>()
  /** With the name they go by, if any. */
  readonly #races = new Map<DialRace, string | undefined>()
  #stopped = false

  constructor({ table, directory, relays, carriers, clock, connectTimeoutMs }: DiallerOptions) {
    this.#table = table
    this.#directory = directory
    this.#relays = relays
    this.#carriers = carriers
    this.#clock = clock
    this.#connectTimeoutMs = connectTimeoutMs
  }

  /** Dials a node by name. Rejects with ERR_SKEIN_NODE_UNKNOWN, ERR_SKEIN_CONNECT_FAILED or the one code of all attempts. */
  toName(name: string): Promise<Peer> {
    return this.#once(name, () => this.#race(name, () => this.#directory.find(name), name))
  }

  /** Dials addresses in order. */
  toAddresses(what: string, whereabouts: Whereabouts): Promise<Peer> {
    return this.#once(`${what} ${whereabouts.addresses.map(formatAddress).join(' ')}`, () =>
      this.#race(what, () => [whereabouts], undefined),
    )
  }

  /** The node stops: nobody waits any longer, and no dial begins. */
  stop(): void {
    this.#stopped = true
    for (const race of [...this.#races.keys()]) race.stop()
  }

  /** Discovery knows something new of this name. */
  becameKnown(name: string): void {
    for (const [race, wanted] of [...this.#races]) if (wanted === name) race.goOn()
  }

  #once(key: string, dial: () => Promise<Peer>): Promise<Peer> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    if (this.#stopped) return Promise.reject(stopped())
    if (this.#running.size >= MAX_DIALS) {
      return Promise.reject(new SkeinError('ERR_SKEIN_LIMIT', `${MAX_DIALS} dials are already under way.`))
    }
    const dialling = dial().finally(() => this.#running.delete(key))
    this.#running.set(key, dialling)
    return dialling
  }

  /** Tries all places; those of a name are looked up again while none of them answers. */
  async #race(what: string, places: () => readonly Whereabouts[], name: string | undefined): Promise<Peer> {
    /** Nodes that no relay leads to, as far as is known now. */
    const unrelayed = new Set<string>()
    /** Addresses from which nothing came back over UDP. */
    const silent = new Set<string>()
    const race = new DialRace({
      clock: this.#clock,
      places: () => places().flatMap((node) => this.#placesOf(node, unrelayed, silent)),
      search: name === undefined ? undefined : (onOver) => this.#search(name, onOver),
      attempt: (place) =>
        place.by === 'relay' ? this.#tryRelay(place.id, places(), unrelayed) : this.#try(place, silent),
      connected: (known) => this.#table.peerByName(what) ?? this.#peerAmong(known),
    })
    this.#races.set(race, name)
    const peer = await race.result
    this.#races.delete(race)
    if (peer !== undefined) return peer
    if (this.#stopped) throw stopped()
    if (race.failures.length > 0) throw failure(what, race.failures)
    throw new SkeinError('ERR_SKEIN_NODE_UNKNOWN', `Nobody knows a node ${what}.`)
  }

  #placesOf(node: Whereabouts, unrelayed: ReadonlySet<string>, silent: ReadonlySet<string>): Place[] {
    const { id, addresses } = node
    const all = addresses.flatMap((address) => {
      const carriers = this.#carriers.order(silent.has(formatAddress(address)))
      return carriers.map((by) => ({ id, address, by }))
    })
    if (id === undefined || this.#relays?.canReach(node) !== true) return all
    const isBehindNat = this.#relays.isBehindNat(node)
    const relay: Place = { id, by: 'relay', atOnce: isBehindNat }
    if (unrelayed.has(id)) return [...all, relay]
    if (!isBehindNat) return [...all.slice(0, 1), relay, ...all.slice(1)]
    const dialable = this.#relays.dialable(node)
    return [relay, ...all.filter(({ address }) => dialable.includes(address))]
  }

  async #tryRelay(id: string, nodes: readonly Whereabouts[], unrelayed: Set<string>): Promise<DialOutcome> {
    const node = nodes.find((one) => one.id === id)
    try {
      if (this.#relays === undefined || node === undefined) throw gone(id)
      const quick = this.#relays.quick(node)
      let outcome = quick && (await this.#tryWay(id, quick))
      const isRefused = outcome?.type === 'failed' && outcome.end.code === 'ERR_SKEIN_CONNECTION_LOST'
      if (outcome === undefined || isRefused) outcome = await this.#tryWay(id, await this.#relays.open(node))
      if (outcome.type === 'failed') unrelayed.add(id)
      return outcome
    } catch (error) {
      unrelayed.add(id)
      const { code, message } = isSkeinError(error) ? error : gone(id)
      return { type: 'failed', end: { code, message, byPeer: false, down: 'connection_closed' }, id: undefined }
    }
  }

  async #tryWay(id: string, { way, close }: OpenedWay): Promise<DialOutcome> {
    const options = { expectedId: id, replace: false, timeoutMs: this.#connectTimeoutMs, way }
    const outcome = await this.#tryOne(way.address, options)
    if (outcome.type === 'failed') close()
    return outcome
  }

  async #try({ id, address, by }: AddressPlace, silent: Set<string>): Promise<DialOutcome> {
    const options = { expectedId: id, replace: false, timeoutMs: this.#connectTimeoutMs, carrier: by }
    const outcome = await this.#tryOne(address, options)
    if (this.#carriers.ended(by, outcome)) silent.add(formatAddress(address))
    const isStale = outcome.type === 'failed' && outcome.end.code === 'ERR_SKEIN_CERT_FOREIGN'
    if (isStale && id !== undefined) this.#directory.forget(id)
    return outcome
  }

  #search(name: string, onOver: () => void): Timer {
    const ask = (): Promise<void> => this.#directory.refresh(name)
    return search({ clock: this.#clock, timeoutMs: LOOKUP_TIMEOUT_MS, ask, onOver })
  }

  #peerAmong(places: readonly Place[]): Peer | undefined {
    for (const { id } of places) {
      const peer = id === undefined ? undefined : this.#table.peerById(id)
      if (peer !== undefined) return peer
    }
    return undefined
  }

  async #tryOne(address: Address, options: DialOptions): Promise<DialOutcome> {
    let first = await this.#table.dialOnce(address, options)
    // Nobody in particular was expected, and the one who was there before is not there any more: that is no failure.
    if (options.expectedId === undefined && first.type === 'failed' && first.end.code === 'ERR_SKEIN_CERT_FOREIGN')
      first = await this.#table.dialOnce(address, options)
    if (first.type === 'up' || first.end.code !== 'ERR_SKEIN_SIMULTANEOUS' || first.id === undefined) return first
    const winner = await this.#table.whenUp(first.id, WINNER_TIMEOUT_MS)
    if (winner !== undefined) return { type: 'up', peer: winner }
    const second = await this.#table.dialOnce(address, { ...options, replace: true })
    const peer = this.#table.peerById(first.id)
    return second.type === 'failed' && peer !== undefined ? { type: 'up', peer } : second
  }
}

const gone = (id: string): SkeinError => new SkeinError('ERR_SKEIN_NO_RELAY', `No relay to ${id} is known any more.`)

const stopped = (): SkeinError => new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')

/** Attempts that all ended alike have one cause, and its code says more than "failed". */
const failure = (what: string, attempts: readonly Attempt[]): SkeinError => {
  const tried = attempts.map((attempt) => `${attempt.what}: ${attempt.message}`).join('; ')
  const message = `No connection to ${what}. ${tried}`
  const code = attempts[0]?.code
  if (code === undefined || !attempts.every((attempt) => attempt.code === code)) {
    return new SkeinError('ERR_SKEIN_CONNECT_FAILED', message, { attempts })
  }
  return new SkeinError(isErrorCode(code) ? code : 'ERR_SKEIN_CONNECTION_LOST', message, { attempts })
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)

/**
 * The DHT as a source of discovery: nodes of a cluster meet there without knowing anything of each other but the cookie.
 *
 * It joins the DHT through bootstrap addresses and through whatever other sources see (every member is a DHT node on its
 * QUIC port), announces this node at the cluster's meeting point, and publishes its sealed record. Whom it finds at the
 * meeting point is an address and nothing more, a hint to dial; records are looked up by name or id when somebody asks.
 * What the user changes is published at once; what the network changes (addresses, NAT, introducers) at once too, but no
 * more often than once a minute. Work comes round in chores of their own pace. Failures are a status; nothing here throws
 * after `start`.
 */
import { isIP } from 'node:net'
import type { RingView } from '../../certs/keyring.ts'
import type { SigningKey } from '../../certs/signing-key.ts'
import { type Address, formatAddress, sameAddress } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { Chore, jittered } from '../chore.ts'
import { type ResolveAddress, resolveAll } from '../resolve.ts'
import { Sightings, sameRegistrations } from '../sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, SourceStatus } from '../source.ts'
import { within } from '../within.ts'
import type { Dht } from './dht.ts'
import { RecordFinder } from './finder.ts'
import { daysAt, meetingPoint } from './places.ts'
import { RecordPublisher, whereabouts } from './publisher.ts'
import { STORED_ON } from './storing.ts'
import { TableSaver } from './table-saver.ts'

const SOURCE = 'dht'
const MAX_BOOTSTRAP_ADDRESSES = 64
/** Addresses that other sources told of and that were not asked yet. */
const MAX_SUGGESTIONS = 64
/** With so many contacts the DHT finds the others by itself. */
const ENOUGH_CONTACTS = 8
/** Addresses found at the meeting point that are remembered. Anybody near it can make some up. */
const MAX_HINTS = 512
/** As long as DHT nodes remember who announced itself (peer-store.ts). */
const HINT_LIFETIME_MS = 45 * 60_000

const MIN_RETRY_MS = 1000
const MAX_RETRY_MS = 30_000
const JOINED_CHECK_MS = 60_000
const LONELY_CHECK_MS = 2000
const ANNOUNCE_MS = 15 * 60_000
const PUBLISH_MS = 30 * 60_000
/** 30 +- 5 minutes. */
const PUBLISH_JITTER = 1 / 6
const JITTER = 0.25
/** The network's changes are published no more often, and looked for as often: the DHT tells nobody of a new address. */
const CHANGE_MS = 60_000
/** While there are more contacts than copies; it doubles. */
const MIN_SPREAD_MS = 5000
/** Nodes that start together announce themselves while they look: the first looks follow each other quickly. */
const FIRST_LOOK_AGAIN_MS = 250
const DEFAULT_POLL_INTERVAL_MS = 60_000
const REVIEW_MS = 30_000
/** Names of bootstrap addresses are waited for no longer. */
const RESOLVE_MS = 3000
/** `start` waits no longer for nodes that do not answer. */
const START_DEADLINE_MS = 2000
/** `stop` waits no longer for the record to be taken back. */
const FAREWELL_MS = 250

/** What `dhtSource` takes. */
export interface RendezvousOptions {
  /** Stopped with the source. */
  readonly dht: RendezvousDht
  readonly clock: Clock
  readonly random: Random
  /** Published is under the primary one, looked for under all. */
  readonly keys: RingView
  /** The node's own key, which signs its record. */
  readonly signer: SigningKey
  /** DHT nodes to begin with; the host may be a name. */
  readonly bootstrap?: readonly Address[]
  readonly resolve: ResolveAddress
  /** Where contacts are kept for the next run. */
  readonly contactsFile?: string | undefined
  /** How often the meeting point is looked at. */
  readonly pollIntervalMs?: number
}

/** What the source needs of a DHT. */
export type RendezvousDht = Pick<
  Dht,
  'id' | 'publicAddress' | 'bootstrap' | 'getPeers' | 'announce' | 'getItem' | 'putMutable' | 'contacts' | 'stop'
>

/** A source that finds the members of a cluster through a DHT. */
export const dhtSource = (options: RendezvousOptions): DiscoverySource => new Rendezvous(options)

class Rendezvous implements DiscoverySource {
  readonly source = SOURCE
  readonly #options: RendezvousOptions
  readonly #bootstrap: readonly Address[]
  readonly #publisher: RecordPublisher
  readonly #join: Chore
  readonly #meet: Chore
  readonly #announce: Chore
  readonly #publish: Chore
  readonly #watch: Chore
  readonly #review: Chore
  readonly #saver: TableSaver | undefined
  readonly #suggestions = new Map<string, Address>()
  /** When each address was last found at the meeting point, by its text; the oldest first. */
  readonly #hints = new Map<string, number>()
  #sightings = new Sightings(SOURCE, () => {})
  /** To be told when the status is another. */
  #turned: () => void = () => {}
  #finder: RecordFinder | undefined
  #record: NodeRecord | undefined
  #stopping: Promise<void> | undefined
  /** Names of bootstrap addresses are being looked up. */
  #resolving: Promise<void> | undefined
  /** What they stood for by the last answer. */
  #resolved: readonly Address[] = []
  #joined = false
  #failedJoins = 0
  /** Looks since the last reason to look quickly. */
  #looks = 0
  /** Attempts to bring copies to more contacts, since the last new one. */
  #spreads = 0
  #announcedOn = 0
  #storedOn = 0
  /** Where the record says this node is, and when that changed last. */
  #place = ''
  #movedMs = Number.NEGATIVE_INFINITY

  constructor(options: RendezvousOptions) {
    const { clock, dht, random, bootstrap = [], contactsFile } = options
    this.#options = options
    this.#bootstrap = bootstrap.slice(0, MAX_BOOTSTRAP_ADDRESSES)
    this.#publisher = new RecordPublisher(options)
    this.#saver =
      contactsFile === undefined ? undefined : new TableSaver(dht, contactsFile, clock, () => this.#turned())
    const chore = (work: () => Promise<void>, pauseMs: () => number): Chore =>
      new Chore({ clock, work, pauseMs: () => jittered(pauseMs(), JITTER, random.float()) })
    this.#join = chore(
      () => this.#tryToJoin(),
      () => this.#joinPauseMs(),
    )
    this.#meet = chore(
      () => this.#lookForOthers(),
      () => Math.min(FIRST_LOOK_AGAIN_MS * 2 ** this.#looks++, options.pollIntervalMs ?? DEFAULT_POLL_INTERVAL_MS),
    )
    this.#announce = chore(
      () => this.#announceSelf(),
      () => this.#nextCopyMs(this.#announcedOn, ANNOUNCE_MS),
    )
    this.#publish = new Chore({
      clock,
      work: () => this.#publishRecord(),
      pauseMs: () => jittered(this.#nextCopyMs(this.#storedOn, PUBLISH_MS), PUBLISH_JITTER, random.float()),
    })
    this.#watch = new Chore({ clock, work: async () => this.#publishMove(), pauseMs: () => CHANGE_MS })
    this.#review = chore(
      async () => this.#dropWhatIsOver(),
      () => REVIEW_MS,
    )
  }

  async start(record: NodeRecord, emit: (event: DiscoveryEvent) => void, turned = () => {}): Promise<void> {
    if (this.#record !== undefined || this.#stopping !== undefined) return
    this.#turned = turned
    const { clock, dht, keys } = this.#options
    this.#record = record
    this.#place = this.#currentPlace()
    this.#sightings = new Sightings(SOURCE, emit)
    this.#finder = new RecordFinder({ dht, clock, keys, ownId: record.id, sightings: this.#sightings })
    this.#review.soon(REVIEW_MS)
    this.#watch.soon(CHANGE_MS)
    await within(clock, START_DEADLINE_MS, this.#join.run())
  }

  update(record: NodeRecord): void {
    const before = this.#record
    const isRotated = before !== undefined && tagsOf(before) !== tagsOf(record)
    this.#record = record
    if (isRotated || !sameRegistrations(before?.registrations, record.registrations)) this.#publishAnew()
    if (isRotated) this.#looks = 0
    if (isRotated && this.#joined) this.#meet.soon()
    this.#watch.soon(Math.max(0, this.#movedMs + CHANGE_MS - this.#options.clock.now()))
  }

  async refresh(wanted?: string): Promise<void> {
    if (this.#finder === undefined || this.#stopping !== undefined) return
    if (!this.#joined) await this.#join.run()
    this.#looks = 0
    this.#meet.soon()
    if (wanted !== undefined) await this.#finder.lookUp(wanted)
  }

  learn(addresses: readonly Address[]): void {
    if (this.#record === undefined || this.#options.dht.contacts().length >= ENOUGH_CONTACTS) return
    for (const address of addresses) {
      if (this.#suggestions.size >= MAX_SUGGESTIONS || this.#isSelf(address)) continue
      this.#suggestions.set(formatAddress(address), address)
    }
    if (this.#suggestions.size > 0) this.#join.soon()
  }

  status(): SourceStatus {
    const seen = this.#sightings.size
    const say = (state: SourceStatus['state'], detail: string): SourceStatus => ({
      source: SOURCE,
      state,
      detail,
      seen,
    })
    if (this.#stopping !== undefined) return say('stopped', 'stopped')
    if (this.#record === undefined) return say('starting', 'not started')
    const contacts = this.#options.dht.contacts().length
    if (contacts > 0) {
      return say(this.#saver?.failure === undefined ? 'working' : 'degraded', this.#describe(contacts))
    }
    if (this.#failedJoins === 0) return say('starting', 'looking for a first contact')
    if (this.#bootstrap.length === 0) return say('degraded', NO_CONTACT)
    const tried = this.#bootstrap.map(formatAddress).slice(0, MAX_TOLD).join(', ')
    const more = this.#bootstrap.length > MAX_TOLD ? ` and ${this.#bootstrap.length - MAX_TOLD} more` : ''
    return say('failed', `no DHT node answered at ${tried}${more}, nor at an address found otherwise; trying again`)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    for (const chore of [this.#join, this.#meet, this.#announce, this.#publish, this.#watch, this.#review]) chore.stop()
    const { clock, dht } = this.#options
    if (this.#record !== undefined && this.#publisher.hasPublished && dht.contacts().length > 0) {
      const withdrawn = this.#publisher.withdraw(this.#record, clock.wallNow()).catch(() => {})
      await within(clock, FAREWELL_MS, withdrawn)
    }
    const saved = this.#saver?.stop()
    dht.stop()
    await saved
  }

  #describe(contacts: number): string {
    const { publicAddress } = this.#options.dht
    const parts = [`${contacts} contacts`]
    if (this.#isPublic) parts.push(`the record is on ${this.#storedOn} nodes, announced on ${this.#announcedOn}`)
    parts.push(`${this.#hints.size} addresses at the meeting point, ${this.#finder?.size ?? 0} records`)
    if (publicAddress !== undefined) parts.push(`seen from outside as ${formatAddress(publicAddress)}`)
    if (this.#saver?.failure !== undefined) parts.push(this.#saver.failure)
    return parts.join('; ')
  }

  /** False for a hidden node: it finds others and is not to be found. */
  get #isPublic(): boolean {
    return (this.#record?.addresses.length ?? 0) > 0
  }

  // Chores

  async #tryToJoin(): Promise<void> {
    const { dht } = this.#options
    const before = dht.contacts().length
    const given = before === 0 ? await this.#bootstrapAddresses() : []
    const addresses = [...given, ...this.#suggestions.values()]
    this.#suggestions.clear()
    // Without any there may still be contacts of an earlier run.
    if (addresses.length > 0 || before === 0) await dht.bootstrap(addresses).catch(() => 0)
    if (this.#stopping !== undefined) return
    const contacts = dht.contacts().length
    const wasJoined = this.#joined
    this.#joined = contacts > 0
    this.#failedJoins = this.#joined ? 0 : this.#failedJoins + 1
    if (!this.#joined || (wasJoined && contacts <= before)) return
    this.#looks = 0
    this.#spreads = 0
    for (const chore of [this.#meet, this.#announce, this.#publish]) chore.soon()
  }

  /** Those that are known at once; those of names as soon as they are, waited for only where there are no others. */
  async #bootstrapAddresses(): Promise<readonly Address[]> {
    const { clock, resolve } = this.#options
    const literal = this.#bootstrap.filter(({ host }) => isIP(host) !== 0)
    const names = this.#bootstrap.filter(({ host }) => isIP(host) === 0)
    if (names.length > 0) {
      this.#resolving ??= resolveAll(names, resolve).then((addresses) => {
        this.#resolving = undefined
        if (addresses.length > 0) this.#resolved = addresses
        // Only the first answer is worth an attempt of its own; later ones are for the next.
        if (this.#failedJoins === 0 && !this.#joined) this.#join.soon()
      })
      if (literal.length === 0) await within(clock, RESOLVE_MS, this.#resolving)
    }
    return [...literal, ...this.#resolved].filter((address) => !this.#isSelf(address))
  }

  #joinPauseMs(): number {
    if (this.#joined) return JOINED_CHECK_MS
    // Nobody to ask: others may come to us.
    if (this.#bootstrap.length === 0) return LONELY_CHECK_MS
    return Math.min(MIN_RETRY_MS * 2 ** Math.max(0, this.#failedJoins - 1), MAX_RETRY_MS)
  }

  async #lookForOthers(): Promise<void> {
    const { clock, dht, keys } = this.#options
    if (!this.#joined) return
    const points = daysAt(clock.wallNow()).flatMap((day) =>
      keys.all().map(({ rendezvous }) => meetingPoint(rendezvous, day)),
    )
    const found = (peers: readonly Address[]): void => peers.forEach((peer) => void this.#hint(peer))
    await Promise.all(points.map((point) => dht.getPeers(point, found).then(found, () => {})))
  }

  #hint(address: Address): void {
    if (this.#stopping !== undefined || this.#isSelf(address)) return
    const key = formatAddress(address)
    this.#hints.delete(key)
    for (const oldest of this.#hints.keys()) {
      if (this.#hints.size < MAX_HINTS) break
      this.#forget(oldest)
    }
    this.#hints.set(key, this.#options.clock.now())
    this.#sightings.put({ key, addresses: [address] })
  }

  #forget(hint: string): void {
    this.#hints.delete(hint)
    this.#sightings.delete(hint)
  }

  async #announceSelf(): Promise<void> {
    const { clock, dht, keys } = this.#options
    if (!this.#joined || !this.#isPublic) return
    const points = daysAt(clock.wallNow()).map((day) => meetingPoint(keys.primary.rendezvous, day))
    const stored = await Promise.all(points.map((point) => dht.announce(point).catch(() => 0)))
    this.#announcedOn = stored[0] ?? 0
  }

  async #publishRecord(): Promise<void> {
    if (!this.#joined || !this.#isPublic || this.#record === undefined) return
    this.#storedOn = await this.#publisher.publish(this.#record, this.#options.clock.wallNow()).catch(() => 0)
  }

  #publishMove(): void {
    const place = this.#currentPlace()
    if (place === this.#place) return
    this.#place = place
    this.#movedMs = this.#options.clock.now()
    this.#publishAnew()
  }

  #publishAnew(): void {
    if (!this.#joined) return
    this.#publish.soon()
    this.#announce.soon()
  }

  #currentPlace(): string {
    if (this.#record === undefined) return ''
    const { introducers = [] } = this.#record
    const { nat, addresses } = whereabouts(this.#record, this.#options.dht.publicAddress)
    return [nat, ...addresses.map(formatAddress), 'by', ...introducers.map(formatAddress)].join(' ')
  }

  /** Sooner where there are contacts that hold no copy yet. */
  #nextCopyMs(copies: number, usualMs: number): number {
    const wanted = Math.min(STORED_ON, this.#options.dht.contacts().length)
    if (!this.#joined || !this.#isPublic || copies >= wanted) return usualMs
    return Math.min(MIN_SPREAD_MS * 2 ** this.#spreads++, usualMs)
  }

  #dropWhatIsOver(): void {
    const nowMs = this.#options.clock.now()
    for (const [key, seenMs] of this.#hints) {
      if (nowMs - seenMs < HINT_LIFETIME_MS) break
      this.#forget(key)
    }
    this.#finder?.review()
  }

  #isSelf(address: Address): boolean {
    const { publicAddress } = this.#options.dht
    if (publicAddress !== undefined && sameAddress(address, publicAddress)) return true
    return this.#record?.addresses.some((own) => sameAddress(own, address)) ?? false
  }
}

/** By which cookies the node goes. */
const tagsOf = ({ clusterTag, acceptedTags = [] }: NodeRecord): string => [clusterTag, ...acceptedTags].join()

/** Bootstrap addresses spelled out in the status. */
const MAX_TOLD = 5
const NO_CONTACT =
  'no contact: no bootstrap address is given, and no other source has found a node; give discovery.dht.bootstrap (SKEIN_BOOTSTRAP) the address of any node of the DHT, for one that of "skein start --bootstrap"'

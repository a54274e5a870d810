/**
 * Reaching members that cannot simply be dialled, and keeping those whose way fails: relays, punches, and what a node
 * learns of itself meanwhile, put together.
 *
 * - A member that both ends are connected to relays their QUIC packets, unread (relay-service.ts, relay-client.ts).
 * - When the relay tells the two of each other they punch (upgrade.ts), and the connection moves to the way that is found.
 * - A connection that falls silent is given a relay as a second way well before the failure detector gives it up (session-watch.ts).
 * - Each node tells the others at which address it sees them, which shows them their NAT (self-view.ts).
 *
 * Only members take part, over connections that are up: a stranger gets nothing out of it. Where the carrier has no ways
 * but its own (memory, TCP alone) there is no Reach at all, and the node does not offer the capability.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { type Address, formatAddress, sameAddress } from '../../../transport/address.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import { isOnLink } from '../../../transport/local-address.ts'
import { kindOfDestination } from '../../../transport/path-size.ts'
import type { Random } from '../../../transport/random.ts'
import { openSideSockets } from '../../../transport/side-sockets.ts'
import type { Transport } from '../../../transport/transport.ts'
import type { Ways } from '../../../transport/way.ts'
import type { ConnectedNode } from '../connected-node.ts'
import { CONTROL } from '../control.ts'
import type { DialRelays, OpenedWay, Whereabouts } from '../dialler.ts'
import { Allowance } from '../membership/allowance.ts'
import type { Session } from '../session.ts'
import { decodeObserved, decodePlan, encodeObserved } from './punch-plan.ts'
import { Puncher } from './puncher.ts'
import type { ReachPeer } from './reach-peer.ts'
import { RelayClient, type RelayedWay } from './relay-client.ts'
import { isForRelay } from './relay-frames.ts'
import { RelayService, type RelaySetting } from './relay-service.ts'
import type { SelfView } from './self-view.ts'
import { LOOK_MS, SessionWatch } from './session-watch.ts'
import { Upgrade } from './upgrade.ts'

/** Relays asked for one dial. */
const MAX_RELAYS_ASKED = 6
/** The next one is asked when one has refused, or has not answered in this time: a round trip across the world. */
const RELAY_HEAD_START_MS = 400
/** Introducers dialled for one dial, if nobody who is connected helps. */
const MAX_INTRODUCERS_DIALLED = 2
/** A second way that did not help is not looked for again at once. */
const RESCUE_PAUSE_MS = 2000
/** How often a member may say at which address it sees this node: it says so when it sees another one. */
const OBSERVATIONS = { burst: 16, perSecond: 0.5 }

export interface ReachHost {
  /** Dials one of these addresses, whoever answers. */
  dial(what: string, address: Address): Promise<unknown>
  moved(node: ConnectedNode): void
  defect(error: unknown): void
}

export interface ReachOptions {
  readonly selfId: string
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly ways: Ways
  readonly view: SelfView
  /** Whether this node relays for others. */
  readonly relays: RelaySetting
  readonly host: ReachHost
  /** False: that node is not let in. Default: all are. */
  readonly admits?: (id: string) => boolean
}

/** A connected member that knows relays. */
interface Linked {
  readonly node: ConnectedNode
  readonly session: Session
  readonly peer: ReachPeer
  readonly observations: Allowance
  readonly watch: SessionWatch
  rescuedMs: number
}

export class Reach implements DialRelays {
  readonly #options: ReachOptions
  readonly #service: RelayService
  readonly #client: RelayClient
  readonly #puncher: Puncher
  readonly #linked = new Map<string, Linked>()
  /** By id of the other end. */
  readonly #upgrades = new Map<string, Upgrade>()
  #look: Timer | undefined
  #stopped = false

  constructor(options: ReachOptions) {
    const { clock, random, transport, ways } = options
    this.#options = options
    this.#service = new RelayService({
      clock,
      random,
      isEnabled: options.relays !== false,
      limits: typeof options.relays === 'object' ? options.relays : {},
      peer: (id) => this.#direct(id)?.peer,
    })
    this.#client = new RelayClient({
      clock,
      ways,
      admits: (id) => options.admits?.(id) !== false,
      incoming: (relayed) => this.#relayed(relayed),
      gone: (relayed) => this.#relayGone(relayed),
    })
    this.#puncher = new Puncher({
      clock,
      random,
      sendProbe: (to, bytes, hops) => transport.sendDatagram(to, bytes, hops),
      openSideSockets,
      direct: (address) => ways.direct(address),
      receive: (way, datagram) => ways.receive(way, datagram),
      gone: (way) => ways.gone(way),
    })
    transport.onDatagram('probe', (bytes, from) => this.#puncher.receive(bytes, from))
  }

  // What sessions tell

  /** TLS is done, on whatever way. */
  opened(session: Session): void {
    if (session.id !== undefined) this.#upgrades.get(session.id)?.opened(session)
  }

  up(node: ConnectedNode, session: Session): void {
    if (!node.reaches || this.#stopped) return
    const peer = reachPeerOf(node, session)
    const nowMs = this.#options.clock.now()
    this.#linked.set(node.id, {
      node,
      session,
      peer,
      observations: new Allowance(OBSERVATIONS, nowMs),
      watch: new SessionWatch(session, nowMs),
      rescuedMs: Number.NEGATIVE_INFINITY,
    })
    this.#upgrades.get(node.id)?.up(session)
    this.#tellObserved(session)
    this.#lookLater()
  }

  down(id: string): void {
    const ended = this.#linked.get(id)?.session
    this.#linked.delete(id)
    this.#options.view.gone(id)
    this.#service.gone(id)
    this.#client.gone(id)
    if (ended === undefined) return
    const upgrade = this.#upgrades.get(id)
    upgrade?.down(ended)
    if (upgrade?.session === undefined) this.#drop(id)
  }

  /** This node needs the connection to that member, though no process may: a channel goes through it. */
  needs(id: string): boolean {
    return this.#service.serves(id) || this.#client.uses(id)
  }

  moved(session: Session): void {
    const linked = session.id === undefined ? undefined : this.#linked.get(session.id)
    if (session.id !== undefined) this.#upgrades.get(session.id)?.moved(session)
    if (linked?.session !== session) return
    this.#tellObserved(session)
    this.#options.host.moved(linked.node)
  }

  /** Throws ERR_SKEIN_PROTOCOL. */
  frame(session: Session, type: number, body: Uint8Array): void {
    const linked = session.id === undefined ? undefined : this.#linked.get(session.id)
    if (linked?.session !== session) return
    switch (type) {
      case CONTROL.observed:
        return this.#observed(linked, decodeObserved(body))
      case CONTROL.relayAsk:
        return this.#service.ask(linked.peer, body)
      case CONTROL.relayClose:
        this.#service.close(linked.peer, body)
        return this.#client.frame(linked.peer, type, body)
      case CONTROL.punchPlan:
        return this.#upgrades.get(linked.node.id)?.told(decodePlan(body))
      default:
        return this.#client.frame(linked.peer, type, body)
    }
  }

  datagram(session: Session, bytes: Uint8Array): void {
    const linked = session.id === undefined ? undefined : this.#linked.get(session.id)
    if (linked?.session !== session) return
    if (isForRelay(bytes)) this.#service.datagram(linked.peer, bytes)
    else this.#client.datagram(linked.peer, bytes)
  }

  stop(): void {
    this.#stopped = true
    this.#look?.cancel()
    for (const id of [...this.#upgrades.keys()]) this.#drop(id)
    this.#client.stop()
    this.#service.stop()
    this.#puncher.stop()
  }

  get figures() {
    return { relay: this.#service.figures, punch: this.#puncher.figures, upgrades: this.#upgrades.size }
  }

  /** Since the start of the node. */
  counters(): Readonly<Record<string, number>> {
    const { relay, punch } = this.figures
    return {
      relayChannels: relay.channels,
      relayedBytes: relay.forwardedBytes,
      relayRefused: relay.refused,
      relayDropped: relay.dropped,
      punches: punch.punches,
      punchProbes: punch.probesSent,
      punchAnswers: punch.answered,
      punchRefused: punch.refused,
    }
  }

  // DialRelays

  canReach({ id, introducers = [] }: Whereabouts): boolean {
    if (this.#stopped || id === undefined || id === this.#options.selfId || this.#options.admits?.(id) === false)
      return false
    return introducers.length > 0 || this.#relaysTo(id, introducers).length > 0
  }

  isBehindNat({ nat = 'unknown', addresses }: Whereabouts): boolean {
    if (nat === 'open') return false
    if (nat !== 'unknown') return true
    // It told of none but private addresses, of networks that this machine is not on.
    return addresses.every(({ host }) => isPrivate(host) && !isOnLink(host))
  }

  dialable({ addresses }: Whereabouts): readonly Address[] {
    return addresses.filter(({ host }) => isPrivate(host) || host.includes(':'))
  }

  quick({ id, introducers = [] }: Whereabouts): OpenedWay | undefined {
    const [relay] = id === undefined ? [] : this.#relaysTo(id, introducers)
    if (id === undefined || relay === undefined) return undefined
    const dialled = this.#client.dial(relay.peer, id)
    if (dialled === undefined) return undefined
    const { way, opened } = dialled
    /** A refusal is told by the way that goes. */
    const once = (work: (relayed: RelayedWay) => void): void =>
      void opened.then(work, () => {}).catch((error: unknown) => this.#options.host.defect(error))
    once((relayed) => {
      if (relayed.isOpen) this.#relayed(relayed)
    })
    return { way, close: () => once((relayed) => this.#close(relayed)) }
  }

  /** Rejects with ERR_SKEIN_NO_RELAY. */
  async open({ id, introducers = [] }: Whereabouts): Promise<OpenedWay> {
    if (id === undefined) throw noRelay('a node without an id')
    const relays = this.#relaysTo(id, introducers)
    const first = await this.#askAny(relays, id)
    if (first !== undefined) return first
    const strangers = introducers.filter((address) => !relays.some(({ peer }) => sameAddress(peer.address, address)))
    for (const address of strangers.slice(0, MAX_INTRODUCERS_DIALLED)) {
      await this.#options.host.dial(`introducer ${formatAddress(address)}`, address).catch(() => undefined)
      const found = this.#relaysTo(id, [address]).filter(({ peer }) => sameAddress(peer.address, address))
      const relayed = await this.#askAny(found, id)
      if (relayed !== undefined) return relayed
    }
    throw noRelay(id)
  }

  /** Only over our own port does it tell anything of our NAT. */
  #observed({ node, session, observations }: Linked, seen: Address): void {
    if (session.way !== 'port' || !observations.take(this.#options.clock.now())) return
    this.#options.view.observed(node.id, session.remote, seen)
  }

  /** Who could relay, the likely ones first: its introducers, then those whose address is no secret. */
  #relaysTo(id: string, introducers: readonly Address[]): Linked[] {
    const isIntroducer = ({ peer }: Linked): boolean =>
      introducers.some((address) => sameAddress(address, peer.address))
    const rank = (linked: Linked): number => (isIntroducer(linked) ? 0 : linked.node.dialled ? 1 : 2)
    return [...this.#linked.values()]
      .filter(({ node }) => node.id !== id && this.#direct(node.id) !== undefined)
      .sort((a, b) => rank(a) - rank(b))
      .slice(0, MAX_RELAYS_ASKED)
  }

  /**
   * One relay after the other, each with a head start: two at once would tell the other end of two punches, of which this
   * end makes only one, and the other end cannot know which.
   */
  async #askAny(relays: readonly Linked[], id: string): Promise<OpenedWay | undefined> {
    const asked: Promise<RelayedWay>[] = []
    const anyOf = (): Promise<RelayedWay | undefined> => Promise.any(asked).catch(() => undefined)
    let first: RelayedWay | undefined
    for (const { peer } of relays) {
      asked.push(this.#ask(peer, id))
      first = await this.#within(RELAY_HEAD_START_MS, anyOf())
      if (first !== undefined) break
    }
    first ??= await anyOf()
    if (first === undefined) return undefined
    for (const other of asked) {
      void other.then(
        (relayed) => {
          if (relayed !== first) this.#close(relayed)
        },
        () => {},
      )
    }
    const opened = first
    this.#relayed(opened)
    return { way: opened.way, close: () => this.#close(opened) }
  }

  /** Rejects with ERR_SKEIN_NO_RELAY, also if what the relay opened is closed again by now. */
  async #ask(via: ReachPeer, id: string): Promise<RelayedWay> {
    // The session may have ended while another relay was asked; the client would remember it.
    if (this.#linked.get(via.id)?.peer !== via) throw noRelay(id)
    const relayed = await this.#client.ask(via, id)
    if (relayed.isOpen) return relayed
    throw noRelay(id)
  }

  /** Undefined if it takes longer. The promise never rejects. */
  #within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const late = this.#options.clock.after(ms, () => resolve(undefined))
      void promise.then((value) => {
        late.cancel()
        resolve(value)
      })
    })
  }

  /** Connected by a way of its own: what is relayed is not relayed again. */
  #direct(id: string): Linked | undefined {
    const linked = this.#linked.get(id)
    return linked === undefined || linked.session.way === 'relay' || linked.session.isOver ? undefined : linked
  }

  // Ways

  /** A relay tells of the other end: by our asking, or by its. */
  #relayed(relayed: RelayedWay): void {
    if (this.#stopped) return relayed.close()
    const upgrade = this.#upgrades.get(relayed.peerId)
    if (upgrade !== undefined) upgrade.begin(relayed)
    else this.#upgrades.set(relayed.peerId, this.#newUpgrade(relayed))
    const linked = this.#linked.get(relayed.peerId)
    if (linked === undefined) return
    // A second way for a connection that is up.
    linked.session.lanes.connection.offer(relayed.way)
    if (upgrade === undefined) this.#upgrades.get(relayed.peerId)?.up(linked.session)
  }

  #newUpgrade(relayed: RelayedWay): Upgrade {
    const { clock, view } = this.#options
    return new Upgrade(
      {
        clock,
        puncher: this.#puncher,
        self: () => ({ nat: view.nat, candidates: view.candidates() }),
        again: ({ relayId, peerId }) => {
          const relay = this.#linked.get(relayId)
          const relays = relay === undefined ? this.#relaysTo(peerId, []) : [relay]
          void this.#askAny(relays, peerId).catch((error: unknown) => this.#options.host.defect(error))
        },
      },
      relayed,
    )
  }

  /** Nobody here wants it any more, unless another connection to that member goes this way. */
  #close(relayed: RelayedWay): void {
    const { session } = this.#upgrades.get(relayed.peerId) ?? {}
    if (session?.isOver === false && session.lanes.connection.way?.key === relayed.way.key) return
    relayed.close()
    this.#relayGone(relayed)
  }

  #relayGone({ peerId, way }: RelayedWay): void {
    const upgrade = this.#upgrades.get(peerId)
    if (upgrade === undefined || upgrade.relayed.way.key !== way.key) return
    const linked = this.#linked.get(peerId)
    if (linked === undefined) return this.#drop(peerId)
    // There is no need to wait for the silence. The acceptor waits for it nevertheless: two relays are one too many.
    const { session } = linked
    if (session.role === 'initiator' && session.lanes.connection.way?.key === way.key) this.#rescue(linked)
  }

  #drop(id: string): void {
    this.#upgrades.get(id)?.end()
    this.#upgrades.delete(id)
  }

  #tellObserved(session: Session): void {
    if (session.way === 'port') session.meshFrame(CONTROL.observed, encodeObserved(session.remote))
  }

  // Silence

  #lookLater(): void {
    if (this.#look !== undefined || this.#stopped || this.#linked.size === 0) return
    this.#look = this.#options.clock.after(LOOK_MS, () => {
      this.#look = undefined
      const nowMs = this.#options.clock.now()
      for (const linked of this.#linked.values())
        if (linked.watch.look(nowMs, this.#options.view.keepaliveMs)) this.#rescue(linked)
      this.#dropRemains()
      this.#lookLater()
    })
  }

  /** One was kept for a connection that did not come about, when its channel was gone already. */
  #dropRemains(): void {
    for (const [id, upgrade] of [...this.#upgrades]) {
      upgrade.forgetLoser()
      if (!upgrade.relayed.isOpen && upgrade.session?.isOver !== false) this.#drop(id)
    }
  }

  /** Looks for a second way through a relay, not one that is silent itself. */
  #rescue(linked: Linked): void {
    const nowMs = this.#options.clock.now()
    if (nowMs - linked.rescuedMs < RESCUE_PAUSE_MS) return
    linked.rescuedMs = nowMs
    const { id } = linked.node
    const relays = this.#relaysTo(id, []).filter(({ watch }) => watch.isThere(nowMs))
    void this.#askAny(relays, id).catch((error: unknown) => this.#options.host.defect(error))
  }
}

const reachPeerOf = (node: ConnectedNode, session: Session): ReachPeer => ({
  id: node.id,
  name: node.name,
  get address() {
    return session.remote
  },
  sendFrame: (type, body) => session.meshFrame(type, body),
  sendDatagram: (bytes) => session.lanes.connection.sendDatagram(bytes),
})

/** Not of the public internet. */
const isPrivate = (host: string): boolean => kindOfDestination(host, []) !== 'wan'

const noRelay = (whom: string): SkeinError =>
  new SkeinError('ERR_SKEIN_NO_RELAY', `No connected member relays to ${whom}.`)

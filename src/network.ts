/**
 * The network side of a node: discovery, dials, connections and the mesh, put together.
 *
 * It does little itself: it passes what one part says to those whom it concerns. What it does not do: processes; signals
 * reach them through the sink it is given, and news of nodes through its host.
 */
import { type ErrorCode, SkeinError } from '../certs/errors.ts'
import { signingKeyOf } from '../certs/signing-key.ts'
import type { NodeRecord } from '../discovery/source.ts'
import { DiscoveryTable, type KnownNode, type TableEvent } from '../discovery/table.ts'
import { formatAddress } from '../transport/address.ts'
import { Admission, isBarring } from './cluster/admission.ts'
import { CarrierChoice } from './cluster/carrier-choice.ts'
import { type ConnectedNode, isOnThisMachine, seenAt } from './cluster/connected-node.ts'
import type { ConnectionFigures } from './cluster/connection-figures.ts'
import type { PeerHint } from './cluster/control.ts'
import { Dialler } from './cluster/dialler.ts'
import { Allowance } from './cluster/membership/allowance.ts'
import { Membership } from './cluster/membership/membership.ts'
import { gossipPeerOf, isMembershipFrame } from './cluster/membership/session-carrier.ts'
import { clusterMark, Notary } from './cluster/membership/statements.ts'
import type { Member, MembershipListener, MembershipView, Topology } from './cluster/membership/view.ts'
import { Mesh } from './cluster/mesh.ts'
import { MeshUpkeep } from './cluster/mesh-upkeep.ts'
import { fullNodeName, hostOfNodeName } from './cluster/node-name.ts'
import { parseTarget } from './cluster/node-target.ts'
import type { Traffic } from './cluster/peer.ts'
import { PeerExchange } from './cluster/peer-exchange.ts'
import { peerLists } from './cluster/peer-lists.ts'
import { Peers, type PeersObserver } from './cluster/peers.ts'
import { OwnPlace } from './cluster/reach/own-place.ts'
import { Reach, type ReachOptions } from './cluster/reach/reach.ts'
import type { DownReason, Session, SessionEnd } from './cluster/session.ts'
import { DEFAULT_STRATEGY } from './cluster/strategy.ts'
import { Credentials } from './credentials.ts'
import type { NodeEvent } from './event-stream.ts'
import { NodeDiscovery } from './node-discovery.ts'
import type { NodeParts } from './node-parts.ts'
import type { Origin } from './pid.ts'
import type { Router, SignalSink } from './route.ts'
import type { Reason } from './signals.ts'
import type { MessageCodec } from './wire/codec.ts'
import { DEFAULT_MAX_MESSAGE_BYTES } from './wire/codec-types.ts'
import { Packer } from './wire/packing.ts'
import { Wire } from './wire/wire.ts'

const DEFAULT_PING_TIMEOUT_MS = 5000
/** A message travels in a frame with a head: sender, target, call. */
const FRAME_HEAD_BYTES = 4096

/** Ends of handshakes that are everyday: they are no news for an operator. */
const QUIET_ENDS: readonly SessionEnd['code'][] = [
  'closed',
  'ERR_SKEIN_SIMULTANEOUS',
  'ERR_SKEIN_SELF',
  'ERR_SKEIN_CONNECT_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_STOPPED',
]

/** Ends of handshakes with those who are not let in, of which the operator hears. */
const BARRED_NEWS = { burst: 32, perSecond: 0.1 }

/** Whom the network tells. */
export interface NetworkHost extends SignalSink {
  /** A member is connected; not told of hidden nodes. */
  nodeUp(node: string): void
  nodeDown(node: string, reason: Reason): void
  emit(event: NodeEvent): void
}

export interface NetworkOptions {
  readonly parts: NodeParts
  readonly self: Origin
  readonly codec: MessageCodec
  readonly host: NetworkHost
}

export class Network {
  readonly discovery: NodeDiscovery
  /** What the node knows of its own place in the network. */
  readonly place: OwnPlace
  readonly credentials: Credentials
  readonly #parts: NodeParts
  readonly #self: Origin
  readonly #host: NetworkHost
  readonly #peers: Peers
  readonly #exchange = new PeerExchange()
  readonly #admission: Admission
  readonly #barredNews: Allowance
  readonly #membership: Membership
  readonly #table: DiscoveryTable
  readonly #dialler: Dialler
  /** Only where the node takes part in one. */
  readonly #mesh: Mesh | undefined
  readonly #upkeep: MeshUpkeep | undefined
  /** Only where the carrier can take other ways than its own. */
  readonly #reach: Reach | undefined
  #stopped = false

  constructor({ parts, self, codec, host }: NetworkOptions) {
    const { identity, clock, random, transport, keys, mesh, hidden = false } = parts
    this.#parts = parts
    this.#self = self
    this.#host = host
    this.#admission = new Admission(self.id, parts)
    this.#barredNews = new Allowance(BARRED_NEWS, clock.now())
    keys.onChange(() => this.discovery.changed())
    const takesPart = mesh !== 'none' && !hidden
    const { portMapping = false, dht } = parts
    this.place = new OwnPlace({ clock, random, transport, portMapping, dht, changed: () => this.discovery.changed() })
    this.#peers = new Peers({
      self,
      publicKey: identity.publicKey,
      keys,
      hidden,
      transport,
      clock,
      random,
      wire: new Wire(codec, parts.compression && new Packer(parts.compression)),
      maxFrameBytes: (parts.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES) + FRAME_HEAD_BYTES,
      sink: host,
      observer: this.#observer(),
      ...(parts.protocolVersions === undefined ? {} : { versions: parts.protocolVersions }),
    })
    const provenBy = (fingerprint: string): number => this.#peers.provenBy(fingerprint)
    this.credentials = new Credentials({ parts, provenBy, emit: (event) => host.emit(event) })
    this.#table = new DiscoveryTable({
      sources: [...parts.sources, this.#exchange],
      onEvent: (event) => this.#discovered(event),
      onStatus: (status) => host.emit({ type: 'discoveryStatus', status }),
    })
    this.discovery = new NodeDiscovery({
      table: this.#table,
      clock,
      ask: (wanted) => this.#lookAgain(wanted),
      self: () => this.#record(),
    })
    this.#reach = transport.ways && new Reach({ ...this.#reachOptions(), ways: transport.ways })
    const { connectTimeoutMs = DEFAULT_STRATEGY.connectTimeoutMs } = parts
    const directory = {
      find: (node: string) => this.#table.find(node),
      refresh: (node: string) => this.#lookAgain(node),
      forget: (id: string) => this.#forget(id),
    }
    const carriers = new CarrierChoice(clock, transport)
    this.#dialler = new Dialler({
      table: this.#peers,
      directory,
      relays: this.#reach,
      carriers,
      clock,
      connectTimeoutMs,
    })
    const meshHost = {
      isUp: (id: string, incarnation: string | undefined) => this.#peers.isUp(id, incarnation),
      dial: (node: KnownNode) => this.#dialKnown(node),
      wants: (node: KnownNode, isLost: boolean) =>
        (node.id === undefined || this.#admission.admits(node.id)) &&
        this.#upkeep?.wants(node, isLost) === true &&
        (typeof mesh !== 'function' || this.#ask(mesh, node)),
      forget: (id: string) => this.#forget(id),
      silent: (node: KnownNode) => this.#upkeep?.silent(node),
    }
    if (takesPart) {
      this.#mesh = new Mesh({ selfId: self.id, selfIncarnation: self.incarnation, clock, random, host: meshHost })
      const { fullMeshNodes = DEFAULT_STRATEGY.fullMeshNodes } = parts
      const { preventOverlappingPartitions = DEFAULT_STRATEGY.preventOverlappingPartitions } = parts
      this.#upkeep = new MeshUpkeep({
        self,
        key: signingKeyOf(identity),
        clock,
        random,
        logger: parts.logger,
        peers: this.#peers,
        strategy: { mesh, fullMeshNodes, preventOverlappingPartitions },
        known: () => this.members.known(),
        uses: (route) => host.uses(route),
        needs: (id) => this.place.needs(id) || this.#reach?.needs(id) === true,
        emit: (event) => host.emit(event),
        comeBack: () => this.#mesh?.comeBack(),
        reconsider: () => this.#mesh?.changed(),
      })
    }
    this.#membership = new Membership({
      self,
      notary: new Notary(signingKeyOf(identity), clusterMark(parts.cluster)),
      clock,
      random,
      preset: parts.liveness,
      topology: this.#upkeep?.topology ?? EVERYBODY,
      listener: this.#membershipListener(),
      isHidden: hidden,
      takesPart,
      addresses: () => this.place.view.advertised(),
      hint: (hint) => this.#heard([hint]),
      forget: (id) => this.#exchange.forget(id),
      admits: (id) => this.#admission.admits(id),
      knownChanged: () => this.#upkeep?.membersChanged(),
      refused: (node, code, message) => this.#memberRefused(node, code, message),
    })
  }

  /** Ways for the signals of this node's processes. */
  get router(): Router {
    return this.#peers
  }

  /** Begins to accept connections and to look for others. */
  start(): void {
    this.#peers.start()
    this.#membership.start()
    this.#upkeep?.start()
    this.place.start()
    // Not within this turn: whoever has just started the node shall see the first events too.
    this.#parts.clock.afterInput(() => {
      if (!this.#stopped) void this.#discover()
    })
  }

  /** Who is a member, connected or not. */
  get members(): MembershipView {
    return this.#membership.view
  }

  /** The connected nodes, hidden ones included. */
  connected(): ConnectedNode[] {
    return this.#peers.connected()
  }

  /** The connected node of this name. */
  connectedAs(name: string): ConnectedNode | undefined {
    return this.#peers.connectedAs(name)
  }

  /** Signals to and from other nodes. */
  get traffic(): Readonly<Traffic> {
    return this.#peers.traffic
  }

  /** What this node did for those behind NATs: as a relay, and by punches of its own. Empty where the carrier knows no ways. */
  counters(): Readonly<Record<string, number>> {
    return this.#reach?.counters() ?? {}
  }

  /** How each connection fares, those of hidden nodes included. */
  connections(): ConnectionFigures[] {
    return this.#peers.figures()
  }

  /** As SkeinNode.connect. */
  async connect(target: string): Promise<string> {
    const parsed = await parseTarget(target, hostOfNodeName(this.#self.name), this.#parts.resolve)
    if (parsed.type === 'addresses') return (await this.#dialler.toAddresses(target, parsed)).node
    if (parsed.name === this.#self.name) throw new SkeinError('ERR_SKEIN_SELF', `${parsed.name} is this node itself.`)
    return this.#peers.peerByName(parsed.name)?.node ?? (await this.#dialler.toName(parsed.name)).node
  }

  /** As SkeinNode.disconnect. */
  async disconnect(name: string): Promise<boolean> {
    const session = this.#peers.sessionByName(this.#fullName(name))
    await session?.goodbye('disconnect')
    return session !== undefined
  }

  /** As SkeinNode.revoke. */
  revoke(id: string): boolean {
    if (!this.#admission.revoke(id)) return false
    this.#parts.logger.warn({ id }, 'node revoked')
    const refusal = this.#admission.refusal(id, undefined)
    if (refusal !== undefined) this.#peers.expel(id, refusal)
    this.#membership.expel(id)
    this.#forget(id)
    return true
  }

  /** As SkeinNode.unrevoke. */
  unrevoke(id: string): boolean {
    return this.#admission.unrevoke(id)
  }

  revoked(): string[] {
    return this.#admission.revoked()
  }

  /** As SkeinNode.ping. */
  async ping(name: string, timeoutMs = DEFAULT_PING_TIMEOUT_MS): Promise<number> {
    const full = this.#fullName(name)
    if (full === this.#self.name) return 0
    const session = this.#peers.sessionByName(full) ?? this.#peers.sessionByName(await this.connect(full))
    if (session === undefined) throw new SkeinError('ERR_SKEIN_NOCONNECTION', `The connection to ${full} is gone.`)
    return session.ping(timeoutMs)
  }

  /** No more dials: the first step of a stop. */
  rest(): void {
    this.#stopped = true
    this.#mesh?.stop()
    this.#upkeep?.stop()
    this.#dialler.stop()
  }

  /** Says goodbye to everybody, and is found no more. Bounded. */
  async stop(): Promise<void> {
    this.rest()
    this.#membership.stop()
    this.#membership.leave()
    this.credentials.stop()
    // Goodbyes are to go by all ways.
    const farewell = this.#peers.stop().finally(() => this.#reach?.stop())
    await Promise.all([farewell, this.discovery.stop(), this.place.stop()])
  }

  async #discover(): Promise<void> {
    await this.discovery.start()
    for (const status of this.#table.status()) this.#host.emit({ type: 'discoveryStatus', status })
  }

  #fullName(name: string): string {
    return fullNodeName(name, hostOfNodeName(this.#self.name))
  }

  #record(): NodeRecord {
    const { name, id, incarnation } = this.#self
    const { hidden, keys } = this.#parts
    const [primary, ...accepted] = keys.all()
    // Without addresses a record is not published: nobody shall find a hidden node.
    return {
      name,
      id,
      incarnation,
      ...this.place.told(),
      ...(hidden === true ? { addresses: [] } : {}),
      clusterTag: primary.clusterTag,
      ...(accepted.length > 0 && { acceptedTags: accepted.map(({ clusterTag }) => clusterTag) }),
    }
  }

  #observer(): PeersObserver {
    return {
      nodeUp: (node, session) => this.#nodeUp(node, session),
      nodeDown: (node, reason, byPeer) => this.#nodeDown(node, reason, byPeer),
      refused: (session, end) => this.#refused(session, end),
      ticked: (session, checksum) => this.#membership.ticked(session.id ?? '', checksum),
      ponged: (session, number) => this.#membership.ponged(session.id ?? '', number),
      askedForPeers: (session) => this.#tellPeers(session),
      toldOfPeers: (hints) => this.#heard(hints),
      meshFrame: (session, type, body) => this.#meshFrame(session, type, body),
      reachFrame: (session, type, body) => this.#reach?.frame(session, type, body),
      opened: (session) => this.#reach?.opened(session),
      datagram: (session, bytes) => this.#reach?.datagram(session, bytes),
      moved: (session) => this.#reach?.moved(session),
      addresses: () => this.place.view.advertised(),
      refusal: (id, isMember, certificate) =>
        this.#admission.refusal(id, certificate) ?? (isMember ? this.#upkeep?.refusal(id) : undefined),
      dialByName: (name) => this.#dialler.toName(name),
      defect: (error) => this.defect(error),
    }
  }

  #nodeUp(node: ConnectedNode, session: Session): void {
    const { name, id, incarnation, hidden, address } = node
    this.#parts.logger.info({ peer: name, address: formatAddress(address) }, 'node up')
    if (!hidden) {
      this.#exchange.met({ name, id, incarnation, addresses: [...seenAt(node), ...node.listens] })
      this.#host.nodeUp(name)
    }
    this.#mesh?.up(id)
    this.#membership.connected(gossipPeerOf(node, session))
    this.#reach?.up(node, session)
    this.place.met(node)
    this.#upkeep?.nodeUp(node)
    this.#host.emit({ type: 'nodeup', node: name, id, incarnation, address, hidden })
    // The first contact: whoever it knows is new to us. Later on ticks show whether there is something to ask for.
    if (this.#mesh !== undefined && this.#peers.connectedCount === 1) this.#membership.ask(id)
  }

  #nodeDown(node: ConnectedNode, reason: DownReason, byPeer: boolean): void {
    const { name, id, hidden } = node
    this.#parts.logger.info({ peer: name, reason }, 'node down')
    if (!hidden) this.#host.nodeDown(name, reason)
    this.#reach?.down(id)
    this.place.gone(id)
    this.#mesh?.down(id, reason)
    this.#membership.disconnected(id, reason, byPeer)
    this.#upkeep?.nodeDown(node, reason)
    this.#host.emit({ type: 'nodedown', node: name, id, reason })
  }

  #refused(session: Session, { code, message, byPeer }: SessionEnd): void {
    if (code === 'closed' || QUIET_ENDS.includes(code)) return
    if (isBarring(code) && !this.#barredNews.take(this.#parts.clock.now())) return
    const { claimedName: node, remote: address } = session
    this.#parts.logger.warn({ peer: node, address: formatAddress(address), code, byPeer }, message)
    this.#host.emit({ type: 'refused', node, address, code, message, byPeer })
  }

  #reachOptions(): Omit<ReachOptions, 'ways'> {
    const { clock, random, transport, relay = true, hidden = false } = this.#parts
    return {
      selfId: this.#self.id,
      clock,
      random,
      transport,
      view: this.place.view,
      relays: hidden ? false : relay,
      admits: (id) => this.#admission.admits(id),
      host: {
        dial: (what, address) => this.#dialler.toAddresses(what, { addresses: [address] }),
        moved: (node) => this.#moved(node),
        defect: (error) => this.defect(error),
      },
    }
  }

  #moved(node: ConnectedNode): void {
    this.place.met(node)
    const { name, id, way, address } = node
    this.#parts.logger.info({ peer: name, way, address: formatAddress(address) }, 'node moved')
    this.#host.emit({ type: 'moved', node: name, id, way, address })
  }

  #membershipListener(): MembershipListener {
    const tell = (type: 'memberup' | 'membersuspect' | 'memberclear', { name, id }: Member): void =>
      this.#host.emit({ type, node: name, id })
    return {
      joined: (member) => tell('memberup', member),
      suspected: (member) => tell('membersuspect', member),
      cleared: (member) => tell('memberclear', member),
      left: ({ name, id }, reason) => this.#host.emit({ type: 'memberdown', node: name, id, reason }),
    }
  }

  #memberRefused(node: string, code: ErrorCode, message: string): void {
    this.#parts.logger.warn({ peer: node, code }, message)
    this.#host.emit({ type: 'memberRefused', node, service: 'membership', code, message })
  }

  #meshFrame(session: Session, type: number, body: Uint8Array): void {
    if (isMembershipFrame(type)) this.#membership.received(session.id ?? '', type, body)
    else this.#upkeep?.heard(session, type, body)
  }

  #heard(hints: readonly PeerHint[]): void {
    if (this.#exchange.heard(hints.filter(({ id }) => this.#admission.admits(id)))) this.#membership.eager()
  }

  /** To a peer of version 1. */
  #tellPeers(session: Session): void {
    const isLocal = isOnThisMachine({ address: session.remote, way: session.way })
    const others = this.#peers.connected().filter((node) => !node.hidden && node.id !== session.id)
    for (const list of peerLists(others, isLocal)) session.tellPeers(list)
  }

  #forget(id: string): void {
    this.#exchange.forget(id)
    this.#membership.forget(id)
    this.#upkeep?.forgotten(id)
  }

  #lookAgain(wanted: string): Promise<void> {
    // Whoever is connected may know whom we do not.
    this.#membership.askAll()
    return this.#table.refresh(wanted)
  }

  /** The user's own policy; one that throws wants nobody. */
  #ask(wants: (node: KnownNode) => boolean, node: KnownNode): boolean {
    try {
      return wants(node)
    } catch (error) {
      this.defect(error)
      return false
    }
  }

  #discovered({ type, node, formerKey }: TableEvent): void {
    const { name, id, addresses, sources } = node
    if (type === 'lost') this.#mesh?.lost(node)
    else this.#mesh?.known(node, formerKey)
    if (type !== 'changed') this.#upkeep?.membersChanged()
    if (type !== 'lost' && name !== undefined) this.#dialler.becameKnown(name)
    if (type !== 'lost') this.discovery.noticed()
    this.#host.emit({ type: type === 'lost' ? 'undiscovered' : 'discovered', node: name, id, addresses, sources })
  }

  async #dialKnown(node: KnownNode): Promise<string | undefined> {
    const what = node.name ?? node.addresses.map(formatAddress).join(', ')
    return (await this.#dialler.toAddresses(what, node)).origin?.id
  }

  /** An error that should be impossible: it costs no more than what it happened to. */
  defect(error: unknown): void {
    this.#parts.logger.error({ err: error }, 'a defect of this node')
  }
}

/** For a node that takes part in no mesh. */
const EVERYBODY: Topology = { full: true, neighboursOf: () => new Set() }

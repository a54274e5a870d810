/**
 * The network side of a node: discovery, dials, connections, ways around NATs and the cluster's mesh, put together.
 *
 * It does little itself: it passes what one part says to those whom it concerns. What it does not do: processes; signals
 * reach them through the sink it is given, and news of nodes through its host.
 */
import { SkeinError } from '../certs/errors.ts'
import type { NodeRecord } from '../discovery/source.ts'
import { DiscoveryTable, type KnownNode, type TableEvent } from '../discovery/table.ts'
import { formatAddress } from '../transport/address.ts'
import { Admission } from './cluster/admission.ts'
import { CarrierChoice } from './cluster/carrier-choice.ts'
import { ClusterMesh } from './cluster/cluster-mesh.ts'
import type { ConnectedNode } from './cluster/connected-node.ts'
import type { ConnectionFigures } from './cluster/connection-figures.ts'
import { Dialler } from './cluster/dialler.ts'
import type { MembershipView } from './cluster/membership/view.ts'
import { fullNodeName, hostOfNodeName } from './cluster/node-name.ts'
import { parseTarget } from './cluster/node-target.ts'
import type { Traffic } from './cluster/peer.ts'
import { Peers, type PeersObserver } from './cluster/peers.ts'
import { OwnPlace } from './cluster/reach/own-place.ts'
import { Reach, type ReachOptions } from './cluster/reach/reach.ts'
import { Refusals } from './cluster/refusals.ts'
import type { DownReason, Session } from './cluster/session.ts'
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
  readonly #admission: Admission
  readonly #refusals: Refusals
  readonly #mesh: ClusterMesh
  readonly #table: DiscoveryTable
  readonly #dialler: Dialler
  /** Only where the carrier can take other ways than its own. */
  readonly #reach: Reach | undefined
  #stopped = false

  constructor({ parts, self, codec, host }: NetworkOptions) {
    const { identity, clock, random, transport, keys, logger, hidden = false } = parts
    const emit = (event: NodeEvent): void => host.emit(event)
    this.#parts = parts
    this.#self = self
    this.#host = host
    this.#admission = new Admission(self.id, parts)
    this.#refusals = new Refusals({ clock, logger, emit })
    keys.onChange(() => this.discovery.changed())
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
    this.credentials = new Credentials({ parts, provenBy, emit })
    this.#mesh = new ClusterMesh({
      parts,
      self,
      peers: this.#peers,
      place: this.place,
      admits: (id) => this.#admission.admits(id),
      dial: (node) => this.#dialKnown(node),
      uses: (route) => host.uses(route),
      needs: (id) => this.place.needs(id) || this.#reach?.needs(id) === true,
      emit,
      defect: (error) => this.defect(error),
    })
    this.#table = new DiscoveryTable({
      sources: [...parts.sources, this.#mesh.source],
      onEvent: (event) => this.#discovered(event),
      onStatus: (status) => emit({ type: 'discoveryStatus', status }),
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
      forget: (id: string) => this.#mesh.forget(id),
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
  }

  /** Ways for the signals of this node's processes. */
  get router(): Router {
    return this.#peers
  }

  /** Begins to accept connections and to look for others. */
  start(): void {
    this.#peers.start()
    this.#mesh.start()
    this.place.start()
    // Not within this turn: whoever has just started the node shall see the first events too.
    this.#parts.clock.afterInput(() => {
      if (!this.#stopped) void this.#discover()
    })
  }

  /** Who is a member, connected or not. */
  get members(): MembershipView {
    return this.#mesh.members
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
    this.#mesh.expel(id)
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
    this.#mesh.rest()
    this.#dialler.stop()
  }

  /** Says goodbye to everybody, and is found no more. Bounded. */
  async stop(): Promise<void> {
    this.rest()
    this.#mesh.leave()
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
      refused: (session, end) => this.#refusals.ended(session, end),
      ticked: (session, checksum) => this.#mesh.ticked(session, checksum),
      ponged: (session, number) => this.#mesh.ponged(session, number),
      askedForPeers: (session) => this.#mesh.tellPeers(session),
      toldOfPeers: (hints) => this.#mesh.heard(hints),
      meshFrame: (session, type, body) => this.#mesh.frame(session, type, body),
      reachFrame: (session, type, body) => this.#reach?.frame(session, type, body),
      opened: (session) => this.#reach?.opened(session),
      datagram: (session, bytes) => this.#reach?.datagram(session, bytes),
      moved: (session) => this.#reach?.moved(session),
      addresses: () => this.place.view.advertised(),
      refusal: (id, isMember, certificate) =>
        this.#admission.refusal(id, certificate) ?? (isMember ? this.#mesh.refusal(id) : undefined),
      dialByName: (name) => this.#dialler.toName(name),
      defect: (error) => this.defect(error),
    }
  }

  #nodeUp(node: ConnectedNode, session: Session): void {
    const { name, id, incarnation, hidden, address } = node
    this.#parts.logger.info({ peer: name, address: formatAddress(address) }, 'node up')
    if (!hidden) this.#host.nodeUp(name)
    this.#mesh.nodeUp(node, session)
    this.#reach?.up(node, session)
    this.place.met(node)
    this.#host.emit({ type: 'nodeup', node: name, id, incarnation, address, hidden })
  }

  #nodeDown(node: ConnectedNode, reason: DownReason, byPeer: boolean): void {
    const { name, id, hidden } = node
    this.#parts.logger.info({ peer: name, reason }, 'node down')
    if (!hidden) this.#host.nodeDown(name, reason)
    this.#reach?.down(id)
    this.place.gone(id)
    this.#mesh.nodeDown(node, reason, byPeer)
    this.#host.emit({ type: 'nodedown', node: name, id, reason })
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

  #lookAgain(wanted: string): Promise<void> {
    // Whoever is connected may know whom we do not.
    this.#mesh.askAll()
    return this.#table.refresh(wanted)
  }

  #discovered(event: TableEvent): void {
    const { type } = event
    const { name, id, addresses, sources } = event.node
    this.#mesh.discovered(event)
    if (type !== 'lost') {
      if (name !== undefined) this.#dialler.becameKnown(name)
      this.discovery.noticed()
    }
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

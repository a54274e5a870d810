/**
 * The cluster as this node takes part in it: who is dialled (mesh.ts), the shape that connections are kept in
 * (mesh-upkeep.ts), who is a member (membership/), and what members tell of each other (peer-exchange.ts), put together.
 *
 * It is told of connections, frames and sightings, and passes each on to the parts that it concerns. A hidden node, or one
 * with mesh 'none', takes part in no mesh: it keeps membership of those it is connected to, and dials nobody by itself. What
 * it does not do: dial, or own connections; its host does.
 */
import type { ErrorCode } from '../../certs/errors.ts'
import { signingKeyOf } from '../../certs/signing-key.ts'
import type { DiscoverySource } from '../../discovery/source.ts'
import type { KnownNode, TableEvent } from '../../discovery/table.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { NodeParts } from '../node-parts.ts'
import type { Origin } from '../pid.ts'
import type { Route } from '../route.ts'
import { type ConnectedNode, isOnThisMachine, seenAt } from './connected-node.ts'
import type { PeerHint } from './control.ts'
import type { Refusal } from './handshake.ts'
import { Membership } from './membership/membership.ts'
import { gossipPeerOf, isMembershipFrame } from './membership/session-carrier.ts'
import { clusterMark, Notary } from './membership/statements.ts'
import type { Member, MembershipListener, MembershipView, Topology } from './membership/view.ts'
import { Mesh } from './mesh.ts'
import { MeshUpkeep } from './mesh-upkeep.ts'
import { PeerExchange } from './peer-exchange.ts'
import { peerLists } from './peer-lists.ts'
import type { Peers } from './peers.ts'
import type { OwnPlace } from './reach/own-place.ts'
import type { DownReason, Session } from './session.ts'
import { DEFAULT_STRATEGY } from './strategy.ts'

export interface ClusterMeshOptions {
  readonly parts: NodeParts
  readonly self: Origin
  readonly peers: Peers
  readonly place: Pick<OwnPlace, 'view'>
  /** False: that node is not let in, and nobody is told of it. */
  readonly admits: (id: string) => boolean
  /** Resolves with the id of the node that answered. */
  readonly dial: (node: KnownNode) => Promise<string | undefined>
  /** A process of this node may use that route. */
  readonly uses: (route: Route) => boolean
  /** The connection to this one is needed, though no process may use it. */
  readonly needs: (id: string) => boolean
  readonly emit: (event: NodeEvent) => void
  readonly defect: (error: unknown) => void
}

export class ClusterMesh {
  readonly #options: ClusterMeshOptions
  readonly #exchange = new PeerExchange()
  readonly #membership: Membership
  /** Only where the node takes part in one. */
  readonly #mesh: Mesh | undefined
  readonly #upkeep: MeshUpkeep | undefined

  constructor(options: ClusterMeshOptions) {
    this.#options = options
    const { parts, self, place, admits } = options
    const { identity, clock, random, mesh, hidden = false } = parts
    const key = signingKeyOf(identity)
    const takesPart = mesh !== 'none' && !hidden
    if (takesPart) {
      this.#mesh = new Mesh({
        selfId: self.id,
        selfIncarnation: self.incarnation,
        clock,
        random,
        host: {
          isUp: (id, incarnation) => options.peers.isUp(id, incarnation),
          dial: options.dial,
          wants: (node, isLost) => this.#wants(node, isLost),
          forget: (id) => this.forget(id),
          silent: (node) => this.#upkeep?.silent(node),
        },
      })
      const { fullMeshNodes = DEFAULT_STRATEGY.fullMeshNodes } = parts
      const { preventOverlappingPartitions = DEFAULT_STRATEGY.preventOverlappingPartitions } = parts
      this.#upkeep = new MeshUpkeep({
        self,
        key,
        clock,
        random,
        logger: parts.logger,
        peers: options.peers,
        strategy: { mesh, fullMeshNodes, preventOverlappingPartitions },
        known: () => this.members.known(),
        uses: options.uses,
        needs: options.needs,
        emit: options.emit,
        comeBack: () => this.#mesh?.comeBack(),
        reconsider: () => this.#mesh?.changed(),
      })
    }
    this.#membership = new Membership({
      self,
      notary: new Notary(key, clusterMark(parts.cluster)),
      clock,
      random,
      preset: parts.liveness,
      topology: this.#upkeep?.topology ?? EVERYBODY,
      listener: this.#listener(),
      isHidden: hidden,
      takesPart,
      addresses: () => place.view.advertised(),
      hint: (hint) => this.heard([hint]),
      forget: (id) => this.#exchange.forget(id),
      admits,
      knownChanged: () => this.#upkeep?.membersChanged(),
      refused: (node, code, message) => this.#refused(node, code, message),
    })
  }

  /** What members tell of members, for dialling. */
  get source(): DiscoverySource {
    return this.#exchange
  }

  /** Who is a member, connected or not. */
  get members(): MembershipView {
    return this.#membership.view
  }

  start(): void {
    this.#membership.start()
    this.#upkeep?.start()
  }

  /** No more dials. */
  rest(): void {
    this.#mesh?.stop()
    this.#upkeep?.stop()
  }

  /** The node leaves: the last word to everybody, before the goodbyes. */
  leave(): void {
    this.#membership.stop()
    this.#membership.leave()
  }

  // Connections

  /** Why this node is not let in now, though it might be. */
  refusal(id: string): Refusal | undefined {
    return this.#upkeep?.refusal(id)
  }

  nodeUp(node: ConnectedNode, session: Session): void {
    const { name, id, incarnation, hidden } = node
    if (!hidden) this.#exchange.met({ name, id, incarnation, addresses: [...seenAt(node), ...node.listens] })
    this.#mesh?.up(id)
    this.#membership.connected(gossipPeerOf(node, session))
    this.#upkeep?.nodeUp(node)
    // The first contact: whoever it knows is new to us. Later on ticks show whether there is something to ask for.
    if (this.#mesh !== undefined && this.#options.peers.connectedCount === 1) this.#membership.ask(id)
  }

  nodeDown(node: ConnectedNode, reason: DownReason, byPeer: boolean): void {
    this.#mesh?.down(node.id, reason)
    this.#membership.disconnected(node.id, reason, byPeer)
    this.#upkeep?.nodeDown(node, reason)
  }

  // Frames

  ticked(session: Session, checksum: number): void {
    this.#membership.ticked(session.id ?? '', checksum)
  }

  ponged(session: Session, number: number): void {
    this.#membership.ponged(session.id ?? '', number)
  }

  /** Throws ERR_SKEIN_PROTOCOL. */
  frame(session: Session, type: number, body: Uint8Array): void {
    if (isMembershipFrame(type)) this.#membership.received(session.id ?? '', type, body)
    else this.#upkeep?.heard(session, type, body)
  }

  /** A peer of version 1 asks who is connected. */
  tellPeers(session: Session): void {
    const isLocal = isOnThisMachine({ address: session.remote, way: session.way })
    const others = this.#options.peers.connected().filter((node) => !node.hidden && node.id !== session.id)
    for (const list of peerLists(others, isLocal)) session.tellPeers(list)
  }

  // Who is where

  /** Members told where others may be reached. */
  heard(hints: readonly PeerHint[]): void {
    if (this.#exchange.heard(hints.filter(({ id }) => this.#options.admits(id)))) this.#membership.eager()
  }

  /** A source of discovery sees a node, or sees it no more. */
  discovered({ type, node, formerKey }: TableEvent): void {
    if (type === 'lost') this.#mesh?.lost(node)
    else this.#mesh?.known(node, formerKey)
    if (type !== 'changed') this.#upkeep?.membersChanged()
  }

  /** Asks all who are connected for whom we do not know. */
  askAll(): void {
    this.#membership.askAll()
  }

  /** Nobody could reach it for long, or another answers in its place. */
  forget(id: string): void {
    this.#exchange.forget(id)
    this.#membership.forget(id)
    this.#upkeep?.forgotten(id)
  }

  /** It is let in no more, and its connections are over. */
  expel(id: string): void {
    this.#membership.expel(id)
    this.forget(id)
  }

  #wants(node: KnownNode, isLost: boolean): boolean {
    const { admits, parts, defect } = this.#options
    if (node.id !== undefined && !admits(node.id)) return false
    if (this.#upkeep?.wants(node, isLost) !== true) return false
    if (typeof parts.mesh !== 'function') return true
    try {
      return parts.mesh(node)
    } catch (error) {
      // The user's own policy; one that throws wants nobody.
      defect(error)
      return false
    }
  }

  #listener(): MembershipListener {
    const { emit } = this.#options
    const tell = (type: 'memberup' | 'membersuspect' | 'memberclear', { name, id }: Member): void =>
      emit({ type, node: name, id })
    return {
      joined: (member) => tell('memberup', member),
      suspected: (member) => tell('membersuspect', member),
      cleared: (member) => tell('memberclear', member),
      left: ({ name, id }, reason) => emit({ type: 'memberdown', node: name, id, reason }),
    }
  }

  #refused(node: string, code: ErrorCode, message: string): void {
    const { parts, emit } = this.#options
    parts.logger.warn({ peer: node, code }, message)
    emit({ type: 'memberRefused', node, service: 'membership', code, message })
  }
}

/** For a node that takes part in no mesh. */
const EVERYBODY: Topology = { full: true, neighboursOf: () => new Set() }

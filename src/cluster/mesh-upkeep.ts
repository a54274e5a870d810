/**
 * Keeps a mesh in the shape it is meant to have: who is connected to whom (mesh-topology.ts), no overlapping partitions
 * (overlap.ts), no idle connections beyond the neighbours (idle-connections.ts), and word of partitions for the operator
 * (partitions.ts). It passes on what happens to connections; the cores decide.
 */
import { isSkeinError } from '../../certs/errors.ts'
import type { SigningKey } from '../../certs/signing-key.ts'
import type { KnownNode } from '../../discovery/table.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { Logger } from '../config.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { Origin } from '../pid.ts'
import type { Route } from '../route.ts'
import type { ConnectedNode } from './connected-node.ts'
import { CONTROL } from './control.ts'
import type { Refusal } from './handshake.ts'
import { IdleConnections } from './idle-connections.ts'
import { wasLost } from './mesh.ts'
import { MeshTopology } from './mesh-topology.ts'
import { type LostMember, Overlap } from './overlap.ts'
import { Partitions } from './partitions.ts'
import type { Peers } from './peers.ts'
import { type DownReason, MESH_VERSION, type Session } from './session.ts'
import { decodeSight, encodeSight, type Sight } from './sight.ts'
import type { ClusterStrategy } from './strategy.ts'

/** Who was silent for longer is not testified for: a round of ticks, and some. */
const FRESH_SIGHT_MS = 2000
/** How a connection is looked into that the other side may have lost. */
const DOUBT_PINGS = 2
const DOUBT_TIMEOUT_MS = 1500
/** Changes that come together are looked at together. */
const RECONSIDER_MS = 500

export interface MeshUpkeepOptions {
  readonly self: Origin
  readonly key: SigningKey
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly peers: Peers
  readonly strategy: Pick<ClusterStrategy, 'mesh' | 'fullMeshNodes' | 'preventOverlappingPartitions'>
  /** Ids of the other members. */
  readonly known: () => Iterable<string>
  uses(route: Route): boolean
  /** The connection to this one is needed, though no process may use it. */
  needs(id: string): boolean
  emit(event: NodeEvent): void
  /** This node comes back to all it left. */
  comeBack(): void
  /** It may want other connections than before. */
  reconsider(): void
}

const STEPPED_BACK: Refusal = {
  code: 'ERR_SKEIN_OVERLAPPING_PARTITION',
  message: 'The node keeps away from all who see a node it lost.',
}

export class MeshUpkeep {
  readonly topology: MeshTopology
  readonly #options: MeshUpkeepOptions
  readonly #overlap: Overlap
  readonly #partitions: Partitions
  readonly #idle: IdleConnections
  /** While this node is apart: who may be connected nevertheless. */
  #admitted: ReadonlySet<string> | undefined
  /** Connections that are being looked into. */
  readonly #doubted = new WeakSet<Session>()
  #stopped = false
  #reconsidering: Timer | undefined

  constructor(options: MeshUpkeepOptions) {
    const { self, key, clock, random, strategy, known, peers } = options
    this.#options = options
    this.topology = new MeshTopology({ selfId: self.id, fullMeshNodes: strategy.fullMeshNodes, known })
    this.#overlap = new Overlap({
      self,
      key,
      clock,
      random,
      host: {
        witnesses: () => this.#members().map(({ id }) => id),
        sees: (id) =>
          clock.now() - (peers.sessionById(id)?.lanes.lastHeardMs ?? Number.NEGATIVE_INFINITY) < FRESH_SIGHT_MS,
        doubt: (id) => void this.#doubt(id),
        send: (id, sight) => this.#send(id, sight),
        stepBack: ({ lost, keep, apartMs }) => this.#stepBack(lost, keep, apartMs),
        comeBack: () => this.#comeBack(),
      },
    })
    this.#partitions = new Partitions(clock, {
      partitioned: (lost) => {
        const seen = peers.connected().flatMap(({ name, hidden }) => (hidden ? [] : [name]))
        options.logger.warn({ lost, seen }, 'the network has split')
        options.emit({ type: 'partitioned', node: self.name, lost, seen })
      },
      healed: (back, missing) => {
        options.logger.warn({ back, missing }, 'the network is whole again')
        options.emit({ type: 'healed', node: self.name, back, missing })
      },
    })
    this.#idle = new IdleConnections(clock, {
      selfId: self.id,
      spare: () => this.#spare(),
      isSpare: (id) => this.#isSpare(id),
      uses: (route) => options.uses(route),
    })
  }

  start(): void {
    this.#idle.start()
  }

  stop(): void {
    this.#stopped = true
    this.#reconsidering?.cancel()
    this.#overlap.stop()
    this.#partitions.stop()
    this.#idle.stop()
  }

  /**
   * Whether to dial it without being asked. Who was lost in silence is dialled even if it is no member any more, and so no
   * neighbour: in a large cluster the two sides of a partition find together again through those.
   */
  wants({ id }: KnownNode, isLost: boolean): boolean {
    if (id === undefined) return this.#admitted === undefined
    return this.#admits(id) && (isLost || this.#options.strategy.mesh !== 'full' || this.topology.wants(id))
  }

  #admits(id: string): boolean {
    return this.#admitted === undefined || this.#admitted.has(id)
  }

  /** Why it is not let in now. */
  refusal(id: string): Refusal | undefined {
    return this.#admits(id) ? undefined : STEPPED_BACK
  }

  /** The members are others than before. */
  membersChanged(): void {
    if (this.#stopped) return
    this.#reconsidering ??= this.#options.clock.after(RECONSIDER_MS, () => this.#reconsider(), true)
  }

  nodeUp({ id, hidden }: ConnectedNode): void {
    if (this.#stopped) return
    this.membersChanged()
    if (hidden) return
    this.#partitions.up(id)
    this.#overlap.settled(id)
  }

  nodeDown({ name, id, incarnation, hidden }: ConnectedNode, reason: DownReason): void {
    if (this.#stopped) return
    this.membersChanged()
    if (hidden) return
    if (!wasLost(reason)) return this.#overlap.settled(id)
    this.#partitions.lost(id, name)
    this.#overlapWith({ name, id, incarnation })
  }

  /** A dial to it found nobody. */
  silent({ name, id, incarnation }: KnownNode): void {
    if (name === undefined || id === undefined || incarnation === undefined) return
    this.#overlapWith({ name, id, incarnation })
    this.#overlap.failed(id)
  }

  /** It is no member any more. */
  forgotten(id: string): void {
    this.membersChanged()
    this.#overlap.settled(id)
  }

  /** A frame of a peer. Throws ERR_SKEIN_PROTOCOL. */
  heard(session: Session, type: number, body: Uint8Array): void {
    if (type === CONTROL.idle) this.#idle.heard(session, body)
    else if (session.id !== undefined) this.#overlap.heard(session.id, decodeSight(body))
  }

  #reconsider(): void {
    this.#reconsidering = undefined
    const wasFull = this.topology.full
    this.topology.changed()
    if (!wasFull || !this.topology.full) this.#options.reconsider()
  }

  #overlapWith(member: LostMember): void {
    const { mesh, preventOverlappingPartitions } = this.#options.strategy
    if (mesh === 'full' && preventOverlappingPartitions && this.topology.full) this.#overlap.lost(member)
  }

  /** Who takes part in all this. */
  #members(): ConnectedNode[] {
    const { peers } = this.#options
    return peers.connected().filter(({ id, hidden }) => !hidden && (peers.peerById(id)?.version ?? 1) >= MESH_VERSION)
  }

  #send(id: string, sight: Sight): void {
    const { peers } = this.#options
    if ((peers.peerById(id)?.version ?? 1) < MESH_VERSION) return
    peers.sessionById(id)?.meshFrame(CONTROL.sight, encodeSight(sight))
  }

  /** Ends a connection over which no answer comes. Twice, because this node may have slept through the first one. */
  async #doubt(id: string): Promise<void> {
    const session = this.#options.peers.sessionById(id)
    if (session === undefined || this.#doubted.has(session)) return
    this.#doubted.add(session)
    try {
      for (let unanswered = 0; unanswered < DOUBT_PINGS; unanswered++) {
        const failure = await session.ping(DOUBT_TIMEOUT_MS).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (!isSkeinError(failure, 'ERR_SKEIN_CONNECT_TIMEOUT')) return
      }
      session.end('ERR_SKEIN_CONNECTION_LOST', 'The peer does not hear this node.', 'net_tick_timeout')
    } finally {
      this.#doubted.delete(session)
    }
  }

  #stepBack(lost: readonly LostMember[], keep: ReadonlySet<string>, apartMs: number): void {
    const { peers, self, logger, emit } = this.#options
    const leaving = peers.connected().filter(({ id, hidden }) => !hidden && !keep.has(id))
    const names = { lost: lost.map(({ name }) => name), disconnected: leaving.map(({ name }) => name) }
    this.#admitted = new Set([...keep, ...lost.map(({ id }) => id)])
    logger.warn({ ...names, apartMs }, 'this node steps back: others see members that it lost')
    emit({ type: 'overlappingPartition', node: self.name, ...names, apartMs: Math.round(apartMs) })
    for (const { id } of leaving) void peers.sessionById(id)?.goodbye('overlapping_partition')
  }

  #comeBack(): void {
    this.#admitted = undefined
    this.#options.comeBack()
  }

  *#spare(): Iterable<{ id: string; session: Session }> {
    const { peers } = this.#options
    for (const { id } of peers.connected()) {
      const session = this.#isSpare(id) ? peers.sessionById(id) : undefined
      if (session !== undefined) yield { id, session }
    }
  }

  #isSpare(id: string): boolean {
    const { strategy, needs } = this.#options
    return strategy.mesh === 'full' && !this.topology.wants(id) && !needs(id)
  }
}

/**
 * Many memberships on a light network: connections are a delay, loss is a longer one (what is lost is sent again, in
 * order), and every frame is counted with what UDP, IP, QUIC and an acknowledgement add. Nodes connect to whom their
 * topology wants. A host can crash, pause, be cut off in one direction or both, and leave.
 */

import { nodeIdOf } from '../../../../certs/node-id.ts'
import { signingKeyFromSeed } from '../../../../certs/signing-key.ts'
import type { LivenessPreset } from '../../../../src/cluster/liveness.ts'
import { encodeGossip, MEMBERSHIP_FRAMES } from '../../../../src/cluster/membership/frames.ts'
import type { GossipPeer } from '../../../../src/cluster/membership/grapevine.ts'
import { Membership } from '../../../../src/cluster/membership/membership.ts'
import { type Announcement, Notary } from '../../../../src/cluster/membership/statements.ts'
import type { LeaveReason } from '../../../../src/cluster/membership/view.ts'
import { MeshTopology } from '../../../../src/cluster/mesh-topology.ts'
import type { DownReason } from '../../../../src/cluster/session.ts'
import { Origin } from '../../../../src/pid.ts'
import type { Clock } from '../../../../transport/clock.ts'
import { type Random, seededRandom } from '../../../../transport/random.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'

/** IP, UDP and QUIC, without what a frame itself takes. */
const DATAGRAM_OVERHEAD_BYTES = 70
const FRAME_OVERHEAD_BYTES = 3
const ACK_BYTES = 76
const MAX_DATAGRAM_BYTES = 1350
const CONNECT_RETRY_MS = 2000
const MESH_INTERVAL_MS = 500
const CLUSTER_TAG = 'simulated'

export interface SimulatedNetwork {
  readonly seed: number
  readonly nodes: number
  /** One way. */
  readonly delayMs?: number
  /** Part of the datagrams. */
  readonly loss?: number
  readonly fullMeshNodes?: number
  readonly preset?: LivenessPreset
}

export interface MemberEvent {
  readonly atMs: number
  readonly node: number
  readonly type: 'up' | 'suspect' | 'clear' | LeaveReason
  readonly about: number
}

type Frame =
  | { readonly type: 'tick' | 'ping' | 'pong'; readonly number: number }
  | { readonly type: 'tell'; readonly frame: number; readonly body: Uint8Array }

/** One direction of a connection. */
interface Direction {
  readonly from: SimulatedNode
  readonly to: SimulatedNode
  waiting: Frame[]
  lastArrivalMs: number
  /** When acknowledgements reach the sender. */
  readonly acks: number[]
  /** When the sender last heard of the receiver. */
  heardMs: number
  isOpen: boolean
}

export class SimulatedNode {
  readonly index: number
  readonly seed: Uint8Array
  readonly notary: Notary
  readonly origin: Origin
  readonly topology: MeshTopology
  readonly membership: Membership
  readonly links = new Map<SimulatedNode, Direction>()
  readonly refusals: string[] = []
  /** Ids of members that others told of, in the order in which that was heard. */
  readonly hints: string[] = []
  readonly #network: MembershipNetwork
  sentBytes = 0
  hasCrashed = false
  isPaused = false
  backlog: (() => void)[] = []
  overdue: (() => void)[] = []

  constructor(network: MembershipNetwork, index: number, seed: Uint8Array) {
    this.#network = network
    this.index = index
    this.seed = seed
    const incarnation = 1 + Math.floor(network.clock.now())
    const key = signingKeyFromSeed(seed)
    this.notary = new Notary(key, CLUSTER_TAG)
    this.origin = new Origin(`n${index}@sim`, nodeIdOf(key.publicKey), incarnation.toString(16).padStart(16, '0'))
    const { preset, fullMeshNodes = 128 } = network.options
    this.topology = new MeshTopology({
      selfId: this.origin.id,
      fullMeshNodes,
      known: () => this.membership.view.known(),
    })
    const note = (type: MemberEvent['type'], id: string): void => network.note(this, type, id)
    this.membership = new Membership({
      self: this.origin,
      notary: {
        announce: (said) => this.notary.announce(said),
        doubt: (said) => this.notary.doubt(said),
        isGenuine: (said) => network.isGenuine(this.notary, said),
      },
      clock: this.clock,
      random: seededRandom(network.random.float() * 2 ** 32),
      preset,
      topology: this.topology,
      listener: {
        joined: ({ id }) => note('up', id),
        suspected: ({ id }) => note('suspect', id),
        cleared: ({ id }) => note('clear', id),
        left: ({ id }, reason) => note(reason, id),
      },
      isHidden: false,
      takesPart: true,
      addresses: () => [{ host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: 4433 }],
      hint: ({ id }) => this.hints.push(id),
      forget: () => {},
      knownChanged: () => this.topology.changed(),
      refused: (node, code) => this.refusals.push(`${node} ${code}`),
    })
    this.membership.start()
    this.#keepMesh(network.random.float() * MESH_INTERVAL_MS)
  }

  get isRunning(): boolean {
    return !this.hasCrashed && !this.isPaused
  }

  /** Stands still while the host is paused. */
  get clock(): Clock {
    const { clock } = this.#network
    const run = (fn: () => void): void => {
      if (this.hasCrashed) return
      if (this.isPaused) this.overdue.push(fn)
      else fn()
    }
    return {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      after: (ms, fn, background) => clock.after(ms, () => run(fn), background),
      endOfTurn: (fn) => clock.endOfTurn(fn),
      afterInput: (fn) => clock.afterInput(() => run(fn)),
    }
  }

  /** What it says of itself, at the start. */
  announcement(): Announcement {
    const { name, incarnation } = this.origin
    return this.notary.announce({ name, incarnation, refutation: 0, hasLeft: false, addresses: [] })
  }

  #keepMesh(delayMs: number): void {
    this.clock.after(delayMs, () => {
      if (!this.topology.full || this.#network.meshes) {
        for (const id of this.topology.neighboursOf(this.origin.id)) this.#network.wish(this, id)
      }
      this.#keepMesh(MESH_INTERVAL_MS)
    })
  }
}

export class MembershipNetwork {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly options: SimulatedNetwork
  readonly nodes: SimulatedNode[] = []
  readonly events: MemberEvent[] = []
  /** Whether nodes in a full mesh connect by themselves. */
  meshes = true
  /** Looks at what arrives; true: it is lost. */
  cut: (from: SimulatedNode, to: SimulatedNode) => boolean = () => false
  readonly #byId = new Map<string, SimulatedNode>()
  readonly #wished = new Map<string, number>()
  readonly #genuine = new Map<string, boolean>()

  constructor(options: SimulatedNetwork) {
    this.options = options
    this.random = seededRandom(options.seed)
  }

  /** Nodes that know each other, and connect to their neighbours. */
  grow(): void {
    for (let i = 0; i < this.options.nodes; i++) this.add()
    const frames = encodeGossip(this.nodes.map((node) => node.announcement()))
    for (const [index, node] of this.nodes.entries()) {
      // As if it had been connected to another for a moment.
      const other = this.nodes[index === 0 ? 1 : 0]!
      const carrier = { ...silentCarrier, id: other.origin.id }
      const { name, incarnation } = other.origin
      const peer = {
        name,
        incarnation,
        isLocal: false,
        seenAt: [NOWHERE],
        listens: [],
        carrier,
        askForPeers: () => {},
      }
      node.membership.connected(peer)
      for (const frame of frames) node.membership.received(other.origin.id, MEMBERSHIP_FRAMES.gossip, frame)
      node.membership.disconnected(other.origin.id, 'idle', false)
    }
    this.events.length = 0
  }

  add(): SimulatedNode {
    const node = new SimulatedNode(this, this.nodes.length, this.random.bytes(32))
    this.nodes.push(node)
    this.#byId.set(node.origin.id, node)
    return node
  }

  /** The node that has crashed is started again, with the same key. */
  restart(crashed: SimulatedNode): SimulatedNode {
    const node = new SimulatedNode(this, crashed.index, crashed.seed)
    this.nodes[crashed.index] = node
    this.#byId.set(node.origin.id, node)
    return node
  }

  /** Of a node that does not exist. */
  inventedAnnouncement(clusterTag = CLUSTER_TAG): Announcement {
    const notary = new Notary(signingKeyFromSeed(this.random.bytes(32)), clusterTag)
    const said = { name: 'ghost@nowhere', incarnation: '0'.repeat(16), refutation: 0, hasLeft: false, addresses: [] }
    return notary.announce(said)
  }

  /** Of a node of another cluster. */
  strangerAnnouncement(): Announcement {
    return this.inventedAnnouncement('another cluster')
  }

  run(ms: number): void {
    this.clock.advance(ms)
  }

  /** Runs until it holds; gives how long that took, or undefined. */
  until(condition: () => boolean, limitMs: number, stepMs = 50): number | undefined {
    const startMs = this.clock.now()
    while (!condition()) {
      if (this.clock.now() - startMs >= limitMs) return undefined
      this.clock.advance(stepMs)
    }
    return this.clock.now() - startMs
  }

  note(node: SimulatedNode, type: MemberEvent['type'], id: string): void {
    this.events.push({ atMs: this.clock.now(), node: node.index, type, about: this.#byId.get(id)?.index ?? -1 })
  }

  /** Signatures are checked once and for all, not by each of a thousand nodes. */
  isGenuine(notary: Notary, said: Parameters<Notary['isGenuine']>[0]): boolean {
    const key = `${said.kind}${Buffer.from(said.signature).toString('latin1')}${Buffer.from(said.body).toString('latin1')}`
    const known = this.#genuine.get(key)
    if (known !== undefined) return known
    const isGenuine = notary.isGenuine(said)
    this.#genuine.set(key, isGenuine)
    return isGenuine
  }

  // Faults

  crash(node: SimulatedNode): void {
    node.hasCrashed = true
    node.membership.stop()
  }

  pause(node: SimulatedNode): void {
    node.isPaused = true
  }

  resume(node: SimulatedNode): void {
    node.isPaused = false
    // Timers run before input is read.
    for (const fn of node.overdue.splice(0)) fn()
    for (const fn of node.backlog.splice(0)) this.clock.after(0, fn)
  }

  leave(node: SimulatedNode): void {
    this.clock.after(0, () => node.membership.leave())
    this.clock.after(1, () => {
      this.crash(node)
      for (const other of [...node.links.keys()]) this.disconnect(node, other, 'shutdown')
    })
  }

  // Connections

  /** Connects the two, if that is possible, in a while. */
  wish(from: SimulatedNode, toId: string): void {
    const to = this.#byId.get(toId)
    if (to === undefined || from.links.has(to)) return
    const key = `${from.index} ${to.index}`
    const nowMs = this.clock.now()
    if (nowMs < (this.#wished.get(key) ?? 0)) return
    this.#wished.set(key, nowMs + CONNECT_RETRY_MS)
    this.clock.after(3 * this.#delayMs, () => this.connect(from, to))
  }

  connect(a: SimulatedNode, b: SimulatedNode): void {
    if (!a.isRunning || !b.isRunning || a === b || a.links.has(b) || this.cut(a, b) || this.cut(b, a)) return
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const heardMs = this.clock.now()
      from.links.set(to, { from, to, waiting: [], lastArrivalMs: 0, acks: [], heardMs, isOpen: true })
    }
    a.membership.connected(this.#peer(a, b))
    b.membership.connected(this.#peer(b, a))
  }

  /** `from` ends it; the other side hears of that unless it cannot. */
  disconnect(from: SimulatedNode, to: SimulatedNode, reason: DownReason): void {
    this.#close(from, to, reason, false)
    this.clock.after(this.#delayMs, () => {
      if (!this.cut(from, to)) this.#receive(to, () => this.#close(to, from, theirs(reason), true))
    })
  }

  #close(node: SimulatedNode, other: SimulatedNode, reason: DownReason, byPeer: boolean): void {
    const direction = node.links.get(other)
    if (direction === undefined) return
    direction.isOpen = false
    node.links.delete(other)
    if (!node.hasCrashed) node.membership.disconnected(other.origin.id, reason, byPeer)
  }

  #peer(self: SimulatedNode, other: SimulatedNode): GossipPeer {
    const { name, id, incarnation } = other.origin
    const direction = self.links.get(other)!
    const back = other.links.get(self)!
    const send = (frame: Frame): void => this.#send(direction, frame)
    const { clock } = this
    return {
      name,
      incarnation,
      isLocal: false,
      seenAt: [placeOf(other)],
      listens: [],
      askForPeers: () => {},
      carrier: {
        id,
        version: 2,
        isHidden: false,
        get lastHeardMs() {
          while (direction.acks.length > 0 && direction.acks[0]! <= clock.now()) {
            direction.heardMs = Math.max(direction.heardMs, direction.acks.shift()!)
          }
          return direction.heardMs
        },
        rttMs: () => 2 * this.#delayMs,
        tick: (number) => send({ type: 'tick', number }),
        probe: (number) => send({ type: 'ping', number }),
        tell: (frame, body) => send({ type: 'tell', frame, body }),
        giveUp: () => {
          if (back.isOpen || direction.isOpen) this.disconnect(self, other, 'net_tick_timeout')
        },
      },
    }
  }

  #send(direction: Direction, frame: Frame): void {
    if (!direction.isOpen) return
    direction.waiting.push(frame)
    if (direction.waiting.length === 1) this.clock.endOfTurn(() => this.#flush(direction))
  }

  #flush(direction: Direction): void {
    const { from, to } = direction
    const frames = direction.waiting
    direction.waiting = []
    if (from.hasCrashed) return
    let sizeBytes = 0
    for (const frame of frames) sizeBytes += FRAME_OVERHEAD_BYTES + (frame.type === 'tell' ? frame.body.length : 4)
    const datagrams = Math.ceil(sizeBytes / MAX_DATAGRAM_BYTES)
    const { wayMs, attempts } = this.#way()
    from.sentBytes += attempts * (sizeBytes + datagrams * DATAGRAM_OVERHEAD_BYTES)
    const nowMs = this.clock.now()
    const arrivalMs = Math.max(direction.lastArrivalMs, nowMs + wayMs)
    direction.lastArrivalMs = arrivalMs
    this.clock.after(arrivalMs - nowMs, () => {
      if (to.hasCrashed || this.cut(from, to)) return
      to.sentBytes += datagrams * ACK_BYTES
      this.#receive(to, () => this.#arrive(direction, frames))
    })
  }

  #arrive(direction: Direction, frames: readonly Frame[]): void {
    const { from, to } = direction
    const back = to.links.get(from)
    if (back === undefined) return
    back.heardMs = this.clock.now()
    if (!this.cut(to, from) && this.random.float() >= (this.options.loss ?? 0)) {
      direction.acks.push(this.clock.now() + this.#delayMs)
    }
    const { id } = from.origin
    for (const frame of frames) {
      if (frame.type === 'tick') to.membership.ticked(id, frame.number)
      else if (frame.type === 'ping') this.#send(back, { type: 'pong', number: frame.number })
      else if (frame.type === 'pong') to.membership.ponged(id, frame.number)
      else if (frame.type === 'tell') to.membership.received(id, frame.frame, frame.body)
    }
  }

  #receive(to: SimulatedNode, fn: () => void): void {
    if (to.hasCrashed) return
    if (to.isPaused) to.backlog.push(fn)
    else fn()
  }

  /** Until it is there: what is lost is sent again after one and a half round trips, then after twice as long, and so on. */
  #way(): { wayMs: number; attempts: number } {
    const { loss = 0 } = this.options
    let wayMs = this.#delayMs
    let attempts = 1
    for (let timeoutMs = 3 * this.#delayMs; loss > 0 && this.random.float() < loss; timeoutMs *= 2) {
      wayMs += timeoutMs
      attempts++
    }
    return { wayMs, attempts }
  }

  get #delayMs(): number {
    return this.options.delayMs ?? 1
  }
}

const theirs = (reason: DownReason): DownReason => (reason === 'net_tick_timeout' ? 'connection_closed' : reason)

const NOWHERE = { host: '10.255.0.1', port: 4433 }

const silentCarrier = {
  version: 2,
  isHidden: false,
  lastHeardMs: 0,
  rttMs: () => 0,
  tick: () => {},
  probe: () => {},
  tell: () => {},
  giveUp: () => {},
}

const placeOf = ({ index }: { readonly index: number }) => ({ host: `10.9.${index >> 8}.${index & 255}`, port: 4433 })

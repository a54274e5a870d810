/**
 * The table of other nodes: who is connected, who is being dialled, and who may come in.
 *
 * Invariants: at most one connection per node is up; a name belongs to one live node; `nodeUp` and `nodeDown` alternate
 * for each node; when a newer connection replaces an older one, everything of the older has ended before the newer
 * begins. Rules are in rivals.ts, the order of a dial in dialler.ts; who is dialled without being needed in mesh.ts.
 */
import type { Keyring, RingView } from '../../certs/keyring.ts'
import type { Address } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import { SCRATCH_BYTES } from '../../transport/lane-in.ts'
import { Lanes } from '../../transport/lanes.ts'
import type { Random } from '../../transport/random.ts'
import type { Connection, ConnectionHandler, Transport } from '../../transport/transport.ts'
import { Origin } from '../pid.ts'
import type { Route, Router, SignalSink } from '../route.ts'
import type { Wire } from '../wire/wire.ts'
import { abilitiesOf, ownCapabilities, REACH } from './capabilities.ts'
import type { ConnectedNode } from './connected-node.ts'
import { type ConnectionFigures, figuresOf } from './connection-figures.ts'
import { MAX_NODE_ADDRESSES, NONCE_BYTES, type PeerHint } from './control.ts'
import type { DialOptions, DialOutcome, DialTable } from './dialler.ts'
import {
  type Claim,
  type HandshakeKeys,
  handshakeKeys,
  type Introduction,
  type Membership,
  PROTOCOL_VERSIONS,
  type Refusal,
} from './handshake.ts'
import { Peer, type PeerHost, type Traffic } from './peer.ts'
import { judgeRivals } from './rivals.ts'
import { type DownReason, Session, type SessionEnd, type SessionHost } from './session.ts'

/** Connected and dialled nodes together. */
const MAX_PEERS = 4096
/** Connections whose handshake is under way. */
const MAX_HANDSHAKES = 1024
/** A name that was just now not to be reached is not dialled again for every message. */
const QUIET_AFTER_FAILURE_MS = 1000
const MAX_REMEMBERED_FAILURES = 1024

/** How a dial ends that would begin after the stop. */
const STOPPED: SessionEnd = {
  code: 'ERR_SKEIN_STOPPED',
  message: 'The node is stopping.',
  byPeer: false,
  down: 'connection_closed',
}

/** What the table tells the node. */
export interface PeersObserver {
  nodeUp(node: ConnectedNode, session: Session): void
  /** `byPeer`: the other side has ended it. */
  nodeDown(node: ConnectedNode, reason: DownReason, byPeer: boolean): void
  /** A connection ended before it was up. */
  refused(session: Session, end: SessionEnd): void
  ticked(session: Session, checksum: number): void
  ponged(session: Session, number: number): void
  askedForPeers(session: Session): void
  toldOfPeers(hints: readonly PeerHint[]): void
  meshFrame(session: Session, type: number, body: Uint8Array): void
  reachFrame(session: Session, type: number, body: Uint8Array): void
  opened(session: Session): void
  datagram(session: Session, bytes: Uint8Array): void
  moved(session: Session): void
  /** Where this node listens, for third parties. */
  addresses(): readonly Address[]
  /** Why that node is not let in, or not now; `isMember`: it is known to be no hidden one. */
  refusal(id: string, isMember: boolean, certificate: Uint8Array | undefined): Refusal | undefined
  /** Somebody needs this node: dial it by name. */
  dialByName(name: string): Promise<unknown>
  defect(error: unknown): void
}

export interface PeersOptions {
  readonly self: Origin
  readonly publicKey: Uint8Array
  readonly keys: Keyring
  readonly hidden: boolean
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly wire: Wire
  readonly maxFrameBytes: number
  readonly sink: SignalSink
  readonly observer: PeersObserver
  /** Oldest and newest protocol version to speak. */
  readonly versions?: readonly [number, number]
}

interface UpEntry {
  readonly node: ConnectedNode
  readonly peer: Peer
  readonly session: Session
}

export class Peers implements Router, SessionHost, DialTable {
  readonly clock: Clock
  readonly traffic: Traffic = { sent: 0, received: 0 }
  readonly #options: PeersOptions
  readonly #peerHost: PeerHost
  #stopped = false
  /** Connections that are not over. */
  readonly #sessions = new Set<Session>()
  readonly #up = new Map<string, UpEntry>()
  /** Connected and dialled peers by name. */
  readonly #byName = new Map<string, Peer>()
  /** By id: the one handshake that counts. */
  readonly #pending = new Map<string, Session>()
  /** The primary ones first. */
  #keys: readonly [HandshakeKeys, ...HandshakeKeys[]]
  readonly #dials = new Map<Session, (outcome: DialOutcome) => void>()
  readonly #upWaiters = new Set<UpWaiter>()
  /** Names not to be dialled before this time. */
  readonly #failures = new Map<string, number>()
  /** One buffer to read into, for all connections. */
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

  constructor(options: PeersOptions) {
    this.#options = options
    this.clock = options.clock
    this.#peerHost = { wire: options.wire, sink: options.sink, traffic: this.traffic }
    this.#keys = handshakeKeysOf(options.keys)
    options.keys.onChange(() => {
      this.#keys = handshakeKeysOf(options.keys)
      for (const session of [...this.#sessions]) session.reviewKeys()
    })
  }

  /** Begins to accept connections. */
  start(): void {
    this.#options.transport.listen((connection) => this.#accept(connection))
  }

  // Queries

  connected(): ConnectedNode[] {
    return Array.from(this.#up.values(), (entry) => entry.node)
  }

  connectedAs(name: string): ConnectedNode | undefined {
    const id = this.peerByName(name)?.origin?.id
    return id === undefined ? undefined : this.#up.get(id)?.node
  }

  get connectedCount(): number {
    return this.#up.size
  }

  /** Those with a connection, and how it fares. */
  figures(): ConnectionFigures[] {
    const nowMs = this.clock.now()
    return Array.from(this.#up.values(), ({ node, peer, session }) => figuresOf(node, peer, session.lanes, nowMs))
  }

  /** How many were proven by the key with this fingerprint. */
  provenBy(fingerprint: string): number {
    return [...this.#up.values()].filter(({ session }) => session.provenBy === fingerprint).length
  }

  isUp(id: string, incarnation: string | undefined): boolean {
    const entry = this.#up.get(id)
    return entry !== undefined && (incarnation === undefined || entry.node.incarnation >= incarnation)
  }

  peerById(id: string): Peer | undefined {
    return this.#up.get(id)?.peer
  }

  peerByName(name: string): Peer | undefined {
    const peer = this.#byName.get(name)
    return peer?.phase === 'up' ? peer : undefined
  }

  sessionById(id: string): Session | undefined {
    return this.#up.get(id)?.session
  }

  sessionByName(name: string): Session | undefined {
    const id = this.peerByName(name)?.origin?.id
    return id === undefined ? undefined : this.#up.get(id)?.session
  }

  whenUp(id: string, timeoutMs: number): Promise<Peer | undefined> {
    const peer = this.peerById(id)
    if (peer !== undefined) return Promise.resolve(peer)
    return new Promise((resolve) => {
      const waiter: UpWaiter = {
        id,
        settle: (result) => {
          timer.cancel()
          this.#upWaiters.delete(waiter)
          resolve(result)
        },
      }
      const timer = this.clock.after(timeoutMs, () => waiter.settle(undefined))
      this.#upWaiters.add(waiter)
    })
  }

  // Router: ways for the signals of this node's processes

  toOrigin(origin: Origin): Route | 'noproc' | 'noconnection' {
    const entry = this.#up.get(origin.id)
    if (entry !== undefined) {
      const { incarnation } = entry.node
      if (incarnation === origin.incarnation) return entry.peer
      // A later start has the greater incarnation: the past is over, but what is newer than this connection may well live.
      return origin.incarnation < incarnation ? 'noproc' : 'noconnection'
    }
    if (origin.id === this.#options.self.id) return 'noproc'
    const dialling = this.#byName.get(origin.name)
    if (dialling === undefined) return this.#dialOnDemand(origin.name, origin)
    // The name is connected as another node, or is being dialled for another incarnation.
    if (dialling.phase !== 'dialling') return 'noconnection'
    dialling.pin(origin)
    return dialling.origin?.key === origin.key ? dialling : 'noconnection'
  }

  toNode(name: string): Route | 'noconnection' {
    return this.#byName.get(name) ?? this.#dialOnDemand(name, undefined)
  }

  // Commands

  dialOnce(address: Address, { expectedId, replace, ...options }: DialOptions): Promise<DialOutcome> {
    if (this.#stopped) return Promise.resolve({ type: 'failed', end: STOPPED, id: undefined })
    return new Promise((resolve) => {
      const session = new Session(this, this.#introduce('initiator', replace), address, expectedId)
      const lanes = this.#lanesFor(session)
      this.#sessions.add(session)
      this.#dials.set(session, resolve)
      session.begin(lanes)
      const wanted = expectedId === undefined ? options : { ...options, expectedId }
      lanes.attach(this.#options.transport.connect(address, lanes, wanted))
    })
  }

  /**
   * Says goodbye to everyone and lets nobody in any more. Resolves when all connections are over; bounded. Relayed ones go
   * first, as long as there are those to the relays.
   */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const waiter of [...this.#upWaiters]) waiter.settle(undefined)
    const relayed = [...this.#sessions].filter(({ way }) => way === 'relay')
    await Promise.all(relayed.map((session) => session.goodbye('shutdown')))
    await Promise.all([...this.#sessions].map((session) => session.goodbye('shutdown')))
    for (const peer of [...this.#byName.values()]) this.#fail(peer)
  }

  /** Ends whatever there is with that node, which is told why. */
  expel(id: string, { code, message }: Refusal): void {
    for (const session of [...this.#sessions]) if (session.id === id) session.end(code, message, 'revoked')
  }

  #accept(connection: Connection): ConnectionHandler {
    const session = new Session(this, this.#introduce('acceptor', false), connection.remote, undefined)
    const lanes = this.#lanesFor(session).attach(connection)
    session.begin(lanes)
    if (this.#stopped) session.end('ERR_SKEIN_STOPPED', 'The node is stopping.')
    else if (this.#sessions.size - this.#up.size >= MAX_HANDSHAKES) {
      session.end('ERR_SKEIN_TOO_MANY_CONNECTIONS', `${MAX_HANDSHAKES} handshakes are already under way.`)
    } else this.#sessions.add(session)
    return lanes
  }

  #lanesFor(session: Session): Lanes {
    const { maxFrameBytes } = this.#options
    return new Lanes(session, { clock: this.clock, maxFrameBytes, scratch: this.#scratch })
  }

  #introduce(role: 'initiator' | 'acceptor', replace: boolean): Introduction {
    const { self, publicKey, hidden, transport } = this.#options
    const [keys, ...accepted] = this.#keys
    return {
      role,
      name: self.name,
      incarnation: self.incarnation,
      publicKey,
      versions: this.#options.versions ?? PROTOCOL_VERSIONS,
      capabilities: ownCapabilities(transport.ways !== undefined),
      addresses: this.#options.observer.addresses().slice(0, MAX_NODE_ADDRESSES),
      hidden,
      replace,
      nonce: this.newNonce(),
      keys,
      accepted,
    }
  }

  // SessionHost

  get ring(): Keyring {
    return this.#options.keys
  }

  newNonce(): Uint8Array {
    return this.#options.random.bytes(NONCE_BYTES)
  }

  judge(session: Session, { id, hello }: Claim): Refusal | undefined {
    if (this.#stopped) return { code: 'ERR_SKEIN_STOPPED', message: 'The node is stopping.' }
    const { certificate } = session.lanes.connection.peer ?? {}
    const barred = this.#options.observer.refusal(id, hello?.hidden === false, certificate)
    if (barred !== undefined) return barred
    const { self } = this.#options
    const pending = this.#pending.get(id)
    const rival = pending === session ? undefined : pending
    const verdict = judgeRivals(
      { role: session.role, id, said: hello },
      {
        self,
        up: this.#up.get(id)?.node,
        pending: rival && { role: rival.role, promised: rival.promisedTo?.hello.incarnation },
        nameHolder: hello && this.#holderOf(hello.name, id),
        full: this.#byName.size >= MAX_PEERS,
      },
    )
    if (verdict.type === 'refuse') return verdict.refusal
    // Asked again later (Session.onConfirmed). Until then this session counts for nothing, and ends nothing.
    if (session.early) return undefined
    if (verdict.endPending)
      rival?.end('ERR_SKEIN_SIMULTANEOUS', 'Both nodes dialled at once and the other connection won.')
    this.#pending.set(id, session)
    return undefined
  }

  /** Another node that lives, or was promised to, under this name. */
  #holderOf(name: string, id: string): string | undefined {
    const up = this.peerByName(name)?.origin?.id
    if (up !== undefined && up !== id) return up
    for (const session of this.#pending.values()) {
      const promised = session.promisedTo
      if (promised !== undefined && promised.hello.name === name && promised.id !== id) return promised.id
    }
    return undefined
  }

  established(session: Session, { id, hello, version, capabilities }: Membership): Peer {
    if (this.#pending.get(id) === session) this.#pending.delete(id)
    this.#up.get(id)?.session.end('closed', 'Replaced by a newer connection.')
    const origin = new Origin(hello.name, id, hello.incarnation)
    const peer = this.#peerFor(origin)
    const node: ConnectedNode = {
      name: hello.name,
      id,
      incarnation: hello.incarnation,
      hidden: hello.hidden,
      version,
      get address() {
        return session.remote
      },
      get way() {
        return session.way
      },
      reaches: capabilities.includes(REACH),
      listens: hello.addresses,
      dialled: session.role === 'initiator',
      get isDialledThere() {
        return session.isDialledThere
      },
    }
    this.#up.set(id, { node, peer, session })
    this.#byName.set(hello.name, peer)
    this.#failures.delete(hello.name)
    this.#options.observer.nodeUp(node, session)
    peer.attach(session.lanes, origin, version, abilitiesOf(capabilities, session))
    this.#settleDial(session, { type: 'up', peer })
    for (const waiter of [...this.#upWaiters]) if (waiter.id === id) waiter.settle(peer)
    return peer
  }

  /** The peer that was dialled under this name, if it stands for this incarnation; otherwise a new one. */
  #peerFor(origin: Origin): Peer {
    const dialled = this.#byName.get(origin.name)
    if (dialled !== undefined && (dialled.origin === undefined || dialled.origin.key === origin.key)) return dialled
    dialled?.end()
    return new Peer(origin.name, this.#peerHost)
  }

  ended(session: Session, end: SessionEnd): void {
    this.#sessions.delete(session)
    const { id } = session
    if (id !== undefined && this.#pending.get(id) === session) this.#pending.delete(id)
    const entry = id === undefined ? undefined : this.#up.get(id)
    if (entry?.session === session) this.#down(entry, end)
    // Of what may be a replay nobody hears: it would be news of a node that did nothing.
    else if (session.peer === undefined && !session.early) this.#options.observer.refused(session, end)
    this.#settleDial(session, { type: 'failed', end, id })
  }

  #down({ node, peer }: UpEntry, { down: reason, byPeer }: SessionEnd): void {
    this.#up.delete(node.id)
    if (this.#byName.get(node.name) === peer) this.#byName.delete(node.name)
    const goesOn = reason === 'idle' && peer.depart()
    if (!goesOn) peer.end()
    this.#options.observer.nodeDown(node, reason, byPeer)
    if (goesOn) this.#dialFor(peer)
  }

  #settleDial(session: Session, outcome: DialOutcome): void {
    const settle = this.#dials.get(session)
    this.#dials.delete(session)
    settle?.(outcome)
  }

  ticked(session: Session, checksum: number): void {
    this.#options.observer.ticked(session, checksum)
  }

  ponged(session: Session, number: number): void {
    this.#options.observer.ponged(session, number)
  }

  askedForPeers(session: Session): void {
    this.#options.observer.askedForPeers(session)
  }

  toldOfPeers(_session: Session, hints: readonly PeerHint[]): void {
    this.#options.observer.toldOfPeers(hints)
  }

  meshFrame(session: Session, type: number, body: Uint8Array): void {
    this.#options.observer.meshFrame(session, type, body)
  }

  reachFrame(session: Session, type: number, body: Uint8Array): void {
    this.#options.observer.reachFrame(session, type, body)
  }

  opened(session: Session): void {
    this.#options.observer.opened(session)
  }

  datagram(session: Session, bytes: Uint8Array): void {
    this.#options.observer.datagram(session, bytes)
  }

  moved(session: Session): void {
    this.#options.observer.moved(session)
  }

  defect(error: unknown): void {
    this.#options.observer.defect(error)
  }

  // Dials on demand

  #dialOnDemand(name: string, origin: Origin | undefined): Peer | 'noconnection' {
    const notBeforeMs = this.#failures.get(name) ?? Number.NEGATIVE_INFINITY
    const tooMany = this.#byName.size >= MAX_PEERS
    if (this.#stopped || tooMany || name === this.#options.self.name || this.clock.now() < notBeforeMs)
      return 'noconnection'
    const peer = new Peer(name, this.#peerHost)
    if (origin !== undefined) peer.pin(origin)
    this.#dialFor(peer)
    return peer
  }

  #dialFor(peer: Peer): void {
    this.#byName.set(peer.node, peer)
    const over = (): void => this.#fail(peer)
    // Also when a node answered, but not under this name.
    void this.#options.observer.dialByName(peer.node).then(over, over)
  }

  /** The dial ended and the peer is still not up. */
  #fail(peer: Peer): void {
    if (peer.phase !== 'dialling') return
    if (this.#byName.get(peer.node) === peer) this.#byName.delete(peer.node)
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size < MAX_REMEMBERED_FAILURES) break
      this.#failures.delete(oldest)
    }
    this.#failures.set(peer.node, this.clock.now() + QUIET_AFTER_FAILURE_MS)
    peer.end()
  }
}

const handshakeKeysOf = (ring: RingView): readonly [HandshakeKeys, ...HandshakeKeys[]] => {
  const [primary, ...accepted] = ring.all()
  return [handshakeKeys(primary), ...accepted.map(handshakeKeys)]
}

interface UpWaiter {
  readonly id: string
  readonly settle: (peer: Peer | undefined) => void
}

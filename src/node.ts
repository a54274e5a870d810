/**
 * A node: identity, port, processes and peers put together, and the face it shows to users.
 *
 * `startNode` builds one on UDP and the system's clock; `startNodeOn` on whatever parts it is given, which is how the
 * simulator runs whole clusters. The node itself does little: it passes what one part says to those whom it concerns.
 * Invariant: after `stop` has resolved nothing of it runs, and nothing is held open.
 */
import { SkeinError } from '../certs/errors.ts'
import type { NodeRecord } from '../discovery/source.ts'
import { DiscoveryTable, type KnownNode, type TableEvent } from '../discovery/table.ts'
import { type Address, formatAddress } from '../transport/address.ts'
import { encodePeers, MAX_PEERS_IN_FRAME, type PeerHint } from './cluster/control.ts'
import { Dialler } from './cluster/dialler.ts'
import { Mesh } from './cluster/mesh.ts'
import { fullNodeName, hostOfNodeName } from './cluster/node-name.ts'
import { parseTarget } from './cluster/node-target.ts'
import { PeerExchange } from './cluster/peer-exchange.ts'
import { type ConnectedNode, Peers, type PeersObserver } from './cluster/peers.ts'
import type { DownReason, Session, SessionEnd } from './cluster/session.ts'
import { DEFAULT_STRATEGY } from './cluster/strategy.ts'
import { EventStream, type NodeEvent } from './event-stream.ts'
import { newIncarnation } from './incarnation.ts'
import { NodeDiscovery } from './node-discovery.ts'
import type { NodeParts } from './node-parts.ts'
import { Origin, type Pid, type Ref, type Target } from './pid.ts'
import type { Behaviour } from './process/behaviour.ts'
import type { CallOptions, From } from './process/calls.ts'
import type { AnyPid, AnyTarget } from './process/directory.ts'
import type { ProcessInfo } from './process/inspection.ts'
import { DEFAULT_SHUTDOWN_MS, Processes } from './process/processes.ts'
import type { CastOf, ReplyOf, RequestOf, SendOf } from './process/protocol.ts'
import type { SpawnWithOptions } from './process/self.ts'
import type { SpawnOnOptions } from './process/spawns.ts'
import { passOn } from './process-reports.ts'
import type { Reason } from './signals.ts'
import { SYSTEM_PROCESS, systemProcess } from './system-process.ts'
import { MessageCodec } from './wire/codec.ts'
import { DEFAULT_MAX_MESSAGE_BYTES, type WireType } from './wire/codec-types.ts'
import { Wire } from './wire/wire.ts'

/** `stop` resolves within this and the time that processes are given, whatever hangs. */
const STOP_TIMEOUT_MS = 3000
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

/** A running node. */
export class SkeinNode implements AsyncDisposable {
  /** Who is there: register, lookup, list and status. */
  readonly discovery: NodeDiscovery
  readonly #parts: NodeParts
  readonly #origin: Origin
  readonly #events = new EventStream()
  readonly #codec: MessageCodec
  readonly #processes: Processes
  readonly #peers: Peers
  readonly #exchange = new PeerExchange()
  readonly #table: DiscoveryTable
  readonly #dialler: Dialler
  /** Only where the node takes part in one. */
  readonly #mesh: Mesh | undefined
  #stopping: Promise<void> | undefined

  /** @internal Use startNode or startNodeOn. */
  constructor(parts: NodeParts) {
    const { name, identity, clock, random, transport, keys, logger, hidden = false } = parts
    const maxMessageBytes = parts.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.#parts = parts
    this.#origin = new Origin(name, identity.nodeId, newIncarnation(clock, random))
    this.#codec = new MessageCodec({ local: this.#origin, maxMessageBytes })
    this.#processes = new Processes({
      origin: this.#origin,
      clock,
      router: { toOrigin: (origin) => this.#peers.toOrigin(origin), toNode: (node) => this.#peers.toNode(node) },
      report: (report) => passOn(report, logger, (event) => this.#emit(event)),
      stateCodec: this.#codec.forStorage(),
    })
    const { mesh } = parts
    const takesPart = mesh !== 'none' && !hidden
    this.#peers = new Peers({
      self: this.#origin,
      publicKey: identity.publicKey,
      keys,
      hidden,
      mesh: takesPart,
      transport,
      clock,
      random,
      wire: new Wire(this.#codec),
      maxFrameBytes: maxMessageBytes + FRAME_HEAD_BYTES,
      sink: this.#processes,
      observer: this.#observer(),
      ...(parts.liveness === undefined ? {} : { liveness: parts.liveness }),
    })
    this.#table = new DiscoveryTable({
      sources: [...parts.sources, this.#exchange],
      onEvent: (event) => this.#discovered(event),
    })
    this.discovery = new NodeDiscovery({
      table: this.#table,
      clock,
      ask: (wanted) => this.#lookAgain(wanted),
      self: () => this.#record(),
    })
    const { connectTimeoutMs = DEFAULT_STRATEGY.connectTimeoutMs } = parts
    const directory = {
      find: (node: string) => this.#table.find(node),
      refresh: (node: string) => this.#lookAgain(node),
      forget: (id: string) => this.#exchange.forget(id),
    }
    this.#dialler = new Dialler({ table: this.#peers, directory, clock, connectTimeoutMs })
    const host = {
      isUp: (id: string, incarnation: string | undefined) => this.#peers.isUp(id, incarnation),
      dial: (node: KnownNode) => this.#dialKnown(node),
      wants: (node: KnownNode) => typeof mesh !== 'function' || this.#ask(mesh, node),
      forget: (id: string) => this.#exchange.forget(id),
    }
    this.#mesh = takesPart
      ? new Mesh({ selfId: this.id, selfIncarnation: this.incarnation, clock, random, host })
      : undefined
    this.#begin()
  }

  get name(): string {
    return this.#origin.name
  }

  /** Hash of the node's key: the same for as long as the identity is. */
  get id(): string {
    return this.#origin.id
  }

  /** New at each start, 16 hex digits; a later start has a greater one. */
  get incarnation(): string {
    return this.#origin.incarnation
  }

  /** Where others can reach this node. */
  get addresses(): readonly Address[] {
    return this.#parts.transport.addresses()
  }

  /** False as soon as `stop` was called. */
  get isAlive(): boolean {
    return this.#stopping === undefined
  }

  /** What happens to this node, from now on; each reader gets every event. */
  get events(): AsyncIterable<NodeEvent> {
    return this.#events
  }

  /** Names of the connected nodes; hidden ones only if asked for. */
  nodes(options: { readonly hidden?: boolean } = {}): string[] {
    return this.connectedNodes()
      .filter((node) => !node.hidden || options.hidden === true)
      .map((node) => node.name)
  }

  /** The connected nodes with what is known of them, hidden ones included. */
  connectedNodes(): ConnectedNode[] {
    return this.#peers.connected()
  }

  /**
   * Connects to a node by `name@host`, or by `host:port`, and gives its name. Rejects with ERR_SKEIN_NODE_UNKNOWN,
   * ERR_SKEIN_UNKNOWN_HOST, or why the dial failed; `attempts` of the error lists what was tried.
   */
  async connect(target: string): Promise<string> {
    this.#mustLive()
    const parsed = await parseTarget(target, hostOfNodeName(this.name), this.#parts.resolve)
    if (parsed.type === 'addresses') return (await this.#dialler.toAddresses(target, parsed)).node
    if (parsed.name === this.name) throw new SkeinError('ERR_SKEIN_SELF', `${this.name} is this node itself.`)
    return this.#peers.peerByName(parsed.name)?.node ?? (await this.#dialler.toName(parsed.name)).node
  }

  /** Ends the connection to a node; it is left alone until someone needs it. False if it was not connected. */
  async disconnect(name: string): Promise<boolean> {
    const session = this.#peers.sessionByName(fullNodeName(name, hostOfNodeName(this.name)))
    await session?.goodbye('disconnect')
    return session !== undefined
  }

  /** Milliseconds to a node and back, connecting if need be. Rejects as `connect`, or with ERR_SKEIN_CONNECT_TIMEOUT. */
  async ping(name: string, options: { readonly timeoutMs?: number } = {}): Promise<number> {
    const full = fullNodeName(name, hostOfNodeName(this.name))
    if (full === this.name) return 0
    const session = this.#peers.sessionByName(full) ?? this.#peers.sessionByName(await this.connect(full))
    if (session === undefined) throw new SkeinError('ERR_SKEIN_NOCONNECTION', `The connection to ${full} is gone.`)
    return session.ping(options.timeoutMs ?? DEFAULT_PING_TIMEOUT_MS)
  }

  /** Starts a process of this node. Throws ERR_SKEIN_STOPPED or ERR_SKEIN_LIMIT. */
  spawn<M, A extends unknown[] = []>(behaviour: Behaviour<M, A>, ...args: A): Pid<M> {
    return this.#processes.spawn(behaviour, {}, ...args)
  }

  /** As `spawn`, with options. */
  spawnWith<M, A extends unknown[] = []>(options: SpawnWithOptions, behaviour: Behaviour<M, A>, ...args: A): Pid<M> {
    return this.#processes.spawn(behaviour, options, ...args)
  }

  /** As `spawn`; resolves when the process has started. Rejects with ERR_SKEIN_START_FAILED, whose cause is the reason. */
  start<M, A extends unknown[] = []>(behaviour: Behaviour<M, A>, ...args: A): Promise<Pid<M>> {
    return this.#processes.start(behaviour, {}, ...args)
  }

  /**
   * Lets every node start this behaviour here by name. Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_NAME_REGISTERED or
   * ERR_SKEIN_LIMIT.
   */
  behaviour<M, A extends unknown[]>(name: string, behaviour: Behaviour<M, A>): void {
    this.#processes.catalogue.add(name, behaviour)
  }

  /** Names of the behaviours that can be started here. */
  behaviours(): string[] {
    return this.#processes.catalogue.names()
  }

  /** Starts a process on a node, this one or another, as Self.spawnOn. */
  spawnOn(node: string, behaviour: string, args?: readonly unknown[], options?: SpawnOnOptions): Promise<Pid> {
    return this.#processes.spawns.spawn(undefined, node, behaviour, args, options)
  }

  /** False for who has ended. Rejects with ERR_SKEIN_NOCONNECTION or ERR_SKEIN_CALL_TIMEOUT. */
  isProcessAlive(pid: AnyPid, options?: CallOptions): Promise<boolean> {
    return this.#processes.inspection.isAlive(undefined, pid, options)
  }

  /** Undefined for who has ended. Rejects as `isProcessAlive`. */
  processInfo(pid: AnyPid, options?: CallOptions): Promise<ProcessInfo | undefined> {
    return this.#processes.inspection.info(undefined, pid, options)
  }

  /** Sends after `ms` milliseconds, as Self.sendAfter. */
  sendAfter<M>(ms: number, target: Target<M>, message: SendOf<M>): Ref {
    return this.#processes.timers.sendAfter(undefined, ms, target as AnyTarget, message)
  }

  /** Sends every `ms` milliseconds until it is cancelled. */
  sendInterval<M>(ms: number, target: Target<M>, message: SendOf<M>): Ref {
    return this.#processes.timers.sendInterval(undefined, ms, target as AnyTarget, message)
  }

  /** True if it had not fired, or was an interval. */
  cancelTimer(ref: Ref): boolean {
    return this.#processes.timers.cancel(ref)
  }

  /** As Self.send: false asks to wait for `drained`; throws what cannot be sent. */
  send<M>(target: Target<M>, message: SendOf<M>): boolean {
    return this.#processes.send(target, message)
  }

  /** A request that wants no reply. */
  cast<M>(target: Target<M>, message: CastOf<M>): boolean {
    return this.#processes.cast(target, message)
  }

  /** Resolves when `target` takes more messages. */
  drained(target: AnyTarget): Promise<void> {
    return this.#processes.drained(target)
  }

  /** A request and its reply, as Self.call. */
  call<M, const R extends RequestOf<M>>(
    target: Target<M>,
    request: R,
    options?: CallOptions,
  ): Promise<NoInfer<ReplyOf<M, R>>> {
    return this.#processes.call(target, request, options)
  }

  /** Answers a call. */
  reply<Reply>(from: From<Reply>, value: [Reply] extends [never] ? unknown : Reply): boolean {
    return this.#processes.reply(from, value)
  }

  /** Sends an exit signal. */
  exit(target: AnyTarget, reason: Reason): void {
    this.#processes.exit(target, reason)
  }

  /** Throws ERR_SKEIN_NAME_REGISTERED, ERR_SKEIN_NOPROC or ERR_SKEIN_BAD_NAME. */
  register(name: string, pid: AnyPid): void {
    this.#processes.register(name, pid)
  }

  /** Throws ERR_SKEIN_NOT_REGISTERED. */
  unregister(name: string): void {
    this.#processes.unregister(name)
  }

  whereis(name: string): Pid | undefined {
    return this.#processes.whereis(name)
  }

  /** Lets instances of a class cross the wire; the same id on every node. */
  registerType<T extends object>(type: WireType<T>): void {
    this.#codec.registerType(type)
  }

  /** Counts of the port since the start: received, sent, gated, and so on. */
  counters(): Readonly<Record<string, number>> {
    return this.#parts.transport.counters()
  }

  /**
   * Says goodbye, ends all processes and closes the port. Processes that trap exits have `timeoutMs` (500) to end by
   * themselves. Idempotent; never rejects; resolves within three seconds beside that time, whatever hangs.
   */
  stop({ timeoutMs = DEFAULT_SHUTDOWN_MS }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs >= 0 ? timeoutMs : DEFAULT_SHUTDOWN_MS)
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #begin(): void {
    const { clock, cluster } = this.#parts
    const info = () => ({
      name: this.name,
      id: this.id,
      incarnation: this.incarnation,
      cluster,
      addresses: this.addresses,
      nodes: this.nodes(),
      processes: this.#processes.count,
      registered: this.#processes.registered(),
      discovery: this.discovery.status(),
      counters: this.counters(),
    })
    const { dht = () => undefined } = this.#parts
    const system = systemProcess({ name: this.name, info, connectedNodes: () => this.connectedNodes(), dht })
    this.#processes.spawn(system, { name: SYSTEM_PROCESS })
    this.#peers.start()
    // Not within this turn: whoever has just started the node shall see the first events too.
    clock.afterInput(() => {
      if (this.isAlive) void this.#discover()
    })
  }

  async #discover(): Promise<void> {
    await this.discovery.start()
    for (const status of this.#table.status()) this.#emit({ type: 'discoveryStatus', status })
  }

  #record(): NodeRecord {
    const { name, id, incarnation } = this.#origin
    const { hidden, keys } = this.#parts
    // Without addresses a record is not published: nobody shall find a hidden node.
    return { name, id, incarnation, addresses: hidden === true ? [] : this.addresses, clusterTag: keys.clusterTag }
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { clock, transport } = this.#parts
    this.#mesh?.stop()
    this.#dialler.stop()
    let giveUp = (): void => {}
    const late = new Promise<void>((resolve) => {
      giveUp = resolve
    })
    const timer = clock.after(STOP_TIMEOUT_MS + timeoutMs, giveUp)
    // The connections go first: for others this node's processes are gone because the node is.
    await Promise.race([Promise.all([this.#peers.stop(), this.discovery.stop()]), late])
    await Promise.race([this.#processes.stop(timeoutMs), late])
    await Promise.race([transport.close().catch((error: unknown) => this.#defect(error)), late])
    timer.cancel()
    this.#events.end()
  }

  #observer(): PeersObserver {
    return {
      nodeUp: (node, session) => this.#nodeUp(node, session),
      nodeDown: (node, reason) => this.#nodeDown(node, reason),
      refused: (session, end) => this.#refused(session, end),
      ticked: (session, checksum) => {
        const ask = this.#exchange.shouldAsk(this.#peers.checksum, checksum, this.#parts.clock.now())
        if (ask && this.#mesh !== undefined) session.askForPeers()
      },
      askedForPeers: (session) => this.#tellPeers(session),
      toldOfPeers: (hints) => this.#exchange.heard(hints),
      dialByName: (name) => this.#dialler.toName(name),
      defect: (error) => this.#defect(error),
    }
  }

  #nodeUp(node: ConnectedNode, session: Session): void {
    const { name, id, incarnation, hidden, address } = node
    this.#parts.logger.info({ peer: name, address: formatAddress(address) }, 'node up')
    if (!hidden) {
      this.#exchange.met({ name, id, incarnation, addresses: [address, ...node.listens] })
      this.#processes.nodeUp(name)
    }
    this.#mesh?.up(id)
    this.#emit({ type: 'nodeup', node: name, id, incarnation, address, hidden })
    // The first contact: whoever it knows is new to us. Later on ticks show whether there is something to ask for.
    if (this.#mesh !== undefined && this.#peers.connectedCount === 1) session.askForPeers()
  }

  #nodeDown({ name, id, hidden }: ConnectedNode, reason: DownReason): void {
    this.#parts.logger.info({ peer: name, reason }, 'node down')
    if (!hidden) this.#processes.nodeDown(name, reason)
    this.#mesh?.down(id, reason)
    this.#emit({ type: 'nodedown', node: name, id, reason })
  }

  #refused(session: Session, { code, message, byPeer }: SessionEnd): void {
    if (code === 'closed' || QUIET_ENDS.includes(code)) return
    const { claimedName: node, remote: address } = session
    this.#parts.logger.warn({ peer: node, address: formatAddress(address), code, byPeer }, message)
    this.#emit({ type: 'refused', node, address, code, message, byPeer })
  }

  /** Loopback addresses are of use only to who is on this machine too. */
  #tellPeers(session: Session): void {
    const local = isLoopback(session.remote)
    const hints: PeerHint[] = this.#peers
      .connected()
      .filter((node) => !node.hidden && node.id !== session.id)
      .map(({ name, id, incarnation, address, listens }) => {
        const addresses = [address, ...listens].filter((one) => local || !isLoopback(one))
        return { name, id, incarnation, addresses }
      })
    for (let i = 0; i < hints.length; i += MAX_PEERS_IN_FRAME) {
      session.tellPeers(encodePeers(hints.slice(i, i + MAX_PEERS_IN_FRAME)))
    }
  }

  #lookAgain(wanted: string): Promise<void> {
    // Whoever is connected may know whom we do not.
    for (const { name } of this.#peers.connected()) this.#peers.sessionByName(name)?.askForPeers()
    return this.#table.refresh(wanted)
  }

  /** The user's own policy; one that throws wants nobody. */
  #ask(wants: (node: KnownNode) => boolean, node: KnownNode): boolean {
    try {
      return wants(node)
    } catch (error) {
      this.#defect(error)
      return false
    }
  }

  #discovered({ type, node, formerKey }: TableEvent): void {
    const { name, id, addresses, sources } = node
    if (type === 'lost') this.#mesh?.lost(node)
    else this.#mesh?.known(node, formerKey)
    if (type !== 'lost' && name !== undefined) this.#dialler.becameKnown(name)
    if (type !== 'lost') this.discovery.noticed()
    this.#emit({ type: type === 'lost' ? 'undiscovered' : 'discovered', node: name, id, addresses, sources })
  }

  async #dialKnown(node: KnownNode): Promise<string | undefined> {
    const what = node.name ?? node.addresses.map(formatAddress).join(', ')
    return (await this.#dialler.toAddresses(what, node)).origin?.id
  }

  #emit(event: NodeEvent): void {
    this.#events.emit(event)
  }

  /** An error that should be impossible: it costs no more than what it happened to. */
  #defect(error: unknown): void {
    this.#parts.logger.error({ err: error }, 'a defect of this node')
  }

  #mustLive(): void {
    if (!this.isAlive) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
  }
}

/** A node on parts of one's own choosing. */
export const startNodeOn = (parts: NodeParts): SkeinNode => new SkeinNode(parts)

const isLoopback = ({ host }: Address): boolean => host === '::1' || host.startsWith('127.')

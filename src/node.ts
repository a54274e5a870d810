/**
 * A node: identity, port, processes and peers put together, and the face it shows to users.
 *
 * `startNode` builds one on UDP and the system's clock; `startNodeOn` on whatever parts it is given, which is how the
 * simulator runs whole clusters. The node itself does little: it passes what one part says to those whom it concerns.
 * Invariant: after `stop` has resolved nothing of it runs, and nothing is held open.
 */
import { SkeinError } from '../certs/errors.ts'
import type { Address } from '../transport/address.ts'
import { attachProcess } from './attach/attach-process.ts'
import { ATTACH_PROCESS } from './attach/protocol.ts'
import type { ConnectedNode } from './cluster/connected-node.ts'
import type { Member } from './cluster/membership/view.ts'
import type { Cookies } from './cookies.ts'
import { EVENT_CHANNEL, type EventNews } from './diagnostics.ts'
import { EventStream, type NodeEvent } from './event-stream.ts'
import { newIncarnation } from './incarnation.ts'
import { Network, type NetworkHost } from './network.ts'
import type { NodeDiscovery } from './node-discovery.ts'
import type { NodeParts } from './node-parts.ts'
import { Observer, type ObserverHost } from './observe/observer.ts'
import { noRuntime, systemRuntime } from './observe/runtime.ts'
import { Origin, type Pid, type Ref, type Target } from './pid.ts'
import type { Behaviour } from './process/behaviour.ts'
import type { CallOptions, From } from './process/calls.ts'
import type { BehaviourOptions, CatalogueEntry } from './process/catalogue.ts'
import type { AnyPid, AnyTarget } from './process/directory.ts'
import type { ProcessInfo } from './process/inspection.ts'
import { DEFAULT_SHUTDOWN_MS, Processes } from './process/processes.ts'
import type { CastOf, ReplyOf, RequestOf, SendOf } from './process/protocol.ts'
import type { SpawnWithOptions } from './process/self.ts'
import type { SpawnOnOptions } from './process/spawns.ts'
import { passOn } from './process-reports.ts'
import type { DrainHook, DrainOptions, DrainReport } from './services/drain.ts'
import { Global } from './services/global/global.ts'
import { DEFAULT_SCOPE } from './services/groups/group-service.ts'
import { Groups } from './services/groups/groups.ts'
import type { DuplicateRegistry, UniqueRegistry } from './services/registry/local-registry.ts'
import type { RegistryOptions } from './services/registry/registries.ts'
import type { RoomsOptions } from './services/rooms/room-service.ts'
import { Rooms } from './services/rooms/rooms.ts'
import { NodeServices, type ServicesHost } from './services/services.ts'
import type { DistributedSupervisor } from './services/supervision/distributed-supervisor.ts'
import type { SuperviseOptions } from './services/supervision/options.ts'
import type { Reason } from './signals.ts'
import type { DuplexStream, OpenedStream, OpenStreamOptions } from './streams/streams.ts'
import { systemHost } from './system-host.ts'
import { SYSTEM_PROCESS, systemProcess } from './system-process.ts'
import { MessageCodec } from './wire/codec.ts'
import { DEFAULT_MAX_MESSAGE_BYTES, type WireType } from './wire/codec-types.ts'
import { Workers, type WorkersHost } from './workers/workers.ts'

/** `stop` resolves within this and the time that processes are given, whatever hangs. */
const STOP_TIMEOUT_MS = 3000

/** A running node. */
export class SkeinNode implements AsyncDisposable {
  readonly #parts: NodeParts
  readonly #origin: Origin
  readonly #events = new EventStream()
  readonly #codec: MessageCodec
  readonly #processes: Processes
  readonly #network: Network
  readonly #observer: Observer
  readonly #services: NodeServices
  readonly #workers: Workers
  #stopping: Promise<void> | undefined

  /** @internal Use startNode or startNodeOn. */
  constructor(parts: NodeParts) {
    const { name, identity, clock, random, logger } = parts
    this.#parts = parts
    this.#origin = new Origin(name, identity.nodeId, newIncarnation(clock, random))
    const maxMessageBytes = parts.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.#codec = new MessageCodec({ local: this.#origin, maxMessageBytes })
    this.#processes = new Processes({
      origin: this.#origin,
      clock,
      random,
      router: {
        toOrigin: (origin) => this.#network.router.toOrigin(origin),
        toNode: (node) => this.#network.router.toNode(node),
      },
      report: (report) => passOn(report, logger, (event) => this.#emit(event)),
      stateCodec: this.#codec.forStorage(),
      ...(parts.allow && { allow: parts.allow }),
      tracer: parts.tracing,
    })
    this.#network = new Network({ parts, self: this.#origin, codec: this.#codec, host: this.#networkHost() })
    this.#observer = new Observer(this.#observerHost())
    this.#services = new NodeServices(this.#servicesHost())
    this.#workers = new Workers(this.#workersHost())
    this.#begin()
  }

  /** name@host, unique in the cluster. */
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

  /** Who is there: register, lookup, list and status. */
  get discovery(): NodeDiscovery {
    return this.#network.discovery
  }

  /** The cookies that it goes by, to be changed while it runs. */
  get cookies(): Cookies {
    return this.#network.credentials.cookies
  }

  /** A new certificate for the same key, which new connections show; gives its end, milliseconds since 1970. */
  renewCertificate(): Promise<number> {
    return this.#network.credentials.certificate.renew()
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

  /** What goes on here and on the connected nodes: snapshots, metrics, traces. */
  get observer(): Observer {
    return this.#observer
  }

  /** Names of the connected nodes; hidden ones only if asked for. */
  nodes(options: { readonly hidden?: boolean } = {}): string[] {
    return this.connectedNodes()
      .filter((node) => !node.hidden || options.hidden === true)
      .map((node) => node.name)
  }

  /** The connected nodes with what is known of them, hidden ones included. */
  connectedNodes(): ConnectedNode[] {
    return this.#network.connected()
  }

  /** The members of the cluster but for this node, connected or not. */
  members(): Member[] {
    return [...this.#network.members.members()]
  }

  /**
   * Connects to a node by `name@host`, or by `host:port`, and gives its name. Rejects with ERR_SKEIN_NODE_UNKNOWN,
   * ERR_SKEIN_UNKNOWN_HOST, or why the dial failed; `attempts` of the error lists what was tried.
   */
  async connect(target: string): Promise<string> {
    this.#mustLive()
    return this.#network.connect(target)
  }

  /** Ends the connection to a node; it is left alone until someone needs it. False if it was not connected. */
  disconnect(name: string): Promise<boolean> {
    return this.#network.disconnect(name)
  }

  /**
   * Ends whatever there is with the node of this id, and lets it in no more: here, and until the node is started again.
   * False: it was revoked before. Throws ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_SELF or ERR_SKEIN_LIMIT.
   */
  revoke(id: string): boolean {
    return this.#network.revoke(id)
  }

  /** Lets it in again. False: it was not revoked. */
  unrevoke(id: string): boolean {
    return this.#network.unrevoke(id)
  }

  /** Ids of nodes that are not let in. */
  revoked(): string[] {
    return this.#network.revoked()
  }

  /** Milliseconds to a node and back, connecting if need be. Rejects as `connect`, or with ERR_SKEIN_CONNECT_TIMEOUT. */
  ping(name: string, options: { readonly timeoutMs?: number } = {}): Promise<number> {
    return this.#network.ping(name, options.timeoutMs)
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
   * Lets every node start this behaviour here by name, and ask for its version. Throws ERR_SKEIN_BAD_NAME,
   * ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_LIMIT.
   */
  behaviour<M, A extends unknown[]>(name: string, behaviour: Behaviour<M, A>, options?: BehaviourOptions): void {
    this.#processes.catalogue.add(name, behaviour, options)
  }

  /** Names of the behaviours that can be started here. */
  behaviours(): string[] {
    return this.#processes.catalogue.names()
  }

  /** Starts a process on a node, this one or another, as Self.spawnOn. */
  spawnOn(node: string, behaviour: string, args?: readonly unknown[], options?: SpawnOnOptions): Promise<Pid> {
    return this.#processes.spawns.spawn(undefined, node, behaviour, args, options)
  }

  /** Opens a stream of bytes to a process, as Self.openStream. */
  openStream(pid: AnyPid, options: OpenStreamOptions & { readonly duplex: true }): Promise<DuplexStream>
  openStream(pid: AnyPid, options?: OpenStreamOptions): Promise<OpenedStream>
  openStream(pid: AnyPid, options?: OpenStreamOptions): Promise<OpenedStream> {
    return this.#processes.streams.open(undefined, pid, options)
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

  /** Gives a process of this node a name. Throws ERR_SKEIN_NAME_REGISTERED, ERR_SKEIN_NOPROC or ERR_SKEIN_BAD_NAME. */
  register(name: string, pid: AnyPid): void {
    this.#processes.register(name, pid)
  }

  /** Takes a name back, before its process ends. Throws ERR_SKEIN_NOT_REGISTERED. */
  unregister(name: string): void {
    this.#processes.unregister(name)
  }

  /** The process that has this name on this node. */
  whereis(name: string): Pid | undefined {
    return this.#processes.whereis(name)
  }

  /** Names that mean one process in the whole cluster. */
  get global(): Global {
    return new Global(this.#services.global)
  }

  /** Processes of all nodes under common names. */
  get groups(): Groups {
    return new Groups(this.#services.groups, DEFAULT_SCOPE)
  }

  /** Rooms of WebSockets over all nodes. Throws ERR_SKEIN_BAD_OPTION, also where options are given a second time. */
  rooms(options?: RoomsOptions): Rooms {
    if (options !== undefined) this.#services.rooms.configure(options)
    return new Rooms(this.#services.rooms)
  }

  /** A registry of this node, made when first asked for. Throws ERR_SKEIN_BAD_OPTION where it has other options. */
  registry<V = unknown>(name: string, options: RegistryOptions<'unique'>): UniqueRegistry<V>
  registry<V = unknown>(name: string, options: RegistryOptions<'duplicate'>): DuplicateRegistry<V>
  registry(name: string, options: RegistryOptions): UniqueRegistry | DuplicateRegistry {
    return this.#services.registries.get(name, options)
  }

  /**
   * A part in a distributed supervisor, whose children run on whatever nodes can start them: this node may lead it. To be
   * called with the same name and options on each node that may. Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_BAD_ARGUMENT or
   * ERR_SKEIN_NAME_REGISTERED.
   */
  supervise(name: string, options?: SuperviseOptions): DistributedSupervisor {
    this.#mustLive()
    return this.#services.supervision.supervise(name, options)
  }

  /** Behaviours that a node can start, by its own account; undefined for one that is not connected. */
  behavioursOf(node: string): CatalogueEntry[] | undefined {
    return this.#services.nodes.behavioursOf(node)
  }

  /**
   * Leaves in order: nothing more is started here for others, supervised children go on elsewhere, functions given to
   * `onDrain` are awaited; then the node stops, after `timeoutMs` (30 000) at the latest. Tells what moved.
   */
  drain(options?: DrainOptions): Promise<DrainReport> {
    return this.#services.drain.drain(options)
  }

  /** True from the call of `drain` on. */
  get isDraining(): boolean {
    return this.#services.nodes.isDraining
  }

  /** Called when the node drains, and awaited: to hand over what nobody supervises. Returns how to take it back. */
  onDrain(hook: DrainHook): () => void {
    return this.#services.drain.onDrain(hook)
  }

  /** Worker threads with nodes of their own. */
  get workers(): Workers {
    return this.#workers
  }

  /** Lets instances of a class cross the wire; the same id on every node. */
  registerType<T extends object>(type: WireType<T>): void {
    this.#codec.registerType(type)
  }

  /** Counts since the start, of the port (received, sent, gated, and so on), of relaying, of punches, and of what was forbidden. */
  counters(): Readonly<Record<string, number>> {
    const forbidden = this.#processes.rights.forbidden.count
    return { ...this.#parts.transport.counters(), ...this.#network.counters(), forbidden }
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
    const system = systemProcess(systemHost(this, this.#parts, this.#processes))
    this.#processes.spawn(system, { name: SYSTEM_PROCESS })
    const { attach = false, logger } = this.#parts
    const emit = (event: NodeEvent): void => this.#emit(event)
    if (attach) this.#processes.spawn(attachProcess({ node: this, logger, emit }), { name: ATTACH_PROCESS })
    this.#network.start()
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { clock, transport } = this.#parts
    this.#services.rest()
    this.#network.rest()
    let giveUp = (): void => {}
    const late = new Promise<void>((resolve) => {
      giveUp = resolve
    })
    const timer = clock.after(STOP_TIMEOUT_MS + timeoutMs, giveUp)
    await Promise.race([this.#workers.stop(timeoutMs), late])
    // The connections go first: for others this node's processes are gone because the node is.
    await Promise.race([this.#network.stop(), late])
    this.#services.stop()
    this.#observer.stop()
    await Promise.race([this.#processes.stop(timeoutMs), late])
    await Promise.race([transport.close().catch((error: unknown) => this.#network.defect(error)), late])
    timer.cancel()
    this.#events.end()
  }

  #networkHost(): NetworkHost {
    return {
      deliver: (route, signal, sizeBytes) => this.#processes.deliver(route, signal, sizeBytes),
      uses: (route) => this.#processes.uses(route),
      routeDown: (route) => this.#processes.routeDown(route),
      nodeUp: (node) => this.#processes.nodeUp(node),
      nodeDown: (node, reason) => this.#processes.nodeDown(node, reason),
      emit: (event) => this.#emit(event),
    }
  }

  #observerHost(): ObserverHost {
    const { clock, machine, dht = () => undefined } = this.#parts
    return {
      self: this.#origin,
      clock,
      runtime: machine === undefined ? noRuntime : systemRuntime,
      processes: this.#processes,
      connections: () => this.#network.connections(),
      traffic: this.#network.traffic,
      discovery: () => this.discovery.status(),
      dht,
      counters: () => this.counters(),
      nodes: () => this.nodes(),
      ask: (node, request, timeoutMs) => this.#processes.call({ name: SYSTEM_PROCESS, node }, request, { timeoutMs }),
    }
  }

  #workersHost(): WorkersHost {
    return {
      name: this.name,
      parts: this.#parts,
      connected: () => this.connectedNodes(),
      connect: (name) => this.connect(name),
      disconnect: (name) => this.disconnect(name),
      revoked: () => this.revoked(),
      emit: (event) => this.#emit(event),
    }
  }

  #servicesHost(): ServicesHost {
    const { clock, random, hidden = false, loopMeter } = this.#parts
    return {
      self: this.#origin,
      hidden,
      clock,
      random,
      processes: this.#processes,
      probes: this.#observer.probes,
      codec: this.#codec.forStorage(),
      loopMeter: loopMeter ?? (() => 0),
      stop: (timeoutMs) => this.stop({ timeoutMs: Math.min(timeoutMs, DEFAULT_SHUTDOWN_MS) }),
      connected: () => this.#network.connected(),
      connectedAs: (name) => this.#network.connectedAs(name),
      emit: (event) => this.#emit(event),
      defect: (error) => this.#network.defect(error),
    }
  }

  #emit(event: NodeEvent): void {
    this.#events.emit(event)
    if (EVENT_CHANNEL.hasSubscribers) EVENT_CHANNEL.publish({ node: this.name, event } satisfies EventNews)
  }

  #mustLive(): void {
    if (!this.isAlive) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
  }
}

/** A node on parts of one's own choosing. */
export const startNodeOn = (parts: NodeParts): SkeinNode => new SkeinNode(parts)

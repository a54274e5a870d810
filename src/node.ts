/**
 * A node: identity, port, processes and peers put together, and the face it shows to users.
 *
 * `startNode` builds one on UDP and the system's clock; `startNodeOn` on whatever parts it is given, which is how the
 * simulator runs whole clusters. The node itself does little: it passes what one part says to those whom it concerns.
 * Invariant: after `stop` has resolved nothing of it runs, and nothing is held open.
 */
import { SkeinError } from '../certs/errors.ts'
import type { Address } from '../transport/address.ts'
import type { ConnectedNode } from './cluster/peers.ts'
import { EventStream, type NodeEvent } from './event-stream.ts'
import { newIncarnation } from './incarnation.ts'
import { Network, type NetworkHost } from './network.ts'
import type { NodeDiscovery } from './node-discovery.ts'
import type { NodeParts } from './node-parts.ts'
import { Origin, type Pid, type Ref, type Target } from './pid.ts'
import type { Behaviour } from './process/behaviour.ts'
import type { CallOptions, From } from './process/calls.ts'
import type { BehaviourOptions } from './process/catalogue.ts'
import type { AnyPid, AnyTarget } from './process/directory.ts'
import type { ProcessInfo } from './process/inspection.ts'
import { DEFAULT_SHUTDOWN_MS, Processes } from './process/processes.ts'
import type { CastOf, ReplyOf, RequestOf, SendOf } from './process/protocol.ts'
import type { SpawnWithOptions } from './process/self.ts'
import type { SpawnOnOptions } from './process/spawns.ts'
import { passOn } from './process-reports.ts'
import { NodeServices, type ServicesHost } from './services/services.ts'
import type { Reason } from './signals.ts'
import { SYSTEM_PROCESS, systemProcess } from './system-process.ts'
import { MessageCodec } from './wire/codec.ts'
import { DEFAULT_MAX_MESSAGE_BYTES, type WireType } from './wire/codec-types.ts'

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
  readonly #services: NodeServices
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
      router: {
        toOrigin: (origin) => this.#network.router.toOrigin(origin),
        toNode: (node) => this.#network.router.toNode(node),
      },
      report: (report) => passOn(report, logger, (event) => this.#emit(event)),
      stateCodec: this.#codec.forStorage(),
      ...(parts.allow && { allow: parts.allow }),
    })
    this.#network = new Network({ parts, self: this.#origin, codec: this.#codec, host: this.#networkHost() })
    this.#services = new NodeServices(this.#servicesHost())
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

  /** Who is there: register, lookup, list and status. */
  get discovery(): NodeDiscovery {
    return this.#network.discovery
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
    return this.#network.connected()
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
    const { cluster } = this.#parts
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
    this.#network.start()
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { clock, transport } = this.#parts
    this.#network.rest()
    let giveUp = (): void => {}
    const late = new Promise<void>((resolve) => {
      giveUp = resolve
    })
    const timer = clock.after(STOP_TIMEOUT_MS + timeoutMs, giveUp)
    // The connections go first: for others this node's processes are gone because the node is.
    await Promise.race([this.#network.stop(), late])
    this.#services.stop()
    await Promise.race([this.#processes.stop(timeoutMs), late])
    await Promise.race([transport.close().catch((error: unknown) => this.#network.defect(error)), late])
    timer.cancel()
    this.#events.end()
  }

  #networkHost(): NetworkHost {
    return {
      deliver: (route, signal, sizeBytes) => this.#processes.deliver(route, signal, sizeBytes),
      routeDown: (route) => this.#processes.routeDown(route),
      nodeUp: (node) => this.#processes.nodeUp(node),
      nodeDown: (node, reason) => this.#processes.nodeDown(node, reason),
      emit: (event) => this.#emit(event),
    }
  }

  #servicesHost(): ServicesHost {
    const { clock, random, hidden = false } = this.#parts
    return {
      self: this.#origin,
      hidden,
      clock,
      random,
      processes: this.#processes,
      connected: () => this.#network.connected(),
      emit: (event) => this.#emit(event),
      defect: (error) => this.#network.defect(error),
    }
  }

  #emit(event: NodeEvent): void {
    this.#events.emit(event)
  }

  #mustLive(): void {
    if (!this.isAlive) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
  }
}

/** A node on parts of one's own choosing. */
export const startNodeOn = (parts: NodeParts): SkeinNode => new SkeinNode(parts)

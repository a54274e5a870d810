/**
 * Spawning by name, here or on another node: a request, and one outcome (OTP, "Distribution Protocol": SPAWN_REQUEST and
 * SPAWN_REPLY). This is the asking side; births.ts answers.
 *
 * A request to another node is kept until the answer, even if nobody waits for it any more (timed out, abandoned, the
 * asking process ended), because whoever was then spawned in vain has to be told: over its link, as if the asking
 * process had ended.
 *
 * An answer counts only over the connection that the request took, and only once.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import { fullNodeName, hostOfNodeName } from '../cluster/node-name.ts'
import { Pid, type Ref } from '../pid.ts'
import type { Reason, Signal } from '../signals.ts'
import type { SpawnNamed } from './births.ts'
import type { Bridge } from './bridge.ts'
import type { Catalogue, NamedBehaviour } from './catalogue.ts'
import type { Directory } from './directory.ts'
import type { Exits } from './exits.ts'
import type { Links } from './links.ts'
import type { Monitors } from './monitors.ts'
import { Patience, type PatienceOptions, quiet } from './patience.ts'
import type { Process } from './process.ts'
import { aborted, checkRequest, impatient, refusedSpawn, unreachable } from './spawn-errors.ts'
import { onceStarted, startFailed } from './starts.ts'

/** What `spawnOn`, `spawnLinkOn` and `spawnMonitorOn` take. */
export interface SpawnOnOptions extends PatienceOptions {
  /** A name on its node, from the start. */
  readonly name?: string
  /** Only with the behaviour in exactly this version. */
  readonly version?: string
  /** Waits until the process has started, not only until it is spawned: its `init` is through, if it has one. */
  readonly start?: boolean
}

/** What the asking process wants to have with the new one from its first instant. */
type Bond = 'none' | 'link' | 'monitor'

export interface Spawned {
  readonly pid: Pid
  /** Of the monitor. */
  readonly ref: Ref | undefined
}

/** Who wants what. */
interface Wish {
  readonly caller: Process | undefined
  readonly behaviour: string
  readonly args: readonly unknown[]
  readonly options: SpawnOnOptions
  readonly bond: Bond
  /** For messages. */
  readonly what: string
}

interface Waiting {
  readonly resolve: (spawned: Spawned) => void
  readonly reject: (error: SkeinError) => void
  patience: Patience | undefined
}

type SpawnState =
  | { readonly phase: 'asked'; readonly waiting: Waiting }
  /** It is there, and has still to start. */
  | { readonly phase: 'starting'; readonly waiting: Waiting; readonly child: Pid }
  /** Whoever is spawned yet is told this. */
  | { readonly phase: 'givenUp'; readonly reason: Reason }

/** A request to another node. */
export interface PendingSpawn {
  readonly number: number
  readonly caller: Process | undefined
  readonly bridge: Bridge
  /** For messages. */
  readonly what: string
  readonly linked: boolean
  readonly ref: Ref | undefined
  readonly start: boolean
  state: SpawnState
}

export interface SpawnsOptions {
  readonly clock: Clock
  readonly directory: Directory
  readonly catalogue: Catalogue
  readonly links: Links
  readonly monitors: Monitors
  readonly exits: Exits
  readonly limit: number
  readonly nextRef: () => Ref
  readonly spawn: SpawnNamed
  readonly spawnMonitor: (
    watcher: Process,
    behaviour: NamedBehaviour,
    args: unknown[],
    options: { readonly name?: string },
  ) => { readonly process: Process; readonly ref: Ref }
}

type SignalOf<T extends Signal['type']> = Extract<Signal, { type: T }>

/** The reason of OTP's spawn_request_abandon/1. */
const ABANDONED = 'abandoned'
/** Protocol version in which a request can ask for a version of a behaviour. */
const SINCE_PROTOCOL = 2

export class Spawns {
  readonly #options: SpawnsOptions
  readonly #home: string
  /** Of all nodes, those given up included. */
  readonly #pending = new Set<PendingSpawn>()
  #lastNumber = 0

  constructor(options: SpawnsOptions) {
    this.#options = options
    this.#home = options.directory.origin.name
  }

  /** With a caller and `linked`: linked to it. Rejects with a SkeinError, never throws. */
  spawn(
    caller: Process | undefined,
    node: string,
    behaviour: string,
    args?: readonly unknown[],
    options?: SpawnOnOptions,
    linked = false,
  ): Promise<Pid> {
    return this.#request(caller, node, behaviour, args, options, linked ? 'link' : 'none', ({ pid }) => pid)
  }

  /** As `spawn`, monitored by the caller. */
  spawnMonitored(
    caller: Process,
    node: string,
    behaviour: string,
    args?: readonly unknown[],
    options?: SpawnOnOptions,
  ): Promise<Spawned & { readonly ref: Ref }> {
    const both = (spawned: Spawned): Spawned & { readonly ref: Ref } => ({ pid: spawned.pid, ref: spawned.ref as Ref })
    return this.#request(caller, node, behaviour, args, options, 'monitor', both)
  }

  onSpawned(bridge: Bridge, { from, request }: SignalOf<'spawned'>): void {
    const spawn = bridge.spawns.get(request)
    const { origin } = bridge.route
    if (spawn === undefined || spawn.state.phase === 'starting' || origin === undefined || from === 0) return
    const child = new Pid(origin, from)
    const { state, caller, ref } = spawn
    if (state.phase === 'givenUp') {
      this.#forget(spawn)
      this.#disown(spawn, child, state.reason)
      return
    }
    if (caller !== undefined && spawn.linked) this.#options.links.adopt(bridge, caller, child)
    if (caller !== undefined && ref !== undefined) this.#options.monitors.adopt(bridge, caller, child, ref)
    if (spawn.start) spawn.state = { phase: 'starting', waiting: state.waiting, child }
    else this.#settle(spawn, state.waiting, child)
  }

  onStarted(bridge: Bridge, { from, request }: SignalOf<'started'>): void {
    const spawn = bridge.spawns.get(request)
    if (spawn?.state.phase !== 'starting' || spawn.state.child.number !== from) return
    this.#settle(spawn, spawn.state.waiting, spawn.state.child)
  }

  onSpawnFailed(bridge: Bridge, { from, request, reason }: SignalOf<'spawnFailed'>): void {
    const spawn = bridge.spawns.get(request)
    if (spawn === undefined) return
    const { state } = spawn
    if (from !== (state.phase === 'starting' ? state.child.number : 0)) return
    this.#forget(spawn)
    if (state.phase === 'asked') state.waiting.reject(refusedSpawn(spawn.what, reason))
    if (state.phase !== 'starting') return
    // The error says it all; whoever asked does not know the monitor.
    this.#takeBack(spawn)
    state.waiting.reject(startFailed(spawn.what, reason))
  }

  /** The asking process has ended. Its links and monitors see to themselves. */
  ended(process: Process, reason: Reason): void {
    for (const spawn of process.spawns ?? []) {
      const { state } = spawn
      if (state.phase === 'givenUp') continue
      if (state.phase === 'asked') spawn.state = { phase: 'givenUp', reason }
      else this.#forget(spawn)
      if (state.phase === 'starting' && !spawn.linked) this.#kill(spawn, state.child)
      state.waiting.patience?.end()
      state.waiting.reject(process.endedError())
    }
    process.spawns = undefined
  }

  bridgeDown(bridge: Bridge): void {
    for (const spawn of [...bridge.spawns.values()]) {
      this.#forget(spawn)
      if (spawn.state.phase !== 'givenUp') spawn.state.waiting.reject(unreachable(spawn.what))
    }
  }

  /** The node stops. */
  stop(): void {
    for (const spawn of [...this.#pending]) {
      this.#forget(spawn)
      if (spawn.state.phase === 'givenUp') continue
      const text = `The node was stopped before ${spawn.what} was spawned.`
      spawn.state.waiting.reject(new SkeinError('ERR_SKEIN_STOPPED', text))
    }
  }

  #request<T>(
    caller: Process | undefined,
    node: string,
    behaviour: string,
    args: readonly unknown[] = [],
    options: SpawnOnOptions = {},
    bond: Bond,
    pick: (spawned: Spawned) => T,
  ): Promise<T> {
    return quiet(
      new Promise((resolve, reject) => {
        checkRequest(node, behaviour, args, options)
        const at = fullNodeName(node, hostOfNodeName(this.#home))
        const what = `"${behaviour}" on ${at}`
        if (options.signal?.aborted === true) throw aborted(what, options.signal)
        const wish: Wish = { caller, behaviour, args, options, bond: caller === undefined ? 'none' : bond, what }
        const waiting: Waiting = { resolve: (spawned) => resolve(pick(spawned)), reject, patience: undefined }
        if (at === this.#home) this.#here(wish, waiting)
        else this.#there(wish, at, waiting)
      }),
    )
  }

  #here(wish: Wish, { resolve, reject }: Waiting): void {
    const { caller, args, options, bond, what } = wish
    const { catalogue, links, monitors, spawn, spawnMonitor, exits, clock } = this.#options
    const { name, start, version = '' } = options
    const behaviour = catalogue.get(wish.behaviour, version)
    const named = name === undefined ? {} : { name }
    const parent = bond === 'link' && caller !== undefined ? { parent: caller } : {}
    const { process, ref } =
      bond === 'monitor' && caller !== undefined
        ? spawnMonitor(caller, behaviour, [...args], named)
        : { process: spawn(behaviour, [...args], { ...named, ...parent }), ref: undefined }
    const { pid } = process
    if (start !== true) {
      resolve({ pid, ref })
      return
    }
    const over = (): void => {
      patience.end()
      caller?.signal.removeEventListener('abort', orphaned)
    }
    const fail = (error: SkeinError): void => {
      over()
      if (caller !== undefined && ref !== undefined) monitors.demonitor(caller, ref, true)
      reject(error)
    }
    const orphaned = (): void => {
      if (caller !== undefined) fail(caller.endedError())
      // Its link sees to one that is linked.
      if (bond !== 'link') exits.order(pid, 'kill')
    }
    const patience = new Patience(clock, options, (why) => {
      fail(impatient(what, why, options.signal))
      if (caller !== undefined && bond === 'link') links.abandon(caller, pid, ABANDONED)
      else exits.order(pid, 'kill')
    })
    caller?.signal.addEventListener('abort', orphaned)
    onceStarted(process, (outcome) => {
      if (outcome === 'ended') {
        fail(caller?.ended === undefined ? startFailed(what, process.ended?.reason) : caller.endedError())
        return
      }
      over()
      resolve({ pid, ref })
    })
  }

  #there(wish: Wish, node: string, waiting: Waiting): void {
    const { caller, behaviour, args, options, bond, what } = wish
    const { directory, limit, clock, nextRef } = this.#options
    const { name = '', start = false, version = '' } = options
    const bridge = directory.toNode(node)
    if (bridge === 'noconnection') throw unreachable(what)
    if (version !== '' && !this.#knowsVersions(wish, node, waiting, bridge)) return
    if (this.#pending.size >= limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node waits for ${limit} processes, the limit "spawns".`)
    }
    const linked = bond === 'link'
    const ref = bond === 'monitor' ? nextRef() : undefined
    const number = ++this.#lastNumber
    const from = caller?.pid.number ?? 0
    const asked = { request: number, behaviour, version, link: linked, start, ref: ref?.number ?? 0, name, args }
    bridge.send(caller, { type: 'spawn', from, ...asked })
    const state: SpawnState = { phase: 'asked', waiting }
    const spawn: PendingSpawn = { number, caller, bridge, what, linked, ref, start, state }
    this.#pending.add(spawn)
    bridge.spawns.set(number, spawn)
    if (caller !== undefined) {
      caller.spawns ??= new Set()
      caller.spawns.add(spawn)
    }
    waiting.patience = new Patience(clock, options, (why) => {
      this.#giveUp(spawn, impatient(what, why, options.signal))
    })
  }

  /** False: that is not known yet, and is waited for. Throws if the other node cannot compare versions of behaviours. */
  #knowsVersions(wish: Wish, node: string, waiting: Waiting, bridge: Bridge): boolean {
    const { caller, options, what } = wish
    const { version } = bridge.route
    if (version === undefined) {
      let isOver = false
      const patience = new Patience(this.#options.clock, options, (why) => {
        isOver = true
        patience.end()
        waiting.reject(impatient(what, why, options.signal))
      })
      const goOn = (): void => {
        if (isOver) return
        patience.end()
        try {
          if (caller?.ended !== undefined) throw caller.endedError()
          // Dialled in vain: it would be dialled again and again, and nobody's patience ever end.
          if (bridge.route.version === undefined) throw unreachable(what)
          this.#there(wish, node, waiting)
        } catch (error) {
          waiting.reject(error as SkeinError)
        }
      }
      bridge.route.drained(caller?.pid.number ?? 0).then(goOn, goOn)
      return false
    }
    if (version >= SINCE_PROTOCOL) return true
    const text = `There is no ${what}: the node speaks protocol ${version}, which knows no versions of behaviours.`
    throw new SkeinError('ERR_SKEIN_BEHAVIOUR_VERSION', text)
  }

  /** Nobody waits any more, though whoever asked is alive. */
  #giveUp(spawn: PendingSpawn, error: SkeinError): void {
    const { state } = spawn
    if (state.phase === 'givenUp') return
    state.waiting.patience?.end()
    if (state.phase === 'asked') spawn.state = { phase: 'givenUp', reason: ABANDONED }
    else {
      const { caller } = spawn
      this.#forget(spawn)
      if (caller !== undefined && spawn.linked) this.#options.links.abandon(caller, state.child, ABANDONED)
      else this.#kill(spawn, state.child)
      this.#takeBack(spawn)
    }
    state.waiting.reject(error)
  }

  /** Whoever was spawned in vain is told; nobody else has heard of it. */
  #disown(spawn: PendingSpawn, child: Pid, reason: Reason): void {
    const { caller, bridge, ref } = spawn
    const from = caller?.pid.number ?? 0
    const sender = caller?.ended === undefined ? caller : undefined
    if (spawn.linked) bridge.sendSurely(sender, { type: 'linkExit', from, to: child.number, reason })
    else if (spawn.start) this.#kill(spawn, child)
    if (ref !== undefined) {
      bridge.sendSurely(sender, { type: 'demonitor', from, to: child.number, ref: ref.number })
    }
    if (sender === undefined) bridge.retire(from)
  }

  #takeBack({ caller, ref }: PendingSpawn): void {
    if (caller !== undefined && ref !== undefined) this.#options.monitors.demonitor(caller, ref, true)
  }

  #kill({ bridge }: PendingSpawn, child: Pid): void {
    bridge.sendSurely(undefined, { type: 'exit', from: 0, to: child.number, reason: 'kill' })
  }

  #settle(spawn: PendingSpawn, waiting: Waiting, pid: Pid): void {
    this.#forget(spawn)
    waiting.resolve({ pid, ref: spawn.ref })
  }

  /** Removes the request from everywhere. */
  #forget(spawn: PendingSpawn): void {
    this.#pending.delete(spawn)
    spawn.bridge.spawns.delete(spawn.number)
    spawn.caller?.spawns?.delete(spawn)
    if (spawn.state.phase !== 'givenUp') spawn.state.waiting.patience?.end()
  }
}

/**
 * Monitors: one process is told, once, that another has ended.
 *
 * Whoever removes a monitor from the tables of its watcher delivers the DOWN, so there is never a second one. A monitor on
 * what is dead or out of reach says so at once. The watched side of a monitor from another node is a `Watch`; it is known
 * by the watching node's reference number and hangs on the bridge to that node.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Pid, Ref, RemoteName } from '../pid.ts'
import type { Reason, Signal, SystemMessage, To } from '../signals.ts'
import type { Bridge } from './bridge.ts'
import { type AnyTarget, addressOf, type Directory, nameOf } from './directory.ts'
import type { ProcessLimits } from './limits.ts'
import type { Post } from './post.ts'
import { Process } from './process.ts'

type SignalOf<T extends Signal['type']> = Extract<Signal, { type: T }>

/** A monitor that a process of this node holds. */
export interface Monitor {
  readonly kind: 'monitor'
  readonly ref: Ref
  readonly watcher: Process
  readonly watched: Pid | RemoteName
  readonly at: Process | Bridge
  readonly to: To
}

/** A monitor that a process of another node holds on one of this node. */
export interface Watch {
  readonly kind: 'watch'
  readonly ref: number
  readonly bridge: Bridge
  readonly process: Process
}

export class Monitors {
  readonly #directory: Directory
  readonly #post: Post
  readonly #limit: number
  readonly #limitOfNode: number
  readonly #nextRef: () => Ref

  constructor(
    directory: Directory,
    post: Post,
    nextRef: () => Ref,
    { monitors, monitorsOfNode }: Pick<ProcessLimits, 'monitors' | 'monitorsOfNode'>,
  ) {
    this.#directory = directory
    this.#post = post
    this.#nextRef = nextRef
    this.#limit = monitors
    this.#limitOfNode = Math.min(monitors, monitorsOfNode)
  }

  monitor(watcher: Process, target: AnyTarget): Ref {
    const at = this.#directory.locate(target)
    const watched = nameOf(target, this.#directory.origin)
    const ref = this.#nextRef()
    if (typeof at === 'string') {
      this.#post.put(watcher, { type: 'DOWN', ref, pid: watched, reason: at })
      return ref
    }
    // It could never fire: nobody hears of his own end.
    if (at === watcher) return ref
    watcher.monitors ??= new Map()
    if (Math.max(watcher.monitors.size, at instanceof Process ? 0 : at.monitors.size) >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `There are ${this.#limit} monitors, the limit "monitors".`)
    }
    const monitor: Monitor = { kind: 'monitor', ref, watcher, watched, at, to: addressOf(target) }
    watcher.monitors.set(ref.number, monitor)
    if (at instanceof Process) {
      at.watchers ??= new Set()
      at.watchers.add(monitor)
      return ref
    }
    at.monitors.set(ref.number, monitor)
    try {
      at.send(watcher, { type: 'monitor', from: watcher.pid.number, to: monitor.to, ref: ref.number })
    } catch (error) {
      this.#remove(monitor)
      throw error
    }
    return ref
  }

  /** The monitor of a process here on one there that was spawned with it: known to both sides already. */
  adopt(bridge: Bridge, watcher: Process, watched: Pid, ref: Ref): void {
    watcher.monitors ??= new Map()
    const monitor: Monitor = { kind: 'monitor', ref, watcher, watched, at: bridge, to: watched.number }
    watcher.monitors.set(ref.number, monitor)
    bridge.monitors.set(ref.number, monitor)
  }

  /** The other side of that: a process here is watched from there. */
  watch(bridge: Bridge, process: Process, ref: number): void {
    const watch: Watch = { kind: 'watch', ref, bridge, process }
    bridge.watches.set(ref, watch)
    process.watchers ??= new Set()
    process.watchers.add(watch)
  }

  /** Throws unless the other node can have one more monitor here, under this number. */
  mustTake(bridge: Bridge, ref: number): void {
    if (bridge.watches.size >= this.#limitOfNode) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `There are ${this.#limitOfNode} monitors of this node, the limit.`)
    }
    if (bridge.watches.has(ref)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The number of a monitor is in use.')
    }
  }

  /** True if the DOWN had not been delivered; then it never will be. `flush` also removes a delivered one. */
  demonitor(watcher: Process, ref: Ref, flush: boolean): boolean {
    const monitor = this.#directory.isOwn(ref.origin) ? watcher.monitors?.get(ref.number) : undefined
    if (monitor !== undefined) this.#cancel(monitor)
    else if (flush) watcher.mailbox.remove((message) => isDown(message) && ref.equals(message.ref))
    return monitor !== undefined
  }

  ended(process: Process, reason: Reason): void {
    for (const watcher of process.watchers ?? []) {
      if (watcher.kind === 'monitor') this.#fire(watcher, reason)
      else {
        watcher.bridge.watches.delete(watcher.ref)
        watcher.bridge.sendSurely(process, { type: 'down', from: process.pid.number, ref: watcher.ref, reason })
      }
    }
    process.watchers = undefined
    for (const monitor of process.monitors?.values() ?? []) this.#cancel(monitor)
    process.monitors = undefined
  }

  bridgeDown(bridge: Bridge): void {
    for (const watch of bridge.watches.values()) watch.process.watchers?.delete(watch)
    bridge.watches.clear()
    for (const monitor of [...bridge.monitors.values()]) this.#fire(monitor, 'noconnection')
  }

  onMonitor(bridge: Bridge, { to, ref }: SignalOf<'monitor'>): void {
    if (bridge.watches.has(ref)) return
    const process = this.#directory.reach(bridge, to, 'monitor')
    if (process === 'forbidden') {
      // As if there were nobody: a monitor learns no more than that.
      bridge.sendSurely(undefined, { type: 'down', from: 0, ref, reason: 'noproc' })
      return
    }
    if (process === 'noproc' || bridge.watches.size >= this.#limitOfNode) {
      const watched = process === 'noproc' ? undefined : process
      const from = watched?.pid.number ?? (typeof to === 'number' ? to : 0)
      const reason = watched === undefined ? 'noproc' : 'system_limit'
      bridge.sendSurely(watched, { type: 'down', from, ref, reason })
      if (watched === undefined) bridge.retire(from)
      return
    }
    this.watch(bridge, process, ref)
  }

  onDemonitor(bridge: Bridge, { ref }: SignalOf<'demonitor'>): void {
    const watch = bridge.watches.get(ref)
    if (watch === undefined) return
    bridge.watches.delete(ref)
    watch.process.watchers?.delete(watch)
  }

  onDown(bridge: Bridge, { ref, reason }: SignalOf<'down'>): void {
    const monitor = bridge.monitors.get(ref)
    if (monitor !== undefined) this.#fire(monitor, reason)
  }

  #fire(monitor: Monitor, reason: Reason): void {
    this.#remove(monitor)
    this.#post.put(monitor.watcher, { type: 'DOWN', ref: monitor.ref, pid: monitor.watched, reason })
  }

  #cancel(monitor: Monitor): void {
    this.#remove(monitor)
    const { at, ref, to, watcher } = monitor
    if (at instanceof Process) return
    at.sendSurely(watcher, { type: 'demonitor', from: watcher.pid.number, to, ref: ref.number })
  }

  #remove(monitor: Monitor): void {
    monitor.watcher.monitors?.delete(monitor.ref.number)
    if (monitor.at instanceof Process) monitor.at.watchers?.delete(monitor)
    else monitor.at.monitors.delete(monitor.ref.number)
  }
}

const isDown = (message: unknown): message is Extract<SystemMessage, { type: 'DOWN' }> =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === 'DOWN' && 'ref' in message

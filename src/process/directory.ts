/**
 * The directory: finds for any target the process of this node, or the bridge that leads to it.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import { type Origin, Pid, type RemoteName, type Target } from '../pid.ts'
import type { Route, Router } from '../route.ts'
import type { To } from '../signals.ts'
import { Bridge } from './bridge.ts'
import type { Attempted } from './forbidden.ts'
import { NumberTable } from './number-table.ts'
import type { Process } from './process.ts'
import { Registry } from './registry.ts'
import { isSystemName, type Rights } from './rights.ts'

/** Anything that can be addressed, whatever it understands. */
export type AnyTarget = Target<never>
export type AnyPid = Pid<never>

/** Why there is no way to a target; both are exit reasons too. */
type Nowhere = 'noproc' | 'noconnection'

export class Directory {
  readonly origin: Origin
  readonly processes = new NumberTable<Process>()
  readonly registry: Registry
  readonly rights: Rights
  readonly #router: Router
  readonly #clock: Clock
  readonly #bridges = new Map<Route, Bridge>()
  /** Routes that are down for good, for as long as anybody still holds them. */
  readonly #down = new WeakSet<Route>()

  constructor(options: { origin: Origin; router: Router; clock: Clock; names: number; rights: Rights }) {
    this.rights = options.rights
    this.origin = options.origin
    this.#router = options.router
    this.#clock = options.clock
    this.registry = new Registry(options.names)
  }

  /** Throws ERR_SKEIN_BAD_ARGUMENT for what is no target. */
  locate(target: AnyTarget): Process | Bridge | Nowhere {
    if (target instanceof Pid) {
      if (this.isOwn(target.origin)) return this.processes.get(target.number) ?? 'noproc'
      return this.toOrigin(target.origin)
    }
    if (typeof target === 'string') return this.registry.get(target) ?? 'noproc'
    if (
      target === null ||
      typeof target !== 'object' ||
      typeof target.name !== 'string' ||
      typeof target.node !== 'string'
    ) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A target is a pid, a registered name, or { name, node }.')
    }
    if (target.node === this.origin.name) return this.registry.get(target.name) ?? 'noproc'
    return this.toNode(target.node)
  }

  /** A process of this node, as a signal of another node addresses it. */
  find(to: To): Process | undefined {
    return typeof to === 'number' ? this.processes.get(to) : this.registry.get(to)
  }

  /** As `find`, for what the node beyond the bridge needs a right to. What is forbidden is counted. */
  reach(bridge: Bridge, to: To, attempt: Attempted): Process | 'noproc' | 'forbidden' {
    const process = this.find(to)
    const { origin } = bridge.route
    const grants = this.rights.of(origin)
    if (grants === undefined) return process ?? 'noproc'
    // Of a name that may not be addressed it is not told whether anybody has it.
    const byName = typeof to === 'string' && !isSystemName(to)
    const isOpen = byName ? grants.mayAddress(to) : process === undefined || grants.mayReach(process, attempt)
    if (isOpen) return process ?? 'noproc'
    this.rights.forbidden.note(origin, attempt)
    return 'forbidden'
  }

  isOwn(origin: Origin): boolean {
    return origin === this.origin || origin.key === this.origin.key
  }

  toOrigin(origin: Origin): Bridge | Nowhere {
    const route = this.#router.toOrigin(origin)
    return typeof route === 'string' ? route : this.bridge(route)
  }

  /** Another node, by its full name. */
  toNode(node: string): Bridge | 'noconnection' {
    const route = this.#router.toNode(node)
    return route === 'noconnection' ? route : this.bridge(route)
  }

  /** The bridge over this route, built on first use. */
  bridge(route: Route): Bridge | 'noconnection' {
    let bridge = this.#bridges.get(route)
    if (bridge === undefined) {
      if (this.#down.has(route)) return 'noconnection'
      bridge = new Bridge(route, this.#clock)
      this.#bridges.set(route, bridge)
    }
    return bridge
  }

  /** Something hangs on this route. */
  uses(route: Route): boolean {
    return this.#bridges.get(route)?.isUsed === true
  }

  /** The route is down: gives its bridge, if there was one, and never builds another. */
  takeDown(route: Route): Bridge | undefined {
    const bridge = this.#bridges.get(route)
    this.#down.add(route)
    this.#bridges.delete(route)
    return bridge
  }
}

/** How signals address a target on its own node. */
export const addressOf = (target: AnyTarget): To =>
  target instanceof Pid ? target.number : typeof target === 'string' ? target : target.name

/** How people and messages name a target, seen from `origin`. */
export const nameOf = (target: AnyTarget, origin: Origin): Pid | RemoteName => {
  // What a process understands is lost on those who are only told of its end.
  if (target instanceof Pid) return target as AnyPid as Pid
  return typeof target === 'string' ? { name: target, node: origin.name } : target
}

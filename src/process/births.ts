/**
 * Births: the answering side of a spawn from another node. It keeps nothing of a request: it makes the process with its
 * link and monitor, and answers on the lane of the new process, so that the answer comes before everything else of it.
 */
import { SkeinError } from '../../certs/errors.ts'
import { Pid } from '../pid.ts'
import { type Signal, Unreadable } from '../signals.ts'
import type { Bridge } from './bridge.ts'
import type { Catalogue, NamedBehaviour } from './catalogue.ts'
import type { Links } from './links.ts'
import type { Monitors } from './monitors.ts'
import type { Process } from './process.ts'
import type { Rights } from './rights.ts'
import { refusalOf } from './spawn-errors.ts'
import { onceStarted } from './starts.ts'

/** Makes a process of this node; linked to its parent, if it is one of this node; a link to one elsewhere is the caller's to make. */
export type SpawnNamed = (
  behaviour: NamedBehaviour,
  args: unknown[],
  options: { readonly name?: string; readonly parent?: Process | Pid; readonly startedFor?: string },
) => Process

export interface BirthsOptions {
  readonly catalogue: Catalogue
  readonly rights: Rights
  readonly links: Links
  readonly monitors: Monitors
  readonly spawn: SpawnNamed
  /** Processes that one other node may have alive here, or ended with a function that goes on. */
  readonly limit: number
}

type SpawnSignal = Extract<Signal, { type: 'spawn' }>

export class Births {
  readonly #options: BirthsOptions
  /** By the id of the node that had them started; those whose function still runs are among them. */
  readonly #alive = new Map<string, number>()

  constructor(options: BirthsOptions) {
    this.#options = options
  }

  /** The process has ended, and its function has returned. */
  over({ startedFor }: Process): void {
    if (startedFor === undefined) return
    const left = (this.#alive.get(startedFor) ?? 1) - 1
    if (left === 0) this.#alive.delete(startedFor)
    else this.#alive.set(startedFor, left)
  }

  onSpawn(bridge: Bridge, signal: SpawnSignal): void {
    const { request, start } = signal
    let process: Process
    try {
      process = this.#accept(bridge, signal)
    } catch (error) {
      bridge.sendSurely(undefined, { type: 'spawnFailed', from: 0, request, reason: refusalOf(error) })
      return
    }
    const from = process.pid.number
    bridge.sendSurely(process, { type: 'spawned', from, request })
    if (!start) return
    onceStarted(process, (outcome) => {
      const { ended } = process
      if (outcome === 'started') bridge.sendSurely(process, { type: 'started', from, request })
      else bridge.sendSurely(process, { type: 'spawnFailed', from, request, reason: ended?.reason })
    })
  }

  /** Throws why nothing is spawned. */
  #accept(bridge: Bridge, { from, behaviour, version, link, ref, name, args }: SpawnSignal): Process {
    const { catalogue, rights, links, monitors, spawn, limit } = this.#options
    if (args instanceof Unreadable) throw args.error
    const { origin } = bridge.route
    const asking = origin === undefined || from === 0 ? undefined : new Pid(origin, from)
    if (!Array.isArray(args) || (asking === undefined && (link || ref !== 0))) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The request to spawn a process makes no sense.')
    }
    if (catalogue.isClosed)
      throw new SkeinError('ERR_SKEIN_DRAINING', 'The node is about to leave and starts nothing more.')
    rights.checkSpawn(origin, behaviour, name)
    const found = catalogue.get(behaviour, version)
    if (found.traits?.guarded === true) {
      // Whoever asked could never take it back.
      throw new SkeinError('ERR_SKEIN_FORBIDDEN', `"${behaviour}" is guarded: only its own node starts it.`)
    }
    const id = origin?.id ?? ''
    const alive = this.#alive.get(id) ?? 0
    if (alive >= limit) {
      throw new SkeinError(
        'ERR_SKEIN_LIMIT',
        `${origin?.name} has ${limit} processes here, the limit "processesOfNode".`,
      )
    }
    if (link) links.mustHaveRoom(bridge)
    if (ref !== 0) monitors.mustTake(bridge, ref)
    const process = spawn(found, args, {
      ...(name === '' ? {} : { name }),
      startedFor: id,
      ...(link && asking !== undefined ? { parent: asking } : {}),
    })
    this.#alive.set(id, alive + 1)
    if (link && asking !== undefined) links.adopt(bridge, process, asking)
    if (ref !== 0) monitors.watch(bridge, process, ref)
    return process
  }
}

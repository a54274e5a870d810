/**
 * Groups of processes over all nodes, as OTP's pg has them: each node tells the others which of its own processes are in
 * which group, and all see the same when they can hear each other.
 *
 * A node writes places for its own processes only (place.ts). They go with the process before anybody hears of its end,
 * with the node when its connection is lost, and come back when it returns. There is no agreement and no waiting: a join
 * is seen at once here and a message later elsewhere; nodes that cannot hear each other see their own side.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { EventStream, type Lagged } from '../../event-stream.ts'
import type { Origin, Pid } from '../../pid.ts'
import type { AnyPid } from '../../process/directory.ts'
import type { Attempted } from '../../process/forbidden.ts'
import type { GroupName, Multicast, Publisher, PublishOptions, Targets } from '../../process/multicast.ts'
import type { Process, ProcessTable } from '../../process/process.ts'
import type { Grants } from '../../process/rights.ts'
import { Board, MAX_ENTRIES_PER_OWNER } from '../board.ts'
import { Channel, type ChannelHost, type ChannelPeer, nonsense } from '../channel.ts'
import type { ServicesHost } from '../services.ts'
import { MemberTable } from './member-table.ts'
import { checkName, keyOf, type Place, placeOf } from './place.ts'

/** The name of the scope that is meant where none is named. */
export const DEFAULT_SCOPE = 'skein'

/** Processes have become members, or are members no more. `pids` are never empty, and each is told once. */
export interface GroupEvent {
  readonly type: 'join' | 'leave'
  readonly scope: string
  readonly group: string
  readonly pids: readonly Pid[]
}

/** What an entry of the board has for a value: the key says it all. */
const HERE = true

export class GroupService implements ProcessTable, Publisher {
  readonly #self: Origin
  readonly #processes: ServicesHost['processes']
  readonly #multicast: Multicast
  readonly #members: MemberTable
  readonly #channel: Channel
  readonly #board: Board<typeof HERE>
  readonly #events = new EventStream<GroupEvent>()
  /** How often each process of this node is where it is, by the key of the place. */
  readonly #joins = new Map<Process, Map<string, number>>()
  /** What has happened to each group since its last event. */
  readonly #changes = new Map<string, GroupEvent & { readonly pids: Pid[] }>()

  constructor(host: ServicesHost, channelHost: ChannelHost) {
    this.#self = host.self
    this.#processes = host.processes
    this.#multicast = host.processes.multicast
    this.#members = new MemberTable(host.self)
    this.#board = new Board<typeof HERE>(() => this.#channel, host.clock, {
      accept: (value, key, owner) => {
        const place = placeOf(key)
        if (value !== HERE || place === undefined) throw nonsense('a place in a group that is none')
        this.#processes.rights.checkGroup(owner.pid.origin, place.scope, place.group)
        return HERE
      },
      put: (owner, key, _value, previous) => {
        const place = placeOf(key)
        if (place !== undefined && previous === undefined) this.#add(place, owner.pid.origin)
      },
      removed: (owner, key) => {
        const place = placeOf(key)
        if (place !== undefined) this.#remove(place, owner.pid.origin)
      },
    })
    this.#channel = new Channel('skein.groups', channelHost, {
      peerUp: (peer) => this.#board.peerUp(peer),
      received: (peer, message) => this.#received(peer, message),
      peerDown: (peer) => {
        this.#board.peerDown(peer)
        this.#tell()
      },
    })
    this.#multicast.publisher = this
  }

  /** Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_NOPROC or ERR_SKEIN_LIMIT, and then none of them has joined. */
  join(scope: string, group: string, pids: readonly AnyPid[]): void {
    checkName('group', group)
    const processes = pids.map((pid) => this.#processes.local(pid))
    if (this.#board.own.size + processes.length > MAX_ENTRIES_PER_OWNER) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `Processes of this node are in groups ${MAX_ENTRIES_PER_OWNER} times.`)
    }
    for (const process of processes) {
      const place = { scope, group, number: process.pid.number }
      const key = keyOf(place)
      let joins = this.#joins.get(process)
      if (joins === undefined) {
        joins = new Map()
        this.#joins.set(process, joins)
        process.tables ??= new Set()
        process.tables.add(this)
      }
      const times = joins.get(key) ?? 0
      joins.set(key, times + 1)
      if (times > 0) continue
      this.#board.set(key, HERE)
      this.#add(place, this.#self)
    }
    this.#tell()
  }

  /** False: none of them had joined. */
  leave(scope: string, group: string, pids: readonly AnyPid[]): boolean {
    let hadJoined = false
    for (const pid of pids) {
      if (!this.#processes.isAlive(pid)) continue
      const process = this.#processes.local(pid)
      const joins = this.#joins.get(process)
      const place = { scope, group, number: pid.number }
      const key = keyOf(place)
      const times = joins?.get(key)
      if (joins === undefined || times === undefined) continue
      hadJoined = true
      if (times > 1) {
        joins.set(key, times - 1)
        continue
      }
      joins.delete(key)
      if (joins.size === 0) {
        this.#joins.delete(process)
        process.tables?.delete(this)
      }
      this.#board.delete(key)
      this.#remove(place, this.#self)
    }
    this.#tell()
    return hadJoined
  }

  members(scope: string, group: string): readonly Pid[] {
    return this.#members.members(scope, group)
  }

  localMembers(scope: string, group: string): readonly Pid[] {
    return this.#members.localMembers(scope, group)
  }

  /** A node has members in it. */
  isOn(origin: Origin, scope: string, group: string): boolean {
    return this.#members.targets(scope, group, false).some((targets) => targets.origin.key === origin.key)
  }

  groups(scope: string): string[] {
    return this.#members.groups(scope)
  }

  watch(scope: string, group: string | undefined): AsyncIterable<GroupEvent | Lagged> {
    return this.#events.only((event) => event.scope === scope && (group === undefined || event.group === group))
  }

  publish(sender: Process | undefined, group: string, message: unknown, options: PublishOptions = {}): boolean {
    const { scope = DEFAULT_SCOPE, exclude, localOnly = false } = options
    const all = this.#members.targets(scope, group, localOnly)
    return this.#multicast.send(sender, exclude === undefined ? all : without(all, exclude), message, `group ${group}`)
  }

  drained(sender: Process | undefined, { group, scope = DEFAULT_SCOPE }: GroupName): Promise<void> {
    return this.#multicast.drained(sender, this.#members.targets(scope, group, false))
  }

  ended(process: Process): void {
    for (const key of this.#joins.get(process)?.keys() ?? []) {
      this.#board.delete(key)
      const place = placeOf(key)
      if (place !== undefined) this.#remove(place, this.#self)
    }
    this.#joins.delete(process)
    this.#tell()
  }

  /** Whoever may publish to a group reaches its members with messages, whatever else it may. */
  isOpen(process: Process, grants: Grants, attempt: Attempted): boolean {
    // A process may be in very many groups, and whoever may publish to none may ask for each of them in vain.
    if (attempt !== 'send' || !grants.publishes) return false
    for (const key of this.#joins.get(process)?.keys() ?? []) {
      const place = placeOf(key)
      if (place !== undefined && grants.mayPublish(place.scope, place.group)) return true
    }
    return false
  }

  stop(): void {
    this.#events.end()
  }

  #received(peer: ChannelPeer, message: unknown): void {
    try {
      if (!this.#board.received(peer, message)) throw nonsense('to the groups what they do not know')
    } finally {
      this.#tell()
    }
  }

  #add(place: Place, origin: Origin): void {
    this.#note('join', place, this.#members.add(place, origin))
  }

  #remove(place: Place, origin: Origin): void {
    const pid = this.#members.remove(place, origin)
    if (pid !== undefined) this.#note('leave', place, pid)
  }

  #note(type: GroupEvent['type'], { scope, group }: Place, pid: Pid): void {
    if (!this.#events.isRead) return
    const key = `${scope.length} ${scope}${group}`
    const change = this.#changes.get(key)
    if (change?.type === type) {
      change.pids.push(pid)
      return
    }
    // One pid may come and go at once, so what came before is told before.
    if (change !== undefined) this.#events.emit(change)
    this.#changes.set(key, { type, scope, group, pids: [pid] })
  }

  /** One event for all who joined or left a group at once. */
  #tell(): void {
    for (const change of this.#changes.values()) this.#events.emit(change)
    this.#changes.clear()
  }
}

const without = (all: readonly Targets[], exclude: AnyPid | readonly AnyPid[]): readonly Targets[] => {
  const excluded: readonly AnyPid[] = Array.isArray(exclude) ? exclude : [exclude as AnyPid]
  const byOrigin = new Map<string, Set<number>>()
  for (const { origin, number } of excluded) {
    const numbers = byOrigin.get(origin.key)
    if (numbers === undefined) byOrigin.set(origin.key, new Set([number]))
    else numbers.add(number)
  }
  const left = all.map((targets) => {
    const numbers = byOrigin.get(targets.origin.key)
    if (numbers === undefined) return targets
    return { origin: targets.origin, numbers: targets.numbers.filter((number) => !numbers.has(number)) }
  })
  return left.filter(({ numbers }) => numbers.length > 0)
}

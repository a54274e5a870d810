/**
 * Links: two processes that end together.
 *
 * Within the node a link is one entry on either side, made and removed at once. Between nodes each side keeps its own
 * state, and two signals may cross. The rules (OTP, "Distribution Protocol: Link Protocol"):
 *  - `unlink` removes the link at once for its caller, but the entry stays as "unlinking" with an id until `unlinkAck` with
 *    that id comes back. Meanwhile an exit over the link ends the entry and has no other effect.
 *  - `link` from the other side does nothing where a link or an unlinking entry exists: if it crossed our unlink, the other
 *    side will remove what it made when our unlink arrives, so both sides end without a link.
 *  - linking again while unlinking makes the entry a link again and says so; the acknowledgement then finds nothing to do.
 *  - every `unlink` is acknowledged, even for a process that has ended.
 */
import { SkeinError } from '../../certs/errors.ts'
import { Pid } from '../pid.ts'
import type { Reason, Signal } from '../signals.ts'
import type { Bridge } from './bridge.ts'
import type { AnyPid, Directory } from './directory.ts'
import type { ProcessLimits } from './limits.ts'
import { Process } from './process.ts'

export interface RemoteLink {
  readonly owner: Process
  readonly pid: Pid
  readonly bridge: Bridge
  /** The id of the unlink that waits for its acknowledgement; undefined while linked. */
  unlinking: number | undefined
}

type SignalOf<T extends Signal['type']> = Extract<Signal, { type: T }>

/** What happens to a process when one it is linked to has ended. */
type LinkExit = (process: Process, from: Pid, reason: Reason) => void

export class Links {
  readonly #directory: Directory
  readonly #exit: LinkExit
  readonly #limits: Pick<ProcessLimits, 'links' | 'linksOfNode'>
  #lastUnlink = 0

  constructor(directory: Directory, exit: LinkExit, limits: Pick<ProcessLimits, 'links' | 'linksOfNode'>) {
    this.#directory = directory
    this.#exit = exit
    this.#limits = limits
  }

  /** Idempotent. A dead or unreachable process answers with an exit: noproc or noconnection. */
  link(process: Process, pid: AnyPid): void {
    const other = this.#directory.locate(pid)
    if (other === process) return
    if (typeof other === 'string') this.#exit(process, pid as AnyPid as Pid, other)
    else if (other instanceof Process) this.#linkHere(process, other)
    else this.#linkThere(process, pid as AnyPid as Pid, other)
  }

  /** When this returns no exit of that link will be delivered any more; one that was delivered before stays. */
  unlink(process: Process, pid: AnyPid): void {
    const link = process.remoteLinks?.get(pid.key)
    if (link !== undefined) {
      if (link.unlinking !== undefined) return
      link.unlinking = ++this.#lastUnlink
      const { bridge, unlinking: id } = link
      bridge.sendSurely(process, { type: 'unlink', from: process.pid.number, to: pid.number, id })
      return
    }
    const other = this.#directory.isOwn(pid.origin) ? this.#directory.find(pid.number) : undefined
    if (other === undefined) return
    process.links?.delete(other)
    other.links?.delete(process)
  }

  /** The link of a process here with one there that was spawned with it: known to both sides already. */
  adopt(bridge: Bridge, owner: Process, pid: Pid): void {
    if (owner.remoteLinks?.has(pid.key) !== true) this.#add({ owner, pid, bridge, unlinking: undefined })
  }

  /** Throws ERR_SKEIN_LIMIT. */
  mustHaveRoom(bridge: Bridge): void {
    this.#check(bridge.links.size, Math.min(this.#limits.links, this.#limits.linksOfNode))
  }

  /** Ends the link as if the process had ended, though it goes on. */
  abandon(process: Process, pid: Pid, reason: Reason): void {
    const link = process.remoteLinks?.get(pid.key)
    if (link !== undefined) {
      this.#remove(link)
      const { bridge } = link
      if (link.unlinking !== undefined) return
      bridge.sendSurely(process, { type: 'linkExit', from: process.pid.number, to: pid.number, reason })
      return
    }
    const other = this.#directory.isOwn(pid.origin) ? this.#directory.find(pid.number) : undefined
    if (other === undefined || process.links?.delete(other) !== true) return
    other.links?.delete(process)
    this.#exit(other, process.pid, reason)
  }

  ended(process: Process, reason: Reason): void {
    for (const other of process.links ?? []) {
      other.links?.delete(process)
      this.#exit(other, process.pid, reason)
    }
    for (const link of process.remoteLinks?.values() ?? []) {
      link.bridge.links.delete(link)
      if (link.unlinking !== undefined) continue
      const { bridge, pid } = link
      bridge.sendSurely(process, { type: 'linkExit', from: process.pid.number, to: pid.number, reason })
    }
    process.links = undefined
    process.remoteLinks = undefined
  }

  bridgeDown(bridge: Bridge): void {
    const links = [...bridge.links]
    for (const link of links) this.#remove(link)
    for (const link of links) if (link.unlinking === undefined) this.#exit(link.owner, link.pid, 'noconnection')
  }

  onLink(bridge: Bridge, { from, to }: SignalOf<'link'>): void {
    const pid = pidThere(bridge, from)
    if (pid === undefined) return
    const process = this.#directory.find(to)
    if (process === undefined) this.#refuse(bridge, from, to, 'noproc')
    else if (process.remoteLinks?.has(pid.key) === true) return
    else if (this.#directory.reach(bridge, to, 'link') !== process) this.#refuse(bridge, from, to, 'noproc')
    else if (bridge.links.size >= Math.min(this.#limits.links, this.#limits.linksOfNode))
      this.#refuse(bridge, from, to, 'system_limit')
    else this.#add({ owner: process, pid, bridge, unlinking: undefined })
  }

  onUnlink(bridge: Bridge, { from, to, id }: SignalOf<'unlink'>): void {
    const link = this.#find(bridge, from, to)
    if (link !== undefined && link.unlinking === undefined) this.#remove(link)
    const process = this.#directory.find(to)
    bridge.sendSurely(process, { type: 'unlinkAck', from: to, to: from, id })
    if (process === undefined) bridge.retire(to)
  }

  onUnlinkAck(bridge: Bridge, { from, to, id }: SignalOf<'unlinkAck'>): void {
    const link = this.#find(bridge, from, to)
    if (link?.unlinking === id) this.#remove(link)
  }

  onLinkExit(bridge: Bridge, { from, to, reason }: SignalOf<'linkExit'>): void {
    const link = this.#find(bridge, from, to)
    if (link === undefined) return
    this.#remove(link)
    if (link.unlinking === undefined) this.#exit(link.owner, link.pid, reason)
  }

  #linkHere(process: Process, other: Process): void {
    process.links ??= new Set()
    if (process.links.has(other)) return
    other.links ??= new Set()
    this.#check(Math.max(process.links.size, other.links.size))
    process.links.add(other)
    other.links.add(process)
  }

  #linkThere(process: Process, pid: Pid, bridge: Bridge): void {
    const known = process.remoteLinks?.get(pid.key)
    if (known !== undefined && known.unlinking === undefined) return
    const signal: Signal = { type: 'link', from: process.pid.number, to: pid.number }
    if (known !== undefined) {
      known.unlinking = undefined
      known.bridge.sendSurely(process, signal)
      return
    }
    this.#check(bridge.links.size)
    const link: RemoteLink = { owner: process, pid, bridge, unlinking: undefined }
    this.#add(link)
    try {
      bridge.send(process, signal)
    } catch (error) {
      this.#remove(link)
      throw error
    }
  }

  #refuse(bridge: Bridge, from: number, to: number, reason: Reason): void {
    const process = this.#directory.find(to)
    bridge.sendSurely(process, { type: 'linkExit', from: to, to: from, reason })
    if (process === undefined) bridge.retire(to)
  }

  #check(count: number, limit = this.#limits.links): void {
    if (count < limit) return
    throw new SkeinError('ERR_SKEIN_LIMIT', `There are ${limit} links, the limit "links".`)
  }

  /** Looked up by what the bridge says, never by what the signal says of its node. */
  #find(bridge: Bridge, from: number, to: number): RemoteLink | undefined {
    const pid = pidThere(bridge, from)
    const link = pid && this.#directory.find(to)?.remoteLinks?.get(pid.key)
    return link?.bridge === bridge ? link : undefined
  }

  #add(link: RemoteLink): void {
    link.owner.remoteLinks ??= new Map()
    link.owner.remoteLinks.set(link.pid.key, link)
    link.bridge.links.add(link)
  }

  #remove(link: RemoteLink): void {
    link.owner.remoteLinks?.delete(link.pid.key)
    link.bridge.links.delete(link)
  }
}

/** Process `number` of the node beyond the bridge; 0 is the node itself, which has no links. */
const pidThere = (bridge: Bridge, number: number): Pid | undefined => {
  const origin = bridge.route.origin
  return origin === undefined || number === 0 ? undefined : new Pid(origin, number)
}

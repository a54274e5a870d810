/**
 * One name, one process in the cluster: the part of it that runs on one node.
 *
 * Who may write a claim to a name is its owner, the node on which the process runs; everybody has everybody's claims
 * (board.ts), so looking one up costs nothing but a look into a table. How a name is acquired is in acquisition.ts, what
 * becomes of two owners that could not see each other in conflicts.ts. It works on both sides of a partition; a resource
 * that must not obey two holders uses a Fence.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { EventStream } from '../../event-stream.ts'
import { type Origin, Pid } from '../../pid.ts'
import type { AnyPid } from '../../process/directory.ts'
import type { Process, ProcessTable } from '../../process/process.ts'
import type { Grants } from '../../process/rights.ts'
import { Board } from '../board.ts'
import { Channel, type ChannelHost, type ChannelPeer, nonsense, SERVICES_VERSION } from '../channel.ts'
import type { ServicesHost } from '../services.ts'
import { Acquisition, AGREEMENT_TIMEOUT_MS } from './acquisition.ts'
import { type Claim, checkGlobalName, claimOf, type Entry, isGlobalName, isProcessNumber, readEntry } from './claim.ts'
import { Conflicts } from './conflicts.ts'
import { Dialogue } from './dialogue.ts'
import { tokenOf } from './fence.ts'
import { Handovers } from './handover.ts'
import { type Holding, Holdings, type Resolve } from './holdings.ts'
import { Parted } from './parted.ts'
import { firstStampOf, HybridClock, isStamp, type Stamp } from './stamp.ts'
import { Table } from './table.ts'

const SERVICE = 'skein.global'
/** A request to another node contains the agreement that it asks for. */
const REQUEST_TIMEOUT_MS = 1.5 * AGREEMENT_TIMEOUT_MS
/** The first digits of an incarnation are the time of its start. */
const START_DIGITS = 12

/** `renewed`: the same process has a greater token: another claim is gone, or may have been missed; or a transfer failed. */
export type GlobalEvent =
  | { readonly type: 'registered'; readonly name: string; readonly pid: Pid; readonly token: string }
  | { readonly type: 'unregistered'; readonly name: string; readonly pid: Pid }
  | { readonly type: 'moved'; readonly name: string; readonly pid: Pid; readonly from: Pid; readonly token: string }
  | { readonly type: 'renewed'; readonly name: string; readonly pid: Pid; readonly token: string }

export class GlobalService implements ProcessTable {
  readonly events = new EventStream<GlobalEvent>()
  /** Called in the instant in which who has a name changes: for services of this node, which must not throw. */
  onChange: ((name: string) => void) | undefined
  readonly table: Table
  readonly #host: ServicesHost
  readonly #stamps: HybridClock
  readonly #channel: Channel
  readonly #board: Board<Entry>
  readonly #dialogue: Dialogue
  readonly #holdings: Holdings
  readonly #acquisition: Acquisition
  readonly #conflicts: Conflicts
  readonly #handovers: Handovers
  /** Lost and not back: what they knew of names in the meantime this node does not know. */
  readonly #parted: Parted
  /** Its claims go because it goes. */
  #leaving: ChannelPeer | undefined

  constructor(host: ServicesHost, channelHost: ChannelHost) {
    const { self, clock, processes } = host
    this.#host = host
    this.#stamps = new HybridClock(clock, startOf(self))
    this.table = new Table((before, after) => this.#changed(before, after))
    const channel = (): Channel => this.#channel
    this.#board = new Board<Entry>(channel, clock, {
      accept: (value, name, owner) => this.#accept(value, name, owner),
      put: (owner, name, entry, previous) => {
        this.#claimed(owner, name, entry)
        // A renewed claim is no news to those who ask for the name, and its owner may be about to give it to them.
        if (previous === undefined) this.#acquisition.gone(name)
      },
      removed: (owner, name) => this.#withdrawn(owner, name),
    })
    this.#dialogue = new Dialogue(channel, clock, (peer, question) => this.#answer(peer, question))
    const { table } = this
    const stamps = this.#stamps
    const dialogue = this.#dialogue
    this.#holdings = new Holdings({ self, clock, stamps, board: this.#board, table })
    const holdings = this.#holdings
    this.#parted = new Parted(clock, (stamp) => {
      holdings.renewAll(stamp).catch((error: unknown) => host.defect(error))
    })
    const participants = () => host.connected().filter((node) => !node.hidden && node.version >= SERVICES_VERSION)
    const shared = { self, clock, stamps, channel, dialogue, table, holdings }
    const mayRegister = ({ pid }: ChannelPeer, name: string): boolean => processes.rights.mayRegister(pid.origin, name)
    this.#acquisition = new Acquisition({ ...shared, participants, mayRegister })
    this.#conflicts = new Conflicts({
      ...shared,
      emit: (event) => host.emit(event),
      tellLoser: (pid, error) => processes.exit(pid, error),
      defect: (error) => host.defect(error),
    })
    this.#handovers = new Handovers({
      ...shared,
      acquisition: this.#acquisition,
      mayRegister,
      hold: (name, number, giver) => this.#hold(name, number, { giver }),
    })
    this.#channel = new Channel(SERVICE, channelHost, {
      peerUp: (peer) => {
        this.#board.peerUp(peer)
        this.#acquisition.peerUp(peer)
        this.#dialogue.tell(peer, { type: 'now', stamp: this.#stamps.tick() })
      },
      received: (peer, message) => this.#received(peer, message),
      peerDown: (peer) => {
        this.#parted.lost(peer)
        this.#leaving = peer
        this.#board.peerDown(peer)
        this.#leaving = undefined
        this.#handovers.peerDown(peer)
        this.#dialogue.peerDown(peer)
        this.#acquisition.peerDown(peer)
      },
    })
  }

  /** Gives the token. */
  async register(name: string, pid: AnyPid, resolve: Resolve | undefined): Promise<string> {
    checkGlobalName(name)
    this.#mustTakePart()
    if (!this.#isOwn(pid)) {
      if (resolve !== undefined) {
        throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A callback is given where the process runs.')
      }
      return this.#request(pid, { type: 'register', name, number: pid.number })
    }
    return this.#register(name, pid.number, resolve)
  }

  unregister(name: string): void {
    this.#holdings.remove(this.#mustHold(name))
  }

  /** Gives the new token. */
  async transfer(name: string, pid: AnyPid): Promise<string> {
    const holding = this.#mustHold(name)
    if (this.#holdings.heirs.has(name) || holding.giver !== undefined) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `"${name}" is just being handed over.`)
    }
    if (!this.#isOwn(pid)) return this.#handovers.give(holding, this.#peerOf(pid), pid as AnyPid as Pid)
    const process = this.#host.processes.local(pid)
    if (holding.number === pid.number) return this.#holdings.tokenOf(holding)
    const { number } = holding
    this.#holdings.pass(holding, pid.number)
    this.#enter(process)
    this.#leave(number)
    return this.#holdings.tokenOf(holding)
  }

  /** Names that processes of this node have. */
  ownNames(): string[] {
    return [...this.#holdings.names()]
  }

  ended({ pid }: Process): void {
    for (const name of this.#holdings.namesOf(pid.number)) {
      const holding = this.#holdings.get(name)
      if (holding !== undefined) this.#holdings.remove(holding)
    }
  }

  /** A process without a name on its node is reached by those who may address its name in the cluster. */
  isOpen({ pid, names }: Process, grants: Grants): boolean {
    if (names !== undefined && names.size > 0) return false
    return this.#holdings.namesOf(pid.number).some((name) => grants.mayAddress(name))
  }

  stop(): void {
    this.#acquisition.stop()
    this.#dialogue.stop()
    this.#conflicts.stop()
    this.events.end()
  }

  async #register(name: string, number: number, resolve: Resolve | undefined): Promise<string> {
    this.#mustLive(number)
    this.#holdings.mustTake(number)
    const holding = await this.#acquisition.acquire(name, () => this.#hold(name, number, { resolve }))
    return this.#holdings.tokenOf(holding)
  }

  #hold(name: string, number: number, options: Partial<Pick<Holding, 'resolve' | 'giver'>>): Holding {
    const process = this.#mustLive(number)
    const holding = this.#holdings.add(name, number, options)
    this.#enter(process)
    // A node that was not connected when all were asked may have told of it meanwhile.
    this.#conflicts.review(name)
    return holding
  }

  #enter(process: Process): void {
    process.tables ??= new Set()
    process.tables.add(this)
  }

  #leave(number: number): void {
    if (this.#holdings.namesOf(number).length > 0) return
    const { processes, self } = this.#host
    const pid = new Pid(self, number)
    if (processes.isAlive(pid)) processes.local(pid).tables?.delete(this)
  }

  // What peers say

  #received(peer: ChannelPeer, message: unknown): void {
    if (this.#board.received(peer, message)) return
    if (typeof message !== 'object' || message === null) throw nonsense('what is no message')
    const told = message as Record<string, unknown>
    if (this.#dialogue.received(peer, told)) return
    const { type, name } = told
    if (type === 'now') {
      this.#catchUp(peer, told.stamp)
      return
    }
    if (!isGlobalName(name)) throw nonsense('a name that is none')
    this.#host.processes.rights.checkRegister(peer.pid.origin, name)
    if (type === 'verdict') this.#conflicts.verdict(peer, name, told.winner, told.loser)
    else if (type === 'lost' && isStamp(told.token)) this.#outlived(name, told.token)
    else if (type === 'transferCancelled') this.#handovers.cancelled(peer, name)
    else throw nonsense('a message of a kind that is not known')
  }

  #answer(peer: ChannelPeer, { type, name, ...rest }: Record<string, unknown>): unknown {
    if (!isGlobalName(name)) throw nonsense('a name that is none')
    this.#host.processes.rights.checkRegister(peer.pid.origin, name)
    if (type === 'claim') return this.#acquisition.answer(peer, name, rest)
    this.#dialogue.mustHaveTime(peer)
    if (type === 'notice') return this.#handovers.whenRead(peer, name, rest.token)
    if (type === 'register') return this.#register(name, this.#mustReach(peer, rest.number), undefined)
    if (type === 'transfer') {
      this.#mustReach(peer, rest.number)
      return this.#handovers.take(peer, name, rest)
    }
    throw nonsense('a question of a kind that is not known')
  }

  /** A process of this node that the peer may have to do with. */
  #mustReach(peer: ChannelPeer, number: unknown): number {
    if (!isProcessNumber(number)) throw nonsense('a process that is none')
    const process = this.#mustLive(number)
    const { rights } = this.#host.processes
    if (rights.of(peer.pid.origin)?.mayReach(process, 'register') === false) {
      throw rights.refuse(peer.pid.origin, 'register', 'register that process')
    }
    return number
  }

  /** Throws for a claim that its owner cannot have come by honestly. */
  #accept(value: unknown, name: string, owner: ChannelPeer): Entry {
    if (!isGlobalName(name)) throw nonsense('a name that is none')
    this.#host.processes.rights.checkRegister(owner.pid.origin, name)
    const entry = readEntry(value)
    const [, registeredAt, token] = entry
    if (registeredAt < firstStampOf(startOf(owner.pid.origin))) {
      throw nonsense('a registration from before its start')
    }
    const previous = this.#board.of(owner)?.get(name)
    if (previous !== undefined && (registeredAt < previous[1] || token < previous[2])) {
      throw nonsense('a registration that has become older')
    }
    this.#stamps.see(token)
    if (this.#board.isSynced(owner) && registeredAt !== previous?.[1]) this.#mustBeGranted(owner, name, registeredAt)
    return entry
  }

  /**
   * What is registered while two nodes are connected was agreed upon by both. It can be in conflict nevertheless: with what
   * was handed to this node meanwhile by one that the owner does not see.
   */
  #mustBeGranted(owner: ChannelPeer, name: string, registeredAt: Stamp): void {
    if (this.#acquisition.hasGranted(owner, name, registeredAt)) return
    throw nonsense('a registration that it did not ask for')
  }

  /**
   * The peer is back. While it was away somebody there may have had a name of this node, with a greater token, and be gone
   * again: without a new one the holder here would be refused by its resource for ever.
   */
  #catchUp(peer: ChannelPeer, stamp: unknown): void {
    if (!isStamp(stamp)) throw nonsense('a moment that is none')
    this.#stamps.see(stamp)
    this.#parted.there(peer, stamp)
  }

  /** A peer gave up its claim to a name of this node, perhaps before this node heard of it. */
  #outlived(name: string, token: Stamp): void {
    this.#stamps.see(token)
    const holding = this.#holdings.get(name)
    if (holding !== undefined) this.#holdings.outbid(holding, token)
  }

  #claimed(owner: ChannelPeer, name: string, entry: Entry): void {
    this.table.put(claimOf(name, entry, owner, owner.pid.origin))
    this.#handovers.look(name)
    this.#conflicts.review(name)
  }

  #withdrawn(owner: ChannelPeer, name: string): void {
    const claim = this.table.claimOf(name, owner)
    this.table.remove(name, owner)
    const holding = this.#holdings.get(name)
    if (holding === undefined) return
    if (holding.giver === owner) holding.giver = undefined
    else if (holding.isContested && claim !== undefined && this.#leaving !== owner) this.#conflicts.won(holding, claim)
    this.#conflicts.review(name)
  }

  // What this node asks of others

  async #request(pid: AnyPid, question: { readonly type: string; readonly name: string; readonly number: number }) {
    const token = await this.#dialogue.asked(this.#peerOf(pid), question, REQUEST_TIMEOUT_MS)
    if (typeof token !== 'string') throw nonsense('a token that is none')
    return token
  }

  #peerOf({ origin }: AnyPid): ChannelPeer {
    const peer = this.#channel.peers().find(({ pid }) => pid.origin.key === origin.key)
    if (peer !== undefined) return peer
    throw new SkeinError('ERR_SKEIN_NOCONNECTION', `There is no connection to ${origin.name}, or it was restarted.`)
  }

  #isOwn({ origin }: AnyPid): boolean {
    return origin.key === this.#host.self.key
  }

  #mustLive(number: number): Process {
    return this.#host.processes.local(new Pid(this.#host.self, number))
  }

  #mustHold(name: string): Holding {
    const holding = this.#holdings.get(name)
    if (holding !== undefined) return holding
    const best = this.table.best(name)
    if (best === undefined) throw new SkeinError('ERR_SKEIN_NOT_REGISTERED', `Nobody is registered as "${name}".`)
    throw new SkeinError('ERR_SKEIN_NOT_OWNER', `"${name}" is the name of ${best.pid}.`)
  }

  #mustTakePart(): void {
    if (!this.#host.hidden) return
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A hidden node takes no part in global names.')
  }

  #changed(before: Claim | undefined, after: Claim | undefined): void {
    const name = (after ?? before)?.name ?? ''
    this.onChange?.(name)
    if (!this.events.isRead) return
    if (after === undefined) {
      if (before !== undefined) this.events.emit({ type: 'unregistered', name, pid: before.pid })
      return
    }
    const { pid } = after
    const token = tokenOf(after.token, pid.origin)
    if (before === undefined) this.events.emit({ type: 'registered', name, pid, token })
    else if (!before.pid.equals(pid)) this.events.emit({ type: 'moved', name, pid, from: before.pid, token })
    else if (before.token !== after.token) this.events.emit({ type: 'renewed', name, pid, token })
  }
}

const startOf = ({ incarnation }: Origin): number => Number.parseInt(incarnation.slice(0, START_DIGITS), 16)

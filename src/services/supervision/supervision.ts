/**
 * Distributed supervision on one node: its agent, which runs children, and its part in each supervisor it may lead, joined
 * with the other nodes over one channel and one board.
 *
 * On the board stand the children that run here, the plans of the supervisors this node may lead, and which these are.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import { isShortName } from '../../cluster/node-name.ts'
import { Board } from '../board.ts'
import { Channel, type ChannelPeer, nonsense, SERVICES_VERSION } from '../channel.ts'
import { MAX_CLOCK_AHEAD_MS } from '../global/stamp.ts'
import { channelHost, type ServicesHost } from '../services.ts'
import { Agent, type Member } from './agent.ts'
import { isId, keepSpec, readSpec } from './child-spec.ts'
import { DistributedSupervisor } from './distributed-supervisor.ts'
import { Membership, type MembershipHost } from './membership.ts'
import { type Answer, type Order, readMessage } from './messages.ts'
import { leaderNamed, type Names, nameOfLeader } from './names.ts'
import type { NodeBoard } from './node-board.ts'
import { Obedience } from './obedience.ts'
import { checkOptions, type SuperviseOptions } from './options.ts'
import { isWanted, type PlanEntry, WHOLE } from './plan.ts'
import { readSlot, type SlotFacts } from './slot.ts'
import { Unseated } from './unseated.ts'

const SERVICE = 'skein.supervision'
/** A node that has told nothing by then is not waited for. */
const COMPLETE_PATIENCE_MS = 3000
/** Supervisors one node may lead. */
const MAX_MEMBERSHIPS = 1024
const REQUEST_BYTES = 12

/** What stands on the board under a key such as `slot name/id`. */
type Entry = SlotFacts | PlanEntry | true

export class Supervision {
  readonly agent: Agent
  readonly #host: ServicesHost & { readonly names: Names; readonly nodes: NodeBoard }
  readonly #channel: Channel
  readonly #board: Board<Entry>
  readonly #members = new Map<string, Membership>()
  readonly #obedience: Obedience
  readonly #unseated: Unseated
  readonly #views = new Map<string, Map<string, Map<string, SlotFacts>>>()
  /** Connected nodes that have not told everything, and since when. */
  readonly #incomplete = new Map<string, number>()
  #lastRequest = 0
  #resting = false

  /** `claimants`: the keys of the nodes that claim a global name, the best one first. */
  constructor(host: ServicesHost, nodes: NodeBoard, names: Names, claimants: (name: string) => readonly string[]) {
    this.#host = { ...host, nodes, names }
    const { clock, processes, codec, self } = host
    this.#unseated = new Unseated(clock, (supervisor) => claimants(nameOfLeader(supervisor)))
    this.#board = new Board<Entry>(() => this.#channel, clock, {
      accept: (value, key, owner) => this.#accept(value, key, owner),
      put: (owner, key, value) => this.#told(owner, key, value),
      removed: (owner, key) => this.#told(owner, key, undefined),
      synced: () => this.#changed(),
    })
    this.#channel = new Channel(SERVICE, channelHost(host), {
      peerUp: (peer) => this.#board.peerUp(peer),
      received: (peer, message) => {
        if (!this.#board.received(peer, message)) this.#received(peer, readMessage(message))
      },
      peerDown: (peer) => {
        this.#board.peerDown(peer)
        this.#obedience.peerDown(peer)
        this.#changed()
      },
    })
    this.agent = new Agent({
      clock,
      processes,
      codec,
      names,
      isDraining: () => nodes.isDraining,
      tell: (supervisor, id, facts) => {
        const key = `slot ${supervisor}/${id}`
        if (facts === undefined) this.#board.delete(key)
        else this.#board.set(key, facts)
        this.#see(supervisor, id, self.name, facts)
      },
      answer: (to, answer) => this.#answer(to, answer),
      defect: host.defect,
    })
    this.#obedience = new Obedience({
      clock,
      leads: ({ pid }, supervisor) => names.whereis(nameOfLeader(supervisor))?.origin.key === pid.origin.key,
      obey: (peer, order) => {
        if (!this.#resting) this.agent.take(peer, order)
      },
      refuse: (peer, { supervisor }) => {
        if (this.#unseated.has(supervisor, peer.pid.origin.key)) return
        const what = `give orders for the supervisor "${supervisor}", which it does not lead,`
        this.#channel.blame(peer, processes.rights.refuse(peer.pid.origin, 'supervise', what))
      },
    })
    nodes.onChange(() => this.#changed())
    host.probes.add('distributedSupervisors', () => this.#describe())
  }

  /** Throws ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_BAD_NAME, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_LIMIT. */
  supervise(name: string, options: SuperviseOptions = {}): DistributedSupervisor {
    if (typeof name !== 'string' || !isShortName(name)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" cannot be the name of a supervisor.`)
    }
    const { children, lead, ...checked } = checkOptions(options)
    const { codec, clock, processes, names, random, hidden } = this.#host
    if (hidden) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A hidden node takes no part in supervisors.')
    const specs = new Map(children.map((child) => keepSpec(child, codec)).map(({ id, spec }) => [id, spec]))
    if (specs.size < children.length) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'Two children have the same id.')
    if (lead) {
      if (this.#members.has(name)) {
        throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `This node has a part in the supervisor "${name}" already.`)
      }
      if (this.#members.size >= MAX_MEMBERSHIPS) {
        throw new SkeinError('ERR_SKEIN_LIMIT', `A node may lead at most ${MAX_MEMBERSHIPS} supervisors.`)
      }
      const member = new Membership(this.#membershipHost(), { name, children: specs, ...checked })
      this.#members.set(name, member)
      this.#catchUp(name, member)
    }
    return new DistributedSupervisor(name, {
      clock,
      names,
      call: (pid, request, timeoutMs) => processes.call(pid as never, request as never, { timeoutMs }),
      keep: (spec) => keepSpec(spec, codec),
      leads: () => this.#members.get(name)?.leads === true,
      isOver: () => this.#resting,
      leave: () => this.#members.get(name)?.leave(),
      request: () => `${++this.#lastRequest}.${Buffer.from(random.bytes(REQUEST_BYTES)).toString('hex')}`,
    })
  }

  /** Who has this global name has changed. */
  nameChanged(name: string): void {
    if (this.#resting) return
    this.agent.nameChanged(name)
    const supervisor = leaderNamed(name)
    if (supervisor !== undefined) {
      this.#unseated.look(supervisor)
      this.#obedience.look(supervisor)
      this.#members.get(supervisor)?.consider()
    }
    const slash = name.indexOf('/')
    if (slash > 0) this.#members.get(name.slice(0, slash))?.leader?.touch(name.slice(slash + 1))
  }

  /** This node leaves soon: others lead. */
  yield(): void {
    for (const member of this.#members.values()) member.yield()
  }

  /** The node stops: from now on nothing is decided here. */
  rest(): void {
    this.#resting = true
    for (const member of this.#members.values()) member.rest()
  }

  /** Somebody else runs services. */
  get hasPeers(): boolean {
    return this.#channel.peers().length > 0
  }

  /** For snapshots. */
  #describe(): unknown {
    const supervisors = Array.from(this.#members, ([name, { leads, plan }]) => {
      const leader = this.#host.names.whereis(nameOfLeader(name))?.node
      return { name, leads, leader, children: plan.size }
    })
    return { supervisors, childrenHere: this.agent.remaining().length, draining: this.#host.nodes.isDraining }
  }

  #membershipHost(): MembershipHost {
    const { self, clock, random, names, nodes, processes, emit, defect } = this.#host
    return {
      node: self.name,
      self,
      clock,
      random,
      names,
      nodes,
      processes,
      defect,
      report: emit,
      isComplete: () => this.#isComplete(),
      order: (node, order) => this.#order(node, order),
      viewOf: (supervisor) => this.#viewOf(supervisor),
      tellPlan: (supervisor, id, entry) => {
        const key = `plan ${supervisor}/${id}`
        if (entry === undefined) this.#board.delete(key)
        else this.#board.set(key, entry)
      },
      tellMember: (supervisor, on) => {
        if (on) this.#board.set(`member ${supervisor}`, true)
        else this.#board.delete(`member ${supervisor}`)
      },
      hasOthers: (supervisor) => this.#hasOthers(supervisor),
      isDraining: () => nodes.isDraining,
      left: (supervisor) => this.#left(supervisor),
    }
  }

  /** What was told before this node had a part. */
  #catchUp(name: string, member: Membership): void {
    for (const [owner, entries] of this.#board.copies()) {
      for (const [key, entry] of entries) {
        const [kind, supervisor, id] = parse(key)
        if (kind !== 'plan' || supervisor !== name) continue
        try {
          this.#learn(owner, member, id, entry as PlanEntry)
        } catch (error) {
          if (!isSkeinError(error)) throw error
          this.#channel.blame(owner, error)
        }
      }
    }
  }

  /** A change of a plan. Throws ERR_SKEIN_FORBIDDEN if its teller may not start that here: then nobody starts it for him. */
  #learn(owner: ChannelPeer, { plan }: Membership, id: string, entry: PlanEntry): void {
    if (!plan.isNews(id, entry)) return
    if (entry.spec !== undefined) this.#host.processes.rights.checkSpawn(owner.pid.origin, entry.spec.behaviour, '')
    plan.merge(id, entry)
  }

  #left(name: string): void {
    this.#members.delete(name)
    if (this.#views.get(name)?.size === 0) this.#views.delete(name)
    for (const key of [...this.#board.own.keys()]) {
      const [kind, supervisor] = parse(key)
      if (kind === 'plan' && supervisor === name) this.#board.delete(key)
    }
  }

  #told(owner: ChannelPeer, key: string, entry: Entry | undefined): void {
    const [kind, supervisor, id] = parse(key)
    const member = this.#members.get(supervisor)
    if (kind === 'slot') this.#see(supervisor, id, owner.node, entry as SlotFacts | undefined)
    else if (kind === 'plan' && entry !== undefined && member !== undefined)
      this.#learn(owner, member, id, entry as PlanEntry)
    member?.consider()
  }

  /** What is known of a child on a node. */
  #see(supervisor: string, id: string, node: string, facts: SlotFacts | undefined): void {
    const view = this.#viewOf(supervisor)
    let slots = view.get(id)
    if (facts === undefined) {
      slots?.delete(node)
      if (slots?.size === 0) view.delete(id)
      if (view.size === 0 && !this.#members.has(supervisor)) this.#views.delete(supervisor)
    } else {
      if (slots === undefined) {
        slots = new Map()
        view.set(id, slots)
      }
      slots.set(node, facts)
    }
    const member = this.#members.get(supervisor)
    member?.leader?.touch(id)
    if (member?.plan.isStopped === true) member.consider()
  }

  #viewOf(supervisor: string): Map<string, Map<string, SlotFacts>> {
    let view = this.#views.get(supervisor)
    if (view === undefined) {
      view = new Map()
      this.#views.set(supervisor, view)
    }
    return view
  }

  /** Who is there, or what they can do, has changed. */
  #changed(): void {
    if (this.#resting) return
    for (const member of this.#members.values()) {
      member.consider()
      member.leader?.touchAll()
    }
  }

  #isComplete(): boolean {
    const nowMs = this.#host.clock.now()
    const missing = new Set<string>()
    for (const { name, hidden, version, incarnation } of this.#host.connected()) {
      if (hidden || version < SERVICES_VERSION) continue
      const peer = this.#channel.peerOn(name)
      if (peer !== undefined && this.#board.isSynced(peer) && this.#host.nodes.behavioursOf(name) !== undefined)
        continue
      missing.add(`${name} ${incarnation}`)
    }
    for (const key of this.#incomplete.keys()) if (!missing.has(key)) this.#incomplete.delete(key)
    let isComplete = true
    for (const key of missing) {
      const sinceMs = this.#incomplete.get(key) ?? nowMs
      this.#incomplete.set(key, sinceMs)
      if (nowMs - sinceMs < COMPLETE_PATIENCE_MS) isComplete = false
    }
    return isComplete
  }

  #hasOthers(supervisor: string): boolean {
    for (const [peer, entries] of this.#board.copies()) {
      if (entries.has(`member ${supervisor}`) && !this.#host.nodes.drains(peer.node)) return true
    }
    return false
  }

  #order(node: string, order: Order): void {
    if (node === this.#host.self.name) {
      this.agent.take(undefined, order)
      return
    }
    const peer = this.#channel.peerOn(node)
    if (peer !== undefined) this.#channel.send(peer, order)
  }

  #answer(to: Member, answer: Answer): void {
    if (to === undefined) this.#answered(this.#host.self.name, answer)
    else this.#channel.send(to, answer)
  }

  #received(peer: ChannelPeer, message: Order | Answer): void {
    if (this.#resting) return
    this.#host.processes.rights.checkSupervise(peer.pid.origin, message.supervisor)
    if (message.type === 'failed' || message.type === 'state') this.#answered(peer.node, message)
    else this.#obedience.take(peer, message)
  }

  #answered(node: string, answer: Answer): void {
    this.#members.get(answer.supervisor)?.leader?.answered(node, answer)
  }

  /** Throws ERR_SKEIN_PROTOCOL. */
  #accept(value: unknown, key: string, owner: ChannelPeer): Entry {
    const [kind, supervisor, id] = parse(key)
    if (isShortName(supervisor)) {
      this.#host.processes.rights.checkSupervise(owner.pid.origin, supervisor)
      if (kind === 'member' && value === true) return true
      if (kind === 'slot' && isId(id)) {
        const slot = readSlot(value)
        // Nobody tells of processes of others.
        if (slot !== undefined && slot.pid.origin.key === owner.pid.origin.key) return slot
      }
      if (kind === 'plan' && (isId(id) || id === WHOLE)) {
        // Nobody changes a plan more than once a millisecond; so there is always a greater number left for honest changes.
        const entry = readEntry(value, this.#host.clock.wallNow() + MAX_CLOCK_AHEAD_MS)
        if (entry !== undefined) return entry
      }
    }
    throw nonsense('an entry about children that is none')
  }
}

const parse = (key: string): readonly [kind: string, supervisor: string, id: string] => {
  const space = key.indexOf(' ')
  const slash = key.indexOf('/')
  if (slash < 0) return [key.slice(0, space), key.slice(space + 1), '']
  return [key.slice(0, space), key.slice(space + 1, slash), key.slice(slash + 1)]
}

const readEntry = (value: unknown, maxNumber: number): PlanEntry | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const { wanted, spec, number, by, request } = value as Record<string, unknown>
  const kept = spec === undefined ? undefined : readSpec(spec)
  const isSound =
    isWanted(wanted) &&
    Number.isSafeInteger(number) &&
    (number as number) >= 1 &&
    (number as number) <= maxNumber &&
    typeof by === 'string' &&
    by.length <= 100 &&
    (request === undefined || (typeof request === 'string' && request.length <= 64)) &&
    (spec === undefined) === (kept === undefined)
  if (!isSound) return undefined
  return {
    wanted,
    number: number as number,
    by,
    ...(kept === undefined ? {} : { spec: kept }),
    ...(request === undefined ? {} : { request }),
  }
}

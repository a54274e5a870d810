/**
 * One term of leading a supervisor: compares what is to run with what runs, and gives orders until they are the same.
 *
 * Nothing is remembered that matters to the next term: what runs stands on the boards of the nodes that run it, what is to
 * run in the plan. So a leader adopts what it finds, and it does no harm if for a moment there are two: a child runs only
 * where its global name could be registered. Each look at a child is made from the beginning and does at most one thing;
 * looks are made when something changed, and where there is something to wait for, a little later. The states of a child
 * and what follows from them: docs/distributed-supervisor.md.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import { RestartIntensity } from '../../behaviours/supervisor/restart-intensity.ts'
import type { Pid } from '../../pid.ts'
import { Candidates, type View } from './candidates.ts'
import type { Answer, Order } from './messages.ts'
import type { Names } from './names.ts'
import type { NodeBoard } from './node-board.ts'
import { type Candidate, type Placement, Placer } from './placement.ts'
import type { Plan, PlannedChild } from './plan.ts'
import type { DistributedReport, StartCause } from './report.ts'
import { isActive, nameOfChild, type SlotFacts } from './slot.ts'

/** A node that has not answered an order by then is asked again, or another one is. */
const ORDER_TIMEOUT_MS = 5000
/**
 * Two of one child: the name conflict sees to it when their nodes meet, and the one that stays gets a greater token than
 * the other's. It would not if the other was ended before, so this is for what should not be.
 */
const DOUBLE_GRACE_MS = 30_000
/** A child that is in no plan: whoever knows of it may be about to connect. */
const STRANGER_GRACE_MS = 5000
/** The name is taken, and nobody tells that the child is his: it may be on its way. */
const NAME_GRACE_MS = 2000
/** Between failed starts: doubled each time. */
const FIRST_BACKOFF_MS = 100
const LAST_BACKOFF_MS = 5000
/** A node that does not allow it, or cannot now, is passed over for so long. */
const FORBIDDEN_MS = 60_000
const UNABLE_MS = 2000
/** A look at what is waited for. */
const LOOK_MS = 100

export interface LeaderHost {
  readonly node: string
  readonly clock: Clock
  readonly random: Random
  readonly names: Names
  readonly nodes: NodeBoard
  readonly plan: Plan
  readonly view: View
  /** Everybody who is connected has told what runs there. */
  isComplete(): boolean
  order(node: string, order: Order): void
  report(report: DistributedReport): void
  defect(error: unknown): void
}

export interface LeaderOptions {
  readonly name: string
  readonly placement: Placement
  readonly maxRestarts: number
  readonly withinMs: number
  /** Distinguishes the runs of this term from all others. */
  readonly term: string
}

/** What one who waits for a child is told. */
export type Outcome = { readonly pid: Pid } | { readonly error: SkeinError } | 'gone'

interface HandedOver {
  readonly node: string
  readonly run: string
  readonly untilMs: number
  readonly state?: Uint8Array
  readonly isHere: boolean
}

interface Tracked {
  readonly id: string
  readonly intensity: RestartIntensity
  /** A start that was ordered and of which nothing is to be seen yet. */
  asked: { readonly node: string; readonly run: string; readonly untilMs: number } | undefined
  /** The latest one that was ordered, to be seen or not. */
  ordered: { readonly node: string; readonly run: string } | undefined
  /** The run whose end was judged. */
  judged: string | undefined
  /** The run that was told to end, and when it is told again. */
  stopping: { readonly run: string; readonly untilMs: number } | undefined
  /** State for the next one; asked for, or here. */
  handed: HandedOver | undefined
  /** It ran there last. */
  lastNode: string | undefined
  cause: StartCause
  failures: number
  notBeforeMs: number
  doubleSinceMs: number | undefined
  nameSinceMs: number | undefined
  strangeSinceMs: number | undefined
  isWaiting: boolean
  unmovable: string | undefined
  reason: string
  readonly waiters: Set<(outcome: Outcome) => void>
}

export class Leader {
  readonly #host: LeaderHost
  readonly #options: LeaderOptions
  readonly #placer: Placer
  readonly #tracked = new Map<string, Tracked>()
  readonly #dirty = new Set<string>()
  /** Those that wait for something, and when they are looked at again. */
  readonly #later = new Map<string, number>()
  readonly #candidates: Candidates
  #timer: Timer | undefined
  #isLooking = false
  #lastRun = 0
  #ended = false

  constructor(host: LeaderHost, options: LeaderOptions) {
    this.#host = host
    this.#options = options
    this.#placer = new Placer(options.placement, host.random)
    const asked = () => [...this.#tracked.values()].flatMap((child) => child.asked?.node ?? [])
    this.#candidates = new Candidates({ ...host, asked })
    this.touchAll()
  }

  /** Something about this child has changed. */
  touch(id: string): void {
    if (this.#ended) return
    this.#dirty.add(id)
    if (this.#isLooking) return
    this.#isLooking = true
    this.#host.clock.endOfTurn(() => {
      this.#isLooking = false
      this.#lookAround()
    })
  }

  touchAll(): void {
    for (const id of this.#host.plan.ids()) this.touch(id)
    for (const id of this.#host.view.keys()) this.touch(id)
    for (const id of this.#tracked.keys()) this.touch(id)
  }

  /** Told once, when the child runs, could not be started, or is gone, whichever is asked for in the plan. */
  whenSettled(id: string, tell: (outcome: Outcome) => void): void {
    this.#track(id).waiters.add(tell)
    this.touch(id)
  }

  /** What a node says became of an order; only the one that had the order is believed. */
  answered(node: string, answer: Answer): void {
    const child = this.#tracked.get(answer.id)
    if (child === undefined || this.#ended) return
    if (answer.type === 'state') {
      const { run, state } = answer
      if (child.handed?.run !== run || child.handed.node !== node) return
      child.handed = { node, run, untilMs: 0, isHere: true, ...(state === undefined ? {} : { state }) }
    } else {
      const { ordered } = child
      if (ordered?.run !== answer.run || ordered.node !== node) return
      child.asked = undefined
      child.ordered = undefined
      this.#startFailed(child, node, answer)
    }
    this.touch(child.id)
  }

  /** Some child was ordered to start, and is not to be seen yet. */
  get isExpecting(): boolean {
    for (const { asked } of this.#tracked.values()) if (asked !== undefined) return true
    return false
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #lookAround(): void {
    if (this.#ended) return
    this.#candidates.recount()
    const nowMs = this.#host.clock.now()
    for (const id of this.#dirty) {
      this.#dirty.delete(id)
      try {
        const delayMs = this.#look(id, nowMs)
        if (delayMs === undefined) this.#later.delete(id)
        else this.#later.set(id, nowMs + Math.max(1, delayMs))
      } catch (error) {
        this.#host.defect(error)
        this.#later.set(id, nowMs + LAST_BACKOFF_MS)
      }
    }
    this.#wakeLater(nowMs)
  }

  #wakeLater(nowMs: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#later.size === 0) return
    let next = Number.POSITIVE_INFINITY
    for (const atMs of this.#later.values()) next = Math.min(next, atMs)
    this.#timer = this.#host.clock.after(
      Math.max(1, next - nowMs),
      () => {
        const dueMs = this.#host.clock.now() + 1
        for (const [id, atMs] of this.#later) if (atMs <= dueMs) this.touch(id)
      },
      true,
    )
  }

  /** Milliseconds until the next look; undefined: there is nothing to wait for. */
  #look(id: string, nowMs: number): number | undefined {
    const planned = this.#host.plan.get(id)
    const wanted = planned?.wanted === 'running' && !this.#host.plan.isStopped
    const child = this.#track(id)
    const slots = [...(this.#host.view.get(id) ?? [])]
    const { asked } = child
    // What was ordered shows, whoever was asked is gone, or it has been too long.
    if (asked !== undefined) {
      const isSeen = slots.some(([node, { run }]) => node === asked.node && run === asked.run)
      const isLate = asked.untilMs <= nowMs
      if (isSeen || isLate || !this.#host.nodes.members().includes(asked.node)) child.asked = undefined
    }
    const isStrange = planned === undefined && !this.#host.plan.isDeleted(id) && slots.length > 0
    if (!isStrange) child.strangeSinceMs = undefined
    else {
      child.strangeSinceMs ??= nowMs
      const graceMs = child.strangeSinceMs + STRANGER_GRACE_MS - nowMs
      if (graceMs > 0) return graceMs
    }
    const delayMs = wanted ? this.#keepRunning(child, planned, slots, nowMs) : this.#keepAway(child, slots, nowMs)
    if (delayMs === undefined && planned === undefined && slots.length === 0 && child.waiters.size === 0) {
      this.#tracked.delete(id)
    }
    return delayMs
  }

  #keepAway(child: Tracked, slots: Slots, nowMs: number): number | undefined {
    let delayMs: number | undefined
    if (child.asked !== undefined) delayMs = child.asked.untilMs - nowMs
    for (const [node, slot] of slots) {
      if (isActive(slot)) delayMs = this.#stop(child, node, slot, false, nowMs)
      else if (slot.status === 'stopping') delayMs = LOOK_MS
      else this.#order(node, child.id, { type: 'noted', run: slot.run })
    }
    if (delayMs === undefined && slots.every(([, { status }]) => status === 'ended' || status === 'handed')) {
      child.handed = undefined
      this.#settle(child, 'gone')
      // Told again until the entries are gone: what was said may have been lost.
      if (slots.length > 0) return LOOK_MS * 10
    }
    return delayMs
  }

  #keepRunning(child: Tracked, planned: PlannedChild, slots: Slots, nowMs: number): number | undefined {
    const active = slots.filter(([, slot]) => isActive(slot))
    if (active.length > 1) return this.#double(child, active, nowMs)
    child.doubleSinceMs = undefined
    const [only] = active
    if (only !== undefined) return this.#active(child, planned, only, slots, nowMs)
    if (child.asked !== undefined) return child.asked.untilMs - nowMs
    // It was seen running, and nobody says how it ended: its node is gone.
    const ended = slots.find(([, { status }]) => status === 'ended')
    if (ended !== undefined) {
      if (!this.#judge(child, planned, ended, nowMs)) return undefined
    } else if (slots.some(([, { status }]) => status === 'stopping')) return LOOK_MS
    const handed = slots.find(([, { status }]) => status === 'handed')
    if (handed !== undefined && !this.#hasState(child, handed, nowMs)) return LOOK_MS
    if (handed !== undefined) child.cause = 'handOver'
    return this.#start(child, planned, nowMs)
  }

  /** Exactly one: what else is there is over. */
  #active(child: Tracked, planned: PlannedChild, [node, slot]: Entry, slots: Slots, nowMs: number): number | undefined {
    for (const [other, { run, status }] of slots) {
      if (status === 'ended' || status === 'handed') this.#order(other, child.id, { type: 'noted', run })
    }
    child.nameSinceMs = undefined
    child.isWaiting = false
    child.lastNode = node
    child.cause = 'failover'
    if (slot.status === 'starting') return LOOK_MS * 10
    child.failures = 0
    child.handed = undefined
    this.#settle(child, { pid: slot.pid })
    if (!this.#host.nodes.drains(node)) return slots.length > 1 ? LOOK_MS * 10 : undefined
    if (this.#candidates.for(planned.spec).length > 0) return this.#stop(child, node, slot, true, nowMs)
    // Who could run it may just not have said so yet.
    if (!this.#host.isComplete()) return LOOK_MS
    if (child.unmovable !== slot.run) this.#order(node, child.id, { type: 'unmovable', run: slot.run })
    child.unmovable = slot.run
    return LOOK_MS * 10
  }

  /** The name conflict ends all but one; if it does not, this does. */
  #double(child: Tracked, active: Slots, nowMs: number): number {
    child.doubleSinceMs ??= nowMs
    if (nowMs - child.doubleSinceMs < DOUBLE_GRACE_MS) return LOOK_MS * 5
    const holder = this.#host.names.whereis(nameOfChild(this.#options.name, child.id))
    const kept = active.find(([, { pid }]) => holder?.equals(pid) === true) ?? active[0]
    for (const [node, slot] of active) {
      if (node !== kept?.[0]) this.#order(node, child.id, { type: 'stop', run: slot.run, handOver: false })
    }
    return LOOK_MS * 5
  }

  /** What follows from its end. True: it is to be started again. */
  #judge(child: Tracked, { spec }: PlannedChild, [node, slot]: Entry, nowMs: number): boolean {
    if (child.judged === slot.run) return true
    // Judged once, however often it is looked at.
    child.judged = slot.run
    child.reason = slot.reason
    child.lastNode = node
    child.handed = undefined
    if (spec.restart === 'temporary' || (spec.restart === 'transient' && slot.orderly)) {
      this.#host.plan.decide(child.id, spec.restart === 'temporary' ? 'deleted' : 'stopped')
      this.touch(child.id)
      return false
    }
    child.cause = 'restart'
    return this.#mayRestart(child, nowMs)
  }

  #mayRestart(child: Tracked, nowMs: number): boolean {
    if (child.intensity.allows(nowMs)) return true
    this.#host.report({ type: 'supervisedGaveUp', name: this.#options.name, id: child.id, reason: child.reason })
    this.#host.plan.decide(child.id, 'gaveUp')
    this.#settle(child, { error: failed(child.id, child.reason) })
    this.touch(child.id)
    return false
  }

  #hasState(child: Tracked, [node, { run }]: Entry, nowMs: number): boolean {
    const { handed } = child
    if (handed?.run === run && (handed.isHere || handed.untilMs > nowMs)) return handed.isHere
    child.handed = { node, run, untilMs: nowMs + ORDER_TIMEOUT_MS, isHere: false }
    this.#order(node, child.id, { type: 'fetch', run })
    return child.handed.isHere
  }

  #start(child: Tracked, planned: PlannedChild, nowMs: number): number | undefined {
    const { names, report } = this.#host
    const { name, term } = this.#options
    if (child.notBeforeMs > nowMs) return child.notBeforeMs - nowMs
    if (!this.#host.isComplete()) return LOOK_MS
    if (names.whereis(nameOfChild(name, child.id)) !== undefined) {
      child.nameSinceMs ??= nowMs
      if (nowMs - child.nameSinceMs < NAME_GRACE_MS) return LOOK_MS / 2
    }
    const candidates = this.#candidates.for(planned.spec)
    // Where it ran it may have left something behind that it needs.
    const before = child.cause === 'restart' ? candidates.find(({ node }) => node === child.lastNode)?.node : undefined
    const node = before ?? this.#choose(child, planned, candidates)
    if (node === undefined) {
      if (!child.isWaiting) report({ type: 'supervisedWaiting', name, id: child.id, behaviour: planned.spec.behaviour })
      child.isWaiting = true
      const error = new SkeinError('ERR_SKEIN_NO_CANDIDATE', `No node can start "${planned.spec.behaviour}" now.`)
      this.#settle(child, { error })
      return LOOK_MS * 10
    }
    child.isWaiting = false
    const run = `${term}.${++this.#lastRun}`
    child.asked = { node, run, untilMs: nowMs + ORDER_TIMEOUT_MS }
    child.ordered = { node, run }
    const { handed } = child
    const state = handed?.isHere === true && handed.state !== undefined ? { state: handed.state } : {}
    this.#order(node, child.id, { type: 'start', run, spec: planned.spec, ...state })
    this.#candidates.placed(node)
    report({ type: 'supervisedStarted', name, id: child.id, node, cause: child.cause })
    return ORDER_TIMEOUT_MS
  }

  #startFailed(child: Tracked, node: string, { code, text }: Extract<Answer, { type: 'failed' }>): void {
    const { clock, report, plan } = this.#host
    const nowMs = clock.now()
    const behaviour = plan.get(child.id)?.spec.behaviour ?? ''
    child.reason = text
    switch (code) {
      case 'ERR_SKEIN_NAME_REGISTERED':
      case 'ERR_SKEIN_CHILD_RUNNING':
        // Somebody has it; the boards will say who.
        child.notBeforeMs = nowMs + LOOK_MS * 5
        return
      case 'ERR_SKEIN_FORBIDDEN':
        this.#candidates.passOver(node, behaviour, FORBIDDEN_MS)
        break
      case 'ERR_SKEIN_DRAINING':
      case 'ERR_SKEIN_STOPPED':
      case 'ERR_SKEIN_LIMIT':
      case 'ERR_SKEIN_UNKNOWN_BEHAVIOUR':
      case 'ERR_SKEIN_BEHAVIOUR_VERSION':
        this.#candidates.passOver(node, behaviour, UNABLE_MS)
        break
      default: {
        const delayMs = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** child.failures++)
        child.notBeforeMs = nowMs + delayMs
        this.#settle(child, { error: failed(child.id, text) })
        if (plan.get(child.id)?.wanted === 'running') this.#mayRestart(child, nowMs)
      }
    }
    report({ type: 'supervisedStartFailed', name: this.#options.name, id: child.id, node, code, text })
  }

  #stop(child: Tracked, node: string, { run }: SlotFacts, handOver: boolean, nowMs: number): number {
    const { stopping } = child
    if (stopping?.run !== run || stopping.untilMs <= nowMs) {
      child.stopping = { run, untilMs: nowMs + ORDER_TIMEOUT_MS }
      this.#order(node, child.id, { type: 'stop', run, handOver })
    }
    return ORDER_TIMEOUT_MS
  }

  #choose(child: Tracked, { spec }: PlannedChild, candidates: readonly Candidate[]): string | undefined {
    const { name } = this.#options
    try {
      return this.#placer.choose(candidates, { supervisor: name, id: child.id, behaviour: spec.behaviour })
    } catch (error) {
      this.#host.defect(error)
      return undefined
    }
  }

  #settle(child: Tracked, outcome: Outcome): void {
    const waiters = [...child.waiters]
    child.waiters.clear()
    for (const tell of waiters) tell(outcome)
  }

  #track(id: string): Tracked {
    let child = this.#tracked.get(id)
    if (child === undefined) {
      child = {
        id,
        intensity: new RestartIntensity(this.#options),
        asked: undefined,
        ordered: undefined,
        judged: undefined,
        stopping: undefined,
        handed: undefined,
        lastNode: undefined,
        cause: 'first',
        failures: 0,
        notBeforeMs: 0,
        doubleSinceMs: undefined,
        nameSinceMs: undefined,
        strangeSinceMs: undefined,
        isWaiting: false,
        unmovable: undefined,
        reason: '',
        waiters: new Set(),
      }
      this.#tracked.set(id, child)
    }
    return child
  }

  #order(node: string, id: string, order: OrderWithoutChild): void {
    this.#host.order(node, { ...order, supervisor: this.#options.name, id } as Order)
  }
}

type Entry = readonly [node: string, slot: SlotFacts]
type Slots = readonly Entry[]
type Without<T> = T extends unknown ? Omit<T, 'supervisor' | 'id'> : never
type OrderWithoutChild = Without<Order>

const failed = (id: string, reason: string): SkeinError =>
  new SkeinError('ERR_SKEIN_START_FAILED', `The child "${id}" could not be started: ${reason}`)

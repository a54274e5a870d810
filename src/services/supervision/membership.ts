/**
 * One node's part in a distributed supervisor: standing by, and leading while it holds the leader's name.
 *
 * The name belongs to a process that does little more than hold it: its life is the term. So the rules for names in the
 * whole cluster decide who leads; where two lead after a partition, one of the two processes is ended by the conflict. A
 * node applies when nobody has the name, when it has heard what all connected nodes have to tell, and, as long as it has
 * never known a leader, only after a while: it may have just been started into a cluster that has one, and have met nobody
 * of it yet but other newcomers.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Timer } from '../../../transport/clock.ts'
import type { Origin, Pid } from '../../pid.ts'
import { type Behaviour, CallEntry, type Traits } from '../../process/behaviour.ts'
import type { Processes } from '../../process/processes.ts'
import type { Guard } from '../../process/rights.ts'
import type { Self } from '../../process/self.ts'
import { serve } from '../../process/serve.ts'
import type { View } from './candidates.ts'
import type { KeptSpec } from './child-spec.ts'
import { Leader, type LeaderHost } from './leader.ts'
import { nameOfLeader } from './names.ts'
import type { Placement } from './placement.ts'
import { Plan, type PlanEntry } from './plan.ts'
import { answerTo } from './requests.ts'

/** So that not all apply in the same moment. */
const APPLY_JITTER_MS = 50
/** Nobody has told of an end of the leader. */
const LOOK_MS = 250
/** Between the end of the last child and that of a leader whose supervisor was stopped. */
const LEAVE_DELAY_MS = 200
const TERM_BYTES = 6

export interface MembershipOptions {
  readonly name: string
  readonly children: ReadonlyMap<string, KeptSpec>
  readonly placement: Placement
  readonly maxRestarts: number
  readonly withinMs: number
  /** How long a node that has never known a leader waits before it leads. */
  readonly joinMs: number
}

/** What a membership needs of its node. */
export interface MembershipHost extends Omit<LeaderHost, 'plan' | 'view'> {
  readonly self: Origin
  readonly processes: Processes
  viewOf(supervisor: string): View
  tellPlan(supervisor: string, id: string, entry: PlanEntry | undefined): void
  /** Tells, or takes back, that this node may lead. */
  tellMember(supervisor: string, on: boolean): void
  /** Somebody else may lead, and is not about to leave. */
  hasOthers(supervisor: string): boolean
  isDraining(): boolean
  left(supervisor: string): void
}

type State =
  | { readonly type: 'standby' }
  | { readonly type: 'applying'; readonly pid: Pid }
  | { readonly type: 'leading'; readonly pid: Pid; readonly leader: Leader }
  | { readonly type: 'left' }

const STANDBY: State = { type: 'standby' }

export class Membership {
  readonly plan: Plan
  readonly #host: MembershipHost
  readonly #options: MembershipOptions
  readonly #sinceMs: number
  #state: State = STANDBY
  #timer: Timer | undefined
  #isApplyingSoon = false
  #isLeaving = false
  /** A leader was known: this is the cluster, or a part of it. */
  #hasJoined = false
  #notBeforeMs = 0

  constructor(host: MembershipHost, options: MembershipOptions) {
    this.#host = host
    this.#options = options
    this.#sinceMs = host.clock.now()
    const { name, children } = options
    this.plan = new Plan(host.self.key, children, (id, entry) => {
      host.tellPlan(name, id, entry)
      this.leader?.touch(id)
      if (this.plan.isStopped) this.leader?.touchAll()
    })
    host.tellMember(name, true)
    this.consider()
  }

  get leader(): Leader | undefined {
    return this.#state.type === 'leading' ? this.#state.leader : undefined
  }

  get leads(): boolean {
    return this.#state.type === 'leading'
  }

  get hasLeft(): boolean {
    return this.#state.type === 'left'
  }

  /** Looks whether this node should lead, now and until somebody does. */
  consider(): void {
    this.#leaveIfOver()
    if (this.#state.type !== 'standby' || this.#isApplyingSoon) return
    const delayMs = this.#mayApply() ? this.#host.random.float() * APPLY_JITTER_MS : LOOK_MS
    const isApplying = delayMs !== LOOK_MS
    this.#timer?.cancel()
    this.#isApplyingSoon = isApplying
    this.#timer = this.#host.clock.after(
      delayMs,
      () => {
        this.#isApplyingSoon = false
        if (isApplying && this.#state.type === 'standby' && this.#mayApply()) void this.#apply()
        else this.consider()
      },
      true,
    )
  }

  /** Another node is to lead, if there is one. */
  yield(): void {
    if (this.#state.type === 'left' || !this.#host.hasOthers(this.#options.name)) return
    if (this.#state.type !== 'standby') this.#host.processes.exit(this.#state.pid, 'shutdown')
  }

  /** This node takes part no more; children here go on for whoever leads. */
  leave(): void {
    const state = this.#state
    if (state.type === 'left') return
    this.#state = { type: 'left' }
    this.#timer?.cancel()
    if (state.type === 'leading') state.leader.end()
    if (state.type !== 'standby') this.#host.processes.exit(state.pid, 'shutdown')
    if (state.type === 'leading') this.#report(false)
    this.#host.tellMember(this.#options.name, false)
    this.#host.left(this.#options.name)
  }

  /** The node stops: nothing more is decided here. */
  rest(): void {
    this.#timer?.cancel()
    if (this.#state.type === 'leading') this.#state.leader.end()
    this.#state = { type: 'left' }
  }

  /** The supervisor was stopped, and nothing of it runs. */
  #leaveIfOver(): void {
    if (this.#isLeaving || !this.#isOver()) return
    if (this.#state.type !== 'leading') {
      this.leave()
      return
    }
    // Whoever asked for it is still to be answered.
    this.#isLeaving = true
    this.#timer = this.#host.clock.after(
      LEAVE_DELAY_MS,
      () => {
        this.#isLeaving = false
        if (!this.#isOver()) return
        // A child may be about to appear that was ordered before the stop.
        if (this.leader?.isExpecting === true) this.consider()
        else this.leave()
      },
      true,
    )
  }

  #isOver(): boolean {
    return this.plan.isStopped && this.#host.viewOf(this.#options.name).size === 0
  }

  #mayApply(): boolean {
    const { names, clock } = this.#host
    const { name, joinMs } = this.#options
    const nowMs = clock.now()
    if (names.whereis(nameOfLeader(name)) !== undefined) {
      this.#hasJoined = true
      return false
    }
    if (nowMs < this.#notBeforeMs || !this.#host.isComplete()) return false
    if (this.#host.isDraining() && this.#host.hasOthers(name)) return false
    return this.#hasJoined || nowMs - this.#sinceMs >= joinMs
  }

  async #apply(): Promise<void> {
    const { processes, names, defect } = this.#host
    const { name } = this.#options
    const run = (self: Self<unknown>): void => {
      self.signal.addEventListener('abort', () => this.#ended(self.pid))
      serve(self, (entry) => this.#take(self, entry))
    }
    const guard: Guard = { subject: 'supervise', name }
    const traits: Traits = { serves: true, guard, label: `leads the distributed supervisor ${name}` }
    let pid: Pid
    try {
      pid = processes.spawn(Object.assign(run, { traits }) as Behaviour<unknown>)
    } catch (error) {
      defect(error)
      this.#notBeforeMs = this.#host.clock.now() + LOOK_MS
      this.consider()
      return
    }
    this.#state = { type: 'applying', pid }
    try {
      await names.register(nameOfLeader(name), pid)
    } catch {
      // Somebody else has it, or the process is gone already.
      this.#notBeforeMs = this.#host.clock.now() + LOOK_MS
      processes.exit(pid, 'shutdown')
      return
    }
    const state: State = this.#state
    if (state.type === 'applying' && state.pid === pid) this.#lead(pid)
  }

  #lead(pid: Pid): void {
    const { name, placement, maxRestarts, withinMs } = this.#options
    const term = `${this.#host.self.incarnation.slice(-8)}.${hex(this.#host.random.bytes(TERM_BYTES))}`
    const host: LeaderHost = { ...this.#host, plan: this.plan, view: this.#host.viewOf(name) }
    const leader = new Leader(host, { name, placement, maxRestarts, withinMs, term })
    this.#state = { type: 'leading', pid, leader }
    this.#report(true)
    this.#leaveIfOver()
  }

  #ended(pid: Pid): void {
    const state = this.#state
    if (state.type === 'standby' || state.type === 'left' || state.pid !== pid) return
    this.#state = STANDBY
    this.#isLeaving = false
    if (state.type === 'leading') {
      state.leader.end()
      this.#report(false)
    }
    this.consider()
  }

  #take(self: Self<unknown>, entry: unknown): void {
    if (!(entry instanceof CallEntry)) return
    const { from, request } = entry
    void this.#answer(request, from.call.origin).then(
      (value) => {
        try {
          self.reply(from, value)
        } catch (error) {
          this.#host.defect(error)
        }
      },
      (error: unknown) => this.#host.defect(error),
    )
  }

  #answer(request: unknown, asking: Origin): Promise<unknown> {
    const { processes, self, viewOf } = this.#host
    const { leader, plan } = this
    // It was asked before it leads: whoever asks tries again.
    if (leader === undefined) {
      return Promise.resolve(new SkeinError('ERR_SKEIN_NO_LEADER', 'This node does not lead yet, or no more.'))
    }
    const office = { leader, plan, view: viewOf(this.#options.name), rights: processes.rights }
    return answerTo(office, asking.key === self.key ? undefined : asking, request)
  }

  #report(leads: boolean): void {
    this.#host.report({ type: 'supervisorLeader', name: this.#options.name, leads })
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/**
 * The work of one supervisor: which children are started, ended and started again, and when it ends itself.
 *
 * Semantics are those of OTP's supervisor. It does one thing at a time, to the end: what arrives meanwhile, the order of
 * its parent included, waits in the mailbox. A child that cannot be started again counts as a restart each time it is
 * tried, and each try is an entry of the mailbox, so that others have their turn and the intensity puts an end to it.
 * An EXIT counts only if the child has really ended: anybody can send a message that looks like one.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { Pid } from '../../pid.ts'
import { CallEntry, Notice } from '../../process/behaviour.ts'
import { INSIDE, type Self } from '../../process/self.ts'
import { isParent } from '../../process/serve.ts'
import { isOrderly, type Reason } from '../../signals.ts'
import { reportUnhandled } from '../housekeeping.ts'
import { Child, STOPPED, type StartOutcome } from './child.ts'
import { Children } from './children.ts'
import type { SupervisorReport } from './report.ts'
import { RestartIntensity } from './restart-intensity.ts'
import type { CheckedPlan } from './spec.ts'

/** Children ended in one turn of the event loop, where all are ended at once. */
const ENDS_PER_TURN = 256

/** Told to itself: the start of this child is to be tried again, unless something has become of it meanwhile. */
class TryAgain extends Notice {
  readonly child: Child
  readonly status: Extract<Child['status'], { type: 'restarting' }>

  constructor(child: Child, status: TryAgain['status']) {
    super()
    this.child = child
    this.status = status
  }
}

export class Supervision {
  readonly plan: CheckedPlan
  readonly children: Children
  readonly #self: Self<unknown>
  readonly #intensity: RestartIntensity
  readonly #answer: (entry: CallEntry) => Promise<void>

  /** `answer` takes the calls. */
  constructor(
    self: Self<unknown>,
    plan: CheckedPlan,
    answer: (supervision: Supervision, entry: CallEntry) => Promise<void>,
  ) {
    this.#self = self
    this.plan = plan
    this.children = new Children(this.onDemand)
    this.#intensity = new RestartIntensity(plan)
    this.#answer = (entry) => answer(this, entry)
  }

  /** All children follow one pattern and are started when somebody asks for them. */
  get onDemand(): boolean {
    return this.plan.strategy === 'simpleOneForOne'
  }

  /** Starts all children, or none: then the process ends. */
  async begin(): Promise<void> {
    if (this.onDemand) return
    for (const spec of this.plan.children) {
      const child = new Child(spec)
      const outcome = await this.start(child)
      if (outcome.type === 'started') continue
      const text = `The child "${spec.id}" could not be started.`
      await this.end(new SkeinError('ERR_SKEIN_START_FAILED', text, { cause: outcome.reason }))
      this.#mustLive()
    }
  }

  /** Takes one entry of the mailbox. */
  take(entry: unknown): Promise<void> | void {
    if (entry instanceof CallEntry) return this.#answer(entry)
    if (entry instanceof TryAgain) {
      if (entry.child.status === entry.status) return this.#restart(entry.child, entry.status.reason)
    } else if (isExit(entry)) return this.#exited(entry.pid, entry.reason)
    else reportUnhandled(this.#self, entry)
  }

  /** Starts a child, and has it among the children if that went well. */
  async start(child: Child): Promise<StartOutcome> {
    const outcome = await child.start(this.#self)
    this.#mustLive()
    if (outcome.type === 'started') {
      this.children.add(child)
      this.children.set(child, { type: 'running', process: outcome.process })
    } else {
      const { reason } = outcome
      this.#report({ type: 'childStartFailed', supervisor: this.#self.pid, id: child.spec.id, reason })
    }
    return outcome
  }

  /** Ends a child, if it runs. A temporary one is forgotten. Never rejects. */
  async stop(child: Child): Promise<void> {
    const { process, spec } = child
    // From now on its EXIT, which will come, finds nobody.
    if (spec.restart === 'temporary') this.children.remove(child)
    else this.children.set(child, STOPPED)
    if (process === undefined || !(await child.stop(this.#self, process))) return
    const { pid } = process
    this.#report({
      type: 'childKilled',
      supervisor: this.#self.pid,
      id: spec.id,
      pid,
      shutdownMs: spec.shutdown as number,
    })
  }

  /** Ends all children, those started last first; children on demand all at once, because there may be many. */
  async stopAll(): Promise<void> {
    if (!this.onDemand) return this.#stopInTurn([...this.children])
    const stopping: Promise<void>[] = []
    for (const child of this.children) {
      stopping.push(this.stop(child))
      if (stopping.length % ENDS_PER_TURN === 0) await this.#turn()
    }
    await Promise.all(stopping)
  }

  /** Ends all children and then the supervisor. */
  async end(reason: Reason): Promise<void> {
    await this.stopAll()
    this.#services.end(this.#self[INSIDE].process, reason)
  }

  get #services(): Self[typeof INSIDE]['services'] {
    return this.#self[INSIDE].services
  }

  #exited(pid: Pid, reason: Reason): Promise<void> | void {
    const child = this.children.withPid(pid)
    if (child === undefined) return isParent(this.#self, pid) ? this.end(reason) : undefined
    const ended = child.process?.ended
    if (ended === undefined) return
    this.children.set(child, STOPPED)
    const { restart, significant } = child.spec
    if (restart === 'permanent' || (restart === 'transient' && !isOrderly(ended.reason))) {
      return this.#restart(child, ended.reason)
    }
    if (restart === 'temporary' || this.onDemand) this.children.remove(child)
    if (significant && this.#isEnough()) return this.end('shutdown')
  }

  /** A significant child has ended by itself: is that enough to end? */
  #isEnough(): boolean {
    if (this.plan.autoShutdown === 'anySignificant') return true
    for (const { spec, status } of this.children) if (spec.significant && status !== STOPPED) return false
    return true
  }

  async #restart(child: Child, reason: Reason): Promise<void> {
    const supervisor = this.#self.pid
    if (!this.#intensity.allows(this.#services.clock.now())) {
      this.#report({ type: 'supervisorGaveUp', supervisor, id: child.spec.id, reason })
      return this.end('shutdown')
    }
    const group = this.#groupOf(child)
    await this.#stopInTurn(group)
    for (const one of group) {
      if (!this.children.has(one)) continue
      const outcome = await this.start(one)
      if (outcome.type === 'failed') return this.#tryAgain(one, reason)
      this.#report({ type: 'childRestarted', supervisor, id: one.spec.id, pid: outcome.process.pid, reason })
    }
  }

  /** Who is started again when `child` is. */
  #groupOf(child: Child): Child[] {
    if (this.plan.strategy === 'oneForAll') return [...this.children]
    return this.plan.strategy === 'restForOne' ? this.children.from(child) : [child]
  }

  #tryAgain(child: Child, reason: Reason): void {
    const status = { type: 'restarting', reason } as const
    this.children.set(child, status)
    this.#services.post.put(this.#self[INSIDE].process, new TryAgain(child, status))
  }

  async #stopInTurn(children: Child[]): Promise<void> {
    for (const child of children.toReversed()) await this.stop(child)
    this.#mustLive()
  }

  #report(report: SupervisorReport): void {
    this.#services.report(report)
  }

  /** After every wait: who was killed meanwhile does nothing more. */
  #mustLive(): void {
    const { process } = this.#self[INSIDE]
    if (process.ended !== undefined) throw process.endedError()
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#services.clock.afterInput(resolve))
  }
}

const isExit = (entry: unknown): entry is { readonly pid: Pid; readonly reason: Reason } =>
  typeof entry === 'object' &&
  entry !== null &&
  'type' in entry &&
  entry.type === 'EXIT' &&
  'pid' in entry &&
  entry.pid instanceof Pid &&
  'reason' in entry

/**
 * One child of a supervisor: how its process is started and ended. What follows from its end is the supervisor's affair.
 *
 * Waiting needs no message, so nothing of it is ever found in the supervisor's mailbox but the EXIT of the child.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Behaviour } from '../../process/behaviour.ts'
import type { Process } from '../../process/process.ts'
import { INSIDE, type Self, type Services } from '../../process/self.ts'
import type { Reason } from '../../signals.ts'
import { endsWithin } from '../process-end.ts'
import type { CheckedSpec } from './spec.ts'

export type ChildStatus =
  | { readonly type: 'running'; readonly process: Process }
  /** A child had ended with `reason`; this one could not be started again, and is to be tried again. */
  | { readonly type: 'restarting'; readonly reason: Reason }
  | { readonly type: 'stopped' }

export const STOPPED: ChildStatus = Object.freeze({ type: 'stopped' })

export type StartOutcome =
  | { readonly type: 'started'; readonly process: Process }
  | { readonly type: 'failed'; readonly reason: Reason }

export class Child {
  readonly spec: CheckedSpec
  /** Set by Children only, which finds children by their process. */
  status: ChildStatus = STOPPED
  readonly #args: readonly unknown[]

  /** `extraArgs` follow those of the specification. */
  constructor(spec: CheckedSpec, extraArgs: readonly unknown[] = []) {
    this.spec = spec
    this.#args = extraArgs.length === 0 ? spec.args : [...spec.args, ...extraArgs]
  }

  /** The process, while it runs. */
  get process(): Process | undefined {
    return this.status.type === 'running' ? this.status.process : undefined
  }

  /** Starts a process linked to `self` and waits until it has started. */
  async start(self: Self<unknown>): Promise<StartOutcome> {
    const { process: parent, services } = self[INSIDE]
    const { start, name } = this.spec
    let process: Process
    try {
      const behaviour = typeof start === 'string' ? services.catalogue.get(start, '') : start
      const options = { parent, ...(name === undefined ? {} : { name }) }
      process = services.spawn(behaviour as Behaviour<unknown, unknown[]>, [...this.#args], options)
    } catch (reason) {
      return { type: 'failed', reason }
    }
    return process.traits.announces === true ? this.#started(process, services) : { type: 'started', process }
  }

  /** Ends a process of this child and waits for that. True: it took too long and was killed. Never rejects. */
  async stop(self: Self<unknown>, process: Process): Promise<boolean> {
    const { shutdown } = this.spec
    if (shutdown === 'brutalKill') {
      self.exit(process.pid, 'kill')
      return false
    }
    self.exit(process.pid, 'shutdown')
    // Most have ended by now, and need no promise.
    if (process.ended !== undefined || (await endsWithin(process, shutdown, self[INSIDE].services.clock))) return false
    // Killed itself meanwhile, the supervisor can do nothing more.
    if (self[INSIDE].process.ended !== undefined) return false
    self.exit(process.pid, 'kill')
    return true
  }

  async #started(process: Process, services: Services): Promise<StartOutcome> {
    const { id, startTimeoutMs } = this.spec
    const tooLate = (): void => {
      const text = `"${id}" did not start within ${startTimeoutMs} ms.`
      services.end(process, new SkeinError('ERR_SKEIN_START_FAILED', text))
    }
    const timer = Number.isFinite(startTimeoutMs) ? services.clock.after(startTimeoutMs, tooLate) : undefined
    try {
      await services.whenStarted(process)
      return { type: 'started', process }
    } catch {
      return { type: 'failed', reason: process.ended?.reason }
    } finally {
      timer?.cancel()
    }
  }
}

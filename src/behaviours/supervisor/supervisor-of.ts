/**
 * Talking to a supervisor, from a process or from a program, on its node or another one.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { Pid } from '../../pid.ts'
import type { CallOptions } from '../../process/calls.ts'
import type { AnyTarget } from '../../process/directory.ts'
import type { ChildCount, ChildInfo, SupervisorRequest } from './request.ts'
import type { ChildSpec, Start } from './spec.ts'

/** A Self or a node. */
export interface Caller {
  call(target: AnyTarget, request: unknown, options?: CallOptions): Promise<unknown>
}

/** Every method rejects as `call` does, and with the supervisor's refusal. */
export class SupervisorClient {
  readonly #caller: Caller
  readonly #target: AnyTarget
  readonly #options: CallOptions

  /** @internal Use supervisorOf. */
  constructor(caller: Caller, target: AnyTarget, options: CallOptions) {
    this.#caller = caller
    this.#target = target
    this.#options = options
  }

  /**
   * Adds a child and starts it. On another node its `start` is the name of a behaviour there: functions do not cross the
   * wire. Rejects with ERR_SKEIN_START_FAILED (it is not added), ERR_SKEIN_CHILD_EXISTS or ERR_SKEIN_BAD_ARGUMENT.
   */
  async startChild<S extends Start>(spec: ChildSpec<S>): Promise<Pid> {
    return asPid(await this.#ask({ type: 'startChild', spec }))
  }

  /** simpleOneForOne: starts a child with these arguments after those of the pattern. Rejects with ERR_SKEIN_START_FAILED. */
  async startChildWith(...args: unknown[]): Promise<Pid> {
    return asPid(await this.#ask({ type: 'startChildWith', args }))
  }

  /** Ends a child, by its id or pid; it stays on the list, unless it is temporary. Rejects with ERR_SKEIN_NO_CHILD. */
  async terminateChild(child: string | Pid<never>): Promise<void> {
    await this.#ask({ type: 'terminateChild', child: child as string | Pid })
  }

  /** Starts a child that does not run. Rejects with ERR_SKEIN_NO_CHILD, _CHILD_RUNNING or _START_FAILED. */
  async restartChild(id: string): Promise<Pid> {
    return asPid(await this.#ask({ type: 'restartChild', id }))
  }

  /** Takes a child that does not run off the list. Rejects with ERR_SKEIN_NO_CHILD or _CHILD_RUNNING. */
  async deleteChild(id: string): Promise<void> {
    await this.#ask({ type: 'deleteChild', id })
  }

  /** In the order of their start. */
  async whichChildren(): Promise<readonly ChildInfo[]> {
    return (await this.#ask({ type: 'whichChildren' })) as readonly ChildInfo[]
  }

  async countChildren(): Promise<ChildCount> {
    return (await this.#ask({ type: 'countChildren' })) as ChildCount
  }

  /** Ends the children in order and then the supervisor, with reason normal. */
  async stop(): Promise<void> {
    await this.#ask({ type: 'stop' })
  }

  async #ask(request: SupervisorRequest): Promise<unknown> {
    const value = await this.#caller.call(this.#target, request, this.#options)
    if (value instanceof SkeinError) throw value
    return value
  }
}

/**
 * Methods to manage a supervisor. As in OTP they wait as long as it takes, unless `timeoutMs` or `signal` is given: a child
 * that is slow to start or to end keeps its supervisor busy.
 */
export const supervisorOf = (caller: Caller, supervisor: AnyTarget, options: CallOptions = {}): SupervisorClient =>
  new SupervisorClient(caller, supervisor, { timeoutMs: Number.POSITIVE_INFINITY, ...options })

const asPid = (value: unknown): Pid => {
  if (value instanceof Pid) return value
  throw new SkeinError('ERR_SKEIN_BAD_RETURN', 'What was asked to start a child is not a supervisor.')
}

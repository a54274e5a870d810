/**
 * A distributed supervisor as its users see it, on any node: requests find the leader, whoever that is, and are made again
 * where it went away before it answered. A request that is made twice has the effect of one.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { ChildCount } from '../../behaviours/supervisor/request.ts'
import { Pid } from '../../pid.ts'
import { checkTimeout } from '../../process/patience.ts'
import type { DistributedChildSpec, KeptSpec } from './child-spec.ts'
import { type Names, nameOfLeader } from './names.ts'
import type { DistributedChildInfo, DistributedRequest } from './requests.ts'
import { nameOfChild } from './slot.ts'

const DEFAULT_TIMEOUT_MS = 30_000
/** Between two looks for a leader. */
const RETRY_MS = 50

interface SupervisorHost {
  readonly clock: Clock
  readonly names: Names
  call(pid: Pid, request: unknown, timeoutMs: number): Promise<unknown>
  keep(spec: DistributedChildSpec): { readonly id: string; readonly spec: KeptSpec }
  leads(): boolean
  /** The node stops. */
  isOver(): boolean
  leave(): void
  /** A word that no other request has. */
  request(): string
}

/** How long a request to a distributed supervisor may take, the search for its leader included. */
export interface AskOptions {
  /** Default: 30 000. */
  readonly timeoutMs?: number
}

/**
 * Every method that asks rejects with ERR_SKEIN_NO_LEADER when there is no leader in time, and with ERR_SKEIN_CALL_TIMEOUT
 * when the leader is not done in time: what was asked goes on. With ERR_SKEIN_STOPPED when this node stops meanwhile.
 */
export class DistributedSupervisor {
  readonly name: string
  readonly #host: SupervisorHost

  /** @internal Made by `node.supervise`. */
  constructor(name: string, host: SupervisorHost) {
    this.name = name
    this.#host = host
  }

  /** This node leads. */
  get isLeader(): boolean {
    return this.#host.leads()
  }

  /** name@host of the node that leads, as far as this node knows. */
  get leader(): string | undefined {
    return this.#host.names.whereis(nameOfLeader(this.name))?.node
  }

  /** The process of a child, wherever it runs; undefined while it does not. */
  child(id: string): Pid | undefined {
    return this.#host.names.whereis(nameOfChild(this.name, id))
  }

  /**
   * Adds a child and starts it, on a node that has its behaviour. Rejects with ERR_SKEIN_START_FAILED or
   * ERR_SKEIN_NO_CANDIDATE (then it is not added), ERR_SKEIN_CHILD_EXISTS, ERR_SKEIN_FORBIDDEN or ERR_SKEIN_BAD_ARGUMENT.
   */
  async startChild(child: DistributedChildSpec, options?: AskOptions): Promise<Pid> {
    const { id, spec } = this.#host.keep(child)
    return asPid(await this.#ask({ type: 'startChild', id, spec, request: this.#host.request() }, options))
  }

  /** Ends a child, wherever it runs; it stays on the list, unless it is temporary. Rejects with ERR_SKEIN_NO_CHILD. */
  async terminateChild(id: string, options?: AskOptions): Promise<void> {
    await this.#ask({ type: 'terminateChild', id }, options)
  }

  /** Starts a child that does not run. Rejects with ERR_SKEIN_NO_CHILD, _CHILD_RUNNING or as `startChild`. */
  async restartChild(id: string, options?: AskOptions): Promise<Pid> {
    return asPid(await this.#ask({ type: 'restartChild', id, request: this.#host.request() }, options))
  }

  /** Takes a child that does not run off the list. Rejects with ERR_SKEIN_NO_CHILD or _CHILD_RUNNING. */
  async deleteChild(id: string, options?: AskOptions): Promise<void> {
    await this.#ask({ type: 'deleteChild', id }, options)
  }

  async whichChildren(options?: AskOptions): Promise<readonly DistributedChildInfo[]> {
    return (await this.#ask({ type: 'whichChildren' }, options)) as readonly DistributedChildInfo[]
  }

  async countChildren(options?: AskOptions): Promise<ChildCount> {
    return (await this.#ask({ type: 'countChildren' }, options)) as ChildCount
  }

  /** Ends all children, everywhere, and then the supervisor on all nodes that are connected. */
  async stop(options?: AskOptions): Promise<void> {
    await this.#ask({ type: 'stop' }, options)
  }

  /** This node leads no more, and never again; children and the other nodes go on. */
  leave(): void {
    this.#host.leave()
  }

  async #ask(request: DistributedRequest, { timeoutMs = DEFAULT_TIMEOUT_MS }: AskOptions = {}): Promise<unknown> {
    checkTimeout(timeoutMs)
    const { clock, names } = this.#host
    const untilMs = clock.now() + timeoutMs
    for (let isAgain = false; ; ) {
      if (this.#host.isOver()) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node is stopping.')
      const leftMs = untilMs - clock.now()
      if (leftMs <= 0) {
        const text = `There was no leader of "${this.name}" within ${timeoutMs} ms.`
        throw new SkeinError('ERR_SKEIN_NO_LEADER', text)
      }
      const leader = names.whereis(nameOfLeader(this.name))
      const outcome = leader === undefined ? 'gone' : await this.#askOnce(leader, request, leftMs)
      if (outcome !== 'gone') {
        if (!('refusal' in outcome)) return outcome.value
        const { code } = outcome.refusal
        // The leader that is gone had done it.
        if (isAgain && isRemoval(request) && code === 'ERR_SKEIN_NO_CHILD') return undefined
        if (code !== 'ERR_SKEIN_NO_LEADER') throw outcome.refusal
      }
      isAgain ||= leader !== undefined
      await new Promise<void>((go) => clock.after(RETRY_MS, go))
    }
  }

  /** Rejects with what is no reason to ask again. */
  async #askOnce(leader: Pid, request: DistributedRequest, timeoutMs: number): Promise<Answered | 'gone'> {
    try {
      const value = await this.#host.call(leader, request, timeoutMs)
      return value instanceof SkeinError ? { refusal: value } : { value }
    } catch (error) {
      if (isGone(error)) return 'gone'
      throw error
    }
  }
}

type Answered = { readonly value: unknown } | { readonly refusal: SkeinError }

const isRemoval = ({ type }: DistributedRequest): boolean => type === 'terminateChild' || type === 'deleteChild'

/** The leader went away, or what was known of it is old. */
const isGone = (error: unknown): boolean =>
  isSkeinError(error, 'ERR_SKEIN_NOPROC') ||
  isSkeinError(error, 'ERR_SKEIN_NOCONNECTION') ||
  isSkeinError(error, 'ERR_SKEIN_CALL_EXIT')

const asPid = (value: unknown): Pid => {
  if (value instanceof Pid) return value
  throw new SkeinError('ERR_SKEIN_BAD_RETURN', 'What was asked to start a child is no supervisor.')
}

/**
 * Looking at a process from outside, wherever it is. Its node answers, not the process, so a process that is busy is
 * seen too. The question takes the lane of whoever asks: it arrives behind everything the asking process sent before
 * (OTP promises that of erlang:is_process_alive/1).
 */
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { Pid } from '../pid.ts'
import type { Signal } from '../signals.ts'
import type { Bridge } from './bridge.ts'
import type { CallOptions, Calls } from './calls.ts'
import { type Census, takeCensus } from './census.ts'
import type { AnyPid, Directory } from './directory.ts'
import { firstOf } from './first-of.ts'
import { quiet } from './patience.ts'
import type { Process } from './process.ts'
import { detailOf, type ProcessDetail, type ProcessPage, takePage } from './process-page.ts'
import { FORBIDDEN } from './refusal.ts'

/** Names of one process that are told. */
const MAX_NAMES_TOLD = 100

/** What is known of a living process. */
export interface ProcessInfo {
  readonly pid: Pid
  /** What it says of itself: `self.label`. */
  readonly label: string | undefined
  /** What its behaviour calls itself. */
  readonly behaviour: string | undefined
  /** Registered names, the first hundred. */
  readonly names: readonly string[]
  /** `waiting` for a message, or not. */
  readonly state: 'waiting' | 'running'
  readonly trapExit: boolean
  /** In its mailbox. */
  readonly messages: number
  /** Also one to another node that was just removed, until that node knows. */
  readonly links: number
  /** That it holds on others. */
  readonly monitors: number
  /** That others hold on it. */
  readonly watchers: number
}

type Answer = Omit<ProcessInfo, 'pid'>

export class Inspection {
  readonly #directory: Directory
  readonly #calls: Calls

  constructor(directory: Directory, calls: Calls) {
    this.#directory = directory
    this.#calls = calls
  }

  /** Rejects with ERR_SKEIN_NOCONNECTION, _CALL_TIMEOUT, _CALL_ABORTED or _PROCESS_ENDED. */
  isAlive(caller: Process | undefined, pid: AnyPid, options: CallOptions = {}): Promise<boolean> {
    return quiet(this.#ask(caller, pid, options).then((info) => info !== undefined))
  }

  /** Undefined: there is no such process any more. Rejects as `isAlive`. */
  info(caller: Process | undefined, pid: AnyPid, options: CallOptions = {}): Promise<ProcessInfo | undefined> {
    return quiet(this.#ask(caller, pid, options))
  }

  /** All processes of this node at a glance: the largest `top` by each measure, and at most so many supervisors. */
  census(top: number, maxSupervisors: number): Census {
    return takeCensus(this.#directory.processes, top, maxSupervisors)
  }

  /** Processes of this node with a greater number than `after`, in that order, as many as fit a page. */
  page(after: number): ProcessPage {
    return takePage(this.#directory.processes, after)
  }

  /** One process of this node; undefined: there is none with this number. */
  detail(number: number): ProcessDetail | undefined {
    const process = this.#directory.processes.get(number)
    return process && detailOf(process)
  }

  /** Calls of this node that wait for an answer. */
  get callCount(): number {
    return this.#calls.count
  }

  onInspect(bridge: Bridge, { to, call }: Extract<Signal, { type: 'inspect' }>): void {
    const process = this.#directory.reach(bridge, to, 'processInfo')
    if (process === 'forbidden') bridge.sendSurely(undefined, { type: 'callFailed', from: 0, call, reason: FORBIDDEN })
    else if (process !== 'noproc')
      bridge.sendSurely(process, { type: 'reply', from: to, call, value: answerOf(process) })
    else {
      bridge.sendSurely(undefined, { type: 'callFailed', from: to, call, reason: 'noproc' })
      bridge.retire(to)
    }
  }

  async #ask(caller: Process | undefined, pid: AnyPid, options: CallOptions): Promise<ProcessInfo | undefined> {
    if (!(pid instanceof Pid)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A process is looked at by its pid.')
    if (this.#directory.isOwn(pid.origin)) {
      const process = this.#directory.find(pid.number)
      return process && { pid: process.pid, ...answerOf(process) }
    }
    let answer: unknown
    try {
      answer = await this.#calls.ask(caller, pid, options, (from, call) => {
        return { type: 'inspect', from, to: pid.number, call }
      })
    } catch (error) {
      // That its node could not be reached may mean that another incarnation of it was.
      const isGone = isSkeinError(error, 'ERR_SKEIN_NOCONNECTION') && this.#directory.locate(pid) === 'noproc'
      if (isGone || isSkeinError(error, 'ERR_SKEIN_NOPROC')) return undefined
      throw error
    }
    return { pid: pid as AnyPid as Pid, ...checked(answer) }
  }
}

const answerOf = (process: Process): Answer => ({
  label: process.label,
  behaviour: process.traits.label,
  names: firstOf(process.names ?? [], MAX_NAMES_TOLD),
  state: process.mailbox.isWaiting ? 'waiting' : 'running',
  trapExit: process.trapExit,
  messages: process.mailbox.size,
  links: (process.links?.size ?? 0) + (process.remoteLinks?.size ?? 0),
  monitors: process.monitors?.size ?? 0,
  watchers: process.watchers?.size ?? 0,
})

/** What another node says, as far as it is what it should be. */
const checked = (answer: unknown): Answer => {
  const said: Partial<Record<keyof Answer, unknown>> = typeof answer === 'object' && answer !== null ? answer : {}
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
  const count = (value: unknown): number => (typeof value === 'number' ? value : 0)
  const names = Array.isArray(said.names) ? said.names : []
  return {
    label: text(said.label),
    behaviour: text(said.behaviour),
    names: names.filter((name): name is string => typeof name === 'string').slice(0, MAX_NAMES_TOLD),
    state: said.state === 'waiting' ? 'waiting' : 'running',
    trapExit: said.trapExit === true,
    messages: count(said.messages),
    links: count(said.links),
    monitors: count(said.monitors),
    watchers: count(said.watchers),
  }
}

/**
 * Tasks: something done apart in a process of its own, and its result as a promise (Elixir's Task).
 *
 * A task is linked to its owner unless asked otherwise: if it fails so does the owner, and if the owner ends with anything
 * but normal so does the task. A task that ended well leaves nothing in its owner's mailbox.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Pid } from '../pid.ts'
import { checkTimeout } from '../process/patience.ts'
import type { Process } from '../process/process.ts'
import { INSIDE, type Self, type Services } from '../process/self.ts'
import { endsWithin } from './process-end.ts'

/** What is done; it may use its own Self, for example to call others. */
export type TaskFunction<T> = (self: Self<unknown>) => Promise<T> | T

/** What a task gets to end in order, as a worker of a supervisor does. */
const DEFAULT_SHUTDOWN_MS = 5000

/** What `startTask` takes. */
export interface TaskOptions {
  /** Whether task and owner end with each other. Default: true. */
  readonly linked?: boolean
}

/** What `taskMap` takes. */
export interface TaskMapOptions extends TaskOptions {
  /** Tasks at once. Default: 8. */
  readonly concurrency?: number
  /** For each task. Default: Infinity. */
  readonly timeoutMs?: number
}

/** Tasks of one `taskMap` at once: few enough for whatever they ask of others. */
const DEFAULT_CONCURRENCY = 8
const MAX_CONCURRENCY = 10_000

type Outcome<T> = { readonly type: 'running' } | { readonly type: 'done'; readonly value: T }

export class Task<T> {
  readonly #owner: Self<unknown>
  readonly #process: Process
  readonly #services: Services
  #outcome: Outcome<T> = { type: 'running' }

  /** @internal Use startTask. */
  constructor(owner: Self<unknown>, run: TaskFunction<T>, linked: boolean) {
    const { process, services } = owner[INSIDE]
    if (process.ended !== undefined) throw process.endedError()
    this.#owner = owner
    this.#services = services
    const behaviour = async (self: Self<unknown>): Promise<void> => {
      const value = await run(self)
      if (self[INSIDE].process.ended !== undefined) return
      this.#outcome = { type: 'done', value }
      self.unlink(owner.pid)
    }
    this.#process = services.spawn(behaviour, [], linked ? { parent: process } : {})
  }

  get pid(): Pid {
    return this.#process.pid
  }

  /**
   * What the task's function returned. Rejects with ERR_SKEIN_TASK_EXIT, whose cause is the reason, if it ended otherwise,
   * and with ERR_SKEIN_TASK_TIMEOUT after `timeoutMs` (default: Infinity); then it goes on and can be asked again.
   */
  result(options: { readonly timeoutMs?: number } = {}): Promise<T> {
    const promise = this.#wait(options.timeoutMs ?? Number.POSITIVE_INFINITY)
    // A function that has ended leaves its promises behind.
    promise.catch(ignore)
    return promise
  }

  /** Ends the task and waits for that: exit signal shutdown, and kill after `timeoutMs` (default: 5000). Its owner lives on. */
  async shutdown({ timeoutMs = DEFAULT_SHUTDOWN_MS }: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkTimeout(timeoutMs)
    this.#owner.unlink(this.pid)
    this.#owner.exit(this.pid, 'shutdown')
    if (await endsWithin(this.#process, timeoutMs, this.#services.clock)) return
    this.#owner.exit(this.pid, 'kill')
  }

  async #wait(timeoutMs: number): Promise<T> {
    checkTimeout(timeoutMs)
    if (!(await endsWithin(this.#process, timeoutMs, this.#services.clock))) {
      throw new SkeinError('ERR_SKEIN_TASK_TIMEOUT', `The task ${this.pid} did not end within ${timeoutMs} ms.`)
    }
    if (this.#outcome.type === 'done') return this.#outcome.value
    const cause = this.#process.ended?.reason
    throw new SkeinError('ERR_SKEIN_TASK_EXIT', `The task ${this.pid} ended without a result.`, { cause })
  }
}

/** Runs `run` in a process of its own. Throws what `self.spawn` throws. */
export const startTask = <T, M>(self: Self<M>, run: TaskFunction<T>, options: TaskOptions = {}): Task<T> =>
  new Task(self as Self<unknown>, run, options.linked ?? true)

/**
 * Runs `run` on every item, each in a task of its own and only so many at once. Gives the results in the order of the
 * items. When one fails or takes too long the others are ended, and it rejects as `Task.result` does.
 */
export const taskMap = <T, R, M>(
  self: Self<M>,
  items: Iterable<T>,
  run: (item: T, self: Self<unknown>) => Promise<R> | R,
  options: TaskMapOptions = {},
): Promise<R[]> => {
  const promise = mapAll(self as Self<unknown>, items, run, options)
  promise.catch(ignore)
  return promise
}

const mapAll = async <T, R>(
  self: Self<unknown>,
  items: Iterable<T>,
  run: (item: T, self: Self<unknown>) => Promise<R> | R,
  { concurrency = DEFAULT_CONCURRENCY, timeoutMs = Number.POSITIVE_INFINITY, linked = true }: TaskMapOptions,
): Promise<R[]> => {
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
    const text = `"concurrency" is a whole number from 1 to ${MAX_CONCURRENCY}.`
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
  }
  const results: R[] = []
  const running = new Set<Task<R>>()
  const iterator = items[Symbol.iterator]()
  let failed = false
  let count = 0
  const work = async (): Promise<void> => {
    while (!failed) {
      const next = iterator.next()
      if (next.done === true) return
      const place = count++
      const task = new Task(self, (own) => run(next.value, own), linked)
      running.add(task)
      results[place] = await task.result({ timeoutMs })
      running.delete(task)
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, work))
    return results
  } catch (error) {
    failed = true
    try {
      iterator.return?.()
    } catch {
      // The error that led here is the one to tell, as in a for loop.
    }
    await Promise.all(Array.from(running, (task) => task.shutdown()))
    throw error
  }
}

const ignore = (): void => {}

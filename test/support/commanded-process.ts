/**
 * A process that a test starts, tells what to do over IPC, and ends. It answers each command with `done` or `failed` and
 * reports whatever else there is; what commands and reports there are is up to those who talk.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** What every such process says. */
export type Answer =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly text: string }

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

const isAnswer = (report: { readonly type: string }): report is Answer =>
  report.type === 'ready' || report.type === 'done' || report.type === 'failed'

export class CommandedProcess<Command, Report extends { readonly type: string }> {
  readonly child: ChildProcess
  /** Resolves when it says that it takes commands. */
  readonly ready: Promise<void>
  readonly #label: string
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #mayEnd = false

  constructor(
    label: string,
    child: ChildProcess,
    on: { report(report: Report): void; endedUnasked(how: string): void },
  ) {
    this.#label = label
    this.child = child
    this.ready = new Promise((resolve, reject) => {
      child.on('message', ({ type }: { readonly type: string }) => type === 'ready' && resolve())
      child.once('exit', () => reject(new Error(`${label} did not start`)))
    })
    // Nobody may wait for it.
    this.ready.catch(() => {})
    child.on('message', (report: Report | Answer) => {
      // What is left in the channel of one that was killed is of the past.
      if (isAnswer(report)) this.#settle(report)
      else if (!this.#mayEnd) on.report(report)
    })
    child.once('exit', (code, signal) => {
      if (!this.#mayEnd) on.endedUnasked(String(signal ?? code))
      for (const { reject } of this.#waiting.values()) reject(new Error(`${label} is gone`))
      this.#waiting.clear()
    })
  }

  tell(command: Command): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.child.send({ id, command }, (error) => error !== null && reject(error))
    })
  }

  async kill(): Promise<void> {
    this.#mayEnd = true
    if (this.#hasEnded) return
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }

  /** Lets go of it: it has to end by itself within the time. False: it did not, and was killed. */
  async release(timeoutMs: number): Promise<boolean> {
    this.#mayEnd = true
    if (this.#hasEnded) return true
    const gone = once(this.child, 'exit')
    this.child.disconnect()
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.child.kill('SIGKILL')
    }, timeoutMs)
    await gone
    clearTimeout(timer)
    return !late
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  #settle(answer: Answer): void {
    if (answer.type === 'ready') return
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (answer.type === 'done') waiting?.resolve(answer.value)
    else waiting?.reject(new Error(`${this.#label}: ${answer.text}`))
  }
}

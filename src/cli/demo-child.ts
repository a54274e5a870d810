/**
 * The narrator's end of one node process: starts it, asks it, listens to it, and kills it.
 *
 * Every event is kept with the time it came, so nothing that happened early is missed. When the process ends, whoever
 * still waits for it learns how it ended.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { Ask, DemoEvent, DemoQuestion, DemoQuestions, Report } from './demo-protocol.ts'

/** A node tells of a few dozen things in a whole demo. */
const MAX_EVENTS = 1000

export interface Timed<T extends DemoEvent = DemoEvent> {
  readonly event: T
  /** When it reached the narrator, on the clock of performance.now(). */
  readonly atMs: number
}

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class DemoChild {
  readonly label: string
  readonly #process: ChildProcess
  readonly #events: Timed[] = []
  readonly #asked = new Map<number, Waiter>()
  readonly #listeners = new Set<() => void>()
  readonly exited: Promise<string>
  #asks = 0
  #ending: string | undefined

  /** `entry` is the file of the command itself. */
  constructor(label: string, entry: string, environment: NodeJS.ProcessEnv) {
    this.label = label
    this.#process = fork(entry, ['demo-node'], { env: environment, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#process.on('message', (report) => this.#take(report as Report))
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end(how)
        resolve(how)
      }
      this.#process.once('error', (error) => end(error.message))
      this.#process.once('exit', (code, signal) => end(signal ?? `exit code ${code}`))
    })
  }

  get processId(): number {
    return this.#process.pid ?? 0
  }

  ask<Q extends DemoQuestion>(question: Q, argument: DemoQuestions[Q]['ask']): Promise<DemoQuestions[Q]['answer']> {
    return new Promise((resolve, reject) => {
      const number = ++this.#asks
      // The process is the same program: the answer fits the question.
      const settle = (value: unknown): void => resolve(value as DemoQuestions[Q]['answer'])
      this.#asked.set(number, { resolve: settle, reject })
      const ask: Ask = { number, question, with: argument }
      if (this.#ending !== undefined) this.#end(this.#ending)
      else this.#process.send(ask, (error) => error && this.#end(error.message))
    })
  }

  /** The first event that matches, past or to come. */
  async event<T extends DemoEvent>(matches: (event: DemoEvent) => event is T, sinceMs = 0): Promise<Timed<T>> {
    for (;;) {
      const found = this.#events.find((one): one is Timed<T> => one.atMs >= sinceMs && matches(one.event))
      if (found !== undefined) return found
      if (this.#ending !== undefined) throw new Error(`process ${this.label} ended: ${this.#ending}`)
      await new Promise<void>((resolve) => this.#listeners.add(resolve))
    }
  }

  /** What has happened so far. */
  get events(): readonly Timed[] {
    return this.#events
  }

  /** kill -9. Idempotent. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }

  #take(report: Report): void {
    if (report.type === 'event') {
      if (this.#events.length < MAX_EVENTS) this.#events.push({ event: report.event, atMs: performance.now() })
      this.#wake()
      return
    }
    const waiter = this.#asked.get(report.number)
    this.#asked.delete(report.number)
    if (report.type === 'answer') waiter?.resolve(report.value)
    else waiter?.reject(new Error(`node ${this.label}: ${report.message}`))
  }

  #end(how: string): void {
    this.#ending = how
    for (const { reject } of this.#asked.values()) reject(new Error(`process ${this.label} ended: ${how}`))
    this.#asked.clear()
    this.#wake()
  }

  #wake(): void {
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }
}

/**
 * A child process that runs a hidden command of this program, as its parent sees it: it is asked, it tells of events, it
 * is killed.
 *
 * Questions and answers cross as JSON over the IPC channel; answering-process.ts is the other end. When the process ends,
 * whoever still waits for an answer learns how it ended. Nothing is queued without a bound: a caller awaits its answer.
 */
import { type ChildProcess, fork } from 'node:child_process'

/** What can be asked: by name, what goes there and what comes back. */
export type Questions<Q> = { readonly [K in keyof Q]: { readonly ask: unknown; readonly answer: unknown } }

export interface Ask {
  readonly number: number
  readonly question: string
  readonly with: unknown
}

export type Report<E> =
  | { readonly type: 'answer'; readonly number: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly number: number; readonly message: string }
  | { readonly type: 'event'; readonly event: E }

interface AskedProcessOptions {
  readonly label: string
  /** The file of the program itself. */
  readonly entry: string
  /** The hidden command. */
  readonly command: string
  readonly environment: NodeJS.ProcessEnv
}

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class AskedProcess<Q extends Questions<Q>, E> {
  readonly label: string
  /** How it ended: an exit code or a signal, in words. */
  readonly exited: Promise<string>
  readonly #process: ChildProcess
  readonly #asked = new Map<number, Waiter>()
  #asks = 0
  #ending: string | undefined

  constructor({ label, entry, command, environment }: AskedProcessOptions) {
    this.label = label
    this.#process = fork(entry, [command], { env: environment, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#process.on('message', (report) => this.#take(report as Report<E>))
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end(how)
        resolve(how)
      }
      // More than one may come, and one that nobody hears would end this process.
      this.#process.on('error', (error) => end(error.message))
      this.#process.once('exit', (code, signal) => end(signal ?? `exit code ${code}`))
    })
  }

  get processId(): number {
    return this.#process.pid ?? 0
  }

  /** How it has ended, if it has. */
  get ending(): string | undefined {
    return this.#ending
  }

  ask<K extends keyof Q & string>(question: K, argument: Q[K]['ask']): Promise<Q[K]['answer']> {
    return new Promise((resolve, reject) => {
      const number = ++this.#asks
      // The process is the same program: the answer fits the question.
      const settle = (value: unknown): void => resolve(value as Q[K]['answer'])
      this.#asked.set(number, { resolve: settle, reject })
      const ask: Ask = { number, question, with: argument }
      if (this.#ending !== undefined) this.#end(this.#ending)
      else this.#process.send(ask, (error) => error && this.#end(error.message))
    })
  }

  /** Idempotent. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** kill -9. Idempotent. */
  kill(): void {
    this.signal('SIGKILL')
  }

  /** It told of something. */
  protected heard(_event: E): void {}

  /** It has ended. */
  protected over(): void {}

  #take(report: Report<E>): void {
    if (report.type === 'event') {
      this.heard(report.event)
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
    this.over()
  }
}

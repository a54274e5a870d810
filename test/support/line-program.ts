/**
 * A program in an operating system process of its own that is driven by lines: each request is a line on its standard
 * input and has a number, each answer a line on its standard output with the number of its request.
 *
 * When the program ends, whoever waits for an answer hears of it, with what it said last on standard error where that is a
 * pipe. What it does not do: start the program, or know what the lines mean.
 */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

/** What a line says: the answer to the request of this number. */
export interface LineAnswer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Longer than any test or measurement. */
const ANSWER_TIMEOUT_MS = 240_000
const STOP_TIMEOUT_MS = 5_000
const LAST_WORDS_CHARS = 10_000

export class LineProgram {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  /** Resolves when the program has ended and all its lines were read. */
  readonly gone: Promise<void>
  #end: Error | undefined
  #lastId = 0
  #lastWords = ''

  /** The child has pipes for input and output. Lines of which `read` makes nothing go to standard error. */
  constructor(name: string, child: ChildProcess, read: (line: string) => LineAnswer | undefined) {
    this.#name = name
    this.#child = child
    // Its end may come in the middle of a write.
    child.stdin!.on('error', () => {})
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk).slice(-LAST_WORDS_CHARS)
    })
    createInterface(child.stdout!).on('line', (line) => {
      const answer = read(line)
      if (answer === undefined) process.stderr.write(`${name}: ${line}\n`)
      else this.#settle(answer)
    })
    this.gone = new Promise((resolve) => {
      const ended = (how: string): void => {
        this.#end = new Error(`${name} ${how} ${this.#lastWords}`.trimEnd())
        for (const { reject } of this.#waiting.values()) reject(this.#end)
        resolve()
      }
      child.once('error', (error) => ended(`did not start: ${error.message}`))
      child.once('close', () => ended('has ended.'))
    })
  }

  /** For programs that answer number 0 unasked when they are ready; to be called as soon as the program was started. */
  async ready(): Promise<void> {
    await this.#answer(0)
  }

  /** Sends the line that `write` makes of the request's number, and gives the answer to it. */
  ask(write: (id: number) => string): Promise<unknown> {
    const id = ++this.#lastId
    const answer = this.#answer(id)
    this.#child.stdin!.write(`${write(id)}\n`)
    return answer
  }

  /** Closes its input, after which it has to end by itself soon. */
  async stop(): Promise<void> {
    this.#child.stdin!.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await this.gone
    clearTimeout(timer)
  }

  /** What is under way is answered by 'killed': nobody who asked shall fail unheard. */
  async kill(): Promise<void> {
    for (const { resolve } of this.#waiting.values()) resolve('killed')
    this.#child.kill('SIGKILL')
    await this.gone
  }

  #answer(id: number): Promise<unknown> {
    if (this.#end !== undefined) return Promise.reject(this.#end)
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`${this.#name} did not answer within ${ANSWER_TIMEOUT_MS} ms.`))
      const timer = setTimeout(() => this.#take(id) && late(), ANSWER_TIMEOUT_MS)
      const settling =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          this.#take(id)
          settle(value)
        }
      this.#waiting.set(id, { resolve: settling(resolve), reject: settling(reject) })
    })
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  #settle({ id, value, error }: LineAnswer): void {
    const waiting = this.#take(id)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(`${this.#name}: ${error}`))
  }
}

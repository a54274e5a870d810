/** A program on a host of the laboratory that does what it is told over Node's IPC channel and reports what happens. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from '../support/suite.ts'
import type { LabHost } from './lab.ts'

/** Of the log the end is kept. */
const MAX_LOG_BYTES = 1 << 20

/** From the program: it is ready, an answer to a command, or something it has to tell. */
export type ChildMessage<Report> =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly text: string }
  | { readonly type: 'report'; readonly report: Report }

export interface CommandMessage<Command> {
  readonly id: number
  readonly command: Command
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

export class HostChild<Command, Report> {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #log: Buffer[] = []
  #logBytes = 0
  #lastId = 0

  private constructor(child: ChildProcess, onReport: (report: Report) => void) {
    this.#child = child
    child.on('message', (message: ChildMessage<Report>) => {
      if (message.type === 'report') onReport(message.report)
      else if (message.type !== 'ready') this.#settle(message)
    })
    child.stderr?.on('data', (chunk: Buffer) => this.#keep(chunk))
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the program is gone (${signal ?? code})`))
      this.#waiting.clear()
    })
  }

  /** Starts the TypeScript program of this file; it is gone after the test. */
  static async start<Command, Report>(
    t: TestContext,
    host: Pick<LabHost, 'spawn'>,
    file: string,
    onReport: (report: Report) => void,
  ): Promise<HostChild<Command, Report>> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SKEIN_')))
    const child = host.spawn(process.execPath, ['--import', 'tsx', file], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env,
    })
    const self = new HostChild<Command, Report>(child, onReport)
    t.defer(() => self.end())
    const gone = once(child, 'exit').then(() => 'gone')
    const first = await Promise.race([once(child, 'message').then(() => 'ready'), gone])
    if (first === 'gone') throw new Error(`the program did not start: ${self.log()}`)
    return self
  }

  tell(command: Command): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      const message: CommandMessage<Command> = { id, command }
      this.#child.send(message, (error) => error !== null && reject(error))
    })
  }

  /** What it wrote to its standard error, the end of it. */
  log(): string {
    return Buffer.concat(this.#log).toString()
  }

  forgetLog(): void {
    this.#log.length = 0
    this.#logBytes = 0
  }

  /** kill -9. */
  async end(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  #settle(message: Extract<ChildMessage<Report>, { readonly id: number }>): void {
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (message.type === 'done') waiting?.resolve(message.value)
    else waiting?.reject(new Error(message.text))
  }

  #keep(chunk: Buffer): void {
    this.#log.push(chunk)
    this.#logBytes += chunk.length
    while (this.#logBytes > MAX_LOG_BYTES && this.#log.length > 1) this.#logBytes -= this.#log.shift()!.length
  }
}

/** The other end: the program carries out commands, each answered when it is done. */
export const serve = <Command, Report>(obey: (command: Command) => unknown): { report(report: Report): void } => {
  const say = (message: ChildMessage<Report>): void => {
    // Whoever started this may be gone.
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }
  process.on('message', ({ id, command }: CommandMessage<Command>) => {
    Promise.resolve()
      .then(() => obey(command))
      .then(
        (value) => say({ type: 'done', id, value }),
        (error: unknown) => say({ type: 'failed', id, text: describe(error) }),
      )
  })
  process.on('disconnect', () => process.exit(0))
  say({ type: 'ready' })
  return { report: (report) => say({ type: 'report', report }) }
}

const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? `${String(error.code)} ` : ''
  const attempts = 'attempts' in error && Array.isArray(error.attempts) ? ` ${JSON.stringify(error.attempts)}` : ''
  return `${code}${error.message}${attempts}`
}

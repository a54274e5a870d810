/** One member's process as the director sees it: started, told what to do, killed, paused. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LanHost } from '../support/lan.ts'
import type { MemberCommand, MemberOptions, MemberReport, MemberState } from './protocol.ts'

const MEMBER = fileURLToPath(new URL('./member.ts', import.meta.url))

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

export class MemberProcess {
  readonly options: MemberOptions
  state: 'down' | 'starting' | 'running' | 'paused' | 'leaving' = 'down'
  #child: ChildProcess | undefined
  readonly #host: Pick<LanHost, 'spawn'>
  readonly #onReport: (report: MemberReport) => void
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(host: Pick<LanHost, 'spawn'>, options: MemberOptions, onReport: (report: MemberReport) => void) {
    this.#host = host
    this.options = options
    this.#onReport = onReport
  }

  get name(): string {
    return this.options.name
  }

  /** Of its process, which is there from `start` on. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Starts the process without the node, so that `start` is quick. */
  async prepare(): Promise<void> {
    this.state = 'starting'
    const child = this.#host.spawn(process.execPath, ['--import', 'tsx', MEMBER], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    const ready = new Promise<void>((resolve) => {
      child.on('message', (report: MemberReport) => {
        if (report.type === 'ready') resolve()
        else if (report.type === 'done' || report.type === 'failed') this.#settle(report)
        // What is left in the channel of a killed one is of the past.
        else if (this.#child === child) this.#onReport(report)
      })
    })
    child.once('exit', (code, signal) => {
      if (this.#child === child && this.state !== 'down' && this.state !== 'leaving') {
        this.#onReport({ type: 'violation', text: `the process ended unasked: ${signal ?? code}` })
      }
      for (const { reject } of this.#waiting.values()) reject(new Error(`${this.name} is gone`))
      this.#waiting.clear()
    })
    await ready
  }

  async start(): Promise<void> {
    if (this.state !== 'starting') await this.prepare()
    await this.tell({ do: 'start', options: this.options })
    this.state = 'running'
  }

  tell(command: MemberCommand): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child?.send({ id, command }, (error) => error !== null && reject(error))
    })
  }

  async look(): Promise<MemberState> {
    return (await this.tell({ do: 'state' })) as MemberState
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.state = 'down'
    await this.#end('SIGKILL')
  }

  pause(): void {
    this.state = 'paused'
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
    this.state = 'running'
  }

  /** Drains or stops, then ends the process. */
  async leave(command: MemberCommand): Promise<void> {
    this.state = 'leaving'
    await this.tell(command)
    this.state = 'down'
    await this.#end('SIGKILL')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await gone
  }

  #settle(report: Extract<MemberReport, { type: 'done' | 'failed' }>): void {
    const waiting = this.#waiting.get(report.id)
    this.#waiting.delete(report.id)
    if (report.type === 'done') waiting?.resolve(report.value)
    else waiting?.reject(new Error(report.text))
  }
}

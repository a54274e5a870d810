/** One member's process as the director sees it: started, told what to do, killed, paused. */
import { fileURLToPath } from 'node:url'
import { CommandedProcess } from '../support/commanded-process.ts'
import type { LanHost } from '../support/lan.ts'
import type { MemberCommand, MemberOptions, MemberReport, MemberState } from './protocol.ts'

const MEMBER = fileURLToPath(new URL('./member.ts', import.meta.url))

export class MemberProcess {
  readonly options: MemberOptions
  state: 'down' | 'starting' | 'running' | 'paused' | 'leaving' = 'down'
  #process: CommandedProcess<MemberCommand, MemberReport> | undefined
  readonly #host: Pick<LanHost, 'spawn'>
  readonly #onReport: (report: MemberReport) => void

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
    return this.#process?.child.pid ?? 0
  }

  /** Starts the process without the node, so that `start` is quick. */
  async prepare(): Promise<void> {
    this.state = 'starting'
    const child = this.#host.spawn(process.execPath, ['--import', 'tsx', MEMBER], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const started = new CommandedProcess<MemberCommand, MemberReport>(this.name, child, {
      report: this.#onReport,
      endedUnasked: (how) => {
        if (this.state === 'leaving') return
        this.#onReport({ type: 'violation', text: `the process ended unasked: ${how}` })
      },
    })
    this.#process = started
    await started.ready
  }

  async start(): Promise<void> {
    if (this.state !== 'starting') await this.prepare()
    await this.tell({ do: 'start', options: this.options })
    this.state = 'running'
  }

  async tell(command: MemberCommand): Promise<unknown> {
    return this.#process?.tell(command)
  }

  async look(): Promise<MemberState> {
    return (await this.tell({ do: 'state' })) as MemberState
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.state = 'down'
    await this.#process?.kill()
  }

  pause(): void {
    this.state = 'paused'
    this.#process?.child.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.child.kill('SIGCONT')
    this.state = 'running'
  }

  /** Drains or stops, then ends the process. */
  async leave(command: MemberCommand): Promise<void> {
    this.state = 'leaving'
    await this.tell(command)
    this.state = 'down'
    await this.#process?.kill()
  }
}

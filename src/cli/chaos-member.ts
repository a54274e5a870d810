/**
 * One member of the chaos, over all its lives: the process that runs its node now, how it is ended, and how it comes back
 * with the same key.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { processEnvironment } from '../config.ts'
import { AskedProcess } from './asked-process.ts'
import type { ChaosEvent, ChaosQuestions, ChaosView } from './chaos-protocol.ts'

const HOST = '127.0.0.1'
/** Starting takes a second, and much longer where a machine is busy. A process that does not get there is killed. */
const START_TIMEOUT_MS = 120_000
/** A stop takes at most 3.5 s (node.ts); whatever is there after this is killed. */
const STOP_TIMEOUT_MS = 6000

/** What all members have in common. */
interface ChaosCluster {
  /** The file of the program itself. */
  readonly entry: string
  readonly cluster: string
  readonly cookie: string
  /** Folder of their keys. */
  readonly folder: string
  readonly heard: (member: ChaosMember, event: ChaosEvent) => void
  /** Its process ended, and nobody had ended it. */
  readonly lost: (member: ChaosMember, how: string) => void
}

class ChaosProcess extends AskedProcess<ChaosQuestions, ChaosEvent> {
  readonly #onEvent: (event: ChaosEvent) => void

  constructor(label: string, entry: string, onEvent: (event: ChaosEvent) => void) {
    super({ label, entry, command: 'chaos-node', environment: bareEnvironment() })
    this.#onEvent = onEvent
  }

  protected override heard(event: ChaosEvent): void {
    this.#onEvent(event)
  }
}

export class ChaosMember {
  readonly label: string
  /** name@host */
  readonly name: string
  readonly #cluster: ChaosCluster
  #process: ChaosProcess | undefined
  #port: number | undefined
  /** Calls that got their reply: of its processes that are gone, and of the one that runs, when it was looked at last. */
  #answeredBefore = 0
  #answeredNow = 0

  constructor(label: string, cluster: ChaosCluster) {
    this.label = label
    this.name = `${label}@${HOST}`
    this.#cluster = cluster
  }

  /** Where it listens, while it runs. */
  get address(): string | undefined {
    return this.#port === undefined ? undefined : `${HOST}:${this.#port}`
  }

  async start(seeds: readonly string[]): Promise<void> {
    const { entry, cluster, cookie, folder, heard, lost } = this.#cluster
    const process = new ChaosProcess(this.label, entry, (event) => heard(this, event))
    this.#process = process
    void process.exited.then((how) => {
      if (this.#process === process) lost(this, how)
    })
    const identity = join(folder, `${this.label}.json`)
    const timer = setTimeout(() => process.kill(), START_TIMEOUT_MS)
    try {
      this.#port = await process.ask('start', { name: this.name, cluster, cookie, identity, seeds })
    } finally {
      clearTimeout(timer)
    }
  }

  async view(): Promise<ChaosView> {
    const view = await this.#ask((process) => process.ask('view', null))
    this.#answeredNow = view.answered
    return view
  }

  /** Calls that got their reply, as far as was seen. */
  get answered(): number {
    return this.#answeredBefore + this.#answeredNow
  }

  /** A member that ends meanwhile does not answer, and need not. */
  async tell(what: 'grab' | 'drop', name: string): Promise<void> {
    if (this.#port !== undefined) await this.#ask((process) => process.ask(what, name)).catch(() => {})
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const process = this.#leave()
    process?.kill()
    await process?.exited
  }

  /** It says goodbye and ends. */
  async stop(): Promise<void> {
    const process = this.#leave()
    if (process === undefined) return
    const timer = setTimeout(() => process.kill(), STOP_TIMEOUT_MS)
    await process.ask('stop', null).catch(() => {})
    await process.exited
    clearTimeout(timer)
  }

  pause(): void {
    this.#process?.signal('SIGSTOP')
  }

  resume(): void {
    this.#process?.signal('SIGCONT')
  }

  /** From now on its process ends because it was told to. */
  #leave(): ChaosProcess | undefined {
    const process = this.#process
    this.#process = undefined
    this.#port = undefined
    this.#answeredBefore += this.#answeredNow
    this.#answeredNow = 0
    return process
  }

  #ask<T>(question: (process: ChaosProcess) => Promise<T>): Promise<T> {
    return this.#process === undefined ? Promise.reject(new Error(`${this.label} is down`)) : question(this.#process)
  }
}

/** What each of them sees; or why there is none, if one has ended, or is silent until the limit or an interruption. */
export const viewsOf = async (
  members: readonly Pick<ChaosMember, 'label' | 'view'>[],
  limitMs: number,
  interrupted: AbortSignal,
): Promise<readonly ChaosView[] | string> => {
  const over = new AbortController()
  const silent = new Set(members)
  const view = async (member: Pick<ChaosMember, 'label' | 'view'>): Promise<ChaosView> => {
    const seen = await member.view()
    silent.delete(member)
    return seen
  }
  const late = async (): Promise<string> => {
    await sleep(limitMs, undefined, { signal: AbortSignal.any([over.signal, interrupted]) }).catch(() => {})
    return `${[...silent].map(({ label }) => label).join(', ')} did not answer`
  }
  try {
    return await Promise.race([Promise.all(members.map(view)), late()])
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    over.abort()
  }
}

/** The user's own settings shall not lead these nodes elsewhere. */
const bareEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(processEnvironment()).filter(([name]) => !name.startsWith('SKEIN_')))

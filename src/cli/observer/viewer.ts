/**
 * One open page: a stream of server-sent events (HTML Living Standard, section 9.2) with the cluster, and with what this
 * page looks at in particular, every second.
 *
 * A page that does not read gets nothing more until it has, and is given up after a while. What it then gets is the state
 * of that moment, so nothing piles up here.
 */
import type { ServerResponse } from 'node:http'
import { isSkeinError } from '../../../certs/errors.ts'
import { safeMessage } from '../../safe-text.ts'
import { toJson } from '../output.ts'
import { ASK_TIMEOUT_MS, type ClusterWatch } from './cluster-watch.ts'
import type { EventLog } from './event-log.ts'
import type { Messages } from './messages.ts'

const TICK_MS = 1000
/** A change is told at once, and several together. */
const CHANGE_DELAY_MS = 40
/** Bytes that may wait for a page before it gets nothing more. */
const MAX_WAITING_BYTES = 1 << 20
const GIVE_UP_TICKS = 15
const DHT_TICKS = 5
const MAX_NAME = 255
const MAX_PID_TEXT = 512

/** What a page looks at beside the cluster. */
export interface Look {
  readonly node: string | undefined
  /** The text of a pid of that node. */
  readonly process: string | undefined
  /** A page of its processes: those with a greater number. */
  readonly after: number | undefined
  readonly dht: boolean
  /** The last entry of the log that it has. */
  readonly since: number
}

export const lookOf = (query: URLSearchParams): Look => {
  const text = (name: string, max: number): string | undefined => query.get(name)?.slice(0, max) || undefined
  const number = (name: string): number | undefined =>
    /^\d{1,15}$/.test(query.get(name) ?? '') ? Number(query.get(name)) : undefined
  return {
    node: text('node', MAX_NAME),
    process: text('process', MAX_PID_TEXT),
    after: number('after'),
    dht: query.has('dht'),
    since: number('since') ?? 0,
  }
}

export interface ViewerParts {
  readonly watch: ClusterWatch
  readonly log: EventLog
  readonly response: ServerResponse
  readonly look: Look
}

export class Viewer {
  readonly #parts: ViewerParts
  readonly #timer: NodeJS.Timeout
  #change: NodeJS.Timeout | undefined
  #isClusterNews = false
  #ticks = 0
  #stuckTicks = 0
  #logged: number
  /** Points of the node that this page has. */
  #pointsSeen: { readonly node: object; readonly made: number } | undefined
  #asking = false

  constructor(parts: ViewerParts) {
    this.#parts = parts
    this.#logged = parts.look.since
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#tick()
  }

  /** The state of a node: to be told soon, not only with the next tick. */
  changed(): void {
    this.#isClusterNews = true
    this.logged()
  }

  /** Something new is in the log: that alone is told, since the cluster as a whole is large. */
  logged(): void {
    this.#change ??= setTimeout(() => {
      this.#change = undefined
      if (this.#isStuck) return
      if (this.#isClusterNews) this.#tellCluster()
      this.#tellLog()
    }, CHANGE_DELAY_MS)
  }

  end(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#change)
    this.#parts.response.end()
  }

  get #isStuck(): boolean {
    return this.#parts.response.writableLength > MAX_WAITING_BYTES
  }

  #tick(): void {
    this.#stuckTicks = this.#isStuck ? this.#stuckTicks + 1 : 0
    if (this.#stuckTicks >= GIVE_UP_TICKS) this.#parts.response.destroy()
    if (this.#isStuck) return
    this.#tellCluster()
    this.#tellLog()
    this.#tellNode()
    void this.#ask()
    this.#ticks++
  }

  #send<K extends keyof Messages>(type: K, message: Messages[K]): void {
    if (!this.#parts.response.writableEnded) this.#parts.response.write(`event: ${type}\ndata: ${toJson(message)}\n\n`)
  }

  #tellCluster(): void {
    this.#isClusterNews = false
    this.#send('cluster', this.#parts.watch.view())
  }

  /** The first time also if there is nothing: so a page knows what is new from then on. */
  #tellLog(): void {
    const entries = this.#parts.log.after(this.#logged)
    if (entries.length === 0 && this.#ticks > 0) return
    this.#logged = entries.at(-1)?.id ?? this.#logged
    this.#send('log', entries)
  }

  #tellNode(): void {
    const { watch, look } = this.#parts
    const node = look.node === undefined ? undefined : watch.nodeNamed(look.node)
    if (node === undefined) return
    const whole = this.#pointsSeen?.node !== node
    const points = node.points(whole ? Number.POSITIVE_INFINITY : node.pointsMade - (this.#pointsSeen?.made ?? 0))
    this.#pointsSeen = { node, made: node.pointsMade }
    // Pids become texts on their way: see Json.
    const snapshot = node.snapshot as Messages['node']['snapshot']
    this.#send('node', { name: node.name, snapshot, points, whole })
  }

  /** What has to be asked for: at most one question is under way. */
  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      await this.#askNode()
    } catch (error) {
      const text = isSkeinError(error) ? `${error.message} (${error.code})` : safeMessage(error)
      this.#send('failed', { what: this.#parts.look.process === undefined ? 'node' : 'process', text })
    } finally {
      this.#asking = false
    }
  }

  async #askNode(): Promise<void> {
    const { watch, look } = this.#parts
    const { node, after } = look
    if (node === undefined || watch.nodeNamed(node)?.state !== 'up') return
    const patience = { timeoutMs: ASK_TIMEOUT_MS }
    if (look.process !== undefined) {
      const number = Number(/\.(\d{1,15})>$/.exec(look.process)?.[1])
      const process = number > 0 ? await watch.observer.process(node, number, patience) : undefined
      // The same number in another incarnation is another process.
      const isSame = String(process?.pid) === look.process
      const told = (isSame ? process : undefined) as Messages['process']['process']
      this.#send('process', { node, pid: look.process, process: told })
    }
    if (after !== undefined) {
      const page = (await watch.observer.processes(node, { after, ...patience })) as unknown
      this.#send('processes', { node, after, page: page as Messages['processes']['page'] })
    }
    if (look.dht && this.#ticks % DHT_TICKS === 0) {
      this.#send('dht', { node, dht: await watch.dht(node) })
    }
  }
}

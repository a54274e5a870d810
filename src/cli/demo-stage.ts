/**
 * The stage of the demo: the node processes, the cluster they share, and the folder with their keys.
 *
 * Cluster, cookie and keys are made up for one run and gone after it; nothing of the user's own is read or changed.
 * Invariant: after `clear` no process is left.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandom } from '../../transport/random.ts'
import { processEnvironment } from '../config.ts'
import { DemoChild, type Timed } from './demo-child.ts'
import type { DemoEvent, DemoStarted } from './demo-protocol.ts'

const CLUSTER_TAG_BYTES = 2
const COOKIE_BYTES = 32
const KILL_TIMEOUT_MS = 1000

export type NodeUp = Extract<DemoEvent, { type: 'nodeup' }>
export type NodeDown = Extract<DemoEvent, { type: 'nodedown' }>

/** A node process that runs, and what its node said of itself. */
export interface Player extends DemoStarted {
  readonly label: string
  readonly child: DemoChild
}

export class DemoStage {
  readonly cluster = `demo-${randomHex(CLUSTER_TAG_BYTES)}`
  readonly #entry: string
  readonly #cookie = randomHex(COOKIE_BYTES)
  readonly #folder: string
  readonly #children: DemoChild[] = []

  private constructor(entry: string, folder: string) {
    this.#entry = entry
    this.#folder = folder
  }

  /** `entry` is the file of the command itself. */
  static async build(entry: string): Promise<DemoStage> {
    return new DemoStage(entry, await mkdtemp(join(tmpdir(), 'skein-demo-')))
  }

  /** Starts a node process; the same label gets the same key. */
  async start(label: string, options: { seeds?: readonly string[]; cookie?: string } = {}): Promise<Player> {
    const child = new DemoChild(label, this.#entry, childEnvironment())
    this.#children.push(child)
    const { seeds = [], cookie = this.#cookie } = options
    const identity = join(this.#folder, `${label}.json`)
    const started = await child.ask('start', { name: label, cluster: this.cluster, cookie, identity, seeds })
    return { ...started, label, child }
  }

  /** Kills whoever is left and removes the keys. */
  async clear(): Promise<void> {
    for (const child of this.#children) child.kill()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, KILL_TIMEOUT_MS)
    })
    await Promise.race([Promise.all(this.#children.map((child) => child.exited)), late])
    clearTimeout(timer)
    await rm(this.#folder, { recursive: true, force: true })
  }
}

export const randomHex = (bytes: number): string => Buffer.from(systemRandom.bytes(bytes)).toString('hex')

/** `watcher` is connected to this very incarnation of `other`. */
export const sawUp = (watcher: Player, other: Player): Promise<Timed<NodeUp>> =>
  watcher.child.event((event): event is NodeUp => event.type === 'nodeup' && event.incarnation === other.incarnation)

export const sawDown = (watcher: Player, other: Player, sinceMs: number): Promise<Timed<NodeDown>> =>
  watcher.child.event((event): event is NodeDown => event.type === 'nodedown' && event.node === other.name, sinceMs)

/** The user's own settings shall not lead the demo's nodes elsewhere; only which kinds of discovery to use is kept. */
const childEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(processEnvironment()).filter(([name]) => !name.startsWith('SKEIN_') || name === 'SKEIN_DISCOVERY'),
  )

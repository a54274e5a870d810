/**
 * Watches a cluster from a hidden node: connects to every member it hears of, pings each a few times a second, so that one
 * that is killed shows within two seconds, and takes a snapshot of each every second (`node.observer`).
 *
 * It changes nothing. A node that does not answer costs its own entry. All of it is bounded: nodes, dials at once, time.
 */
import { isSkeinError } from '../../../certs/errors.ts'
import { formatAddress } from '../../../transport/address.ts'
import { isNodeName } from '../../cluster/node-name.ts'
import type { FollowedEvent } from '../../event-followers.ts'
import type { NodeEvent } from '../../event-stream.ts'
import type { SkeinNode } from '../../node.ts'
import { saidOf } from '../../observe/check-snapshot.ts'
import type { Pid } from '../../pid.ts'
import { safeMessage } from '../../safe-text.ts'
import { SYSTEM_PROCESS, type SystemReply } from '../../system-process.ts'
import { nodeListener } from '../node-listener.ts'
import { type DhtView, dhtViewOf } from './dht-view.ts'
import { entryOf, isNews, toldEntryOf } from './event-entry.ts'
import type { NewEntry } from './event-log.ts'
import type { ClusterView } from './messages.ts'
import { WatchedNode } from './watched-node.ts'

/** Nodes watched; the others are counted. */
const MAX_NODES = 200
/** Silence shows after a pause, a ping that is not answered and a second one: 250 + 700 + 500 ms, well within two seconds. */
const BEAT_MS = 250
const PING_TIMEOUT_MS = 700
const SECOND_PING_TIMEOUT_MS = 500
/** On a long way the answer takes its time: so many round trips, within reason. */
const PATIENT_ROUND_TRIPS = 4
const MAX_PATIENCE_MS = 3000
const SNAPSHOT_INTERVAL_MS = 1000
/** With many nodes a snapshot of each comes less often: so much later for each node. */
const INTERVAL_PER_NODE_MS = 20
export const ASK_TIMEOUT_MS = 3000
const MAX_DIALS = 8
/** Of one node: what floods the log shows nothing. */
const EVENTS_PER_BEAT = 10
const MIN_PAUSE_MS = 1000
const MAX_PAUSE_MS = 10_000
/** A node that has left is shown for so long, one that was lost longer. */
const SHOW_LEFT_MS = 60_000
const SHOW_DOWN_MS = 15 * 60_000

/** What is under way for one node. */
interface Upkeep {
  pinging: boolean
  taking: boolean
  dialling: boolean
  nextSnapshotMs: number
  nextDialMs: number
  pauseMs: number
  /** Where it was last. */
  address: string | undefined
  /** The process that its events come to. */
  follower: Pid | undefined
  /** Events of it that are still logged in this beat, and those that were not. */
  eventsLeft: number
  eventsDropped: number
}

interface Watched extends Upkeep {
  readonly node: WatchedNode
}

export interface ClusterWatchOptions {
  /** A hidden one. */
  readonly node: SkeinNode
  readonly cluster: string
  readonly log: (entry: NewEntry) => void
  /** The state of a node has changed. */
  readonly changed: () => void
}

export class ClusterWatch {
  readonly #options: ClusterWatchOptions
  readonly #watched = new Map<string, Watched>()
  readonly #leftOut = new Set<string>()
  #dials = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: ClusterWatchOptions) {
    this.#options = options
  }

  /** Until the node stops. Those that are connected already are watched at once. */
  async run(): Promise<void> {
    const { node, log } = this.#options
    const events = node.events[Symbol.asyncIterator]()
    for (const { name, hidden, address } of node.connectedNodes()) {
      if (!hidden) this.#connected(name, formatAddress(address))
    }
    this.#timer = setInterval(() => this.#beat(), BEAT_MS)
    this.#beat()
    try {
      for (let next = await events.next(); next.done !== true; next = await events.next()) {
        const entry = entryOf(next.value, node.name)
        if (entry !== undefined) log(entry)
        this.#heed(next.value)
      }
    } finally {
      clearInterval(this.#timer)
    }
  }

  view(): ClusterView {
    const nodes = [...this.#watched.values()].map(({ node }) => node.view())
    nodes.sort((one, other) => (one.name < other.name ? -1 : 1))
    return { cluster: this.#options.cluster, at: Date.now(), nodes, leftOut: this.#leftOut.size }
  }

  nodeNamed(name: string): WatchedNode | undefined {
    return this.#watched.get(name)?.node
  }

  /** Undefined for a node without a DHT. Rejects as a call. */
  async dht(name: string): Promise<DhtView | undefined> {
    const target = { name: SYSTEM_PROCESS, node: name }
    const reply = saidOf(await this.#options.node.call(target, { type: 'dht' }, { timeoutMs: ASK_TIMEOUT_MS }))
    return reply.type === 'dht' ? dhtViewOf(reply.dht) : undefined
  }

  get observer(): SkeinNode['observer'] {
    return this.#options.node.observer
  }

  #heed(event: NodeEvent): void {
    if (event.type === 'nodeup' && !event.hidden) this.#connected(event.node, formatAddress(event.address))
    if (event.type !== 'nodedown') return
    const watched = this.#watched.get(event.node)
    if (watched === undefined) return
    this.#unfollow(watched)
    const isAgreed = event.reason === 'disconnect' || event.reason === 'idle'
    const state = event.reason === 'shutdown' ? 'left' : isAgreed ? 'joining' : 'down'
    this.#become(watched, state, state === 'left' ? 'it was stopped' : `the connection was lost: ${event.reason}`)
    watched.nextDialMs = performance.now() + MIN_PAUSE_MS
    watched.pauseMs = MIN_PAUSE_MS
  }

  #connected(name: string, address: string): void {
    const watched = this.#watch(name)
    if (watched === undefined) return
    watched.address = address
    watched.pauseMs = MIN_PAUSE_MS
    watched.nextSnapshotMs = 0
    this.#follow(watched)
    this.#become(watched, 'up', '')
  }

  /** What happens on that node comes to a process of ours, for as long as the connection lasts. */
  #follow(watched: Watched): void {
    this.#unfollow(watched)
    if (!this.#options.node.isAlive) return
    const { name } = watched.node
    const listener = nodeListener(name, (self) => ({
      work: async () => {
        const target = { name: SYSTEM_PROCESS, node: name }
        // A node that does not know the question, or whose rights forbid it, is watched all the same.
        const reply = await self.call(target, { type: 'follow' }, { timeoutMs: ASK_TIMEOUT_MS }).catch(() => undefined)
        if ((reply as Partial<SystemReply> | undefined)?.type === 'following') watched.node.isFollowed = true
      },
      heard: (message) => this.#heardOf(watched, message as Partial<FollowedEvent> | undefined),
      happened: () => {},
    }))
    watched.follower = this.#options.node.spawn(listener)
  }

  #unfollow(watched: Watched): void {
    if (watched.follower !== undefined) this.#options.node.exit(watched.follower, 'shutdown')
    watched.follower = undefined
    watched.node.isFollowed = false
  }

  #heardOf(watched: Watched, message: Partial<FollowedEvent> | undefined): void {
    const { name } = watched.node
    const event = message?.event
    if (!isNews(event, name)) return
    if (watched.eventsLeft-- > 0) this.#options.log(toldEntryOf(event, name))
    else watched.eventsDropped++
  }

  #refill(watched: Watched): void {
    watched.eventsLeft = EVENTS_PER_BEAT
    if (watched.eventsDropped === 0) return
    this.#tell(watched, 'more', 'warning', `${watched.eventsDropped} more events, too many to be shown`)
    watched.eventsDropped = 0
  }

  #become({ node }: Watched, state: Parameters<WatchedNode['become']>[0], why: string): void {
    if (node.become(state, why, Date.now())) this.#options.changed()
  }

  #watch(name: string): Watched | undefined {
    const known = this.#watched.get(name)
    if (known !== undefined) return known
    if (this.#watched.size >= MAX_NODES) {
      if (this.#leftOut.size < MAX_NODES) this.#leftOut.add(name)
      return undefined
    }
    const watched: Watched = {
      node: new WatchedNode(name, Date.now(), this.#options.log),
      pinging: false,
      taking: false,
      dialling: false,
      nextSnapshotMs: 0,
      nextDialMs: 0,
      pauseMs: MIN_PAUSE_MS,
      address: undefined,
      follower: undefined,
      eventsLeft: EVENTS_PER_BEAT,
      eventsDropped: 0,
    }
    this.#watched.set(name, watched)
    return watched
  }

  #beat(): void {
    const { node } = this.#options
    if (!node.isAlive) return
    const nowMs = performance.now()
    const connected = new Set(node.connectedNodes().map(({ name }) => name))
    for (const watched of [...this.#watched.values()]) {
      this.#refill(watched)
      if (connected.has(watched.node.name)) {
        if (!watched.pinging) void this.#ping(watched)
        if (!watched.taking && nowMs >= watched.nextSnapshotMs) void this.#take(watched)
      } else {
        if (this.#forgetOld(watched)) continue
        if (!watched.dialling && nowMs >= watched.nextDialMs) void this.#dial(watched)
      }
    }
  }

  async #ping(watched: Watched): Promise<void> {
    const { node } = this.#options
    const { name } = watched.node
    const patienceMs = Math.min(MAX_PATIENCE_MS, (watched.node.pingMs ?? 0) * PATIENT_ROUND_TRIPS)
    watched.pinging = true
    try {
      const first = node.ping(name, { timeoutMs: Math.max(PING_TIMEOUT_MS, patienceMs) })
      watched.node.pingMs = await first.catch(() =>
        node.ping(name, { timeoutMs: Math.max(SECOND_PING_TIMEOUT_MS, patienceMs) }),
      )
      if (this.#isConnected(name)) this.#answered(watched)
    } catch (error) {
      if (this.#isConnected(name)) this.#silent(watched, safeMessage(error))
    } finally {
      watched.pinging = false
    }
  }

  #isConnected(name: string): boolean {
    return this.#options.node.connectedNodes().some((one) => one.name === name)
  }

  #answered(watched: Watched): void {
    if (watched.node.state === 'silent') this.#tell(watched, 'answers', 'good', 'answers again')
    this.#become(watched, 'up', '')
  }

  #silent(watched: Watched, why: string): void {
    if (watched.node.state === 'up') this.#tell(watched, 'silent', 'bad', 'does not answer')
    this.#become(watched, 'silent', why)
  }

  #tell({ node }: Watched, type: string, level: NewEntry['level'], text: string): void {
    this.#options.log({ node: node.name, type, level, text })
  }

  async #take(watched: Watched): Promise<void> {
    const { node } = watched
    watched.taking = true
    const interval = Math.max(SNAPSHOT_INTERVAL_MS, INTERVAL_PER_NODE_MS * this.#watched.size)
    watched.nextSnapshotMs = performance.now() + interval
    const { nodes } = await this.observer.snapshot({ nodes: [node.name], timeoutMs: ASK_TIMEOUT_MS })
    watched.taking = false
    const [observed] = nodes
    if (observed?.status !== 'ok') {
      // Such as a right that the observer does not have: it says so, and is up all the same.
      node.trouble = observed?.message ?? ''
      return
    }
    node.take(observed.snapshot, Date.now())
    for (const { node: peer, hidden } of observed.snapshot.connections.list) {
      if (!hidden && isNodeName(peer) && peer !== this.#options.node.name) this.#watch(peer)
    }
  }

  async #dial(watched: Watched): Promise<void> {
    if (this.#dials >= MAX_DIALS) return
    const { node } = this.#options
    const { name } = watched.node
    this.#dials++
    watched.dialling = true
    try {
      await node.connect(name).catch(async (error: unknown) => {
        // Discovery may have forgotten where it was.
        if (watched.address === undefined || !isSkeinError(error, 'ERR_SKEIN_NODE_UNKNOWN')) throw error
        return node.connect(watched.address)
      })
    } catch (error) {
      if (watched.node.state === 'joining')
        watched.node.become('joining', `not reached yet: ${safeMessage(error)}`, Date.now())
    } finally {
      this.#dials--
      watched.dialling = false
      watched.nextDialMs = performance.now() + watched.pauseMs
      watched.pauseMs = Math.min(MAX_PAUSE_MS, watched.pauseMs * 2)
    }
  }

  /** True: it is gone for long and shown no more. Others may still know of it, and then it comes back. */
  #forgetOld({ node }: Watched): boolean {
    const shownMs = node.state === 'left' ? SHOW_LEFT_MS : SHOW_DOWN_MS
    if (Date.now() - node.sinceMs < shownMs) return false
    this.#watched.delete(node.name)
    this.#leftOut.clear()
    this.#options.changed()
    return true
  }
}

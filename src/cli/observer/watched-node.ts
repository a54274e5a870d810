/**
 * One node as the observer knows it: whether it answers, its last snapshot, and the figures of the last five minutes.
 *
 * Pure bookkeeping: cluster-watch.ts asks, and says here what came of it and when.
 */
import type { NodeSnapshot } from '../../observe/snapshot.ts'
import type { NewEntry } from './event-log.ts'
import type { LinkView, NodeState, NodeView, Point } from './messages.ts'

/** Five minutes of one each second. */
const MAX_POINTS = 300
const TREND_POINTS = 60
/** Packets lost within a minute are shown. */
const LOSS_MS = 60_000
/** Links of one node that are shown. */
const MAX_LINKS = 64
const MAX_WHY = 300

/** Counts that are news when they grow, and how the news reads. */
const NEWS: readonly { counter: string; type: string; level: NewEntry['level']; text: (count: number) => string }[] = [
  { counter: 'crashed', type: 'processCrashed', level: 'bad', text: (n) => `${of(n, 'process', 'processes')} crashed` },
  {
    counter: 'childRestarts',
    type: 'childRestarted',
    level: 'warning',
    text: (n) => `${of(n, 'child', 'children')} restarted`,
  },
  {
    counter: 'mailboxOverflows',
    type: 'mailboxOverflow',
    level: 'warning',
    text: (n) => `${of(n, 'mailbox', 'mailboxes')} began to overflow`,
  },
  {
    counter: 'deadLetters',
    type: 'deadLetter',
    level: 'warning',
    text: (n) => `${of(n, 'message', 'messages')} found nobody`,
  },
]

const of = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

type Links = ReadonlyMap<string, { readonly sent: number; readonly received: number; readonly lost: number }>

export class WatchedNode {
  readonly name: string
  id = ''
  pingMs: number | undefined
  snapshot: NodeSnapshot | undefined
  /** Its events are followed: what counts tell is no news. */
  isFollowed = false
  /** Why it gave no snapshot of itself the last time; empty where it did. */
  trouble = ''
  readonly #log: (entry: NewEntry) => void
  #state: NodeState = 'joining'
  #sinceMs: number
  #why = ''
  #points: Point[] = []
  #pointsMade = 0
  #takenMs = 0
  /** Lost packets by peer, for each snapshot of the last minute. */
  #losses: { readonly atMs: number; readonly byPeer: ReadonlyMap<string, number> }[] = []

  constructor(name: string, nowMs: number, log: (entry: NewEntry) => void) {
    this.name = name
    this.#sinceMs = nowMs
    this.#log = log
  }

  get state(): NodeState {
    return this.#state
  }

  get sinceMs(): number {
    return this.#sinceMs
  }

  /** True if that is new. */
  become(state: NodeState, why: string, nowMs: number): boolean {
    this.#why = why.slice(0, MAX_WHY)
    if (state === this.#state) return false
    this.#state = state
    this.#sinceMs = nowMs
    return true
  }

  /** A snapshot taken at `nowMs`. */
  take(snapshot: NodeSnapshot, nowMs: number): void {
    this.trouble = ''
    const before = this.snapshot
    if (before !== undefined && before.incarnation === snapshot.incarnation) {
      const seconds = Math.max(0.001, (nowMs - this.#takenMs) / 1000)
      this.#addPoint(before, snapshot, seconds, nowMs)
      this.#tellNews(before, snapshot)
    } else if (before !== undefined) {
      this.#losses = []
      this.#log({
        node: this.name,
        type: 'restarted',
        level: 'warning',
        text: 'is a new incarnation: it was started again',
      })
    }
    this.id = snapshot.id
    this.snapshot = snapshot
    this.#takenMs = nowMs
  }

  /** Points made so far, those that are not kept any more too. */
  get pointsMade(): number {
    return this.#pointsMade
  }

  /** The newest, at most so many; all for Infinity. */
  points(newest: number): readonly Point[] {
    return newest <= 0 ? [] : this.#points.slice(-newest)
  }

  view(): NodeView {
    const { name, id, pingMs, snapshot } = this
    const last = this.#points.at(-1)
    return {
      name,
      id,
      state: this.#state,
      since: this.#sinceMs,
      why: this.#state === 'up' ? this.trouble : this.#why,
      pingMs,
      figures: snapshot && {
        uptimeMs: snapshot.uptimeMs,
        processes: snapshot.processes.count,
        waiting: snapshot.mailboxes.messages,
        pressed: snapshot.mailboxes.pressed,
        utilisation: snapshot.eventLoop.utilisation,
        residentBytes: snapshot.memory.residentBytes,
        messagesPerS: messagesOf(last),
        bytesPerS: bytesOf(last),
      },
      links: this.#links(),
      trend: this.#points.slice(-TREND_POINTS).map((point) => Math.round(messagesOf(point))),
    }
  }

  #links(): LinkView[] {
    const members = (this.snapshot?.connections.list ?? []).filter(({ hidden }) => !hidden)
    return members.slice(0, MAX_LINKS).map(({ node: to, rttMs, way }) => {
      const lost = this.#losses.reduce((sum, { byPeer }) => sum + (byPeer.get(to) ?? 0), 0)
      return { to, rttMs, way, lost }
    })
  }

  #addPoint(before: NodeSnapshot, now: NodeSnapshot, seconds: number, nowMs: number): void {
    const rate = (counter: string): number => grown(before.counters[counter], now.counters[counter]) / seconds
    const [old, fresh] = [linksOf(before), linksOf(now)]
    let [out, into] = [0, 0]
    const byPeer = new Map<string, number>()
    for (const [peer, { sent, received, lost }] of fresh) {
      const then = old.get(peer)
      out += grown(then?.sent, sent)
      into += grown(then?.received, received)
      const gone = then === undefined ? 0 : grown(then.lost, lost)
      if (gone > 0) byPeer.set(peer, gone)
    }
    this.#losses = [...this.#losses.filter(({ atMs }) => nowMs - atMs < LOSS_MS), { atMs: nowMs, byPeer }]
    const list = now.connections.list
    const sum = (key: 'dedicatedLanes' | 'heldLanes' | 'queuedBytes'): number =>
      list.reduce((all, one) => all + one[key], 0)
    this.#points.push([
      nowMs,
      rate('signalsSent'),
      rate('signalsReceived'),
      rate('localMessages'),
      out / seconds,
      into / seconds,
      now.eventLoop.utilisation,
      now.eventLoop.maxLagMs,
      now.memory.residentBytes,
      now.memory.heapUsedBytes,
      now.mailboxes.messages,
      sum('dedicatedLanes'),
      sum('heldLanes'),
      sum('queuedBytes'),
    ])
    this.#pointsMade++
    if (this.#points.length > MAX_POINTS) this.#points.shift()
  }

  #tellNews(before: NodeSnapshot, now: NodeSnapshot): void {
    // What happens on a node that is followed comes as events, and in more words.
    for (const { counter, type, level, text } of this.isFollowed ? [] : NEWS) {
      const count = grown(before.counters[counter], now.counters[counter])
      if (count > 0) this.#log({ node: this.name, type, level, text: text(count) })
    }
    for (const { source, state, detail } of now.discovery) {
      const was = before.discovery.find((one) => one.source === source)?.state
      if (was === state || was === undefined) continue
      const level = state === 'failed' ? 'bad' : state === 'degraded' ? 'warning' : 'info'
      this.#log({ node: this.name, type: 'discoveryStatus', level, text: `${source} is ${state}: ${detail}` })
    }
  }
}

/** Sent, received and local ones. */
const messagesOf = (point: Point | undefined): number => (point?.[1] ?? 0) + (point?.[2] ?? 0) + (point?.[3] ?? 0)

/** Both ways. */
const bytesOf = (point: Point | undefined): number => (point?.[4] ?? 0) + (point?.[5] ?? 0)

/** Of hidden nodes, such as the observer, nothing is counted. */
const linksOf = ({ connections }: NodeSnapshot): Links =>
  new Map(
    connections.list
      .filter(({ hidden }) => !hidden)
      .map((one) => [one.node, { sent: one.sentBytes, received: one.receivedBytes, lost: one.lostPackets }]),
  )

/** A count that is smaller than before began anew. */
const grown = (before: number | undefined, now: number | undefined): number =>
  now === undefined ? 0 : before === undefined || now < before ? now : now - before

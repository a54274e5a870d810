/**
 * Dials every node that discovery knows, that the policy wants, and that is not connected.
 *
 * So that two nodes which find each other at once do not both dial, the one that started later goes first and the other
 * gives it a moment: a newcomer finds those who are there before they can know of it. Failures back off, doubling from 1
 * to 30 s with jitter, for mere addresses from the DHT to 5 minutes, and end when the node is connected by whatever way. A
 * member that was lost in silence is dialled more often for a while, since networks that split heal, and so are seeds and
 * the like by a node that is connected to nobody. A node that was disconnected on purpose is left alone until somebody asks
 * for it. What it does not do: find nodes, or decide who may join.
 */
import { type ErrorCode, isSkeinError } from '../../certs/errors.ts'
import type { KnownNode } from '../../discovery/table.ts'
import { sameAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { DownReason } from './session.ts'

/** The node that was there first waits this long for the other to dial. */
const ELDER_DELAY_MS = 1000
const MIN_BACKOFF_MS = 1000
const MAX_BACKOFF_MS = 30_000
/** For a member that was lost in silence, in the first minutes: after a partition everybody is back within seconds. */
const MAX_REJOIN_BACKOFF_MS = 2000
const REJOIN_MS = 10 * 60_000
/** A node that is connected to nobody makes about one dial a second in all, as one that knows thirty others does anyway, */
const ALONE_DIAL_INTERVAL_MS = 1000
/** and dials no node more often than this: many may have been started at once, before the one they know. */
const MIN_ALONE_BACKOFF_MS = 5000
/** For so long a member that was lost in silence is not forgotten, however often dialling it fails. */
const LOST_MEMBER_MEMORY_MS = 60 * 60_000
/** For an address that anybody may have put into the DHT, or that outlived its node there. */
const MAX_HEARSAY_BACKOFF_MS = 5 * 60_000
/** Such addresses whose silence is remembered when they come and go; twice as many as the DHT remembers at once. */
const MAX_SILENT = 1024
/** Spreads dials that would begin at the same moment. */
const JITTER_MS = 50
/** Dials of the mesh at once; the others wait their turn. */
const MAX_MESH_DIALS = 32
/** After so many failures in a row a node that only members told of is forgotten: some four minutes. */
const MAX_FAILURES = 12

export interface MeshHost {
  /** Connected, as this incarnation or a newer one. */
  isUp(id: string, incarnation: string | undefined): boolean
  /** Resolves with the id of the node that answered. */
  dial(node: KnownNode): Promise<string | undefined>
  /** The policy. `isLost`: it was lost in silence, not long ago. */
  wants(node: KnownNode, isLost: boolean): boolean
  /** Members shall no longer be believed about this node. */
  forget(id: string): void
  /** Nobody answered. */
  silent(node: KnownNode): void
}

interface Candidate {
  node: KnownNode
  dueMs: number
  failures: number
  dialling: boolean
  /** When it was lost in silence; undefined since it is back. */
  lostMs: number | undefined
  /** Of a node without an id (a seed): who answered last. */
  answeredBy: string | undefined
}

export interface MeshOptions {
  readonly selfId: string
  readonly selfIncarnation: string
  readonly clock: Clock
  readonly random: Random
  readonly host: MeshHost
}

export class Mesh {
  readonly #selfId: string
  readonly #selfIncarnation: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #host: MeshHost
  /** By key of the discovery table, which bounds them. */
  readonly #candidates = new Map<string, Candidate>()
  /** Disconnected on purpose; among the candidates, so bounded like them. */
  readonly #parted = new Set<string>()
  /** They stepped back from this node, or it from them: who did comes again. Among the candidates too. */
  readonly #apart = new Set<string>()
  /** Hearsay that nobody answered at, by key: how often in a row. The one that failed last is the last. */
  readonly #silent = new Map<string, number>()
  /** Nodes that are connected. */
  #connected = 0
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #dialling = 0
  /** Dials are due that wait for others to end. */
  #someWait = false
  #stopped = false

  constructor({ selfId, selfIncarnation, clock, random, host }: MeshOptions) {
    this.#selfId = selfId
    this.#selfIncarnation = selfIncarnation
    this.#clock = clock
    this.#random = random
    this.#host = host
  }

  /** Discovery found a node, or something new about one, which had another key if its place was that of another node. */
  known(node: KnownNode, formerKey = node.key): void {
    const former = formerKey === node.key ? undefined : this.#candidates.get(formerKey)
    if (former?.node.id !== undefined) this.lost(former.node)
    if (node.id !== undefined) this.#dropSeedsOf(node)
    const candidate = this.#candidates.get(node.key)
    if (candidate !== undefined) {
      const restarted = candidate.node.incarnation !== node.incarnation
      candidate.node = node
      if (restarted) candidate.failures = 0
      if (restarted && node.id !== undefined) this.#noLongerApart(node.id)
      this.#plan(candidate, Math.min(candidate.dueMs, this.#clock.now() + this.#firstDelayMs(node)))
      return
    }
    const failures = (isHearsay(node) ? this.#silent.get(node.key) : undefined) ?? 0
    const fresh: Candidate = { node, dueMs: 0, failures, dialling: false, lostMs: undefined, answeredBy: undefined }
    const delayMs = failures === 0 ? this.#firstDelayMs(node) : this.#backoffMs(fresh)
    this.#candidates.set(node.key, fresh)
    this.#plan(fresh, this.#clock.now() + delayMs)
  }

  /** No source of discovery sees it any more. */
  lost(node: KnownNode): void {
    this.#candidates.delete(node.key)
    if (node.id !== undefined) this.#noLongerApart(node.id)
  }

  up(id: string): void {
    this.#connected++
    this.#noLongerApart(id)
    const candidate = this.#candidates.get(id)
    if (candidate === undefined) return
    candidate.failures = 0
    candidate.lostMs = undefined
  }

  down(id: string, reason: DownReason): void {
    this.#connected--
    if (reason === 'disconnect' && this.#candidates.has(id)) this.#parted.add(id)
    if (reason === 'overlapping_partition' && this.#candidates.has(id)) this.#apart.add(id)
    if (reason === 'shutdown') this.#host.forget(id)
    for (const candidate of this.#candidates.values()) {
      if (candidate.node.id !== id && candidate.answeredBy !== id) continue
      // A seed whose node is not needed for now would otherwise be asked again who it is.
      if (reason !== 'idle') candidate.answeredBy = undefined
      candidate.failures = 0
      if (wasLost(reason)) candidate.lostMs = this.#clock.now()
      // What ended just now is rarely back at once.
      this.#plan(candidate, this.#clock.now() + MIN_BACKOFF_MS + this.#firstDelayMs(candidate.node))
    }
  }

  /** This node had stepped back, and comes again to all it left. */
  comeBack(): void {
    this.#apart.clear()
    const nowMs = this.#clock.now()
    for (const candidate of this.#candidates.values()) {
      candidate.failures = 0
      this.#plan(candidate, nowMs + this.#random.float() * JITTER_MS)
    }
  }

  /** The policy may want others than before. */
  changed(): void {
    for (const candidate of this.#candidates.values()) {
      if (!this.#wants(candidate)) continue
      this.#plan(candidate, Math.max(candidate.dueMs, this.#clock.now() + this.#firstDelayMs(candidate.node)))
    }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#candidates.clear()
  }

  #noLongerApart(id: string): void {
    this.#parted.delete(id)
    this.#apart.delete(id)
  }

  #firstDelayMs(node: KnownNode): number {
    // The first one has nobody to collide with.
    const jitterMs = this.#candidates.size === 0 ? 0 : this.#random.float() * JITTER_MS
    return this.#isElderThan(node) ? ELDER_DELAY_MS + jitterMs : jitterMs
  }

  /** Incarnations begin with the time of the start; ids decide where they tell nothing. */
  #isElderThan({ id, incarnation }: KnownNode): boolean {
    if (id === undefined) return false
    if (incarnation === undefined || incarnation === this.#selfIncarnation) return this.#selfId < id
    return this.#selfIncarnation < incarnation
  }

  /** A seed turned out to be this node: one candidate is enough. */
  #dropSeedsOf(node: KnownNode): void {
    for (const [key, candidate] of this.#candidates) {
      if (candidate.node.id !== undefined || key === node.key) continue
      const seed = candidate.node.addresses
      if (seed.every((address) => node.addresses.some((other) => sameAddress(address, other))))
        this.#candidates.delete(key)
    }
  }

  #plan(candidate: Candidate, dueMs: number): void {
    candidate.dueMs = dueMs
    if (this.#wants(candidate)) this.#arm(dueMs)
  }

  #arm(dueMs: number): void {
    if (this.#stopped || dueMs >= this.#timerAtMs || dueMs === Number.POSITIVE_INFINITY) return
    this.#timer?.cancel()
    this.#timerAtMs = dueMs
    this.#timer = this.#clock.after(dueMs - this.#clock.now(), () => this.#work(), true)
  }

  #wants(candidate: Candidate): boolean {
    const { node, dialling, answeredBy } = candidate
    const id = node.id ?? answeredBy
    if (dialling || node.addresses.length === 0) return false
    if (id !== undefined && (this.#parted.has(id) || this.#apart.has(id) || this.#host.isUp(id, node.incarnation)))
      return false
    return this.#host.wants(node, this.#wasLostWithin(candidate, LOST_MEMBER_MEMORY_MS))
  }

  #work(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY
    this.#someWait = false
    const nowMs = this.#clock.now()
    let nextMs = Number.POSITIVE_INFINITY
    for (const candidate of this.#candidates.values()) {
      if (!this.#wants(candidate)) continue
      if (candidate.dueMs > nowMs) nextMs = Math.min(nextMs, candidate.dueMs)
      else if (this.#dialling < MAX_MESH_DIALS) void this.#dial(candidate)
      else this.#someWait = true
    }
    this.#arm(nextMs)
  }

  async #dial(candidate: Candidate): Promise<void> {
    candidate.dialling = true
    this.#dialling++
    const { node } = candidate
    try {
      candidate.answeredBy = await this.#host.dial(node)
      candidate.failures = 0
      this.#silent.delete(node.key)
      // Connected, and yet not as the incarnation that discovery tells of: nothing that dialling again at once would change.
      if (this.#wants({ ...candidate, dialling: false })) {
        candidate.failures++
        candidate.dueMs = this.#clock.now() + this.#backoffMs(candidate)
      }
    } catch (error) {
      candidate.failures++
      const wasSilent = isSilence(error)
      candidate.dueMs = endedWith(error, 'ERR_SKEIN_SELF')
        ? Number.POSITIVE_INFINITY
        : this.#clock.now() + this.#backoffMs(candidate, wasSilent)
      if (isHearsay(node)) this.#noteSilence(node.key, candidate.failures)
      if (wasSilent) this.#host.silent(node)
      // Another key at its address: it was replaced, and what members told of it is out of date.
      const isGone = candidate.failures >= MAX_FAILURES && !this.#wasLostWithin(candidate, LOST_MEMBER_MEMORY_MS)
      const isStale = isGone || endedWith(error, 'ERR_SKEIN_CERT_FOREIGN')
      if (isStale && node.id !== undefined) this.#host.forget(node.id)
    }
    candidate.dialling = false
    this.#dialling--
    if (this.#someWait) this.#arm(this.#clock.now())
    else if (this.#wants(candidate)) this.#arm(candidate.dueMs)
  }

  #noteSilence(key: string, failures: number): void {
    this.#silent.delete(key)
    this.#silent.set(key, failures)
    for (const oldest of this.#silent.keys()) {
      if (this.#silent.size <= MAX_SILENT) break
      this.#silent.delete(oldest)
    }
  }

  #backoffMs(candidate: Candidate, wasSilent = false): number {
    const fullMs = Math.min(MIN_BACKOFF_MS * 2 ** (candidate.failures - 1), this.#maxBackoffMs(candidate, wasSilent))
    return fullMs * (0.75 + 0.5 * this.#random.float())
  }

  #maxBackoffMs(candidate: Candidate, wasSilent: boolean): number {
    const { node } = candidate
    if (this.#wasLostWithin(candidate, REJOIN_MS)) return MAX_REJOIN_BACKOFF_MS
    if (isHearsay(node)) return MAX_HEARSAY_BACKOFF_MS
    if (this.#connected > 0 || !wasSilent || !isFirstHand(node)) return MAX_BACKOFF_MS
    const aloneMs = Math.max(this.#candidates.size * ALONE_DIAL_INTERVAL_MS, MIN_ALONE_BACKOFF_MS)
    return Math.min(aloneMs, MAX_BACKOFF_MS)
  }

  #wasLostWithin({ lostMs }: Candidate, ms: number): boolean {
    return lostMs !== undefined && this.#clock.now() - lostMs < ms
  }
}

/** Whoever refuses is there. */
const isSilence = (error: unknown): boolean =>
  isSkeinError(error) && error.attempts.length > 0 && error.attempts.every(({ code }) => SILENT_ENDS.includes(code))

const SILENT_ENDS: readonly string[] = [
  'closed',
  'ERR_SKEIN_CONNECT_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_NO_RELAY',
] satisfies readonly (ErrorCode | 'closed')[]

/** Nobody wanted the end of that connection. */
export const wasLost = (reason: DownReason): boolean => reason === 'net_tick_timeout' || reason === 'connection_closed'

/** An address and nothing more, from the DHT's meeting point alone. */
const isHearsay = ({ id, sources }: KnownNode): boolean => id === undefined && sources.every((one) => one === 'dht')

/** It tells of itself on this network, or somebody configured it: no rumour. */
const isFirstHand = ({ sources }: KnownNode): boolean => sources.some((one) => one !== 'dht' && one !== 'peers')

const endedWith = (error: unknown, code: ErrorCode): boolean =>
  isSkeinError(error) && (error.code === code || error.attempts.some((attempt) => attempt.code === code))

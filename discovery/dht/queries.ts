/**
 * Queries under way: a random transaction id of 32 bits each, good only for an answer from the very address asked.
 *
 * An answer passes three moments. After a short timeout, taken from earlier round trips, the query is *late*: it is sent
 * once more, and whoever asked need not wait for it any longer. If that brings nothing within twice the time, it is
 * *silent*. After 3 s it has *failed* and is forgotten; until then an answer is welcome. So a dead node costs a lookup 50
 * ms to 1 s, and a slow one is still heard.
 *
 * What an answer says is not judged here, nor who may be asked. At most MAX_QUERIES are under way.
 */
import { type Address, sameAddress, unmapHost } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { encodeMessage } from './krpc.ts'
import type { DhtKey, Fault, Query, Reply } from './message.ts'
import { RoundTrip } from './round-trip.ts'
import type { Timetable } from './timetable.ts'

/** More than 100 lookups at once have. */
export const MAX_QUERIES = 2048
/** For a node never heard of, before others tell what is usual here. */
const UNKNOWN_TIMEOUT_MS = 400
/** How much longer the second try may take before a node counts as silent. */
const SILENT_FACTOR = 2
const HARD_LIMIT_MS = 3000
const TRANSACTION_BYTES = 4
/** What stands before a transaction id of ours in an answer. */
const TRANSACTION_KEY = Buffer.from(`1:t${TRANSACTION_BYTES}:`)
/** Behind the transaction id of an answer stand its version and its kind, which are short. */
const MAX_TAIL_BYTES = 128

/** A query without what this file adds. */
export type Question = Query extends infer Kind
  ? Kind extends Query
    ? Omit<Kind, 'kind' | 'transaction' | 'id' | 'readOnly' | 'version'>
    : never
  : never

/** Who asked. `onLate` and `onSilent` come at most once, `onAnswer` or `onFailed` exactly once and last. */
export interface Asker {
  onAnswer(answer: Reply | Fault, tookMs: number): void
  onLate?(): void
  onSilent?(): void
  onFailed(): void
}

export interface QueriesOptions {
  readonly clock: Clock
  readonly random: Random
  readonly timetable: Timetable
  readonly send: (bytes: Uint8Array, to: Address) => void
  /** Who asks: the id may change while the node lives. */
  readonly self: () => { readonly id: DhtKey; readonly readOnly: boolean }
}

interface Outstanding {
  readonly to: Address
  readonly asker: Asker
  readonly sentAtMs: number
  readonly timeoutMs: number
  /** Whether an answer to it was let through unread. */
  isNamed: boolean
  /** Kept for the second try. */
  bytes: Uint8Array | undefined
  roundTrip: RoundTrip | undefined
  timer: Timer
}

export class Queries {
  readonly #options: QueriesOptions
  readonly #outstanding = new Map<number, Outstanding>()
  /** Of all who answered, for those never heard of. */
  #usual: RoundTrip | undefined
  #lastAnswerMs = Number.NEGATIVE_INFINITY
  #sent = 0
  #repeated = 0
  #unmatched = 0

  constructor(options: QueriesOptions) {
    this.#options = options
  }

  /** Queries under way. */
  get size(): number {
    return this.#outstanding.size
  }

  counters(): { queriesSent: number; queriesRepeated: number; answersUnmatched: number } {
    return { queriesSent: this.#sent, queriesRepeated: this.#repeated, answersUnmatched: this.#unmatched }
  }

  /** Whether anybody answered since then; if not, it may be this node that is cut off. */
  heardSince(ms: number): boolean {
    return this.#lastAnswerMs >= ms
  }

  /**
   * Asks. `roundTrip` is what is known of this node; answers are added to it. False, and nothing is called, if too many
   * queries are under way.
   */
  ask(to: Address, question: Question, asker: Asker, roundTrip?: RoundTrip): boolean {
    if (this.#outstanding.size >= MAX_QUERIES) return false
    const { clock, timetable, self } = this.#options
    const transaction = this.#newTransaction()
    const query = { ...question, ...self(), kind: 'query', transaction } as Query
    const bytes = encodeMessage(query)
    const number = numberOf(transaction)
    const timeoutMs = this.#timeoutMs(roundTrip)
    this.#outstanding.set(number, {
      to: { host: unmapHost(to.host), port: to.port },
      asker,
      sentAtMs: clock.now(),
      timeoutMs,
      isNamed: false,
      bytes,
      roundTrip,
      timer: timetable.after(timeoutMs, () => this.#late(number)),
    })
    this.#sent++
    this.#options.send(bytes, to)
    return true
  }

  /**
   * Whether this datagram names a query under way to this address, told without decoding it. True once for each query:
   * whoever we ask cannot have more than that read.
   */
  expects(datagram: Uint8Array, from: Address): boolean {
    if (this.#outstanding.size === 0) return false
    const start = transactionStart(datagram)
    const outstanding = start < 0 ? undefined : this.#outstanding.get(numberAt(datagram, start))
    if (outstanding === undefined || outstanding.isNamed) return false
    outstanding.isNamed = sameAddress(outstanding.to, { host: unmapHost(from.host), port: from.port })
    return outstanding.isNamed
  }

  /** The round trip to begin with for a node whose first answer took so long. */
  firstRoundTrip(sampleMs: number): RoundTrip {
    return new RoundTrip(sampleMs, Math.min(this.#usual?.variationMs ?? sampleMs / 2, sampleMs / 2))
  }

  /** Gives an answer to whoever asked. False if nobody asked this address, or not with this transaction id. */
  receive(answer: Reply | Fault, from: Address): boolean {
    const { transaction } = answer
    const number = transaction.length === TRANSACTION_BYTES ? numberOf(transaction) : undefined
    const outstanding = number === undefined ? undefined : this.#outstanding.get(number)
    if (outstanding === undefined || !sameAddress(outstanding.to, { host: unmapHost(from.host), port: from.port })) {
      this.#unmatched++
      return false
    }
    this.#forget(number!, outstanding)
    outstanding.asker.onAnswer(answer, this.#measure(outstanding))
    return true
  }

  /** Forgets all queries; their askers hear that they failed. */
  stop(): void {
    for (const [number, outstanding] of [...this.#outstanding]) {
      this.#forget(number, outstanding)
      outstanding.asker.onFailed()
    }
  }

  #newTransaction(): Uint8Array {
    for (;;) {
      const transaction = this.#options.random.bytes(TRANSACTION_BYTES)
      if (!this.#outstanding.has(numberOf(transaction))) return transaction
    }
  }

  /** 400 ms for a stranger, less where the others tell that all of them are near. */
  #timeoutMs(roundTrip: RoundTrip | undefined): number {
    const known = roundTrip ?? this.#usual
    if (known === undefined) return UNKNOWN_TIMEOUT_MS
    return roundTrip === undefined ? Math.min(known.timeoutMs, UNKNOWN_TIMEOUT_MS) : known.timeoutMs
  }

  #late(number: number): void {
    const outstanding = this.#outstanding.get(number)!
    const { bytes, to, timeoutMs, asker } = outstanding
    const leftMs = HARD_LIMIT_MS - timeoutMs
    const silentMs = Math.min(SILENT_FACTOR * timeoutMs, leftMs)
    outstanding.timer = this.#options.timetable.after(silentMs, () => this.#silent(number, leftMs - silentMs))
    outstanding.bytes = undefined
    this.#repeated++
    this.#options.send(bytes!, to)
    asker.onLate?.()
  }

  #silent(number: number, leftMs: number): void {
    const outstanding = this.#outstanding.get(number)!
    outstanding.timer = this.#options.timetable.after(leftMs, () => {
      this.#forget(number, outstanding)
      outstanding.asker.onFailed()
    })
    outstanding.asker.onSilent?.()
  }

  #forget(number: number, outstanding: Outstanding): void {
    this.#outstanding.delete(number)
    outstanding.timer.cancel()
  }

  /** An answer to the second try may be one to the first (Karn): it tells too much, so only this one node is judged by it. */
  #measure({ sentAtMs, bytes, roundTrip }: Outstanding): number {
    const now = this.#options.clock.now()
    this.#lastAnswerMs = now
    const sampleMs = now - sentAtMs
    roundTrip?.add(sampleMs)
    const isFirstTry = bytes !== undefined
    if (isFirstTry && this.#usual !== undefined) this.#usual.add(sampleMs)
    else if (isFirstTry) this.#usual = new RoundTrip(sampleMs)
    return sampleMs
  }
}

const numberOf = (transaction: Uint8Array): number => numberAt(transaction, 0)

const numberAt = (bytes: Uint8Array, start: number): number =>
  bytes[start]! * 2 ** 24 + bytes[start + 1]! * 2 ** 16 + bytes[start + 2]! * 2 ** 8 + bytes[start + 3]!

/** Where the transaction id of an answer begins, -1 if there is none like ours. Allocates nothing. */
const transactionStart = (bytes: Uint8Array): number => {
  const last = bytes.length - TRANSACTION_BYTES
  const first = Math.max(TRANSACTION_KEY.length, last - MAX_TAIL_BYTES)
  for (let start = last; start >= first; start--) if (isKeyBefore(bytes, start)) return start
  return -1
}

const isKeyBefore = (bytes: Uint8Array, end: number): boolean => {
  for (let i = 1; i <= TRANSACTION_KEY.length; i++) {
    if (bytes[end - i] !== TRANSACTION_KEY[TRANSACTION_KEY.length - i]) return false
  }
  return true
}

/**
 * Entries that every node of the cluster sees and only their owner writes: names, memberships in groups, who can start
 * what, how busy a node is.
 *
 * Each node tells its own entries to each peer of a channel: all of them when the peer comes up, then what changes. They
 * go when the peer goes. Because order and wholeness of what arrives are promised by the connection (G1, G5), a snapshot
 * and what follows it make a true copy; where a message was lost after all (a full mailbox) its number is missing, and the
 * receiver asks for everything again. What it knew stands until it has heard everything; then goes what was not told again.
 * Who has told nothing for a while asks whether its last number has arrived, until it hears that it has: so whatever is
 * lost, each copy becomes true. A slow peer costs no memory: what it has not been told is kept as a set of keys.
 */
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import { type Channel, type ChannelPeer, nonsense } from './channel.ts'

/** Entries of one message. */
const MAX_CHUNK_ENTRIES = 512
/** Entries that one node may have, here or elsewhere. */
export const MAX_ENTRIES_PER_OWNER = 262_144
/** Characters of a key. */
export const MAX_KEY_LENGTH = 255

/** Pause where a peer takes nothing. */
const RETRY_MS = 20
/** Messages after which others get their turn. */
const MESSAGES_PER_TURN = 8
/** A peer is told everything from the beginning at most this often. */
const BEGIN_INTERVAL_MS = 1000
/** After a board has been silent for so long, at least, its peers are asked whether they have everything. */
const CHECK_INTERVAL_MS = 5000
/** A half of a surrogate pair alone: UTF-8 has no bytes for it, so two such names would become one. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** Undefined: this node. */
export type Owner = ChannelPeer | undefined

/** What is done with what peers write. A value is never undefined. */
export interface BoardListener<V> {
  /** Checks what a peer wrote. Throws a SkeinError to refuse the entry; the others stand. */
  accept(value: unknown, key: string, owner: ChannelPeer): V
  /** Of a peer; this node's own changes are not told. */
  put?(owner: ChannelPeer, key: string, value: V, previous: V | undefined): void
  removed?(owner: ChannelPeer, key: string, value: V): void
  /** Everything the peer had when it came up, or began anew, is here. */
  synced?(owner: ChannelPeer): void
}

/** As it travels. */
interface Told {
  readonly type: 'board'
  /** Counts up from 0 for each peer; 0 begins anew. */
  readonly number: number
  readonly put: readonly (readonly [string, unknown])[]
  readonly removed: readonly string[]
  /** Nothing is left to tell for now. */
  readonly complete: boolean
}

const ASK_AGAIN = { type: 'boardAgain' } as const

/** boardNumber: the next message will have this number; has the one before arrived? boardHas: it has. */
interface Check {
  readonly type: 'boardNumber' | 'boardHas'
  readonly number: number
}

/** What a peer is still to be told. */
interface Outbox {
  readonly keys: Set<string>
  readonly begunMs: number
  /** Of the next message. */
  number: number
  /** As `number` was when the peer said that it has everything before. */
  confirmedNumber: number
  /** As `number` was when it was looked at last, to see whether there is silence. */
  seenNumber: number
  /** Entries of one message: fewer where that many are too long. */
  chunkEntries: number
  sending: boolean
  /** It is to begin anew when it may. */
  isDue: boolean
}

/** complete: that was all there is to tell; more: there is more, and the peer takes more; pressed: it does not. */
type Telling = 'complete' | 'more' | 'pressed' | 'refused'

/** What a peer told. */
interface Copy<V> {
  readonly entries: Map<string, V>
  /** Keys of what it has told since it began anew; undefined when it has told everything. */
  fresh: Set<string> | undefined
  nextNumber: number
  isSynced: boolean
  /** It was asked to begin anew. */
  isAsked: boolean
}

export class Board<V> {
  readonly #channel: () => Channel
  readonly #clock: Clock
  readonly #listener: BoardListener<V>
  readonly #own = new Map<string, V>()
  readonly #outboxes = new Map<ChannelPeer, Outbox>()
  readonly #copies = new Map<ChannelPeer, Copy<V>>()
  #flushing = false
  #checking = false

  /** `channel` is a function because a channel is made with its handler, which has the board. */
  constructor(channel: () => Channel, clock: Clock, listener: BoardListener<V>) {
    this.#channel = channel
    this.#clock = clock
    this.#listener = listener
  }

  /** Entries of this node. */
  get own(): ReadonlyMap<string, V> {
    return this.#own
  }

  /** Each peer's entries, also those of peers that have not told everything yet. */
  *copies(): IterableIterator<readonly [ChannelPeer, ReadonlyMap<string, V>]> {
    for (const [peer, { entries }] of this.#copies) yield [peer, entries]
  }

  of(owner: ChannelPeer): ReadonlyMap<string, V> | undefined {
    return this.#copies.get(owner)?.entries
  }

  /** The peer has told everything it had when it came up; that it begins anew does not change it. */
  isSynced(owner: ChannelPeer): boolean {
    return this.#copies.get(owner)?.isSynced === true
  }

  /** Writes an entry of this node; peers are told at the end of the turn. Throws ERR_SKEIN_LIMIT or ERR_SKEIN_BAD_NAME. */
  set(key: string, value: V): void {
    if (!isKey(key)) throw new SkeinError('ERR_SKEIN_BAD_NAME', `A name has 1 to ${MAX_KEY_LENGTH} whole characters.`)
    if (!this.#own.has(key) && this.#own.size >= MAX_ENTRIES_PER_OWNER) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${MAX_ENTRIES_PER_OWNER} entries.`)
    }
    this.#own.set(key, value)
    this.#changed(key)
  }

  delete(key: string): boolean {
    if (!this.#own.delete(key)) return false
    this.#changed(key)
    return true
  }

  /** To be called by the channel's handler. */
  peerUp(peer: ChannelPeer): void {
    this.#copies.set(peer, { entries: new Map(), fresh: undefined, nextNumber: 0, isSynced: false, isAsked: false })
    this.#beginAnew(peer)
  }

  /** To be called by the channel's handler: forgets its entries, one `removed` for each. */
  peerDown(peer: ChannelPeer): void {
    this.#outboxes.delete(peer)
    const copy = this.#copies.get(peer)
    this.#copies.delete(peer)
    for (const key of [...(copy?.entries.keys() ?? [])]) if (copy !== undefined) this.#remove(peer, copy, key)
  }

  /** To be called by the channel's handler: true if the message was the board's. Throws what it refuses. */
  received(peer: ChannelPeer, message: unknown): boolean {
    if (isAgain(message)) {
      this.#beginSoon(peer)
      return true
    }
    const copy = this.#copies.get(peer)
    if (isCheck(message)) {
      if (message.type === 'boardHas') this.#confirmed(peer, message.number)
      else if (copy !== undefined) this.#checked(peer, copy, message.number)
      return true
    }
    if (!isTold(message)) return false
    if (copy !== undefined) this.#take(peer, copy, message)
    return true
  }

  #take(peer: ChannelPeer, copy: Copy<V>, { number, put, removed, complete }: Told): void {
    if (number === 0) {
      copy.fresh = new Set()
      copy.isAsked = false
    } else if (number !== copy.nextNumber) {
      if (!copy.isAsked) this.#askAgain(peer, copy)
      return
    } else if (copy.isAsked) return
    copy.nextNumber = number + 1
    let refusal: SkeinError | undefined
    for (const key of removed) this.#remove(peer, copy, key)
    for (const [key, value] of put) {
      try {
        this.#put(peer, copy, key, value)
      } catch (error) {
        if (!isSkeinError(error)) throw error
        // The entry before it is no longer what its owner says.
        this.#remove(peer, copy, key)
        refusal ??= error
      }
    }
    if (complete && copy.fresh !== undefined) {
      this.#sweep(peer, copy)
      copy.isSynced = true
      this.#listener.synced?.(peer)
    }
    if (refusal !== undefined) throw refusal
  }

  #put(peer: ChannelPeer, copy: Copy<V>, key: string, told: unknown): void {
    if (!isKey(key)) throw nonsense('a name that is none')
    const { entries, fresh } = copy
    const previous = entries.get(key)
    const heard = fresh ?? entries
    // While it begins anew, what it told before is there besides.
    const isTooMany = previous === undefined && entries.size >= 2 * MAX_ENTRIES_PER_OWNER
    if (isTooMany || (!heard.has(key) && heard.size >= MAX_ENTRIES_PER_OWNER)) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `More than ${MAX_ENTRIES_PER_OWNER} entries of one node.`)
    }
    const value = this.#listener.accept(told, key, peer)
    entries.set(key, value)
    fresh?.add(key)
    this.#listener.put?.(peer, key, value, previous)
  }

  #remove(peer: ChannelPeer, { entries, fresh }: Copy<V>, key: string): void {
    fresh?.delete(key)
    const previous = entries.get(key)
    if (previous === undefined) return
    entries.delete(key)
    this.#listener.removed?.(peer, key, previous)
  }

  /** Everything has been told: what was not is no more. */
  #sweep(peer: ChannelPeer, copy: Copy<V>): void {
    const { entries, fresh } = copy
    copy.fresh = undefined
    for (const key of [...entries.keys()]) if (fresh?.has(key) === false) this.#remove(peer, copy, key)
  }

  #askAgain(peer: ChannelPeer, copy: Copy<V>): void {
    if (this.#channel().send(peer, ASK_AGAIN) !== 'refused') copy.isAsked = true
  }

  /** It has told everything, and this comes behind: what is not here was lost, or the question for it was. */
  #checked(peer: ChannelPeer, copy: Copy<V>, number: number): void {
    if (copy.isAsked || copy.nextNumber !== number) this.#askAgain(peer, copy)
    else this.#channel().send(peer, { type: 'boardHas', number } satisfies Check)
  }

  #confirmed(peer: ChannelPeer, number: number): void {
    const outbox = this.#outboxes.get(peer)
    if (outbox?.number === number) outbox.confirmedNumber = number
  }

  #checkSoon(): void {
    if (this.#checking) return
    this.#checking = true
    const check = (): void => {
      this.#checking = false
      this.#check()
    }
    this.#clock.after(CHECK_INTERVAL_MS, check, true)
  }

  #check(): void {
    const channel = this.#channel()
    for (const [peer, outbox] of this.#outboxes) {
      const { number, confirmedNumber, seenNumber, keys, isDue } = outbox
      if (number === confirmedNumber || !channel.has(peer)) continue
      this.#checkSoon()
      outbox.seenNumber = number
      const isSilent = seenNumber === number && keys.size === 0 && !isDue
      if (isSilent) channel.send(peer, { type: 'boardNumber', number } satisfies Check)
    }
  }

  /** The peer asks for it, and may ask often. */
  #beginSoon(peer: ChannelPeer): void {
    const outbox = this.#outboxes.get(peer)
    if (outbox === undefined || outbox.isDue) return
    outbox.isDue = true
    const leftMs = Math.max(0, outbox.begunMs + BEGIN_INTERVAL_MS - this.#clock.now())
    const begin = (): void => {
      if (this.#outboxes.get(peer) === outbox) this.#beginAnew(peer)
    }
    this.#clock.after(leftMs, begin, true)
  }

  #beginAnew(peer: ChannelPeer): void {
    const sending = this.#outboxes.get(peer)?.sending === true
    const keys = new Set(this.#own.keys())
    const begun = { number: 0, confirmedNumber: 0, seenNumber: 0, chunkEntries: MAX_CHUNK_ENTRIES, isDue: false }
    const outbox: Outbox = { ...begun, keys, begunMs: this.#clock.now(), sending }
    this.#outboxes.set(peer, outbox)
    if (this.#tell(peer, outbox) !== 'complete') void this.#tellSlowly(peer)
  }

  #changed(key: string): void {
    for (const { keys } of this.#outboxes.values()) keys.add(key)
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.endOfTurn(() => {
      this.#flushing = false
      for (const [peer, outbox] of this.#outboxes) {
        if (outbox.sending || outbox.keys.size === 0) continue
        if (this.#tell(peer, outbox) !== 'complete') void this.#tellSlowly(peer)
      }
    })
  }

  /** One message. */
  #tell(peer: ChannelPeer, outbox: Outbox): Telling {
    const { keys } = outbox
    for (;;) {
      const chunk = [...firstOf(keys, outbox.chunkEntries)]
      const put: [string, V][] = []
      const removed: string[] = []
      for (const key of chunk) {
        const value = this.#own.get(key)
        if (value === undefined) removed.push(key)
        else put.push([key, value])
      }
      const complete = chunk.length === keys.size
      const told: Told = { type: 'board', number: outbox.number, put, removed, complete }
      const outcome = this.#channel().offer(peer, told)
      if (outcome === 'refused') return 'refused'
      if (outcome === 'tooLarge') {
        if (chunk.length > 1) outbox.chunkEntries = Math.ceil(chunk.length / 2)
        else this.#giveUp(peer, told, keys)
        continue
      }
      outbox.number++
      for (const key of chunk) keys.delete(key)
      this.#checkSoon()
      if (complete) return 'complete'
      return outcome === 'sent' ? 'more' : 'pressed'
    }
  }

  /** One entry that is too long is a defect of its service, and told by the channel; the others stand. */
  #giveUp(peer: ChannelPeer, told: Told, keys: Set<string>): void {
    this.#channel().send(peer, told)
    for (const [key] of told.put) keys.delete(key)
  }

  /** One message after the other, as fast as the peer takes them; until there is nothing left, or it is gone. */
  async #tellSlowly(peer: ChannelPeer): Promise<void> {
    const begun = this.#outboxes.get(peer)
    if (begun === undefined || begun.sending) return
    begun.sending = true
    let told: Telling = 'pressed'
    for (let count = 1; ; count++) {
      if (told === 'pressed') await this.#channel().drained(peer)
      // There is no room at all, for whatever reason.
      else if (told === 'refused') await new Promise<void>((go) => this.#clock.after(RETRY_MS, go, true))
      else if (count % MESSAGES_PER_TURN === 0) await new Promise<void>((go) => this.#clock.afterInput(go))
      // It may have begun anew meanwhile.
      const outbox = this.#outboxes.get(peer)
      if (outbox === undefined || !this.#channel().has(peer)) return
      told = this.#tell(peer, outbox)
      if (told === 'complete') {
        outbox.sending = false
        return
      }
    }
  }
}

/** A name that an entry can have. */
export const isKey = (key: unknown): key is string =>
  typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_LENGTH && !LONE_SURROGATE.test(key)

function* firstOf(keys: Iterable<string>, count: number): IterableIterator<string> {
  let left = count
  for (const key of keys) {
    if (left-- === 0) return
    yield key
  }
}

const isAgain = (message: unknown): boolean => isObject(message) && message.type === ASK_AGAIN.type

const isCheck = (message: unknown): message is Check => {
  if (!isObject(message) || (message.type !== 'boardNumber' && message.type !== 'boardHas')) return false
  if (!Number.isSafeInteger(message.number)) throw nonsense('a number of a board that is none')
  return true
}

const isTold = (message: unknown): message is Told => {
  if (!isObject(message) || message.type !== 'board') return false
  const { number, put, removed, complete } = message
  const isSound =
    Number.isSafeInteger(number) &&
    typeof complete === 'boolean' &&
    Array.isArray(put) &&
    put.every((entry) => Array.isArray(entry) && entry.length === 2) &&
    Array.isArray(removed)
  if (!isSound) throw nonsense('a board that is none')
  return true
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

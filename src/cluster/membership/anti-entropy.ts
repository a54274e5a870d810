/**
 * Mends what gossip lost: two nodes that see different members compare checksums of parts of their tables, and tell each
 * other what is in the parts that differ.
 *
 * Every tick and ping carries the checksum of the whole, so a settled cluster costs nothing, and nobody is asked more often
 * than it helps: the pauses grow while a difference lasts, and are short again for the next one. Peers of version 1 know no
 * digest and are asked for their list, and so are all by a hidden node, which is told no news. What it does not do: judge
 * what comes.
 */
import type { Clock } from '../../../transport/clock.ts'
import { bucketOf, encodeDigest, MEMBERSHIP_FRAMES, MEMBERSHIP_VERSION, NO_MESH } from './frames.ts'
import type { Grapevine, Link } from './grapevine.ts'
import { hintOf, isLoopback } from './member-record.ts'
import type { MemberRecord, Roster } from './roster.ts'
import type { GossipItem, Notary } from './statements.ts'

/** A digest of one connection is answered no more often. */
const MIN_ANSWER_INTERVAL_MS = 500
/** And answered with one of our own no more often. */
const MIN_ASK_BACK_INTERVAL_MS = 5000
/** Pause between two digests of our own accord, in all; it doubles while they bring nothing new. */
const MIN_ASK_INTERVAL_MS = 1000
const MAX_ASK_INTERVAL_MS = 60_000
/** A difference after so long without any is another one. In a full mesh ticks are 4 s apart at most (liveness.ts). */
const SETTLED_MS = 5000

export interface AntiEntropyOptions {
  readonly clock: Clock
  readonly roster: Roster
  readonly grapevine: Grapevine
  readonly notary: Pick<Notary, 'isGenuine'>
  /** False: it asks nobody of its own accord. */
  readonly takesPart: boolean
  /** It is told nothing of its own accord, but may ask for a list. */
  readonly isHidden: boolean
}

export class AntiEntropy {
  readonly #options: AntiEntropyOptions
  #askIntervalMs = MIN_ASK_INTERVAL_MS
  #nextAskMs = 0
  /** When a peer saw others than this node, the last time. */
  #differedMs = Number.NEGATIVE_INFINITY

  constructor(options: AntiEntropyOptions) {
    this.#options = options
  }

  /** A peer told the checksum of what it sees: where it differs from ours, there is something to ask for. */
  ticked(from: string, checksum: number): void {
    const { clock, roster, takesPart } = this.#options
    if (!takesPart || checksum === NO_MESH || checksum === roster.checksum) return
    const nowMs = clock.now()
    if (nowMs - this.#differedMs > SETTLED_MS) this.eager()
    this.#differedMs = nowMs
    if (nowMs < this.#nextAskMs) return
    this.#nextAskMs = nowMs + this.#askIntervalMs
    this.#askIntervalMs = Math.min(this.#askIntervalMs * 2, MAX_ASK_INTERVAL_MS)
    this.ask(from)
  }

  /** There was something new: it is worth asking soon again. */
  eager(): void {
    this.#askIntervalMs = MIN_ASK_INTERVAL_MS
    this.#nextAskMs = Math.min(this.#nextAskMs, this.#options.clock.now() + MIN_ASK_INTERVAL_MS)
  }

  /** Asks a peer for what it knows and we do not. */
  ask(id: string): void {
    const { grapevine, roster, isHidden } = this.#options
    const peer = grapevine.get(id)?.peer
    if (peer === undefined) return
    if (peer.carrier.version < MEMBERSHIP_VERSION || isHidden) peer.askForPeers()
    else peer.carrier.tell(MEMBERSHIP_FRAMES.digest, encodeDigest(roster.buckets))
  }

  /** A digest came: tells what is in the parts that differ. */
  answer(link: Link, theirs: readonly number[], asksBack: boolean): void {
    const { clock, roster, grapevine } = this.#options
    const nowMs = clock.now()
    if (nowMs < link.answerFromMs) return
    link.answerFromMs = nowMs + MIN_ANSWER_INTERVAL_MS
    const { id } = link.peer.carrier
    const { buckets } = roster
    const items: GossipItem[] = []
    for (const record of roster.records()) {
      const bucket = bucketOf(record.id)
      if (buckets[bucket] === theirs[bucket] || record.id === id) continue
      if (record.shown !== undefined) items.push(...this.#itemsOf(record, link))
      else if (record.state === 'gone' && record.isCertain) {
        this.check(record)
        items.push(...proofOf(record))
      }
    }
    grapevine.tell(id, items)
    const differs = buckets.some((checksum, bucket) => checksum !== theirs[bucket])
    if (!asksBack || nowMs < link.askBackFromMs || !differs) return
    link.askBackFromMs = nowMs + MIN_ASK_BACK_INTERVAL_MS
    this.ask(id)
  }

  #itemsOf(record: MemberRecord, link: Link): GossipItem[] {
    const { announcement, doubts } = record
    this.check(record)
    if (announcement !== undefined && record.isChecked) return [announcement, ...doubts.values()]
    const { addresses, ...hint } = hintOf(record)
    return [
      { kind: 'hint', hint: { ...hint, addresses: addresses.filter((one) => link.peer.isLocal || !isLoopback(one)) } },
    ]
  }

  /** Looks at the signature of its announcement, if nobody has yet; what was forged, or follows from it, is forgotten. */
  check(record: MemberRecord): void {
    const { notary, roster } = this.#options
    const { announcement } = record
    if (record.isChecked || announcement === undefined) return
    record.isChecked = notary.isGenuine(announcement)
    if (record.isChecked) return
    record.announcement = undefined
    record.refutation = 0
    if (record.connection === undefined) roster.forget(record)
  }
}

/** Why it is gone, for who believes it alive. */
export const proofOf = ({ announcement, doubts }: MemberRecord): GossipItem[] => {
  const votes = [...doubts.values()].filter(({ level }) => level === 'down')
  return announcement === undefined ? votes : [announcement, ...votes]
}

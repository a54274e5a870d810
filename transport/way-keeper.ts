/**
 * Which way the packets of one connection take, and which others are known: the rules of connection migration (RFC 9000
 * section 9) for both roles, below QUIC.
 *
 *     heard, offered   -> challenge   up to three times, 0, 200 and 600 ms after the first; then it is given up
 *     challenge        -> known       when the answer comes back: the way leads to the peer and back
 *     known            -> present     at once where it is direct and the present one a relay; else when the present one has
 *                                     been silent for long enough, and how long that is depends (`#patienceMs`)
 *
 * An answer says whether the peer itself uses the way the challenge came by: then it has moved, and this end follows. The
 * initiator waits a little before it does, so that two ends that like different ways do not swap them for ever.
 *
 * Against those who forge (RFC 9000 sections 8.1, 9.3): only packets that QUIC found authentic and new are told of here; a
 * way is never present before it was proven; what goes to an unproven one is a few small packets, less than three times
 * what came from it, and all challenges together keep to a rate. An answer counts only with the nonce of a challenge that
 * is under way. Everything is bounded: see the constants.
 *
 * Sans-io: it says what to send by which way, and which way is the present one. It never sends, and reads no clock.
 */
import type { Random } from './random.ts'
import type { Way } from './way.ts'

/** Ways beside the present one; of more, the one heard of longest ago is forgotten. */
const MAX_KNOWN_WAYS = 8
/** Ways under proof. */
const MAX_CHALLENGES = 16
/** Answers to challenges of the peer that wait to be sent. */
const MAX_ANSWERS = 8
/** Ways that are gone; of more, the one that went first is forgotten. */
const MAX_GONE_WAYS = 64
export const NONCE_BYTES = 8
/** A challenge or its answer, with room for an acknowledgement: less than three times the shortest packet there is (37 bytes). */
export const PROOF_PACKET_BYTES = 96
/** RFC 9000 8.1: as much may go to an unproven address. */
const UNPROVEN_FACTOR = 3
/** When the tries of a challenge are due after the first one, ms: two may be lost. */
const TRY_AFTER_MS = [0, 200, 600] as const
/** After the last try an answer may still come; and only then is the same way challenged again. */
const GIVE_UP_AFTER_MS = 1600
/** One that could not be sent at all waits longer: with a full window QUIC sends a packet now and then, at doubling intervals. */
const UNSENT_LIFE_MS = 5000
/** An answer that could not be sent for so long is of no use to anybody. */
const ANSWER_LIFE_MS = 2000
/** A way proven so lately is not challenged again. */
const PROVEN_FOR_MS = 300
/** All challenges of a connection: so many at once, and so many per second. */
const CHALLENGE_BURST = 16
const CHALLENGES_PER_SECOND = 20
/** A present way that nothing came by for so long is doubted. */
const SILENCE_MS = 1200
/** So long it has to answer before all others are asked: perhaps nobody had anything to say. A relay asked keeps its channel. */
const DOUBT_MS = 300
/** The same when QUIC waits in vain for an acknowledgement. */
const LOSS_SILENCE_MS = 400
/** The pause between two rounds of challenges in one silence doubles up to this. */
const MAX_ROUND_MS = 5000
/** A relay does not take the place of a direct way that was heard from so lately. */
const RELAY_PATIENCE_MS = 1000
/** The initiator follows the peer to another way after this and two round trips, unless the present one is heard from. */
const FOLLOW_AFTER_MS = 50
/** What could not be sent is tried again with the next packets, or after this. */
const BLOCKED_RETRY_MS = 50

export interface Proof {
  readonly type: 'challenge' | 'answer'
  readonly way: Way
  readonly nonce: Uint8Array
}

interface Challenge extends Proof {
  readonly type: 'challenge'
  /** Bytes that may still go there; a way that was offered, or known before, needs no such bound. */
  allowedBytes: number
  /** When something authentic last came by this way. */
  heardMs: number
  tries: number
  firstSentMs: number
  lastSentMs: number
  dueMs: number
  /** When it is forgotten. */
  untilMs: number
}

interface Answer extends Proof {
  readonly type: 'answer'
  readonly untilMs: number
}

interface KnownWay {
  readonly way: Way
  /** When the last answer came that proved it; of the way left last, when it was heard from. */
  provenMs: number
  heardMs: number
  /** How long the present way has to be silent before this one takes its place. */
  patienceMs: number
}

const isRelay = (way: Way): boolean => way.kind === 'relay'

/** Of a way that nobody offered and that was never proven: perhaps somebody made it up. */
const isStrangers = (challenge: Challenge): boolean => challenge.allowedBytes !== Number.POSITIVE_INFINITY

const nonceKey = (nonce: Uint8Array): string => String.fromCharCode(...nonce)

export class WayKeeper {
  readonly #role: 'initiator' | 'acceptor'
  readonly #random: Random
  #present: Way
  #presentHeardMs: number
  /** The present way is no more: any other will do. */
  #presentGone = false
  /** By key, without the present one; the one heard of longest ago first. */
  readonly #known = new Map<string, KnownWay>()
  /** By the key of the way. */
  readonly #challenges = new Map<string, Challenge>()
  #answers: Answer[] = []
  /** Keys of ways not to be used, though something may still come by them. */
  readonly #gone = new Set<string>()
  #allowance = CHALLENGE_BURST
  #allowanceMs: number
  #blockedUntilMs = Number.NEGATIVE_INFINITY
  /** The last challenge went where the peer was heard since the present way fell silent. */
  #othersTurn = false
  /** The next round of challenges in this silence. */
  #roundAtMs = 0
  #roundPauseMs = SILENCE_MS

  constructor(role: 'initiator' | 'acceptor', present: Way, random: Random, nowMs: number) {
    this.#role = role
    this.#present = present
    this.#random = random
    this.#presentHeardMs = nowMs
    this.#allowanceMs = nowMs
  }

  /** The way packets take now. It may be another after any call below. */
  get present(): Way {
    return this.#present
  }

  get knownWays(): readonly Way[] {
    return [...this.#known.values()].map((known) => known.way)
  }

  get challengedWays(): readonly Way[] {
    return [...this.#challenges.values()].map((challenge) => challenge.way)
  }

  /** When something authentic last came by the present way; to be told before decisions, it is not told of each packet. */
  presentHeard(atMs: number): void {
    if (atMs <= this.#presentHeardMs) return
    this.#presentHeardMs = atMs
    this.#roundAtMs = 0
    this.#roundPauseMs = SILENCE_MS
  }

  /** An authentic new packet came by another way. */
  heard(way: Way, sizeBytes: number, nowMs: number): void {
    if (this.#gone.has(way.key)) return
    const known = this.#known.get(way.key)
    if (known !== undefined) {
      known.heardMs = nowMs
      if (nowMs - known.provenMs < PROVEN_FOR_MS) return this.#decide(nowMs)
    }
    const challenge = this.#challenges.get(way.key)
    if (challenge !== undefined) {
      challenge.allowedBytes += UNPROVEN_FACTOR * sizeBytes
      challenge.heardMs = nowMs
    } else {
      const allowedBytes = known === undefined ? UNPROVEN_FACTOR * sizeBytes : Number.POSITIVE_INFINITY
      this.#challenge(way, allowedBytes, nowMs, nowMs)
    }
  }

  /** Somebody above thinks that this way leads to the peer. */
  offered(way: Way, nowMs: number): void {
    if (way.key === this.#present.key && !this.#presentGone) return
    this.#gone.delete(way.key)
    const challenge = this.#challenges.get(way.key)
    if (challenge !== undefined && challenge.dueMs !== Number.POSITIVE_INFINITY) {
      challenge.allowedBytes = Number.POSITIVE_INFINITY
      return
    }
    this.#challenges.delete(way.key)
    this.#challenge(way, Number.POSITIVE_INFINITY, nowMs)
  }

  /** The peer wants to know whether this way leads here. The answer goes back by the same way, so it proves both directions. */
  challenged(way: Way, nonce: Uint8Array, nowMs: number): void {
    if (this.#gone.has(way.key)) return
    if (this.#answers.length >= MAX_ANSWERS) this.#answers.shift()
    this.#answers.push({ type: 'answer', way, nonce, untilMs: nowMs + ANSWER_LIFE_MS })
  }

  /** The peer answered; `peerUsesIt`: the challenge came in by the way it uses itself. */
  answered(nonce: Uint8Array, peerUsesIt: boolean, nowMs: number): void {
    const challenge = this.#byNonce(nonce)
    if (challenge === undefined || challenge.tries === 0) return
    const { way } = challenge
    this.#challenges.delete(way.key)
    if (way.key === this.#present.key) {
      // Gone, and offered anew: it is another one by that key.
      if (this.#presentGone) this.#present = way
      this.#presentGone = false
      return this.presentHeard(nowMs)
    }
    const patienceMs = this.#patienceMs(way, peerUsesIt, nowMs - challenge.lastSentMs)
    this.#remember({ way, provenMs: nowMs, heardMs: nowMs, patienceMs })
    this.#decide(nowMs)
  }

  /** It is not to be used again, unless somebody offers it anew. */
  gone(way: Way, nowMs: number): void {
    this.#gone.add(way.key)
    if (this.#gone.size > MAX_GONE_WAYS) {
      for (const first of this.#gone) {
        this.#gone.delete(first)
        break
      }
    }
    this.#known.delete(way.key)
    this.#challenges.delete(way.key)
    this.#answers = this.#answers.filter((answer) => answer.way.key !== way.key)
    if (way.key !== this.#present.key) return
    this.#presentGone = true
    this.#round(nowMs)
    this.#decide(nowMs)
  }

  /** QUIC waited in vain for an acknowledgement, and may now send two packets whatever the congestion window says. */
  lossTimeout(nowMs: number): void {
    if (nowMs - this.#presentHeardMs >= LOSS_SILENCE_MS) this.#round(nowMs)
  }

  /** To be called at `deadlineMs`; does nothing before. */
  tick(nowMs: number): void {
    for (const challenge of this.#challenges.values())
      if (nowMs >= challenge.untilMs) this.#challenges.delete(challenge.way.key)
    this.#answers = this.#answers.filter((answer) => nowMs < answer.untilMs)
    this.#decide(nowMs)
    if (this.#known.size === 0 || nowMs < this.#nextRoundMs()) return
    if (this.#roundAtMs === 0 && !this.#presentGone) {
      this.#roundAtMs = nowMs + DOUBT_MS
      return this.#challengePresent(nowMs)
    }
    this.#round(nowMs)
    this.#roundAtMs = nowMs + this.#roundPauseMs
    this.#roundPauseMs = Math.min(2 * this.#roundPauseMs, MAX_ROUND_MS)
  }

  /** When to call `tick`, or to send what is due; Infinity for never. */
  deadlineMs(nowMs: number): number {
    if (this.#known.size === 0 && !this.hasProofs) return Number.POSITIVE_INFINITY
    let atMs = Number.POSITIVE_INFINITY
    for (const challenge of this.#challenges.values()) {
      const allowed = challenge.allowedBytes >= PROOF_PACKET_BYTES
      const dueMs = allowed ? Math.max(challenge.dueMs, this.#allowedAtMs(nowMs)) : Number.POSITIVE_INFINITY
      atMs = Math.min(atMs, dueMs, challenge.untilMs)
    }
    if (this.#answers.length > 0) atMs = Math.min(atMs, nowMs)
    if (atMs < this.#blockedUntilMs) atMs = this.#blockedUntilMs
    if (this.#known.size > 0) {
      atMs = Math.min(atMs, this.#nextRoundMs())
      for (const known of this.#known.values())
        if (this.#isCandidate(known)) atMs = Math.min(atMs, this.#presentHeardMs + known.patienceMs)
    }
    return atMs
  }

  get hasProofs(): boolean {
    return this.#answers.length > 0 || this.#challenges.size > 0
  }

  /**
   * What to send now, most urgent first; each is to be confirmed by `sent`, or put off by `notSent`. With a full window only
   * one challenge may go for a long time: so where the peer is heard now comes before where it once was. But every other
   * time only, since somebody may repeat its packets from anywhere.
   */
  nextProof(nowMs: number): Proof | undefined {
    const [answer] = this.#answers
    if (answer !== undefined) return answer
    this.#refill(nowMs)
    if (this.#allowance < 1) return undefined
    let heard: Challenge | undefined
    let other: Challenge | undefined
    let stranger: Challenge | undefined
    for (const challenge of this.#challenges.values()) {
      if (challenge.dueMs > nowMs || challenge.allowedBytes < PROOF_PACKET_BYTES) continue
      if (this.#isHeardNow(challenge)) {
        if (heard === undefined || challenge.heardMs >= heard.heardMs) heard = challenge
      } else if (isStrangers(challenge)) stranger ??= challenge
      else other ??= challenge
    }
    return (this.#othersTurn ? (other ?? heard) : (heard ?? other)) ?? stranger
  }

  /** The present way has been silent since. */
  #isHeardNow({ heardMs }: Challenge): boolean {
    return heardMs > this.#presentHeardMs
  }

  sent(proof: Proof, nowMs: number): void {
    if (proof.type === 'answer') {
      this.#answers = this.#answers.filter((answer) => answer !== proof)
      return
    }
    const challenge = this.#challenges.get(proof.way.key)
    if (challenge !== proof) return
    this.#allowance--
    this.#othersTurn = this.#isHeardNow(challenge)
    challenge.allowedBytes -= PROOF_PACKET_BYTES
    if (challenge.tries === 0) {
      challenge.firstSentMs = nowMs
      challenge.untilMs = nowMs + GIVE_UP_AFTER_MS
    }
    challenge.tries++
    challenge.lastSentMs = nowMs
    const afterMs = TRY_AFTER_MS[challenge.tries]
    challenge.dueMs = afterMs === undefined ? Number.POSITIVE_INFINITY : challenge.firstSentMs + afterMs
  }

  /** The congestion window is full: nothing goes now. */
  notSent(nowMs: number): void {
    this.#blockedUntilMs = nowMs + BLOCKED_RETRY_MS
  }

  // ---- decisions

  /** How long the present way has to be silent before this one takes its place. */
  #patienceMs(way: Way, peerUsesIt: boolean, rttMs: number): number {
    if (isRelay(way) !== isRelay(this.#present)) return isRelay(way) ? RELAY_PATIENCE_MS : 0
    if (!peerUsesIt) return SILENCE_MS
    return this.#role === 'acceptor' ? 0 : FOLLOW_AFTER_MS + 2 * rttMs
  }

  /** Proven after the present way was last heard from, or better than that anyway. */
  #isCandidate(known: KnownWay): boolean {
    return this.#presentGone || known.patienceMs === 0 || known.provenMs > this.#presentHeardMs
  }

  #decide(nowMs: number): void {
    let best: KnownWay | undefined
    const silentMs = this.#presentGone ? Number.POSITIVE_INFINITY : nowMs - this.#presentHeardMs
    for (const known of this.#known.values()) {
      if (!this.#isCandidate(known) || silentMs < known.patienceMs) continue
      const isBetter =
        best === undefined ||
        (isRelay(known.way) === isRelay(best.way) ? known.provenMs >= best.provenMs : isRelay(best.way))
      if (isBetter) best = known
    }
    if (best !== undefined) this.#move(best)
  }

  #move(to: KnownWay): void {
    const left: KnownWay = {
      way: this.#present,
      provenMs: this.#presentHeardMs,
      heardMs: this.#presentHeardMs,
      // Its time comes when it is proven again.
      patienceMs: Number.POSITIVE_INFINITY,
    }
    this.#present = to.way
    this.#known.delete(to.way.key)
    if (!this.#presentGone) this.#remember(left)
    this.#presentGone = false
    this.#presentHeardMs = Math.max(to.provenMs, to.heardMs)
    this.#roundAtMs = 0
    this.#roundPauseMs = SILENCE_MS
    // What was to be waited for was measured against another way.
    for (const known of this.#known.values()) known.patienceMs = Number.POSITIVE_INFINITY
  }

  #remember(known: KnownWay): void {
    this.#known.delete(known.way.key)
    this.#known.set(known.way.key, known)
    if (this.#known.size <= MAX_KNOWN_WAYS) return
    let oldest = known
    for (const other of this.#known.values()) if (lastHeard(other) < lastHeard(oldest)) oldest = other
    this.#known.delete(oldest.way.key)
  }

  // ---- challenges

  #nextRoundMs(): number {
    return this.#roundAtMs === 0 ? this.#presentHeardMs + SILENCE_MS : this.#roundAtMs
  }

  /**
   * The present way does not answer: all are challenged, those first that were heard from last. A relay comes no later than
   * second, since after a NAT was rebound again and again there may be many dead addresses.
   */
  #round(nowMs: number): void {
    const ways = [...this.#known.values()].sort((a, b) => lastHeard(b) - lastHeard(a)).map((known) => known.way)
    const relay = ways.findIndex(isRelay)
    if (relay > 1) ways.splice(1, 0, ...ways.splice(relay, 1))
    for (const way of ways) if (!this.#challenges.has(way.key)) this.#challenge(way, Number.POSITIVE_INFINITY, nowMs)
    if (ways.length > 0 && !this.#presentGone) this.#challengePresent(nowMs)
  }

  #challengePresent(nowMs: number): void {
    if (!this.#challenges.has(this.#present.key)) this.#challenge(this.#present, Number.POSITIVE_INFINITY, nowMs)
  }

  #challenge(way: Way, allowedBytes: number, nowMs: number, heardMs = Number.NEGATIVE_INFINITY): void {
    if (this.#challenges.size >= MAX_CHALLENGES && !this.#dropSpent(allowedBytes)) return
    this.#challenges.set(way.key, {
      type: 'challenge',
      way,
      nonce: this.#random.bytes(NONCE_BYTES),
      allowedBytes,
      heardMs,
      tries: 0,
      firstSentMs: nowMs,
      lastSentMs: nowMs,
      dueMs: nowMs,
      untilMs: nowMs + UNSENT_LIFE_MS,
    })
  }

  /** Room for another: the ways of strangers make way first, and none for another stranger's unless all its tries are spent. */
  #dropSpent(forAllowedBytes: number): boolean {
    const wanted = forAllowedBytes === Number.POSITIVE_INFINITY
    for (const challenge of this.#challenges.values()) {
      if (challenge.dueMs !== Number.POSITIVE_INFINITY && !(wanted && isStrangers(challenge))) continue
      this.#challenges.delete(challenge.way.key)
      return true
    }
    return false
  }

  #byNonce(nonce: Uint8Array): Challenge | undefined {
    const key = nonceKey(nonce)
    for (const challenge of this.#challenges.values()) if (nonceKey(challenge.nonce) === key) return challenge
    return undefined
  }

  #refill(nowMs: number): void {
    const gained = ((nowMs - this.#allowanceMs) * CHALLENGES_PER_SECOND) / 1000
    this.#allowance = Math.min(CHALLENGE_BURST, this.#allowance + gained)
    this.#allowanceMs = nowMs
  }

  #allowedAtMs(nowMs: number): number {
    this.#refill(nowMs)
    return this.#allowance >= 1 ? nowMs : nowMs + ((1 - this.#allowance) * 1000) / CHALLENGES_PER_SECOND
  }
}

const lastHeard = (known: KnownWay): number => Math.max(known.provenMs, known.heardMs)

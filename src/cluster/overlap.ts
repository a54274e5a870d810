/**
 * Two nodes that cannot reach each other while others see both: a full mesh that is none (overlapping partitions, as OTP
 * 25 calls them). Exactly one of the two steps back from all who still see the one it lost, so that what remains is fully
 * connected.
 *
 * A member that was lost in silence is asked for, once a second, through those that are still connected. What counts is
 * its own signed word (sight.ts): a witness can keep silent about a member, but not make a dead one alive. When the word
 * came for GRACE_MS while dialling failed, both decide by the same rule from what both said: who lost more members, then
 * who lost the older ones, then who is younger, steps back. Nobody can be made to disconnect from others by what is said
 * about third parties, and one member alone cannot put another out again and again (MAX_STEPS_FOR_ONE). After a while,
 * longer each time, or as soon as a lost member is reached, who stepped back comes again.
 * What it does not do: dial, disconnect, or know who is connected; its host does.
 */
import type { SigningKey } from '../../certs/signing-key.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { type Age, giveWord, isWordOf, SIGHT_NONCE_BYTES, type Sight, type SightClaim } from './sight.ts'

/** Between two rounds of questions. */
const ROUND_MS = 1000
/** A member has to be confirmed for so long before anybody steps back. Dials go on meanwhile, more than two of them. */
export const GRACE_MS = 6000
/** A confirmation that was not repeated for so long begins anew. */
const FRESH_MS = 3500
/** Failed dials before the connection counts as impossible. */
const MIN_FAILED_DIALS = 2
/** A member nobody confirms is asked for more and more seldom, and no more after the second. */
const ASK_GROWTH = 1.2
const MAX_ASK_INTERVAL_MS = 16_000
const GIVE_UP_MS = 10 * 60_000
/** Lost members that are asked for. */
const MAX_CONFLICTS = 256
/** Questions of one round, shared among the members that are asked for. */
const MAX_ASKS_PER_ROUND = 256
const MIN_WITNESSES = 3
/** Before it steps back, a node asks all others whether they see that member. */
const CHECK_MS = 1000
/** The first pause after stepping back; it doubles up to the second. */
const MIN_APART_MS = 10_000
const MAX_APART_MS = 5 * 60_000
/** For so long stepping back is remembered. */
const MEMORY_MS = 60 * 60_000
/** So often within that time a node steps back because of one and the same single member. */
const MAX_STEPS_FOR_ONE = 6
/** Questions of one peer answered in one round; and words given in one round in all. */
const MAX_SERVED_PER_ROUND = 512
const MAX_WORDS_PER_ROUND = 256

export interface LostMember extends Age {
  readonly name: string
}

export interface OverlapHost {
  /** Ids of the connected members that understand the questions. */
  witnesses(): string[]
  /** This member is connected, and was heard lately. */
  sees(id: string): boolean
  /** This member may have lost the connection that this node believes in: find out. */
  doubt(id: string): void
  /** To a connected member. */
  send(id: string, sight: Sight): void
  /** Disconnect from all but these, and let nobody in but these and `lost`, until `comeBack`. */
  stepBack(step: { readonly lost: readonly LostMember[]; readonly keep: ReadonlySet<string>; apartMs: number }): void
  comeBack(): void
}

export interface OverlapOptions {
  readonly self: Age
  readonly key: SigningKey
  readonly clock: Clock
  readonly random: Random
  readonly host: OverlapHost
}

/** A lost member that others may still see. */
interface Conflict {
  readonly member: LostMember
  failedDials: number
  askEveryMs: number
  nextAskMs: number
  /** Of this round and those before it, the last one first. */
  nonces: Uint8Array[]
  /** When its word came, first and last, without a long pause in between. */
  confirmedMs: number | undefined
  freshMs: number
  claim: SightClaim | undefined
  /** Connected members that do not see it, with the time they said so. */
  readonly blind: Map<string, number>
}

type Phase =
  | { readonly type: 'watching' }
  /** About to step back because of these: who else has lost the first of them? */
  | { readonly type: 'checking'; readonly sinceMs: number; readonly because: readonly Conflict[] }
  | { readonly type: 'apart'; readonly untilMs: number; readonly lost: ReadonlySet<string> }

const WATCHING: Phase = { type: 'watching' }

export class Overlap {
  readonly #self: Age
  readonly #key: SigningKey
  readonly #clock: Clock
  readonly #random: Random
  readonly #host: OverlapHost
  readonly #conflicts = new Map<string, Conflict>()
  #phase: Phase = WATCHING
  #timer: Timer | undefined
  #stopped = false
  /** When this node stepped back, and because of whom if it was one. */
  #steps: { readonly atMs: number; readonly because: string | undefined }[] = []
  /** Questions answered in this round, by peer. */
  readonly #served = new Map<string, number>()
  #wordsGiven = 0
  #servedUntilMs = 0

  constructor({ self, key, clock, random, host }: OverlapOptions) {
    this.#self = self
    this.#key = key
    this.#clock = clock
    this.#random = random
    this.#host = host
  }

  get phase(): Phase['type'] {
    return this.#phase.type
  }

  /** A member was lost in silence, or cannot be reached by a node that joins. */
  lost({ name, id, incarnation }: LostMember): void {
    const known = this.#conflicts.get(id)
    if (this.#stopped || this.#conflicts.size >= MAX_CONFLICTS) return
    if (known !== undefined && known.member.incarnation >= incarnation) return
    this.#conflicts.set(id, {
      member: { name, id, incarnation },
      failedDials: 0,
      askEveryMs: ROUND_MS,
      nextAskMs: this.#clock.now(),
      nonces: [],
      confirmedMs: undefined,
      freshMs: this.#clock.now(),
      claim: undefined,
      blind: new Map(),
    })
    this.#timer ??= this.#clock.after(ROUND_MS, () => this.#round(), true)
  }

  /** A dial to a lost member failed. */
  failed(id: string): void {
    const conflict = this.#conflicts.get(id)
    if (conflict !== undefined) conflict.failedDials++
  }

  /** It is connected, or no member any more. */
  settled(id: string): void {
    this.#conflicts.delete(id)
    if (this.#phase.type === 'apart' && this.#phase.lost.has(id)) this.#comeBack()
    if (this.#conflicts.size === 0 && this.#phase.type === 'checking') this.#phase = WATCHING
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#conflicts.clear()
  }

  /** What a peer sent. */
  heard(from: string, sight: Sight): void {
    if (this.#stopped || !this.#mayBeServed(from)) return
    if (sight.type === 'ask') this.#testify(from, sight)
    else if (sight.type === 'relay') this.#giveWord(from, sight)
    else if (sight.type === 'word') this.#passOn(from, sight)
    else this.#answered(from, sight)
  }

  // For others

  #testify(from: string, { nonce, target, relay }: Extract<Sight, { type: 'ask' }>): void {
    const sees = target === this.#self.id || this.#host.sees(target)
    this.#host.send(from, { type: 'answer', nonce, sees, word: undefined })
    if (sees && relay && target !== from && target !== this.#self.id) {
      this.#host.send(target, { type: 'relay', nonce, asker: from })
    }
  }

  #giveWord(witness: string, { nonce, asker }: Extract<Sight, { type: 'relay' }>): void {
    if (this.#wordsGiven++ >= MAX_WORDS_PER_ROUND) return
    const connected = this.#host.sees(asker)
    // Packets pass one way only, perhaps; a witness that made it up costs no more than a ping.
    if (connected) this.#host.doubt(asker)
    const claim: SightClaim = { ...this.#claim(), connected }
    this.#host.send(witness, { type: 'word', nonce, asker, word: giveWord(this.#key, claim, asker, nonce) })
  }

  /** What a peer says of itself, and of nobody else. */
  #passOn(from: string, { nonce, asker, word }: Extract<Sight, { type: 'word' }>): void {
    if (word.claim.id === from) this.#host.send(asker, { type: 'answer', nonce, sees: true, word })
  }

  #mayBeServed(from: string): boolean {
    const nowMs = this.#clock.now()
    if (nowMs >= this.#servedUntilMs) {
      this.#served.clear()
      this.#wordsGiven = 0
      this.#servedUntilMs = nowMs + ROUND_MS
    }
    const count = (this.#served.get(from) ?? 0) + 1
    this.#served.set(from, count)
    return count <= MAX_SERVED_PER_ROUND
  }

  // For this node

  #claim(): Omit<SightClaim, 'connected'> {
    const confirmed = [...this.#conflicts.values()].filter((conflict) => this.#isConfirmed(conflict))
    return { ...this.#self, lost: confirmed.length, oldest: oldestOf(confirmed) ?? this.#self }
  }

  #answered(from: string, { nonce, sees, word }: Extract<Sight, { type: 'answer' }>): void {
    const conflict = [...this.#conflicts.values()].find((one) => one.nonces.some((known) => isSame(known, nonce)))
    if (conflict === undefined) return
    const nowMs = this.#clock.now()
    // What comes with a word is not the witness's own sight: somebody may have made it pass on what it never saw.
    if (!sees) conflict.blind.set(from, nowMs)
    else if (word === undefined) conflict.blind.delete(from)
    // One word per round is enough, and judging them costs time.
    const isRecent = conflict.claim !== undefined && nowMs - conflict.freshMs < ROUND_MS / 2
    if (word === undefined || isRecent) return
    const { id, incarnation } = conflict.member
    if (!isWordOf(word, id, this.#self.id, nonce) || word.claim.incarnation < incarnation || word.claim.connected)
      return
    if (!this.#isConfirmed(conflict)) conflict.confirmedMs = nowMs
    conflict.freshMs = nowMs
    conflict.askEveryMs = ROUND_MS
    conflict.claim = word.claim
  }

  #isConfirmed({ claim, freshMs }: Conflict): boolean {
    return claim !== undefined && this.#clock.now() - freshMs <= FRESH_MS
  }

  #round(): void {
    this.#timer = undefined
    const nowMs = this.#clock.now()
    if (this.#phase.type === 'apart') {
      if (nowMs >= this.#phase.untilMs) this.#comeBack()
    } else if (this.#phase.type === 'checking') {
      if (nowMs - this.#phase.sinceMs >= CHECK_MS) this.#stepBack(this.#phase.because)
    } else this.#judge()
    if (this.#conflicts.size === 0 && this.#phase.type !== 'apart') return
    if (this.#phase.type !== 'apart') this.#ask()
    this.#timer = this.#clock.after(ROUND_MS * (0.9 + 0.2 * this.#random.float()), () => this.#round(), true)
  }

  #ask(): void {
    const witnesses = shuffled(this.#host.witnesses(), this.#random)
    const share = Math.max(MIN_WITNESSES, Math.floor(MAX_ASKS_PER_ROUND / this.#conflicts.size))
    const nowMs = this.#clock.now()
    for (const conflict of [...this.#conflicts.values()]) {
      if (nowMs - conflict.freshMs > GIVE_UP_MS) this.#conflicts.delete(conflict.member.id)
      if (nowMs < conflict.nextAskMs) continue
      const isConfirmed = this.#isConfirmed(conflict)
      conflict.askEveryMs = isConfirmed ? ROUND_MS : Math.min(conflict.askEveryMs * ASK_GROWTH, MAX_ASK_INTERVAL_MS)
      // Rounds come with jitter: half of one less, and none is left out.
      conflict.nextAskMs = nowMs + conflict.askEveryMs - ROUND_MS / 2
      const nonce = this.#random.bytes(SIGHT_NONCE_BYTES)
      conflict.nonces = [nonce, ...conflict.nonces].slice(0, 3)
      for (const witness of witnesses.slice(0, share)) {
        this.#host.send(witness, { type: 'ask', nonce, target: conflict.member.id, relay: true })
      }
    }
  }

  #judge(): void {
    const nowMs = this.#clock.now()
    const ripe = [...this.#conflicts.values()].filter(
      (conflict) =>
        this.#isConfirmed(conflict) &&
        conflict.failedDials >= MIN_FAILED_DIALS &&
        nowMs - (conflict.confirmedMs ?? nowMs) >= GRACE_MS,
    )
    const because = ripe.filter((conflict) => this.#mustStepBackFor(conflict)).sort((a, b) => byAge(a.member, b.member))
    if (because.length === 0 || this.#wasPutOutTooOften(because)) return
    this.#phase = { type: 'checking', sinceMs: nowMs, because }
    const [first] = because
    const nonce = first?.nonces[0]
    if (first === undefined || nonce === undefined) return
    for (const witness of this.#host.witnesses()) {
      this.#host.send(witness, { type: 'ask', nonce, target: first.member.id, relay: false })
    }
  }

  #mustStepBackFor({ member, claim, blind }: Conflict): boolean {
    if (claim === undefined) return false
    const nowMs = this.#clock.now()
    const connected = new Set(this.#host.witnesses())
    const denials = [...blind].filter(([id, atMs]) => connected.has(id) && nowMs - atMs <= FRESH_MS).length
    const own = this.#claim()
    return mustStepBack(
      { ...own, oldest: older(own.oldest, member) },
      // It lost at least this node, and those who say so themselves.
      {
        ...claim,
        lost: Math.max(claim.lost, 1 + denials),
        oldest: claim.lost === 0 ? this.#self : older(claim.oldest, this.#self),
      },
    )
  }

  #wasPutOutTooOften(because: readonly Conflict[]): boolean {
    const nowMs = this.#clock.now()
    this.#steps = this.#steps.filter(({ atMs }) => nowMs - atMs < MEMORY_MS)
    const [only] = because
    if (only === undefined || because.length > 1) return false
    return this.#steps.filter((step) => step.because === only.member.id).length >= MAX_STEPS_FOR_ONE
  }

  #stepBack(because: readonly Conflict[]): void {
    const nowMs = this.#clock.now()
    this.#phase = WATCHING
    const still = because.filter(
      (conflict) => this.#conflicts.get(conflict.member.id) === conflict && this.#isConfirmed(conflict),
    )
    const [first] = still
    if (first === undefined || !this.#mustStepBackFor(first)) return
    const keep = new Set([...first.blind].filter(([, atMs]) => nowMs - atMs <= FRESH_MS).map(([id]) => id))
    const fullMs = Math.min(MIN_APART_MS * 2 ** this.#steps.length, MAX_APART_MS)
    const apartMs = fullMs * (0.75 + 0.5 * this.#random.float())
    this.#steps.push({ atMs: nowMs, because: still.length === 1 ? first.member.id : undefined })
    const lost = still.map(({ member }) => member)
    this.#phase = { type: 'apart', untilMs: nowMs + apartMs, lost: new Set(lost.map(({ id }) => id)) }
    this.#host.stepBack({ lost, keep, apartMs })
  }

  #comeBack(): void {
    this.#phase = WATCHING
    for (const conflict of this.#conflicts.values()) {
      conflict.claim = undefined
      conflict.failedDials = 0
      conflict.askEveryMs = ROUND_MS
      conflict.nextAskMs = this.#clock.now()
      conflict.freshMs = this.#clock.now()
    }
    this.#host.comeBack()
  }
}

/** Who of two that lost each other steps back: of `mustStepBack(a, b)` and `mustStepBack(b, a)` exactly one is true. */
export const mustStepBack = (own: Omit<SightClaim, 'connected'>, other: Omit<SightClaim, 'connected'>): boolean => {
  if (own.lost !== other.lost) return own.lost > other.lost
  const order = byAge(own.oldest, other.oldest)
  return order === 0 ? byAge(own, other) > 0 : order < 0
}

/** The older first. */
const byAge = (a: Age, b: Age): number => {
  if (a.incarnation !== b.incarnation) return a.incarnation < b.incarnation ? -1 : 1
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1
}

const older = (a: Age, b: Age): Age => (byAge(a, b) <= 0 ? a : b)

const oldestOf = (conflicts: readonly Conflict[]): Age | undefined =>
  conflicts
    .map(({ member }) => member as Age)
    .reduce<Age | undefined>((a, b) => (a === undefined ? b : older(a, b)), undefined)

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const shuffled = (ids: readonly string[], random: Random): string[] =>
  ids
    .map((id) => ({ id, order: random.float() }))
    .sort((a, b) => a.order - b.order)
    .map(({ id }) => id)

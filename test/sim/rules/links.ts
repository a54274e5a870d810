/**
 * Links: G15 and G18 both sides believe the same, G16 one exit for a link, G17 silence after unlink, G19 an exit for who is
 * dead or out of reach, G7 with the reason of the end.
 *
 * On one node all is done at once, and the model is exact. Between nodes signals cross; there the model knows what must
 * be where nothing crossed, and leaves open what may be either way. But agree the two sides must: when all connections are
 * cut at once, each of two linked processes gets an exit, or neither.
 */
import type { Actor, Fact, Rule, Scene } from '../facts.ts'
import { Violation } from '../facts.ts'

/** What two sides did further apart than this did not cross: silence of this length ends a connection. */
const CROSSING_MS = 6000
/** Between an end and the exit at the other side, when all is quiet. */
const DELIVERY_MS = 5

interface Move {
  readonly by: Actor
  readonly type: 'link' | 'unlink'
  readonly atMs: number
  readonly isConnected: boolean
}

interface Exit {
  readonly at: Actor
  readonly reason: string
  readonly atMs: number
}

class Pair {
  readonly one: Actor
  readonly other: Actor
  readonly moves: Move[] = []
  readonly exits: Exit[] = []
  /** Per side: the moves there were at its last unlink that ended a link it had made; undefined if it linked since. */
  readonly silentFrom = new Map<Actor, { readonly moves: number; readonly atMs: number }>()
  /** One sent the other an exit signal that looks like that of a link: who knows what came of which. */
  isMuddled = false
  /** Of two processes on one node. */
  isLinked = false
  /** On one node: whom the end of the other must reach. */
  owed: { readonly to: Actor; readonly atMs: number } | undefined

  constructor(one: Actor, other: Actor) {
    this.one = one
    this.other = other
  }

  get isLocal(): boolean {
    return this.one.isWith(this.other)
  }

  partner(actor: Actor): Actor {
    return actor === this.one ? this.other : this.one
  }

  /** The side itself has linked and neither unlinked nor got an exit since; nor can an unlink of the other have come since. */
  believesLinked(actor: Actor): boolean {
    const last = this.moves.filter((move) => move.by === actor).at(-1)
    if (last?.type !== 'link') return false
    if (this.moves.some((move) => move.by !== actor && move.type === 'unlink' && last.atMs - move.atMs < CROSSING_MS)) {
      return false
    }
    return !this.exits.some((exit) => exit.at === actor && exit.atMs >= last.atMs)
  }
}

type Expectation = 'linked' | 'apart' | 'either'

export class LinkRule implements Rule {
  readonly #pairs = new Map<string, Pair>()
  /** Of pairs on two nodes whose two sides lived when all was quiet. */
  readonly #expected = new Map<Pair, Expectation>()
  /** By number of the request: who was to be linked to who asked. */
  readonly #births = new Map<number, Actor>()
  /** Requests that ended in an error. */
  readonly #givenUp = new Set<number>()
  #settledMs = Number.POSITIVE_INFINITY

  see(fact: Fact, scene: Scene): void {
    switch (fact.type) {
      case 'linked':
      case 'unlinked':
        this.#move(this.#pair(fact.by, fact.to), fact.by, fact.type === 'linked' ? 'link' : 'unlink', scene.nowMs)
        break
      case 'exitSent':
        if (!fact.reason.startsWith('exit ')) this.#pair(fact.by, fact.to).isMuddled = true
        break
      case 'born':
        if (fact.request.how !== 'link') break
        this.#births.set(fact.request.number, fact.actor)
        if (this.#givenUp.has(fact.request.number)) this.#pair(fact.request.by, fact.actor).isMuddled = true
        break
      case 'spawnAnswered': {
        // Who gave up its request has no link, and who was born of it is told; in between nothing is certain.
        if (fact.pid !== undefined) break
        const born = this.#births.get(fact.request.number)
        this.#givenUp.add(fact.request.number)
        if (born !== undefined) this.#pair(fact.request.by, born).isMuddled = true
        break
      }
      case 'exit':
        this.#exit(this.#pair(fact.actor, fact.of), fact.actor, fact.reason, scene.nowMs)
        break
      case 'ended':
        this.#ended(fact.actor, scene.nowMs)
        break
    }
  }

  settled(scene: Scene): void {
    this.#settledMs = scene.nowMs
    for (const pair of this.#clear()) {
      this.#checkReasons(pair)
      this.#checkOwed(pair)
      for (const actor of [pair.one, pair.other]) this.#checkAnswer(pair, actor)
      if (!pair.isLocal && pair.one.isAlive && pair.other.isAlive) this.#expected.set(pair, expectation(pair))
    }
  }

  parted(): void {
    for (const [pair, expected] of this.#expected) {
      const [one, other] = [pair.one, pair.other].map((actor) =>
        pair.exits.some((exit) => exit.at === actor && exit.atMs > this.#settledMs),
      )
      const what = `${pair.one.id} and ${pair.other.id}`
      if (one !== other) {
        const [believes, not] = one ? [pair.one, pair.other] : [pair.other, pair.one]
        throw new Violation('G18', `${believes.id} was still linked to ${not.id}, and ${not.id} not to ${believes.id}`)
      }
      if (expected === 'linked' && !one) throw new Violation('G15', `${what} were not linked any more`)
      if (expected === 'apart' && one) throw new Violation('G17', `${what} were still linked`)
    }
  }

  finished(): void {
    for (const pair of this.#clear()) {
      this.#checkReasons(pair)
      this.#checkOwed(pair)
    }
    for (const [pair, expected] of this.#expected) this.#checkLastEnd(pair, expected)
  }

  #move(pair: Pair, by: Actor, type: Move['type'], atMs: number): void {
    const to = pair.partner(by)
    const isConnected = by.place.connectionTo(to.place) !== undefined
    if (type === 'unlink' && isConnected && pair.believesLinked(by)) {
      pair.silentFrom.set(by, { moves: pair.moves.length, atMs })
    }
    pair.moves.push({ by, type, atMs, isConnected })
    pair.isLinked = type === 'link' && to.isAlive
  }

  #exit(pair: Pair, at: Actor, reason: string, atMs: number): void {
    const of = pair.partner(at)
    const what = `an exit (${reason}) of ${of.id} at ${at.id}`
    pair.exits.push({ at, reason, atMs })
    if (pair.isMuddled) return
    const exits = pair.exits.filter((exit) => exit.at === at).length
    const links = pair.moves.filter((move) => move.type === 'link').length
    if (exits > links) throw new Violation('G16', `${what} is the ${exits}th, for ${links} times that they were linked`)
    const silent = pair.silentFrom.get(at)
    if (silent === undefined) return
    const isLinkedSince = pair.moves.slice(silent.moves).some((move) => move.type === 'link')
    // A new connection may bring a link that the other side had made before.
    const isReconnected = at.place.connectedSince(of.place.name, silent.atMs)
    if (!isLinkedSince && !isReconnected) throw new Violation('G17', `${what} came after it unlinked`)
    pair.silentFrom.delete(at)
  }

  #ended(actor: Actor, atMs: number): void {
    for (const pair of this.#pairs.values()) {
      if (!pair.isLocal || (pair.one !== actor && pair.other !== actor)) continue
      const to = pair.partner(actor)
      if (pair.isLinked && to.isAlive && to.trapExit && actor.end?.reason !== 'crash') pair.owed = { to, atMs }
      pair.isLinked = false
    }
  }

  #checkOwed(pair: Pair): void {
    const { owed } = pair
    if (owed === undefined || (owed.to.end !== undefined && owed.to.end.atMs <= owed.atMs)) return
    if (!pair.exits.some((exit) => exit.at === owed.to && exit.atMs === owed.atMs)) {
      throw new Violation('G15', `${owed.to.id} got no exit of ${pair.partner(owed.to).id}, to which it was linked`)
    }
  }

  /** Who linked last, and traps exits ever since, has heard of an end or of a loss. */
  #checkAnswer(pair: Pair, actor: Actor): void {
    const last = pair.moves.at(-1)
    const other = pair.partner(actor)
    if (last?.type !== 'link' || last.by !== actor || !actor.isAlive || actor.trapsSinceMs > last.atMs) return
    if (pair.moves.some((move) => move.by === other && last.atMs - move.atMs < CROSSING_MS)) return
    const isLost = actor.place.lostAfter(other.place.name, last.atMs)
    if (other.isAlive && !(isLost && !pair.isLocal)) return
    if (pair.exits.some((exit) => exit.at === actor && exit.atMs >= last.atMs)) return
    throw new Violation(
      'G19',
      `${actor.id} linked to ${other.id}, which has ended or was out of reach, and got no exit`,
    )
  }

  /** The first of two that ends when all is quiet. */
  #checkLastEnd(pair: Pair, expected: Expectation): void {
    if (pair.one.end === undefined || pair.other.end === undefined) return
    const first = pair.one.end.atMs < pair.other.end.atMs ? pair.one : pair.other
    const left = pair.partner(first)
    const endMs = first.end?.atMs ?? 0
    if ((left.end?.atMs ?? 0) < endMs + DELIVERY_MS) return
    // Where all connections were cut the loss has been told already.
    if (first.place.connectionTo(left.place) === undefined) return
    const hasExit = pair.exits.some((exit) => exit.at === left && exit.atMs >= endMs)
    if (expected === 'linked' && !hasExit) throw new Violation('G15', `${left.id} got no exit of ${first.id}`)
    if (expected === 'apart' && hasExit) throw new Violation('G17', `${left.id} got an exit of ${first.id}`)
  }

  #checkReasons(pair: Pair): void {
    for (const { at, reason, atMs } of pair.exits) {
      const of = pair.partner(at)
      const what = `an exit of ${of.id} at ${at.id} says ${reason}`
      if (reason === of.end?.reason) continue
      if (reason === 'noconnection') {
        if (pair.isLocal) throw new Violation('G19', `${what}, on its own node`)
      } else if (of.end === undefined || of.end.atMs > atMs) throw new Violation('G16', `${what}, and it lives`)
      else if (reason !== 'noproc') throw new Violation('G7', `${what}, and it ended with ${of.end.reason}`)
    }
  }

  #clear(): Pair[] {
    return [...this.#pairs.values()].filter((pair) => !pair.isMuddled)
  }

  #pair(a: Actor, b: Actor): Pair {
    const key = a.id < b.id ? `${a.id} ${b.id}` : `${b.id} ${a.id}`
    let pair = this.#pairs.get(key)
    if (pair === undefined) {
      pair = new Pair(a, b)
      this.#pairs.set(key, pair)
    }
    return pair
  }
}

/** What must be, where the last word was not crossed by another and its connection lives. */
const expectation = (pair: Pair): Expectation => {
  const last = pair.moves.at(-1)
  if (last === undefined || !last.isConnected) return 'either'
  const other = pair.partner(last.by)
  const isCrossed = pair.moves.some((move) => move.by === other && last.atMs - move.atMs < CROSSING_MS)
  const isLost =
    last.by.place.lostSince(other.place.name, last.atMs) || other.place.lostSince(last.by.place.name, last.atMs)
  return isCrossed || isLost ? 'either' : last.type === 'link' ? 'linked' : 'apart'
}

/**
 * What arrives, and in which order: G1 order per pair over all kinds of signals, G2 at most once, G3 nothing made up, G4
 * nothing after the connection is lost, G5 no gaps on a connection, G6 nothing of a process after its DOWN or EXIT, G20
 * no stranger gets what was meant for a process of the past, G22 the same for requests, G28 nodeup before and nodedown
 * after everything.
 *
 * Messages of timers have no place in the order of their sender, which may have ended long ago.
 */
import { Pid } from '../../../src/index.ts'
import { Actor, type Fact, type Flight, nameOf, type Place, type Rule, type Scene, Violation } from '../facts.ts'

/** What one actor got of another. */
interface Pair {
  /** Signals sent to it by pid, in order. */
  readonly sent: Flight[]
  last: number
  /** Index in `sent` behind the last one that arrived. */
  next: number
  /** Its end was heard of. */
  isGone: boolean
}

/** What one actor knows of one node. */
interface View {
  isUp: boolean
  /** Whose signals came over the present connection. */
  place: Place | undefined
}

export class OrderRule implements Rule {
  readonly #arrived = new Set<Flight>()
  readonly #pairs = new Map<string, Pair>()
  readonly #views = new Map<string, View>()
  /** `actor/place`: told that the connection is lost, and of no new one since. */
  readonly #lost = new Set<string>()
  readonly #plainExits = new Set<string>()

  see(fact: Fact, scene: Scene): void {
    switch (fact.type) {
      case 'sent':
        if (fact.flight.to instanceof Actor) this.#pair(fact.flight.from, fact.flight.to).sent.push(fact.flight)
        break
      case 'arrived':
        this.#see(fact)
        break
      case 'exitSent':
        this.#plainExits.add(`${fact.by.id}>${fact.to.id} ${fact.reason}`)
        break
      case 'down': {
        const of = fact.about instanceof Pid ? scene.actorOf(fact.about) : undefined
        if (of !== undefined) this.#heardOfEnd(fact.actor, of, fact.reason)
        break
      }
      case 'exit':
        if (!this.#plainExits.has(`${fact.of.id}>${fact.actor.id} ${fact.reason}`)) {
          this.#heardOfEnd(fact.actor, fact.of, fact.reason)
        }
        break
      case 'nodeSeen':
        this.#seeNode(fact.actor, fact.node, fact.isUp)
        break
      case 'strange':
        throw new Violation('G3', `${fact.actor.id} got what nobody sent it: ${JSON.stringify(fact.message)}`)
    }
  }

  settled(): void {
    for (const { sent } of this.#pairs.values()) {
      for (const flight of sent) {
        const { from, to, kind, connection } = flight
        if (!(to instanceof Actor && to.isAlive) || !mustArrive(flight) || from.place.isGone) continue
        if (connection !== from.place.connectionTo(to.place) || this.#arrived.has(flight)) continue
        throw new Violation('G5', `${kind} #${flight.number} of ${from.id} to ${to.id} was lost on a living connection`)
      }
    }
  }

  #see({ flight, actor, isWhole }: Extract<Fact, { type: 'arrived' }>): void {
    const { from, to, kind, number } = flight
    const what = `${kind} #${number} of ${from.id} at ${actor.id}`
    if (!isWhole) throw new Violation('G3', `${what} is not as it was sent`)
    if (to instanceof Actor ? to !== actor : to.node !== actor.place.name || !actor.names.has(to.name)) {
      const isStranger = to instanceof Actor && to.place !== actor.place && to.place.name === actor.place.name
      throw new Violation(isStranger ? 'G20' : 'G3', `${what} was meant for ${nameOf(to)}`)
    }
    if (this.#arrived.has(flight)) throw new Violation(kind === 'call' ? 'G22' : 'G2', `${what} arrived twice`)
    this.#arrived.add(flight)
    this.#checkConnection(actor, from, what)
    if (kind === 'timer') return
    const pair = this.#pair(from, actor)
    if (number < pair.last) throw new Violation('G1', `${what} arrived behind #${pair.last}`)
    if (pair.isGone) throw new Violation('G6', `${what} arrived after the end of ${from.id} was told`)
    pair.last = number
    this.#checkGaps(pair, flight, what)
  }

  #checkGaps(pair: Pair, flight: Flight, what: string): void {
    for (; pair.next < pair.sent.length; pair.next++) {
      const before = pair.sent[pair.next] as Flight
      if (before.number >= flight.number) return
      if (!mustArrive(before) || before.connection !== flight.connection || this.#arrived.has(before)) continue
      throw new Violation('G5', `${what} arrived, and ${before.kind} #${before.number} before it did not`)
    }
  }

  #checkConnection(actor: Actor, from: Actor, what: string): void {
    if (actor.isWith(from)) return
    if (this.#lost.has(`${actor.id}/${from.place.number}`)) {
      throw new Violation('G4', `${what} arrived after the loss of its connection was told`)
    }
    const view = this.#view(actor, from.place.name)
    if (!view.isUp) throw new Violation('G28', `${what} arrived outside of nodeup and nodedown`)
    view.place ??= from.place
    if (view.place !== from.place) throw new Violation('G20', `${what} came over a connection of another incarnation`)
  }

  #heardOfEnd(actor: Actor, of: Actor, reason: string): void {
    // Who was linked to somebody far away may itself have ended with that reason.
    if (reason === 'noconnection' && of.end?.reason === reason) return
    // Who gave up a request to spawn lives, as far as this exit is concerned.
    if (reason === 'abandoned') return
    if (reason !== 'noconnection') this.#pair(of, actor).isGone = true
    else if (!actor.isWith(of)) this.#lost.add(`${actor.id}/${of.place.number}`)
  }

  #seeNode(actor: Actor, node: string, isUp: boolean): void {
    const view = this.#view(actor, node)
    if (view.isUp === isUp) throw new Violation('G28', `${actor.id} saw ${node} ${isUp ? 'come up' : 'go down'} twice`)
    view.isUp = isUp
    view.place = undefined
    if (!isUp) return
    for (const key of this.#lost) if (key.startsWith(`${actor.id}/`)) this.#lost.delete(key)
  }

  #pair(from: Actor, to: Actor): Pair {
    const key = `${from.id}>${to.id}`
    let pair = this.#pairs.get(key)
    if (pair === undefined) {
      pair = { sent: [], last: 0, next: 0, isGone: false }
      this.#pairs.set(key, pair)
    }
    return pair
  }

  #view(actor: Actor, node: string): View {
    const key = `${actor.id} ${node}`
    let view = this.#views.get(key)
    if (view === undefined) {
      view = { isUp: false, place: undefined }
      this.#views.set(key, view)
    }
    return view
  }
}

/** Exit signals need not show, and what was refused or sent without a connection may be missing. */
const mustArrive = ({ kind, isRefused, connection }: Flight): boolean =>
  (kind === 'mail' || kind === 'call') && !isRefused && connection !== undefined

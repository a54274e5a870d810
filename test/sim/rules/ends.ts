/**
 * Ends: G7 every end has one cause that was there, G8 what an exit signal does, G9 kill and killed.
 */
import type { Actor, Fact, Rule, Scene } from '../facts.ts'
import { Violation } from '../facts.ts'

interface Causes {
  /** Reasons with which it was to end by itself, or was told to. */
  readonly reasons: Set<string>
  /** Whom it may have been linked to. */
  readonly linked: Set<Actor>
}

interface LocalExit {
  readonly to: Actor
  readonly reason: string
  readonly atMs: number
}

export class EndRule implements Rule {
  readonly #causes = new Map<Actor, Causes>()
  readonly #due: LocalExit[] = []
  /** Virtual time of each exit/2 whose reason is its own. */
  readonly #sentMs = new Map<string, number>()

  see(fact: Fact, scene: Scene): void {
    switch (fact.type) {
      case 'willEnd':
        this.#of(fact.actor).reasons.add(fact.reason)
        break
      case 'linked':
        this.#of(fact.by).linked.add(fact.to)
        this.#of(fact.to).linked.add(fact.by)
        break
      case 'born':
        // If the request is given up, or who asked has ended, who was to start is killed and who is linked is told.
        this.#of(fact.actor).reasons.add(
          fact.request.how === 'link' ? 'abandoned' : fact.request.start ? 'killed' : 'normal',
        )
        break
      case 'exitSent':
        this.#sent(fact, scene.nowMs)
        break
      case 'ended':
        if (fact.reason !== 'crash') this.#ended(fact.actor, fact.reason)
        break
    }
  }

  settled(): void {
    for (const { to, reason, atMs } of this.#due) {
      if (to.end !== undefined && to.end.atMs <= atMs) continue
      throw new Violation('G8', `${to.id} did not end of ${reason}, which it got at ${atMs.toFixed(1)}`)
    }
  }

  finished(scene: Scene): void {
    for (const actor of scene.actors) {
      const end = actor.end
      if (end === undefined || end.reason === 'crash') continue
      const { reasons, linked } = this.#of(actor)
      if (reasons.has(end.reason)) continue
      const isLink = [...linked].some((other) => other.end?.reason === end.reason)
      const isLoss = linked.size > 0 && (end.reason === 'noproc' || end.reason === 'noconnection')
      if (!isLink && !isLoss)
        throw new Violation('G7', `${actor.id} ended with ${end.reason}, for which there was no cause`)
    }
  }

  #sent({ by, to, reason }: Extract<Fact, { type: 'exitSent' }>, atMs: number): void {
    if (reason.startsWith('exit ')) this.#sentMs.set(reason, atMs)
    const effect = reason === 'kill' ? 'killed' : reason
    // "normal" ends nobody but who sent it to itself.
    const isFelt = reason !== 'normal' || by === to
    if (isFelt) this.#of(to).reasons.add(effect)
    // On one node an exit signal takes effect at once, so it is known what it meets.
    const isDeadly = reason === 'kill' || (!to.trapExit && isFelt)
    if (by.isWith(to) && to.isAlive && isDeadly) this.#due.push({ to, reason, atMs })
  }

  /** A reason of exit/2 names its signal, so nobody else can end with it by chance. */
  #ended(actor: Actor, reason: string): void {
    const sentMs = this.#of(actor).reasons.has(reason) ? this.#sentMs.get(reason) : undefined
    if (sentMs !== undefined && actor.trapsSinceMs < sentMs)
      throw new Violation('G8', `${actor.id} traps exits and ended of ${reason}`)
  }

  #of(actor: Actor): Causes {
    let causes = this.#causes.get(actor)
    if (causes === undefined) {
      causes = { reasons: new Set(), linked: new Set() }
      this.#causes.set(actor, causes)
    }
    return causes
  }
}

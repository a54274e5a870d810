/** Names: G27 each belongs to one process, and is free before anybody hears of its end. */
import { Pid } from '../../../src/index.ts'
import type { Actor, Fact, Place, Rule, Scene } from '../facts.ts'
import { Violation } from '../facts.ts'

export class NameRule implements Rule {
  readonly #holders = new Map<string, Actor>()

  see(fact: Fact, scene: Scene): void {
    if (fact.type === 'registered') {
      const key = keyOf(fact.actor.place, fact.name)
      const holder = this.#holders.get(key)
      const isHeld = holder?.isAlive === true
      if (fact.refused !== isHeld) {
        throw new Violation(
          'G27',
          `${fact.actor.id} ${fact.refused ? 'did not get' : 'got'} the name ${fact.name} of ${holder?.id}`,
        )
      }
      if (!fact.refused) this.#holders.set(key, fact.actor)
    } else if (fact.type === 'unregistered') {
      const key = keyOf(fact.place, fact.name)
      const isHeld = this.#holders.get(key)?.isAlive === true
      if (fact.refused === isHeld)
        throw new Violation('G27', `unregister ${fact.name} was ${fact.refused ? '' : 'not '}refused`)
      this.#holders.delete(key)
    } else if (fact.type === 'exit') this.#mustBeFree(fact.of, fact.actor, fact.reason)
    else if (fact.type === 'down' && fact.about instanceof Pid) {
      const of = scene.actorOf(fact.about)
      if (of !== undefined) this.#mustBeFree(of, fact.actor, fact.reason)
    }
  }

  #mustBeFree(of: Actor, by: Actor, reason: string): void {
    if (!by.isWith(of) || of.isAlive || by.place.isGone) return
    for (const name of of.names) {
      const pid = by.place.node.whereis(name)
      if (pid?.equals(of.pid))
        throw new Violation('G27', `${by.id} heard of the end of ${of.id} (${reason}), which is still ${name}`)
    }
  }
}

const keyOf = (place: Place, name: string): string => `${place.number}/${name}`

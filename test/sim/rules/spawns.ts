/**
 * Spawns on a node: G23 one outcome, a pid or an error, and one process at most for a request; G24 the answer before any
 * signal of the new process; G25 what an error leaves behind. Link and monitor from the first instant are seen by links.ts
 * and monitors.ts, which learn of them at the birth.
 */
import { type Actor, type Fact, type Rule, type Scene, type SpawnRequest, Violation } from '../facts.ts'

interface Asked {
  readonly request: SpawnRequest
  readonly sentMs: number
  born: Actor | undefined
  /** When who asked first heard of who was born. */
  heardMs: number
  answer: { readonly atMs: number; readonly code: string } | undefined
}

export class SpawnRule implements Rule {
  readonly #asked = new Map<number, Asked>()
  readonly #byActor = new Map<Actor, Asked>()

  see(fact: Fact, scene: Scene): void {
    switch (fact.type) {
      case 'spawnAsked':
        this.#asked.set(fact.request.number, {
          request: fact.request,
          sentMs: scene.nowMs,
          born: undefined,
          heardMs: Number.POSITIVE_INFINITY,
          answer: undefined,
        })
        break
      case 'born':
        this.#born(fact.request, fact.actor)
        break
      case 'arrived':
        this.#heard(fact.flight.from, fact.actor, scene.nowMs)
        break
      case 'exit':
        this.#heard(fact.of, fact.actor, scene.nowMs)
        break
      case 'spawnAnswered':
        this.#answered(fact, scene)
        break
    }
  }

  settled(): void {
    for (const { request, answer } of this.#asked.values()) {
      if (request.by.isAlive && answer === undefined) throw violation('G23', request, 'has no outcome')
    }
  }

  finished(): void {
    for (const { request, answer } of this.#asked.values()) {
      if (request.by.end?.reason !== 'crash' && answer === undefined) throw violation('G23', request, 'has no outcome')
    }
  }

  #born(request: SpawnRequest, actor: Actor): void {
    const asked = this.#asked.get(request.number)
    if (asked === undefined) return
    if (asked.born !== undefined) throw violation('G23', request, `started ${asked.born.id} and ${actor.id}`)
    if (request.isUnknown) throw violation('G23', request, `started ${actor.id} of a behaviour that is not there`)
    if (actor.place.name !== request.node) throw violation('G23', request, `started ${actor.id} elsewhere`)
    asked.born = actor
    this.#byActor.set(actor, asked)
  }

  #heard(from: Actor, by: Actor, atMs: number): void {
    const asked = this.#byActor.get(from)
    if (asked?.request.by !== by) return
    asked.heardMs = Math.min(asked.heardMs, atMs)
  }

  #answered({ request, pid, code }: Extract<Fact, { type: 'spawnAnswered' }>, scene: Scene): void {
    const asked = this.#asked.get(request.number)
    if (asked === undefined || asked.answer !== undefined) throw violation('G23', request, 'has a second outcome')
    asked.answer = { atMs: scene.nowMs, code }
    const { born, heardMs } = asked
    if (pid === undefined) {
      this.#failed(request, code)
      return
    }
    // Who is not known yet begins in the next microtask, or was ended before it could.
    if (born !== undefined && !pid.equals(born.pid)) throw violation('G23', request, `gave ${pid}, not ${born.id}`)
    if (!request.start && heardMs < scene.nowMs)
      throw violation('G24', request, `was answered after a signal of ${born?.id}`)
  }

  #failed(request: SpawnRequest, code: string): void {
    const allowed = request.isUnknown ? [...FAILURES, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR'] : FAILURES
    if (!allowed.includes(code)) throw violation('G23', request, `ended with ${code}`)
  }
}

const FAILURES: readonly string[] = [
  'ERR_SKEIN_NOCONNECTION',
  'ERR_SKEIN_CALL_TIMEOUT',
  'ERR_SKEIN_PROCESS_ENDED',
  // It was ended before it had started.
  'ERR_SKEIN_START_FAILED',
]

const violation = (guarantee: string, { number, by }: SpawnRequest, text: string): Violation =>
  new Violation(guarantee, `request ${number} of ${by.id} ${text}`)

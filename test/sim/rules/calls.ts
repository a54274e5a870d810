/**
 * Calls: G21 exactly one outcome, a value only if somebody gave it to that very call, an error only if its cause was
 * there. That a reply never lands in a mailbox is seen by order.ts, which knows all that may be there; G22 too.
 */
import {
  Actor,
  type Call,
  type Fact,
  nameOf,
  nodeOf,
  type Outcome,
  type Rule,
  type Scene,
  Violation,
} from '../facts.ts'

const ROUNDING_MS = 1e-3

interface OpenCall {
  readonly call: Call
  outcome: { readonly outcome: Outcome; readonly atMs: number } | undefined
}

export class CallRule implements Rule {
  readonly #calls = new Map<number, OpenCall>()
  /** `call/number` of every answer given. */
  readonly #answers = new Set<string>()

  see(fact: Fact, scene: Scene): void {
    if (fact.type === 'called') this.#calls.set(fact.call.number, { call: fact.call, outcome: undefined })
    else if (fact.type === 'answered') this.#answers.add(`${fact.answer.call}/${fact.answer.number}`)
    else if (fact.type === 'outcome') this.#outcome(fact.call, fact.outcome, scene.nowMs)
  }

  settled(): void {
    for (const one of this.#calls.values()) {
      const { call, outcome } = one
      this.#checkError(one)
      if (!call.by.isAlive || outcome !== undefined) continue
      if (Number.isFinite(call.timeoutMs)) throw violation(call, 'has no outcome after its time')
      const isOver = call.to instanceof Actor ? !call.to.isAlive : false
      const isLost = call.by.place.lostAfter(nodeOf(call.to), call.sentMs)
      if (isOver || isLost) throw violation(call, 'has no outcome, and nobody is left to give one')
    }
  }

  finished(): void {
    for (const one of this.#calls.values()) {
      this.#checkError(one)
      if (one.outcome === undefined && one.call.by.end?.reason !== 'crash') throw violation(one.call, 'has no outcome')
    }
  }

  #outcome(call: Call, outcome: Outcome, atMs: number): void {
    const open = this.#calls.get(call.number)
    if (open === undefined || open.outcome !== undefined) throw violation(call, 'has a second outcome')
    open.outcome = { outcome, atMs }
    if (outcome.type === 'value') {
      const { answer } = outcome
      if (answer.call !== call.number) throw violation(call, `got the answer to call ${answer.call}`)
      if (!this.#answers.has(`${answer.call}/${answer.number}`)) throw violation(call, 'got an answer that nobody gave')
    } else if (outcome.code === 'ERR_SKEIN_CALL_TIMEOUT') {
      const tookMs = call.by.place.host.clock.now() - call.sentLocalMs
      if (tookMs < call.timeoutMs - ROUNDING_MS) throw violation(call, `timed out after ${tookMs} ms`)
    }
  }

  /** Looked at late, when it is known how everybody ended. */
  #checkError({ call, outcome: known }: OpenCall): void {
    if (known === undefined || known.outcome.type === 'value') return
    const { code, cause } = known.outcome
    const { by, to } = call
    const end = to instanceof Actor ? to.end : undefined
    switch (code) {
      case 'ERR_SKEIN_NOPROC':
        if (to instanceof Actor && (end === undefined || end.atMs > known.atMs))
          throw violation(call, 'says noproc, and it lives')
        break
      case 'ERR_SKEIN_CALL_EXIT':
        if (to instanceof Actor && end?.reason !== cause)
          throw violation(call, `says ${cause}, it ended with ${end?.reason}`)
        break
      case 'ERR_SKEIN_NOCONNECTION':
        // As in Erlang, a server that ended because of another lost node leaves the same word.
        if (to instanceof Actor && to.isWith(by) && end?.reason !== 'noconnection') {
          throw violation(call, 'says noconnection on its own node')
        }
        break
      case 'ERR_SKEIN_PROCESS_ENDED':
        if (by.isAlive) throw violation(call, 'says its caller has ended')
        break
      case 'ERR_SKEIN_CALL_TIMEOUT':
      case 'ERR_SKEIN_QUEUE_FULL':
        break
      default:
        throw violation(call, `ended with ${code}`)
    }
  }
}

const violation = (call: Call, text: string): Violation =>
  new Violation('G21', `call ${call.number} of ${call.by.id} to ${nameOf(call.to)} ${text}`)

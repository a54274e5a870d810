/**
 * Monitors: G10 exactly one DOWN, G7 with the reason of the end, G11 noproc, G12 noconnection, G13 none after demonitor,
 * G14 by name.
 */
import { Pid, type Ref } from '../../../src/index.ts'
import { Actor, type Fact, nameOf, nodeOf, type Rule, type Scene, type Subject, Violation } from '../facts.ts'

/** A DOWN of an end of this time at the latest must be there when a run is over. */
const DELIVERY_MS = 5

interface Standing {
  readonly by: Actor
  readonly of: Subject
  readonly ref: Ref
  readonly sinceMs: number
  readonly isConnected: boolean
  readonly downs: { readonly reason: string; readonly atMs: number }[]
  isTakenBack: boolean
  isFlushed: boolean
}

export class MonitorRule implements Rule {
  readonly #monitors = new Map<string, Standing>()
  /** DOWN messages whose monitor may still show: the answer to a spawn is on its way to who asked. */
  readonly #early: { readonly fact: Extract<Fact, { type: 'down' }>; readonly atMs: number }[] = []
  #settledMs = Number.POSITIVE_INFINITY

  see(fact: Fact, scene: Scene): void {
    if (fact.type === 'monitored') {
      const { by, of, ref } = fact
      const isConnected = of instanceof Actor && by.place.connectionTo(of.place) !== undefined
      this.#monitors.set(ref.key, {
        by,
        of,
        ref,
        sinceMs: scene.nowMs,
        isConnected,
        downs: [],
        isTakenBack: false,
        isFlushed: false,
      })
      const early = this.#early.findIndex((one) => one.fact.ref.equals(ref))
      const [one] = early < 0 ? [] : this.#early.splice(early, 1)
      if (one !== undefined && one.atMs < scene.nowMs) throw strange(one.fact)
      if (one !== undefined) this.#down(one.fact, scene)
    } else if (fact.type === 'demonitored') this.#takenBack(fact)
    else if (fact.type === 'down') this.#down(fact, scene)
  }

  settled(scene: Scene): void {
    this.#settledMs = scene.nowMs
    for (const { fact } of this.#early) throw strange(fact)
    for (const one of this.#monitors.values()) {
      const { by, of, downs } = one
      this.#checkReasons(one, scene)
      if (!by.isAlive || one.isTakenBack) continue
      const isLost = by.place.lostAfter(nodeOf(of), one.sinceMs)
      if (of instanceof Actor && !of.isAlive) this.#mustBe(one, 1, `${of.id} has ended`)
      else if (isLost) this.#mustBe(one, 1, 'the connection was lost')
      else if (of instanceof Actor && one.isConnected && !by.place.lostSince(nodeOf(of), one.sinceMs))
        this.#mustBe(one, 0, `${of.id} lives`)
      else if (downs.length > 1) this.#mustBe(one, 1, 'one is enough')
    }
  }

  parted(): void {
    for (const one of this.#monitors.values()) {
      const { by, of } = one
      if (!by.isAlive || one.isTakenBack) continue
      if (nodeOf(of) !== by.place.name) this.#mustBe(one, 1, 'every connection was lost')
    }
  }

  finished(scene: Scene): void {
    for (const one of this.#monitors.values()) {
      this.#checkReasons(one, scene)
      const { by, of } = one
      if (one.isTakenBack || !(of instanceof Actor) || of.end === undefined || by.end === undefined) continue
      const isTold = of.end.atMs > this.#settledMs && by.end.atMs > of.end.atMs + DELIVERY_MS
      if (isTold) this.#mustBe(one, 1, `${of.id} has ended before ${by.id}`)
    }
  }

  #takenBack({ by, ref, was, flush }: Extract<Fact, { type: 'demonitored' }>): void {
    const one = this.#monitors.get(ref.key)
    if (one === undefined || one.isTakenBack) {
      if (was) throw new Violation('G13', `${by.id} took back monitor ${ref.number}, which does not stand`)
      return
    }
    if (was && one.downs.length > 0) throw new Violation('G13', `demonitor ${ref.number} is true after its DOWN`)
    if (!was && one.downs.length === 0) throw new Violation('G13', `demonitor ${ref.number} is false before its DOWN`)
    one.isTakenBack = was
    one.isFlushed ||= flush
  }

  #down(fact: Extract<Fact, { type: 'down' }>, scene: Scene): void {
    const { actor, ref, about, reason } = fact
    const what = `DOWN ${ref.number} at ${actor.id}`
    const one = this.#monitors.get(ref.key)
    if (one === undefined) {
      this.#early.push({ fact, atMs: scene.nowMs })
      return
    }
    if (one.by !== actor) throw strange(fact)
    if (one.isTakenBack || one.isFlushed) throw new Violation('G13', `${what} came after demonitor`)
    one.downs.push({ reason, atMs: scene.nowMs })
    if (one.downs.length > 1) throw new Violation('G10', `${what} came twice`)
    const { of } = one
    const isNamed =
      of instanceof Actor
        ? about instanceof Pid && about.equals(of.pid)
        : !(about instanceof Pid) && about.name === of.name && about.node === of.node
    if (!isNamed) throw new Violation('G14', `${what} is about ${about}, not ${nameOf(of)}`)
  }

  #mustBe({ by, of, ref, downs, isFlushed }: Standing, count: 0 | 1, why: string): void {
    if (downs.length === count || (isFlushed && downs.length < count)) return
    const text = `${by.id} got ${downs.length} DOWN for monitor ${ref.number} of ${nameOf(of)}, not ${count}: ${why}`
    throw new Violation('G10', text)
  }

  /** Looked at late, when it is known how everybody ended. */
  #checkReasons({ by, of, ref, downs }: Standing, scene: Scene): void {
    for (const { reason, atMs } of downs) {
      const what = `DOWN ${ref.number} at ${by.id} about ${nameOf(of)} says ${reason}`
      if (reason === 'noconnection') {
        const isHere = of instanceof Actor ? of.isWith(by) : of.node === by.place.name
        if (isHere && !endedSo(of, reason, scene)) throw new Violation('G12', `${what}, on its own node`)
      } else if (of instanceof Actor) {
        if (of.end === undefined || of.end.atMs > atMs) throw new Violation('G10', `${what}, and it lives`)
        if (reason !== 'noproc' && reason !== of.end.reason) {
          throw new Violation('G7', `${what}, and it ended with ${of.end.reason}`)
        }
      } else if (reason !== 'noproc' && !endedSo(of, reason, scene)) {
        throw new Violation('G14', `${what}, and nobody of that name ended so`)
      }
    }
  }
}

/** The subject, or somebody who had its name, ended with this reason. */
const endedSo = (of: Subject, reason: string, scene: Scene): boolean => {
  if (of instanceof Actor) return of.end?.reason === reason
  return scene.actors.some(
    (actor) => actor.place.name === of.node && actor.names.has(of.name) && actor.end?.reason === reason,
  )
}

const strange = ({ actor, ref }: Extract<Fact, { type: 'down' }>): Violation =>
  new Violation('G10', `DOWN ${ref.number} at ${actor.id} belongs to no monitor of it`)

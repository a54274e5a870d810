/**
 * The rest: a distributed supervisor whose children crash, timers that fire or are cancelled, and snapshots of the cluster.
 */
import type { DistributedSupervisor, Ref, Self } from '../../../src/index.ts'
import { CHILDREN } from '../protocol.ts'
import { codeOf, isType, type Work, type Workplace } from './work.ts'

const BEHAVIOUR = 'child'
const CRASH_MS_RANGE = [3000, 15_000] as const
const TIMER_CHANCE = 0.5
const TIMER_MS = 500
/** A timer that has not fired so long after its time never will. */
const OVERDUE_MS = 20_000
const SNAPSHOT_CHANCE = 0.01

export class Children implements Work {
  readonly name = 'children'
  readonly running = new Set<string>()
  readonly #place: Workplace
  readonly #supervisor: DistributedSupervisor

  constructor(place: Workplace) {
    this.#place = place
    place.node.behaviour(BEHAVIOUR, (self: Self<unknown>, id: unknown) => this.#child(self, String(id)))
    this.#supervisor = place.node.supervise('soak', {
      placement: 'roundRobin',
      maxRestarts: 10_000,
      children: CHILDREN.map((id) => ({ id, behaviour: BEHAVIOUR, args: [id] })),
    })
  }

  tick(): void {}

  outstanding(): number {
    return 0
  }

  /** All of them, in the whole cluster. */
  async run(on: boolean): Promise<void> {
    for (const id of CHILDREN) await (on ? this.#supervisor.restartChild(id) : this.#supervisor.terminateChild(id))
  }

  async #child(self: Self<unknown>, id: string): Promise<void> {
    this.running.add(id)
    self.signal.addEventListener('abort', () => this.running.delete(id))
    this.#place.count('children started')
    const [short, long] = CRASH_MS_RANGE
    // Who goes on after the end of its process would never come to rest.
    while (!self.signal.aborted) {
      await self.receive(() => false, { timeoutMs: short + this.#place.below(long - short) }).catch(() => {})
      if (this.#place.isOn && !self.signal.aborted) throw new Error('a child crashes, as planned')
    }
  }
}

export class Timers implements Work {
  readonly name = 'timers'
  readonly #place: Workplace
  readonly #due = new Map<number, number>()
  #self: Self<unknown> | undefined
  #number = 0
  #toCancel: { readonly ref: Ref; readonly number: number } | undefined

  constructor(place: Workplace) {
    this.#place = place
    place.node.spawn(async (self: Self<unknown>) => {
      this.#self = self
      for await (const message of self) {
        const { number } = message as unknown as { number: number }
        if (!isType(message, 'timer') || !this.#due.delete(number)) place.violation(`timer ${number} fired unasked`)
        place.count('timers fired')
      }
    })
  }

  tick(): void {
    const self = this.#self
    if (self === undefined || !this.#place.chance(TIMER_CHANCE)) return
    const number = ++this.#number
    const ref = self.sendAfter(this.#place.below(TIMER_MS), self.pid, { type: 'timer', number })
    this.#due.set(number, performance.now() + TIMER_MS)
    if (this.#toCancel !== undefined && self.cancelTimer(this.#toCancel.ref)) this.#due.delete(this.#toCancel.number)
    this.#toCancel = this.#place.chance(0.3) ? { ref, number } : undefined
  }

  outstanding(): number {
    const beforeMs = performance.now() - OVERDUE_MS
    for (const [number, dueMs] of this.#due) {
      if (dueMs > beforeMs) continue
      this.#due.delete(number)
      this.#place.violation(`timer ${number} never fired`)
    }
    return this.#due.size
  }
}

export class Snapshots implements Work {
  readonly name = 'snapshots'
  readonly #place: Workplace
  #open = 0

  constructor(place: Workplace) {
    this.#place = place
  }

  tick(): void {
    if (!this.#place.chance(SNAPSHOT_CHANCE)) return
    this.#open++
    void this.#take().finally(() => this.#open--)
  }

  outstanding(): number {
    return this.#open
  }

  async #take(): Promise<void> {
    const marks = new Map(this.#place.node.nodes().map((node) => [node, this.#place.mark(node)]))
    try {
      const { nodes } = await this.#place.node.observer.snapshot({ timeoutMs: 20_000 })
      this.#place.count('snapshots')
      for (const one of nodes) {
        const mark = marks.get(one.node)
        if (one.status === 'failed' && mark) this.#place.blame(mark, `no snapshot of ${one.node}: ${one.code}`)
      }
    } catch (error) {
      this.#place.violation(`a snapshot failed with ${codeOf(error)}`)
    }
  }
}

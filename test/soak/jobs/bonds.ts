/**
 * Bonds: processes are spawned on other nodes and on this one, linked and monitored in every way there is, and end after a
 * short life. Every DOWN and every exit that is due comes exactly once, with the right reason; none comes after
 * `demonitor` or `unlink`.
 */
import type { Pid, Reason, Ref, Self } from '../../../src/index.ts'
import { codeOf, isType, type Mark, type Work, type Workplace } from './work.ts'

const BEHAVIOUR = 'ephemeral'
const LIFE_MS_RANGE = [100, 1500] as const
const OVERDUE_MS = 60_000
/** On a busy machine an answer takes long; one that is lost never comes. */
const PATIENCE = { timeoutMs: 30_000 } as const
/** Something may come before the promise that says what it is. */
const UNKNOWN_AFTER_MS = 5000
/** Of the ticks. */
const CHANCE = 0.6

const WAYS = ['spawnMonitorOn', 'spawnLinkOn', 'both', 'taken back', 'nobody', 'here', 'named'] as const
const ENDS = ['normal', 'shutdown', 'crash'] as const

interface Due {
  readonly mark: Mark
  readonly reason: string
  readonly endsMs: number
  readonly what: string
}

interface Life {
  readonly lifeMs: number
  readonly end: (typeof ENDS)[number]
}

export class Bonds implements Work {
  readonly name = 'bonds'
  readonly #place: Workplace
  readonly #due = new Map<string, Due>()
  /** What came and nobody had said yet that it is due. */
  readonly #early = new Map<string, { readonly text: string; readonly atMs: number }>()
  #self: Self<unknown> | undefined
  #asking = 0
  #names = 0

  constructor(place: Workplace) {
    this.#place = place
    place.node.behaviour(BEHAVIOUR, live)
    place.node.spawn(async (self: Self<unknown>) => {
      self.trapExit = true
      this.#self = self
      for await (const message of self) this.#take(message)
    })
  }

  tick(): void {
    this.#sweep()
    const node = this.#place.peer()
    if (this.#self === undefined || node === undefined || !this.#place.chance(CHANCE)) return
    this.#asking++
    const mark = this.#place.mark(node)
    const way = this.#place.pick(WAYS) ?? 'here'
    this.#begin(this.#self, mark, way)
      .then(
        () => this.#place.count(`bonds: ${way}`),
        (error: unknown) => this.#place.blame(mark, `${way} on ${node} failed with ${codeOf(error)}`),
      )
      .finally(() => this.#asking--)
  }

  outstanding(): number {
    this.#sweep()
    return this.#asking + this.#due.size + this.#early.size
  }

  async #begin(self: Self<unknown>, mark: Mark, way: (typeof WAYS)[number]): Promise<void> {
    const [short, long] = LIFE_MS_RANGE
    const life: Life = { lifeMs: short + this.#place.below(long - short), end: this.#place.pick(ENDS) ?? 'normal' }
    const { node } = mark
    const here = this.#place.mark(self.node)
    if (way === 'spawnMonitorOn') {
      const { ref } = await self.spawnMonitorOn(node, BEHAVIOUR, [life], PATIENCE)
      this.#expect(downOf(ref), mark, life, way)
    } else if (way === 'spawnLinkOn') {
      this.#expect(exitOf(await self.spawnLinkOn(node, BEHAVIOUR, [life], PATIENCE)), mark, life, way)
    } else if (way === 'both') {
      const pid = await self.spawnOn(node, BEHAVIOUR, [life], PATIENCE)
      self.link(pid)
      this.#expect(exitOf(pid), mark, life, way)
      this.#expect(downOf(self.monitor(pid)), mark, life, way)
    } else if (way === 'taken back') {
      const pid = await self.spawnOn(node, BEHAVIOUR, [life], PATIENCE)
      self.link(pid)
      const ref = self.monitor(pid)
      self.unlink(pid)
      self.demonitor(ref, { flush: true })
    } else if (way === 'nobody') {
      this.#expect(downOf(self.monitor({ name: 'nobody', node })), mark, { lifeMs: 0, end: 'normal' }, way, 'noproc')
    } else if (way === 'here') {
      const { pid, ref } = self.spawnMonitor(live, life)
      self.link(pid)
      this.#expect(exitOf(pid), here, life, way)
      this.#expect(downOf(ref), here, life, way)
    } else {
      const name = `named-${++this.#names}`
      const pid = self.spawnWith({ name }, live, life)
      if (this.#place.node.whereis(name)?.equals(pid) !== true) this.#place.violation(`${name} is not found`)
      this.#expect(downOf(self.monitor(name)), here, life, way)
    }
  }

  #expect(key: string, mark: Mark, { lifeMs, end }: Life, what: string, reason = reasonText(reasonOf(end))): void {
    const due: Due = { mark, reason, endsMs: performance.now() + lifeMs, what }
    const early = this.#early.get(key)
    if (early === undefined) this.#due.set(key, due)
    else {
      this.#early.delete(key)
      this.#came(due, early.text)
    }
  }

  #take(message: unknown): void {
    let key: string
    if (isType(message, 'DOWN')) key = downOf((message as unknown as { ref: Ref }).ref)
    else if (isType(message, 'EXIT')) key = exitOf((message as unknown as { pid: Pid }).pid)
    else return this.#place.violation(`a watcher got ${JSON.stringify(message)}`)
    const text = reasonText((message as unknown as { reason: Reason }).reason)
    const due = this.#due.get(key)
    if (due === undefined) {
      if (this.#early.has(key)) this.#place.violation(`${key} came twice: ${text}`)
      this.#early.set(key, { text, atMs: performance.now() })
      return
    }
    this.#due.delete(key)
    this.#came(due, text)
  }

  #came({ mark, reason, what }: Due, text: string): void {
    this.#place.count('bonds: ends told')
    // Who is asked for after its end is nobody.
    if (text === 'noproc' && what === 'both') this.#place.count('bonds: ended before it was looked at')
    else if (text !== reason) this.#place.blame(mark, `${what}: the end was ${text}, not ${reason}`)
  }

  #sweep(): void {
    const nowMs = performance.now()
    for (const [key, { what, endsMs, mark }] of this.#due) {
      if (nowMs < endsMs + OVERDUE_MS) continue
      this.#due.delete(key)
      this.#place.violation(`${what} on ${mark.node}: the end of ${key} was never told`)
    }
    for (const [key, { text, atMs }] of this.#early) {
      if (nowMs < atMs + UNKNOWN_AFTER_MS) continue
      this.#early.delete(key)
      this.#place.violation(`${key} came a second time or unasked: ${text}`)
    }
  }
}

const live = async (self: Self<unknown>, life: unknown): Promise<void> => {
  const { lifeMs, end } = life as Life
  await self.receive(() => false, { timeoutMs: lifeMs }).catch(() => {})
  if (end !== 'normal') self.exit(reasonOf(end))
}

const reasonOf = (end: Life['end']): Reason => (end === 'crash' ? { crash: 'as planned' } : end)
const reasonText = (reason: Reason): string => (typeof reason === 'string' ? reason : JSON.stringify(reason))
const downOf = (ref: Ref): string => `DOWN ${ref.key}`
const exitOf = (pid: Pid): string => `EXIT ${pid.key}`

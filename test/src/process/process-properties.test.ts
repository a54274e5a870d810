/**
 * Links and monitors under every interleaving: random steps of four processes on two nodes, with signals let through one
 * by one and lanes overtaking each other, connections lost and made anew.
 */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import type { Ref } from '../../../src/pid.ts'
import { suite } from '../../support/suite.ts'
import { type Actor, actors, Pair, turns } from './process-support.ts'

const test = suite('process properties', { watchdogMs: 120_000 })

/** Processes 0 and 1 live on node a, 2 and 3 on node b. */
const COUNT = 4
const RUNS = 1000

/** Mostly one pair across the nodes: interleavings of few are richer than those of many. */
const who = fc.constantFrom(0, 0, 0, 2, 2, 2, 1, 3)
const two = { by: who, to: who }
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('link' as const), ...two }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('unlink' as const), ...two }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('monitor' as const), ...two }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('demonitor' as const), which: fc.nat(9), flush: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('flow' as const), sender: who }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kill' as const), victim: who }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reconnect' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

interface Watch {
  readonly by: number
  readonly to: number
  readonly ref: Ref
  /** A connection between the two was lost since. */
  lost: boolean
  demonitored: boolean
  downs: number
}

/** One run: does the steps and checks what must hold at every moment. */
class Run {
  readonly net = new Pair()
  readonly watches: Watch[] = []
  readonly #all: Actor[] = []
  readonly #read: number[] = []
  readonly #dead = new Set<number>()
  /** `by/to`: an exit of `to` may reach `by`, because a link was made since the last unlink. */
  readonly #mayExit = new Set<string>()
  /** `by/to` of every exit heard. */
  readonly exits: string[] = []

  async start(): Promise<void> {
    for (const node of [this.net.a, this.net.b]) this.#all.push(...(await actors(node, COUNT / 2)))
    this.#read.push(...this.#all.map(() => 0))
  }

  async stop(): Promise<void> {
    await Promise.all([this.net.a.processes.stop(0), this.net.b.processes.stop(0)])
  }

  isAlive(index: number): boolean {
    return !this.#dead.has(index)
  }

  areRemote(one: number, other: number): boolean {
    return one < COUNT / 2 !== other < COUNT / 2
  }

  async do(one: Step): Promise<void> {
    switch (one.type) {
      case 'link':
        this.link(one.by, one.to)
        break
      case 'unlink':
        this.unlink(one.by, one.to)
        break
      case 'monitor':
        // A monitor on oneself is none.
        if (this.isAlive(one.by) && one.by !== one.to) {
          const ref = this.#self(one.by).monitor(this.#self(one.to).pid)
          this.watches.push({ by: one.by, to: one.to, ref, lost: false, demonitored: false, downs: 0 })
        }
        break
      case 'demonitor': {
        const watch = this.watches[one.which]
        if (watch === undefined || !this.isAlive(watch.by) || watch.demonitored) break
        watch.demonitored = this.#self(watch.by).demonitor(watch.ref, { flush: one.flush })
        if (!watch.demonitored) assert.is(watch.downs, 1, 'demonitor says false only when the DOWN has come')
        break
      }
      case 'flow':
        this.flowOne(one.sender)
        break
      case 'kill':
        this.kill(one.victim)
        break
      case 'reconnect':
        this.net.cut()
        for (const watch of this.watches) if (this.areRemote(watch.by, watch.to)) watch.lost = true
        this.net.reconnect()
        break
    }
    await this.#listen()
  }

  link(by: number, to: number): void {
    if (!this.isAlive(by) || by === to) return
    this.#mayExit.add(`${by}/${to}`)
    if (!this.areRemote(by, to)) this.#mayExit.add(`${to}/${by}`)
    this.#self(by).link(this.#self(to).pid)
  }

  unlink(by: number, to: number): void {
    if (!this.isAlive(by)) return
    this.#self(by).unlink(this.#self(to).pid)
    this.#mayExit.delete(`${by}/${to}`)
  }

  kill(victim: number): void {
    const { pid } = this.#self(victim)
    const { processes } = victim < COUNT / 2 ? this.net.a : this.net.b
    processes.exit(pid, 'kill')
    this.#dead.add(victim)
  }

  flowOne(sender: number): boolean {
    const signal = this.net.flowOne(sender < COUNT / 2 ? 'b' : 'a', this.#self(sender).pid.number)
    if (signal?.type === 'link') {
      const to = signal.to - 1 + (sender < COUNT / 2 ? COUNT / 2 : 0)
      this.#mayExit.add(`${to}/${sender}`)
    }
    return signal !== undefined
  }

  async flowAll(): Promise<void> {
    for (let moved = true; moved; ) {
      moved = false
      for (let sender = 0; sender < COUNT; sender++) while (this.flowOne(sender)) moved = true
      await this.#listen()
    }
    assert.equal([...this.net.toA.waiting, ...this.net.toB.waiting], [])
  }

  #self(index: number): Actor['self'] {
    return this.#all[index]!.self
  }

  /** Reads what came in and checks it. */
  async #listen(): Promise<void> {
    await turns()
    this.#all.forEach(({ log }, by) => {
      for (const message of log.slice(this.#read[by])) this.#heard(by, message as Message)
      this.#read[by] = log.length
    })
  }

  #heard(by: number, message: Message): void {
    if (message.type === 'DOWN') {
      const watch = this.watches.find(({ ref }) => ref.equals(message.ref))
      assert.ok(watch, 'a DOWN belongs to a monitor')
      watch!.downs++
      assert.is(watch!.downs, 1, 'one DOWN for a monitor')
      assert.not(watch!.demonitored, 'no DOWN after demonitor')
      return
    }
    const from = this.#all.findIndex(({ self }) => self.pid.equals(message.pid))
    assert.ok(this.#mayExit.delete(`${by}/${from}`), `an exit of ${from} reached ${by} without a link`)
    this.exits.push(`${by}/${from}`)
  }
}

type Message = { readonly type: 'DOWN'; readonly ref: Ref } | { readonly type: 'EXIT'; readonly pid: unknown }

const start = async (steps: readonly Step[]): Promise<Run> => {
  const run = new Run()
  await run.start()
  for (const one of steps) await run.do(one)
  await run.flowAll()
  return run
}

const seed = Date.now() & 0x7fffffff
console.log(`process properties seed: ${seed}`)
const steps = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' })
const check = <T>(property: fc.IAsyncProperty<T>): Promise<void> => fc.assert(property, { seed, numRuns: RUNS })

test(
  'a monitor fires exactly once if its process ended or its connection was lost, and else not at all',
  () =>
    check(
      fc.asyncProperty(steps, async (all) => {
        const run = await start(all)
        for (const { by, to, downs, lost, demonitored } of run.watches) {
          if (!run.isAlive(by)) continue
          const expected = demonitored ? 0 : lost || !run.isAlive(to) ? 1 : 0
          assert.is(downs, expected, `monitor of ${by} on ${to}`)
        }
        await run.stop()
      }),
    ),
  { deadlineMs: 40_000 },
)

test(
  'when all signals have arrived both sides agree on who is linked, as a lost connection shows',
  () =>
    check(
      fc.asyncProperty(steps, async (all) => {
        const run = await start(all)
        run.exits.length = 0
        await run.do({ type: 'reconnect' })
        for (const exit of run.exits) {
          const [by, to] = exit.split('/')
          assert.ok(run.exits.includes(`${to}/${by}`), `${by} had a link with ${to}, but not the other way`)
        }
        await run.stop()
      }),
    ),
  { deadlineMs: 60_000 },
)

test(
  'whatever happened before, a new link holds and an unlink after it ends it',
  () =>
    check(
      fc.asyncProperty(steps, who, who, async (all, one, other) => {
        for (const unlinking of [false, true]) {
          const run = await start(all)
          if (one !== other && run.isAlive(one) && run.isAlive(other)) {
            run.link(one, other)
            await run.flowAll()
            if (unlinking) run.unlink(other, one)
            await run.flowAll()
            run.exits.length = 0
            run.kill(other)
            await run.flowAll()
            const heard = run.exits.filter((exit) => exit === `${one}/${other}`).length
            assert.is(heard, unlinking ? 0 : 1)
          }
          await run.stop()
        }
      }),
    ),
  { deadlineMs: 60_000 },
)

test.run()

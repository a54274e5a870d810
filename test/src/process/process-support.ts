/**
 * Two process layers joined without a network: what one node sends waits in lanes until the test lets it through, so that
 * every race can be written down as a sequence. The routes behave as route.ts promises, no more.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SkeinError } from '../../../certs/errors.ts'
import { Origin } from '../../../src/pid.ts'
import type { ProcessLimits } from '../../../src/process/limits.ts'
import { Processes } from '../../../src/process/processes.ts'
import type { ProcessReport } from '../../../src/process/report.ts'
import type { Allow } from '../../../src/process/rights.ts'
import type { Self } from '../../../src/process/self.ts'
import type { Route, Router } from '../../../src/route.ts'
import type { Signal } from '../../../src/signals.ts'
import { MessageCodec } from '../../../src/wire/codec.ts'
import { type Clock, systemClock } from '../../../transport/clock.ts'
import type { Hold } from '../../../transport/lane.ts'
import { seededRandom } from '../../../transport/random.ts'
import type { TestContext } from '../../support/suite.ts'

export interface NodeOptions {
  readonly clock?: Clock
  readonly limits?: Partial<ProcessLimits>
  readonly allow?: Allow
}

export interface TestNode {
  readonly origin: Origin
  readonly processes: Processes
  readonly reports: ProcessReport[]
}

const bodyOf = (signal: Signal): unknown => {
  if (signal.type === 'send' || signal.type === 'sendMany') return signal.message
  if (signal.type === 'call') return signal.request
  if (signal.type === 'reply') return signal.value
  if (signal.type === 'spawn') return Array.isArray(signal.args) ? signal.args[0] : undefined
  return 'reason' in signal ? signal.reason : undefined
}

/** One direction of a connection, seen by its sending node. */
export class TestRoute implements Route {
  readonly node: string
  readonly origin: Origin
  version: number | undefined = 2
  waits = false
  /** On their way, oldest first. */
  readonly waiting: Signal[] = []
  readonly gone: number[] = []
  /** True: the queue is full. */
  full = false
  sent = 0
  /** How often room was looked for in vain. */
  refused = 0
  givenUp = 0

  constructor(origin: Origin) {
    this.node = origin.name
    this.origin = origin
  }

  send(signal: Signal): boolean {
    if (this.full) {
      this.refused++
      throw new SkeinError('ERR_SKEIN_QUEUE_FULL', 'full')
    }
    if (typeof bodyOf(signal) === 'function') throw new SkeinError('ERR_SKEIN_UNSERIALISABLE', 'a function')
    this.waiting.push(signal)
    this.sent++
    return true
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  senderGone(from: number): void {
    this.gone.push(from)
  }

  giveUp(): void {
    this.givenUp++
  }
}

const makeNode = (name: string, router: Router, options: NodeOptions): TestNode => {
  const origin = new Origin(`${name}@test`, `id-${name}`, '00000000000000a1')
  const reports: ProcessReport[] = []
  const processes = new Processes({
    origin,
    clock: options.clock ?? systemClock,
    random: seededRandom(name.charCodeAt(0)),
    router,
    report: (event) => reports.push(event),
    stateCodec: new MessageCodec({ local: origin }).forStorage(),
    ...(options.limits && { limits: options.limits }),
    ...(options.allow && { allow: options.allow }),
  })
  return { origin, processes, reports }
}

/** A node with no other nodes. */
export const loneNode = (t: TestContext, options: NodeOptions = {}): TestNode => {
  const nowhere: Router = { toOrigin: () => 'noconnection', toNode: () => 'noconnection' }
  const node = makeNode('lone', nowhere, options)
  t.defer(() => node.processes.stop(0))
  return node
}

/** Nodes a and b and what travels between them. */
export class Pair {
  readonly a: TestNode
  readonly b: TestNode
  readonly holds: Hold[] = []
  #toB: TestRoute
  #toA: TestRoute
  #connected = true

  constructor(options: NodeOptions = {}) {
    const router = (own: () => TestRoute): Router => ({
      toOrigin: (origin) => {
        if (!this.#connected) return 'noconnection'
        if (origin.key === own().origin.key) return own()
        return origin.id === own().origin.id ? 'noproc' : 'noconnection'
      },
      toNode: (name) => (this.#connected && name === own().node ? own() : 'noconnection'),
    })
    this.a = makeNode(
      'a',
      router(() => this.#toB),
      options,
    )
    this.b = makeNode(
      'b',
      router(() => this.#toA),
      options,
    )
    this.#toB = new TestRoute(this.b.origin)
    this.#toA = new TestRoute(this.a.origin)
  }

  /** From a to b. */
  get toB(): TestRoute {
    return this.#toB
  }

  /** From b to a. */
  get toA(): TestRoute {
    return this.#toA
  }

  /** Lets signals through to b, oldest first. */
  flowToB(count = Number.POSITIVE_INFINITY): Signal[] {
    const signals = this.#toB.waiting.splice(0, count)
    for (const signal of signals) this.#took(this.b.processes.deliver(this.#toA, signal))
    return signals
  }

  flowToA(count = Number.POSITIVE_INFINITY): Signal[] {
    const signals = this.#toA.waiting.splice(0, count)
    for (const signal of signals) this.#took(this.a.processes.deliver(this.#toB, signal))
    return signals
  }

  /** Lets through one signal of one sender: lanes of different senders overtake each other. */
  flowOne(towards: 'a' | 'b', from: number): Signal | undefined {
    const waiting = towards === 'a' ? this.#toA.waiting : this.#toB.waiting
    const index = waiting.findIndex((signal) => signal.from === from)
    const signal = waiting[index]
    if (signal === undefined) return undefined
    waiting.splice(index, 1)
    if (towards === 'a') this.#took(this.a.processes.deliver(this.#toB, signal))
    else this.#took(this.b.processes.deliver(this.#toA, signal))
    return signal
  }

  /** Lets everything through, both ways, until nothing moves and all processes wait. */
  async flow(): Promise<void> {
    do {
      this.flowToB()
      this.flowToA()
      await turns()
    } while (this.#toA.waiting.length + this.#toB.waiting.length > 0)
  }

  /** The connection is lost: what was on its way is gone. */
  cut(): void {
    this.#connected = false
    this.#toA.waiting.length = 0
    this.#toB.waiting.length = 0
    this.a.processes.routeDown(this.#toB)
    this.b.processes.routeDown(this.#toA)
  }

  /** A new connection between the same incarnations. */
  reconnect(): void {
    this.#toB = new TestRoute(this.b.origin)
    this.#toA = new TestRoute(this.a.origin)
    this.#connected = true
  }

  #took(hold: Hold | undefined): void {
    if (hold !== undefined) this.holds.push(hold)
  }
}

export const pair = (t: TestContext, options: NodeOptions = {}): Pair => {
  const both = new Pair(options)
  t.defer(() => Promise.all([both.a.processes.stop(0), both.b.processes.stop(0)]))
  return both
}

/** Some turns of the event loop: whatever runs on promises alone has come to rest. */
export const turns = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await nextTurn()
}

/** A process that notes what arrives; the test acts through its `self`. */
export interface Actor {
  readonly self: Self<unknown>
  readonly log: unknown[]
}

export const actors = async (node: TestNode, count: number, trapExit = true): Promise<Actor[]> => {
  const all: Actor[] = []
  for (let i = 0; i < count; i++) {
    node.processes.spawn<unknown, []>(async (self) => {
      const log: unknown[] = []
      self.trapExit = trapExit
      all.push({ self, log })
      for await (const message of self) log.push(message)
    })
  }
  // How many start in a turn depends on how fast the machine is.
  do await turns()
  while (all.length < count)
  return all
}

/** One actor. */
export const actor = async (node: TestNode, trapExit = true): Promise<Actor> => {
  const [one] = await actors(node, 1, trapExit)
  return one as Actor
}

/** A system message in a few words: easy to compare. */
export const brief = (message: unknown): string => {
  const { type, reason } = message as { type: string; reason?: unknown }
  return `${type} ${reason instanceof Error ? reason.message : String(reason)}`
}

/** The code of the SkeinError that `promise` rejects with; fails if it does not. */
export const codeOf = async (promise: Promise<unknown>): Promise<string> => (await errorOf(promise)).code

export const errorOf = async (promise: Promise<unknown>): Promise<SkeinError> => {
  try {
    await promise
  } catch (error) {
    if (error instanceof SkeinError) return error
    throw error
  }
  throw new Error('expected a rejection')
}

/** The code of the SkeinError that `fn` throws. */
export const thrown = (fn: () => unknown): string => {
  try {
    fn()
  } catch (error) {
    if (error instanceof SkeinError) return error.code
    throw error
  }
  throw new Error('expected an error')
}

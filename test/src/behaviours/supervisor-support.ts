/**
 * A supervisor under test: a node in virtual time, children that note their starts and ends, and a parent to hear of the
 * supervisor's own end.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { type SupervisorClient, supervisorOf } from '../../../src/behaviours/supervisor/supervisor-of.ts'
import type { Pid } from '../../../src/pid.ts'
import type { Behaviour } from '../../../src/process/behaviour.ts'
import type { Processes } from '../../../src/process/processes.ts'
import { INSIDE, type Self } from '../../../src/process/self.ts'
import { announceStarted, isParent, serve } from '../../../src/process/serve.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import type { TestContext } from '../../support/suite.ts'
import { loneNode, type TestNode } from '../process/process-support.ts'

export class World {
  readonly clock = new VirtualClock()
  readonly node: TestNode
  /** `+id` for a start, `-id` for an end, in the order in which they happened. */
  readonly log: string[] = []
  /** The living process of each child, by id. */
  readonly living = new Map<string, Self<unknown>>()
  /** Children whose next starts fail: how often. */
  readonly failing = new Map<string, number>()

  constructor(t: TestContext) {
    this.node = loneNode(t, { clock: this.clock })
    t.defer(() => this.close())
  }

  get processes(): Processes {
    return this.node.processes
  }

  /** A process that lives until it is ended. Trapping exits it needs `endMs` to end after an order of its parent. */
  child(id: string, endMs?: number): Behaviour<unknown, []> {
    const run = (self: Self<unknown>): void => {
      const left = this.failing.get(id) ?? 0
      if (left > 0) {
        this.failing.set(id, left - 1)
        this.log.push(`!${id}`)
        self.exit('no start')
      }
      this.log.push(`+${id}`)
      this.living.set(id, self)
      self.signal.addEventListener('abort', () => {
        this.log.push(`-${id}`)
        if (this.living.get(id) === self) this.living.delete(id)
      })
      if (endMs !== undefined) self.trapExit = true
      serve(self, async (entry) => {
        const { type, pid } = entry as { type?: string; pid?: Pid }
        if (type !== 'EXIT' || pid === undefined || !isParent(self, pid) || endMs === undefined) return
        await new Promise<void>((resolve) => this.clock.after(endMs, resolve))
        self.exit('shutdown')
      })
      announceStarted(self)
    }
    return Object.assign(run, { traits: { serves: true, announces: true } })
  }

  /** Starts a supervisor and lets it come to rest. */
  async start<M>(behaviour: Behaviour<M, []>): Promise<Supervised> {
    const starting = this.processes.start(behaviour)
    const pid = await this.settled(starting)
    const supervised = new Supervised(this, pid as Pid)
    await this.rest()
    return supervised
  }

  /** The outcome of something that happens in virtual time. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let done = false
    promise.then(
      () => {
        done = true
      },
      () => {
        done = true
      },
    )
    await this.clock.run({ until: () => done })
    return promise
  }

  /** All that can happen without time passing. */
  async rest(): Promise<void> {
    await this.pass(0)
  }

  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.now() + ms })
  }

  /** Ends a child with `reason`. */
  end(id: string, reason: unknown): void {
    const child = this.living.get(id)
    if (child === undefined) throw new Error(`${id} does not live`)
    const { process, services } = child[INSIDE]
    services.end(process, reason)
  }

  /** Ends a child, and lets all that follows happen. */
  async crash(id: string, reason: unknown = 'crash'): Promise<void> {
    this.end(id, reason)
    await this.rest()
  }

  close(): Promise<void> {
    return this.settled(this.processes.stop())
  }

  /** What was noted since the last look. */
  taken(): string {
    return this.log.splice(0).join(' ')
  }

  /** The reports of one type, without what differs from run to run. */
  reported(type: string): string[] {
    return this.node.reports
      .filter((report) => report.type === type)
      .map((report) => ('id' in report ? report.id : report.type))
  }
}

export class Supervised {
  readonly pid: Pid
  readonly client: SupervisorClient
  readonly #world: World
  ended: { reason: unknown } | undefined

  constructor(world: World, pid: Pid) {
    this.#world = world
    this.pid = pid
    this.client = supervisorOf(world.processes, pid)
    world.processes.spawn(async (self) => {
      self.monitor(pid)
      const { reason } = (await self.receive()) as { reason: unknown }
      this.ended = { reason }
    })
  }

  /** Asks something of the supervisor and lets time pass for it. */
  ask<T>(what: (client: SupervisorClient) => Promise<T>): Promise<T> {
    return this.#world.settled(what(this.client))
  }

  /** The code a request is refused with. */
  async refused(what: (client: SupervisorClient) => Promise<unknown>): Promise<string> {
    try {
      await this.ask(what)
    } catch (error) {
      if (error instanceof SkeinError) return error.code
      throw error
    }
    throw new Error('expected a refusal')
  }
}

/**
 * Carries out the steps of a program in a world, and brings every run to the same kind of end: faults are repaired, all
 * becomes quiet, then all connections or all actors are ended, so that what both sides believed comes to light.
 */
import type { Identity } from '../../certs/identity.ts'
import type { SimulatedHost, Simulation } from '../../src/testing/index.ts'
import type { Actor, Place, Subject } from './facts.ts'
import {
  ANY_ACTOR,
  type EndHow,
  type ExitWord,
  type Load,
  NAMES,
  type Setting,
  type Stage,
  type Step,
} from './program.ts'
import type { World } from './world.ts'

/** Above what promotes a sender to a lane of its own (lane-sender.ts: 4 KiB between two flushes). */
const HEAVY_BYTES = 3000
const MANY = 25
/** Longer than any call or timer of a program that ends by itself, and than any connection lives in silence. */
const QUIET_MS = 4000
/** Healing may have to wait for the longest back-off between two dials. */
const MESH_PATIENCE_MS = 180_000
const CLEAN = { delayMs: 1, jitterMs: 0, loss: 0, reorder: 0, duplicate: 0 }
const CONNECT_RETRY_MS = 500
/** The mesh goes on where this fails. */
const CONNECT_TRIES = 5
const RESTART_MS = 5
/** Between the ends of two actors, where all are to be heard of one by one. */
const END_INTERVAL_MS = 10

export class Director implements Stage {
  readonly #world: World
  readonly #sim: Simulation
  readonly #setting: Setting
  /** Identities for restarts; made beforehand, because that takes the machine's own time. */
  readonly #spares: Identity[]

  constructor(world: World, sim: Simulation, setting: Setting, spares: readonly Identity[]) {
    this.#world = world
    this.#sim = sim
    this.#setting = setting
    this.#spares = [...spares]
  }

  /** The nodes know each other, and each has its first actors. */
  async begin(): Promise<void> {
    await this.#sim.meshed()
    const { delayMs, jitterMs, actorsPerHost } = this.#setting
    this.#sim.conditions({ ...CLEAN, delayMs, jitterMs })
    // One of each host in turn: so the first few, which most steps are about, live on different nodes.
    for (let i = 0; i < actorsPerHost; i++) {
      for (const host of this.#world.hosts)
        this.#world.spawn(this.#world.place(host), undefined, 'spawn', i === 0, 'iterate')
    }
    await this.#sim.sleep(1)
  }

  // ---- a step

  /** Faults that change nothing are left out; shrinking then has less to do. */
  applies(step: Step): boolean {
    const { hosts } = this.#world
    switch (step.do) {
      case 'pause':
        return this.#host(step.host).state === 'running'
      case 'resume':
        return this.#host(step.host).state === 'paused'
      case 'crash':
        return this.#host(step.host).state !== 'crashed'
      case 'restart':
        return this.#host(step.host).state === 'crashed'
      case 'skew':
        return this.#host(step.host).state !== 'crashed'
      case 'disconnect':
        return step.host % hosts.length !== step.from % hosts.length && this.#host(step.host).state === 'running'
      case 'cut':
        return step.from % hosts.length !== step.to % hosts.length
      default:
        return true
    }
  }

  async take(step: Step): Promise<void> {
    await this.#do(step)
    await this.#sim.sleep(step.thenMs)
  }

  async #do(step: Step): Promise<void> {
    const world = this.#world
    switch (step.do) {
      case 'send':
        return this.#between(step, (by, to) => this.#send(by, to, step.byName, step.load))
      case 'exit':
        return this.#between(step, (by, to) => this.#exit(by, to, step.reason))
      case 'end':
        return this.#by(step.by, (by) => this.#end(by, step.how))
      case 'trap':
        return this.#by(step.by, (by) => world.trap(by, step.on))
      case 'link':
        return this.#between(step, (by, to) => world.link(by, to))
      case 'unlink':
        return this.#between(step, (by, to) => world.unlink(by, to))
      case 'cross':
        return this.#cross(step)
      case 'monitor':
        return this.#between(step, (by, to) =>
          this.#addressed(to, step.byName, (...target) => world.monitor(by, ...target)),
        )
      case 'demonitor': {
        const monitor = nth(world.monitors, step.which)
        if (monitor?.by.canAct) world.demonitor(monitor, step.flush)
        return
      }
      case 'call':
        return this.#between(step, (by, to) => {
          const next = this.#actor(step.handOnTo) ?? to
          this.#addressed(to, step.byName, (...target) => world.call(by, ...target, step.policy, next, step.timeoutMs))
        })
      case 'answer': {
        const [held] = world.held.splice(step.which % Math.max(1, world.held.length), 1)
        if (held?.by.canAct) world.answer(held.by, held.from, held.call)
        return
      }
      case 'register':
        return this.#by(step.by, (by) => world.register(by, step.name))
      case 'unregister':
        if (this.#host(step.host).state === 'running') world.unregister(this.#place(step.host), step.name)
        return
      case 'timer':
        return this.#between(step, (by, to) =>
          this.#addressed(to, step.byName, (...target) => world.setTimer(by, ...target, step.ms)),
        )
      case 'cancel': {
        const timer = nth(world.timers, step.which)
        if (timer?.by.canAct) world.cancel(timer)
        return
      }
      case 'spawn':
        return this.#spawn(step)
      case 'spawnOn': {
        const { node } = this.#host(step.host)
        return this.#by(step.by, (by) => world.spawnOn(by, node.name, step))
      }
      case 'wait':
        return this.#sim.sleep(step.ms)
      default:
        return this.#fault(step)
    }
  }

  async #fault(step: Step): Promise<void> {
    switch (step.do) {
      case 'partition':
        this.#note('partition', step.host)
        return this.#sim.partition([this.#host(step.host)])
      case 'cut':
        this.#note('cut', step.from, step.to)
        return this.#sim.cut([this.#host(step.from)], [this.#host(step.to)])
      case 'heal':
        this.#note('heal')
        return this.#sim.heal()
      case 'conditions':
        this.#note(`conditions ${JSON.stringify(step.conditions)}`)
        return this.#sim.conditions(step.conditions)
      case 'pause':
        this.#note('pause', step.host)
        return this.#host(step.host).pause()
      case 'resume':
        this.#note('resume', step.host)
        return this.#host(step.host).resume()
      case 'crash':
        this.#note('crash', step.host)
        this.#host(step.host).crash()
        return this.#world.moveOut(this.#host(step.host))
      case 'restart':
        return this.#restart(this.#host(step.host), step.identity)
      case 'skew':
        this.#note(`clock ${step.rate} ${step.wallOffsetMs}`, step.host)
        return this.#host(step.host).skewClock({ rate: step.rate, wallOffsetMs: step.wallOffsetMs })
      case 'disconnect': {
        this.#note('disconnect', step.host, step.from)
        void this.#place(step.host).node.disconnect(this.#place(step.from).name)
        return
      }
    }
  }

  // ---- the end

  /** Repairs everything and waits until nothing is under way. */
  async settle(): Promise<void> {
    const world = this.#world
    this.#note('everything is repaired')
    this.#sim.heal()
    this.#sim.conditions(CLEAN)
    for (const host of world.hosts) {
      if (host.state === 'paused') host.resume()
      if (host.state === 'crashed') await this.#restart(host, 'same')
      else host.skewClock({ rate: 1, wallOffsetMs: 0 })
    }
    // From now on every exit signal shows.
    for (const actor of this.#living()) world.trap(actor, true)
    // Who was disconnected on purpose is left alone until somebody asks for it.
    for (const one of world.hosts) for (const other of world.hosts) if (one !== other) void this.#connect(one, other)
    await this.#sim.meshed({ withinMs: MESH_PATIENCE_MS })
    await this.#sim.sleep(QUIET_MS)
    // Those too who were born meanwhile.
    for (const actor of this.#living()) world.trap(actor, true)
    world.ask((rule) => rule.settled?.(world))
  }

  /** Asks until it is there. What ends just now still counts as connected, so this asks more than once. */
  async #connect(one: SimulatedHost, other: SimulatedHost): Promise<void> {
    for (let i = 0; i < CONNECT_TRIES; i++) {
      await one.node.connect(other.node.name).catch(ignore)
      await this.#sim.sleep(CONNECT_RETRY_MS)
    }
  }

  /** Brings to light what each side believes: by the loss of all connections, or by the end of every actor. */
  async finish(): Promise<void> {
    const world = this.#world
    if (this.#setting.ending === 'partition') {
      this.#note('every connection is cut')
      for (const host of world.hosts) this.#sim.partition([host])
      await this.#sim.until('every connection is lost', () =>
        world.hosts.every((host) => host.node.nodes().length === 0),
      )
      await this.#sim.sleep(1)
      world.ask((rule) => rule.parted?.(world))
    }
    this.#note('every actor ends')
    for (const actor of this.#living()) {
      if (actor.isAlive) world.end(actor)
      await this.#sim.sleep(END_INTERVAL_MS)
    }
    await this.#sim.sleep(QUIET_MS)
    world.ask((rule) => rule.finished?.(world))
  }

  // ---- what steps are made of

  /** By an actor, or by a node where none is left. */
  #spawn({ by, how, trapExit, style }: Extract<Step, { do: 'spawn' }>): void {
    const actor = nth(this.#living(), by)
    const host = this.#world.hosts.find((one) => one.state === 'running')
    if (actor !== undefined) this.#world.spawn(actor.place, actor, how, trapExit, style)
    else if (host !== undefined) this.#world.spawn(this.#world.place(host), undefined, 'spawn', trapExit, style)
  }

  #send(by: Actor, to: Actor, byName: boolean, load: Load): void {
    const send = (size: number): void =>
      this.#addressed(to, byName, (...target) => this.#world.mail(by, ...target, size))
    if (load === 'light') send(10)
    else if (load === 'heavy') send(HEAVY_BYTES)
    else if (load === 'many') for (let i = 0; i < MANY; i++) send(10 + i)
    else {
      // Light ones first, on the shared lane; then what does not fit there; then light ones behind it.
      for (const size of [10, 1200, 10, HEAVY_BYTES, HEAVY_BYTES, 10, 10]) send(size)
    }
  }

  #exit(by: Actor, to: Actor, word: ExitWord): void {
    if (word === 'why') this.#world.exit(by, to)
    else this.#world.exitPlainly(by, to, word)
  }

  #end(by: Actor, how: EndHow): void {
    if (how === 'return' || how === 'throw') this.#world.order(by, how)
    else this.#world.end(by, how === 'exitKill' ? 'kill' : how === 'exitNormal' ? 'normal' : undefined)
  }

  /** Links and unlinks of both sides, so close to each other that they cross. */
  async #cross(step: Extract<Step, { do: 'cross' }>): Promise<void> {
    const [one, other] = this.#pair(step)
    if (one === undefined || other === undefined) return
    for (const { side, move, thenMs } of step.moves) {
      const [by, to] = side === 0 ? [one, other] : [other, one]
      if (by.canAct) this.#world[move](by, to)
      await this.#sim.sleep(thenMs)
    }
  }

  async #restart(host: SimulatedHost, identity: 'same' | 'new'): Promise<void> {
    // No machine starts in the millisecond of its crash, and incarnations are told apart by that.
    await this.#sim.sleep(RESTART_MS)
    this.#world.add({ type: 'fault', text: `${host.name} starts again, ${identity} identity` })
    const spare = identity === 'new' ? this.#spares.shift() : undefined
    await host.restart({ identity: spare ?? identity })
    const place = this.#world.moveIn(host)
    for (let i = 0; i < this.#setting.actorsPerHost; i++)
      this.#world.spawn(place, undefined, 'spawn', i === 0, 'iterate')
    // Until their functions have begun.
    await this.#sim.sleep(0)
  }

  /** By name if it is asked for and the target has had one. */
  #addressed(
    to: Actor,
    byName: boolean,
    use: (subject: Subject, target: Actor['pid'] | { name: string; node: string }) => void,
  ): void {
    const name = NAMES.find((one) => to.names.has(one))
    if (!byName || name === undefined) return use(to, to.pid)
    const remote = { name, node: to.place.name }
    use(remote, remote)
  }

  #living(): Actor[] {
    return this.#world.actors.filter((actor) => actor.canAct)
  }

  #actor(index: number): Actor | undefined {
    return index < ANY_ACTOR ? nth(this.#living(), index) : nth(this.#world.actors, index - ANY_ACTOR)
  }

  #by(index: number, use: (actor: Actor) => void): void {
    const actor = nth(this.#living(), index)
    if (actor !== undefined) use(actor)
  }

  /** Two actors of which the first can act; different ones, if there are two. */
  #pair(step: { readonly by: number; readonly to: number }): [Actor | undefined, Actor | undefined] {
    const by = nth(this.#living(), step.by)
    const to = this.#actor(step.to)
    return [by, by === to ? this.#actor(step.to + 1) : to]
  }

  #between(step: { readonly by: number; readonly to: number }, use: (by: Actor, to: Actor) => void): void {
    const [by, to] = this.#pair(step)
    if (by !== undefined && to !== undefined) use(by, to)
  }

  #host(index: number): SimulatedHost {
    return nth(this.#world.hosts, index) as SimulatedHost
  }

  #place(index: number): Place {
    return this.#world.place(this.#host(index))
  }

  #note(what: string, ...hosts: readonly number[]): void {
    const text = [what, ...hosts.map((index) => this.#host(index).name)].join(' ')
    this.#world.add({ type: 'fault', text })
  }
}

const ignore = (): void => {}

const nth = <T>(list: readonly T[], index: number): T | undefined => list[index % Math.max(1, list.length)]

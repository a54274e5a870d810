/**
 * One seed of the program for groups: processes join, leave, end, publish and send on four hosts while partitions, cuts,
 * pauses, crashes and restarts happen to these; all by chance, all given by the seed.
 *
 * What must hold: a process gets what another one published and sent in the order of that, each at most once (G1, G2); and
 * 10 s after the last fault all nodes see exactly the members there are, and what is published then reaches each of them.
 */
import type { Identity } from '../../certs/identity.ts'
import type { Pid, Self, SkeinNode } from '../../src/index.ts'
import { type ScenarioFailure, type SimulatedHost, type Simulation, simulate } from '../../src/testing/index.ts'
import type { Finding } from './fuzz.ts'

const HOSTS = ['a', 'b', 'c', 'd'] as const
const GROUPS = ['red', 'blue'] as const
const SCOPES = [undefined, 'aside'] as const
const PROCESSES_PER_NODE = 3
const STEPS = 30
const MAX_STEP_MS = 700
/** Everybody agrees so soon after the last fault. */
const CONVERGENCE_MS = 10_000
const LAST_MESSAGES = 10
/** Quicker than on a network, so that little time is spent on waiting for silence to be noticed. */
const LIVENESS = { tickIntervalMs: 300, downAfterMs: 1200 }

type Group = (typeof GROUPS)[number]
type Scope = (typeof SCOPES)[number]

interface Message {
  readonly sender: string
  readonly number: number
}

class Actor {
  readonly host: SimulatedHost
  readonly node: SkeinNode
  self: Self | undefined
  pid: Pid | undefined
  isOver = false
  /** How often it has joined, by place. */
  readonly joins = new Map<string, number>()
  sent = 0
  /** The newest from each sender. */
  readonly heard = new Map<string, number>()

  constructor(host: SimulatedHost) {
    this.host = host
    this.node = host.node
  }

  get isAlive(): boolean {
    return !this.isOver && this.host.isUp && this.host.node === this.node
  }
}

const placeOf = (scope: Scope, group: Group): string => `${scope ?? ''}/${group}`

class Program {
  readonly #sim: Simulation<(typeof HOSTS)[number]>
  readonly #actors: Actor[] = []
  #violation: string | undefined

  constructor(sim: Simulation<(typeof HOSTS)[number]>) {
    this.#sim = sim
    sim.always('order', () => {
      if (this.#violation !== undefined) throw new Error(this.#violation)
    })
  }

  async run(): Promise<void> {
    for (const host of this.#hosts) this.#populate(host)
    await this.#sim.meshed()
    for (let step = 0; step < STEPS; step++) {
      await this.#step()
      await this.#sim.sleep(this.#below(MAX_STEP_MS))
    }
    this.#sim.heal()
    for (const host of this.#hosts) {
      if (host.state === 'paused') host.resume()
      if (!host.isUp) {
        await host.restart()
        this.#populate(host)
      }
    }
    await this.#sim.until('groups converge', () => this.#agrees(), { withinMs: CONVERGENCE_MS })
    await this.#lastWords()
  }

  get #hosts(): readonly SimulatedHost[] {
    return Object.values(this.#sim.hosts)
  }

  get #living(): readonly Actor[] {
    return this.#actors.filter((actor) => actor.isAlive)
  }

  #below(count: number): number {
    return Math.floor(this.#sim.random.float() * count)
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#below(from.length)]
  }

  #populate(host: SimulatedHost): void {
    for (let i = 0; i < PROCESSES_PER_NODE; i++) this.#spawn(host)
  }

  #spawn(host: SimulatedHost): void {
    const actor = new Actor(host)
    this.#actors.push(actor)
    actor.pid = host.node.spawn(async (self: Self) => {
      actor.self = self
      for await (const message of self) this.#heard(actor, message as Message)
    }) as Pid
  }

  #heard(actor: Actor, { sender, number }: Message): void {
    const last = actor.heard.get(sender) ?? 0
    if (number <= last) this.#violation = `${actor.pid} heard ${number} of ${sender} after ${last}`
    actor.heard.set(sender, number)
  }

  async #step(): Promise<void> {
    const actor = this.#pick(this.#living)
    const host = this.#pick(this.#hosts)
    const [group, scope] = [this.#pick(GROUPS) as Group, this.#pick(SCOPES)]
    const chance = this.#below(100)
    if (host === undefined) return
    if (chance < 30 && actor !== undefined) this.#join(actor, scope, group)
    else if (chance < 40 && actor !== undefined) this.#leave(actor, scope, group)
    else if (chance < 75 && actor !== undefined) this.#speak(actor, scope, group)
    else if (chance < 80 && actor?.pid !== undefined) {
      actor.isOver = true
      actor.node.exit(actor.pid, 'kill')
      this.#spawn(actor.host)
    } else if (chance < 85) this.#sim.partition(this.#some())
    else if (chance < 88) this.#sim.cut(this.#some())
    else if (chance < 92) this.#sim.heal()
    else if (chance < 95 && host.state === 'running') host.pause()
    else if (chance < 97 && host.state === 'paused') host.resume()
    else if (host.isUp && host.state === 'running') host.crash()
    else if (!host.isUp) {
      await host.restart()
      this.#populate(host)
    }
  }

  #some(): SimulatedHost[] {
    return this.#hosts.filter(() => this.#sim.random.float() < 0.5)
  }

  #join(actor: Actor, scope: Scope, group: Group): void {
    if (actor.pid === undefined) return
    const place = placeOf(scope, group)
    actor.joins.set(place, (actor.joins.get(place) ?? 0) + 1)
    groupsOf(actor.node, scope).join(group, actor.pid)
  }

  #leave(actor: Actor, scope: Scope, group: Group): void {
    if (actor.pid === undefined) return
    const place = placeOf(scope, group)
    const times = actor.joins.get(place) ?? 0
    if (times > 0) actor.joins.set(place, times - 1)
    const left = groupsOf(actor.node, scope).leave(group, actor.pid)
    if (left !== times > 0) this.#violation = `leave said ${left} to one that had joined ${times} times`
  }

  /** A few messages, published or sent to each member. */
  #speak(actor: Actor, scope: Scope, group: Group): void {
    const { self } = actor
    if (self === undefined) return
    for (let i = this.#below(4); i >= 0; i--) {
      const message: Message = { sender: `${self.pid}`, number: ++actor.sent }
      if (this.#below(2) === 0) self.publish(group, message, scope === undefined ? {} : { scope })
      else for (const pid of groupsOf(actor.node, scope).members(group)) self.send(pid, message)
    }
  }

  /** All are connected, and every node sees just the members there are. */
  #agrees(): boolean {
    // A node that has just gone on may still take a lost connection for a good one.
    if (this.#hosts.some(({ node }) => node.nodes().length < HOSTS.length - 1)) return false
    return SCOPES.every((scope) =>
      GROUPS.every((group) => {
        const members = this.#members(scope, group).map(({ pid }) => pid?.key)
        const wanted = members.sort().join()
        return this.#hosts.every(({ node }) => {
          const seen = groupsOf(node, scope).members(group)
          return (
            wanted ===
            seen
              .map(({ key }) => key)
              .sort()
              .join()
          )
        })
      }),
    )
  }

  #members(scope: Scope, group: Group): readonly Actor[] {
    return this.#living.filter(({ joins }) => (joins.get(placeOf(scope, group)) ?? 0) > 0)
  }

  /** All is well now: everything published arrives. */
  async #lastWords(): Promise<void> {
    const group = GROUPS[0]
    const members = this.#members(undefined, group)
    const speakers = this.#hosts.map(({ node }) => this.#living.find((actor) => actor.node === node && actor.self))
    for (const speaker of speakers) {
      if (speaker?.self === undefined) continue
      for (let i = 0; i < LAST_MESSAGES; i++) {
        speaker.self.publish(group, { sender: `last words of ${speaker.pid}`, number: i + 1 })
      }
    }
    await this.#sim.until('the last words arrive', () =>
      members.every(({ heard }) =>
        speakers.every(
          (speaker) => speaker === undefined || heard.get(`last words of ${speaker.pid}`) === LAST_MESSAGES,
        ),
      ),
    )
  }
}

const groupsOf = (node: SkeinNode, scope: Scope) => (scope === undefined ? node.groups : node.groups.scope(scope))

/** Runs one seed; gives what it found, if anything. */
export const fuzzGroups = async (seed: number, identities: readonly Identity[]): Promise<Finding | undefined> => {
  try {
    await simulate({ nodes: HOSTS, seed, identities, liveness: LIVENESS }, (sim) => new Program(sim).run())
    return undefined
  } catch (error) {
    const { cause, log } = error as ScenarioFailure
    const violation = cause instanceof Error ? cause.message : String(error)
    return { seed, violation, program: `groups, seed ${seed}`, log: (log ?? []).join('\n') }
  }
}

/**
 * One seed of the program for global names: processes on four to six hosts register, hand over, give up names and end,
 * while partitions, cuts, pauses, crashes, restarts and wrong clocks happen to these; all by chance, all given by the seed.
 * Every fourth seed is calm: no faults, so that what holds only among nodes that see each other can be looked at.
 *
 * What must hold: a resource with a Fence never obeys two holders by turns; a token belongs to one process; who loses a name
 * is told, and the winner has a greater token than the loser had; 10 s after the last fault all nodes agree on every name,
 * and each is the name of the living process that its own node takes for the holder. In a calm run one name never has
 * two owners, and each registration has a greater token than those completed before it began.
 */

import { isSkeinError } from '../../certs/errors.ts'
import type { Identity } from '../../certs/identity.ts'
import { Fence, type GlobalClaim, type Pid, type Self, type SkeinNode } from '../../src/index.ts'
import { type ScenarioFailure, type SimulatedHost, type Simulation, simulate } from '../../src/testing/index.ts'
import type { Finding, FuzzOptions } from './fuzz.ts'

const HOSTS = ['a', 'b', 'c', 'd', 'e', 'f'] as const
const MIN_HOSTS = 4
const NAMES = ['x', 'y'] as const
const PROCESSES_PER_NODE = 2
const STEPS = 40
const MAX_STEP_MS = 500
/** Everybody agrees so soon after the last fault. */
const CONVERGENCE_MS = 10_000
/** Calendars are wrong by up to this. */
const MAX_SKEW_MS = 3_600_000
/** Every so many seeds. */
const CALM_EVERY = 4
/** Quicker than on a network, so that little time is spent on waiting for silence to be noticed. */
const LIVENESS = { tickIntervalMs: 300, downAfterMs: 1200 }

type Name = (typeof NAMES)[number]

class Actor {
  readonly host: SimulatedHost
  readonly node: SkeinNode
  readonly pid: Pid
  /** What it believes to have, with the token it knows. */
  readonly names = new Map<Name, string>()
  /** Names that it did not hear it has lost. */
  isOver = false

  constructor(host: SimulatedHost, trapExit: boolean, lost: (actor: Actor, reason: unknown) => void) {
    this.host = host
    this.node = host.node
    this.pid = this.node.spawn(async (self: Self) => {
      self.trapExit = trapExit
      self.signal.addEventListener('abort', () => {
        this.isOver = true
        lost(this, (self.signal.reason as Error).cause)
      })
      for await (const message of self) lost(this, (message as { reason: unknown }).reason)
    }) as Pid
  }

  get isAlive(): boolean {
    return !this.isOver && this.host.isUp && this.host.node === this.node
  }
}

interface Write {
  readonly pid: string
  readonly token: string
}

class Program {
  readonly #sim: Simulation<(typeof HOSTS)[number]>
  readonly #isCalm: boolean
  readonly #actors: Actor[] = []
  readonly #fences = new Map<Name, Fence>()
  readonly #lastWrites = new Map<Name, Write>()
  /** Whose each token is. */
  readonly #tokens = new Map<string, string>()
  /** The greatest token given so far, by name. */
  readonly #given = new Map<Name, string>()
  /** What winner and loser of a conflict had. */
  readonly #conflicts: { readonly name: Name; readonly winner: Pid; readonly token: string }[] = []
  #handovers = 0
  #violation: string | undefined

  constructor(sim: Simulation<(typeof HOSTS)[number]>, isCalm: boolean) {
    this.#sim = sim
    this.#isCalm = isCalm
    for (const name of NAMES) this.#fences.set(name, new Fence())
    sim.always('global names', () => {
      if (this.#violation !== undefined) throw new Error(this.#violation)
    })
    if (isCalm) sim.always('one owner', () => this.#hasOneOwner())
  }

  async run(): Promise<void> {
    for (const host of this.#hosts) {
      if (this.#below(2) === 0) host.skewClock({ wallOffsetMs: this.#below(2 * MAX_SKEW_MS) - MAX_SKEW_MS })
      this.#populate(host)
    }
    await this.#sim.meshed()
    for (let step = 0; step < STEPS; step++) {
      if (this.#below(100) < (this.#isCalm ? 100 : 65)) this.#use()
      else await this.#harm()
      await this.#sim.sleep(this.#below(4) === 0 ? this.#below(MAX_STEP_MS) : this.#below(60))
      this.#write()
    }
    this.#sim.heal()
    for (const host of this.#hosts) {
      if (host.state === 'paused') host.resume()
      if (!host.isUp) await this.#restart(host)
    }
    await this.#sim
      .until('agreement on every name', () => this.#disagreement() === undefined, {
        withinMs: CONVERGENCE_MS,
      })
      .catch((error: unknown) => {
        throw new Error(`${(error as Error).message}; ${this.#disagreement()}`)
      })
    this.#judge()
  }

  get #hosts(): readonly SimulatedHost[] {
    return Object.values(this.#sim.hosts)
  }

  get #living(): readonly Actor[] {
    return this.#actors.filter((actor) => actor.isAlive && actor.host.state === 'running')
  }

  #below(count: number): number {
    return Math.floor(this.#sim.random.float() * count)
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#below(from.length)]
  }

  #populate(host: SimulatedHost): void {
    void this.#listen(host.node)
    for (let i = 0; i < PROCESSES_PER_NODE; i++) this.#spawn(host)
  }

  #spawn(host: SimulatedHost): void {
    this.#actors.push(new Actor(host, this.#below(2) === 0, (actor, reason) => this.#told(actor, reason)))
  }

  async #restart(host: SimulatedHost): Promise<void> {
    await host.restart()
    this.#populate(host)
  }

  async #listen(node: SkeinNode): Promise<void> {
    for await (const event of node.events) {
      if (event.type === 'memberRefused') this.#violation = `${event.node} is refused: ${event.code} ${event.message}`
      if (event.type !== 'globalConflict') continue
      const loser = this.#actors.find(({ pid }) => pid.equals(event.loser))
      const name = event.name as Name
      const token = loser?.names.get(name)
      // Told on both nodes; only the winner's may still learn of it later.
      if (token !== undefined && loser?.node === node) this.#conflicts.push({ name, winner: event.winner, token })
    }
  }

  /** An exit signal, or its own end. */
  #told(actor: Actor, reason: unknown): void {
    if (!isSkeinError(reason, 'ERR_SKEIN_NAME_CONFLICT')) return
    const name = NAMES.find((each) => reason.message.startsWith(`"${each}"`))
    this.#sim.note(`${actor.pid} lost ${name}`)
    if (name !== undefined) actor.names.delete(name)
  }

  /** Something that a program may do. */
  #use(): void {
    const actor = this.#pick(this.#living)
    const other = this.#pick(this.#living)
    const name = this.#pick(NAMES) as Name
    const chance = this.#below(100)
    if (actor === undefined || other === undefined) return
    if (chance < 30) this.#register(name, actor, actor)
    else if (chance < 40) this.#register(name, other, actor)
    else if (chance < 50) for (const each of this.#living) this.#register(name, each, each)
    else if (chance < 65) this.#unregister(name)
    else if (chance < 80) this.#transfer(name, other)
    else {
      this.#sim.note(`${actor.pid} is killed`)
      actor.node.exit(actor.pid, 'kill')
      this.#spawn(actor.host)
    }
  }

  /** Something that may happen. */
  async #harm(): Promise<void> {
    const host = this.#pick(this.#hosts)
    const chance = this.#below(100)
    if (host === undefined) return
    if (chance < 30) this.#sim.partition(this.#some())
    else if (chance < 40) this.#sim.cut(this.#some())
    else if (chance < 60) this.#sim.heal()
    else if (chance < 70 && host.state === 'running') host.pause()
    else if (chance < 85 && host.state === 'paused') host.resume()
    else if (host.isUp && host.state === 'running') host.crash()
    else if (!host.isUp) await this.#restart(host)
  }

  #some(): SimulatedHost[] {
    return this.#hosts.filter(() => this.#sim.random.float() < 0.5)
  }

  #register(name: Name, actor: Actor, asking: Actor): void {
    const before = this.#given.get(name)
    const isOwn = asking.node === actor.node
    const resolve = (_: string, a: GlobalClaim, b: GlobalClaim): Pid => (this.#below(2) === 0 ? a.pid : b.pid)
    const options = isOwn && this.#below(2) === 0 ? { resolve } : {}
    asking.node.global.register(name, actor.pid, options).then(
      ({ token }) => {
        this.#sim.note(`${asking.node.name} registered ${name} for ${actor.pid}: ${token.slice(0, 16)}`)
        // Where it was asked from elsewhere it may have lost it again by now.
        if (actor.node.global.whereis(name)?.equals(actor.pid)) this.#has(name, actor, token)
        this.#owns(token, actor)
        if (this.#isCalm && before !== undefined && token <= before) this.#violation = `${token} is not above ${before}`
        this.#gave(name, token)
      },
      (error: unknown) => this.#failed('register', error),
    )
  }

  #unregister(name: Name): void {
    const actor = this.#pick(this.#living.filter(({ names }) => names.has(name)))
    if (actor === undefined) return
    actor.names.delete(name)
    this.#sim.note(`${actor.pid} unregisters ${name}`)
    actor.node.global.unregister(name).catch((error: unknown) => this.#failed('unregister', error))
  }

  #transfer(name: Name, heir: Actor): void {
    const actor = this.#pick(this.#living.filter(({ names }) => names.has(name)))
    if (actor === undefined) return
    this.#sim.note(`${actor.pid} hands ${name} to ${heir.pid}`)
    this.#handovers++
    actor.node.global.transfer(name, heir.pid).then(
      ({ token }) => {
        this.#handovers--
        this.#sim.note(`${heir.pid} has ${name} of ${actor.pid}: ${token.slice(0, 16)}`)
        if (!actor.pid.equals(heir.pid)) actor.names.delete(name)
        if (heir.node.global.whereis(name)?.equals(heir.pid)) this.#has(name, heir, token)
        this.#owns(token, heir)
        this.#gave(name, token)
      },
      (error: unknown) => {
        this.#handovers--
        this.#failed('transfer', error)
      },
    )
  }

  #failed(what: string, error: unknown): void {
    this.#sim.note(`${what}: ${isSkeinError(error) ? `${error.code} ${error.message}` : String(error)}`)
    if (!isSkeinError(error)) this.#violation = `${what} failed: ${String(error)}`
  }

  #has(name: Name, actor: Actor, token: string): void {
    if (actor.isAlive) actor.names.set(name, token)
  }

  #owns(token: string, actor: Actor): void {
    const owner = this.#tokens.get(token) ?? actor.pid.key
    this.#tokens.set(token, owner)
    if (owner !== actor.pid.key) this.#violation = `token ${token} is ${owner}'s and ${actor.pid.key}'s`
  }

  #gave(name: Name, token: string): void {
    if (token > (this.#given.get(name) ?? '')) this.#given.set(name, token)
  }

  /** All that take themselves for holders use the resource, in any order. */
  #write(): void {
    const holders = [...this.#living]
    while (holders.length > 0) {
      const [actor] = holders.splice(this.#below(holders.length), 1)
      if (actor === undefined) return
      for (const [name, known] of actor.names) {
        const isSeen = actor.node.global.whereis(name)?.equals(actor.pid) === true
        const token = isSeen ? (actor.node.global.token(name) ?? known) : known
        actor.names.set(name, token)
        this.#owns(token, actor)
        if (this.#fences.get(name)?.admits(token) !== true) continue
        const last = this.#lastWrites.get(name)
        if (last !== undefined && last.pid !== actor.pid.key && last.token >= token) {
          this.#violation = `${name} obeyed ${last.pid} and then ${actor.pid.key}, whose token is not greater`
        }
        this.#lastWrites.set(name, { pid: actor.pid.key, token })
      }
    }
  }

  #hasOneOwner(): boolean {
    if (this.#handovers > 0) return true
    const owners = this.#hosts.flatMap(({ node }) => node.global.names({ own: true }))
    return new Set(owners).size === owners.length
  }

  /** Where nodes differ, or what they agree upon is not so. */
  #disagreement(): string | undefined {
    const count = this.#hosts.length - 1
    if (this.#hosts.some(({ node }) => node.nodes().length < count)) return 'the mesh is not whole'
    for (const name of NAMES) {
      const seen = this.#hosts.map(({ node }) => node.global.whereis(name))
      const [first] = seen
      if (new Set(seen.map((pid) => pid?.key)).size > 1) return `${name} is ${seen.join(', ')}`
      const owners = this.#hosts.filter(({ node }) => node.global.names({ own: true }).includes(name))
      if (owners.length !== (first === undefined ? 0 : 1)) {
        return `${name} is ${first}, owners are ${owners.map((host) => host.name)}`
      }
      if (first === undefined) continue
      const actor = this.#actors.find(({ pid }) => pid.equals(first))
      if (actor === undefined || !actor.isAlive) return `${name} is ${first}, which is dead`
      if (this.#hosts.some(({ node }) => node.global.info(name)?.claims !== 1)) return `${name} is contested`
      const tokens = new Set(this.#hosts.map(({ node }) => node.global.token(name)))
      if (tokens.size > 1) return `tokens of ${name}: ${[...tokens].map((token) => token?.slice(0, 16))}`
    }
    const [{ node }] = this.#hosts as [SimulatedHost]
    for (const { name, winner, token } of this.#conflicts) {
      if (!node.global.whereis(name)?.equals(winner)) continue
      if ((node.global.token(name) ?? '') <= token) return `${winner} won ${name} with a lesser token`
    }
    return undefined
  }

  /** All agree now. */
  #judge(): void {
    const { node } = this.#hosts[0] as SimulatedHost
    for (const actor of this.#living) {
      for (const name of actor.names.keys()) {
        if (node.global.whereis(name)?.equals(actor.pid)) continue
        throw new Error(`${actor.pid} was not told that it has lost ${name}`)
      }
    }
    this.#write()
  }
}

/** Runs one seed; gives what it found, if anything. */
export const fuzzGlobal = async (
  seed: number,
  identities: readonly Identity[],
  { ran }: Pick<FuzzOptions, 'ran'> = {},
): Promise<Finding | undefined> => {
  const nodes = HOSTS.slice(0, MIN_HOSTS + (seed % (HOSTS.length - MIN_HOSTS + 1)))
  try {
    await simulate({ nodes, seed, identities, liveness: LIVENESS }, async (sim) => {
      await new Program(sim, seed % CALM_EVERY === 0).run()
      ran?.(sim.log.join('\n'))
    })
    return undefined
  } catch (error) {
    const { cause, log } = error as ScenarioFailure
    const violation = cause instanceof Error ? cause.message : String(error)
    return { seed, violation, program: `global names, seed ${seed}`, log: (log ?? []).join('\n') }
  }
}

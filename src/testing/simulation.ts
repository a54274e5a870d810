/**
 * Scenarios: a test of whole nodes in virtual time, written as one async function.
 *
 *   await simulate({ nodes: ['bank', 'shop'], seed: 7 }, async (sim) => {
 *     await sim.meshed()
 *     sim.partition([sim.hosts.bank], [sim.hosts.shop])
 *     await sim.sleep(10_000)
 *   })
 *
 * Time runs while the scenario waits, and only then: whatever it awaits of nodes, processes and `sim` comes in virtual
 * time, at the speed of the machine. The same seed and the same program give the same run. The machine's own time (files,
 * sockets, setTimeout) is outside: await such things in `sim.outside`, while virtual time stands still.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Identity } from '../../certs/identity.ts'
import type { Timer } from '../../transport/clock.ts'
import type { LinkConditions } from '../../transport/memory-link.ts'
import { type Random, seededRandom } from '../../transport/random.ts'
import type { SkeinNode } from '../node.ts'
import { SimulatedCluster, type SimulationOptions } from './cluster.ts'
import { SimulatedHost } from './host.ts'
import { Journal } from './journal.ts'

const DEFAULT_LIMIT_MS = 3_600_000
/** How long `until` waits unless told otherwise. */
const DEFAULT_PATIENCE_MS = 60_000
/** Lines of the log in the message of a failure; all of them are in its `log`. */
const LINES_IN_MESSAGE = 40
/** So that the scenario's own chances do not change those of the network. */
const SCENARIO_SALT = 0x5c3a

/** What `simulate` takes. */
export interface ScenarioOptions<Name extends string = string> extends SimulationOptions {
  /** One host with one node for each name; the first one is the seed of the others. */
  readonly nodes: readonly Name[]
  /** Runs the scenario so many times, with this seed and those after it. Default: 1. */
  readonly runs?: number
  /** What is done with each node as soon as it is started, also after a restart. */
  readonly boot?: (node: SkeinNode, host: SimulatedHost) => void
  /** Virtual milliseconds after which a scenario counts as one that never ends. Default: an hour. */
  readonly limitMs?: number
  /** Identities for the nodes, to spare the milliseconds it takes to make each. Those that are missing are made. */
  readonly identities?: readonly Identity[]
}

/** Why a scenario failed. The message has the seed and the end of the log. */
export class ScenarioFailure extends SkeinError {
  readonly seed: number
  readonly #log: readonly string[]

  /** @internal Made by `simulate`. */
  constructor(seed: number, journal: Journal, nowMs: number, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    const head = `seed ${seed}, after ${nowMs.toFixed(1)} ms of virtual time: ${what}`
    super('ERR_SKEIN_SCENARIO_FAILED', `${head}\n\n${journal.tail(LINES_IN_MESSAGE)}\n`, { cause })
    this.seed = seed
    this.#log = [...journal.lines]
  }

  /** All of it, up to the failure. */
  get log(): readonly string[] {
    return this.#log
  }
}

/** False, or a throw, says that what must hold does not. */
type Check = () => unknown

interface Invariant {
  readonly what: string
  readonly check: Check
}

interface Waiting {
  readonly look: () => void
  readonly timer: Timer
}

interface SimulationParts<Name extends string> {
  readonly seed: number
  readonly cluster: SimulatedCluster
  readonly journal: Journal
  readonly hosts: Readonly<Record<Name, SimulatedHost>>
  readonly outside: <T>(work: () => Promise<T>) => Promise<T>
  /** The run has ended, or failed: a scenario that still goes on has no effect. */
  isOver(): boolean
}

/** What a scenario is given. */
export class Simulation<Name extends string = string> {
  readonly seed: number
  /** By the names given to `simulate`. */
  readonly hosts: Readonly<Record<Name, SimulatedHost>>
  /** For the scenario's own chances: the same with every run of a seed. */
  readonly random: Random
  readonly #parts: SimulationParts<Name>
  readonly #always: Invariant[] = []
  readonly #atEnd: Invariant[] = []
  /** Those who wait in `until`. */
  readonly #waiting = new Set<Waiting>()

  /** @internal Made by `simulate`. */
  constructor(parts: SimulationParts<Name>) {
    this.#parts = parts
    this.seed = parts.seed
    this.hosts = parts.hosts
    this.random = seededRandom(parts.seed * 2 ** 16 + SCENARIO_SALT)
  }

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#parts.cluster.clock.now()
  }

  /** Events of all nodes, faults, and what `note` was given. */
  get log(): readonly string[] {
    return this.#parts.journal.lines
  }

  /** Writes a line into the log. */
  note(text: string): void {
    this.#parts.journal.add('', text)
  }

  /** Lets so many virtual milliseconds pass. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.cluster.clock.after(ms, () => {
        if (!this.#parts.isOver()) resolve()
      })
    })
  }

  /** Lets time pass until the condition holds; it is asked after every event. Rejects after `withinMs`. */
  until(what: string, condition: () => boolean, options: { readonly withinMs?: number } = {}): Promise<void> {
    const { withinMs = DEFAULT_PATIENCE_MS } = options
    const endMs = this.nowMs + withinMs
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        waiting.timer.cancel()
        this.#waiting.delete(waiting)
        end()
      }
      const look = (): void => {
        if (this.#parts.isOver()) return
        try {
          if (condition()) settle(resolve)
          else if (this.nowMs >= endMs) settle(() => reject(new Error(`in vain for ${withinMs} ms: ${what}`)))
        } catch (error) {
          settle(() => reject(error))
        }
      }
      const waiting: Waiting = { look, timer: this.#parts.cluster.clock.after(withinMs, look) }
      this.#waiting.add(waiting)
      look()
    })
  }

  /** Lets time pass until every running node is connected to every other. */
  meshed(options: { readonly withinMs?: number } = {}): Promise<void> {
    return this.until(
      'a full mesh',
      () => {
        const nodes = this.#all()
          .filter((host) => host.isUp)
          .map((host) => host.node)
        return nodes.every((node) => node.nodes({ hidden: true }).length === nodes.length - 1)
      },
      options,
    )
  }

  /** What must hold after every event of the rest of the run. */
  always(what: string, check: Check): void {
    this.#always.push({ what, check })
  }

  /** What must hold when the scenario has ended. */
  atEnd(what: string, check: Check): void {
    this.#atEnd.push({ what, check })
  }

  /** Virtual time stands still until `work` is done: for what takes the machine's own time. */
  outside<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.outside(work)
  }

  /** Nothing passes between the two groups any more, in either direction; what is under way is lost. Default: all others. */
  partition(group: readonly SimulatedHost[], others = this.#except(group)): void {
    if (this.#parts.isOver()) return
    this.note(`partition ${names(group)} | ${names(others)}`)
    this.#parts.cluster.network.partition(group.map(addressOf), others.map(addressOf))
  }

  /** Nothing passes from one group to the other any more; the way back stays open. */
  cut(from: readonly SimulatedHost[], to = this.#except(from)): void {
    if (this.#parts.isOver()) return
    this.note(`cut ${names(from)} > ${names(to)}`)
    this.#parts.cluster.network.cut(from.map(addressOf), to.map(addressOf))
  }

  /** Ends all partitions and cuts. */
  heal(): void {
    this.note('heal')
    this.#parts.cluster.network.heal()
  }

  /** Delay, jitter, loss, reordering, duplication, bandwidth: of all links, or of those between the hosts given. */
  conditions(conditions: Partial<LinkConditions>, between: readonly SimulatedHost[] = this.#all()): void {
    this.note(`conditions of ${names(between)}: ${JSON.stringify(conditions)}`)
    for (const [i, a] of between.entries()) {
      for (const b of between.slice(i + 1)) this.#parts.cluster.network.conditions(a.address, b.address, conditions)
    }
  }

  /** @internal After every event. Throws what does not hold. */
  look(): void {
    hold(this.#always)
    for (const { look } of [...this.#waiting]) look()
  }

  /** @internal */
  lookAtEnd(): void {
    hold(this.#always)
    hold(this.#atEnd)
  }

  #all(): SimulatedHost[] {
    return Object.values<SimulatedHost>(this.hosts)
  }

  #except(group: readonly SimulatedHost[]): readonly SimulatedHost[] {
    return this.#all().filter((host) => !group.includes(host))
  }
}

const addressOf = (host: SimulatedHost): string => host.address
const names = (hosts: readonly SimulatedHost[]): string => hosts.map((host) => host.name).join(',')

const hold = (invariants: readonly Invariant[]): void => {
  for (const { what, check } of invariants) {
    if (check() === false) throw new Error(`does not hold: ${what}`)
  }
}

/**
 * Runs a scenario once for each seed and gives what the last run gave. Rejects with a ScenarioFailure that names the seed:
 * for what the scenario threw, for an invariant that did not hold, and for a scenario that never ends.
 */
export const simulate = async <const Name extends string, T>(
  options: ScenarioOptions<Name>,
  scenario: (sim: Simulation<Name>) => Promise<T> | T,
): Promise<T> => {
  const { seed = 1, runs = 1 } = options
  if (!(runs >= 1)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A scenario runs at least once.')
  let result = await runOnce(seed, options, scenario)
  for (let i = 1; i < runs; i++) result = await runOnce(seed + i, options, scenario)
  return result
}

type Outcome<T> = { readonly type: 'value'; readonly value: T } | { readonly type: 'error'; readonly error: unknown }

const runOnce = async <Name extends string, T>(
  seed: number,
  options: ScenarioOptions<Name>,
  scenario: (sim: Simulation<Name>) => Promise<T> | T,
): Promise<T> => {
  const { limitMs = DEFAULT_LIMIT_MS } = options
  const cluster = new SimulatedCluster({ ...options, seed })
  const { clock } = cluster
  const journal = new Journal(() => clock.now())
  /** What is done outside of virtual time. */
  const held = new Set<Promise<unknown>>()
  const outside = async <R>(work: () => Promise<R>): Promise<R> => {
    const working = work()
    const settled = working.then(ignore, ignore)
    held.add(settled)
    await settled
    held.delete(settled)
    return working
  }
  let outcome: Outcome<T> | undefined
  let isOver = false
  const parts = { cluster, journal, outside, isOver: () => isOver }
  try {
    const hosts = await startHosts(parts, options)
    const sim = new Simulation<Name>({ ...parts, seed, hosts })
    const running = (async () => scenario(sim))()
    running.then(
      (value) => {
        outcome = { type: 'value', value }
      },
      (error: unknown) => {
        outcome = { type: 'error', error }
      },
    )
    const until = (): boolean => {
      if (outcome !== undefined || held.size > 0) return true
      sim.look()
      return false
    }
    while (outcome === undefined) {
      const end = await clock.run({ until, untilMs: limitMs })
      if (end !== 'condition') throw new Error(`The scenario has not ended within ${limitMs} ms of virtual time.`)
      await Promise.all(held)
    }
    const ended = outcome as Outcome<T>
    if (ended.type === 'error') throw ended.error
    sim.lookAtEnd()
    return ended.value
  } catch (error) {
    throw new ScenarioFailure(seed, journal, clock.now(), error)
  } finally {
    isOver = true
    cluster.network.heal()
    for (const index of cluster.nodes.keys()) cluster.resume(index)
    await cluster.stop()
  }
}

const startHosts = async <Name extends string>(
  { cluster, outside, ...shared }: Pick<SimulationParts<Name>, 'cluster' | 'journal' | 'outside' | 'isOver'>,
  { nodes, boot, identities = [] }: ScenarioOptions<Name>,
): Promise<Readonly<Record<Name, SimulatedHost>>> => {
  const hosts: [Name, SimulatedHost][] = []
  for (const [index, name] of nodes.entries()) {
    const host = new SimulatedHost({
      ...shared,
      index,
      name,
      cluster,
      identity: identities[index] ?? (await cluster.identity()),
      newIdentity: () => outside(() => cluster.identity()),
      boot: (started) => boot?.(started.node, started),
    })
    hosts.push([name, host])
  }
  for (const [, host] of hosts) await host.start()
  return Object.fromEntries(hosts) as Record<Name, SimulatedHost>
}

const ignore = (): void => {}

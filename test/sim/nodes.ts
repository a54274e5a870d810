/**
 * One seed of the program for membership: four to seven nodes on a network that loses a packet in fifty, with partitions,
 * one-way and single broken links, crashes, restarts, goodbyes, and pauses short and long; all by chance, given by the seed.
 *
 * What must hold: a node goes down for another only for a cause, which is something that happened to one of the two, or to the
 * way between them, or that one of them stepped back from an overlapping partition; a pause that is shorter than the
 * patience of the others is no cause, and neither is loss. 10 s after the last fault everybody is connected to everybody and
 * names the same members, and so it stays.
 */
import type { Identity } from '../../certs/identity.ts'
import type { SkeinNode } from '../../src/index.ts'
import { type ScenarioFailure, type SimulatedHost, type Simulation, simulate } from '../../src/testing/index.ts'
import type { Finding, FuzzOptions } from './fuzz.ts'

const HOSTS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const
const MIN_HOSTS = 4
const STEPS = 12
const MAX_STEP_MS = 2500
const LOSS = 0.02
const DELAY_MS = 10
const LIVENESS = { tickIntervalMs: 300, downAfterMs: 1200 }
/** The others do not lose patience. */
const SHORT_PAUSE_MS = 700
/** What a fault leads to may show so long after its end. */
const AFTERMATH_MS = 8000
const CONVERGENCE_MS = 10_000
const QUIET_MS = 20_000

interface Fault {
  readonly text: string
  readonly touches: ReadonlySet<string>
  /** `a b`, in order of the alphabet. */
  readonly between: ReadonlySet<string>
  readonly fromMs: number
  toMs: number
}

interface Down {
  readonly atMs: number
  readonly at: string
  readonly of: string
  readonly reason: string
}

const pairOf = (a: string, b: string): string => [a, b].sort().join(' ')

class Program {
  readonly #sim: Simulation<(typeof HOSTS)[number]>
  readonly #faults: Fault[] = []
  readonly #downs: Down[] = []
  /** When a node stepped back, by name. */
  readonly #steps: { readonly atMs: number; readonly node: string }[] = []

  constructor(sim: Simulation<(typeof HOSTS)[number]>) {
    this.#sim = sim
    sim.conditions({ loss: LOSS, delayMs: DELAY_MS, jitterMs: DELAY_MS / 2 })
  }

  async run(): Promise<void> {
    const sim = this.#sim
    for (const host of this.#hosts) void this.#listen(host, host.node)
    await sim.meshed()
    for (let step = 0; step < STEPS; step++) {
      await this.#harm()
      await sim.sleep(this.#below(MAX_STEP_MS))
    }
    this.#heal()
    for (const host of this.#hosts) {
      if (host.state === 'paused') this.#resume(host)
      if (!host.isUp) await this.#restart(host)
    }
    for (const fault of this.#faults) fault.toMs = Math.min(fault.toMs, sim.nowMs)
    // Not as soon as it looks so: a connection may be dead already, and nobody has noticed.
    for (const ms of [CONVERGENCE_MS, QUIET_MS]) {
      await sim.sleep(ms)
      const disagreement = this.#disagreement()
      if (disagreement !== undefined) throw new Error(disagreement)
    }
    for (const down of this.#downs) {
      if (this.#hasCause(down)) continue
      throw new Error(`${down.at} lost ${down.of}, ${down.reason}, at ${down.atMs.toFixed(0)} ms, without a cause`)
    }
  }

  get #hosts(): readonly SimulatedHost[] {
    return Object.values(this.#sim.hosts)
  }

  #below(count: number): number {
    return Math.floor(this.#sim.random.float() * count)
  }

  #some(from: readonly SimulatedHost[]): SimulatedHost[] {
    const left = [...from]
    const count = 1 + this.#below(left.length - 1)
    return Array.from({ length: count }, () => left.splice(this.#below(left.length), 1)[0] as SimulatedHost)
  }

  async #listen({ name }: SimulatedHost, node: SkeinNode): Promise<void> {
    for await (const event of node.events) {
      const atMs = this.#sim.nowMs
      if (event.type === 'overlappingPartition') this.#steps.push({ atMs, node: name })
      if (event.type !== 'nodedown') continue
      const of = event.node.split('@')[0] as string
      this.#downs.push({ atMs, at: name, of, reason: event.reason })
    }
  }

  #fault(text: string, touches: readonly string[], between: readonly string[] = [], lasts = false): Fault {
    const fromMs = this.#sim.nowMs
    const toMs = lasts ? Number.POSITIVE_INFINITY : fromMs
    const fault: Fault = { text, touches: new Set(touches), between: new Set(between), fromMs, toMs }
    this.#faults.push(fault)
    return fault
  }

  async #harm(): Promise<void> {
    const running = this.#hosts.filter(({ state, isUp }) => isUp && state === 'running')
    const host = running[this.#below(running.length)]
    const away = this.#hosts.find(({ isUp }) => !isUp)
    const paused = this.#hosts.find(({ state }) => state === 'paused')
    const dice = this.#below(10)
    if (dice < 2 && away !== undefined) return this.#restart(away)
    if (dice < 3 && paused !== undefined) return this.#resume(paused)
    if (dice < 4 || host === undefined) return this.#heal()
    if (dice < 6) return this.#pause(host)
    if (dice === 6) {
      this.#fault('crash', [host.name])
      host.crash()
    } else if (dice === 7) {
      this.#fault('stop', [host.name])
      await host.node.stop()
    } else this.#tear()
  }

  async #pause(host: SimulatedHost): Promise<void> {
    if (this.#below(2) === 0) {
      host.pause()
      await this.#sim.sleep(this.#below(SHORT_PAUSE_MS))
      host.resume()
      return
    }
    this.#fault('pause', [host.name], [], true)
    host.pause()
  }

  #resume(host: SimulatedHost): void {
    host.resume()
    for (const fault of this.#faults) {
      if (fault.text === 'pause' && fault.touches.has(host.name)) fault.toMs = Math.min(fault.toMs, this.#sim.nowMs)
    }
  }

  async #restart(host: SimulatedHost): Promise<void> {
    this.#fault('restart', [host.name])
    const node = await host.restart()
    void this.#listen(host, node)
  }

  /** A partition, a way that is lost, or one link. */
  #tear(): void {
    const kind = this.#below(3)
    const [first, second] = this.#some(this.#hosts)
    const group = kind === 0 ? this.#some(this.#hosts) : [first as SimulatedHost]
    const others = this.#hosts.filter((host) => !group.includes(host))
    const rest = kind === 2 ? [second ?? (others[0] as SimulatedHost)] : others
    const pairs = group.flatMap((a) => rest.map((b) => pairOf(a.name, b.name)))
    this.#fault('torn', [], pairs, true)
    if (kind === 1) this.#sim.cut(group, rest)
    else this.#sim.partition(group, rest)
  }

  #heal(): void {
    this.#sim.heal()
    for (const fault of this.#faults) {
      if (fault.between.size > 0) fault.toMs = Math.min(fault.toMs, this.#sim.nowMs)
    }
  }

  #hasCause({ atMs, at, of }: Down): boolean {
    const isNear = (fromMs: number, toMs: number): boolean => atMs >= fromMs && atMs <= toMs + AFTERMATH_MS
    const pair = pairOf(at, of)
    if (
      this.#faults.some(
        ({ touches, between, fromMs, toMs }) =>
          isNear(fromMs, toMs) && (touches.has(at) || touches.has(of) || between.has(pair)),
      )
    )
      return true
    // Both are told of the step in the same moment, give or take the way.
    return this.#steps.some(({ atMs: stepMs, node }) => (node === at || node === of) && Math.abs(atMs - stepMs) < 1000)
  }

  #disagreement(): string | undefined {
    const count = this.#hosts.length - 1
    for (const { name, node } of this.#hosts) {
      if (node.nodes().length !== count) return `${name} is connected to ${node.nodes()}`
      if (node.members().length !== count) return `${name} names ${node.members().map((member) => member.name)}`
    }
    return undefined
  }
}

/** Runs one seed; gives what it found, if anything. */
export const fuzzNodes = async (
  seed: number,
  identities: readonly Identity[],
  { ran }: Pick<FuzzOptions, 'ran'> = {},
): Promise<Finding | undefined> => {
  const nodes = HOSTS.slice(0, MIN_HOSTS + (seed % (HOSTS.length - MIN_HOSTS + 1)))
  try {
    await simulate({ nodes, seed, identities, liveness: LIVENESS }, async (sim) => {
      await new Program(sim).run()
      ran?.(sim.log.join('\n'))
    })
    return undefined
  } catch (error) {
    const { cause, log } = error as ScenarioFailure
    const violation = cause instanceof Error ? cause.message : String(error)
    return { seed, violation, program: `membership, seed ${seed}`, log: (log ?? []).join('\n') }
  }
}

/**
 * One seed of the program for distributed supervisors: children crash, are started, terminated and deleted, and nodes
 * drain, while partitions, cuts, pauses, crashes and restarts happen to four hosts; all by chance, all given by the seed.
 *
 * What must hold: a child has a token as soon as it begins; no node ever runs two of one child; and 10 s after the last fault one node leads, every child that is to
 * run runs exactly once, the others not at all, everybody finds it, and the resource it writes to admits its token, though
 * others have written to it meanwhile. A child that the resource refuses ends, as it should: it was replaced by one that
 * may be gone itself, of which its own part of the cluster never heard. And no node tells of another one that it does not keep
 * to the rules, since all do.
 */
import type { Identity } from '../../certs/identity.ts'
import type { DistributedChildInfo, DistributedSupervisor, SkeinNode } from '../../src/index.ts'
import { type ScenarioFailure, type SimulatedHost, type Simulation, simulate } from '../../src/testing/index.ts'
import { type Run, Runs } from './children.ts'
import type { Finding } from './fuzz.ts'
import { Refusals } from './refusals.ts'

const HOSTS = ['a', 'b', 'c', 'd'] as const
/** All but the last one may lead. */
const FOLLOWER = 'd'
const SUPERVISOR = 'sup'
/** Never terminated. */
const LASTING = ['x', 'y', 'z'] as const
/** Started by request, and never terminated: to be kept as long as one of those who may lead has been there all along. */
const KEPT = 'w'
/** Come and go. */
const PASSING = ['p', 'q'] as const
const STEPS = 25
const MAX_STEP_MS = 1000
/** Everybody agrees so soon after the last fault. */
const CONVERGENCE_MS = 10_000
/** It stays as it is. */
const QUIET_MS = 4000
const OLD_TOKEN = 'has an old token'
/** So long a renewed token may take to reach everybody: the simulated wire loses packets. */
const RENEWAL_MS = 1000
const DRAIN_MS = 2500
const REQUEST_MS = 3000
/** Quicker than on a network, so that little time is spent on waiting for silence to be noticed. */
const LIVENESS = { tickIntervalMs: 300, downAfterMs: 1200 }

type Host = (typeof HOSTS)[number]

class Program {
  readonly #sim: Simulation<Host>
  readonly #runs: Runs
  readonly #supervisors: ReadonlyMap<string, DistributedSupervisor>
  /** Nodes that drain and have not stopped yet. */
  readonly #leaving = new Map<SkeinNode, Promise<unknown>>()

  constructor(
    sim: Simulation<Host>,
    runs: Runs,
    supervisors: ReadonlyMap<string, DistributedSupervisor>,
    refusals: Refusals,
  ) {
    this.#sim = sim
    this.#runs = runs
    this.#supervisors = supervisors
    sim.always('a child has a token when it begins', () => {
      if (runs.tokenless.length > 0) throw new Error(`no token: ${runs.tokenless}`)
    })
    sim.always('nobody who keeps to the rules is told of as one who does not', () => {
      if (refusals.told.length > 0) throw new Error(refusals.told.join('; '))
    })
    sim.always('no node runs two of one child', () => {
      const seen = new Set<string>()
      for (const { name, pid } of runs.now) {
        const key = `${name} ${pid.origin.key}`
        if (seen.has(key)) throw new Error(`${pid.node} runs "${name}" twice`)
        seen.add(key)
      }
    })
  }

  async run(): Promise<void> {
    await this.#sim.meshed()
    await this.#supervisors.get(HOSTS[0])?.startChild({ id: KEPT, behaviour: 'counter', args: [0] })
    const first = new Set(this.#hosts.filter(({ name }) => name !== FOLLOWER).map(({ node }) => node))
    for (let step = 0; step < STEPS; step++) {
      await this.#step()
      this.#write()
      await this.#sim.sleep(this.#below(MAX_STEP_MS))
    }
    await this.#repair()
    const lasting = this.#hosts.some(({ node }) => first.has(node)) ? [...LASTING, KEPT] : LASTING
    await this.#converge(lasting)
  }

  get #hosts(): readonly SimulatedHost[] {
    return Object.values(this.#sim.hosts)
  }

  #below(count: number): number {
    return Math.floor(this.#sim.random.float() * count)
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#below(from.length)]
  }

  async #step(): Promise<void> {
    const host = this.#pick(this.#hosts)
    const chance = this.#below(100)
    if (host === undefined) return
    if (chance < 20) this.#crashChild()
    else if (chance < 34) this.#ask(host)
    else if (chance < 50) this.#sim.partition(this.#some())
    else if (chance < 56) this.#sim.cut(this.#some())
    else if (chance < 68) this.#sim.heal()
    else if (chance < 74 && host.state === 'running') host.pause()
    else if (chance < 80 && host.state === 'paused') host.resume()
    else if (chance < 85 && host.state === 'running' && host.isUp && !host.node.isDraining) this.#drain(host)
    else if (host.isUp && host.state === 'running') {
      this.#leaving.delete(host.node)
      host.crash()
      this.#runs.crashed(host.node.name)
    } else if (!host.isUp && !this.#leaving.has(host.node)) await host.restart()
  }

  #some(): SimulatedHost[] {
    return this.#hosts.filter(() => this.#sim.random.float() < 0.5)
  }

  #crashChild(): void {
    const run = this.#pick([...this.#runs.now])
    const host = this.#hosts.find(({ node }) => node.name === run?.node)
    if (run === undefined || host?.isUp !== true || host.state !== 'running') return
    this.#sim.note(`${run.name} on ${run.node} is ended`)
    host.node.exit(run.pid, this.#below(2) === 0 ? 'kill' : 'crashed')
  }

  /** Whether it succeeds depends on the faults; the plan of the leader has the last word. */
  #ask(host: SimulatedHost): void {
    const supervisor = this.#supervisors.get(host.name)
    const id = this.#pick(PASSING)
    if (supervisor === undefined || id === undefined || !host.isUp) return
    const options = { timeoutMs: REQUEST_MS }
    const what = this.#pick(['start', 'start', 'terminate', 'restart', 'delete'] as const)
    const asked =
      what === 'start'
        ? supervisor.startChild({ id, behaviour: 'counter', args: [0] }, options)
        : what === 'terminate'
          ? supervisor.terminateChild(id, options)
          : what === 'restart'
            ? supervisor.restartChild(id, options)
            : supervisor.deleteChild(id, options)
    const note = `${what} ${id} from ${host.name}`
    asked.then(
      () => this.#sim.note(`${note}: done`),
      (error: unknown) => this.#sim.note(`${note}: ${String(error)}`),
    )
  }

  #drain(host: SimulatedHost): void {
    this.#sim.note(`${host.name} is to leave`)
    const { node } = host
    this.#leaving.set(
      node,
      node.drain({ timeoutMs: DRAIN_MS }).finally(() => this.#leaving.delete(node)),
    )
  }

  /** Whoever runs, in whatever part of the cluster, writes. One that is refused was replaced, and ends. */
  #write(): void {
    for (const run of this.#runs.now) {
      const host = this.#hosts.find(({ node }) => node.name === run.node)
      if (host?.state !== 'running' || this.#runs.admits(run)) continue
      this.#sim.note(`${run.name} on ${run.node} is refused`)
      host.node.exit(run.pid, 'refused')
    }
  }

  async #repair(): Promise<void> {
    this.#sim.heal()
    for (const host of this.#hosts) {
      if (host.state === 'paused') host.resume()
      if (host.state !== 'crashed') await this.#leaving.get(host.node)
      if (!host.isUp) await host.restart()
    }
    this.#sim.note('everything is repaired')
  }

  async #converge(lasting: readonly string[]): Promise<void> {
    let wrong: string | undefined = 'nobody looked'
    const endMs = this.#sim.nowMs + CONVERGENCE_MS
    while (wrong !== undefined) {
      if (this.#sim.nowMs > endMs) throw new Error(`after ${CONVERGENCE_MS} ms ${wrong}`)
      this.#write()
      await this.#sim.sleep(250)
      wrong = await this.#whatIsWrong(lasting)
    }
    const before = [...this.#runs.now]
    await this.#sim.sleep(QUIET_MS)
    wrong = await this.#whatIsWrong(lasting)
    // Tokens are renewed now and then, and such news travels. Nothing else may be wrong even for a moment.
    if (wrong?.endsWith(OLD_TOKEN)) {
      await this.#sim.sleep(RENEWAL_MS)
      wrong = await this.#whatIsWrong(lasting)
    }
    if (wrong !== undefined) throw new Error(`it was right, and then ${wrong}`)
    if (before.some((run) => !this.#runs.now.has(run))) throw new Error('it was right, and then a child was ended')
  }

  async #whatIsWrong(lasting: readonly string[]): Promise<string | undefined> {
    const nodes = this.#hosts.map(({ node }) => node)
    if (nodes.some((node) => node.nodes().length !== nodes.length - 1)) return 'the mesh is not whole'
    const leaders = [...this.#supervisors.values()].filter(({ isLeader }) => isLeader)
    const [leader] = leaders
    if (leader === undefined || leaders.length > 1) return `${leaders.length} nodes lead`
    const infos = await leader.whichChildren({ timeoutMs: REQUEST_MS }).catch(() => [] as DistributedChildInfo[])
    for (const id of lasting) {
      if (!infos.some((info) => info.id === id && info.status === 'running')) return `"${id}" is not running`
    }
    for (const { id, status } of infos) {
      const runs = this.#runs.of(`${SUPERVISOR}/${id}`)
      if (status === 'starting' || status === 'waiting') return `"${id}" is ${status}`
      if (runs.length !== (status === 'running' ? 1 : 0)) return `"${id}" is ${status} and runs ${runs.length} times`
      const [run] = runs
      if (run === undefined) continue
      const wrong = this.#whatIsWrongWith(run, nodes)
      if (wrong !== undefined) return wrong
    }
    const stray = [...this.#runs.now].find(({ name }) => !infos.some(({ id }) => name === `${SUPERVISOR}/${id}`))
    return stray === undefined ? undefined : `"${stray.name}" runs, which nobody wants`
  }

  #whatIsWrongWith(run: Run, nodes: readonly SkeinNode[]): string | undefined {
    for (const node of nodes) {
      if (node.global.whereis(run.name)?.equals(run.pid) !== true) return `${node.name} does not find "${run.name}"`
      if (node.global.token(run.name) !== run.self.supervised?.token) return `${node.name} ${OLD_TOKEN}`
    }
    return this.#runs.admits(run) ? undefined : `the resource of "${run.name}" does not admit its token`
  }
}

/** Runs one seed; gives what it found, if anything. */
export const fuzzSupervision = async (seed: number, identities: readonly Identity[]): Promise<Finding | undefined> => {
  const runs = new Runs()
  const supervisors = new Map<string, DistributedSupervisor>()
  const refusals = new Refusals()
  const boot = (node: SkeinNode, host: SimulatedHost): void => {
    runs.offer(node)
    refusals.listen(node)
    const children = LASTING.map((id) => ({ id, behaviour: 'counter', args: [0] }))
    const lead = host.name !== FOLLOWER
    supervisors.set(host.name, node.supervise(SUPERVISOR, { children, lead, maxRestarts: Number.POSITIVE_INFINITY }))
  }
  try {
    await simulate({ nodes: HOSTS, seed, identities, boot, liveness: LIVENESS }, (sim) =>
      new Program(sim, runs, supervisors, refusals).run(),
    )
    return undefined
  } catch (error) {
    const { cause, log } = error as ScenarioFailure
    const violation = cause instanceof Error ? cause.message : String(error)
    return { seed, violation, program: `supervision, seed ${seed}`, log: (log ?? []).join('\n') }
  }
}

/**
 * Where a storm takes place: members in processes of their own, over real QUIC, each with the load of the chaos run on it
 * (numbered messages to all others, a group, supervised children with global names), and the chaos run's judge, which says
 * what is lost, doubled, out of order, held twice, or down without a cause.
 *
 * A storm opens it, storms, and closes it. Closing waits until the cluster is whole: all see all, agree on names, group and
 * children, every member answers calls of every other, and does not take back any of it for a while.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../transport/random.ts'
import { seededRandom } from '../../transport/random.ts'
import type { Fault } from '../chaos/faults.ts'
import { Judge } from '../chaos/judge.ts'
import { MemberProcess } from '../chaos/process.ts'
import type { MemberOptions, MemberReport } from '../chaos/protocol.ts'
import type { TestContext } from '../support/suite.ts'
import type { Vitals } from './fixtures/vitals.ts'
import type { MemoryReport, StormReport } from './storm.ts'

const COOKIE = 'a cookie of the storms'
const PORT = 47_433
const SEEDS = 3
/** A member that runs answers within this, or hangs. */
const ANSWER_LIMIT_MS = 20_000
/** The cluster is whole within this after a storm, or it is a violation. */
const WHOLE_LIMIT_MS = 45_000
/** It stays whole for this long. */
const QUIET_MS = 1500
/** Each process has networks of its own below 127.0.0.0/8, so that runs side by side do not meet. */
let networks = 0
/** Between two rounds of `calls`. */
const CALL_INTERVAL_MS = 100
const MIB = 2 ** 20

/** A machine for a member, or this one under one of its loopback addresses. */
export interface StormHost {
  readonly ipv4: string
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess
}

export interface StageOptions {
  /** Named as in `StormReport.storm`. */
  readonly storm: string
  readonly members: number
  readonly seconds: number
  readonly seed: number
  /** For clean-ups, and for what is missing here. */
  readonly context: TestContext
  say(text: string): void
}

export interface OpenOptions {
  /** One for each member. Default: loopback addresses of this machine. */
  readonly hosts?: readonly StormHost[]
  /** Modules for every member's process: MemberOptions.before. */
  readonly before?: readonly string[]
}

/** Traffic, not trouble; and what the port holds now. */
const PLAIN_COUNTERS: ReadonlySet<string> = new Set(
  ['received', 'receivedBytes', 'sent', 'sentBytes', 'probes', 'krpc', 'punches', 'punchProbes', 'punchAnswers'].concat(
    ['relayChannels', 'relayedBytes', 'connections', 'connectionIds', 'tickets'],
  ),
)

/** Members that something happens to, and ways between two of them that are broken: who may go down for whom. */
export interface Cause {
  readonly touches?: readonly number[]
  readonly between?: readonly (readonly [number, number])[]
}

export class Stage {
  readonly options: StageOptions
  readonly random: Random
  /** Who has to be there in the end; one that was replaced keeps its place. */
  readonly members: MemberProcess[] = []
  readonly #judge: Judge
  readonly #tallies = new Map<string, number>()
  readonly #violations: string[] = []
  readonly #before = new Map<string, Vitals>()
  #open: OpenOptions = {}
  #folder = ''
  #started = 0

  constructor(options: StageOptions) {
    this.options = options
    this.random = seededRandom(options.seed)
    this.#judge = new Judge({
      say: (text) => {
        options.say(text)
        if (text.startsWith('VIOLATION')) this.#violations.push(text.slice('VIOLATION '.length))
      },
    })
  }

  /** Seconds that the storm lasts. */
  get seconds(): number {
    return this.options.seconds
  }

  get cookie(): string {
    return COOKIE
  }

  /** The machine of this member. */
  host(place: number): StormHost {
    const host = this.#open.hosts?.[place]
    if (host === undefined) throw new Error(`there is no host ${place}`)
    return host
  }

  /** Loopback addresses of this run that are nobody's. */
  freeAddresses(count: number): string[] {
    const [first] = this.members
    const prefix = first?.options.host.replace(/\d+$/, '') ?? ''
    return Array.from({ length: count }, (_, i) => `${prefix}${100 + i}`)
  }

  /** The address of a member, host and port. */
  addressOf(member: MemberProcess): { readonly host: string; readonly port: number } {
    const { host, port } = member.options
    return { host, port }
  }

  /** Starts the members, waits until they are whole, and has a look at each. Nobody may go down from now on: see `cause`. */
  async open(open: OpenOptions = {}): Promise<void> {
    const { context, members: count } = this.options
    this.#folder = await mkdtemp(join(tmpdir(), 'skein-storm-'))
    context.defer(() => rm(this.#folder, { recursive: true, force: true }))
    this.#open = { ...open, hosts: open.hosts ?? loopbackHosts(count) }
    this.cause({})
    for (let i = 0; i < count; i++) this.members.push(this.newMember(i))
    await Promise.all(this.members.map((member) => member.start()))
    const tookMs = await this.whole()
    if (tookMs === undefined) throw new Error('the cluster was not whole before the storm')
    this.options.say(`${count} members are whole after ${(tookMs / 1000).toFixed(1)} s`)
    await Promise.all(
      this.members.map(async (member) => {
        this.#before.set(member.name, await this.vitals(member))
        await resetPeak(member.pid)
      }),
    )
  }

  /**
   * A member for a place, not started; whoever is there has to be dead when it starts. It has a key of its own, or that of
   * another member, and then is the same node.
   */
  newMember(place: number, same?: MemberProcess): MemberProcess {
    const hosts = this.#open.hosts ?? []
    const host = this.host(place)
    const options: MemberOptions = {
      name: `m${place + 1}@${host.ipv4}`,
      host: host.ipv4,
      port: PORT,
      cookie: COOKIE,
      identity: same?.options.identity ?? join(this.#folder, `${++this.#started}.pem`),
      seeds: hosts.slice(0, SEEDS).map(({ ipv4 }) => `${ipv4}:${PORT}`),
      ...(this.#open.before && { before: this.#open.before }),
    }
    const member = new MemberProcess(host, options, (report) => this.#hear(place, report))
    this.options.context.defer(() => member.kill())
    return member
  }

  /** From now on these may go down, until the next call or the end of the storm; of an empty cause nobody may. */
  cause({ touches = [], between = [] }: Cause): void {
    const fault: Fault = { text: 'storm', touches, between, begin: () => {}, end: () => {} }
    if (this.#started > 0 && touches.length === 0 && between.length === 0) this.#judge.faultsOver()
    else this.#judge.faultsBegin([fault])
  }

  /** Has a module of test/storms/fixtures work in the process of a member: see Role. */
  async role<T>(member: MemberProcess, name: string, ...args: readonly unknown[]): Promise<T> {
    const module = new URL(`./fixtures/${name}.ts`, import.meta.url).href
    return (await member.tell({ do: 'role', module, args })) as T
  }

  /**
   * Calls between all pairs of members, again and again, until `over`; gives how long the answers took, in ms, in order of
   * size. A call that fails is a violation.
   */
  async calls(over: Promise<unknown>, members: readonly MemberProcess[] = this.members): Promise<number[]> {
    const names = members.map(({ name }) => name)
    let isOver = false
    const end = (): void => {
      isOver = true
    }
    over.then(end, end)
    const took = members.map(async (member) => {
      const all: number[] = []
      while (!isOver) {
        const some = await this.role<number[]>(member, 'calls', names).catch((error: unknown) => {
          this.violation(`a call of ${member.name} failed: ${String(error).split('\n', 1)[0]}`)
          return []
        })
        all.push(...some)
        await sleep(CALL_INTERVAL_MS)
      }
      return all
    })
    return (await Promise.all(took)).flat().sort((a, b) => a - b)
  }

  vitals(member: MemberProcess): Promise<Vitals> {
    return this.role<Vitals>(member, 'vitals')
  }

  /** For the report: what was sent, refused, dropped or shed. */
  tally(what: string, count = 1): void {
    this.#tallies.set(what, (this.#tallies.get(what) ?? 0) + count)
  }

  /** For the report: the largest so far. */
  tallyMost(what: string, value: number): void {
    this.#tallies.set(what, Math.max(this.#tallies.get(what) ?? 0, value))
  }

  /** After a member with a wrong calendar: what names protect would refuse all tokens until that day. */
  forgetTokens(): void {
    this.tally('resources that had to forget tokens of the future', this.#judge.forgetTokens())
  }

  violation(text: string): void {
    this.#judge.violation(text)
  }

  sleep(ms: number): Promise<void> {
    return sleep(ms)
  }

  /** The storm is over and undone: waits until all is whole, ends the members, and gives the report. */
  async close(): Promise<StormReport> {
    const tookMs = await this.whole()
    if (tookMs !== undefined) await sleep(QUIET_MS)
    const memory = await Promise.all(this.members.map((member) => this.#lastLook(member)))
    await Promise.all(this.members.map((member) => member.kill()))
    return {
      storm: this.options.storm,
      seed: this.options.seed,
      tallies: Object.fromEntries([...this.#tallies].sort(([a], [b]) => (a < b ? -1 : 1))),
      memory,
      wholeAfterSeconds: tookMs === undefined ? undefined : tookMs / 1000,
      violations: this.#violations,
    }
  }

  #hear(place: number, report: MemberReport): void {
    this.#judge.heard(place, report)
    if (report.type !== 'event') return
    const { event } = report
    if (event.type === 'nodeup') return
    const why = 'reason' in event ? ` ${String(event.reason)}` : 'code' in event ? ` ${String(event.code)}` : ''
    this.tally(`event ${event.type}${why}`)
  }

  /** Waits until the cluster is whole, then nobody may go down any more; gives how long that took, ms, or undefined after a violation. */
  async whole(): Promise<number | undefined> {
    const beganMs = performance.now()
    let why = ''
    while (performance.now() - beganMs < WHOLE_LIMIT_MS) {
      why = await this.#lack()
      if (why === '') {
        this.#judge.faultsOver()
        return performance.now() - beganMs
      }
      await sleep(100)
    }
    this.violation(`not whole after ${WHOLE_LIMIT_MS / 1000} s: ${why}`)
    return undefined
  }

  /** What the cluster lacks to be whole; empty: nothing. */
  async #lack(): Promise<string> {
    const { members } = this
    try {
      const states = await Promise.all(members.map((member) => answered(member, member.look())))
      const why = this.#judge.disagreement(members, states)
      if (why !== '') return why
      await Promise.all(members.map((member) => answered(member, this.role(member, 'echo'))))
      const names = members.map(({ name }) => name)
      await Promise.all(members.map((member) => answered(member, this.role(member, 'calls', names))))
      return ''
    } catch (error) {
      return String(error)
    }
  }

  async #lastLook(member: MemberProcess): Promise<MemoryReport> {
    const before = this.#before.get(member.name)
    const peak = await peakBytes(member.pid)
    try {
      const [after, { shed }] = await answered(member, Promise.all([this.vitals(member), member.look()]))
      const isSame = before?.incarnation === after.incarnation
      for (const [counter, value] of Object.entries(after.counters)) {
        const grown = value - (isSame ? (before.counters[counter] ?? 0) : 0)
        if (grown > 0 && !PLAIN_COUNTERS.has(counter)) this.tally(`node: ${counter}`, grown)
      }
      if (shed > 0) this.tally('messages of the background load shed (queue full)', shed)
      return { member: member.name, before: mib(before?.rssBytes), peak: mib(peak), after: mib(after.rssBytes) }
    } catch (error) {
      this.violation(String(error))
      return { member: member.name, before: mib(before?.rssBytes), peak: mib(peak), after: 0 }
    }
  }
}

export const loopbackHosts = (count: number): StormHost[] => {
  const network = (process.pid * 16 + (networks++ % 16)) % 60_000
  const prefix = `127.${1 + Math.floor(network / 250)}.${network % 250}`
  return Array.from({ length: count }, (_, i) => ({
    ipv4: `${prefix}.${i + 1}`,
    spawn: (command, args, options = {}) => spawn(command, args, options),
  }))
}

/** What a member answers, or an error: it is gone, or hangs. */
const answered = async <T>(member: MemberProcess, answer: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`${member.name} has not answered for ${ANSWER_LIMIT_MS / 1000} s`)
    timer = setTimeout(() => reject(error), ANSWER_LIMIT_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

const mib = (bytes = 0): number => Math.round(bytes / MIB)

/** The most resident memory since `resetPeak`; 0 where Linux does not say. */
const peakBytes = async (pid: number): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

const resetPeak = async (pid: number): Promise<void> => {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => {})
}

/** Of numbers in order of size, for instance 0.99; 0 of none. */
export const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0

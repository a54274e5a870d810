/** The members of a soak run: processes on loopback, of which the first few live as long as the run. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommandedProcess } from '../support/commanded-process.ts'
import { again } from './patience.ts'
import type { MemberCommand, MemberOptions, MemberReport, Sample, Settled } from './protocol.ts'
import type { QuietLook } from './verdict.ts'

/**
 * V8 compiles each function once, when it is first called. Its optimizing compiler goes on for hours, with functions that are
 * called more and more seldom, and resident memory grows with that as with a leak: docs/soak.md.
 */
const COMPILE_ONCE = ['--always-sparkplug', '--no-opt'] as const
const MEMBER = fileURLToPath(new URL('./member.ts', import.meta.url))
const COOKIE_BYTES = 16
const COMPRESS_ABOVE_BYTES = 1024
/** How long a process may take to end after its node has stopped. */
const END_TIMEOUT_MS = 10_000
/** How long members may take to find each other, also on a machine that has much else to do. */
const MEET_LIMIT_MS = 60_000

export interface ClusterOptions {
  readonly count: number
  /** Members that churn touches: the last ones. */
  readonly changing: number
  readonly seed: number
  /** Messages per second of the whole cluster. */
  readonly rate: number
  /** V8 optimizes what is called often, as it does by default. */
  readonly optimizes: boolean
  /** For identities. */
  readonly folder: string
  readonly violation: (text: string) => void
}

export class SoakMember {
  readonly options: Omit<MemberOptions, 'seeds'>
  readonly process: CommandedProcess<MemberCommand, MemberReport>

  constructor(options: Omit<MemberOptions, 'seeds'>, optimizes: boolean, violation: (text: string) => void) {
    this.options = options
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SKEIN_')))
    const child = fork(MEMBER, [], {
      execArgv: ['--expose-gc', ...(optimizes ? [] : COMPILE_ONCE), '--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env,
    })
    this.process = new CommandedProcess(options.name, child, {
      report: ({ text }) => violation(`${options.name}: ${text}`),
      endedUnasked: (how) => violation(`${options.name} ended unasked: ${how}`),
    })
  }

  get name(): string {
    return this.options.name
  }

  async sample(gc: boolean): Promise<Sample> {
    return (await this.process.tell({ do: 'sample', gc })) as Sample
  }

  async look(): Promise<QuietLook> {
    const census = (await this.process.tell({ do: 'census' })) as QuietLook['census']
    return { sample: await this.sample(true), census }
  }

  async settled(): Promise<Settled> {
    return (await this.process.tell({ do: 'settled' })) as Settled
  }
}

export class Cluster {
  readonly members: SoakMember[] = []
  readonly #options: ClusterOptions
  readonly #ports = new Map<string, number>()
  /** Of this run alone: another one on this machine gets the ports that members of this one leave. */
  readonly #cookie = randomBytes(COOKIE_BYTES).toString('hex')
  #born = 0
  #load = { on: false, pace: 1 }

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  /** Those that live as long as the run. */
  get lasting(): readonly SoakMember[] {
    return this.members.slice(0, this.#options.count - this.#options.changing)
  }

  async start(): Promise<void> {
    // Loading the program takes longest, and nobody has to wait for anybody in that.
    const names = Array.from({ length: this.#options.count }, (_, i) => `s${i + 1}@127.0.0.1`)
    this.members.push(...names.map((name, i) => this.#fork(i, name)))
    for (const member of this.members) await this.#begin(member)
  }

  /** One that changes stops in order, and a stranger takes its place. */
  async replace(index: number): Promise<string> {
    const old = this.members[index] as SoakMember
    await this.#stop(old)
    await this.#add(index, `s${index + 1}x${this.#born}@127.0.0.1`)
    return `${old.name} stops, ${this.members[index]?.name} joins`
  }

  /** One that changes is killed, and comes back under its name. */
  async restart(index: number): Promise<string> {
    const { name, process } = this.members[index] as SoakMember
    await process.kill()
    await this.#add(index, name)
    return `${name} is killed and comes back`
  }

  async load(on: boolean, pace = 1): Promise<void> {
    this.#load = { on, pace }
    await this.tellAll({ do: 'load', on, pace })
  }

  async tellAll(command: MemberCommand): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.tell(command)))
  }

  settled(): Promise<Settled[]> {
    return Promise.all(this.members.map((member) => member.settled()))
  }

  /** Everybody is connected to everybody. */
  async meet(): Promise<void> {
    const nodes = this.members.map(({ name }) => name)
    // Who has just joined is not known to all yet.
    await again(MEET_LIMIT_MS, () => this.tellAll({ do: 'meet', nodes }))
  }

  /** All stop, and all processes end by themselves. */
  async stop(): Promise<void> {
    for (const member of [...this.members].reverse()) await this.#stop(member)
  }

  async kill(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.kill()))
  }

  async #stop(member: SoakMember): Promise<void> {
    await member.process.tell({ do: 'stop' })
    const ended = await member.process.release(END_TIMEOUT_MS)
    if (!ended) this.#options.violation(`the process of ${member.name} did not end after node.stop()`)
  }

  async #add(index: number, name: string): Promise<void> {
    const member = this.#fork(index, name)
    this.members[index] = member
    await this.#begin(member)
  }

  #fork(index: number, name: string): SoakMember {
    const { count, seed, rate, optimizes, folder, violation } = this.#options
    const born = this.#born++
    const options = {
      name,
      cookie: this.#cookie,
      identity: join(folder, `${name}.pem`),
      compressAboveBytes: index % 2 === 1 ? COMPRESS_ABOVE_BYTES : 0,
      rate: rate / count,
      seed: seed * 1000 + born,
    }
    return new SoakMember(options, optimizes, violation)
  }

  async #begin({ name, options, process }: SoakMember): Promise<void> {
    await process.ready
    const seeds = this.lasting.flatMap((one) => {
      const port = this.#ports.get(one.name)
      return one.name === name || port === undefined ? [] : [`127.0.0.1:${port}`]
    })
    const port = (await process.tell({ do: 'start', options: { ...options, seeds } })) as number
    this.#ports.set(name, port)
    if (this.#load.on) await process.tell({ do: 'load', ...this.#load })
  }
}

/**
 * `skein chaos`: node processes on this machine are killed, restarted, stopped and frozen at random, round after round, and
 * what they promise is watched all the time.
 *
 * The cluster, its cookie and keys are made up for one run and gone after it; all of it stays on 127.0.0.1. Each process is
 * an ordinary node over real QUIC. What must be true is in chaos-judge.ts. Exit code 1 if something was not.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Random, seededRandom, systemRandom } from '../../transport/random.ts'
import { below, commit, inWords, planFaults } from './chaos-faults.ts'
import { ChaosJudge } from './chaos-judge.ts'
import { ChaosMember, viewsOf } from './chaos-member.ts'
import { CHAOS_NAMES } from './chaos-protocol.ts'
import { randomHex } from './demo-stage.ts'
import { Failed } from './failure.ts'
import { addHelp } from './help.ts'
import { jsonOption, parseWithin } from './options.ts'
import { duration, palette, printJson, printLine } from './output.ts'
import { parseSpan, spanInWords } from './time-span.ts'

const DEFAULT_NODES = 5
const NODES_RANGE: readonly [number, number] = [3, 16]
const DEFAULT_SPAN_MS = 60_000
const MAX_SEED = 0xffff_ffff
/**
 * All agree within this after everything is undone, or it is a violation. Dials are repeated up to 37.5 s apart (mesh.ts),
 * and on a busy machine two may fail.
 */
const AGREEMENT_LIMIT_MS = 90_000
const LOOK_INTERVAL_MS = 100
/** How long all is left alone after agreement: calls must succeed then. */
const QUIET_MS = 1000
const COMPETE_INTERVAL_MS = 250
/** Otherwise whoever has the name drops it. */
const GRAB_SHARE = 0.7

interface ChaosOptions {
  readonly nodes?: number
  readonly for?: number
  readonly seed?: number
  readonly json?: boolean
}

export const addChaos = (program: Command, entry: string): void => {
  const command = program
    .command('chaos')
    .description('kill, restart, stop and freeze nodes on this machine at random, and judge what they promise')
    .option('--nodes <count>', `how many, ${NODES_RANGE.join(' to ')} (default: ${DEFAULT_NODES})`, parseNodes)
    .option('--for <time>', 'how long, such as 30s, 10m or 2h (default: 1m)', parseSpan)
    .option('--seed <number>', 'repeats the plan of a run that printed it (default: made up)', parseSeed)
    .addOption(jsonOption())
    .action((options: ChaosOptions) => chaos(entry, options))
  addHelp(
    command,
    [
      { command: 'skein chaos', does: 'five nodes, for a minute' },
      { command: 'skein chaos --nodes 9 --for 10m', does: 'more of it' },
      { command: 'skein chaos --seed 7', does: 'the same plan each time' },
    ],
    `Judged are: all agree after each round, a global name has one holder, no reply is lost but those of nodes under a
fault, no process ends by itself. Your own nodes are left alone.`,
  )
}

const parseNodes = parseWithin(...NODES_RANGE)
const parseSeed = parseWithin(0, MAX_SEED)

const chaos = async (entry: string, options: ChaosOptions): Promise<void> => {
  const seed = options.seed ?? Buffer.from(systemRandom.bytes(4)).readUInt32BE()
  const folder = await mkdtemp(join(tmpdir(), 'skein-chaos-'))
  const run = new ChaosRun(entry, folder, seed, options)
  try {
    await run.play()
  } finally {
    await run.clear()
    await rm(folder, { recursive: true, force: true })
  }
  run.tellResult()
  if (run.failed) throw new Failed()
}

class ChaosRun {
  readonly #seed: number
  /** What is done to whom: drawn from nothing but the seed, since how often names are grabbed is a matter of timing. */
  readonly #plan: Random
  readonly #competition: Random
  readonly #spanMs: number
  readonly #json: boolean
  readonly #members: readonly ChaosMember[]
  readonly #judge: ChaosJudge
  readonly #interrupted = new AbortController()
  readonly #beganMs = performance.now()
  readonly #interrupt = (): void => this.#interrupted.abort()
  #rounds = 0
  #slowestMs = 0

  constructor(entry: string, folder: string, seed: number, options: ChaosOptions) {
    this.#seed = seed
    this.#plan = seededRandom(seed)
    this.#competition = seededRandom(seed + 1)
    this.#spanMs = options.for ?? DEFAULT_SPAN_MS
    this.#json = options.json === true
    this.#judge = new ChaosJudge((text) => this.#say('violation', palette().bad(`VIOLATION ${text}`), { text }))
    const cluster = {
      entry,
      cluster: `chaos-${randomHex(4)}`,
      cookie: randomHex(32),
      folder,
      heard: (member: ChaosMember, event: Parameters<ChaosJudge['heard']>[1]) =>
        this.#judge.heard(member.name, event, this.#nowMs),
      lost: ({ label }: ChaosMember, how: string) => {
        // Ctrl-C reaches processes that are just starting, too.
        if (!this.#isOver) this.#judge.violation(`the process of ${label} ended: ${how}`)
      },
    }
    const count = options.nodes ?? DEFAULT_NODES
    this.#members = Array.from({ length: count }, (_, i) => new ChaosMember(`n${i + 1}`, cluster))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, this.#interrupt)
  }

  get failed(): boolean {
    return this.#judge.violations > 0 || this.#rounds === 0
  }

  async play(): Promise<void> {
    try {
      await this.#play()
    } catch (error) {
      if (!this.#isOver) throw error
    }
  }

  async #play(): Promise<void> {
    const count = this.#members.length
    if (!this.#json) {
      printLine(
        `${count} nodes on 127.0.0.1 for ${spanInWords(this.#spanMs)}, seed ${this.#seed}; Ctrl-C ends it earlier`,
      )
    }
    for (const { name } of this.#members) this.#judge.excuse(name, this.#nowMs)
    const [first, ...others] = this.#members as [ChaosMember, ...ChaosMember[]]
    await first.start([])
    const outcomes = await Promise.allSettled(others.map((member) => member.start(this.#seedsFor(member))))
    throwFirst(outcomes)
    const tookMs = await this.#agreement()
    if (tookMs === undefined) return
    this.#say('started', `all agree after ${duration(tookMs)}`, {
      nodes: count,
      seed: this.#seed,
      agreedAfterMs: tookMs,
    })
    const endMs = this.#nowMs + this.#spanMs
    while (this.#nowMs < endMs && !this.#isOver) {
      await this.#wait(QUIET_MS)
      if (this.#isOver || !(await this.#round())) break
    }
  }

  /** Ends whoever is left. */
  async clear(): Promise<void> {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#interrupt)
    await Promise.all(this.#members.map((member) => member.kill()))
  }

  tellResult(): void {
    const { violations, endedByFaults } = this.#judge
    const rounds = this.#rounds
    const answered = this.#members.reduce((total, member) => total + member.answered, 0)
    if (this.#json) {
      printJson({
        type: 'ended',
        seed: this.#seed,
        rounds,
        violations,
        answered,
        endedByFaults,
        slowestMs: this.#slowestMs,
      })
      return
    }
    const { good, bad } = palette()
    const calls = `${answered.toLocaleString('en')} calls answered, ${endedByFaults.toLocaleString('en')} ended by faults`
    printLine(`${calls}, slowest agreement ${duration(this.#slowestMs)}, seed ${this.#seed}`)
    const verdict = `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${violations} ${violations === 1 ? 'violation' : 'violations'}`
    printLine(this.failed ? bad(verdict) : good(verdict))
  }

  /** False: they do not agree any more. */
  async #round(): Promise<boolean> {
    const faults = planFaults(this.#members, this.#plan)
    const text = faults.map(inWords).join(', ')
    for (const { member } of faults) this.#judge.excuse(member.name, this.#nowMs)
    if (!this.#json) this.#say('faults', `round ${this.#rounds + 1}: ${text}`, {})
    const over = new AbortController()
    const competing = this.#compete(over.signal)
    const seeds = (member: ChaosMember): readonly string[] => this.#seedsFor(member)
    // All of them come to their end, so that nobody is started after the run is over.
    const outcomes = await Promise.allSettled(faults.map((fault) => commit(fault, (ms) => this.#wait(ms), seeds)))
    over.abort()
    await competing
    throwFirst(outcomes)
    const tookMs = await this.#agreement()
    if (tookMs === undefined) return false
    this.#rounds++
    this.#slowestMs = Math.max(this.#slowestMs, tookMs)
    const did = faults.map(({ kind, member, lastsMs }) => ({ kind, node: member.label, lastsMs }))
    this.#say('round', `  all agree after ${duration(tookMs)}`, {
      round: this.#rounds,
      faults: did,
      agreedAfterMs: tookMs,
    })
    return true
  }

  /** Meanwhile names change hands. */
  async #compete(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const member = this.#members[below(this.#competition, this.#members.length)]
      const name = CHAOS_NAMES[below(this.#competition, CHAOS_NAMES.length)]
      const what = this.#competition.float() < GRAB_SHARE ? 'grab' : 'drop'
      // Not awaited: a frozen member answers later.
      if (name !== undefined) void member?.tell(what, name)
      await sleep(COMPETE_INTERVAL_MS, undefined, { signal: over }).catch(() => {})
    }
  }

  /** How long it took until all agreed; undefined: they do not, which is a violation, or it was interrupted. */
  async #agreement(): Promise<number | undefined> {
    const beganMs = this.#nowMs
    let why = 'nobody was asked'
    while (this.#nowMs - beganMs < AGREEMENT_LIMIT_MS) {
      if (this.#isOver) return undefined
      const limitMs = beganMs + AGREEMENT_LIMIT_MS - this.#nowMs
      const views = await viewsOf(this.#members, limitMs, this.#interrupted.signal)
      if (typeof views === 'string') why = views
      else {
        why = this.#judge.disagreement(
          this.#members.map(({ name }) => name),
          views,
        )
      }
      if (why === '') {
        this.#judge.agreed(this.#nowMs)
        return this.#nowMs - beganMs
      }
      await this.#wait(LOOK_INTERVAL_MS)
    }
    this.#judge.violation(`no agreement after ${duration(this.#nowMs - beganMs)}: ${why}`)
    return undefined
  }

  #seedsFor(member: ChaosMember): readonly string[] {
    return this.#members.flatMap((other) => (other === member || other.address === undefined ? [] : [other.address]))
  }

  get #nowMs(): number {
    return performance.now() - this.#beganMs
  }

  get #isOver(): boolean {
    return this.#interrupted.signal.aborted
  }

  /** Shorter if it is interrupted. */
  async #wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#interrupted.signal }).catch(() => {})
  }

  #say(type: string, text: string, value: object): void {
    if (this.#json) printJson({ type, ...value })
    else printLine(`${palette().dim(`${(this.#nowMs / 1000).toFixed(1).padStart(7)} s`)}  ${text}`)
  }
}

const throwFirst = (outcomes: readonly PromiseSettledResult<void>[]): void => {
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

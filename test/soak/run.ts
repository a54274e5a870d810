/**
 * A soak run: starts the cluster, lets it work while members come and go, samples every process, and looks at it twice while
 * nothing goes on: during the warm-up and at the end. Judges what can be judged while it runs; verdict.ts does the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom } from '../../transport/random.ts'
import { Cluster } from './cluster.ts'
import { eventually } from './patience.ts'
import { CHILDREN, type Sample, type Settled } from './protocol.ts'
import type { QuietLook } from './verdict.ts'

const SAMPLE_MS = 5000
const GC_EVERY_SAMPLES = 6
/** All that was begun is over within this; the longest call may take 30 s. */
const SETTLE_LIMIT_MS = 60_000
const AGREE_LIMIT_MS = 30_000
/**
 * A sender whose connection was cut a moment ago may know the name of a receiver and not its pid yet, and says its last word
 * the next time. What gets lost meanwhile shows all the same, as a gap.
 */
const FAREWELL_MS = 10_000
/** Between two looks at a quiet point. */
const LOOK_PAUSE_MS = 4000
/** What is given up in a quiet cluster at once is gone after this: closed connections linger for a few round trips. */
const REST_MS = 4000
const POLL_MS = 100
/** Before the load ends, so that connections are back by then. */
const LAST_CHURN_MS = 5000

export interface SoakOptions {
  readonly minutes: number
  readonly warmUpMinutes: number
  /** How much of the warm-up comes before the first quiet point, whose collections empty heap and code for half an hour. */
  readonly quietMinutes: number
  /** Of the warm-up, times the usual load and churn. */
  readonly pace: number
  /** After the warm-up, at the usual pace, before samples are judged. */
  readonly recoveryMinutes: number
  readonly members: number
  /** Of them, those that churn touches. */
  readonly changing: number
  readonly rate: number
  /** Whether members run with V8's optimizing compiler. */
  readonly optimizes: boolean
  readonly seed: number
  /** Mean time from one churn to the next. */
  readonly churnSeconds: number
  /** At all members, at each quiet point. */
  readonly looks: number
  /** For identities. */
  readonly folder: string
  /** For heap snapshots at both quiet points; undefined: none. */
  readonly snapshots: string | undefined
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

export interface TimedSample extends Sample {
  /** Since the start of the load. */
  readonly minutes: number
  readonly member: string
}

export interface SoakRun {
  readonly samples: readonly TimedSample[]
  /** Members that lived as long as the run. */
  readonly lasting: readonly string[]
  /** Minutes from which samples are judged, and to which. */
  readonly judged: readonly [number, number]
  readonly quiet: Readonly<
    Record<string, { readonly before: readonly QuietLook[]; readonly after: readonly QuietLook[] }>
  >
  readonly churn: readonly { readonly minutes: number; readonly what: string }[]
  readonly counts: Readonly<Record<string, number>>
  readonly violations: readonly string[]
}

/** By member. */
type Looks = Record<string, QuietLook[]>

class Soak {
  readonly #options: SoakOptions
  readonly #cluster: Cluster
  readonly #random: Random
  readonly #samples: TimedSample[] = []
  readonly #churn: { minutes: number; what: string }[] = []
  readonly #violations: string[] = []
  readonly #counts: Record<string, number> = {}
  #beganMs = 0

  constructor(options: SoakOptions) {
    this.#options = options
    const { members: count, changing, seed, rate, optimizes, folder } = options
    this.#random = seededRandom(seed)
    const violation = (text: string): void => this.#violation(text)
    this.#cluster = new Cluster({ count, changing, seed, rate, optimizes, folder, violation })
  }

  async run(): Promise<SoakRun> {
    let before: Looks = {}
    let after: Looks = {}
    let judged: readonly [number, number] = [0, 0]
    try {
      const { minutes, warmUpMinutes, quietMinutes, recoveryMinutes, pace, say } = this.#options
      await this.#cluster.start()
      await this.#agree()
      say('all are there')
      this.#beganMs = performance.now()
      await this.#work(quietMinutes, pace)
      before = await this.#quiet('in the warm-up')
      await this.#startChildren()
      await this.#work(this.#minutes + warmUpMinutes - quietMinutes, pace)
      say('warm')
      const fromMinutes = this.#minutes + recoveryMinutes
      await this.#work(fromMinutes + minutes - warmUpMinutes, 1)
      judged = [fromMinutes, this.#minutes]
      after = await this.#quiet('at the end')
      await this.#cluster.stop()
    } catch (error) {
      this.#violation(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`)
    } finally {
      await this.#cluster.kill()
    }
    const lasting = this.#cluster.lasting.map(({ name }) => name)
    const quiet = lasting.map((name) => [name, { before: before[name] ?? [], after: after[name] ?? [] }] as const)
    return {
      samples: this.#samples,
      lasting,
      judged,
      quiet: Object.fromEntries(quiet),
      churn: this.#churn,
      counts: this.#counts,
      violations: this.#violations,
    }
  }

  get #minutes(): number {
    return (performance.now() - this.#beganMs) / 60_000
  }

  #violation(text: string): void {
    this.#violations.push(text)
    if (this.#violations.length <= 50) this.#options.say(`VIOLATION ${text}`)
  }

  /** Load, samples and churn until so many minutes since the start of the load. */
  async #work(untilMinutes: number, pace: number): Promise<void> {
    const { signal } = this.#options
    const churnSeconds = this.#options.churnSeconds / pace
    await this.#cluster.load(true, pace)
    const endMs = this.#beganMs + untilMinutes * 60_000
    let [nextSampleMs, nextChurnMs] = [performance.now(), performance.now() + churnSeconds * 500]
    let churning: Promise<void> | undefined
    while (performance.now() < endMs && !signal.aborted) {
      if (performance.now() >= nextSampleMs) {
        nextSampleMs += SAMPLE_MS
        await this.#sample()
      }
      // Nothing is begun that could not come to rest before the end.
      if (performance.now() >= nextChurnMs && churning === undefined && performance.now() < endMs - LAST_CHURN_MS) {
        nextChurnMs = performance.now() + churnSeconds * 1000 * (0.5 + this.#random.float())
        churning = this.#change().finally(() => {
          churning = undefined
        })
      }
      await sleep(POLL_MS)
    }
    await churning
  }

  async #sample(): Promise<void> {
    const gc = this.#samples.length % (GC_EVERY_SAMPLES * this.#cluster.lasting.length) === 0
    for (const member of this.#cluster.lasting) {
      const minutes = this.#minutes
      this.#samples.push({ minutes, member: member.name, ...(await member.sample(gc)) })
    }
  }

  async #change(): Promise<void> {
    const { members, changing } = this.#options
    const index = members - 1 - Math.floor(this.#random.float() * changing)
    const dice = this.#random.float()
    const minutes = this.#minutes
    const what =
      dice < 0.5 || changing === 0
        ? await this.#cut()
        : dice < 0.75
          ? await this.#cluster.replace(index)
          : await this.#cluster.restart(index)
    this.#churn.push({ minutes, what })
    this.#options.say(what)
  }

  async #cut(): Promise<string> {
    const { members } = this.#cluster
    const one = Math.floor(this.#random.float() * members.length)
    const other = (one + 1 + Math.floor(this.#random.float() * (members.length - 1))) % members.length
    const node = members[other]?.name ?? ''
    await members[one]?.process.tell({ do: 'disconnect', node })
    return `${members[one]?.name} drops its connection to ${node}`
  }

  /** Stops the load, waits until all that was begun is over and judged, and looks at everybody a few times. */
  async #quiet(when: string): Promise<Looks> {
    const { say, snapshots, looks: count } = this.#options
    await this.#cluster.load(false)
    say(`at rest ${when}`)
    await this.#agree()
    let states: readonly Settled[] = []
    let nextFarewellMs = 0
    const unsettled = await eventually(SETTLE_LIMIT_MS, async () => {
      if (performance.now() >= nextFarewellMs) {
        nextFarewellMs = performance.now() + FAREWELL_MS
        await this.#cluster.tellAll({ do: 'farewell' })
      }
      states = await this.#cluster.settled()
      return unsettledOf(states)
    })
    say('all that was begun is over')
    if (unsettled !== '') this.#violation(`${when}: ${unsettled}`)
    for (const { counts } of when === 'at the end' ? states : []) {
      for (const [what, count] of Object.entries(counts)) this.#counts[what] = (this.#counts[what] ?? 0) + count
    }
    await this.#cluster.members[0]?.process.tell({ do: 'children', run: false })
    await sleep(REST_MS)
    const looks: Looks = {}
    for (let i = 0; i < count; i++) {
      for (const member of this.#cluster.lasting) {
        const of = looks[member.name] ?? []
        looks[member.name] = [...of, await member.look()]
      }
      await sleep(LOOK_PAUSE_MS)
    }
    if (snapshots !== undefined) {
      const file = `${snapshots}/${when.replaceAll(' ', '-')}.heapsnapshot`
      await this.#cluster.members[0]?.process.tell({ do: 'heapSnapshot', file })
    }
    say(`quiet ${when}`)
    return looks
  }

  async #startChildren(): Promise<void> {
    await this.#cluster.members[0]?.process.tell({ do: 'children', run: true })
  }

  /** All are connected to all, and each child runs once. */
  async #agree(): Promise<void> {
    await this.#cluster.meet()
    const wrong = await eventually(AGREE_LIMIT_MS, async () => {
      const states = await this.#cluster.settled()
      for (const { node, connected } of states) {
        if (connected.length !== states.length - 1) return `${node} sees ${connected.join(', ')}`
      }
      for (const id of CHILDREN) {
        const running = states.filter(({ children }) => children.includes(id)).length
        if (running !== 1) return `child ${id} runs ${running} times`
      }
      return ''
    })
    if (wrong !== '') this.#violation(`no agreement: ${wrong}`)
  }
}

/** '' if nothing is under way: every work is over, and the last message of each sender has come to each member. */
const unsettledOf = (states: readonly Settled[]): string => {
  for (const { node, outstanding } of states) {
    if (Object.keys(outstanding).length > 0) return `${node} waits for ${JSON.stringify(outstanding)}`
  }
  const heardBy = new Map(states.map(({ node, heard }) => [node, heard]))
  for (const { node: from, sent } of states) {
    for (const [sender, numbers] of Object.entries(sent)) {
      for (const [node, number] of Object.entries(numbers)) {
        const heard = heardBy.get(node)?.[sender]
        if (heardBy.has(node) && heard !== number) {
          return `of a sender of ${from} ${node} has heard ${heard ?? 'nothing'} of ${number}`
        }
      }
    }
  }
  return ''
}

export const soak = (options: SoakOptions): Promise<SoakRun> => new Soak(options).run()

/**
 * `npm run bench -- peers [--rounds N] [--only NAME,...] [--plots]`: ours and everybody else's, side by side, doing the same work.
 *
 * Every system runs all the time and rests while another is measured. In each round each piece of work is done by all of
 * them, one after the other, in an order that changes from round to round, so that a mood of the machine hits all alike;
 * a ratio is the median of the rounds' ratios. Everything was done once before, to be warm. What this machine lacks is
 * told on stderr and left out.
 */
import { parseArgs } from 'node:util'
import { type Measurement, median, spreadOf } from '../report.ts'
import type { PeerSystem, Result, Work } from './system.ts'
import { PEERS, SKEIN, type SystemEntry } from './systems.ts'
import { WANTED } from './wanted.ts'

const DEFAULT_ROUNDS = 5

export interface ComparisonOptions {
  readonly rounds?: number
  /** Names of peers; all if there are none. */
  readonly only?: readonly string[]
  /** Of the usual amount of work: a test does little. */
  readonly part?: number
}

/** Reads `--rounds N` and `--only NAME,...`. */
export const comparisonOptions = (args: readonly string[]): ComparisonOptions => {
  const { rounds, only } = parseArgs({ args: [...args], options: OPTIONS, strict: false }).values
  return {
    ...(typeof rounds === 'string' ? { rounds: Number(rounds) } : {}),
    ...(typeof only === 'string' ? { only: only.split(',') } : {}),
  }
}

const OPTIONS = { rounds: { type: 'string' }, only: { type: 'string' } } as const

interface Running {
  readonly entry: SystemEntry
  readonly system: PeerSystem
}

/** What each system reached in each round, under the names of metrics, by the names of systems. */
type Figures = Map<string, Map<string, number[]>>

/** Metrics of ours, the work of the others that each is compared with, and the unit. */
const METRICS = [
  { metric: 'ping-pong', of: 'ping-pong', unit: 'us' },
  { metric: 'ping-pong-mean', of: 'ping-pong-mean', unit: 'us' },
  { metric: 'call', of: 'call', unit: 'us' },
  { metric: '100B-1-sender', of: '100B-1-sender', unit: 'messages/s' },
  { metric: '100B-64-senders', of: '100B-64-senders', unit: 'messages/s' },
  { metric: '100B-1000-senders', of: '100B-1000-senders', unit: 'messages/s' },
  { metric: '64KiB-1350', of: '64KiB', unit: 'bytes/s' },
  { metric: '64KiB-path', of: '64KiB', unit: 'bytes/s' },
] as const satisfies readonly { metric: string; of: string; unit: Measurement['unit'] }[]

/**
 * noex is not run: it is told in proportion to Erlang over TCP, by figures once measured on one machine: casts
 * 85 thousand/s where Erlang sent 240 to 300 thousand/s, a call in 232 us where Erlang's ping-pong took 102 us.
 */
const NOEX = 'noex-in-proportion'
const NOEX_MODEL = 'erlang-tcp'
const NOEX_CASTS = 85 / 270
const NOEX_CALL = 232 / 102

/** Work that is done side by side: of one kind, whichever way each system knows it. */
const GROUPS: readonly (readonly Work[])[] = [
  ['ping-pong'],
  ['call'],
  ['100B-1-sender'],
  ['100B-64-senders'],
  ['100B-1000-senders'],
  ['64KiB', '64KiB-1350', '64KiB-path'],
]

export async function* comparison(options: ComparisonOptions = {}): AsyncGenerator<Measurement> {
  const { rounds = DEFAULT_ROUNDS, only = [], part = 1 } = options
  const unknown = only.filter((name) => !PEERS.some((peer) => peer.name === name))
  if (unknown.length > 0) {
    throw new Error(`there is no peer ${unknown.join(', ')}; there are ${PEERS.map(({ name }) => name).join(', ')}`)
  }
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a number from 1 on')
  const entries = [SKEIN, ...PEERS.filter(({ name }) => only.length === 0 || only.includes(name))]
  const running: Running[] = []
  const figures: Figures = new Map()
  try {
    for (const entry of entries) {
      const missing = entry.missing()
      if (missing !== undefined) tell(`skipped ${entry.name}: needs ${missing}`)
      else running.push({ entry, system: await entry.start() })
    }
    tell('warming up')
    await measureRound(running, part, 0)
    for (let round = 1; round <= rounds; round++) {
      tell(`round ${round} of ${rounds}`)
      note(figures, await measureRound(running, part, round))
    }
  } finally {
    await Promise.all(running.map(({ system }) => system.stop()))
  }
  addNoex(figures)
  for (const { metric, of, unit } of METRICS) yield* compare(figures, metric, of, unit)
}

const tell = (text: string): void => void process.stderr.write(`${text}\n`)

/** Begins with another system each time, and goes the other way round every other time. */
const orderOf = (running: readonly Running[], round: number): readonly Running[] => {
  const first = round % running.length
  const order = [...running.slice(first), ...running.slice(0, first)]
  return round % 2 === 0 ? order : order.reverse()
}

type Reached = { readonly metric: string; readonly name: string; readonly value: number }

const measureRound = async (running: readonly Running[], part: number, round: number): Promise<readonly Reached[]> => {
  const reached: Reached[] = []
  for (const group of GROUPS) {
    for (const { entry, system } of orderOf(running, round)) {
      for (const work of entry.works.filter((work) => group.includes(work))) {
        const result = await system.measure(work, part)
        for (const [metric, value] of metricsOf(work, result)) reached.push({ metric, name: entry.name, value })
      }
    }
  }
  return reached
}

const metricsOf = (work: Work, result: Result): readonly (readonly [metric: string, value: number])[] => {
  if ('perSecond' in result) return [[work, result.perSecond]]
  const { roundTripsUs } = result
  const mean = roundTripsUs.reduce((sum, us) => sum + us, 0) / roundTripsUs.length
  return [[work, median(roundTripsUs)], ...(work === 'ping-pong' ? ([['ping-pong-mean', mean]] as const) : [])]
}

const note = (figures: Figures, reached: readonly Reached[]): void => {
  for (const { metric, name, value } of reached) {
    const systems = figures.get(metric) ?? new Map<string, number[]>()
    figures.set(metric, systems.set(name, [...(systems.get(name) ?? []), value]))
  }
}

const addNoex = (figures: Figures): void => {
  const scale = (from: string, to: string, by: number): void => {
    const model = figures.get(from)?.get(NOEX_MODEL)
    if (model === undefined) return
    const scaled = model.map((value) => value * by)
    figures.get(to)?.set(NOEX, scaled)
  }
  scale('100B-1-sender', '100B-1-sender', NOEX_CASTS)
  scale('ping-pong', 'call', NOEX_CALL)
}

/** Our own figures, and then one measurement for each peer that did this work. */
function* compare(figures: Figures, metric: string, of: string, unit: Measurement['unit']): Generator<Measurement> {
  const ours = figures.get(metric)?.get(SKEIN.name)
  if (ours === undefined || ours.length === 0) return
  const own = { bench: 'peers', metric, value: median(ours), unit, spread: spreadOf(ours, unit) }
  yield own
  for (const baseline of [...PEERS.map(({ name }) => name), NOEX]) {
    const theirs = figures.get(of)?.get(baseline)
    if (theirs === undefined) continue
    const wanted = WANTED[metric]?.[baseline]
    yield {
      ...own,
      baseline,
      baselineValue: median(theirs),
      baselineSpread: spreadOf(theirs, unit),
      ratio: median(ours.map((value, round) => value / theirs[round]!)),
      ...(wanted === undefined ? {} : { wanted }),
    }
  }
}

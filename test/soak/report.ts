/** The report of a soak run: a page, a table of figures for the docs, and a plot. Makes text of a run, and nothing else. */
import { type Line, linePlot } from '../../bench/plot.ts'
import { BOUNDS } from './bounds.ts'
import type { SoakRun, TimedSample } from './run.ts'
import { blocks, type Point } from './statistics.ts'
import { BLOCK_MINUTES, judgeSlope, LEVEL, type LeftOver, leftOvers, type SlopeVerdict } from './verdict.ts'

const MIB = 2 ** 20
/**
 * What a node may remember of one member that went, on the heap: records of the DHT (two hours), what was seen of it (an hour),
 * its place in the roster and questions about it (ten minutes). Measured: docs/soak.md.
 */
export const REMEMBERED_BYTES = 6 * 1024
/** What is said of a change after which a member is there no more, or no more the same. */
const WENT = /stops|is killed/

/** What a run was asked for. */
export interface RunFacts {
  readonly minutes: number
  readonly warmUpMinutes: number
  readonly quietMinutes: number
  readonly pace: number
  readonly recoveryMinutes: number
  readonly members: number
  readonly changing: number
  readonly rate: number
  readonly optimizes: boolean
  readonly seed: number
  readonly churnSeconds: number
}

export interface SoakReport {
  readonly facts: RunFacts
  readonly run: SoakRun
  readonly slopes: readonly MemorySlope[]
  readonly leftOvers: readonly LeftOver[]
  /** Processors that the lasting members used, together. */
  readonly cores: number
}

interface MemorySlope extends SlopeVerdict {
  readonly member: string
  readonly what: Measure
  /** False: it is only told. */
  readonly counts: boolean
  /** At the beginning and at the end of what is judged: mean of ten samples, bytes. */
  readonly first: number
  readonly last: number
}

/** `gone`: members that went until then. */
const MEASURES = {
  'resident memory': ({ rss }: TimedSample) => rss,
  'rest of the heap': ({ heapAfterGc, codeAfterGc = 0 }: TimedSample, gone: number) =>
    heapAfterGc && heapAfterGc - codeAfterGc - gone * REMEMBERED_BYTES,
  'heap after gc': ({ heapAfterGc }: TimedSample) => heapAfterGc,
  'compiled code': ({ codeAfterGc }: TimedSample) => codeAfterGc,
} as const
type Measure = keyof typeof MEASURES
const WHATS = Object.keys(MEASURES) as Measure[]
const JUDGED: readonly Measure[] = ['resident memory', 'rest of the heap']

const seriesOf = (run: SoakRun, member: string, what: Measure): Point[] => {
  const went = wentOf(run)
  return run.samples.flatMap((sample) => {
    const gone = went.filter(({ minutes }) => minutes <= sample.minutes).length
    const y = sample.member === member ? MEASURES[what](sample, gone) : undefined
    return y === undefined ? [] : [{ x: sample.minutes, y }]
  })
}

const wentOf = ({ churn }: SoakRun) => churn.filter(({ what }) => WENT.test(what))

export const reportOf = (facts: RunFacts, run: SoakRun): SoakReport => {
  const [from, to] = run.judged
  const slopes = run.lasting.flatMap((member) =>
    WHATS.map((what): MemorySlope => {
      const points = seriesOf(run, member, what).filter(({ x }) => x >= from && x <= to)
      const counts = JUDGED.includes(what)
      const mean = (some: readonly Point[]): number => some.reduce((sum, { y }) => sum + y / some.length, 0)
      const ends = { first: mean(points.slice(0, 10)), last: mean(points.slice(-10)) }
      return { member, what, counts, ...ends, ...judgeSlope(points, JUDGED.length * run.lasting.length) }
    }),
  )
  const left = Object.entries(run.quiet).flatMap(([member, { before, after }]) =>
    leftOvers(member, before, after, BOUNDS, wentOf(run).length),
  )
  return { facts, run, slopes, leftOvers: left, cores: coresOf(run) }
}

const coresOf = ({ lasting, samples }: SoakRun): number => {
  let cores = 0
  for (const member of lasting) {
    const own = samples.filter((sample) => sample.member === member)
    const [first, last] = [own[0], own.at(-1)]
    if (first === undefined || last === undefined || last.minutes <= first.minutes) continue
    cores += (last.cpuMicros - first.cpuMicros) / 60e6 / (last.minutes - first.minutes)
  }
  return cores
}

/** Empty: it passes. `slopes`: whether the trend of memory counts; short runs are still warming up. */
export const failuresOf = ({ run, slopes, leftOvers: left }: SoakReport, judges: { slopes: boolean }): string[] => [
  ...run.violations,
  ...left.map(({ member, kind, before, after }) => `${member}: ${kind}: ${before} before, ${after} at the end`),
  ...(judges.slopes
    ? slopes
        .filter(({ counts, verdict }) => counts && (verdict === 'grows' || verdict === 'too short'))
        .map((slope) => `${slope.member}: ${slope.what} ${slopeText(slope)}`)
    : []),
]

const mib = (bytes: number): string => (bytes / MIB).toFixed(1)
const perHour = (bytes: number): string => ((bytes * 60) / MIB).toFixed(2)

const slopeText = ({ verdict, trend }: SlopeVerdict): string =>
  trend === undefined
    ? verdict
    : `${verdict}: ${perHour(trend.slope)} MiB/h (${perHour(trend.low)} to ${perHour(trend.high)}), p ${trend.p.toPrecision(2)}`

/** Rows of Markdown: a table for each lasting member and measure. */
export const slopeTable = ({ slopes }: SoakReport): string =>
  [
    `| Member | Measure | First, MiB | Last, MiB | Slope, MiB/h | Interval | p | Inflation | Verdict |`,
    '|---|---|---:|---:|---:|---|---:|---:|---|',
    ...slopes.map(({ member, what, counts, first, last, verdict: said, trend }) => {
      const ends = `| ${member.split('@')[0]} | ${what} | ${mib(first)} | ${mib(last)} |`
      const verdict = counts ? said : 'not judged'
      if (trend === undefined) return `${ends} | | | | ${verdict} |`
      const { slope, low, high, p, inflation } = trend
      return `${ends} ${perHour(slope)} | ${perHour(low)} to ${perHour(high)} | ${p.toPrecision(2)} | ${inflation.toFixed(1)} | ${verdict} |`
    }),
  ].join('\n')

/** What the run did, in a list. */
export const factsList = ({ facts, run, cores }: SoakReport): string => {
  const churn = (what: RegExp): number => run.churn.filter((one) => what.test(one.what)).length
  const counted = Object.entries(run.counts).filter(([what]) => what !== 'violations')
  return [
    `- ${facts.minutes} minutes, of which ${facts.warmUpMinutes} of warm-up at ${facts.pace} times the load and churn; the first quiet point at minute ${facts.quietMinutes.toFixed(1)}; judged from minute ${run.judged[0].toFixed(1)} to ${run.judged[1].toFixed(1)}; ${facts.members} members, ${run.lasting.length} of them all the time; seed ${facts.seed}.`,
    `- V8's optimizing compiler was ${facts.optimizes === false ? 'off' : 'on'}, ${facts.rate} messages were sent per second.`,
    `- The lasting members used ${cores.toFixed(2)} processors together.`,
    `- ${churn(/drops/)} connections dropped, ${churn(/joins/)} members replaced, ${churn(/killed/)} killed and started again.`,
    ...counted.sort().map(([what, count]) => `- ${what}: ${count}`),
  ].join('\n')
}

export const pageOf = (report: SoakReport): string => {
  const failures = failuresOf(report, { slopes: true })
  const listed = failures.slice(0, 200).map((text) => `- ${text}`)
  return [
    `# Soak run: ${failures.length === 0 ? 'passed' : `${failures.length} failures`}`,
    ...listed,
    '## Memory',
    `Medians of ${BLOCK_MINUTES} min; level ${LEVEL} over all ${report.slopes.filter(({ counts }) => counts).length} judged series together.`,
    slopeTable(report),
    '![Memory](soak.svg)',
    '## What happened',
    factsList(report),
    '## Left over at the end',
    report.leftOvers.length === 0 ? 'Nothing.' : 'See the failures.',
  ].join('\n\n')
}

export const plotOf = ({ facts, run }: SoakReport): string => {
  const line = (member: string, what: Measure, name: string): Line => ({
    name: `${member.split('@')[0]}${name}`,
    points: blocks(seriesOf(run, member, what), BLOCK_MINUTES).map(({ x, y }) => ({ x, y: y / MIB })),
  })
  return linePlot({
    title: `Memory of ${run.lasting.length} members over ${facts.minutes} minutes of mixed load and churn`,
    x: { title: 'minutes', format: String },
    y: { title: 'MiB resident, and on the heap after gc', format: String },
    lines: [
      ...run.lasting.map((member) => line(member, 'resident memory', '')),
      ...run.lasting.map((member) => line(member, 'heap after gc', ' heap')),
    ],
  })
}

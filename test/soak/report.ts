/** The report of a soak run: a page, a table of figures for the docs, and a plot. Makes text of a run, and nothing else. */
import { type Line, linePlot } from '../../bench/plot.ts'
import { BOUNDS } from './bounds.ts'
import type { SoakRun, TimedSample } from './run.ts'
import { blocks, type Point } from './statistics.ts'
import { BLOCK_MINUTES, judgeSlope, LEVEL, type LeftOver, leftOvers, type SlopeVerdict } from './verdict.ts'

const MIB = 2 ** 20
/** What is said of a change after which a member is there no more, or no more the same. */
const WENT = /stops|is killed/

/** What a run was asked for. */
export interface RunFacts {
  readonly minutes: number
  readonly warmUpMinutes: number
  readonly members: number
  readonly changing: number
  readonly rate: number
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
  readonly what: 'resident memory' | 'heap after gc'
  /** At the beginning and at the end of what is judged: mean of ten samples, bytes. */
  readonly first: number
  readonly last: number
}

const MEASURES = {
  'resident memory': ({ rss }: TimedSample) => rss,
  'heap after gc': ({ heapAfterGc }: TimedSample) => heapAfterGc,
} as const

const seriesOf = (run: SoakRun, member: string, what: keyof typeof MEASURES): Point[] =>
  run.samples.flatMap((sample) => {
    const y = sample.member === member ? MEASURES[what](sample) : undefined
    return y === undefined ? [] : [{ x: sample.minutes, y }]
  })

export const reportOf = (facts: RunFacts, run: SoakRun): SoakReport => {
  const [from, to] = run.judged
  const whats = Object.keys(MEASURES) as (keyof typeof MEASURES)[]
  const slopes = run.lasting.flatMap((member) =>
    whats.map((what): MemorySlope => {
      const points = seriesOf(run, member, what).filter(({ x }) => x >= from && x <= to)
      const mean = (some: readonly Point[]): number => some.reduce((sum, { y }) => sum + y / some.length, 0)
      const ends = { first: mean(points.slice(0, 10)), last: mean(points.slice(-10)) }
      return { member, what, ...ends, ...judgeSlope(points, whats.length * run.lasting.length) }
    }),
  )
  const left = Object.entries(run.quiet).flatMap(([member, { before, after }]) =>
    leftOvers(member, before, after, BOUNDS, run.churn.filter(({ what }) => WENT.test(what)).length),
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
        .filter(({ verdict }) => verdict === 'grows' || verdict === 'too short')
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
    ...slopes.map(({ member, what, first, last, verdict, trend }) => {
      const ends = `| ${member.split('@')[0]} | ${what} | ${mib(first)} | ${mib(last)} |`
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
    `- ${facts.minutes} minutes, of which ${facts.warmUpMinutes} of warm-up; ${facts.members} members, ${run.lasting.length} of them all the time; seed ${facts.seed}.`,
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
    `Medians of ${BLOCK_MINUTES} min; level ${LEVEL} over all ${report.slopes.length} series together.`,
    slopeTable(report),
    '![Memory](soak.svg)',
    '## What happened',
    factsList(report),
    '## Left over at the end',
    report.leftOvers.length === 0 ? 'Nothing.' : 'See the failures.',
  ].join('\n\n')
}

export const plotOf = ({ facts, run }: SoakReport): string => {
  const line = (member: string, what: keyof typeof MEASURES, name: string): Line => ({
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

/**
 * What a run comes to: whether memory grows, and whether anything is left over that was not there at the first quiet point.
 */
import type { Census, Sample } from './protocol.ts'
import { blocks, type Point, type Trend, trendOf } from './statistics.ts'

/** Of all series of a run together, that one is taken for a leak where there is none. */
export const LEVEL = 0.01
/** Samples are judged by the medians of stretches of this length. */
export const BLOCK_MINUTES = 1

export interface SlopeVerdict {
  readonly verdict: 'level' | 'grows' | 'shrinks' | 'too short'
  /** By the minute. Undefined: too short. */
  readonly trend: Trend | undefined
}

/** `points`: minutes and bytes. `series`: how many are judged in this run, for Bonferroni's correction. */
export const judgeSlope = (points: readonly Point[], series: number): SlopeVerdict => {
  const level = LEVEL / series
  const trend = trendOf(blocks(points, BLOCK_MINUTES), 1 - level)
  if (trend === undefined) return { verdict: 'too short', trend }
  const { p, slope, low, high } = trend
  if (p >= level || (low <= 0 && high >= 0)) return { verdict: 'level', trend }
  return { verdict: slope > 0 ? 'grows' : 'shrinks', trend }
}

/** One look at a member while nothing goes on. */
export interface QuietLook {
  readonly sample: Sample
  readonly census: Census
}

export interface LeftOver {
  readonly member: string
  /** resource, figure, instance or table, and its name. */
  readonly kind: string
  readonly before: number
  readonly after: number
}

/** Caches, and what is remembered of members that went: there may be more later, up to a bound. */
export interface Bound {
  readonly kind: string
  /** Entries that there may be, whatever there were. */
  readonly most?: number
  /** Entries more for each member that left or was killed in the run. */
  readonly perGone?: number
  readonly why: string
}

/**
 * A few more of a kind are no leak: what grows with the work grows by thousands in a run, what grows with the members that went by
 * as many as went. Sockets and the like are counted to the last one.
 */
const SLACK = 8
const SLACK_SHARE = 0.1
const EXACT = /^resource /

/** All counts of a look, by kind. */
const kindsOf = ({ sample, census }: QuietLook): Map<string, number> => {
  const kinds = new Map<string, number>()
  const parts = { resource: sample.resources, figure: sample.figures, object: census.instances, table: census.tables }
  for (const [part, counts] of Object.entries(parts)) {
    for (const [name, count] of Object.entries(counts)) kinds.set(`${part} ${name}`, count)
  }
  return kinds
}

/**
 * Of what there is more now than there was. Each quiet point is looked at several times, because even then ticks and
 * handshakes come and go: what counts is the most before and the least after. `gone`: members that went during the run.
 */
export const leftOvers = (
  member: string,
  before: readonly QuietLook[],
  after: readonly QuietLook[],
  bounds: readonly Bound[],
  gone: number,
): LeftOver[] => {
  const [olds, news] = [before.map(kindsOf), after.map(kindsOf)]
  const all = new Set(news.flatMap((kinds) => [...kinds.keys()]))
  return [...all].sort().flatMap((kind) => {
    const most = Math.max(...olds.map((kinds) => kinds.get(kind) ?? 0))
    const least = Math.min(...news.map((kinds) => kinds.get(kind) ?? 0))
    const bound = bounds.find((one) => one.kind === kind)
    const slack = EXACT.test(kind) ? 0 : SLACK + most * SLACK_SHARE
    if (least <= Math.max(most + slack + (bound?.perGone ?? 0) * gone, bound?.most ?? 0)) return []
    return [{ member, kind, before: most, after: least }]
  })
}

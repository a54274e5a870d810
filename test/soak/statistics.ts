/**
 * Is there a trend? The Mann-Kendall test for a monotonic trend (Mann 1945; Kendall 1975) with the variance corrected for
 * autocorrelation by Hamed and Rao (Journal of Hydrology 204, 1998), and the slope of Theil and Sen with an interval from
 * the same variance (Sen 1968). Neither assumes a distribution, and single peaks weigh little.
 *
 * Neighbouring samples of a heap are much alike, and a correction can only do so much: series are first cut into blocks,
 * and the median of each block stands for it.
 */
export interface Point {
  readonly x: number
  readonly y: number
}

export interface Trend {
  /** Points that were judged. */
  readonly count: number
  /** Two-sided: how likely a trend as strong as this one is where there is none. */
  readonly p: number
  /** Units of y for each of x. */
  readonly slope: number
  /** The interval that holds the slope with the confidence asked for. */
  readonly low: number
  readonly high: number
  /** By how much autocorrelation makes the variance larger. */
  readonly inflation: number
}

/** With fewer points nothing can be said. */
const MIN_POINTS = 8
/** Autocorrelations within this many standard errors count as none. */
const NOTABLE_AUTOCORRELATION = 1.645
/** Beyond it a series is a walk, and no length of it would show a trend. */
const MAX_AUTOCORRELATION = 0.95

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** The median of each stretch of `width`; stretches without points are left out. */
export const blocks = (points: readonly Point[], width: number): Point[] => {
  const byBlock = new Map<number, Point[]>()
  for (const point of points) {
    const block = Math.floor(point.x / width)
    byBlock.set(block, [...(byBlock.get(block) ?? []), point])
  }
  return [...byBlock]
    .sort(([a], [b]) => a - b)
    .map(([, block]) => ({ x: median(block.map(({ x }) => x)), y: median(block.map(({ y }) => y)) }))
}

/** `points` in order of x. `confidence`: of the interval, above 0 and below 1. Undefined: too few points. */
export const trendOf = (points: readonly Point[], confidence: number): Trend | undefined => {
  const count = points.length
  if (count < MIN_POINTS) return undefined
  const ys = points.map(({ y }) => y)
  const slopes = slopesOf(points)
  const slope = median(slopes)
  const residuals = points.map(({ x, y }) => y - slope * x)
  const inflation = varianceInflation(ranksOf(residuals))
  const variance = varianceOfScore(ys) * inflation
  const score = scoreOf(ys)
  const z = variance > 0 ? (score - Math.sign(score)) / Math.sqrt(variance) : 0
  const reach = quantile((1 + confidence) / 2) * Math.sqrt(variance)
  const at = (rank: number): number => slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(rank)))] ?? slope
  return {
    count,
    p: 2 * (1 - cumulative(Math.abs(z))),
    slope,
    low: at((slopes.length - reach) / 2 - 1),
    high: at((slopes.length + reach) / 2),
    inflation,
  }
}

/** Of all pairs, in order. */
const slopesOf = (points: readonly Point[]): number[] => {
  const slopes: number[] = []
  for (const [i, a] of points.entries()) {
    for (const b of points.slice(i + 1)) if (b.x > a.x) slopes.push((b.y - a.y) / (b.x - a.x))
  }
  return slopes.sort((a, b) => a - b)
}

/** Pairs that rise, less pairs that fall. */
const scoreOf = (ys: readonly number[]): number => {
  let score = 0
  for (const [i, a] of ys.entries()) for (const b of ys.slice(i + 1)) score += Math.sign(b - a)
  return score
}

/** Of the score where the values are independent; ties lessen it. */
const varianceOfScore = (ys: readonly number[]): number => {
  const term = (count: number): number => count * (count - 1) * (2 * count + 5)
  const ties = new Map<number, number>()
  for (const y of ys) ties.set(y, (ties.get(y) ?? 0) + 1)
  return [...ties.values()].reduce((left, count) => left - term(count), term(ys.length)) / 18
}

/** Ties share the mean of their places. */
const ranksOf = (values: readonly number[]): number[] => {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
  const ranks = new Array<number>(values.length).fill(0)
  for (let i = 0; i < order.length; ) {
    let end = i
    while (end < order.length && values[order[end] as number] === values[order[i] as number]) end++
    for (let k = i; k < end; k++) ranks[order[k] as number] = (i + end - 1) / 2
    i = end
  }
  return ranks
}

/**
 * Hamed and Rao, their equation for n / n*; never below 1, so that alternation does not make the test bolder, nor below what
 * a series has in which each value depends on the one before it alone, (1 + r) / (1 - r) (Yue and Wang 2004, the limit of their
 * equation). Autocorrelation that is estimated beside a trend comes out too low; r is corrected for that.
 */
const varianceInflation = (ranks: readonly number[]): number => {
  const n = ranks.length
  const mean = ranks.reduce((sum, rank) => sum + rank, 0) / n
  const total = ranks.reduce((sum, rank) => sum + (rank - mean) ** 2, 0)
  if (total === 0) return 1
  let sum = 0
  let first = 0
  for (let lag = 1; lag < n - 2; lag++) {
    let products = 0
    for (let i = 0; i + lag < n; i++) products += ((ranks[i] ?? 0) - mean) * ((ranks[i + lag] ?? 0) - mean)
    const correlation = products / total
    if (lag === 1) first = Math.min(MAX_AUTOCORRELATION, (n * correlation + 2) / (n - 4))
    if (Math.abs(correlation) <= NOTABLE_AUTOCORRELATION / Math.sqrt(n)) continue
    sum += (n - lag) * (n - lag - 1) * (n - lag - 2) * correlation
  }
  return Math.max(1, 1 + (2 * sum) / (n * (n - 1) * (n - 2)), (1 + first) / (1 - first))
}

/** Of the standard normal distribution: Abramowitz and Stegun 26.2.17 for the tail, below 1e-7 off. */
const cumulative = (z: number): number => {
  if (z < 0) return 1 - cumulative(-z)
  const t = 1 / (1 + 0.2316419 * z)
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly
}

/** Its inverse, by halving. */
const quantile = (probability: number): number => {
  let [low, high] = [-10, 10]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (cumulative(middle) < probability) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** What a benchmark prints: one JSON object per line, or a table for people. A baseline is always measured in the same run. */

export interface Measurement {
  readonly bench: string
  readonly metric: string
  readonly value: number
  readonly unit: 'messages/s' | 'bytes/s' | 'us' | 'ms' | 'bytes' | 'messages' | 'part'
  readonly baseline?: string
  readonly baselineValue?: number
  /** Rates: payload bytes per second to the baseline's. Times: to the baseline's time. */
  readonly ratio?: number
  /** Where a table shows the rounds beside their median. */
  readonly spread?: Spread
  readonly baselineSpread?: Spread
  /** What the ratio shall be at least, or for times at most. */
  readonly wanted?: number
}

/** How the rounds of a measurement differed. */
export interface Spread {
  readonly best: number
  readonly min: number
  readonly max: number
}

const shown = (value: number, unit: Measurement['unit']): string => {
  if (unit === 'ms') return `${value.toFixed(1)} ms`
  if (unit === 'messages') return value.toFixed(1)
  if (unit === 'part') return `${(100 * value).toFixed(2)} %`
  if (unit === 'us') return `${value.toFixed(value < 10 ? 2 : 0)} us`
  if (unit === 'messages/s') return `${(value / 1000).toFixed(0)} k/s`
  if (unit === 'bytes') return value < 1e6 ? `${value.toFixed(0)} B` : `${(value / 2 ** 20).toFixed(0)} MiB`
  return `${(value / 1e6).toFixed(0)} MB/s`
}

export const print = (measurement: Measurement, asJson: boolean): void => {
  if (asJson) {
    process.stdout.write(`${JSON.stringify(measurement)}\n`)
    return
  }
  if (measurement.spread !== undefined) {
    process.stdout.write(`${spreadRow(measurement)}\n`)
    return
  }
  const { bench, metric, value, unit, baseline, ratio } = measurement
  const compared = ratio === undefined ? '' : `${ratio.toFixed(3).padStart(9)} of ${baseline}`
  process.stdout.write(`${bench.padEnd(10)} ${metric.padEnd(24)} ${shown(value, unit).padStart(12)} ${compared}\n`)
}

const isTime = (unit: Measurement['unit']): boolean => unit === 'us' || unit === 'ms'

/** What the rounds of a measurement say, and which of them is the best one. */
export const spreadOf = (samples: readonly number[], unit: Measurement['unit']): Spread => {
  const [min, max] = [Math.min(...samples), Math.max(...samples)]
  return { best: isTime(unit) ? min : max, min, max }
}

/** Whether the ratio is as wanted. */
const isMet = (ratio: number, wanted: number, unit: Measurement['unit']): boolean =>
  isTime(unit) ? ratio <= wanted : ratio >= wanted

/** One side of a comparison: the baseline's and the ratio to it, or ours alone. */
const spreadRow = (measurement: Measurement): string => {
  const { bench, metric, unit, baseline, ratio, wanted } = measurement
  const value = measurement.baselineValue ?? measurement.value
  const { best, min, max } = measurement.baselineSpread ?? measurement.spread!
  const figures = `best ${shown(best, unit).padStart(9)}  median ${shown(value, unit).padStart(9)}`
  const range = `(${shown(min, unit)} .. ${shown(max, unit)})`.padEnd(26)
  const compared = ratio === undefined ? '' : `ratio ${ratio.toFixed(3).padStart(7)}`
  const sign = isTime(unit) ? '<=' : '>='
  const verdict = wanted === undefined || ratio === undefined || isMet(ratio, wanted, unit) ? '' : '  MISSED'
  const aim = wanted === undefined ? '' : `  wanted ${sign} ${wanted}${verdict}`
  const row = `${bench.padEnd(6)} ${metric.padEnd(18)} ${(baseline ?? 'ours').padEnd(19)} ${figures}  ${range} ${compared}${aim}`
  return row.trimEnd()
}

/** The value below which this part of the samples lies. */
export const percentile = (samples: readonly number[], part: number): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5)

/** What is measured, how often, and against what. */
export interface Plan {
  readonly bench: string
  readonly metric: string
  readonly unit: Measurement['unit']
  readonly baseline: string
  /** Turns a measured value into the baseline's unit, for the ratio. */
  readonly comparable?: (value: number) => number
  readonly measure: () => Promise<number>
  readonly measureBaseline: () => Promise<number>
}

/** Rounds of baseline and measurement in turn: the machine's moods hit both alike. */
const ROUNDS = 5

/** The medians of the values and of the ratios round by round. */
export const alternate = async ({
  bench,
  metric,
  unit,
  baseline,
  comparable = (value) => value,
  measure,
  measureBaseline,
}: Plan): Promise<Measurement> => {
  await measure()
  const values: number[] = []
  const baselineValues: number[] = []
  const ratios: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const baselineValue = await measureBaseline()
    const value = await measure()
    values.push(value)
    baselineValues.push(baselineValue)
    ratios.push(comparable(value) / baselineValue)
  }
  return {
    bench,
    metric,
    value: median(values),
    unit,
    baseline,
    baselineValue: median(baselineValues),
    ratio: median(ratios),
  }
}

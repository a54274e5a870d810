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
}

const shown = (value: number, unit: Measurement['unit']): string => {
  if (unit === 'ms') return `${value.toFixed(1)} ms`
  if (unit === 'messages') return value.toFixed(1)
  if (unit === 'part') return `${(100 * value).toFixed(2)} %`
  if (unit === 'us') return `${value.toFixed(0)} us`
  if (unit === 'messages/s') return `${(value / 1000).toFixed(0)} k/s`
  if (unit === 'bytes') return value < 1e6 ? `${value.toFixed(0)} B` : `${(value / 2 ** 20).toFixed(0)} MiB`
  return `${(value / 1e6).toFixed(0)} MB/s`
}

export const print = (measurement: Measurement, asJson: boolean): void => {
  if (asJson) {
    process.stdout.write(`${JSON.stringify(measurement)}\n`)
    return
  }
  const { bench, metric, value, unit, baseline, ratio } = measurement
  const compared = ratio === undefined ? '' : `${ratio.toFixed(3).padStart(9)} of ${baseline}`
  process.stdout.write(`${bench.padEnd(10)} ${metric.padEnd(24)} ${shown(value, unit).padStart(12)} ${compared}\n`)
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

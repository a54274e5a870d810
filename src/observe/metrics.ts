/**
 * Metrics: named numbers of a node, of Skein and of the program, in one place.
 *
 * Nothing is computed until somebody reads: a counter is a number that is added to, what Skein counts anyway is read by a
 * function. Names and labels are as Prometheus wants them. Labels are bounded: a metric has so many series and no more;
 * what comes on top is counted together in one series whose label values are `other`. It does not know who reads:
 * prometheus.ts and open-telemetry.ts do.
 */
import { SkeinError } from '../../certs/errors.ts'

const MAX_METRICS = 1024
/** Series of one metric, the one for all others aside. */
export const MAX_SERIES = 256
const MAX_WATCHERS = 16
const MAX_LABELS = 8
const MAX_LABEL_TEXT = 128
const MAX_BUCKETS = 64
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/
/** Names that begin with two underscores are Prometheus's own, and `le` says which bucket of a histogram it is. */
const LABEL_NAME = /^(?!__|le$)[a-zA-Z_][a-zA-Z0-9_]{0,99}$/
const OTHER = 'other'

/** Seconds: from what a call takes on one machine to the time after which it is given up. */
const DURATION_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** What tells the series of one metric apart, as `{ queue: 'mail' }`. */
export type Labels = Readonly<Record<string, string>>

/** A number, with what tells it from others of the same metric. */
export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** One series of a histogram. `counts` has one more member than there are bounds; none is cumulative. */
export interface Distribution {
  readonly labels: Labels
  readonly counts: readonly number[]
  readonly sum: number
}

/** A metric as it is when it is read. */
export type Family =
  | {
      readonly type: 'counter' | 'gauge'
      readonly name: string
      readonly help: string
      readonly samples: readonly Sample[]
    }
  | {
      readonly type: 'histogram'
      readonly name: string
      readonly help: string
      readonly bounds: readonly number[]
      readonly distributions: readonly Distribution[]
    }

/** What a reading function gives. */
type Reading = number | undefined | Iterable<Sample>

/** A number that only grows. */
export interface Counter {
  /** By 1 unless told otherwise; what is negative or no number counts nothing. */
  add(amount?: number, labels?: Labels): void
}

/** A number that goes up and down. */
export interface Gauge {
  set(value: number, labels?: Labels): void
}

/** How values are distributed. */
export interface Histogram {
  observe(value: number, labels?: Labels): void
}

interface Metric {
  readonly type: Family['type']
  readonly help: string
  readonly bounds: readonly number[]
  read(): Family
}

/** Whoever passes metrics on. */
export interface MetricsWatcher {
  /** A metric there is, or there is from now on. `bounds` are those of a histogram. */
  added(metric: {
    readonly name: string
    readonly type: Family['type']
    readonly help: string
    readonly bounds: readonly number[]
  }): void
  /** A histogram was given a value. */
  observed(name: string, value: number, labels: Labels): void
}

export class Metrics {
  readonly #metrics = new Map<string, Metric>()
  readonly #watchers = new Set<MetricsWatcher>()

  /** With `read`, it is asked whenever somebody looks, and `add` is of no use. Throws ERR_SKEIN_BAD_NAME, _NAME_REGISTERED or _LIMIT. */
  counter(name: string, help: string, read?: () => Reading): Counter {
    const series = new Series<number>(() => 0)
    this.#add(name, 'counter', help, [], () => ({ type: 'counter', name, help, samples: samplesOf(series, read) }))
    return {
      add: (amount = 1, labels = NO_LABELS) => {
        if (amount > 0 && amount < Number.POSITIVE_INFINITY) series.update(labels, (before) => before + amount)
      },
    }
  }

  /** As `counter`. */
  gauge(name: string, help: string, read?: () => Reading): Gauge {
    const series = new Series<number>(() => 0)
    this.#add(name, 'gauge', help, [], () => ({ type: 'gauge', name, help, samples: samplesOf(series, read) }))
    return { set: (value, labels = NO_LABELS) => series.update(labels, () => Number(value)) }
  }

  /** `bounds` are the upper ends of the buckets, ascending; there is one more for what lies above. Throws as `counter`. */
  histogram(name: string, help: string, bounds: readonly number[] = DURATION_BUCKETS): Histogram {
    const isAscending = bounds.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > (bounds[i - 1] ?? 0)))
    if (bounds.length === 0 || bounds.length > MAX_BUCKETS || !isAscending) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `A histogram has 1 to ${MAX_BUCKETS} ascending bounds.`)
    }
    const series = new Series(() => ({ counts: new Array<number>(bounds.length + 1).fill(0), sum: 0 }))
    this.#add(name, 'histogram', help, bounds, () => ({
      type: 'histogram',
      name,
      help,
      bounds,
      distributions: Array.from(series.all(), ([labels, { counts, sum }]) => ({ labels, counts: [...counts], sum })),
    }))
    return {
      observe: (value, labels = NO_LABELS) => {
        if (!Number.isFinite(value)) return
        series.update(labels, (before) => {
          const bucket = bounds.findIndex((bound) => value <= bound)
          const at = bucket < 0 ? bounds.length : bucket
          before.counts[at] = (before.counts[at] ?? 0) + 1
          before.sum += value
          return before
        })
        for (const watcher of this.#watchers) watcher.observed(name, value, labels)
      },
    }
  }

  /** All of them, as they are now, in the order in which they were made. A reading function that throws gives nothing. */
  read(): Family[] {
    return Array.from(this.#metrics.values(), (metric) => metric.read())
  }

  /** One of them, as it is now. */
  readOne(name: string): Family | undefined {
    return this.#metrics.get(name)?.read()
  }

  /** Tells the watcher of all metrics, now and later; it must not throw. Gives a function that ends it. */
  watch(watcher: MetricsWatcher): () => void {
    if (this.#watchers.size >= MAX_WATCHERS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_WATCHERS} already watch the metrics of this node.`)
    }
    for (const [name, { type, help, bounds }] of this.#metrics) watcher.added({ name, type, help, bounds })
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  #add(name: string, type: Family['type'], help: string, bounds: readonly number[], read: () => Family): void {
    if (typeof name !== 'string' || !METRIC_NAME.test(name)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', 'A metric has a name of letters, digits and "_", no digit first.')
    }
    if (this.#metrics.has(name))
      throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `There is a metric "${name}" already.`)
    if (this.#metrics.size >= MAX_METRICS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `A node has at most ${MAX_METRICS} metrics.`)
    }
    this.#metrics.set(name, { type, help, bounds, read })
    for (const watcher of this.#watchers) watcher.added({ name, type, help, bounds })
  }
}

const NO_LABELS: Labels = Object.freeze({})

/** The series of one metric, by their labels. */
class Series<T> {
  readonly #initial: () => T
  readonly #series = new Map<string, { readonly labels: Labels; value: T }>()
  /** The one without labels: most metrics have no other, and it is found without making a key. */
  #bare: { readonly labels: Labels; value: T } | undefined

  constructor(initial: () => T) {
    this.#initial = initial
  }

  update(labels: Labels, change: (before: T) => T): void {
    const series = labels === NO_LABELS ? this.#bareOne() : this.#of(labels)
    series.value = change(series.value)
  }

  *all(): Iterable<[Labels, T]> {
    for (const { labels, value } of this.#series.values()) yield [labels, value]
  }

  #bareOne(): { readonly labels: Labels; value: T } {
    this.#bare ??= this.#of(NO_LABELS)
    return this.#bare
  }

  #of(given: Labels): { readonly labels: Labels; value: T } {
    const labels = checked(given)
    const key = keyOf(labels)
    const found = this.#series.get(key)
    if (found !== undefined) return found
    const isOther = this.#series.size >= MAX_SERIES
    const kept = isOther ? Object.fromEntries(Object.keys(labels).map((name) => [name, OTHER])) : labels
    const keptKey = isOther ? keyOf(kept) : key
    const series = this.#series.get(keptKey) ?? { labels: kept, value: this.#initial() }
    // Labels of other names have an "other" of their own: as many again, and then nothing more is kept.
    if (this.#series.size < 2 * MAX_SERIES) this.#series.set(keptKey, series)
    return series
  }
}

const keyOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Labels that Prometheus takes; what is malformed is left away or cut. */
const checked = (labels: Labels): Labels =>
  Object.fromEntries(
    Object.entries(labels)
      .filter(([name]) => LABEL_NAME.test(name))
      .slice(0, MAX_LABELS)
      .map(([name, value]) => [name, String(value).slice(0, MAX_LABEL_TEXT)]),
  )

const samplesOf = (series: Series<number>, read: (() => Reading) | undefined): Sample[] => {
  if (read === undefined) return Array.from(series.all(), ([labels, value]) => ({ labels, value }))
  let reading: Reading
  const samples = new Series<number>(() => 0)
  try {
    reading = read()
    if (reading === undefined) return []
    if (typeof reading === 'number') return [{ labels: NO_LABELS, value: reading }]
    for (const { labels, value } of reading) samples.update(labels, (before) => before + value)
  } catch {
    return []
  }
  return Array.from(samples.all(), ([labels, value]) => ({ labels, value }))
}

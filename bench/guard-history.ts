/**
 * What is known of the hot paths' speed: a line of JSON per change of it, the newest last, and when a measurement is worse.
 *
 * Ratios are processor time to that of a baseline in the same run; a smaller one is faster.
 */
export interface HistoryLine {
  /** What was measured; with a plus, what was measured had changes that were not committed yet. */
  readonly commit: string
  /** Year, month and day. */
  readonly date: string
  readonly ratios: Readonly<Record<string, number>>
}

/**
 * So many times the recorded ratio is slower, and not the machine's mood: with 5 to 28 others waiting for its two cores, the worst
 * best of three processes was 1.30 times the luckiest, and the worst process 1.56 times (docs/performance.md).
 */
export const MARGIN = 1.6

export interface Slower {
  readonly path: string
  readonly recorded: number
  readonly measured: number
}

/** The paths that are slower than recorded by more than the margin. See `unrecorded` for those that nothing is known of. */
export const slowerThan = (recorded: HistoryLine, measured: Readonly<Record<string, number>>): Slower[] =>
  Object.entries(measured)
    .map(([path, ratio]) => ({ path, recorded: recorded.ratios[path] ?? Number.POSITIVE_INFINITY, measured: ratio }))
    // Said this way round, NaN counts as slower.
    .filter((one) => !(one.measured <= one.recorded * MARGIN))

/** What nothing is known of, so that it cannot be guarded. */
export const unrecorded = (recorded: HistoryLine, measured: Readonly<Record<string, number>>): string[] =>
  Object.keys(measured).filter((path) => !(path in recorded.ratios))

export const describe = ({ path, recorded, measured }: Slower): string =>
  `${path} takes ${measured.toFixed(3)} of its baseline's processor time, recorded are ${recorded.toFixed(3)}: ` +
  `${(measured / recorded).toFixed(2)} times as much, and up to ${MARGIN} is let pass`

const isLine = (value: unknown): value is HistoryLine => {
  const { commit, date, ratios } = (value ?? {}) as Partial<HistoryLine>
  return (
    typeof commit === 'string' &&
    typeof date === 'string' &&
    typeof ratios === 'object' &&
    ratios !== null &&
    Object.values(ratios).every((ratio) => Number.isFinite(ratio) && ratio > 0)
  )
}

/** The newest line of a history. Throws if there is none that makes sense: a guard that compares with nothing guards nothing. */
export const newest = (history: string): HistoryLine => {
  const line: unknown = JSON.parse(history.trimEnd().split('\n').at(-1) || 'null')
  if (!isLine(line)) throw new Error('the history of the hot paths has no line to compare with')
  return line
}

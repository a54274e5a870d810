/** What may grow after the warm-up, up to a bound that the code enforces. */
import type { Bound } from './verdict.ts'

export const BOUNDS: readonly Bound[] = []

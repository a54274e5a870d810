/**
 * The options of a distributed supervisor, and their checks.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { DistributedChildSpec } from './child-spec.ts'
import { isPlacement, type Placement } from './placement.ts'

/** A child that crashes more often than this within DEFAULT_WITHIN_MS is given up. */
const DEFAULT_MAX_RESTARTS = 3
const DEFAULT_WITHIN_MS = 5000
const MOST_RESTARTS = 10_000
const DEFAULT_JOIN_MS = 2000
const MAX_JOIN_MS = 600_000

/** The same on every node that may lead. */
export interface SuperviseOptions {
  /** Those it has from the start; more come by startChild. */
  readonly children?: readonly DistributedChildSpec[]
  /** Where children run. Default: leastLoaded. */
  readonly placement?: Placement
  /** As many restarts of one child within `withinMs` are good; with one more it is given up. Default: 3. */
  readonly maxRestarts?: number
  /** Default: 5000. */
  readonly withinMs?: number
  /** False: this node never leads, and only asks. Default: true. */
  readonly lead?: boolean
  /** A node that has never known a leader waits so long before it leads: it may be about to join. Default: 2000. */
  readonly joinMs?: number
}

/** Throws ERR_SKEIN_BAD_ARGUMENT. */
export const checkOptions = (options: SuperviseOptions): Required<SuperviseOptions> => {
  must(typeof options === 'object' && options !== null, 'A distributed supervisor takes its options as an object.')
  const {
    children = [],
    placement = 'leastLoaded',
    maxRestarts = DEFAULT_MAX_RESTARTS,
    withinMs = DEFAULT_WITHIN_MS,
    lead = true,
    joinMs = DEFAULT_JOIN_MS,
  } = options
  must(Array.isArray(children), '"children" is a list of child specifications.')
  must(
    isPlacement(placement),
    '"placement" is localFirst, roundRobin, leastLoaded, random, { node } or a function of the candidates.',
  )
  must(
    maxRestarts === Number.POSITIVE_INFINITY ||
      (Number.isInteger(maxRestarts) && maxRestarts >= 0 && maxRestarts <= MOST_RESTARTS),
    `"maxRestarts" is a whole number from 0 to ${MOST_RESTARTS}, or Infinity.`,
  )
  must(Number.isFinite(withinMs) && withinMs > 0, '"withinMs" is a number of milliseconds above 0.')
  must(typeof lead === 'boolean', '"lead" is true or false.')
  must(
    Number.isFinite(joinMs) && joinMs >= 0 && joinMs <= MAX_JOIN_MS,
    `"joinMs" is a number of milliseconds up to ${MAX_JOIN_MS}.`,
  )
  return { children, placement, maxRestarts, withinMs, lead, joinMs }
}

function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', message)
}

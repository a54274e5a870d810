/** What the parts of the example say to each other. */
import type { Request } from 'skein'

/** The group in which all workers are. */
export const WORKERS = 'workers'

/** How many primes are there from `from` up to `to`, without `to`? */
export type Job = Request<{ readonly from: number; readonly to: number }, number>

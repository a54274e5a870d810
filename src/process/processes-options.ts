/**
 * What the process layer of a node is given.
 */
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { Origin } from '../pid.ts'
import type { Router } from '../route.ts'
import type { Codec } from '../wire/codec.ts'
import type { ProcessLimits } from './limits.ts'
import type { ProcessReport } from './report.ts'
import type { Allow } from './rights.ts'
import type { Tracer } from './tracing.ts'

export interface ProcessesOptions {
  readonly origin: Origin
  readonly clock: Clock
  readonly random: Random
  readonly router: Router
  readonly report: (event: ProcessReport) => void
  readonly limits?: Partial<ProcessLimits>
  /** For states that outlive their process; without it none can be kept. */
  readonly stateCodec?: Codec
  readonly tracer?: Tracer | undefined
  /** What other nodes may do; without it everything. */
  readonly allow?: Allow
}

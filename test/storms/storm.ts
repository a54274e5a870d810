/** What a storm is, and what it reports in the end. */
import type { Stage } from './stage.ts'

export interface Storm {
  readonly name: string
  /** What it does, in a sentence. */
  readonly what: string
  /** Tallies that are above 0 if it has stormed at all. */
  readonly proof?: readonly string[]
  /** Opens the stage, storms, and gives the report of `stage.close()`. Throws only where this machine cannot do it at all. */
  run(stage: Stage): Promise<StormReport>
}

/** Resident memory of one member's process, in MiB. */
export interface MemoryReport {
  readonly member: string
  readonly before: number
  readonly peak: number
  readonly after: number
}

export interface StormReport {
  readonly storm: string
  readonly seed: number
  /** What was sent, refused, dropped, shed: how often. `node: ...` are sums of `node.counters()` of all members. */
  readonly tallies: Readonly<Record<string, number>>
  readonly memory: readonly MemoryReport[]
  /** From the end of the storm until the cluster was whole again. Undefined: it was not. */
  readonly wholeAfterSeconds: number | undefined
  readonly violations: readonly string[]
}

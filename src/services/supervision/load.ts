/**
 * How busy this node is: what fraction of the time its event loop works, how many processes it has, how many messages wait.
 *
 * The fraction is measured over the time since it was last asked for, by a meter that is injected: the machine's one for
 * real nodes, one at rest for simulated ones.
 */
import { performance } from 'node:perf_hooks'
import type { Processes } from '../../process/processes.ts'

/** How busy a node is, as placements see it. Told by the node itself now and then. */
export interface NodeLoad {
  /** Of the event loop since the last look, from 0 to 1. */
  readonly utilisation: number
  readonly processes: number
  /** In all mailboxes. */
  readonly messages: number
}

/** Fraction of the time since it was last asked that the event loop worked, from 0 to 1. */
export type LoopMeter = () => number

/** With more processes it takes too long to look into all mailboxes every few seconds. */
const MAX_COUNTED_PROCESSES = 20_000

export const IDLE: NodeLoad = Object.freeze({ utilisation: 0, processes: 0, messages: 0 })

export const loadOf = (processes: Processes, meter: LoopMeter): NodeLoad => ({
  utilisation: Math.min(1, Math.max(0, Math.round(meter() * 1000) / 1000)),
  processes: processes.count,
  messages: processes.count > MAX_COUNTED_PROCESSES ? 0 : processes.inspection.census(0, 0).messages,
})

/** The machine's own figure: Node.js measures it for the whole process. */
export const machineMeter = (): LoopMeter => {
  let last = performance.eventLoopUtilization()
  return () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    return utilization
  }
}

/** Others should hear of it. */
export const differs = (one: NodeLoad, other: NodeLoad): boolean =>
  Math.abs(one.utilisation - other.utilisation) >= 0.05 ||
  farApart(one.processes, other.processes, 10) ||
  farApart(one.messages, other.messages, 50)

/** By more than a tenth, and by more than `least`. */
const farApart = (one: number, other: number, least: number): boolean =>
  Math.abs(one - other) > Math.max(least, other / 10)

/** One number to compare nodes by. A full event loop weighs most; a thousand waiting messages as much. */
export const weightOf = ({ utilisation, processes, messages }: NodeLoad): number =>
  utilisation + messages / 1000 + processes / 10_000

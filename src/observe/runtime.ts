/**
 * What is read of the Node.js process as a whole: injected, because the simulator repeats runs to the
 * last byte, and its nodes have no process of their own.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks'

export interface Runtime {
  /** As performance.eventLoopUtilization. */
  eventLoopUtilization(since?: EventLoopUtilization): EventLoopUtilization
  memoryUsage(): { readonly rss: number; readonly heapUsed: number }
}

export const systemRuntime: Runtime = {
  eventLoopUtilization: (since) => performance.eventLoopUtilization(since),
  memoryUsage: () => process.memoryUsage(),
}

export const noRuntime: Runtime = {
  eventLoopUtilization: () => ({ idle: 0, active: 0, utilization: 0 }),
  memoryUsage: () => ({ rss: 0, heapUsed: 0 }),
}

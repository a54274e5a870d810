/**
 * How much of this process is in memory, and the most there was between two looks. The kernel keeps the peak, so nothing
 * between two samples is missed. Linux lets it be set back; elsewhere the peak is that of the whole life of the process.
 */
import { readFileSync, writeFileSync } from 'node:fs'

export interface Resident {
  readonly nowBytes: number
  /** Since the last `forgetPeak`. */
  readonly peakBytes: number
  /** Of `nowBytes`, what V8 has for its heap. */
  readonly heapBytes: number
}

/** The peak begins anew (proc_pid_clear_refs(5)). */
export const forgetPeak = (): void => {
  if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5')
}

export const resident = (): Resident => {
  const { rss, heapTotal } = process.memoryUsage()
  return { nowBytes: rss, peakBytes: Math.max(rss, peak()), heapBytes: heapTotal }
}

const peak = (): number => {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}

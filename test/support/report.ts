/**
 * How a test file tells the runner what happened: JSON lines on an extra file descriptor, so that nothing a test prints
 * can be mistaken for a result. Without a runner (a file started by hand) reports go nowhere; uvu prints its own summary.
 */
import { writeSync } from 'node:fs'

export type Report =
  | { readonly kind: 'started'; readonly title: string }
  | { readonly kind: 'passed'; readonly title: string }
  | { readonly kind: 'failed'; readonly title: string; readonly message: string }
  | { readonly kind: 'skipped'; readonly title: string; readonly reason: string }
  /** The file asks for another watchdog than the runner's default. */
  | { readonly kind: 'watchdog'; readonly watchdogMs: number }
  /** The last test is done and nothing was left open. A file that ends without this has failed. */
  | { readonly kind: 'finished' }

export const REPORT_FD = 3
export const REPORT_VARIABLE = 'SKEIN_TEST_REPORT'

const toRunner = process.env[REPORT_VARIABLE] === String(REPORT_FD)
// Processes that a test starts are no test files.
delete process.env[REPORT_VARIABLE]

export const report = (entry: Report): void => {
  if (toRunner) writeSync(REPORT_FD, `${JSON.stringify(entry)}\n`)
}

/** Runs one storm; one that did not do what it is for is a violation as well. */
import { Stage, type StageOptions } from './stage.ts'
import type { Storm, StormReport } from './storm.ts'

export const runStorm = async (storm: Storm, options: Omit<StageOptions, 'storm'>): Promise<StormReport> => {
  const report = await storm.run(new Stage({ ...options, storm: storm.name }))
  const missing = (storm.proof ?? []).filter((tally) => !((report.tallies[tally] ?? 0) > 0))
  return { ...report, violations: [...report.violations, ...missing.map((tally) => `it did not happen: ${tally}`)] }
}

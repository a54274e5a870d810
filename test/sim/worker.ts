/** A worker of the fuzzer: runs the seeds it is given, one after the other, and says what became of each. */
import { type Finding, fuzz, makeIdentities } from './fuzz.ts'

export interface SeedOrder {
  readonly seed: number
  readonly shrink: boolean
}

export interface SeedReport {
  readonly seed: number
  readonly finding: Finding | undefined
}

const identities = await makeIdentities()

const run = async ({ seed, shrink }: SeedOrder): Promise<void> => {
  const report: SeedReport = { seed, finding: await fuzz(seed, identities, { shrink }) }
  process.send?.(report)
}

process.on('message', (order: SeedOrder) => void run(order))
process.on('disconnect', () => process.exit())

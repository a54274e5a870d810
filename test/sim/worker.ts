/**
 * A worker of the fuzzer, for the subject that is its argument: runs the seeds it is given, one after the other, and says
 * what became of each.
 */
import { type Finding, makeIdentities } from './fuzz.ts'
import { DEFAULT_SUBJECT, SUBJECTS } from './subjects.ts'

export interface SeedOrder {
  readonly seed: number
  readonly shrink: boolean
}

export interface SeedReport {
  readonly seed: number
  readonly finding: Finding | undefined
}

const subject = SUBJECTS[process.argv[2] ?? DEFAULT_SUBJECT]
if (subject === undefined) throw new Error(`There is no subject "${process.argv[2]}".`)
const identities = await makeIdentities()

const run = async ({ seed, shrink }: SeedOrder): Promise<void> => {
  const report: SeedReport = { seed, finding: await subject(seed, identities, { shrink }) }
  process.send?.(report)
}

process.on('message', (order: SeedOrder) => void run(order))
process.on('disconnect', () => process.exit())

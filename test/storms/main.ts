/**
 * A storm: `npm run storm -- NAME|all [--seconds 10] [--members 5] [--seed 1] [--json]`.
 *
 * Storms do to a cluster of real processes what a bad day does, and end with a report: what was refused, dropped or shed,
 * how much memory it took, and how long after it the cluster was whole again. Exit code 1 if anything was wrong. Some need
 * root and Linux. The seed repeats the plan, not its timing.
 */
import { parseArgs } from 'node:util'
import { CommandContext } from '../support/command-context.ts'
import { STORMS } from './list.ts'
import { runStorm } from './run-storm.ts'
import type { StageOptions } from './stage.ts'
import type { Storm, StormReport } from './storm.ts'
import { tableOf } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '10' },
    members: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const [seconds, members, seed] = [Number(values.seconds), Number(values.members), Number(values.seed)]
const [wanted] = positionals
const storms = STORMS.filter(({ name }) => wanted === 'all' || name === wanted)
if (storms.length === 0 || positionals.length !== 1) {
  console.error('npm run storm -- NAME|all [--seconds N] [--members N] [--seed S] [--json]. The storms:')
  for (const { name, what } of STORMS) console.error(`  ${name.padEnd(14)} ${what}`)
  process.exit(2)
}
if (!(seconds > 0) || !(members >= 3 && members <= 20) || !Number.isSafeInteger(seed)) {
  console.error('--seconds is above 0, --members 3 to 20, --seed a whole number.')
  process.exit(2)
}

const context = new CommandContext()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => context.cleanUp().then(() => process.exit(130)))
}

/** A storm that fails in itself is a violation. */
const reportOf = async (storm: Storm, options: Omit<StageOptions, 'storm'>): Promise<StormReport> => {
  try {
    return await runStorm(storm, options)
  } catch (error) {
    const text = `the storm itself failed: ${error instanceof Error ? error.stack : String(error)}`
    const nothing = { tallies: {}, memory: [], wholeAfterSeconds: undefined }
    return { storm: storm.name, seed: options.seed, ...nothing, violations: [text] }
  }
}

const reports: StormReport[] = []
for (const storm of storms) {
  const beganMs = performance.now()
  const say = (text: string): void =>
    console.error(`${((performance.now() - beganMs) / 1000).toFixed(1).padStart(7)} s  ${text}`)
  console.error(`${storm.name}: ${storm.what} ${members} members, ${seconds} s, seed ${seed}`)
  const report = await reportOf(storm, { members, seconds, seed, context, say })
  await context.cleanUp()
  reports.push(report)
  if (!values.json) console.log(tableOf(report))
}
if (values.json) console.log(JSON.stringify(reports, undefined, 2))
process.exitCode = reports.some(({ violations }) => violations.length > 0) ? 1 : 0

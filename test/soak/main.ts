/**
 * The soak run: `npm run soak -- --minutes N [--warm-up MINUTES] [--pace 1] [--members 6] [--seed 1] [--rate 2000] [--churn 20] [--out DIR] [--heap] [--no-opt]`.
 *
 * Real processes over real QUIC on loopback, under mixed load, while connections drop and members come and go. Looks for
 * what grows, what is left over, and what is lost or comes twice: docs/soak.md. Writes report.md, soak.json and soak.svg
 * to the directory; `--heap` also heap snapshots of one member at both quiet points. `--no-opt` turns V8's optimizing
 * compiler off. Exit code 1 if anything is wrong.
 *
 * The seed repeats the plan of the run, not its timing.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { factsList, failuresOf, pageOf, plotOf, reportOf, slopeTable } from './report.ts'
import { soak } from './run.ts'

/** Members that churn touches. */
const CHANGING = 2
const WARM_UP_SHARE = 0.2
/** Of a run that is long enough for it. */
const LEAST_WARM_UP_MINUTES = 5
const LONG_RUN_MINUTES = 20
/** Of such a run: a heap that was busier takes some minutes to its usual size. */
const RECOVERY_MINUTES = 6
/** Of such a run: the first quiet point, after a part of the warm-up. */
const QUIET_SHARE = 0.25
const MAX_PACE = 10
/** Half a minute and more: dials to members that went come and go. */
const LOOKS = 8

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    'warm-up': { type: 'string' },
    pace: { type: 'string', default: '1' },
    members: { type: 'string', default: '6' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '2000' },
    churn: { type: 'string', default: '20' },
    out: { type: 'string' },
    heap: { type: 'boolean', default: false },
    'no-opt': { type: 'boolean', default: false },
  },
})
const [minutes, members, seed] = [Number(values.minutes), Number(values.members), Number(values.seed)]
const [rate, churnSeconds, pace] = [Number(values.rate), Number(values.churn), Number(values.pace)]
const isLong = minutes >= LONG_RUN_MINUTES
const warmUpMinutes = Number(values['warm-up'] ?? Math.max(minutes * WARM_UP_SHARE, isLong ? LEAST_WARM_UP_MINUTES : 0))
const isSound =
  minutes >= 1 &&
  warmUpMinutes > 0 &&
  warmUpMinutes < minutes &&
  members >= 4 &&
  members <= 20 &&
  Number.isSafeInteger(seed) &&
  Number.isSafeInteger(pace) &&
  pace >= 1 &&
  pace <= MAX_PACE
if (!isSound || !(rate > 0) || !(churnSeconds >= 5)) {
  console.error(
    '--minutes is 1 or more, --warm-up below it, --pace 1 to 10, --members 4 to 20, --seed a whole number, --rate above 0, --churn 5 s or more.',
  )
  process.exit(2)
}

const startMs = performance.now()
const say = (text: string): void =>
  console.log(`${((performance.now() - startMs) / 60_000).toFixed(2).padStart(7)} min  ${text}`)
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

const out = resolve(values.out ?? (await mkdtemp(join(tmpdir(), 'skein-soak-'))))
await mkdir(out, { recursive: true })
const folder = await mkdtemp(join(tmpdir(), 'skein-soak-keys-'))
const facts = {
  minutes,
  warmUpMinutes,
  quietMinutes: isLong ? warmUpMinutes * QUIET_SHARE : warmUpMinutes,
  pace,
  recoveryMinutes: isLong ? RECOVERY_MINUTES : 0,
  members,
  changing: CHANGING,
  rate,
  optimizes: !values['no-opt'],
  seed,
  churnSeconds,
}
try {
  const snapshots = values.heap ? out : undefined
  const run = await soak({ ...facts, looks: LOOKS, folder, snapshots, say, signal: interrupted.signal })
  const report = reportOf(facts, run)
  await writeFile(join(out, 'soak.json'), JSON.stringify({ facts, run }))
  await writeFile(join(out, 'report.md'), `${pageOf(report)}\n`)
  await writeFile(join(out, 'soak.svg'), plotOf(report))
  const failures = failuresOf(report, { slopes: true })
  console.log(`\n${factsList(report)}\n\n${slopeTable(report)}\n`)
  for (const text of failures.slice(0, 100)) console.log(`FAILED ${text}`)
  console.log(`${failures.length} failures; the report is in ${out}`)
  process.exitCode = failures.length > 0 ? 1 : 0
} finally {
  await rm(folder, { recursive: true, force: true })
}

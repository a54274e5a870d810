/**
 * Whether a hot path became slower: `npm run bench -- guard` measures, `guard --check` compares with the newest line of
 * history.jsonl and fails, `guard --record` adds a line.
 *
 * Processor time instead of the clock's, to a baseline in the same process, in short rounds that take turns: what else the
 * machine does hits both alike. V8 does not compile a program the same way twice, so each path runs in a few fresh processes,
 * and the best of them counts. That misses small losses, and it does not cry wolf.
 */
import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, type HistoryLine, newest, slowerThan, unrecorded } from './guard-history.ts'
import { GUARD_PATHS } from './guard-paths.ts'
import { startPeer } from './peer.ts'
import type { Measurement } from './report.ts'

/** Fresh processes per path; one, as soon as all together have taken this long. A quiet machine needs a third of it. */
const PROCESSES = 3
const PATIENCE_MS = 150_000
const HISTORY = new URL('./history.jsonl', import.meta.url)
/** What a line of the history is about. */
const LIBRARY = ['src', 'transport', 'discovery', 'certs', 'package.json']

const measure = async (name: string, untilMs: number): Promise<{ ratio: number; us: number }> => {
  const found: { ratio: number; us: number }[] = []
  while (found.length === 0 || (found.length < PROCESSES && performance.now() < untilMs)) {
    const peer = await startPeer(new URL('./guard-peer.ts', import.meta.url), { name }, ['--expose-gc'])
    found.push(peer.ready as { ratio: number; us: number })
    await peer.stop()
  }
  return found.reduce((best, one) => (one.ratio < best.ratio ? one : best))
}

const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: fileURLToPath(new URL('..', import.meta.url)), encoding: 'utf8' }).trim()

const record = (ratios: Readonly<Record<string, number>>): void => {
  const hasChanges = git('status', '--porcelain', '--', ...LIBRARY) !== ''
  const line: HistoryLine = {
    commit: `${git('rev-parse', '--short', 'HEAD')}${hasChanges ? '+' : ''}`,
    date: new Date().toISOString().slice(0, 10),
    ratios,
  }
  appendFileSync(HISTORY, `${JSON.stringify(line)}\n`)
}

/** Measures what seems slower once more, and says what remains. */
const check = async (ratios: Record<string, number>, untilMs: number): Promise<void> => {
  const recorded = newest(readFileSync(HISTORY, 'utf8'))
  for (const { path, measured } of slowerThan(recorded, ratios)) {
    ratios[path] = Math.min(measured, (await measure(path, untilMs)).ratio)
  }
  const complaints = [
    ...slowerThan(recorded, ratios).map((one) => `slower: ${describe(one)}`),
    ...unrecorded(recorded, ratios).map((path) => `${path} has no ratio in the newest line of history.jsonl`),
  ]
  for (const complaint of complaints) process.stderr.write(`${complaint}\n`)
  if (complaints.length > 0) process.exitCode = 1
}

export async function* guard(args: readonly string[]): AsyncGenerator<Measurement> {
  const ratios: Record<string, number> = {}
  const untilMs = performance.now() + PATIENCE_MS
  for (const [metric, { baseline }] of Object.entries(GUARD_PATHS)) {
    const { ratio, us } = await measure(metric, untilMs)
    ratios[metric] = Number(ratio.toPrecision(3))
    yield { bench: 'guard', metric, value: us, unit: 'us', baseline, ratio }
  }
  if (args.includes('--check')) await check(ratios, untilMs)
  if (args.includes('--record')) record(ratios)
}

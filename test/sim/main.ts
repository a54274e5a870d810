/**
 * The fuzzer: `npm run test:sim -- [SUBJECT] --seeds N [--seed S] [--workers W] [--mutate NAME] [--no-shrink]`. The subject is
 * one of subjects.ts: the guarantees of signals unless another is named.
 *
 * Runs N seeds, from S on (default 1), on W processes (default 2), and ends with `N seeds, V violations`; exit code 1 if
 * there was one. For each it prints the seed, the shrunk program and what happened. The first violation of a mutation ends
 * the run: it was caught.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTATIONS, mutant } from './mutations.ts'
import { DEFAULT_SUBJECT, SUBJECTS } from './subjects.ts'
import type { SeedOrder, SeedReport } from './worker.ts'

const DEFAULT_SEEDS = 300
const DEFAULT_WORKERS = 2
const MAX_WORKERS = 64
/** One line of progress is written over again this often; without a terminal a line is printed every hundredth of the way. */
const PROGRESS_INTERVAL_MS = 250
/** Reports beyond this are counted and not printed. */
const MAX_PRINTED = 5
/** A seed that takes longer, shrinking included, hangs. */
const SEED_TIMEOUT_MS = 120_000

interface Options {
  readonly subject: string
  readonly seeds: number
  readonly seed: number
  readonly workers: number
  readonly isFirstEnough: boolean
  readonly shrink: boolean
}

const readNumber = (
  name: string,
  text: string | undefined,
  byDefault: number,
  max = Number.MAX_SAFE_INTEGER,
): number => {
  const value = text === undefined ? byDefault : Number(text)
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return value
  throw new Error(`--${name} is a whole number from 1 to ${max}.`)
}

/** Runs the seeds and gives the number of violations. */
const run = async ({
  subject,
  seeds,
  seed,
  workers,
  isFirstEnough,
  shrink,
}: Options): Promise<{ ran: number; violations: number }> => {
  const progress = new Progress(seeds)
  let next = seed
  let ran = 0
  let violations = 0
  const children: ChildProcess[] = []
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = fileURLToPath(new URL('worker.ts', import.meta.url))
      const child = fork(worker, [subject], { execArgv: process.execArgv })
      children.push(child)
      let current = 0
      let watchdog: NodeJS.Timeout | undefined
      const take = (): void => {
        clearTimeout(watchdog)
        if (next >= seed + seeds || (isFirstEnough && violations > 0)) {
          child.disconnect()
          resolve()
          return
        }
        current = next++
        watchdog = setTimeout(() => {
          reject(new Error(`seed ${current} did not end within ${SEED_TIMEOUT_MS} ms`))
        }, SEED_TIMEOUT_MS)
        const order: SeedOrder = { seed: current, shrink }
        child.send(order)
      }
      child.on('message', ({ finding }: SeedReport) => {
        ran++
        if (finding !== undefined) {
          violations++
          progress.clear()
          if (violations <= MAX_PRINTED) {
            console.log(`\nseed ${finding.seed}: ${finding.violation}\n\n${finding.program}\n\n${finding.log}\n`)
          } else console.log(`seed ${finding.seed}: ${finding.violation}`)
        }
        progress.show(ran, violations)
        take()
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        clearTimeout(watchdog)
        reject(new Error(`a worker ended at seed ${current} with ${signal ?? `exit code ${code}`}`))
      })
      take()
    })
  try {
    await Promise.all(Array.from({ length: workers }, work))
  } finally {
    progress.clear()
    for (const child of children) child.kill('SIGKILL')
  }
  return { ran, violations }
}

class Progress {
  readonly #seeds: number
  readonly #startMs = performance.now()
  readonly #isTerminal = process.stdout.isTTY === true
  #shownMs = 0
  #shown = 0

  constructor(seeds: number) {
    this.#seeds = seeds
  }

  show(ran: number, violations: number): void {
    const nowMs = performance.now()
    const perSecond = (ran / (nowMs - this.#startMs)) * 1000
    const text = `${ran} of ${this.#seeds} seeds, ${violations} violations, ${perSecond.toFixed(1)} seeds/s`
    if (this.#isTerminal) {
      if (nowMs - this.#shownMs < PROGRESS_INTERVAL_MS) return
      this.#shownMs = nowMs
      process.stdout.write(`\r${text}`)
    } else if (ran - this.#shown >= Math.max(100, this.#seeds / 10)) {
      this.#shown = ran
      console.log(text)
    }
  }

  clear(): void {
    if (this.#isTerminal) process.stdout.write('\r\x1b[K')
  }
}

/** The same command in a broken copy of the sources; gives its exit code. */
const runMutant = async (name: string, args: readonly string[]): Promise<number> => {
  const { folder, remove } = mutant(name)
  console.log(`mutation ${name}, which breaks ${MUTATIONS[name]?.breaks}`)
  try {
    const main = join(folder, 'test/sim/main.ts')
    const child = spawn(process.execPath, [...process.execArgv, main, ...args, '--first'], {
      cwd: folder,
      stdio: 'inherit',
    })
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => resolve(code ?? 1))
    })
  } finally {
    remove()
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string' },
    mutate: { type: 'string' },
    'no-shrink': { type: 'boolean', default: false },
    // Of a mutation: the first violation is enough.
    first: { type: 'boolean', default: false },
  },
})
const subject = positionals[0] ?? DEFAULT_SUBJECT
if (positionals.length > 1 || !Object.hasOwn(SUBJECTS, subject)) {
  throw new Error(`A subject is one of ${Object.keys(SUBJECTS).join(', ')}.`)
}
const options: Options = {
  subject,
  seeds: readNumber('seeds', values.seeds, DEFAULT_SEEDS),
  seed: readNumber('seed', values.seed, 1),
  workers: readNumber('workers', values.workers, DEFAULT_WORKERS, MAX_WORKERS),
  isFirstEnough: values.first,
  shrink: !values['no-shrink'],
}
if (values.mutate !== undefined) {
  const { seeds, seed, workers, shrink } = options
  const args = [subject, '--seeds', `${seeds}`, '--seed', `${seed}`, '--workers', `${workers}`]
  if (!shrink) args.push('--no-shrink')
  process.exitCode = await runMutant(values.mutate, args)
} else {
  const { ran, violations } = await run(options)
  console.log(`${ran} seeds, ${violations} violations`)
  process.exitCode = violations > 0 ? 1 : 0
}

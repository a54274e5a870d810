/**
 * The fuzzer: `npm run fuzz -- TARGET...|all [--inputs N | --minutes N] [--seed S] [--workers W] [--save] [--json FILE]`.
 *
 * Runs N inputs (default 100000) of each target, or as many as the minutes allow, on W processes (default 2); with --save
 * what it learnt becomes the corpus of the target. With --json the figures are kept in a file, and targets that have had
 * their inputs by it are left out: so a long run can be ended and gone on with. `npm run fuzz -- table --json FILE` writes
 * the table of docs/fuzzing.md from it. `npm run fuzz -- canary` is the other way round: all three mistakes must be found.
 * `npm run fuzz -- TARGET --input FILE` runs one input and says what came of it.
 *
 * Inputs that showed something are written to --findings (default fuzz-findings). The last line is JSON; exit code 1 if
 * anything was found.
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { ChildOrder, ChildTold } from './child.ts'
import { type Figures, type FiguresByTarget, lineOf, readFigures, writeFigures, writeTable } from './figures.ts'
import { targetNames, writeCorpus, writeFinding } from './files.ts'
import type { Finding } from './orders.ts'
import { isRefusal, type Target } from './target.ts'

const CANARY = 'canary'
const DEFAULT_INPUTS = 100_000
/** The three mistakes take a fourth of them with most seeds. */
const CANARY_INPUTS = 2_000_000
const DEFAULT_WORKERS = 2
/** Inputs leave much that is soon gone; threads of the collector would wait for one another on a busy machine. */
const COLLECTOR = ['--single-threaded-gc', '--min-semi-space-size=16', '--max-semi-space-size=32']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    inputs: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string' },
    save: { type: 'boolean', default: false },
    json: { type: 'string' },
    findings: { type: 'string', default: 'fuzz-findings' },
    input: { type: 'string' },
  },
})

const numberOf = (text: string | undefined, byDefault: number): number => {
  const number = text === undefined ? byDefault : Number(text)
  if (number > 0) return number
  throw new Error(`${text} is not a number above 0.`)
}

const load = async (name: string): Promise<Target> => {
  const loaded = (await import(new URL(`targets/${name}.ts`, import.meta.url).href)) as { target: Target }
  return loaded.target
}

const seed = numberOf(values.seed, 1 + Math.floor(Math.random() * 1e9))
const minutes = numberOf(values.minutes, Number.MAX_SAFE_INTEGER)
const inputs = numberOf(values.inputs, values.minutes === undefined ? DEFAULT_INPUTS : Number.MAX_SAFE_INTEGER)

const print = (name: string, { kind, what, input }: Finding): void => {
  console.log(`\n${kind} in ${name}, seed ${seed}: ${what}`)
  if (input === undefined) return
  const file = writeFinding(values.findings, name, kind, input)
  console.log(`${Buffer.from(input).toString('hex').slice(0, 400)}\nnpm run fuzz -- ${name} --input ${file}\n`)
}

const run = (name: string): Promise<Figures> =>
  new Promise((resolve, reject) => {
    const execArgv = [...process.execArgv, ...COLLECTOR]
    const child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), { serialization: 'advanced', execArgv })
    const kinds: Record<Finding['kind'], number> = { crash: 0, hang: 0, growth: 0 }
    let end: Figures | undefined
    child.on('message', (told: ChildTold) => {
      if (told.type === 'found') {
        kinds[told.finding.kind]++
        print(name, told.finding)
        return
      }
      const { inputs: count, seconds, cpuSeconds, corpus, ran, known } = told.watched
      if (values.save) writeCorpus(name, corpus)
      const times = { seconds: Math.round(seconds), cpuSeconds: Math.round(cpuSeconds) }
      const rate = Math.round(count / cpuSeconds)
      const { crash: crashes, hang: hangs, growth } = kinds
      end = {
        about: '',
        inputs: count,
        ...times,
        rate,
        corpus: corpus.length,
        blocks: ran,
        known,
        crashes,
        hangs,
        growth,
      }
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (end !== undefined) return resolve(end)
      console.log(`\n${name} ended with ${signal ?? `exit code ${code}`}: run it again with --seed ${seed}`)
      const none = { inputs: 0, seconds: 0, cpuSeconds: 0, rate: 0, corpus: 0, blocks: 0, known: 0 }
      resolve({ about: '', ...none, ...{ crashes: kinds.crash + 1, hangs: kinds.hang, growth: kinds.growth } })
    })
    child.send({ target: name, seed, inputs: name === CANARY ? CANARY_INPUTS : inputs, minutes } satisfies ChildOrder)
  })

const runAll = async (names: readonly string[]): Promise<FiguresByTarget> => {
  const all: Record<string, Figures> = { ...(values.json === undefined ? {} : readFigures(values.json)) }
  const waiting = names.filter((name) => (all[name]?.inputs ?? 0) < inputs || values.json === undefined)
  const ran: Record<string, Figures> = {}
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const { about } = await load(name)
      const figures = { ...(await run(name)), about }
      ran[name] = figures
      all[name] = figures
      console.log(lineOf(name, figures))
      if (values.json !== undefined) writeFigures(values.json, all)
    }
  }
  await Promise.all(Array.from({ length: numberOf(values.workers, DEFAULT_WORKERS) }, work))
  return ran
}

/** One input, with the whole of what it throws. */
const runOne = async (name: string, file: string): Promise<boolean> => {
  const { run: decode, neverThrows = false } = await load(name)
  try {
    console.log('it gives', await decode(readFileSync(file)))
    return true
  } catch (error) {
    console.log(isRefusal(error) ? 'it is refused:' : 'it crashes:', error)
    return isRefusal(error) && !neverThrows
  }
}

const known = targetNames()
const [first = ''] = positionals
if (first === 'table') writeTable(readFigures(values.json ?? 'fuzz.json'))
else if (values.input !== undefined) process.exitCode = (await runOne(first, values.input)) ? 0 : 1
else {
  const names = first === 'all' ? known.filter((name) => name !== CANARY) : positionals
  if (names.length === 0 || names.some((name) => !known.includes(name))) {
    throw new Error(`A target is one of ${known.join(', ')}, or all.`)
  }
  console.log(`seed ${seed}`)
  const figures = await runAll(names)
  const all = Object.values(figures)
  const findings = all.reduce((sum, { crashes, hangs, growth }) => sum + crashes + hangs + growth, 0)
  const canary = figures[CANARY]
  const isCanarySound = canary === undefined || (canary.crashes > 0 && canary.hangs > 0 && canary.growth > 0)
  const others = findings - (canary === undefined ? 0 : canary.crashes + canary.hangs + canary.growth)
  process.exitCode = isCanarySound && others === 0 ? 0 : 1
  console.log(JSON.stringify({ seed, findings, targets: figures }))
}

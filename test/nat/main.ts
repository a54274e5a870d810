/**
 * The NAT matrix: `npm run test:nat -- [--types port,sym] [--delays 0,20,100] [--self drop,accept] [--runs 1] [--labs 1]
 * [--bridge] [--logs FOLDER] [--json]`.
 *
 * Every type of NAT on A's side against every type on B's, with NATs that drop and that accept UDP to themselves, and with
 * each round trip from a host to a server (so twice that from A to B). Prints a table for each setting: D for a direct
 * connection and R for a relayed one, milliseconds until connected, and until direct; `!` marks a goal that was missed
 * (matrix.ts has them). Ends with `N pairs, M misses`; exit code 1 if there was one. `--labs` runs so many laboratories side
 * by side, which is faster and makes times longer. `--bridge` leaves no router between the boxes. `--logs` keeps the logs of both nodes for each miss.
 * Needs Linux, root, iproute2, nftables, conntrack and a C compiler.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CommandContext } from '../support/command-context.ts'
import { NAT_TYPES, type NatType, type OwnDatagrams } from './box-rules.ts'
import { type Cell, MatrixLab, pairsOf, type Result } from './matrix.ts'
import { misses, table } from './matrix-report.ts'

const { values } = parseArgs({
  options: {
    types: { type: 'string', default: NAT_TYPES.join(',') },
    delays: { type: 'string', default: '0,20,100' },
    self: { type: 'string', default: 'drop,accept' },
    runs: { type: 'string', default: '1' },
    labs: { type: 'string', default: '1' },
    bridge: { type: 'boolean', default: false },
    logs: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

const usage = (text: string): never => {
  console.error(text)
  process.exit(2)
}

const numbers = (text: string, what: string): number[] => {
  const list = text.split(',').map(Number)
  return list.every((number) => number >= 0) ? list : usage(`${what} are numbers, not ${text}`)
}

const types = values.types.split(',') as NatType[]
if (!types.every((type) => NAT_TYPES.includes(type))) usage(`--types are of ${NAT_TYPES.join(', ')}.`)
const owns = values.self.split(',') as OwnDatagrams[]
if (!owns.every((own) => own === 'drop' || own === 'accept')) usage('--self is drop, accept, or both.')
const delays = numbers(values.delays, '--delays')
const [runs = 1] = numbers(values.runs, '--runs')
const [labs = 1] = numbers(values.labs, '--labs')

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
const say = (text: string): void => (values.json ? console.error(text) : console.log(text))

/** A laboratory of its own for one delay; takes cells until there is none left. */
const work = async (roundTripMs: number, cells: Cell[]): Promise<Result[]> => {
  const context = new CommandContext()
  const results: Result[] = []
  try {
    const lab = await MatrixLab.open(context, roundTripMs, values.bridge)
    for (let cell = cells.shift(); cell !== undefined && !interrupted.signal.aborted; cell = cells.shift()) {
      const result = await lab.run(cell)
      results.push(result)
      if (!result.met) await tellMiss(result, results.length)
    }
  } finally {
    await context.cleanUp()
  }
  return results
}

const tellMiss = async ({ cell, goal, connected, failure, logs }: Result, number: number): Promise<void> => {
  const { a, b, own, roundTripMs } = cell
  const came = failure || JSON.stringify(connected)
  say(`${a} to ${b}, self ${own}, ${roundTripMs} ms: not ${goal.what} in ${goal.withinMs} ms: ${came}`)
  if (values.logs === undefined) return
  await mkdir(values.logs, { recursive: true })
  for (const [side, log] of [
    ['a', logs[0]],
    ['b', logs[1]],
  ] as const) {
    await writeFile(join(values.logs, `${a}-${b}-${own}-${roundTripMs}-${number}-${side}.log`), log)
  }
}

const startMs = performance.now()
const results: Result[] = []
for (const roundTripMs of delays) {
  if (interrupted.signal.aborted) break
  const cells = owns.flatMap((own) =>
    pairsOf(types).flatMap(([a, b]) => Array.from({ length: runs }, (): Cell => ({ a, b, own, roundTripMs }))),
  )
  const shares = await Promise.all(Array.from({ length: labs }, () => work(roundTripMs, cells)))
  const done = shares.flat()
  results.push(...done)
  for (const own of owns) {
    say(`\nround trip to a server ${roundTripMs} ms, NATs ${own} UDP to themselves (rows: A, who connects; columns: B)`)
    for (const line of table(
      types,
      done.filter(({ cell }) => cell.own === own),
    ))
      say(line)
  }
}

const missed = misses(results)
if (values.json) console.log(JSON.stringify(results.map(({ logs: _, ...result }) => result)))
say(`\n${((performance.now() - startMs) / 1000).toFixed(0)} s`)
say(`${results.length} pairs, ${missed} misses`)
process.exitCode = missed > 0 || results.length === 0 || interrupted.signal.aborted ? 1 : 0

/**
 * `npm run test:erlang [-- WORDS | --random COUNT [FIRST_SEED]]`: prints how every scenario turns out in both worlds, or
 * those with these words in their title, or random ones. Exit code 1 on unexplained differences.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandContext } from '../support/command-context.ts'
import { hasErlang } from '../support/erlang-node.ts'
import { type Compared, compareAll, explain, isFine } from './compare.ts'
import { ErlangWorld } from './erlang-world.ts'
import { randomScenario } from './random.ts'
import type { Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { SkeinWorld } from './skein-world.ts'

const row = ({ scenario, place, verdict }: Compared): string => {
  const numbers = scenario.guarantees.map((number) => `G${number}`).join(' ')
  return `${scenario.title.padEnd(82)} ${place.padEnd(9)} ${numbers.padEnd(22)} ${verdict}`
}

const context = new CommandContext()

const chosen = ([wanted, count, first = '1']: readonly string[]): readonly Scenario[] => {
  if (wanted === '--random') return Array.from({ length: Number(count) }, (_, i) => randomScenario(Number(first) + i))
  return SCENARIOS.filter(({ title }) => wanted === undefined || title.includes(wanted))
}

const run = async (): Promise<readonly Compared[]> => {
  const scenarios = chosen(process.argv.slice(2))
  if (!hasErlang()) return context.missing('Erlang on Linux (Debian: erlang-base)')
  const folder = await mkdtemp(join(tmpdir(), 'skein-oracle-'))
  context.defer(() => rm(folder, { recursive: true, force: true }))
  const [skein, erlang] = await Promise.all([
    SkeinWorld.start(context, join(folder, 'identity.pem')),
    ErlangWorld.start(),
  ])
  context.defer(() => erlang.stop())
  return compareAll(scenarios, skein, erlang, (compared) => console.log(row(compared)))
}

try {
  const all = await run()
  const bad = all.filter((compared) => !isFine(compared))
  for (const compared of bad) console.log(`\n${explain(compared)}`)
  const count = new Set(all.map(({ scenario }) => scenario)).size
  console.log(`${count} scenarios, ${bad.length} differences`)
  if (bad.length > 0 || count === 0) process.exitCode = 1
} finally {
  await context.cleanUp()
}

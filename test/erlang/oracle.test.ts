/** Skein against Erlang: every scenario must look the same in both, or differ on purpose. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { hasErlang } from '../support/erlang-node.ts'
import { suite } from '../support/suite.ts'
import { compareAll, explain, isFine } from './compare.ts'
import { DIFFERENCES, NOT_SHOWN } from './differences.ts'
import { ErlangWorld } from './erlang-world.ts'
import { randomScenario } from './random.ts'
import { onOneNode, type Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { SkeinWorld } from './skein-world.ts'
import type { Term, World } from './world.ts'

const GUARANTEES = 31
const FEWEST_SCENARIOS = 75
const RANDOM_LIVES = 40

const test = suite('oracle', { watchdogMs: 240_000 })

/** Gives this for whatever is asked. */
const stubWorld = (answer: Term): World => ({
  name: 'a stub',
  spawn: async () => 'pid',
  act: async () => answer,
  ended: async () => answer,
  clear: async () => {},
  connect: async () => {},
  disconnect: async () => {},
  kill: async () => {},
  restart: async () => {},
  stop: async () => {},
})

const SAMPLE = onOneNode('a sample', [1], 'a', [['a', 'take', 1]])

const verdict = async (scenario: Scenario, ours: Term, theirs: Term): Promise<string | undefined> => {
  const [compared] = await compareAll([scenario], stubWorld(ours), stubWorld(theirs), () => {})
  return compared?.verdict
}

test('the comparison sees a difference, a message that did not come, and a difference that is none', async () => {
  assert.is(await verdict(SAMPLE, ['x'], ['x']), 'same')
  assert.is(await verdict(SAMPLE, ['x'], ['y']), 'different')
  assert.is(await verdict(SAMPLE, [], ['x']), 'different')
  assert.is(await verdict(SAMPLE, ['nothing'], ['nothing']), 'different')
  const onPurpose = { ...SAMPLE, differs: 'several names' }
  assert.is(await verdict(onPurpose, ['x'], ['y']), 'different on purpose')
  assert.is(await verdict(onPurpose, ['x'], ['x']), 'same, but should differ')
  assert.is(await verdict({ ...SAMPLE, differs: 'not in the table' }, ['x'], ['y']), 'different')
})

test('every guarantee has a scenario, or a reason why it has none', () => {
  const shown = new Set(SCENARIOS.flatMap(({ guarantees }) => guarantees))
  const missing = Array.from({ length: GUARANTEES }, (_, i) => i + 1).filter((number) => !shown.has(number))
  assert.equal(missing.map(String), Object.keys(NOT_SHOWN))
  assert.ok([...shown].every((number) => number >= 1 && number <= GUARANTEES))
  const titles = new Set(SCENARIOS.map(({ title }) => title))
  assert.is(titles.size, SCENARIOS.length, 'two scenarios have one title')
  assert.ok(titles.size >= FEWEST_SCENARIOS, `${titles.size} scenarios`)
})

test('every difference that is meant is explained in docs/guarantees.md', async () => {
  const page = (await readFile(new URL('../../docs/guarantees.md', import.meta.url), 'utf8')).replaceAll(/\s+/g, ' ')
  const used = new Set(SCENARIOS.flatMap(({ differs }) => differs ?? []))
  assert.equal([...used].sort(), Object.keys(DIFFERENCES).sort())
  for (const text of Object.values(DIFFERENCES)) assert.ok(page.includes(text), text)
})

test(
  'Skein does as Erlang does',
  async (t) => {
    if (!hasErlang()) t.missing('Erlang on Linux (Debian: erlang-base)')
    const folder = await mkdtemp(join(tmpdir(), 'skein-oracle-'))
    t.defer(() => rm(folder, { recursive: true, force: true }))
    const erlang = await ErlangWorld.start()
    t.defer(() => erlang.stop())
    const skein = await SkeinWorld.start(t, join(folder, 'identity.pem'))
    const random = Array.from({ length: RANDOM_LIVES }, (_, i) => randomScenario(i + 1))
    const all = await compareAll([...SCENARIOS, ...random], skein, erlang, () => {})
    const bad = all.filter((compared) => !isFine(compared))
    assert.is(bad.length, 0, bad.map(explain).join('\n\n'))
  },
  { deadlineMs: 180_000 },
)

test.run()

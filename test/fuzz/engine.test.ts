/** The engine finds what is to be found: three planted mistakes, from samples that are far from them; and repeats itself. */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { Chance } from './chance.ts'
import { readCorpus, targetNames } from './files.ts'
import { leaks } from './memory.ts'
import { Mutator } from './mutator.ts'
import { isNear } from './orders.ts'
import { isRefusal, type Target } from './target.ts'
import { watch } from './watch.ts'

const test = suite('fuzzer', { watchdogMs: 400_000 })
const DEADLINE_MS = 240_000
const SEED = 1
/** Most runs take a tenth of them. */
const INPUTS = 3_000_000

const loaded = async (name: string): Promise<Target> =>
  ((await import(new URL(`targets/${name}.ts`, import.meta.url).href)) as { target: Target }).target

test(
  'a crash, a hang and a growth behind several conditions are found',
  async () => {
    const kinds = new Set<string>()
    const untilMs = Date.now() + 200_000
    const watched = await watch({
      target: 'canary',
      seed: SEED,
      inputs: INPUTS,
      untilMs,
      corpus: [],
      isEnough: (finding) => kinds.add(finding.kind).size === 3,
    })
    assert.equal([...kinds].sort(), ['crash', 'growth', 'hang'])
    assert.ok(watched.findings.every(({ input }) => input !== undefined))
    const { run, sample } = await loaded('canary')
    const crash = watched.findings.find(({ kind }) => kind === 'crash')
    assert.throws(() => run(Buffer.from(crash?.input ?? [])), /size/)
    // Blind bytes do not get there, nor do the samples.
    const chance = new Chance(2)
    for (let i = 0; i < 50_000; i++) {
      for (const bytes of [chance.bytes(chance.below(16)), sample(chance)]) {
        try {
          assert.ok(Number(run(Buffer.from(bytes))) <= 2, 'nothing is kept')
        } catch (error) {
          assert.ok(isRefusal(error), String(error))
        }
      }
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test('what stays behind each round is seen, whatever comes and goes meanwhile', async () => {
  const block = (): Uint8Array => new Uint8Array(64 * 1024)
  for (const droppedIn of [1, 2, 3, 4]) {
    let ballast: Uint8Array | undefined = new Uint8Array(1024 * 1024)
    const kept: Uint8Array[] = []
    const isLeaking = await leaks(async () => {
      if (kept.push(block()) === droppedIn) ballast = undefined
    })
    assert.ok(isLeaking, `with ${ballast?.length ?? 'what was'} let go of in round ${droppedIn}`)
  }
  let held: Uint8Array | undefined
  const isLeaking = await leaks(async () => {
    held = held === undefined ? block() : undefined
  })
  assert.not(isLeaking)
  assert.not(await leaks(async () => void block()))
})

test('the same seed makes the same inputs', () => {
  const made = (): string[] => {
    const chance = new Chance(7)
    const mutator = new Mutator(chance, ['word', Buffer.of(0, 1)], 100)
    const [a, b] = [chance.bytes(60), chance.bytes(80)]
    return Array.from({ length: 2000 }, () => Buffer.from(mutator.mutate(a, b)).toString('hex'))
  }
  const inputs = made()
  assert.equal(made(), inputs)
  assert.ok(new Set(inputs).size > 1500, 'they differ')
  assert.ok(inputs.every((input) => input.length <= 200))
})

test('inputs are alike that differ in a byte or two', () => {
  assert.ok(isNear(Buffer.from('abcd'), Buffer.from('abxy')))
  assert.not(isNear(Buffer.from('abcd'), Buffer.from('axyz')))
  assert.not(isNear(Buffer.from('abcd'), Buffer.from('abcdefg')))
})

test(
  'every target takes its own samples and its corpus',
  async () => {
    const chance = new Chance(3)
    for (const name of targetNames()) {
      const { run, sample, neverThrows = false } = await loaded(name)
      const corpus = readCorpus(name)
      assert.ok(name === 'canary' || corpus.length > 0, `${name} has a corpus`)
      let taken = 0
      for (const input of [...corpus, ...Array.from({ length: 30 }, () => sample(chance))]) {
        try {
          await run(Buffer.from(input))
          taken++
        } catch (error) {
          assert.ok(
            isRefusal(error) && !neverThrows,
            `${name}: ${error instanceof Error ? error.stack : String(error)}`,
          )
        }
      }
      assert.ok(taken > 0, `${name} reads what it is meant to read`)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

/** The guarantee fuzzer finds nothing in the sources as they are, and what is broken on purpose it finds each time. */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { fuzz, makeIdentities } from './fuzz.ts'
import { MUTATIONS, mutant } from './mutations.ts'
import { run } from './subject-suite.ts'

const test = suite('guarantees under simulation', { watchdogMs: 400_000 })

const SEEDS = 300
/** Each mutation is to be found from each of these seeds on. */
const FIRST_SEEDS = [1, 20_001]

test(
  `no violation in ${SEEDS} seeds`,
  async (t) => {
    const { code, output } = await run(t, '--seeds', `${SEEDS}`)
    console.log(output)
    assert.is(output.trimEnd().split('\n').at(-1), `${SEEDS} seeds, 0 violations`)
    assert.is(code, 0)
  },
  { deadlineMs: 120_000 },
)

for (const [name, { subject }] of Object.entries(MUTATIONS)) {
  if (subject !== undefined) continue
  for (const first of FIRST_SEEDS) {
    test(
      `mutation ${name} is caught, from seed ${first} on`,
      async (t) => {
        const args = ['--seeds', `${SEEDS}`, '--seed', `${first}`, '--mutate', name, '--no-shrink']
        const { code, output } = await run(t, ...args)
        const caught = /^seed \d+: G\d+: .*$/m.exec(output)
        assert.ok(caught, output)
        console.log(caught[0])
        assert.match(output, /^\d+ seeds, [1-9]\d* violations?$/m)
        assert.is(code, 1)
      },
      { deadlineMs: 120_000 },
    )
  }
}

test('a mutation that is not there, or does not fit any more, is an error', async (t) => {
  assert.throws(() => mutant('none'), /no mutation "none"/)
  const { code, output } = await run(t, '--mutate', 'none')
  assert.is(code, 1)
  assert.match(output, /no mutation "none"/)
})

test('a seed does the same each time', async () => {
  const identities = await makeIdentities()
  const reports: string[] = []
  for (let i = 0; i < 2; i++) {
    await fuzz(42, identities, { shrink: false, ran: (report) => void reports.push(report) })
  }
  const [one, other] = reports
  assert.ok(one !== undefined && one.length > 1000)
  assert.is(one, other)
})

test.run()

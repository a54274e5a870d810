/** The program for distributed supervisors finds nothing in the sources as they are, and what is broken on purpose it finds. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite, type TestContext } from '../support/suite.ts'
import { MUTATIONS } from './mutations.ts'

const test = suite('distributed supervisors under simulation', { watchdogMs: 400_000 })

const SUBJECT = 'supervision'
const SEEDS = 100
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

const run = (t: TestContext, ...args: readonly string[]): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, SUBJECT, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.defer(() => child.kill('SIGKILL'))
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })

test(
  `no violation in ${SEEDS} seeds`,
  async (t) => {
    const { code, output } = await run(t, '--seeds', `${SEEDS}`)
    assert.is(output.trimEnd().split('\n').at(-1), `${SEEDS} seeds, 0 violations`, output)
    assert.is(code, 0)
  },
  { deadlineMs: 180_000 },
)

for (const [name, { subject }] of Object.entries(MUTATIONS)) {
  if (subject !== SUBJECT) continue
  test(
    `mutation ${name} is caught`,
    async (t) => {
      const { code, output } = await run(t, '--seeds', `${SEEDS}`, '--mutate', name)
      const caught = /^seed \d+: .*$/m.exec(output)
      assert.ok(caught, output)
      console.log(caught[0])
      assert.is(code, 1)
    },
    { deadlineMs: 180_000 },
  )
}

test.run()

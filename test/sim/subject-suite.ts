/** What every subject of the fuzzer beside the guarantees is tested for: it finds nothing, but what is broken on purpose it finds. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { suite, TestContext } from '../support/suite.ts'
import { MUTATIONS } from './mutations.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
/** Of one run of the command, however busy the machine. */
const DEADLINE_MS = 180_000

/** `npm run test:sim -- ARGS`; ended with the test. */
export const run = (t: TestContext, ...args: readonly string[]): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], { stdio: 'pipe' })
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

export const testSubject = (test: ReturnType<typeof suite>, subject: string, seeds: number): void => {
  test(
    `no violation in ${seeds} seeds`,
    async (t) => {
      const { code, output } = await run(t, subject, '--seeds', `${seeds}`)
      assert.is(output.trimEnd().split('\n').at(-1), `${seeds} seeds, 0 violations`, output)
      assert.is(code, 0)
    },
    { deadlineMs: DEADLINE_MS },
  )
  for (const [name, mutation] of Object.entries(MUTATIONS)) {
    if (mutation.subject !== subject) continue
    test(
      `mutation ${name} is caught`,
      async (t) => {
        const { code, output } = await run(t, subject, '--seeds', `${seeds}`, '--mutate', name)
        const caught = /^seed \d+: .*$/m.exec(output)
        assert.ok(caught, output)
        console.log(caught[0])
        assert.is(code, 1)
      },
      { deadlineMs: DEADLINE_MS },
    )
  }
}

/**
 * The harness tested by itself: each way in which a test file can go wrong must be reported as a failure.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { runFile } from './file-run.ts'
import { suite } from './suite.ts'

const test = suite('harness')
/** Each test starts processes of its own, which may have to wait for their turn on a busy machine. */
const slow = { deadlineMs: 60_000 }

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url))
const runner = fileURLToPath(new URL('../run.ts', import.meta.url))

const testCommand = (fixtures: readonly string[], environment: Record<string, string> = {}) => {
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', runner, ...fixtures.map(fixture)], {
    encoding: 'utf8',
    env: { ...process.env, CI: 'false', ...environment },
  })
  return { status, stdout, lastLine: stdout.trimEnd().split('\n').at(-1) }
}

/** The fixture, how many of its tests pass all the same, and what the failures must say. */
const badFiles: readonly (readonly [string, number, readonly RegExp[]])[] = [
  ['fails', 1, [/^compares: /, /^throws a string: thrown: 'a string'/, /^has a bad clean-up: the clean-up broke/]],
  ['hangs', 1, [/^waits for ever: test "waits for ever" did not finish within its deadline of 50 ms/]],
  ['loops', 0, [/killed by the watchdog after 500 ms during "never yields"/]],
  ['leaks', 4, [/left open after the last test: (?=.*TCPServerWrap)(?=.*UDPWrap)(?=.*Timeout)(?=.*ProcessWrap)/]],
  ['rejects', 1, [/unhandled rejection: nobody caught me/, /uncaught exception: thrown from a callback/]],
  ['leaves', 1, [/exited with code 1 during "ends the process"/]],
  ['crashes', 0, [/exited with code 1/]],
  ['empty', 0, [/holds no test/]],
]

for (const [name, passed, messages] of badFiles) {
  test(
    `reports a file that ${name === 'empty' ? 'is empty' : name}`,
    async () => {
      const result = await runFile(fixture(name))
      assert.is(result.failures.length, messages.length, result.failures.join('\n'))
      messages.forEach((message, index) => {
        assert.match(result.failures[index] ?? '', message)
      })
      assert.is(result.passed, passed)
    },
    slow,
  )
}

test(
  'shows what a failing file printed',
  async () => {
    const { output } = await runFile(fixture('crashes'))
    assert.match(output, 'crashed while loading')
  },
  slow,
)

test(
  'kills a file that outlives the watchdog',
  async () => {
    const { failures } = await runFile(fixture('hangs'), { watchdogMs: 1 })
    assert.is(failures.length, 1)
    assert.match(failures[0] ?? '', 'killed by the watchdog after 1 ms')
  },
  slow,
)

test(
  'ends with the counts and exit code 0 when all is well',
  () => {
    const { status, stdout, lastLine } = testCommand(['good'])
    assert.is(lastLine, '2 passed, 0 failed, 2 skipped')
    assert.match(stdout, 'skipped "skips": no such thing here')
    assert.match(stdout, 'skipped "misses": needs a unicorn')
    assert.is(status, 0)
  },
  slow,
)

test(
  'ends with the sum and exit code 1 when one file of several fails',
  () => {
    const { status, stdout, lastLine } = testCommand(['good', 'fails'])
    assert.is(lastLine, '3 passed, 3 failed, 2 skipped')
    assert.match(stdout, 'FAILED ')
    assert.is(status, 1)
  },
  slow,
)

test(
  'fails in CI what CI should have provided',
  () => {
    const { status, stdout, lastLine } = testCommand(['good'], { CI: 'true' })
    assert.is(lastLine, '2 passed, 1 failed, 1 skipped')
    assert.match(stdout, 'this test must run in CI, but needs a unicorn')
    assert.is(status, 1)
  },
  slow,
)

test(
  'fails when no test ran',
  () => {
    const { status, lastLine } = testCommand(['empty'])
    assert.is(lastLine, '0 passed, 1 failed')
    assert.is(status, 1)
  },
  slow,
)

test.run()

/**
 * Suites on top of uvu, with what uvu lacks: a deadline for every test, clean-ups that always run, skips with a reason,
 * and failure for whatever a test lets slip: an unhandled rejection, an uncaught exception, a handle left open.
 *
 * Every file runs in a process of its own, started by test/run.ts, which learns the results through report.ts.
 * A loop that never yields cannot be ended from inside; the runner's watchdog kills such a file.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { suite as uvuSuite } from 'uvu'
import { report } from './report.ts'

const DEFAULT_DEADLINE_MS = 20_000
/** All clean-ups of one test together. */
const CLEAN_UP_DEADLINE_MS = 10_000
/** Sockets and processes may take some turns to close; what is open after this is a leak. */
const LEAK_GRACE_MS = 1_000
const LEAK_POLL_MS = 10

export interface TestContext {
  /** Registers a clean-up; they run after the test in reverse order, each awaited, however the test ended. */
  defer(cleanUp: () => unknown): void
  /** Ends the test as skipped. For what this machine cannot do at all (no IPv6, another platform). */
  skip(reason: string): never
  /** Ends the test as skipped for want of something that .ci/run provides: root, a Debian package. With CI=true it fails. */
  missing(what: string): never
}

export interface TestOptions {
  readonly deadlineMs?: number
}

export interface SuiteOptions {
  /** How long the runner lets the whole file run, where its default is too short. */
  readonly watchdogMs?: number
}

export interface Suite {
  (title: string, body: (t: TestContext) => unknown, options?: TestOptions): void
  /** Closes the suite: to be called once, after its last test. */
  run(): void
}

class Skip extends Error {}

/** Errors nobody caught, and who hears of the next one: the running test. */
class StrayErrors {
  readonly #between: Error[] = []
  #listener: ((error: Error) => void) | undefined

  constructor() {
    const caught = (kind: string) => (thrown: unknown) => {
      const error = asError(thrown)
      error.message = `${kind}: ${error.message}`
      if (this.#listener) this.#listener(error)
      else this.#between.push(error)
    }
    process.on('unhandledRejection', caught('unhandled rejection'))
    process.on('uncaughtException', caught('uncaught exception'))
  }

  listen(listener: ((error: Error) => void) | undefined): void {
    this.#listener = listener
  }

  /** Those that arrived while no test was running. */
  takeBetweenTests(): Error[] {
    return this.#between.splice(0)
  }
}

const strays = new StrayErrors()
const openSuites = new Set<string>()
const openAtStart = activeResources()

/** A named suite of the running file; see Suite. */
export const suite = (name: string, options: SuiteOptions = {}): Suite => {
  const tests = uvuSuite(name)
  openSuites.add(name)
  if (options.watchdogMs !== undefined) report({ kind: 'watchdog', watchdogMs: options.watchdogMs })

  const add = (title: string, body: (t: TestContext) => unknown, testOptions: TestOptions = {}): void => {
    tests(title, async () => {
      report({ kind: 'started', title })
      const errors = await runTest(title, body, testOptions.deadlineMs ?? DEFAULT_DEADLINE_MS)
      const [first] = errors
      if (first instanceof Skip) report({ kind: 'skipped', title, reason: first.message })
      else if (first === undefined) report({ kind: 'passed', title })
      else throwAll(title, errors)
    })
  }
  const run = (): void => {
    tests('leaves nothing behind', async () => {
      openSuites.delete(name)
      if (openSuites.size > 0) return
      const leaks = await leaksOfFile()
      if (leaks.length === 0) {
        report({ kind: 'finished' })
        return
      }
      // What was left open may keep the process alive for ever; leave once uvu has printed its summary.
      setImmediate(() => process.exit(1))
      throwAll('leaves nothing behind', leaks)
    })
    tests.run()
  }
  return Object.assign(add, { run })
}

/** Runs one test with its clean-ups. Gives the errors, or a Skip alone. */
const runTest = async (title: string, body: (t: TestContext) => unknown, deadlineMs: number): Promise<Error[]> => {
  const errors: Error[] = []
  const cleanUps: (() => unknown)[] = []
  const context: TestContext = {
    defer: (cleanUp) => {
      cleanUps.push(cleanUp)
    },
    skip: (reason) => {
      throw new Skip(reason)
    },
    missing: (what) => {
      if (process.env.CI === 'true') throw new Error(`this test must run in CI, but needs ${what}`)
      throw new Skip(`needs ${what}`)
    },
  }
  try {
    await within(deadlineMs, `test "${title}" did not finish within its deadline of ${deadlineMs} ms`, () =>
      body(context),
    )
  } catch (thrown) {
    errors.push(asError(thrown))
  }
  const cleanUpDeadline = performance.now() + CLEAN_UP_DEADLINE_MS
  for (const cleanUp of cleanUps.reverse()) {
    const leftMs = Math.max(0, cleanUpDeadline - performance.now())
    try {
      await within(leftMs, `the clean-ups of "${title}" did not finish within ${CLEAN_UP_DEADLINE_MS} ms`, cleanUp)
    } catch (thrown) {
      errors.push(asError(thrown))
    }
  }
  // A skip with a failed clean-up is a failure.
  return errors.length > 1 ? errors.filter((error) => !(error instanceof Skip)) : errors
}

/** Runs `body` until it settles, the deadline passes or a stray error is raised. */
const within = async (deadlineMs: number, lateMessage: string, body: () => unknown): Promise<void> => {
  const { promise: failed, reject: fail } = promiseWithReject()
  const timer = setTimeout(() => fail(new Error(lateMessage)), deadlineMs)
  strays.listen(fail)
  try {
    // Node reports a rejection as unhandled before the next turn: wait for that turn while still listening.
    await Promise.race([failed, (async () => body())().finally(nextTurn)])
  } finally {
    clearTimeout(timer)
    strays.listen(undefined)
  }
}

const promiseWithReject = (): { promise: Promise<never>; reject: (error: Error) => void } => {
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<never>((_, rejectPromise) => {
    reject = rejectPromise
  })
  promise.catch(() => {})
  return { promise, reject }
}

/** Stray errors that no test can be blamed for, and handles still active after a grace. */
const leaksOfFile = async (): Promise<Error[]> => {
  const deadline = performance.now() + LEAK_GRACE_MS
  let open = openNow()
  while (open.length > 0 && performance.now() < deadline) {
    await sleep(LEAK_POLL_MS)
    await nextTurn()
    open = openNow()
  }
  const leaks = strays.takeBetweenTests()
  if (open.length > 0) leaks.unshift(new Error(`left open after the last test: ${open.join(', ')}`))
  return leaks
}

function activeResources(): string[] {
  // Standard streams are made on first use: touch them, so that they are never taken for a leak.
  void process.stdout
  void process.stderr
  return process.getActiveResourcesInfo()
}

/** What is active now and was not before the tests. */
const openNow = (): string[] => {
  const before = [...openAtStart]
  return activeResources().filter((resource) => {
    const index = before.indexOf(resource)
    if (index >= 0) before.splice(index, 1)
    return index < 0
  })
}

/** Reports the failure and throws the first error for uvu to print; prints what uvu would not show. */
const throwAll = (title: string, errors: readonly Error[]): never => {
  const [first, ...others] = errors
  report({ kind: 'failed', title, message: first?.message ?? '' })
  if (first?.cause !== undefined) process.stderr.write(`\n"${title}", cause: ${inspect(first.cause)}\n`)
  for (const other of others) process.stderr.write(`\n"${title}", besides: ${inspect(other)}\n`)
  throw first
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(`thrown: ${inspect(thrown)}`))

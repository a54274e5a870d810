/** What the tests of this room share: a folder that goes away, an expected error code, processes that race. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import type { TestContext } from '../support/suite.ts'

/** A calendar time for tests: 2026-01-01. */
export const NOW_MS = Date.UTC(2026, 0, 1)
export const DAY_MS = 24 * 60 * 60_000

export const temporaryFolder = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-certs-'))
  t.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Runs `body`, which must fail with this code; gives the error for a closer look. */
export const rejects = async (code: ErrorCode, body: () => unknown): Promise<SkeinError> => {
  let error: unknown
  try {
    await body()
  } catch (thrown) {
    error = thrown
  }
  if (!(error instanceof SkeinError)) throw new Error(`expected ${code}`, { cause: error })
  assert.is(error.code, code)
  return error
}

/** The same operation in several processes, released together. Gives what each printed. */
export const race = async (t: TestContext, racers: number, ...args: string[]): Promise<string[]> => {
  const script = fileURLToPath(new URL('fixtures/racer.ts', import.meta.url))
  const children = Array.from({ length: racers }, () =>
    spawn(process.execPath, ['--import', 'tsx', script, ...args], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] }),
  )
  for (const child of children) t.defer(() => child.kill('SIGKILL'))
  const outputs = children.map((child) => text(child.stdout!))
  await Promise.all(children.map(isReady))
  for (const child of children) child.stdin?.end()
  return Promise.all(outputs)
}

/** A racer writes to its fourth file descriptor when everything is loaded. */
const isReady = (child: ChildProcess): Promise<unknown> => once(child.stdio[3]!, 'data')

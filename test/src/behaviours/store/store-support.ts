/** What the tests of the stores share: places that go away, sizes and values, expected codes, small file systems. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type ErrorCode, SkeinError } from '../../../../certs/errors.ts'
import type { TestContext } from '../../../support/suite.ts'

export const temporaryFolder = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-store-'))
  t.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A folder on a file system of its own that holds about 1 MiB. `readOnly` forbids writing from then on. */
export const smallDisk = async (t: TestContext): Promise<{ folder: string; readOnly(): void }> => {
  if (process.platform !== 'linux') t.skip('small file systems are made on Linux only')
  const folder = await temporaryFolder(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'skein-test', folder], { stdio: 'ignore' })
  } catch {
    t.missing('root and the right to mount')
  }
  // Lazily: a test that failed may have left a file open.
  t.defer(() => execFileSync('umount', ['--lazy', folder]))
  return { folder, readOnly: () => void execFileSync('mount', ['-o', 'remount,ro', folder]) }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Must reject with this code, a hint and, where the system or a driver refused, a cause. */
export const rejects = async (code: ErrorCode, body: () => Promise<unknown>): Promise<SkeinError> => {
  const error = await body().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof SkeinError)) throw new Error(`expected ${code}`, { cause: error })
  assert.is(error.code, code, error.message)
  assert.ok(error.hint.length > 0)
  if (code === 'ERR_SKEIN_STORE') assert.instance(error.cause, Error)
  return error
}

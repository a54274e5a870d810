/**
 * Found by the storm `files`: listing interfaces takes a file descriptor. Without a free one the next first flight of a
 * newcomer was an exception that nobody caught, and the end of the process.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'

const test = suite('no file descriptors')

const FIXTURE = fileURLToPath(new URL('../transport/fixtures/no-descriptors.ts', import.meta.url))
/** More than Node needs to begin. */
const DESCRIPTORS = 128

test('who cannot list interfaces has none, and goes on', async (t) => {
  if (process.platform === 'win32') t.skip('there are no limits of this kind')
  const command = `ulimit -n ${DESCRIPTORS} && exec "${process.execPath}" --import tsx "${FIXTURE}"`
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.defer(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const [told] = (await Promise.race([once(child, 'message'), exited])) as [unknown]
  assert.type(told, 'object', `ended with ${String(told)}`)
  const { before, after, onLink } = told as { before: number; after: number; onLink: boolean }
  assert.ok(before > 0)
  assert.is(after, 0)
  assert.not(onLink)
  await exited
})

test.run()

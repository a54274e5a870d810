import { execFileSync } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { MAX_SECRET_FILE_BYTES, makeSecretFile, readSecretFile, replaceSecretFile } from '../../certs/secret-file.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { rejects, temporaryFolder } from './support.ts'

const test = suite('certs/secret-file')

const windows = process.platform === 'win32'
const content = (text: string): Uint8Array => new TextEncoder().encode(text)
const permissions = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)
const NOBODY = 65534

/** Runs the rest of the test as an unprivileged user. */
const becomeNobody = (t: TestContext): void => {
  t.defer(() => {
    process.seteuid?.(0)
    process.setegid?.(0)
  })
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
}

test('a file that is not there', async (t) => {
  assert.is(await readSecretFile(join(await temporaryFolder(t), 'none')), undefined)
})

test('a new file is closed to others, and so is its folder', async (t) => {
  if (windows) t.skip('Windows has no file modes')
  const folder = join(await temporaryFolder(t), 'one', 'two')
  const file = join(folder, 'secret')
  assert.equal(await makeSecretFile(file, content('mine')), content('mine'))
  assert.is(await permissions(file), '600')
  assert.is(await permissions(folder), '700')
  assert.equal(await readSecretFile(file), content('mine'))
})

test('a file that exists is kept, and no temporary file is left', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'secret')
  await makeSecretFile(file, content('first'))
  assert.equal(await makeSecretFile(file, content('second')), content('first'))
  assert.equal(await readdir(folder), ['secret'])
})

test('replacing changes the content and keeps the mode', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'secret')
  await makeSecretFile(file, content('first'))
  await replaceSecretFile(file, content('second'))
  assert.is(await readFile(file, 'utf8'), 'second')
  if (!windows) assert.is(await permissions(file), '600')
  assert.equal(await readdir(folder), ['secret'])
})

test('a failed replacement leaves no temporary file', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'secret')
  await mkdir(join(file, 'child'), { recursive: true })
  await replaceSecretFile(file, content('second')).then(
    () => assert.unreachable(),
    () => undefined,
  )
  assert.equal(await readdir(folder), ['secret'])
})

test('a file open to group or world is refused, with the way out', async (t) => {
  if (windows) t.skip('Windows has no file modes')
  const file = join(await temporaryFolder(t), 'secret')
  await writeFile(file, 'known to all')
  for (const mode of [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o777]) {
    await chmod(file, mode)
    const error = await rejects('ERR_SKEIN_INSECURE_FILE', () => readSecretFile(file))
    assert.match(error.message, `mode 0${mode.toString(8)}`)
    assert.match(error.hint, `chmod 600 ${file}`)
  }
  await chmod(file, 0o400)
  assert.equal(await readSecretFile(file), content('known to all'))
})

test('the modes of the target count, not those of a symbolic link', async (t) => {
  if (windows) t.skip('Windows has no file modes')
  const folder = await temporaryFolder(t)
  const file = join(folder, 'secret')
  await symlink(file, join(folder, 'link'))
  await writeFile(file, 'linked', { mode: 0o600 })
  assert.equal(await readSecretFile(join(folder, 'link')), content('linked'))
  await chmod(file, 0o644)
  await rejects('ERR_SKEIN_INSECURE_FILE', () => readSecretFile(join(folder, 'link')))
})

test('root may use the file of a user, as in a container', async (t) => {
  if (process.getuid?.() !== 0) t.missing('root, to give a file away')
  const file = join(await temporaryFolder(t), 'secret')
  await writeFile(file, 'mounted', { mode: 0o600 })
  await chown(file, NOBODY, NOBODY)
  assert.equal(await readSecretFile(file), content('mounted'))
})

test('root may hand a file over to a group, but not to the world', async (t) => {
  if (process.getuid?.() !== 0) t.missing('root, to give a file away')
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const file = join(folder, 'secret')
  await writeFile(file, 'handed over')
  await chown(file, 0, NOBODY)
  await chmod(file, 0o440)
  const open = join(folder, 'open')
  await writeFile(open, 'for all')
  await chmod(open, 0o444)
  becomeNobody(t)
  assert.equal(await readSecretFile(file), content('handed over'))
  await rejects('ERR_SKEIN_INSECURE_FILE', () => readSecretFile(open))
})

test('what is no small regular file is refused without waiting for it', async (t) => {
  if (windows) t.skip('there is no mkfifo')
  const folder = await temporaryFolder(t)
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', ['-m', '600', pipe])
  const large = join(folder, 'large')
  await writeFile(large, new Uint8Array(MAX_SECRET_FILE_BYTES + 1), { mode: 0o600 })
  const refusals: [string, RegExp][] = [
    [folder, /not a regular file/],
    [pipe, /not a regular file/],
    [large, /larger than/],
  ]
  for (const [path, message] of refusals) {
    const error = await readSecretFile(path).catch((thrown: unknown) => thrown)
    assert.instance(error, Error)
    assert.match(String(error), message)
  }
})

test.run()

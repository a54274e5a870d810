import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { configFolder } from '../../certs/config-folder.ts'
import { MAX_COOKIE_BYTES, MIN_COOKIE_BYTES, resolveAcceptedCookies, resolveCookie } from '../../certs/cookie.ts'
import { suite } from '../support/suite.ts'
import { race, rejects, temporaryFolder } from './support.ts'

const test = suite('certs/cookie')

const windows = process.platform === 'win32'
const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

test('the option goes before the environment, that before a named file, that before the own file', async (t) => {
  const configDir = await temporaryFolder(t)
  const file = join(configDir, 'named')
  await writeFile(file, 'from-a-named-file', { mode: 0o600 })
  const env = { SKEIN_COOKIE: 'from-the-environment', SKEIN_COOKIE_FILE: file }

  const option = await resolveCookie({ cookie: 'from-the-option', env, configDir })
  assert.is(option.source, 'option')
  assert.is(utf8(option.cookie), 'from-the-option')

  const environment = await resolveCookie({ env, configDir })
  assert.is(environment.source, 'environment')
  assert.is(utf8(environment.cookie), 'from-the-environment')

  const named = await resolveCookie({ env: { SKEIN_COOKIE_FILE: file }, configDir })
  assert.equal(named, { source: 'file', file, cookie: new Uint8Array(await readFile(file)) })
  assert.equal(await readdir(configDir), ['named'], 'no own file was made')

  const own = await resolveCookie({ env: {}, configDir })
  assert.is(own.source, 'user-file')
})

test('the own file is made once, closed to others, with 32 random bytes', async (t) => {
  const home = await temporaryFolder(t)
  const variable = windows ? 'APPDATA' : 'XDG_CONFIG_HOME'
  const env = { [variable]: join(home, 'config') }
  const file = join(home, 'config', 'skein', 'cookie')
  const first = await resolveCookie({ env })
  assert.is(first.source === 'user-file' && first.file, file)
  assert.match(utf8(first.cookie), /^[0-9a-f]{64}$/)
  assert.equal(await resolveCookie({ env }), first)
  const other = await resolveCookie({ env: { [variable]: join(home, 'other') } })
  assert.not.equal(other.cookie, first.cookie)
  if (windows) return
  assert.is((await stat(file)).mode & 0o777, 0o600)
  assert.is((await stat(join(home, 'config', 'skein'))).mode & 0o777, 0o700)
})

test(
  'processes that start at once agree on the cookie',
  async (t) => {
    const folder = join(await temporaryFolder(t), 'skein')
    const outputs = await race(t, 4, 'cookie', folder)
    const expected = `${Buffer.from((await readFile(join(folder, 'cookie'), 'utf8')).trim()).toString('hex')}\n`
    assert.equal(outputs, [expected, expected, expected, expected])
    assert.equal(await readdir(folder), ['cookie'])
  },
  { deadlineMs: 30_000 },
)

test('one newline at the end does not count, wherever the cookie comes from', async (t) => {
  const configDir = await temporaryFolder(t)
  for (const [written, meant] of [
    ['a cookie', 'a cookie'],
    ['a cookie\n', 'a cookie'],
    ['a cookie\r\n', 'a cookie'],
    ['a cookie\n\n', 'a cookie\n'],
    ['a cookie\r', 'a cookie\r'],
    [' a cookie ', ' a cookie '],
  ] as const) {
    await writeFile(join(configDir, 'cookie'), written, { mode: 0o600 })
    const found = await Promise.all([
      resolveCookie({ cookie: written, env: {} }),
      resolveCookie({ cookie: new TextEncoder().encode(written), env: {} }),
      resolveCookie({ env: { SKEIN_COOKIE: written } }),
      resolveCookie({ env: { SKEIN_COOKIE_FILE: join(configDir, 'cookie') } }),
      resolveCookie({ env: {}, configDir }),
    ])
    for (const { cookie, source } of found) assert.is(utf8(cookie), meant, `${JSON.stringify(written)} from ${source}`)
  }
})

test('any bytes will do, and the caller may reuse its buffer', async () => {
  const mine = Uint8Array.of(0, 255, 128, 10, 0, 13, 200, 1)
  const { cookie } = await resolveCookie({ cookie: mine, env: {} })
  mine.fill(0)
  assert.equal(cookie, Uint8Array.of(0, 255, 128, 10, 0, 13, 200, 1))
})

test('too short, too long and empty are refused and never fall through to the next source', async (t) => {
  const configDir = await temporaryFolder(t)
  const file = join(configDir, 'cookie')
  const good = 'good-cookie'
  const env = { SKEIN_COOKIE: good }
  for (const size of [0, 1, MIN_COOKIE_BYTES - 1, MAX_COOKIE_BYTES + 1]) {
    const cookie = 'x'.repeat(size)
    await rejects('ERR_SKEIN_BAD_COOKIE', () => resolveCookie({ cookie, env, configDir }))
    await rejects('ERR_SKEIN_BAD_COOKIE', () => resolveCookie({ env: { SKEIN_COOKIE: cookie }, configDir }))
    await writeFile(file, `${cookie}\n`, { mode: 0o600 })
    await rejects('ERR_SKEIN_BAD_COOKIE', () => resolveCookie({ env: {}, configDir }))
  }
  for (const size of [MIN_COOKIE_BYTES, MAX_COOKIE_BYTES]) {
    const { cookie } = await resolveCookie({ cookie: 'x'.repeat(size), env: {} })
    assert.is(cookie.length, size)
  }
})

test('a refusal does not repeat the cookie', async () => {
  const error = await rejects('ERR_SKEIN_BAD_COOKIE', () => resolveCookie({ cookie: 'hunter2', env: {} }))
  assert.not.match(`${error.message} ${error.hint}`, 'hunter2')
})

test('a named file that is missing, a folder or unnamed is an error, as is a folder that cannot be made', async (t) => {
  const folder = await temporaryFolder(t)
  const configDir = join(folder, 'config')
  for (const named of [join(folder, 'none'), folder, '']) {
    const error = await rejects('ERR_SKEIN_COOKIE_FILE', () =>
      resolveCookie({ env: { SKEIN_COOKIE_FILE: named }, configDir }),
    )
    assert.match(error.message, named)
  }
  await writeFile(join(folder, 'file'), '')
  await rejects('ERR_SKEIN_COOKIE_FILE', () => resolveCookie({ env: {}, configDir: join(folder, 'file', 'skein') }))
  assert.equal((await readdir(folder)).sort(), ['file'])
})

test('a cookie that others can read is refused, named or own', async (t) => {
  if (windows) t.skip('Windows has no file modes')
  const configDir = await temporaryFolder(t)
  const file = join(configDir, 'cookie')
  await resolveCookie({ env: {}, configDir })
  await chmod(file, 0o644)
  await rejects('ERR_SKEIN_INSECURE_FILE', () => resolveCookie({ env: {}, configDir }))
  await rejects('ERR_SKEIN_INSECURE_FILE', () => resolveCookie({ env: { SKEIN_COOKIE_FILE: file } }))
})

test('the folder follows the habits of the platform', () => {
  assert.is(configFolder({ XDG_CONFIG_HOME: '/xdg', HOME: '/home/me' }, 'linux'), '/xdg/skein')
  assert.is(configFolder({ XDG_CONFIG_HOME: 'relative', HOME: '/home/me' }, 'linux'), '/home/me/.config/skein')
  assert.is(configFolder({ XDG_CONFIG_HOME: '', HOME: '/home/me' }, 'darwin'), '/home/me/.config/skein')
  assert.is(configFolder({ APPDATA: 'C:\\Data', HOME: '/home/me' }, 'win32'), 'C:\\Data\\skein')
  assert.is(configFolder({ USERPROFILE: 'C:\\Me' }, 'win32'), 'C:\\Me\\AppData\\Roaming\\skein')
})

test('an own file that appears between looking and making is taken over', async (t) => {
  const configDir = join(await temporaryFolder(t), 'skein')
  await mkdir(configDir, { mode: 0o700 })
  const found = await Promise.all(Array.from({ length: 8 }, () => resolveCookie({ env: {}, configDir })))
  assert.is(new Set(found.map(({ cookie }) => utf8(cookie))).size, 1)
})

test('accepted cookies: the option, or the lines of a secret file', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'accepted')
  const env = { SKEIN_ACCEPT_COOKIES_FILE: file }
  assert.equal(await resolveAcceptedCookies({ env: {} }), [])
  await rejects('ERR_SKEIN_COOKIE_FILE', () => resolveAcceptedCookies({ env }))
  await writeFile(file, 'the first cookie\n\nthe second cookie\r\nthe third cookie', { mode: 0o600 })
  const found = await resolveAcceptedCookies({ env })
  assert.equal(found.map(utf8), ['the first cookie', 'the second cookie', 'the third cookie'])
  const given = await resolveAcceptedCookies({ env, cookies: ['by the option\n', Buffer.from('as its bytes')] })
  assert.equal(given.map(utf8), ['by the option', 'as its bytes'])
  await rejects('ERR_SKEIN_BAD_COOKIE', () => resolveAcceptedCookies({ env, cookies: ['short'] }))
  await writeFile(file, 'the first cookie\nshort\n')
  await rejects('ERR_SKEIN_BAD_COOKIE', () => resolveAcceptedCookies({ env }))
  if (windows) return
  await chmod(file, 0o644)
  await rejects('ERR_SKEIN_INSECURE_FILE', () => resolveAcceptedCookies({ env }))
})

test.run()

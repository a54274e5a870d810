/** Options and environment: which wins, what is refused, and that the page for people says the same. */
import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { resolveConfig, type StartOptions } from '../../src/config.ts'
import { configurationPage } from '../support/configuration-page.ts'
import { suite } from '../support/suite.ts'

const test = suite('config')

const resolve = (options: StartOptions = {}, env: Record<string, string> = {}) => resolveConfig(options, env, 'here')

/** For what only JavaScript callers can pass. */
const loosely = (options: object): StartOptions => options as StartOptions

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
  return 'nothing was thrown'
}

test('defaults', () => {
  const config = resolve()
  assert.is(config.name, undefined)
  assert.is(config.cluster, 'default')
  assert.is(config.port, 4433)
  assert.is(config.portFallback, true)
  assert.is(config.mesh, 'full')
  assert.is(config.hidden, false)
  assert.is(config.logLevel, 'warn')
  assert.equal(config.discovery, { mdns: true, dht: true, seeds: [], dns: undefined })
})

test('the environment fills in', () => {
  const config = resolve(
    {},
    {
      SKEIN_NAME: 'app1',
      SKEIN_CLUSTER: 'demo',
      SKEIN_HOST: '127.0.0.1',
      SKEIN_PORT: '5000',
      SKEIN_DISCOVERY: 'mdns',
      SKEIN_SEEDS: '10.0.0.1:4433, [fd00::1]:7, other.example',
      SKEIN_AUTO_CLUSTER: 'false',
      SKEIN_LOG_LEVEL: 'debug',
    },
  )
  assert.is(config.name, 'app1@here')
  assert.is(config.cluster, 'demo')
  assert.is(config.host, '127.0.0.1')
  assert.is(config.port, 5000)
  assert.is(config.portFallback, false)
  assert.is(config.mesh, 'none')
  assert.is(config.logLevel, 'debug')
  assert.equal(config.discovery, {
    mdns: true,
    dht: false,
    seeds: [
      { host: '10.0.0.1', port: 4433 },
      { host: 'fd00::1', port: 7 },
      { host: 'other.example', port: 4433 },
    ],
    dns: undefined,
  })
})

test('code beats environment', () => {
  const env = {
    SKEIN_NAME: 'env',
    SKEIN_PORT: '5000',
    SKEIN_DISCOVERY: 'none',
    SKEIN_SEEDS: '10.0.0.1:1',
    SKEIN_AUTO_CLUSTER: '0',
  }
  const config = resolve({ name: 'code@there', port: 0, mesh: 'full', discovery: { mdns: true, seeds: [] } }, env)
  assert.is(config.name, 'code@there')
  assert.is(config.port, 0)
  assert.is(config.portFallback, false)
  assert.is(config.mesh, 'full')
  assert.equal(config.discovery, { mdns: true, dht: false, seeds: [], dns: undefined })
})

test('empty variables count as absent', () => {
  assert.is(resolve({}, { SKEIN_PORT: '', SKEIN_NAME: '', SKEIN_DISCOVERY: '' }).port, 4433)
})

test('discovery as a switch', () => {
  const seeds = { SKEIN_SEEDS: '10.0.0.1:1' }
  assert.equal(resolve({ discovery: false }, seeds).discovery, { mdns: false, dht: false, seeds: [], dns: undefined })
  assert.is(resolve({ discovery: true }, { ...seeds, SKEIN_DISCOVERY: 'none' }).discovery.mdns, true)
  assert.is(resolve({ discovery: true }, seeds).discovery.seeds.length, 1)
  assert.is(resolve({ discovery: { dns: 'nodes.example' } }).discovery.dns, 'nodes.example')
})

test('a misspelt option is refused with the nearest name', () => {
  const cases = [
    [{ nmae: 'x' }, 'name'],
    [{ clutser: 'x' }, 'cluster'],
    [{ maxMessageByte: 1 }, 'maxMessageBytes'],
    [{ discovery: { mdsn: true } }, 'mdns'],
  ] as const
  for (const [options, nearest] of cases) {
    try {
      resolve(loosely(options))
      assert.unreachable()
    } catch (error) {
      assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_OPTION'))
      assert.is(error.hint, `Did you mean "${nearest}"?`)
    }
  }
  try {
    resolve(loosely({ entirelyDifferent: 1 }))
    assert.unreachable()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_OPTION'))
    assert.not.match(error.hint, 'Did you mean')
  }
})

test('every bad value has its code', () => {
  const cases: [object, string][] = [
    [{ name: '' }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: 'two words' }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: 'a@' }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: '@b' }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: 'a@b@c' }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: 'x'.repeat(65) }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: 7 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ cluster: 'no spaces' }, 'ERR_SKEIN_BAD_NAME'],
    [{ cookie: 12345678 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ identity: {} }, 'ERR_SKEIN_BAD_OPTION'],
    [{ identity: '' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ host: 'localhost' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ port: 65536 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ port: -1 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ port: 1.5 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ port: '4433' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ mesh: 'half' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ hidden: 1 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ maxMessageBytes: 10 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ maxMessageBytes: Number.NaN }, 'ERR_SKEIN_BAD_OPTION'],
    [{ logger: { info: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ logLevel: 'loud' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: 'mdns' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { mdns: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: '10.0.0.1' } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: [1] } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: ['10.0.0.1:99999'] } }, 'ERR_SKEIN_BAD_ADDRESS'],
    [{ discovery: { dns: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
  ]
  for (const [options, code] of cases)
    assert.is(
      codeOf(() => resolve(loosely(options))),
      code,
      JSON.stringify(options),
    )
  assert.is(
    codeOf(() => resolve(loosely([]))),
    'ERR_SKEIN_BAD_OPTION',
  )
  assert.is(
    codeOf(() => resolve(loosely(null as unknown as object))),
    'ERR_SKEIN_BAD_OPTION',
  )
})

test('every bad variable has its code', () => {
  const cases: [string, string, string][] = [
    ['SKEIN_PORT', 'http', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_PORT', '70000', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_DISCOVERY', 'all', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_AUTO_CLUSTER', 'maybe', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_LOG_LEVEL', 'loud', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_HOST', 'somewhere', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_SEEDS', ':1', 'ERR_SKEIN_BAD_ADDRESS'],
    ['SKEIN_NAME', 'a b', 'ERR_SKEIN_BAD_NAME'],
  ]
  for (const [name, value, code] of cases)
    assert.is(
      codeOf(() => resolve({}, { [name]: value })),
      code,
      `${name}=${value}`,
    )
})

test('docs/configuration.md is the table of the code', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  assert.is(page, configurationPage(), 'run: npx tsx test/support/configuration-page.ts > docs/configuration.md')
})

test.run()

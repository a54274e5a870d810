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

const NO_BOOTSTRAP = { bootstrap: [], network: 'private', contactsFile: undefined }

test('the preset of the failure detector: code, then variable, then lan; others are refused', () => {
  assert.is(resolve().liveness, 'lan')
  assert.is(resolve({}, { SKEIN_LIVENESS: 'wan' }).liveness, 'wan')
  assert.is(resolve({ liveness: 'edge' }, { SKEIN_LIVENESS: 'wan' }).liveness, 'edge')
  assert.is(
    codeOf(() => resolve({}, { SKEIN_LIVENESS: 'moon' })),
    'ERR_SKEIN_BAD_OPTION',
  )
})

test('port mapping: code, then variable, then no', () => {
  assert.is(resolve().portMapping, false)
  assert.is(resolve({}, { SKEIN_PORT_MAPPING: 'true' }).portMapping, true)
  assert.is(resolve({ portMapping: false }, { SKEIN_PORT_MAPPING: '1' }).portMapping, false)
  assert.is(resolve({ portMapping: true }).portMapping, true)
  assert.is(resolve().busyPoll, true)
  assert.is(resolve({}, { SKEIN_BUSY_POLL: 'false' }).busyPoll, false)
  assert.is(resolve({ busyPoll: true }, { SKEIN_BUSY_POLL: 'false' }).busyPoll, true)
  assert.is(
    codeOf(() => resolve({}, { SKEIN_PORT_MAPPING: 'yes' })),
    'ERR_SKEIN_BAD_OPTION',
  )
})

test('relaying: code, then variable, then yes; a rate is within its range', () => {
  assert.is(resolve().relay, true)
  assert.is(resolve({}, { SKEIN_RELAY: 'false' }).relay, false)
  assert.is(resolve({}, { SKEIN_RELAY: '1' }).relay, true)
  assert.is(resolve({ relay: true }, { SKEIN_RELAY: '0' }).relay, true)
  assert.equal(resolve({ relay: { bytesPerSecond: 65_536 } }).relay, { bytesPerSecond: 65_536 })
  assert.equal(resolve({ relay: { bytesPerSecond: 2 ** 30 } }, { SKEIN_RELAY: '0' }).relay, { bytesPerSecond: 2 ** 30 })
})

test('listening on TCP: code, then variable, then no', () => {
  assert.is(resolve().tcp, false)
  assert.is(resolve({}, { SKEIN_TCP: 'true' }).tcp, true)
  assert.is(resolve({}, { SKEIN_TCP: '0' }).tcp, false)
  assert.is(resolve({ tcp: false }, { SKEIN_TCP: '1' }).tcp, false)
  const bad = [() => resolve({}, { SKEIN_TCP: 'yes' }), () => resolve(loosely({ tcp: 1 }))]
  for (const work of bad) assert.is(codeOf(work), 'ERR_SKEIN_BAD_OPTION')
})

test('defaults', () => {
  const config = resolve()
  assert.is(config.name, undefined)
  assert.is(config.cluster, 'default')
  assert.is(config.port, 4433)
  assert.is(config.portFallback, true)
  assert.is(config.strategy.mesh, 'full')
  assert.is(config.hidden, false)
  assert.is(config.logLevel, 'warn')
  assert.equal(config.discovery, { mdns: true, dht: NO_BOOTSTRAP, seeds: [], dns: [] })
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
      SKEIN_DNS: '_skein._udp.nodes.example, nodes.example:7',
      SKEIN_AUTO_CLUSTER: 'false',
      SKEIN_LOG_LEVEL: 'debug',
    },
  )
  assert.is(config.name, 'app1@here')
  assert.is(config.cluster, 'demo')
  assert.is(config.host, '127.0.0.1')
  assert.is(config.port, 5000)
  assert.is(config.portFallback, false)
  assert.is(config.strategy.mesh, 'none')
  assert.is(config.logLevel, 'debug')
  assert.equal(config.discovery, {
    mdns: true,
    dht: undefined,
    seeds: [
      { host: '10.0.0.1', port: 4433 },
      { host: 'fd00::1', port: 7 },
      { host: 'other.example', port: 4433 },
    ],
    dns: ['_skein._udp.nodes.example', 'nodes.example:7'],
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
  assert.is(config.strategy.mesh, 'full')
  assert.equal(config.discovery, { mdns: true, dht: undefined, seeds: [], dns: [] })
})

test('empty variables count as absent', () => {
  assert.is(resolve({}, { SKEIN_PORT: '', SKEIN_NAME: '', SKEIN_DISCOVERY: '' }).port, 4433)
})

test('discovery as a switch', () => {
  const seeds = { SKEIN_SEEDS: '10.0.0.1:1' }
  assert.equal(resolve({ discovery: false }, seeds).discovery, { mdns: false, dht: undefined, seeds: [], dns: [] })
  assert.is(resolve({ discovery: true }, { ...seeds, SKEIN_DISCOVERY: 'none' }).discovery.mdns, true)
  assert.is(resolve({ discovery: true }, seeds).discovery.seeds.length, 1)
  assert.equal(resolve({ discovery: { dns: 'nodes.example' } }).discovery.dns, ['nodes.example'])
  assert.equal(resolve({ discovery: { dns: ['a.example', 'b.example'] } }).discovery.dns, ['a.example', 'b.example'])
  for (const [kinds, mdns, dht] of [
    ['mdns', true, false],
    ['dht', false, true],
    ['both', true, true],
    ['none', false, false],
  ] as const) {
    const { discovery } = resolve({}, { SKEIN_DISCOVERY: kinds })
    assert.equal([discovery.mdns, discovery.dht !== undefined], [mdns, dht], kinds)
  }
})

test('the DHT: on and private by default, its bootstrap addresses from the environment or from code', () => {
  const env = { SKEIN_BOOTSTRAP: '10.0.0.1:6881, boot.example' }
  const given = [
    { host: '10.0.0.1', port: 6881 },
    { host: 'boot.example', port: 4433 },
  ]
  assert.equal(resolve({}, env).discovery.dht, { ...NO_BOOTSTRAP, bootstrap: given })
  assert.equal(resolve({ discovery: { dht: true } }, env).discovery.dht?.bootstrap, given)
  const file = '/var/lib/app/contacts'
  const dht = { bootstrap: ['10.0.0.2:1'], network: 'public', contactsFile: file } as const
  assert.equal(resolve({ discovery: { dht } }, env).discovery.dht, {
    bootstrap: [{ host: '10.0.0.2', port: 1 }],
    network: 'public',
    contactsFile: file,
  })
})

test('the strategy: code beats environment, mesh beats the mesh of the strategy', () => {
  assert.equal(resolve().strategy, {
    pollIntervalMs: 60_000,
    connectTimeoutMs: 3000,
    mesh: 'full',
    fullMeshNodes: 128,
    preventOverlappingPartitions: true,
  })
  const strategy = {
    pollIntervalMs: 5000,
    connectTimeoutMs: 500,
    mesh: 'none',
    fullMeshNodes: 20,
    preventOverlappingPartitions: false,
  } as const
  assert.equal(resolve({ strategy }).strategy, strategy)
  assert.is(resolve({ strategy, mesh: 'full' }).strategy.mesh, 'full')
  assert.is(resolve({ strategy: { autoCluster: false } }).strategy.mesh, 'none')
  assert.is(resolve({ strategy: { autoCluster: true } }, { SKEIN_AUTO_CLUSTER: '0' }).strategy.mesh, 'full')
  const wants = (): boolean => true
  assert.is(resolve({ mesh: wants }).strategy.mesh, wants)
})

test('compression: off unless asked for', () => {
  assert.is(resolve().compression, undefined)
  assert.equal(resolve({ compression: { aboveBytes: 16_384 } }).compression, { aboveBytes: 16_384 })
})

test('a misspelt option is refused with the nearest name', () => {
  const cases = [
    [{ nmae: 'x' }, 'name'],
    [{ clutser: 'x' }, 'cluster'],
    [{ maxMessageByte: 1 }, 'maxMessageBytes'],
    [{ discovery: { mdsn: true } }, 'mdns'],
    [{ discovery: { dht: { bootstrp: [] } } }, 'bootstrap'],
    [{ strategy: { pollInterval: 1 } }, 'pollIntervalMs'],
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
    [{ portMapping: 'yes' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ busyPoll: 1 as never }, 'ERR_SKEIN_BAD_OPTION'],
    [{ relay: 'yes' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ relay: {} }, 'ERR_SKEIN_BAD_OPTION'],
    [{ relay: { bytesPerSecond: 65_535 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ relay: { bytesPerSecond: 2 ** 30 + 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ relay: { bytesPerSecond: 100_000, burst: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ maxMessageBytes: 10 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ compression: true }, 'ERR_SKEIN_BAD_OPTION'],
    [{ compression: {} }, 'ERR_SKEIN_BAD_OPTION'],
    [{ compression: { aboveBytes: 100 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ compression: { aboveBytes: 8192, level: 9 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ maxMessageBytes: Number.NaN }, 'ERR_SKEIN_BAD_OPTION'],
    [{ logger: { info: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ logLevel: 'loud' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: 'mdns' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { mdns: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: '10.0.0.1' } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: [1] } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: ['10.0.0.1:99999'] } }, 'ERR_SKEIN_BAD_ADDRESS'],
    [{ discovery: { dns: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { dns: 'two words' } }, 'ERR_SKEIN_BAD_ADDRESS'],
    [{ discovery: { dns: Array.from({ length: 17 }, () => 'a') } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { dht: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { dht: { network: 'secret' } } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { dht: { bootstrap: ['x:0'] } } }, 'ERR_SKEIN_BAD_ADDRESS'],
    [{ discovery: { dht: { contactsFile: 1 } } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: 1 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { pollIntervalMs: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { connectTimeoutMs: '1' } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { fullMeshNodes: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { preventOverlappingPartitions: 1 } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { mesh: 'half' } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { autoCluster: 'yes' } }, 'ERR_SKEIN_BAD_OPTION'],
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

test('what may be a secret is not shown where it was given in the wrong place', () => {
  const cases: object[] = [
    { acceptCookies: 'hunter2hunter2' },
    { acceptCookies: ['hunter2hunter2', 7] },
    { cookie: { hunter2: 'hunter2hunter2' } },
    { identity: '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n' },
  ]
  for (const options of cases) {
    try {
      resolve(loosely(options))
      assert.unreachable()
    } catch (error) {
      assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_OPTION'))
      assert.not.match(error.message + error.hint, 'hunter2')
    }
  }
})

test('every bad variable has its code', () => {
  const cases: [string, string, string][] = [
    ['SKEIN_PORT', 'http', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_PORT', '70000', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_DISCOVERY', 'all', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_AUTO_CLUSTER', 'maybe', 'ERR_SKEIN_BAD_OPTION'],
    ['SKEIN_RELAY', 'maybe', 'ERR_SKEIN_BAD_OPTION'],
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

/** The configuration file: what it may say, what beats it, what is refused, and two processes that start by one. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import * as assert from 'uvu/assert'
import { isSkeinError, type SkeinError } from '../../certs/errors.ts'
import type { StartOptions } from '../../src/config.ts'
import { type LoadedConfig, loadConfig } from '../../src/config-file.ts'
import { startNode } from '../../src/start.ts'
import { EXAMPLE_FILE } from '../support/configuration-page.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { Cli, freshSettings, runCli } from './cli/cli-support.ts'

const test = suite('configuration file', { watchdogMs: 400_000 })

const DEADLINE_MS = 240_000

const folderOf = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-config-'))
  t.defer(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Text as it is, anything else as JSON. */
const fileWith = (t: TestContext, content: unknown): string => {
  const file = join(folderOf(t), 'skein.json')
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

const COOKIE = 'a cookie of the file'
const LOCAL = { cluster: 'by-file', host: '127.0.0.1', port: 0, discovery: false } as const

/** What a node named a starts by, its cookie beside it. */
const fileOfNode = (t: TestContext): string => {
  const file = fileWith(t, { ...LOCAL, name: 'a', cookieFile: 'c' })
  writeFileSync(join(file, '..', 'c'), COOKIE, { mode: 0o600 })
  return file
}

const load = (file: string, options: object = {}, env: Record<string, string> = {}): Promise<LoadedConfig> =>
  loadConfig({ ...options, configFile: file } as StartOptions, env, 'here')

const failureOf = async (work: Promise<unknown>): Promise<SkeinError> => {
  const error = await work.then(
    () => new Error('it was taken'),
    (thrown: unknown) => thrown,
  )
  if (isSkeinError(error)) return error
  throw error
}

/** Refused with the name of the file in the message. */
const refusal = async (t: TestContext, content: unknown, options: object = {}): Promise<SkeinError> => {
  const file = fileWith(t, content)
  const failure = await failureOf(load(file, options))
  assert.ok(failure.message.startsWith(`${file}: `), failure.message)
  return failure
}

test('the example of the page, with paths that count from its folder', async (t) => {
  const file = fileWith(t, EXAMPLE_FILE)
  const folder = join(file, '..')
  const { config, environment } = await load(file)
  assert.is(config.name, 'app1@here')
  assert.is(config.cluster, 'shop')
  assert.is(config.port, 4433)
  assert.is(config.portFallback, false)
  assert.is(config.liveness, 'wan')
  assert.is(config.identity, join(folder, 'identity.pem'))
  assert.equal(config.allow, { preset: 'strict', rules: [] })
  assert.equal(config.discovery, {
    mdns: false,
    dht: { bootstrap: [], network: 'private', contactsFile: join(folder, 'contacts') },
    seeds: [{ host: '10.0.0.7', port: 4433 }],
    dns: [],
  })
  assert.equal(environment, { SKEIN_COOKIE_FILE: join(folder, 'cookie') })
})

test('code beats environment beats file beats default', async (t) => {
  const file = fileWith(t, {
    cluster: 'file',
    host: '127.0.0.1',
    liveness: 'wan',
    tcp: true,
    maxMessageBytes: 4096,
    discovery: {
      mdns: false,
      seeds: ['10.0.0.1'],
      dns: 'file.example',
      dht: { bootstrap: ['10.0.0.2'], network: 'public' },
    },
    strategy: { pollIntervalMs: 5000, fullMeshNodes: 20, autoCluster: false },
    logLevel: 'info',
    cookieFile: '/run/cookie',
  })
  const env = {
    SKEIN_LIVENESS: 'edge',
    SKEIN_TCP: 'false',
    SKEIN_SEEDS: '10.0.0.3',
    SKEIN_BOOTSTRAP: '10.0.0.4',
    SKEIN_COOKIE_FILE: '/run/other',
  }
  const options = { liveness: 'local', discovery: { dns: 'code.example' }, strategy: { fullMeshNodes: 30 } }
  const { config, environment } = await load(file, options, env)
  assert.is(config.cluster, 'file')
  assert.is(config.host, '127.0.0.1')
  assert.is(config.liveness, 'local')
  assert.is(config.tcp, false)
  assert.is(config.maxMessageBytes, 4096)
  assert.is(config.relay, true)
  assert.equal(config.discovery, {
    mdns: false,
    dht: { bootstrap: [{ host: '10.0.0.4', port: 4433 }], network: 'public', contactsFile: undefined },
    seeds: [{ host: '10.0.0.3', port: 4433 }],
    dns: ['code.example'],
  })
  const { pollIntervalMs, fullMeshNodes, mesh } = config.strategy
  assert.equal([pollIntervalMs, fullMeshNodes, mesh], [5000, 30, 'none'])
  assert.is((await load(file, {}, { SKEIN_AUTO_CLUSTER: 'true' })).config.strategy.mesh, 'full')
  assert.is((await load(file, { mesh: 'full' })).config.strategy.mesh, 'full')
  assert.is(config.logLevel, 'info')
  assert.is(environment.SKEIN_COOKIE_FILE, '/run/other')
})

test('SKEIN_CONFIG names it too; an empty one does not, and code comes first', async (t) => {
  const file = fileWith(t, { cluster: 'one' })
  const other = fileWith(t, { cluster: 'two' })
  const clusterOf = async (options: StartOptions, env: Record<string, string>): Promise<string> =>
    (await loadConfig(options, env, 'here')).config.cluster
  assert.is(await clusterOf({}, { SKEIN_CONFIG: file }), 'one')
  assert.is(await clusterOf({ configFile: other }, { SKEIN_CONFIG: file }), 'two')
  assert.is(await clusterOf({}, { SKEIN_CONFIG: '' }), 'default')
})

test('what the file switched off can be switched on again, with its settings', async (t) => {
  const file = fileWith(t, { discovery: { dht: { contactsFile: '/run/contacts' } } })
  const off = await load(file, {}, { SKEIN_DISCOVERY: 'none' })
  assert.is(off.config.discovery.dht, undefined)
  const on = await load(file, { discovery: { dht: true } }, { SKEIN_DISCOVERY: 'none' })
  assert.is(on.config.discovery.dht?.contactsFile, '/run/contacts')
  const silent = fileWith(t, { discovery: false })
  assert.equal((await load(silent)).config.discovery, { mdns: false, dht: undefined, seeds: [], dns: [] })
  assert.is((await load(silent, {}, { SKEIN_DISCOVERY: 'mdns' })).config.discovery.mdns, true)
})

test('a tool does not pass for the node that the file is about', async (t) => {
  const file = fileWith(t, EXAMPLE_FILE)
  const { config, environment } = await load(file, { hidden: true })
  assert.is(config.name, undefined)
  assert.is(config.identity, undefined)
  assert.is(config.portFallback, true)
  assert.is(config.discovery.dht?.contactsFile, undefined)
  assert.is(config.discovery.seeds.length, 1)
  assert.is(config.cluster, 'shop')
  assert.is(environment.SKEIN_COOKIE_FILE, join(file, '..', 'cookie'))
})

test('what is misspelt is refused with the nearest name and that of the file', async (t) => {
  const cases: [object, string][] = [
    [{ clutser: 'x' }, 'cluster'],
    [{ cokieFile: 'x' }, 'cookieFile'],
    [{ discovery: { mdsn: true } }, 'mdns'],
    [{ discovery: { dht: { bootstrp: [] } } }, 'bootstrap'],
    [{ strategy: { pollInterval: 1 } }, 'pollIntervalMs'],
    [{ allow: [{ nodes: '*', spwan: 'all' }] }, 'spawn'],
  ]
  for (const [content, nearest] of cases) {
    const { code, hint } = await refusal(t, content)
    assert.equal([code, hint], ['ERR_SKEIN_BAD_OPTION', `Did you mean "${nearest}"?`])
  }
})

test('a bad value is refused, also where code overrides it', async (t) => {
  const cases: [object, string][] = [
    [{ port: '4433' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ name: 'two words' }, 'ERR_SKEIN_BAD_NAME'],
    [{ name: 7 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: { seeds: ['x:0'] } }, 'ERR_SKEIN_BAD_ADDRESS'],
    [{ discovery: { dht: { contactsFile: 1 } } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ discovery: 'none' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: { mesh: 'half' } }, 'ERR_SKEIN_BAD_OPTION'],
    [{ strategy: [] }, 'ERR_SKEIN_BAD_OPTION'],
    [{ identity: '' }, 'ERR_SKEIN_BAD_OPTION'],
    [{ cookieFile: 1 }, 'ERR_SKEIN_BAD_OPTION'],
    [{ revoked: ['nobody'] }, 'ERR_SKEIN_BAD_OPTION'],
  ]
  for (const [content, code] of cases) {
    const failure = await refusal(t, content, { name: 'a', port: 0, discovery: false })
    assert.is(failure.code, code, JSON.stringify(content))
  }
  assert.is((await failureOf(load(7 as never))).code, 'ERR_SKEIN_BAD_OPTION')
})

test('secrets and objects of the program are not for a file', async (t) => {
  const cases: [object, RegExp][] = [
    [{ cookie: 'a secret of many' }, /"cookieFile"/],
    [{ acceptCookies: ['a secret of many'] }, /"acceptCookiesFile"/],
    [{ logger: {} }, /startNode/],
    [{ tracing: {} }, /startNode/],
    [{ configFile: 'other.json' }, /SKEIN_CONFIG/],
  ]
  for (const [content, hint] of cases) {
    const failure = await refusal(t, content)
    assert.is(failure.code, 'ERR_SKEIN_BAD_OPTION')
    assert.match(failure.hint, hint)
    assert.not.match(failure.message, 'a secret')
  }
  const key = { identity: { nodeId: 'x', privateKeyPem: 'y' } }
  assert.is((await refusal(t, key)).code, 'ERR_SKEIN_BAD_OPTION')
})

test('what is no JSON object, or no file, has a code', async (t) => {
  const folder = folderOf(t)
  mkdirSync(join(folder, 'folder'))
  const files = [
    ...['', '{', '[]', '7', 'null', '"name"', '{ "name": null }', '{ "discovery": { "dht": null } }'].map((text) =>
      fileWith(t, text),
    ),
    fileWith(t, `{ "name": "${'x'.repeat(8 * 1024 * 1024)}" }`),
    join(folder, 'folder'),
    join(folder, 'missing.json'),
  ]
  for (const file of files) {
    const { code, message } = await failureOf(load(file))
    assert.is(code, 'ERR_SKEIN_CONFIG_FILE', file)
    assert.ok(message.includes(file), message)
    assert.ok(message.length < 1000)
  }
  assert.is((await load(fileWith(t, '\uFEFF{ "cluster": "marked" }'))).config.cluster, 'marked')
})

test('an error in the JSON is told by its line; what stands there, which may be a cookie, is not', async (t) => {
  const cases: [string, number][] = [
    ['hunter2hunter2\n', 1],
    ['1234hunter2\n', 1],
    ['{\n  "cluster": "hunter2",\n}', 3],
    ['{\n  "cluster": "hunter2"\n  "port": 1\n}', 3],
    ['{\n  "cluster": hunter2,\n  "port": 1\n}\n\n', 2],
    ['{\n\n\n  "cluster": \'hunter2\'\n}', 4],
    ['{ "cluster": "hunter2\n" }', 1],
    ['[1,\n,"hunter2"]', 2],
    ['\uFEFFhunter2', 1],
  ]
  for (const [content, line] of cases) {
    const file = fileWith(t, content)
    const error = await failureOf(load(file))
    assert.is(error.code, 'ERR_SKEIN_CONFIG_FILE')
    assert.ok(error.message.endsWith(` in line ${line}`), error.message)
    assert.not.match(inspect(error, { depth: 9 }), 'unter')
  }
  assert.match((await failureOf(load(fileWith(t, '{ "name": "x"')))).message, /not valid JSON: Expected .* in line 1$/)
})

test('a file that every user can change is refused', async (t) => {
  if (process.platform === 'win32') t.skip('Windows has no such modes')
  const file = fileWith(t, { cluster: 'x' })
  for (const mode of [0o666, 0o602]) {
    chmodSync(file, mode)
    const { code, hint } = await failureOf(load(file))
    assert.equal([code, hint], ['ERR_SKEIN_INSECURE_FILE', `Run chmod o-w ${file}`])
  }
  for (const mode of [0o664, 0o644, 0o600, 0o440]) {
    chmodSync(file, mode)
    assert.is((await load(file)).config.cluster, 'x')
  }
})

test('a node takes its cluster, port and cookie from a file', async (t) => {
  const file = fileOfNode(t)
  const node = await startNode({ configFile: file, logLevel: 'silent' })
  t.defer(() => node.stop())
  const [address] = node.addresses
  assert.match(node.name, /^a@/)
  // Only who has the same cookie and cluster is let in.
  const other = await startNode({ ...LOCAL, cookie: COOKIE, logLevel: 'silent' })
  t.defer(() => other.stop())
  assert.is(await other.connect(`${address?.host}:${address?.port}`), node.name)
})

test(
  'a node and a tool by --config and SKEIN_CONFIG, in processes of their own',
  async (t) => {
    const file = fileOfNode(t)
    const node = new Cli(t, ['start', '--config', file, '--json'], {})
    const { name, addresses } = await node.printed({ type: 'started' })
    const [address] = addresses as string[]
    const asked = ['call', String(address), 'echo', '7']
    const [byVariable, byOption, stranger] = await Promise.all([
      runCli(t, asked, { SKEIN_CONFIG: file }),
      runCli(t, [...asked, '--config', file], {}),
      runCli(t, asked, { ...freshSettings(), SKEIN_CONFIG: file }),
    ])
    assert.match(String(name), /^a@/)
    assert.equal([byVariable.code, byVariable.stdout, byVariable.stderr], [0, '7\n', ''])
    assert.equal([byOption.code, byOption.stdout, byOption.stderr], [0, '7\n', ''])
    assert.is(stranger.code, 1, 'the environment gives another cookie')
    const wrong = fileWith(t, { nmae: 'b' })
    const refused = await runCli(t, ['start', '--config', wrong], {})
    assert.is(refused.code, 2)
    assert.match(refused.stderr, /nmae(.|\n)*Did you mean "name"/)
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

/**
 * How every command that talks to a cluster fails: settings that cannot be, nobody there, and a node that refuses.
 *
 * The commands run in this process, since a case is over in a moment then; that a process tells a failure on stderr, and by
 * its exit code, is tested beside each command. The node that refuses is a process of its own.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { isSkeinError, type SkeinError } from '../../../certs/errors.ts'
import { describeFailure, exitCodeFor } from '../../../src/cli/failure.ts'
import { encodeToken } from '../../../src/cli/invitation-token.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'
import { failureOf, program, shown } from './program-support.ts'

const DEADLINE_MS = 240_000

const test = suite('cli failures', { watchdogMs: 900_000 })

const TOKEN = encodeToken({
  secret: new Uint8Array(32).fill(7),
  endMs: 4_000_000_000_000,
  addresses: [{ host: '127.0.0.1', port: 9 }],
})

/** Commands that look for a node, with arguments that are sound. */
const TOOLS: readonly (readonly string[])[] = [
  ['nodes'],
  ['ping', 'a'],
  ['top', '--once'],
  ['top', 'a', '--once'],
  ['observer', '--page-port', '0'],
  ['dht'],
  ['dht', '--node', 'a'],
  ['events'],
  ['events', 'a'],
  ['call', 'a', 'echo', '1'],
  ['spawn', 'a', 'echo'],
  ['attach', 'a', '--eval', '1'],
  ['bench', 'a', '--for', '1s'],
  ['invite'],
]

/** Those and the others that take the options of every command. */
const ALL: readonly (readonly string[])[] = [
  ...TOOLS,
  ['dht', 'find', 'a'],
  ['start', '--port', '0'],
  ['start', '--bootstrap', '--port', '0'],
  ['join', TOKEN, '--port', '0'],
  ['doctor'],
]

/** A folder with a cookie, and settings by which nobody is looked for but seeds that are given. */
const withSettings = async (t: TestContext) => {
  const { SKEIN_CLUSTER: cluster, SKEIN_COOKIE: cookie = '', ...others } = freshSettings()
  const folder = await mkdtemp(join(tmpdir(), 'skein-failures-'))
  t.defer(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'cookie'), cookie, { mode: 0o600 })
  const config = join(folder, 'skein.json')
  const settings = { cluster, host: '127.0.0.1', discovery: false, cookieFile: 'cookie' }
  await writeFile(config, JSON.stringify(settings))
  return {
    folder,
    config: ['--config', config],
    settings: { ...others, SKEIN_CLUSTER: cluster ?? '', SKEIN_COOKIE: cookie },
  }
}

const coded = async (args: readonly string[]): Promise<SkeinError> => {
  const error = await failureOf(args)
  if (!isSkeinError(error)) throw error
  // As programs read it.
  const [told] = jsonLines(describeFailure(error, true))
  assert.equal([told?.code, told?.message, told?.hint], [error.code, error.message, error.hint], args.join(' '))
  return error
}

test('every command that is shown is in the list, or takes no options of a cluster', () => {
  const listed = new Set(ALL.map((args) => (args[1] === 'find' ? 'dht find' : (args[0] ?? ''))))
  const shared = shown(program()).filter(([, { options }]) => options.some(({ long }) => long === '--cookie-file'))
  assert.equal(shared.map(([path]) => path.trim()).sort(), [...listed].sort())
})

test(
  'options that cannot be, each command: the option or the value is named, and the exit code is 2',
  async (t) => {
    const { config } = await withSettings(t)
    const cases: readonly (readonly [option: readonly string[], code: string, named: string])[] = [
      [['--seed', 'a:b:c'], 'ERR_SKEIN_BAD_ADDRESS', 'a:b:c'],
      [['--dht', 'host:99999'], 'ERR_SKEIN_BAD_ADDRESS', 'host:99999'],
      [['--host', 'localhost'], 'ERR_SKEIN_BAD_OPTION', 'host'],
      [['--cluster', 'two words'], 'ERR_SKEIN_BAD_NAME', 'two words'],
    ]
    for (const args of ALL) {
      for (const [option, code, named] of cases) {
        // A DHT node joins no cluster and has no seeds; who joins is told the cluster, and may not name one.
        if (args.includes('--bootstrap') && ['--seed', '--cluster'].includes(option[0] ?? '')) continue
        if (args[0] === 'join' && option[0] === '--cluster') continue
        const error = await coded([...args, ...config, ...option])
        const what = [...args, ...option].join(' ')
        assert.equal([error.code, exitCodeFor(error)], [code, 2], what)
        assert.match(error.message, named, what)
      }
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'files that are not there, or are no such files, each command: the file is named, and the exit code is 1',
  async (t) => {
    const { folder, config } = await withSettings(t)
    const none = join(folder, 'none')
    const garbage = join(folder, 'garbage')
    await writeFile(garbage, 'something else', { mode: 0o600 })
    const cases: readonly (readonly [option: string, file: string, code: string])[] = [
      ['--config', none, 'ERR_SKEIN_CONFIG_FILE'],
      ['--config', garbage, 'ERR_SKEIN_CONFIG_FILE'],
      ['--cookie-file', none, 'ERR_SKEIN_COOKIE_FILE'],
      ['--identity', garbage, 'ERR_SKEIN_BAD_IDENTITY'],
      ['--ca', none, 'ERR_SKEIN_BAD_AUTHORITY'],
    ]
    for (const args of ALL) {
      for (const [option, file, code] of cases) {
        // What doctor finds in a file is a finding; join makes the cookie file, and a DHT node has none of these.
        const isOwnWay = ['doctor', 'join'].includes(args[0] ?? '') || args.includes('--bootstrap')
        if (isOwnWay && option !== '--config') continue
        // Where an authority decides, an invitation is not enough: said before the file is read.
        if (args[0] === 'invite' && option === '--ca') continue
        const error = await coded([...args, ...(option === '--config' ? [] : config), option, file])
        const what = [...args, option, file].join(' ')
        assert.equal([error.code, exitCodeFor(error)], [code, 1], what)
        assert.match(error.message, file, what)
      }
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'nobody there, each tool: what was tried and what to do',
  async (t) => {
    const { config } = await withSettings(t)
    const check = async (args: readonly string[]): Promise<void> => {
      const error = await coded([...args, ...config, '--seed', '127.0.0.1:9'])
      assert.equal([error.code, exitCodeFor(error)], ['ERR_SKEIN_CONNECT_FAILED', 1], args.join(' '))
      assert.match(error.message, /^No node of cluster "test-/)
      assert.is(error.attempts[0]?.what, '127.0.0.1:9')
      assert.match(error.hint, 'skein start --name a')
    }
    // Each waits for as long as a dial takes to fail.
    await Promise.all(TOOLS.map(check))
    const found = await coded(['dht', 'find', 'a', ...config, '--seed', '127.0.0.1:9'])
    assert.equal([found.code, exitCodeFor(found)], ['ERR_SKEIN_NODE_UNKNOWN', 1])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node that nobody knows, each tool that takes a name: the names that there are',
  async (t) => {
    const { config, settings } = await withSettings(t)
    const a = await startCli(t, ['--name', 'alpha'], settings)
    for (const args of TOOLS.filter((args) => args.includes('a'))) {
      const named = args.map((word) => (word === 'a' ? 'alhpa' : word))
      const error = await coded([...named, ...config, '--seed', a.address])
      assert.equal([error.code, exitCodeFor(error)], ['ERR_SKEIN_NODE_UNKNOWN', 1], named.join(' '))
      assert.is(error.hint, `Did you mean alpha@${hostname()}? The cluster has alpha@${hostname()}.`)
    }
    const noDht = await coded(['dht', ...config, '--seed', a.address])
    assert.equal([noDht.code, exitCodeFor(noDht)], ['ERR_SKEIN_NODE_UNKNOWN', 1])
    assert.match(noDht.message, `alpha@${hostname()} takes part in no DHT.`)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node that allows nothing, each tool that asks it for something',
  async (t) => {
    const { folder, config, settings } = await withSettings(t)
    const file = join(folder, 'strict.json')
    await writeFile(file, JSON.stringify({ allow: 'strict' }))
    const a = await startCli(t, ['--name', 'a', '--attach', '--config', file], settings)
    const { address } = a
    // By its address, where it can be: for a name they ask who is there, and that is refused already.
    const refused: readonly (readonly string[])[] = [
      ['nodes'],
      ['ping', 'a'],
      ['top', '--once'],
      ['dht', '--node', address],
      ['events', address],
      ['call', address, 'echo', '1'],
      ['spawn', address, 'echo'],
      ['attach', address, '--eval', '1'],
      ['bench', address, '--for', '1s'],
      ['invite'],
    ]
    for (const args of refused) {
      const error = await coded([...args, ...config, '--seed', address])
      assert.equal([error.code, exitCodeFor(error)], ['ERR_SKEIN_FORBIDDEN', 1], args.join(' '))
    }
    // This one shows the code in the place of what it was not told.
    const top = await runCli(t, ['top', address, '--once', '--json'], settings)
    assert.equal([top.code, top.stderr], [0, ''])
    assert.match(top.stdout, '"code":"ERR_SKEIN_FORBIDDEN"')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

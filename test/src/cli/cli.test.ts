/**
 * The command line with real processes: nodes that stay, tools that ask them, and how commands fail.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { lan } from '../../support/lan.ts'
import { suite } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'

/** Each command is a process that compiles itself first. */
const DEADLINE_MS = 240_000

const test = suite('cli', { watchdogMs: 1_200_000 })

test(
  'two nodes find each other through a seed, tools talk to them, and each learns when the other stops',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const b = await startCli(t, ['--name', 'b', '--seed', a.address], settings)
    const [nameA, nameB] = [`a@${hostname()}`, `b@${hostname()}`]
    const up = await a.cli.printed({ type: 'nodeup', node: nameB, hidden: false })
    assert.match(String(up.incarnation), /^[0-9a-f]{16}$/)
    await b.cli.printed({ type: 'nodeup', node: nameA, hidden: false })

    const tool = (...args: string[]) => runCli(t, [...args, '--seed', a.address], settings)
    const [nodes, forPeople, ping, call] = await Promise.all([
      tool('nodes', '--json'),
      tool('nodes'),
      tool('ping', 'b', '--json'),
      tool('call', 'b', 'echo', '{"hello": [1, null, "x"]}', '--json'),
    ])
    assert.equal(
      [nodes, forPeople, ping, call].map(({ code, stderr }) => [code, stderr]),
      Array(4).fill([0, '']),
    )
    assert.equal(
      jsonLines(nodes.stdout).map(({ name, address }) => [name, address]),
      [
        [nameA, a.address],
        [nameB, b.address],
      ],
    )
    assert.match(forPeople.stdout, /^NAME +ADDRESS +ID +INCARNATION\n/)
    assert.ok(forPeople.stdout.endsWith(`2 nodes in cluster ${settings.SKEIN_CLUSTER}\n`))
    const [pinged] = jsonLines(ping.stdout)
    assert.is(pinged?.node, nameB)
    assert.type(pinged?.rttMs, 'number')
    assert.is(call.stdout, '{"hello":[1,null,"x"]}\n')

    b.cli.signal('SIGTERM')
    await a.cli.printed({ type: 'nodedown', node: nameB, reason: 'shutdown' })
    const endB = await b.cli.ended
    assert.equal([endB.code, endB.stderr], [0, ''])
    assert.equal(jsonLines(endB.stdout).at(-1), { type: 'stopped', name: nameB })
    a.cli.signal('SIGINT')
    assert.is((await a.cli.ended).code, 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'nodes and tools of one machine find each other through multicast alone, and speak to people',
  async (t) => {
    const [host] = lan(t, 1, { loopbackOnly: true })
    const settings = { ...freshSettings(), SKEIN_DISCOVERY: 'mdns' }
    const a = new Cli(t, ['start', '--name', 'a'], settings, host?.spawn)
    const b = new Cli(t, ['start', '--name', 'b', '--port', '0'], settings, host?.spawn)
    await a.line((line) => line.includes('listens on') && line.includes('127.0.0.1:'))
    await Promise.all([
      a.line((line) => line.includes(`nodeup      b@${hostname()}`)),
      b.line((line) => line.includes(`nodeup      a@${hostname()}`)),
    ])
    const ping = await new Cli(t, ['ping', `b@${hostname()}`], settings, host?.spawn).ended
    assert.equal([ping.code, ping.stderr], [0, ''])
    assert.match(ping.stdout, /^b@\S+ answered in [\d.]+ ms\n$/)
    a.signal('SIGINT')
    const { code, stdout } = await a.ended
    assert.is(code, 0)
    assert.ok(stdout.endsWith(`a@${hostname()} has stopped\n`))
    assert.not.match(stdout, '\u001b')
    await b.line((line) => line.includes(`nodedown    a@${hostname()}: shutdown`))
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a wrong cookie meets silence: a coded error, and the node never hears of it',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const stranger = { ...settings, SKEIN_COOKIE: 'another cookie' }
    const { code, stdout, stderr } = await runCli(t, ['nodes', '--json', '--seed', a.address], stranger)
    assert.equal([code, stdout], [1, ''])
    const [error] = jsonLines(stderr)
    assert.is(error?.code, 'ERR_SKEIN_CONNECT_FAILED')
    const attempts = (error?.attempts ?? []) as { what: string; code: string }[]
    assert.equal(
      attempts.map(({ what, code }) => [what, code]),
      [a.address, `${a.address} over TCP`].map((what) => [what, 'ERR_SKEIN_CONNECT_TIMEOUT']),
    )
    a.cli.signal('SIGTERM')
    const types = jsonLines((await a.cli.ended).stdout).map(({ type }) => type)
    assert.equal(
      types.filter((type) => type === 'nodeup' || type === 'refused'),
      [],
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a cookie file stands in for the environment',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'skein-cli-'))
    t.defer(() => rm(folder, { recursive: true }))
    const file = join(folder, 'cookie')
    const { SKEIN_COOKIE = '', ...others } = freshSettings()
    await writeFile(file, SKEIN_COOKIE, { mode: 0o600 })
    const a = await startCli(t, ['--name', 'a', '--cookie-file', file], others)
    const seed = ['--seed', a.address]
    const [called, missing] = await Promise.all([
      runCli(t, ['call', a.address, 'echo', '"hi"', ...seed], { ...others, SKEIN_COOKIE }),
      runCli(t, ['nodes', '--cookie-file', join(folder, 'none'), ...seed], others),
    ])
    assert.equal([called.code, called.stdout], [0, '"hi"\n'])
    assert.is(missing.code, 1)
    assert.match(missing.stderr, 'ERR_SKEIN_COOKIE_FILE: ')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'what a node cannot answer is a coded error',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const seed = ['--seed', a.address]
    const [noProcess, noNode] = await Promise.all([
      runCli(t, ['call', 'a', 'nobody', '1', ...seed], settings),
      runCli(t, ['ping', 'zoe', ...seed], settings),
    ])
    assert.equal([noProcess.code, noProcess.stdout], [1, ''])
    assert.match(noProcess.stderr, /^ERR_SKEIN_NOPROC: .*\n {2}hint: .*\n$/)
    assert.equal([noNode.code, noNode.stdout], [1, ''])
    assert.match(noNode.stderr, /^ERR_SKEIN_NODE_UNKNOWN: .*zoe@/)
    assert.match(noNode.stderr, `hint: The cluster has a@${hostname()}.`)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'nobody there, or a seed whose host is unknown, is an error that lists what was tried',
  async (t) => {
    // No name service is asked for a name that is none: its label is longer than 63 characters (RFC 1035 section 2.3.4).
    const unknown = `${'x'.repeat(64)}.invalid:4433`
    const [nobody, badHost] = await Promise.all([
      runCli(t, ['nodes']),
      runCli(t, ['ping', 'a', '--seed', unknown, '--json']),
    ])
    assert.is(nobody.code, 1)
    assert.match(nobody.stderr, 'ERR_SKEIN_CONNECT_FAILED: ')
    assert.is(badHost.code, 1)
    const [error] = jsonLines(badHost.stderr)
    assert.is(error?.code, 'ERR_SKEIN_CONNECT_FAILED')
    const [attempt] = (error?.attempts ?? []) as { what: string; code: string }[]
    assert.equal([attempt?.what, attempt?.code], [unknown, 'ERR_SKEIN_UNKNOWN_HOST'])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a busy port is an error when it was asked for',
  async (t) => {
    const socket = createSocket('udp4')
    t.defer(() => socket.close())
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const { code, stderr } = await runCli(t, ['start', '--port', String(socket.address().port)])
    assert.is(code, 1)
    assert.match(stderr, 'ERR_SKEIN_PORT_BUSY: ')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'bad arguments end with exit code 2 and say what was wrong',
  async (t) => {
    const cases: readonly (readonly [args: readonly string[], says: string])[] = [
      [['frobnicate'], "unknown command 'frobnicate'"],
      [['start', '--colour'], "unknown option '--colour'"],
      [['start', '--port', '70000'], '0 to 65535'],
      [['start', '--name', 'a b'], 'ERR_SKEIN_BAD_NAME'],
      [['start', '--host', 'localhost'], 'ERR_SKEIN_BAD_OPTION'],
      [['nodes', '--seed', 'a:b:c'], 'ERR_SKEIN_BAD_ADDRESS'],
      [['ping'], "missing required argument 'name'"],
      [['call', 'a', 'echo', '{x'], 'It must be JSON'],
      [['call', 'a', 'echo', '1', '--timeout', 'soon'], 'milliseconds'],
    ]
    const check = async ([args, says]: (typeof cases)[number]): Promise<void> => {
      const { code, stdout, stderr } = await runCli(t, args)
      assert.equal([code, stdout], [2, ''], args.join(' '))
      assert.match(stderr, says)
    }
    // A few at a time: each is a process.
    for (let i = 0; i < cases.length; i += 3) await Promise.all(cases.slice(i, i + 3).map(check))
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node with a health server tells its port and serves it',
  async (t) => {
    const { cli, started } = await startCli(t, ['--name', 'watched', '--health-port', '0'], freshSettings())
    const port = Number(started.healthPort)
    assert.ok(port > 0)
    const response = await fetch(`http://127.0.0.1:${port}/live`, { headers: { connection: 'close' } })
    assert.is(response.status, 200)
    assert.match(await response.text(), 'live')
    cli.signal('SIGTERM')
    assert.is((await cli.ended).code, 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'help goes to stdout and shows examples',
  async (t) => {
    const [help, version] = await Promise.all([runCli(t, ['--help']), runCli(t, ['--version'])])
    assert.equal([help.code, help.stderr], [0, ''])
    for (const word of ['start', 'nodes', 'ping', 'call', 'demo', 'Examples:', 'Exit codes:']) {
      assert.match(help.stdout, word)
    }
    assert.not.match(help.stdout, 'demo-node')
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node whose output nobody reads any more stops',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    a.cli.closeOutput()
    // An event makes it write.
    await runCli(t, ['nodes', '--seed', a.address], settings)
    assert.is((await a.cli.ended).code, 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

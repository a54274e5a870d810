/**
 * `skein invite` and `skein join` between processes: the token is used once, or not at all.
 */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { lan } from '../../support/lan.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, type Printed, runCli, type Spawn, startCli } from './cli-support.ts'

/** Several commands, one after the other, each of which compiles itself first. */
const DEADLINE_MS = 300_000

const test = suite('invite and join', { watchdogMs: 2_400_000 })

/** A machine that has nothing of Skein yet: a configuration folder of its own. */
const newMachine = async (t: TestContext, settings: Record<string, string> = {}) => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-join-'))
  t.defer(() => rm(folder, { recursive: true }))
  return {
    settings: { SKEIN_HOST: '127.0.0.1', SKEIN_DISCOVERY: 'none', ...settings, XDG_CONFIG_HOME: folder },
    file: (name: string) => join(folder, 'skein', name),
    folder,
  }
}

const invite = async (
  t: TestContext,
  settings: Record<string, string>,
  args: readonly string[],
  run?: Spawn,
): Promise<{ cli: Cli; invitation: Printed; token: string }> => {
  const cli = new Cli(t, ['invite', '--json', ...args], settings, run)
  const invitation = await cli.printed({ type: 'invitation' })
  return { cli, invitation, token: String(invitation.token) }
}

test(
  'one pasted line makes another machine a member; the line opens nothing after that',
  async (t) => {
    const first = freshSettings()
    const a = await startCli(t, ['--name', 'a'], first)
    const inviting = await invite(t, first, ['--seed', a.address])
    const { cluster, seeds } = inviting.invitation
    assert.equal([cluster, seeds], [first.SKEIN_CLUSTER, [a.address]])

    const second = await newMachine(t)
    const b = new Cli(t, ['join', inviting.token, '--name', 'b', '--port', '0', '--json'], second.settings)
    await a.cli.printed({ type: 'nodeup', node: `b@${hostname()}`, hidden: false })
    await b.printed({ type: 'nodeup', node: `a@${hostname()}` })
    const invited = await inviting.cli.ended
    assert.equal([invited.code, invited.stderr], [0, ''])
    const used = jsonLines(invited.stdout).at(-1)
    assert.equal([used?.type, used?.node], ['used', `b@${hostname()}`])

    const cookie = second.file('cookie')
    assert.is(await readFile(cookie, 'utf8'), `${first.SKEIN_COOKIE}\n`)
    if (process.platform !== 'win32') assert.is((await stat(cookie)).mode & 0o777, 0o600)

    const third = await newMachine(t)
    const [late, nodes] = await Promise.all([
      runCli(t, ['join', inviting.token, '--json'], third.settings),
      // The new machine needs nothing more than the name of the cluster.
      runCli(t, ['nodes', '--json', '--cluster', String(cluster), '--seed', a.address], second.settings),
    ])
    assert.equal([late.code, late.stdout], [1, ''])
    assert.is(jsonLines(late.stderr)[0]?.code, 'ERR_SKEIN_CONNECT_FAILED')
    assert.equal([nodes.code, nodes.stderr], [0, ''])
    assert.equal(
      jsonLines(nodes.stdout).map(({ name }) => name),
      [`a@${hostname()}`, `b@${hostname()}`],
    )

    b.signal('SIGINT')
    assert.is((await b.ended).code, 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'what people read: the line to paste, who used it, and how to start next time',
  async (t) => {
    const first = freshSettings()
    const a = await startCli(t, ['--name', 'a'], first)
    const inviting = new Cli(t, ['invite', '--for', '5m', '--seed', a.address], first)
    const line = await inviting.line((one) => one.includes(' join A'))
    const token = line.slice(line.indexOf(' join ') + ' join '.length)
    const second = await newMachine(t)
    const b = new Cli(t, ['join', token, '--name', 'b', '--port', '0'], second.settings)
    await a.cli.printed({ type: 'nodeup', node: `b@${hostname()}` })
    const { code, stdout, stderr } = await inviting.ended
    assert.equal([code, stderr], [0, ''])
    assert.match(stdout, `One machine can become a member of cluster ${first.SKEIN_CLUSTER} within 5 minutes`)
    assert.match(stdout, 'It works on this machine only')
    assert.match(stdout, new RegExp(`used by b@${hostname()}, from 127\\.0\\.0\\.1:\\d+\\n$`))
    b.signal('SIGTERM')
    const ended = await b.ended
    assert.is(ended.code, 0)
    assert.match(ended.stdout, `start --name b --cluster ${first.SKEIN_CLUSTER} --seed ${a.address}\n`)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'cookies that are there already stay as they are',
  async (t) => {
    const first = freshSettings()
    const a = await startCli(t, ['--name', 'a'], first)
    const second = await newMachine(t)
    await runCli(t, ['nodes'], { ...second.settings, SKEIN_CLUSTER: 'another' })
    const before = await readFile(second.file('cookie'), 'utf8')
    assert.match(before, /^[0-9a-f]{64}\n$/)

    const inviting = await invite(t, first, ['--seed', a.address])
    const taken = join(second.folder, 'taken')
    await writeFile(taken, 'something else', { mode: 0o600 })
    const refused = await runCli(t, ['join', inviting.token, '--cookie-file', taken, '--json'], second.settings)
    assert.equal([refused.code, jsonLines(refused.stderr)[0]?.code], [1, 'ERR_SKEIN_COOKIE_FILE'])
    assert.is(await readFile(taken, 'utf8'), 'something else')

    // That attempt has not used up the invitation.
    const b = new Cli(t, ['join', inviting.token, '--name', 'b', '--port', '0'], second.settings)
    await a.cli.printed({ type: 'nodeup', node: `b@${hostname()}` })
    const beside = second.file(`cookie-${first.SKEIN_CLUSTER}`)
    assert.match(await b.line((line) => line.includes('Next time')), `--cookie-file ${beside}`)
    assert.is(await readFile(second.file('cookie'), 'utf8'), before)
    assert.is(await readFile(beside, 'utf8'), `${first.SKEIN_COOKIE}\n`)
    b.signal('SIGINT')
    await b.ended
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'an invitation ends with its time, or with Ctrl-C',
  async (t) => {
    const first = freshSettings()
    const a = await startCli(t, ['--name', 'a'], first)
    const [brief, long, forElsewhere] = await Promise.all([
      invite(t, first, ['--seed', a.address, '--for', '1s']),
      invite(t, first, ['--seed', a.address]),
      invite(t, first, ['--seed', a.address, '--address', 'home.example.org']),
    ])
    // An address that leads here stands before this machine's own, and leads to its members too.
    const { addresses, seeds } = forElsewhere.invitation as { addresses: string[]; seeds: string[] }
    assert.match(addresses[0] ?? '', /^home\.example\.org:\d+$/)
    assert.equal(seeds, [`home.example.org:${a.address.split(':')[1]}`])
    long.cli.signal('SIGINT')
    const [over, takenBack] = await Promise.all([brief.cli.ended, long.cli.ended])
    assert.equal([over.code, jsonLines(over.stderr)[0]?.code], [1, 'ERR_SKEIN_INVITATION_EXPIRED'])
    assert.equal([takenBack.code, takenBack.stderr], [0, ''])
    assert.equal(jsonLines(takenBack.stdout).at(-1), { type: 'withdrawn' })

    const { settings } = await newMachine(t)
    const [late, early] = await Promise.all([
      runCli(t, ['join', brief.token, '--json'], settings),
      runCli(t, ['join', long.token], settings),
    ])
    assert.equal([late.code, jsonLines(late.stderr)[0]?.code], [1, 'ERR_SKEIN_INVITATION_EXPIRED'])
    assert.is(early.code, 1)
    assert.match(
      early.stderr,
      /^ERR_SKEIN_CONNECT_FAILED: Nobody waits for this invitation\.\n(?: {2}tried .*\n)+ {2}hint: It was used/,
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'wrong arguments say what is wrong with them',
  async (t) => {
    const settings = freshSettings()
    const token = 'AWsCzGLYAlRxeI9W3qA0Zjfo5m2GrFWPBGdAHSafiuhDEt3wDDEyNy4wLjAuMTo0MTQxOGVPig1'
    const [mistyped, withCluster, noToken, badSpan, badAddress] = await Promise.all([
      runCli(t, ['join', token, '--json'], settings),
      runCli(t, ['join', token, '--cluster', 'other'], settings),
      runCli(t, ['join'], settings),
      runCli(t, ['invite', '--for', '10 minutes'], settings),
      runCli(t, ['invite', '--address', 'host:99999'], settings),
    ])
    assert.equal(
      [mistyped, withCluster, noToken, badSpan, badAddress].map(({ code, stdout }) => [code, stdout]),
      Array(5).fill([2, '']),
    )
    assert.is(jsonLines(mistyped.stderr)[0]?.code, 'ERR_SKEIN_BAD_INVITATION')
    assert.match(withCluster.stderr, 'ERR_SKEIN_BAD_OPTION: --cluster does not go with join')
    assert.match(noToken.stderr, "missing required argument 'token'")
    assert.match(badSpan.stderr, 'such as 30s, 10m or 2h')
    assert.match(badAddress.stderr, /^ERR_SKEIN_BAD_ADDRESS: /)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'without a node there is nothing to invite to; and help shows how it is done',
  async (t) => {
    const [nobody, odd, helpInvite, helpJoin] = await Promise.all([
      runCli(t, ['invite', '--json']),
      runCli(t, ['invite', '--json', '--address', 'münchen.example']),
      runCli(t, ['invite', '--help']),
      runCli(t, ['join', '--help']),
    ])
    assert.equal([nobody.code, nobody.stdout], [1, ''])
    assert.is(jsonLines(nobody.stderr)[0]?.code, 'ERR_SKEIN_CONNECT_FAILED')
    // The other side would refuse it, and the invitation be used up.
    assert.equal([odd.code, jsonLines(odd.stderr)[0]?.code], [2, 'ERR_SKEIN_BAD_ADDRESS'])
    assert.equal([helpInvite.code, helpJoin.code], [0, 0])
    assert.match(helpInvite.stdout, 'skein invite --address 203.0.113.7 --port 4434')
    assert.match(helpJoin.stdout, 'Usage: skein join [options] <token>')
    assert.match(helpJoin.stdout, '--name b')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'from one machine to another, through a switch that passes no multicast',
  async (t) => {
    const [here, there] = lan(t, 2, { multicast: false })
    const first = await newMachine(t, { SKEIN_DISCOVERY: 'mdns', SKEIN_HOST: '' })
    const second = await newMachine(t, { SKEIN_DISCOVERY: 'mdns', SKEIN_HOST: '' })
    const a = new Cli(t, ['start', '--name', 'a@here', '--json'], first.settings, here?.spawn)
    await a.printed({ type: 'started' })
    // Without any option: the node is found at the usual port of this machine, its cookie in the user's file.
    const { token, invitation, cli } = await invite(t, first.settings, [], here?.spawn)
    assert.ok((invitation.seeds as string[]).includes(`${here?.ipv4}:4433`))
    const b = new Cli(t, ['join', token, '--name', 'b@there', '--json'], second.settings, there?.spawn)
    await b.printed({ type: 'nodeup', node: 'a@here' })
    await a.printed({ type: 'nodeup', node: 'b@there' })
    assert.is((await cli.ended).code, 0)
    assert.is(await readFile(second.file('cookie'), 'utf8'), await readFile(first.file('cookie'), 'utf8'))
    const nodes = await new Cli(t, ['nodes', '--json'], second.settings, there?.spawn).ended
    assert.equal(
      jsonLines(nodes.stdout).map(({ name }) => name),
      ['a@here', 'b@there'],
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

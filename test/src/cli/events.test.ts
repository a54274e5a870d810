/** `skein events` and `skein spawn`, with nodes in processes of their own. */
import { hostname } from 'node:os'
import * as assert from 'uvu/assert'
import { startNode } from '../../../src/start.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, type Printed, runCli, startCli } from './cli-support.ts'

/** Each command is a process that compiles itself first. */
const DEADLINE_MS = 240_000

const test = suite('cli events and spawn', { watchdogMs: 1_200_000 })

const nameOf = (short: string): string => `${short}@${hostname()}`

/** A node in this process, of the cluster of these settings. */
const startHere = async (t: TestContext, name: string, settings: Record<string, string>, allow?: 'strict') => {
  const node = await startNode({
    name,
    cluster: settings.SKEIN_CLUSTER ?? '',
    cookie: settings.SKEIN_COOKIE ?? '',
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    logLevel: 'silent',
    ...(allow && { allow }),
  })
  t.defer(() => node.stop())
  const [address] = node.addresses
  return { node, seed: ['--seed', `127.0.0.1:${address?.port}`] }
}

const told = (line: string, source: string, event: Printed): boolean => {
  const printed = JSON.parse(line) as { source: string; event: Printed }
  return printed.source === source && Object.entries(event).every(([key, value]) => printed.event[key] === value)
}

test(
  'the events of all nodes are followed, also of those that come later, until Ctrl-C',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const seed = ['--seed', a.address]
    const events = new Cli(t, ['events', '--json', ...seed], settings)
    await events.line((line) => told(line, nameOf('a'), { type: 'followed' }))
    const b = await startCli(t, ['--name', 'b', ...seed], settings)
    await events.line((line) => told(line, nameOf('a'), { type: 'nodeup', node: nameOf('b') }))
    await events.line((line) => told(line, nameOf('b'), { type: 'followed' }))
    b.cli.signal('SIGTERM')
    await events.line((line) => told(line, nameOf('a'), { type: 'nodedown', node: nameOf('b'), reason: 'shutdown' }))
    await events.line((line) => told(line, nameOf('b'), { type: 'unfollowed' }))
    events.signal('SIGINT')
    const { code, stderr } = await events.ended
    assert.equal([code, stderr], [0, ''])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'events of one node are lines for people, what it says obeyed by no terminal; when it goes that is a failure',
  async (t) => {
    const settings = freshSettings()
    const { node, seed } = await startHere(t, 'a', settings)
    const events = new Cli(t, ['events', 'a', ...seed], settings)
    await events.line((line) => line.includes('followed'))
    const fails = node.spawn(() => Promise.reject(new Error('red \u001b[31m')))
    const line = await events.line((text) => text.includes('crashed'))
    assert.match(line, / {2}a@\S+ {2}crashed {5}/)
    assert.match(line, `${fails}: `)
    assert.match(line, 'red ?[31m')
    await node.stop()
    const { code, stderr } = await events.ended
    assert.is(code, 1)
    assert.match(stderr, 'ERR_SKEIN_CONNECTION_LOST')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'only the types that were asked for are shown; a node that does not let itself be observed tells nothing',
  async (t) => {
    const settings = freshSettings()
    const open = await startHere(t, 'a', settings)
    const strict = await startHere(t, 'shy', settings, 'strict')
    const events = new Cli(t, ['events', 'a', '--json', '--type', 'processCrashed', ...open.seed], settings)
    const refused = await runCli(t, ['events', nameOf('shy'), '--json', ...open.seed, ...strict.seed], settings)
    assert.equal([refused.code, refused.stdout], [1, ''])
    assert.is(jsonLines(refused.stderr)[0]?.code, 'ERR_SKEIN_FORBIDDEN')
    // It follows by now, or soon: a process crashes until it has been told of.
    const crashing = setInterval(() => open.node.spawn(() => Promise.reject(new Error('on purpose'))), 200)
    t.defer(() => clearInterval(crashing))
    const line = await events.line(() => true)
    clearInterval(crashing)
    assert.is((JSON.parse(line) as { event: Printed }).event.type, 'processCrashed')
    events.signal('SIGTERM')
    assert.is((await events.ended).code, 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a process is started by the name of its behaviour, with arguments and a name',
  async (t) => {
    const settings = freshSettings()
    const { node, seed } = await startHere(t, 'a', settings)
    const given: unknown[][] = []
    node.behaviour('resize', async (self, ...args: unknown[]) => {
      given.push(args)
      for await (const _ of self) return
    })
    const args = ['a', 'resize', '{"width": 80}', '3']
    const [named, forPeople] = [
      await runCli(t, ['spawn', ...args, '--as', 'resizer', '--json', ...seed], settings),
      await runCli(t, ['spawn', ...args, ...seed], settings),
    ]
    assert.equal([named.code, named.stderr], [0, ''])
    const { pid, ...others } = jsonLines(named.stdout)[0] ?? {}
    assert.is(pid, String(node.whereis('resizer')))
    assert.equal(others, { node: nameOf('a'), behaviour: 'resize', name: 'resizer' })
    assert.equal(given, Array(2).fill([{ width: 80 }, 3]))
    assert.match(forPeople.stdout, /^\S+ runs resize on a@\S+\n$/)

    const failing = ['resise', 'resize']
    const [unknown, taken] = await Promise.all(
      failing.map((behaviour) => runCli(t, ['spawn', 'a', behaviour, '--as', 'resizer', ...seed], settings)),
    )
    assert.is(unknown?.code, 1)
    assert.match(unknown?.stderr ?? '', 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
    assert.match(unknown?.stderr ?? '', `Did you mean resize? ${nameOf('a')} offers resize.`)
    assert.is(taken?.code, 1)
    assert.match(taken?.stderr ?? '', 'ERR_SKEIN_NAME_REGISTERED')
    const bad = await runCli(t, ['spawn', 'a', 'resize', '{x', ...seed], settings)
    assert.is(bad.code, 2)
    assert.match(bad.stderr, 'It must be JSON')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

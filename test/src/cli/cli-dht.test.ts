import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'

const test = suite('skein dht', { watchdogMs: 240_000 })

/** A bootstrap node that has no cookie, and settings for a cluster whose nodes know nothing but its address. */
const withBootstrap = async (t: Parameters<typeof runCli>[0]) => {
  const { SKEIN_COOKIE: _none, ...settings } = freshSettings()
  const cli = new Cli(t, ['start', '--bootstrap', '--port', '0', '--json'], { ...settings, HOME: '/nonexistent' })
  const { addresses, id } = await cli.printed({ type: 'started' })
  assert.match(String(id), /^[0-9a-f]{40}$/)
  const [address] = addresses as string[]
  return { cli, address: address!, settings: { ...freshSettings(), SKEIN_DISCOVERY: 'dht' } }
}

test(
  'nodes that know a bootstrap node find each other; skein dht and skein dht find tell of it',
  async (t) => {
    const { cli, address, settings } = await withBootstrap(t)
    const [a] = await Promise.all([
      startCli(t, ['--name', 'a', '--dht', address], settings),
      startCli(t, ['--name', 'b'], { ...settings, SKEIN_BOOTSTRAP: address }),
    ])
    await a.cli.printed({ type: 'nodeup' })

    const [found, foundByPeople] = await Promise.all([
      runCli(t, ['dht', 'find', 'b', '--json', '--dht', address], settings),
      runCli(t, ['dht', 'find', 'b', '--dht', address], settings),
    ])
    assert.is(found.code, 0, found.stderr)
    const [line] = jsonLines(found.stdout)
    assert.match(String(line?.name), /^b@/)

    assert.equal([foundByPeople.code, foundByPeople.stderr], [0, ''])
    assert.match(foundByPeople.stdout, /^NAME +ADDRESS +ID +THROUGH +REGISTERED\nb@\S+ +127\.0\.0\.1:\d+ /)

    const shown = await runCli(t, ['dht', '--json', '--dht', address], settings)
    assert.is(shown.code, 0, shown.stderr)
    const [report] = jsonLines(shown.stdout)
    assert.match(String(report?.id), /^[0-9a-f]{40}$/)
    assert.ok(Array.isArray(report?.contacts) && report.contacts.length >= 1)

    const people = await runCli(t, ['dht', '--dht', address], settings)
    assert.match(people.stdout, /in the DHT\n {2}id {14}[0-9a-f]{40}\n/)

    cli.signal('SIGTERM')
    const ended = await cli.ended
    assert.is(ended.code, 0, ended.stderr)
    const last = jsonLines(ended.stdout).at(-1)
    assert.is(last?.type, 'stopped')
    assert.ok(Number(last?.announcements) >= 2)
  },
  { deadlineMs: 120_000 },
)

test(
  'who is nowhere is an error that tells what was searched',
  async (t) => {
    const { address, settings } = await withBootstrap(t)
    const ended = await runCli(t, ['dht', 'find', 'nobody@nowhere', '--json', '--dht', address], settings)
    assert.is(ended.code, 1)
    const [error] = jsonLines(ended.stderr.split('\n').slice(-2).join('\n'))
    assert.is(error?.code, 'ERR_SKEIN_NODE_UNKNOWN')
    assert.ok(JSON.stringify(error?.attempts).includes('"what":"dht"'))
  },
  { deadlineMs: 60_000 },
)

test.run()

/** Hosts of a LAN whose switch passes no multicast on: the DHT finds what mDNS cannot, and a status says what is missing. */
import * as assert from 'uvu/assert'
import { Cli, freshSettings } from '../src/cli/cli-support.ts'
import { type LanHost, lan } from '../support/lan.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('rendezvous on a LAN without multicast')

const startOn = (t: TestContext, host: LanHost, args: readonly string[], settings: Record<string, string>): Cli =>
  new Cli(t, ['start', '--json', ...args], settings, (command, words, options) => host.spawn(command, words, options))

const settingsOf = (change: Record<string, string>): Record<string, string> => {
  const { SKEIN_HOST: _host, ...settings } = freshSettings()
  return { ...settings, SKEIN_DISCOVERY: 'both', ...change }
}

test(
  'two hosts that know one bootstrap address are connected in less than 3 s',
  async (t) => {
    const [boot, one, other] = lan(t, 3, { multicast: false })
    const bootstrap = startOn(t, boot!, ['--bootstrap', '--port', '6881'], settingsOf({}))
    await bootstrap.printed({ type: 'started' })
    const settings = settingsOf({ SKEIN_BOOTSTRAP: `${boot!.ipv4}:6881` })
    const [a, b] = [
      startOn(t, one!, ['--name', 'a@one'], settings),
      startOn(t, other!, ['--name', 'b@other'], settings),
    ]
    await Promise.all([a.printed({ type: 'started' }), b.printed({ type: 'started' })])
    const startMs = performance.now()
    const [, found] = await Promise.all([a.printed({ type: 'nodeup' }), b.printed({ type: 'nodeup' })])
    const tookMs = performance.now() - startMs
    console.log(`connected ${Math.round(tookMs)} ms after the later start`)
    assert.ok(tookMs < 3000, `${tookMs} ms`)
    assert.is(found.node, 'a@one')
  },
  { deadlineMs: 40_000 },
)

test(
  'with neither multicast nor a bootstrap address the statuses say what is missing',
  async (t) => {
    const [one] = lan(t, 2, { multicast: false })
    const a = startOn(t, one!, ['--name', 'a@one'], settingsOf({}))
    const status = await a.line((line) => line.includes('discoveryStatus') && line.includes('"dht"'))
    assert.match(status, /"degraded".*no bootstrap address is given.*SKEIN_BOOTSTRAP/)
  },
  { deadlineMs: 30_000 },
)

test.run()

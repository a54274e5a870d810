/**
 * `skein demo`, whole: with multicast in a namespace that has only a loopback, and without multicast through a seed.
 */
import * as assert from 'uvu/assert'
import { lan } from '../../support/lan.ts'
import { suite } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, runCli } from './cli-support.ts'

/** The demo itself gives up after 28 s. */
const DEADLINE_MS = 30_000

const test = suite('cli demo')

/** What a newcomer is promised, in this order. */
const assertWholeStory = (stdout: string): void => {
  const story = [
    /a {2}process \d+, UDP port \d+/,
    /full mesh: over QUIC with TLS 1\.3/,
    /a -> b {2}[\d,]+ messages of 100 bytes/,
    /kill -9 of c/,
    /a: nodedown c, net_tick_timeout, \d\.\d\d s after the kill/,
    /c is back under its name with the same key and id, and a new incarnation/,
    /a sends to the old pid <c@\S+>: nobody gets it \(noproc\)/,
    /a calls the new c: answered/,
    /c stops and says goodbye: nodedown shutdown at a/,
    /all processes ended by themselves/,
    /Done in \d/,
  ]
  let from = 0
  for (const pattern of story) {
    const found = stdout.slice(from).search(pattern)
    assert.ok(found >= 0, `${pattern} is missing, or out of order, in:\n${stdout}`)
    from += found
  }
  assert.match(stdout, /a: DOWN for <c@\S+>, reason noconnection, \d\.\d\d s after the kill/)
  assert.match(stdout, /b: nodedown c, net_tick_timeout/)
  assert.match(stdout, /a stranger with another cookie knocks at a: ERR_SKEIN_CONNECT_TIMEOUT; a dropped [1-9]/)
  assert.not.match(stdout, '\u001b')
}

test(
  'without multicast the demo goes through a seed, says so, and ends well',
  async (t) => {
    const { code, stdout, stderr } = await new Cli(t, ['demo'], freshSettings()).ended
    assert.equal([code, stderr], [0, ''])
    assertWholeStory(stdout)
    assert.match(stdout, 'multicast DNS does not bring them together here: it is switched off')
    assert.match(stdout, /b found a through the seed/)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'with multicast the demo needs no seed',
  async (t) => {
    const [host] = lan(t, 1, { loopbackOnly: true })
    const { code, stdout, stderr } = await new Cli(t, ['demo'], {}, host?.spawn).ended
    assert.equal([code, stderr], [0, ''])
    assertWholeStory(stdout)
    assert.match(stdout, /found \w through mDNS/)
    assert.not.match(stdout, 'seed')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'for programs every line of the demo is a JSON value',
  async (t) => {
    const demo = new Cli(t, ['demo', '--json'], freshSettings())
    const { code, stdout, stderr } = await demo.ended
    assert.equal([code, stderr], [0, ''])
    const told = jsonLines(stdout)
    assert.is(told.filter(({ type }) => type === 'act').length, 6)
    for (const { type, text, atSeconds } of told) {
      if (type !== 'act') assert.ok(typeof text === 'string' && text !== '', String(type))
      if (type === 'said') assert.type(atSeconds, 'number')
    }
    assert.match(String(told.at(-1)?.text), /^Done in \d/)
  },
  { deadlineMs: DEADLINE_MS },
)

test('what the demo does not take is refused', async (t) => {
  const { code, stdout, stderr } = await runCli(t, ['demo', '--jsn'])
  assert.equal([code, stdout], [2, ''])
  assert.match(stderr, '--json')
})

test(
  'an interrupted demo says so, fails, and leaves no process behind',
  async (t) => {
    const demo = new Cli(t, ['demo'], freshSettings())
    const line = await demo.line((text) => /a {2}process \d+/.test(text))
    const processId = Number(/process (\d+)/.exec(line)?.[1])
    demo.signal('SIGINT')
    const { code, stderr } = await demo.ended
    assert.is(code, 1)
    assert.match(stderr, 'it was interrupted')
    assert.throws(() => process.kill(processId, 0), /ESRCH/)
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

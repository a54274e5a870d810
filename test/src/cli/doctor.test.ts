/** `skein doctor` as a command: what people and programs read, and its exit codes. */
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { freshSettings, jsonLines, runCli } from './cli-support.ts'

const test = suite('skein doctor, the command')

const within = { deadlineMs: 40_000 }

test(
  'findings for people and for programs',
  async (t) => {
    const settings = freshSettings()
    const [people, programs] = await Promise.all([
      runCli(t, ['doctor'], settings),
      runCli(t, ['doctor', '--json', '--timeout', '20000'], settings),
    ])
    assert.equal([people.code, people.stderr], [0, ''])
    assert.match(people.stdout, /^ok {6}platform {6}Node /m)
    assert.match(people.stdout, /^look {4}members {7}No node was found.*\n {22}So nothing.*\n {22}do: Name one/m)
    assert.match(people.stdout, /\n0 failed, \d+ to look at, \d+ in order, \d+ not looked at\n$/)
    const findings = jsonLines(programs.stdout)
    assert.equal([...new Set(findings.map(({ state }) => state))].sort(), ['ok', 'skipped', 'warning'])
    assert.equal(
      findings.slice(0, 4).map(({ check }) => check),
      ['platform', 'interfaces', 'port', 'buffers'],
    )
    assert.ok(!programs.stdout.includes(settings.SKEIN_COOKIE ?? ''), 'the cookie is never shown')
  },
  within,
)

test(
  'a failure is exit code 1, and bad arguments are 2',
  async (t) => {
    const settings = freshSettings()
    const [failed, option, three, name, node, address] = await Promise.all([
      runCli(t, ['doctor', '--json'], { ...settings, SKEIN_COOKIE: 'short' }),
      runCli(t, ['doctor', '--port', 'x'], settings),
      runCli(t, ['doctor', 'a', 'b', 'c'], settings),
      runCli(t, ['doctor', '--seed', 'a:b:c'], settings),
      runCli(t, ['doctor', 'no name'], settings),
      runCli(t, ['doctor', 'a', '10.0.0.1:99999'], settings),
    ])
    assert.is(failed.code, 1)
    const cookie = jsonLines(failed.stdout).find(({ check }) => check === 'cookie')
    assert.match(String(cookie?.what), /ERR_SKEIN_BAD_COOKIE/)
    assert.is(failed.stderr, '', 'what failed was said already')
    const codes = [option, three, name, node, address].map(({ code }) => code)
    assert.equal(codes, [2, 2, 2, 2, 2])
    assert.match(node.stderr, /ERR_SKEIN_BAD_NAME/)
  },
  within,
)

test.run()

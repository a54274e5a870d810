/**
 * `skein doctor` behind NATs: which class it is, and a pair of symmetric ones, seen from a third machine and by one of the
 * two. The network is the NAT laboratory (test/nat/lab.ts).
 */
import * as assert from 'uvu/assert'
import { NatLab } from '../nat/lab.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { doctor, healthy, named, nodeOn, openSettings } from './doctor-support.ts'

const test = suite('skein doctor and NATs', { watchdogMs: 300_000 })

const within = { deadlineMs: 100_000 }

/** Members on both servers, which see everybody else. */
const withServers = async (t: TestContext) => {
  const lab = await NatLab.open(t)
  const settings = openSettings('dht')
  const [first, second] = lab.servers
  const at = lab.servers.map(({ address }) => `${address}:4433`)
  await nodeOn(t, first, ['--name', 's1@one'], settings)
  await nodeOn(t, second, ['--name', 's2@two', '--seed', at[0]!], settings)
  return { lab, settings, dht: at.flatMap((one) => ['--dht', one]), seeds: at.flatMap((one) => ['--seed', one]) }
}

test(
  'the class of a NAT, by two nodes of the DHT',
  async (t) => {
    const { lab, settings, dht } = await withServers(t)
    lab.arrange('sym', 'port')
    const [a, b, none] = await Promise.all([
      doctor(t, dht, settings, lab.a),
      doctor(t, dht, settings, lab.b),
      doctor(t, dht.slice(2), settings, lab.servers[0]),
    ])
    for (const found of [a, b, none]) healthy(found)
    assert.match(named(a, 'warning', /^nat: Symmetric NAT/).remedy ?? '', /Forward/)
    named(b, 'ok', /^nat: Cone: .* 198\.51\.100\.102:/)
    named(none, 'ok', /^nat: Open/)
  },
  within,
)

test(
  'a symmetric pair: from outside, and by one of the two',
  async (t) => {
    const { lab, settings, seeds } = await withServers(t)
    lab.arrange('sym', 'sym')
    const [a, b] = await Promise.all([
      nodeOn(t, lab.a, ['--name', 'a@left', ...seeds], settings),
      nodeOn(t, lab.b, ['--name', 'b@right', ...seeds], settings),
    ])
    for (const node of [a, b]) {
      await Promise.all(['s1@one', 's2@two'].map((name) => node.printed({ type: 'nodeup', node: name })))
    }
    const [outside, inside] = await Promise.all([
      doctor(t, ['a@left', 'b@right', ...seeds], settings, lab.servers[0]),
      doctor(t, ['a@left', 'b@right', ...seeds], settings, lab.a),
    ])
    for (const found of [outside, inside]) {
      named(found, 'ok', /^nat: a@left: a symmetric NAT/)
      named(found, 'ok', /^nat: b@right: a symmetric NAT/)
      const pair = found.findings.find(({ what }) => what.startsWith('Symmetric pair: a@left and b@right'))
      assert.ok(pair, JSON.stringify(found.findings, null, 1))
      assert.match(pair?.remedy ?? '', /relays/)
    }
  },
  within,
)

test.run()

/** What goes over a real wire: plain resolvers, blocked multicast, interfaces that come and go, hostile datagrams. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { queries } from '../../../discovery/mdns/packet.ts'
import type { SourceStatus } from '../../../discovery/source.ts'
import { type LanHost, lan } from '../../support/lan.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { addressesOf, idOf, nodeRecord } from '../support.ts'
import { decode, encode } from './coding.ts'
import { NodeProcess } from './fixtures/process.ts'
import { replyTo, sendDatagrams } from './fixtures/resolver.ts'

const test = suite('mdns on the wire')
const DEADLINE = { deadlineMs: 40_000 }
const HOST_NAME = `skein-${idOf(1).slice(0, 16)}.local`

const startNode = (t: TestContext, host: LanHost, number = 1): NodeProcess =>
  NodeProcess.start(t, nodeRecord(number, { addresses: addressesOf(`10.77.0.${number}:4433`) }), { host })

const untilState = async (node: NodeProcess, state: SourceStatus['state']): Promise<SourceStatus> => {
  for (;;) {
    const { status } = await node.look()
    if (status.state === state) return status
    await sleep(100)
  }
}

test(
  'a plain resolver gets its answer by unicast, with its id and question, short-lived and without the cache-flush bit',
  async (t) => {
    const [ours, theirs] = lan(t, 2)
    const node = startNode(t, ours!)
    await node.status()
    const question = { name: HOST_NAME.toUpperCase(), type: 'A' as const }
    const query = { ...queries([question])[0]!, id: 4711 }
    const bytes = await encode(query)
    let reply: Buffer | undefined
    // Until it has its names it says nothing.
    while (reply === undefined) reply = await replyTo(t, theirs!, bytes)
    const answer = decode(reply)
    assert.is(answer?.kind, 'response')
    assert.is(answer?.id, 4711)
    assert.equal(answer?.questions, [question])
    assert.equal(
      answer?.answers.map((record) => ({ ...record })),
      [{ type: 'A', name: HOST_NAME, host: '10.77.0.1', ttlSeconds: 10, flush: false }],
    )
    assert.is((await node.look()).counters.legacy, 1)
  },
  DEADLINE,
)

for (const [where, hook] of [
  ['as it leaves', 'output'],
  ['as it comes in', 'input'],
] as const) {
  test(
    `multicast that a firewall drops ${where}: the first status says so, and a later one that it is over`,
    async (t) => {
      const [ours] = lan(t, 1)
      const rules = `table inet skein {
        chain drops {
          type filter hook ${hook} priority 0
          ip daddr 224.0.0.251 drop
          ip6 daddr ff02::fb drop
        }
      }\n`
      ours!.filter(t, rules)
      const node = startNode(t, ours!)
      const first = await node.status()
      assert.ok(first.state === 'degraded' || first.state === 'failed', JSON.stringify(first))
      assert.match(first.detail, 'eth0')
      assert.match(first.detail, 'give seeds')
      ours!.filter(t, 'delete table inet skein\n')
      await untilState(node, 'working')
      assert.ok(await node.stop())
    },
    DEADLINE,
  )
}

test(
  'an interface that goes and comes back: the other node is lost and found again',
  async (t) => {
    const hosts = lan(t, 2)
    const [one, two] = [startNode(t, hosts[0]!, 1), startNode(t, hosts[1]!, 2)]
    await Promise.all([one.event('found', 'node2@host'), two.event('found', 'node1@host')])
    hosts[0]!.ip('addr', 'flush', 'dev', 'eth0')
    await one.event('lost', 'node2@host')
    hosts[0]!.ip('addr', 'add', '10.77.0.1/24', 'dev', 'eth0')
    await one.event('found', 'node2@host')
    await untilState(one, 'working')
  },
  DEADLINE,
)

test(
  'compression loops, bombs and a flood of junk: counted, bounded, and the node goes on',
  async (t) => {
    const hosts = lan(t, 3)
    const one = startNode(t, hosts[0]!, 1)
    await one.status()
    const header = (questions: number, answers: number): Buffer => {
      const bytes = Buffer.alloc(12)
      bytes.writeUInt16BE(0x8400, 2)
      bytes.writeUInt16BE(questions, 4)
      bytes.writeUInt16BE(answers, 6)
      return bytes
    }
    const loop = Buffer.concat([header(0, 1), Buffer.from([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12])])
    const backAndForth = Buffer.concat([header(0, 1), Buffer.from([1, 97, 0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 0])])
    const bomb = Buffer.concat([header(65_535, 65_535), Buffer.alloc(1000, 0)])
    const absurd = await encode({
      ...queries([])[0]!,
      kind: 'response',
      id: 0,
      questions: [],
      authorities: [],
      additionals: [],
      truncated: false,
      answers: [
        {
          type: 'PTR',
          name: '_skein._udp.local',
          target: 'x._skein._udp.local',
          ttlSeconds: 2 ** 32 - 1,
          flush: false,
        },
      ],
    })
    await sendDatagrams(t, hosts[1]!, [loop, backAndForth, bomb, absurd], 2000)
    const two = startNode(t, hosts[2]!, 3)
    await Promise.all([one.event('found', 'node3@host'), two.event('found', 'node1@host')])
    const { counters, status } = await one.look()
    assert.ok(counters.malformed! > 0, JSON.stringify(counters))
    assert.is(status.state, 'working')
  },
  DEADLINE,
)

test.run()

/**
 * Nodes that meet again: the second connection is resumed, and a first flight that somebody recorded makes nobody a member
 * and disturbs no member.
 */
import * as assert from 'uvu/assert'
import type { NodeEvent } from '../../src/event-stream.ts'
import { type SkeinNode, startNode } from '../../src/index.ts'
import type { Address } from '../../transport/address.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { Relay, Stranger, until } from '../transport/quic-support.ts'

const test = suite('resumption')

interface Watched {
  readonly node: SkeinNode
  readonly events: NodeEvent[]
}

const start = async (t: TestContext, name: string): Promise<Watched> => {
  const node = await startNode({
    name: `${name}@resumption.test`,
    cookie: 'a cookie for tests of resumption',
    host: '127.0.0.1',
    port: 0,
    discovery: false,
  })
  t.defer(() => node.stop())
  const events: NodeEvent[] = []
  const read = async (): Promise<void> => {
    for await (const event of node.events) events.push(event)
  }
  void read()
  return { node, events }
}

const formatted = ({ host, port }: Address): string => `${host}:${port}`

const part = async (from: SkeinNode, other: SkeinNode): Promise<void> => {
  await from.disconnect(other.name)
  await until(() => other.nodes().length === 0, 'both know')
}

test('a reconnect to a known peer is resumed, by its address and by its name', async (t) => {
  const [a, b] = [await start(t, 'a'), await start(t, 'b')]
  const target = formatted(b.node.addresses[0]!)
  await a.node.connect(target)
  assert.is(a.node.counters().resumed, 0)
  for (const [round, way] of [target, b.node.name].entries()) {
    await part(a.node, b.node)
    await a.node.connect(way)
    await until(() => b.node.nodes().length === 1, 'both are up')
    assert.is(a.node.counters().resumed, round + 1, way)
    assert.is(b.node.counters().resumed, round + 1, way)
  }
  for (const { events } of [a, b]) {
    assert.is(events.filter(({ type }) => type === 'nodeup').length, 3)
    assert.is(events.filter(({ type }) => type === 'nodedown').length, 2)
    assert.is(events.filter(({ type }) => type === 'refused').length, 0)
  }
})

test(
  'a recorded first flight makes nobody a member, and does not stand in the way of the real one',
  async (t) => {
    const [a, b] = [await start(t, 'a'), await start(t, 'b')]
    const relay = await Relay.open(t, b.node.addresses[0]!)
    const target = formatted(relay.address)
    await a.node.connect(target)
    await part(a.node, b.node)
    const flight: Buffer[] = []
    let hasAnswer = false
    relay.passes = (bytes, direction) => {
      if (direction === 'toClient') hasAnswer = true
      else if (!hasAnswer) flight.push(Buffer.from(bytes))
      return true
    }
    await a.node.connect(target)
    assert.is(a.node.counters().resumed, 1)
    assert.ok(flight.length >= 2)
    await part(a.node, b.node)
    await until(() => b.node.counters().connections === 0, 'the recorded connection is forgotten')

    const eventsBefore = b.events.length
    const attacker = await Stranger.open(t)
    for (const bytes of flight) await attacker.send(bytes, b.node.addresses[0]!)
    await until(() => attacker.heard.length > 1, 'an answer')
    assert.is(b.node.counters().connections, 1)
    assert.equal(b.node.nodes(), [])
    // The real one comes while the replay is still half-open, and so does a dial from the other side.
    await a.node.connect(target)
    await until(() => b.node.nodes().length === 1, 'the real one is up')
    await part(a.node, b.node)
    await b.node.connect(formatted(a.node.addresses[0]!))
    assert.equal(b.node.nodes(), [a.node.name])
    await until(() => b.node.counters().connections === 2, 'the real one, and the replay still')

    await until(() => b.node.counters().connections === 1, 'the replay ends')
    const events = b.events.slice(eventsBefore)
    assert.is(events.filter(({ type }) => type === 'nodeup').length, 2, 'of the real ones only')
    assert.is(events.filter(({ type }) => type === 'nodedown').length, 1)
    assert.equal(b.node.nodes(), [a.node.name])
    assert.is(b.node.counters().resumed, 2)
  },
  { deadlineMs: 20_000 },
)

test('another node where an old ticket leads to is connected all the same', async (t) => {
  const a = await start(t, 'a')
  const b = await start(t, 'b')
  const target = formatted(b.node.addresses[0]!)
  await a.node.connect(target)
  await b.node.stop()
  await until(() => a.node.nodes().length === 0, 'it is gone')
  const again = await startNode({
    name: 'c@resumption.test',
    cookie: 'a cookie for tests of resumption',
    host: '127.0.0.1',
    port: b.node.addresses[0]!.port,
    discovery: false,
  })
  t.defer(() => again.stop())
  // Another key answers where nobody in particular was expected: that is no failure.
  assert.is(await a.node.connect(target), again.name)
  assert.is(a.node.counters().resumed, 0)
})

test.run()

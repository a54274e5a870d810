/**
 * A reply was taken from any node, because a server may hand `from` on, and calls were counted one by one: a member could
 * answer the calls that others had made to others. Now a reply needs the key of its call, which only those know who were
 * given it, and who tries keys is soon not listened to.
 */
import * as assert from 'uvu/assert'
import { Origin } from '../../src/pid.ts'
import type { Bridge } from '../../src/process/bridge.ts'
import { CallKeys } from '../../src/process/call-keys.ts'
import type { CallMessage, From } from '../../src/process/calls.ts'
import { seededRandom } from '../../transport/random.ts'
import { actor, pair, TestRoute, turns } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('replies of nodes that were not called')

const third = (): TestRoute => new TestRoute(new Origin('c@test', 'id-c', '00000000000000a1'))

test('numbers of calls answer nothing, of calls to others and of calls within the node', async (t) => {
  const net = pair(t)
  const [here, there] = [await actor(net.a), await actor(net.b)]
  const calls = [here, there].map((server) => net.a.processes.call(server.self.pid, 'true?'))
  await net.flow()
  const guesser = third()
  for (let call = 0; call < 3000; call++) {
    net.a.processes.deliver(guesser, { type: 'reply', from: 1, call, value: 'forged' })
  }
  await turns()
  for (const server of [here, there]) server.self.reply((server.log[0] as CallMessage).from, 'true')
  await net.flow()
  assert.equal(await Promise.all(calls), ['true', 'true'])
})

test('who was handed the call answers it, unless it has tried too many keys', async (t) => {
  const net = pair(t)
  const server = await actor(net.b)
  const ask = async (): Promise<{ readonly answer: Promise<unknown>; readonly from: From }> => {
    const answer = net.a.processes.call(server.self.pid, 'who?')
    await net.flow()
    return { answer, from: (server.log.at(-1) as CallMessage).from }
  }
  const helper = third()
  const first = await ask()
  net.a.processes.deliver(helper, { type: 'reply', from: 1, call: first.from.call.number, value: 'the helper' })
  assert.is(await first.answer, 'the helper')
  // Within one turn, since tries come back with time.
  const guess = (guesser: TestRoute, from: From): void => {
    for (let call = 0; call < 5000; call++) {
      net.a.processes.deliver(guesser, { type: 'reply', from: 1, call, value: 'forged' })
    }
    // Even the right one.
    net.a.processes.deliver(guesser, { type: 'reply', from: 1, call: from.call.number, value: 'forged' })
  }
  const second = await ask()
  guess(third(), second.from)
  server.self.reply(second.from, 'the server')
  await net.flow()
  assert.is(await second.answer, 'the server')
})

test('tries are counted over connections of the same node', () => {
  const keys = new CallKeys(seededRandom(7))
  const bridge = (): Bridge => ({ route: third() }) as unknown as Bridge
  for (let i = 0; i < 5000; i++) keys.stray(bridge(), 0)
  assert.not(keys.mayStandIn(bridge(), 0))
  assert.ok(keys.mayStandIn(bridge(), 60_000), 'time forgives')
})

test('keys hold the number, are never too large for a message, and tell nothing of the next', () => {
  const keys = new CallKeys(seededRandom(7))
  const drawn = Array.from({ length: 5000 }, (_, i) => keys.keyOf(2 ** 32 + i))
  for (const [i, key] of drawn.entries()) {
    assert.ok(Number.isSafeInteger(key) && key >= 0)
    assert.is(key % 2 ** 32, i)
  }
  assert.ok(new Set(drawn.map((key) => Math.floor(key / 2 ** 32))).size > 4900)
})

test.run()

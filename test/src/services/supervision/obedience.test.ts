/** Orders are obeyed from who leads, and wait for the news of a new leader. */
import * as assert from 'uvu/assert'
import { Origin, Pid } from '../../../../src/pid.ts'
import type { ChannelPeer } from '../../../../src/services/channel.ts'
import type { Order } from '../../../../src/services/supervision/messages.ts'
import { Obedience } from '../../../../src/services/supervision/obedience.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('obedience to leaders')

const peerOf = (name: string): ChannelPeer => {
  const origin = new Origin(name, name.padEnd(32, 'x'), '0'.repeat(16))
  return { pid: new Pid(origin, 1), node: name, id: origin.id, incarnation: origin.incarnation }
}

const orderOf = (run: string, supervisor = 'sup'): Order => ({ type: 'noted', supervisor, id: 'c', run })

const scene = () => {
  const clock = new VirtualClock()
  const leaders = new Map<string, ChannelPeer>()
  const [obeyed, refused]: [string[], string[]] = [[], []]
  const obedience = new Obedience({
    clock,
    leads: (peer, supervisor) => leaders.get(supervisor) === peer,
    obey: (_peer, { run }) => obeyed.push(run),
    refuse: (_peer, { run }) => refused.push(run),
  })
  return { clock, leaders, obeyed, refused, obedience }
}

test('orders ahead of the news wait, and are obeyed in their order', async () => {
  const { clock, leaders, obeyed, refused, obedience } = scene()
  const peer = peerOf('a')
  for (const run of ['1', '2']) obedience.take(peer, orderOf(run))
  obedience.take(peer, orderOf('other', 'another'))
  assert.equal(obeyed, [])
  leaders.set('sup', peer)
  obedience.look('sup')
  obedience.take(peer, orderOf('3'))
  assert.equal(obeyed, ['1', '2', '3'])
  await clock.run({ untilMs: 10_000 })
  assert.equal([obeyed, refused], [['1', '2', '3'], ['other']])
})

test('of a node that does not lead they come to nothing, each after its time', async () => {
  const { clock, obeyed, refused, obedience } = scene()
  const peer = peerOf('a')
  obedience.take(peer, orderOf('1'))
  await clock.run({ untilMs: 2000 })
  obedience.take(peer, orderOf('2'))
  await clock.run({ untilMs: 3500 })
  assert.equal(refused, ['1'])
  await clock.run({ untilMs: 6000 })
  assert.equal([obeyed, refused], [[], ['1', '2']])
})

test('one timer looks after the orders of a node, however often they are settled and others come', async () => {
  const { clock, leaders, refused, obedience } = scene()
  const peer = peerOf('a')
  for (let i = 0; i < 100; i++) {
    leaders.delete('sup')
    obedience.take(peer, orderOf(String(i)))
    leaders.set('sup', peer)
    obedience.look('sup')
  }
  leaders.delete('sup')
  await clock.run({ untilMs: 1000 })
  obedience.take(peer, orderOf('last'))
  assert.is(clock.pending, 1)
  await clock.run({ untilMs: 3500 })
  assert.equal(refused, [])
  await clock.run({ untilMs: 4500 })
  assert.equal(refused, ['last'])
})

test('a flood has a bound, and what waits goes with the connection', async () => {
  const { clock, refused, obedience } = scene()
  const peer = peerOf('a')
  for (let i = 0; i < 5000; i++) obedience.take(peer, orderOf(String(i)))
  assert.is(refused.length, 5000 - 4096)
  obedience.peerDown(peer)
  await clock.run({ untilMs: 10_000 })
  assert.is(refused.length, 5000 - 4096)
})

test.run()

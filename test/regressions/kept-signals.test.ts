/**
 * Signals that must not be lost are kept while the queue to their node is full. Every ten milliseconds all of them were
 * tried again, each at the price of an error: a member that did not read could keep a node busy with nothing else. And
 * beyond a limit they were dropped in silence, DOWN and EXIT among them, so that somebody waited for ever.
 */
import * as assert from 'uvu/assert'
import { Peer, type PeerHost } from '../../src/cluster/peer.ts'
import { Origin } from '../../src/pid.ts'
import { Bridge } from '../../src/process/bridge.ts'
import type { LaneConnection } from '../../transport/lane.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { TestRoute } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('kept signals')

const fullBridge = (): { bridge: Bridge; route: TestRoute; clock: VirtualClock } => {
  const clock = new VirtualClock()
  const route = new TestRoute(new Origin('b@test', 'id-b', '00000000000000a1'))
  route.full = true
  return { bridge: new Bridge(route, clock), route, clock }
}

test('looking for room costs little, however many wait; in the end all are sent, in order for each sender', () => {
  const { bridge, route, clock } = fullBridge()
  const senders = 1000
  for (let ref = 1; ref <= 3; ref++) {
    for (let from = 1; from <= senders; from++)
      bridge.sendSurely(undefined, { type: 'down', from, ref, reason: 'over' })
  }
  for (let from = 1; from <= senders; from++) bridge.retire(from)
  route.refused = 0
  clock.advance(1000)
  assert.ok(route.refused > 0)
  assert.ok(route.refused <= 2000, `${route.refused} tries within a second`)
  assert.equal(route.gone, [])
  route.full = false
  clock.advance(10)
  const refs = new Map<number, number[]>()
  for (const signal of route.waiting) {
    if (signal.type === 'down') refs.set(signal.from, [...(refs.get(signal.from) ?? []), signal.ref])
  }
  assert.is(refs.size, senders)
  for (const one of refs.values()) assert.equal(one, [1, 2, 3])
  assert.is(route.gone.length, senders)
  assert.is(clock.pending, 0)
})

test('a node that never takes what it is owed loses its connection', () => {
  const { bridge, route, clock } = fullBridge()
  const signal = { type: 'down', from: 1, ref: 1, reason: 'over' } as const
  for (let n = 0; n < 1_000_000; n++) bridge.sendSurely(undefined, signal)
  clock.advance(0)
  assert.is(route.givenUp, 0)
  for (let n = 0; n < 3; n++) bridge.sendSurely(undefined, signal)
  clock.advance(0)
  assert.is(route.givenUp, 1)
  bridge.close()
})

test('so does the connection itself', () => {
  const closed: unknown[] = []
  const lanes = { close: (_wireCode: number, code: string) => closed.push(code) } as unknown as LaneConnection
  const peer = new Peer('b@test', {} as PeerHost)
  peer.giveUp()
  peer.attach(lanes, new Origin('b@test', 'id-b', '00000000000000a1'), 2)
  assert.equal(closed, [])
  peer.giveUp()
  assert.equal(closed, ['ERR_SKEIN_LIMIT'])
})

test.run()

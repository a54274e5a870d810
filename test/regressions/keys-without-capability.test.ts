/** Keys by number were learnt, and acknowledgements of them taken, from a peer that had not said that it knows them. */
import * as assert from 'uvu/assert'
import { Peer } from '../../src/cluster/peer.ts'
import { encodeKeys } from '../../src/wire/key-tables.ts'
import { Wire } from '../../src/wire/wire.ts'
import type { LaneConnection } from '../../transport/lane.ts'
import { ALICE, BOB, codecOf } from '../src/wire/codec-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('keys of a peer without the capability')

const peerWith = (tell?: (type: number, body: Uint8Array) => void): Peer => {
  const sink = { deliver: () => undefined, routeDown: () => {}, uses: () => false }
  const peer = new Peer('alice@test', { wire: new Wire(codecOf(BOB, ALICE)), sink, traffic: { sent: 0, received: 0 } })
  peer.attach({} as Partial<LaneConnection> as LaneConnection, ALICE, 2, { tell })
  return peer
}

const breaksTheRules = (error: { code?: unknown }): boolean => error.code === 'ERR_SKEIN_PROTOCOL'

test('both frames break the rules; with the capability they do not', () => {
  const body = encodeKeys(['customer'])
  assert.throws(() => peerWith().learnKeys(body), breaksTheRules)
  assert.throws(() => peerWith().keysKnown(0), breaksTheRules)
  const told: number[] = []
  const able = peerWith((type) => told.push(type))
  able.learnKeys(body)
  able.keysKnown(0)
  assert.is(told.length, 1)
})

test.run()

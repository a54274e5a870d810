/** The crafted peer itself: a node takes its packets for those of the real one, and it understands the answers. */
import * as assert from 'uvu/assert'
import { ack, PING, stream } from '../support/crafted-frames.ts'
import { CraftedPeer } from '../support/crafted-peer.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, serve } from './compliance.ts'
import { openPort, until } from './quic-support.ts'

const test = suite('crafted peer')

test('its packets are answered, its streams are read, and nothing of it counts as invalid', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const peer = await CraftedPeer.takeOver(t, addressOf(port), async (relay) => {
    const party = dial(await openPort(t), relay)
    await until(() => party.isOpen && parties[0]?.isOpen === true, 'the connection opens')
  })
  await peer.send(PING)
  await until(() => peer.frames.some(({ type }) => type === 2), 'an acknowledgement')
  await peer.send(ack(peer.largestHeard), stream(2, 0, Buffer.from('by hand'), true))
  await until(() => parties[0]!.finished.has(2), 'the stream arrives')
  assert.is(Buffer.from(parties[0]!.received(2)).toString(), 'by hand')
  assert.is(peer.unopened.length, 0)
})

test.run()

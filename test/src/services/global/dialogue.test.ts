import * as assert from 'uvu/assert'
import type { Channel, ChannelPeer } from '../../../../src/services/channel.ts'
import { Dialogue } from '../../../../src/services/global/dialogue.ts'
import { simulate } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('dialogue')

test('what a peer does not take waits for it, but not longer than the node runs', async () => {
  await simulate({ nodes: ['a'] }, async (sim) => {
    let tries = 0
    let isFull = true
    const taken: unknown[] = []
    const channel: Pick<Channel, 'has' | 'send' | 'drained'> = {
      has: () => true,
      send: (_peer, message) => {
        tries++
        if (isFull) return 'refused'
        taken.push(message)
        return 'sent'
      },
      drained: () => Promise.resolve(),
    }
    const dialogue = new Dialogue(
      () => channel as Channel,
      sim.hosts.a.clock,
      () => undefined,
    )
    const peer = { node: 'b' } as ChannelPeer
    dialogue.tell(peer, 1)
    dialogue.tell(peer, 2)
    await sim.sleep(100)
    isFull = false
    await sim.sleep(100)
    assert.equal(taken, [1, 2])
    isFull = true
    dialogue.tell(peer, 3)
    await sim.sleep(100)
    dialogue.stop()
    await sim.sleep(100)
    const before = tries
    await sim.sleep(1000)
    assert.is(tries, before)
  })
})

test.run()

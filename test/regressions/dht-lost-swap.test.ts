/**
 * A put on the condition of a sequence number that everybody refused was stored all the same ten minutes later: the node
 * looks after what it stored, and it looked after that too, without the condition.
 */
import * as assert from 'uvu/assert'
import { signingKeyFromSeed } from '../../certs/signing-key.ts'
import type { Dht } from '../../discovery/dht/dht.ts'
import { compareDistance } from '../../discovery/dht/dht-id.ts'
import { FAULT } from '../../discovery/dht/message.ts'
import { mutableTarget } from '../../discovery/dht/signed-item.ts'
import { Simulation } from '../discovery/dht/simulation.ts'
import { suite } from '../support/suite.ts'

const test = suite('DHT put that was refused')

test('a refused swap stays refused', async () => {
  const simulation = new Simulation({ seed: 1, delayMs: 10 })
  simulation.grow(40, { everyMs: 100, settleMs: 10_000 })
  // With this one the two nodes that write know all who are to store it: nobody is left who has nothing to compare with.
  const key = signingKeyFromSeed(new Uint8Array(32).fill(4))
  const { publicKey } = key
  // Both far away: what a node is to keep itself, it does not tell itself.
  const target = mutableTarget(publicKey)
  const [writer, rival] = simulation.nodes
    .map(({ dht }) => dht)
    .sort((a, b) => compareDistance(target, b.id, a.id)) as [Dht, Dht]
  const put = (sequence: number) => ({
    publicKey,
    sign: (bytes: Uint8Array) => key.sign(bytes),
    sequence,
    value: Buffer.from(`i${sequence}e`),
  })
  const first = await simulation.until(writer.putMutable(put(5)))
  assert.ok(first.stored > 0)
  const lost = await simulation.until(rival.putMutable({ ...put(7), compareAndSwap: 4 }))
  assert.is(lost.stored, 0)
  assert.ok(lost.refused.includes(FAULT.compareAndSwapMismatch))
  simulation.clock.advance(30 * 60_000)
  assert.is((await simulation.until(writer.getItem({ publicKey })))?.mutable?.sequence, 5)
})

test.run()

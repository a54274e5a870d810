import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import type { Channel, ChannelPeer } from '../../../../src/services/channel.ts'
import { Acquisition, AGREEMENT_TIMEOUT_MS } from '../../../../src/services/global/acquisition.ts'
import { Dialogue } from '../../../../src/services/global/dialogue.ts'
import type { Holdings } from '../../../../src/services/global/holdings.ts'
import { firstStampOf, HybridClock } from '../../../../src/services/global/stamp.ts'
import { Table } from '../../../../src/services/global/table.ts'
import type { SimulatedHost } from '../../../../src/testing/index.ts'
import { simulate } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('acquisition')

const peerOf = (node: string): ChannelPeer =>
  ({ node, id: node, incarnation: '0', pid: { origin: { key: `${node}/0` } } }) as ChannelPeer

/** Peers that are asked and do not answer. */
const asker = (host: SimulatedHost) => {
  const { clock } = host
  const peers = new Set<ChannelPeer>()
  const channel = { peers: () => [...peers], has: (peer) => peers.has(peer), send: () => 'sent' } as Partial<Channel>
  const dialogue = new Dialogue(
    () => channel as Channel,
    clock,
    () => undefined,
  )
  const acquisition = new Acquisition({
    self: { key: 'self/0' } as ChannelPeer['pid']['origin'],
    clock,
    stamps: new HybridClock(clock, 0),
    channel: () => channel as Channel,
    dialogue,
    table: new Table(() => {}),
    holdings: { get: () => undefined, heirs: new Map() } as Partial<Holdings> as Holdings,
    participants: () => [],
    mayRegister: () => true,
  })
  return {
    acquisition,
    up: (peer: ChannelPeer): void => {
      peers.add(peer)
      acquisition.peerUp(peer)
    },
    down: (peer: ChannelPeer): void => {
      peers.delete(peer)
      dialogue.peerDown(peer)
    },
  }
}

const codeOf = (error: unknown): string => (isSkeinError(error) ? error.code : String(error))

test('who agrees to an heir does not go on to ask for the name', async () => {
  await simulate({ nodes: ['a'] }, async (sim) => {
    const { acquisition, up, down } = asker(sim.hosts.a)
    const [giver, heir] = [peerOf('giver'), peerOf('heir')]
    up(giver)
    let outcome = 'none'
    const commit = (): void => {
      outcome = 'registered'
    }
    acquisition.acquire('x', commit).catch((error: unknown) => {
      outcome = codeOf(error)
    })
    // The heir was asked before it was one, and has agreed. Now it has the agreement of its giver, who goes.
    acquisition.answer(heir, 'x', { stamp: firstStampOf(1), isHeir: true })
    down(giver)
    await sim.sleep(4000)
    assert.is(outcome, 'ERR_SKEIN_NAME_REGISTERED')
  })
})

test('has an end though nodes come and go', async () => {
  await simulate({ nodes: ['a'] }, async (sim) => {
    const { acquisition, up, down } = asker(sim.hosts.a)
    let peer = peerOf('p0')
    up(peer)
    let outcome = 'none'
    acquisition
      .acquire('x', () => {})
      .then(
        () => {
          outcome = 'registered'
        },
        (error: unknown) => {
          outcome = codeOf(error)
        },
      )
    for (let i = 1; sim.nowMs < 3 * AGREEMENT_TIMEOUT_MS; i++) {
      const next = peerOf(`p${i}`)
      up(next)
      down(peer)
      peer = next
      await sim.sleep(AGREEMENT_TIMEOUT_MS / 4)
    }
    assert.is(outcome, 'ERR_SKEIN_GLOBAL_TIMEOUT')
  })
})

test.run()

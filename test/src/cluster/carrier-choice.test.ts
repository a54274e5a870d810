/** Over which carrier a node dials: UDP, TCP after silence, both where UDP seems blocked, and UDP again. */
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../../certs/errors.ts'
import { CarrierChoice } from '../../../src/cluster/carrier-choice.ts'
import type { DialOutcome } from '../../../src/cluster/dialler.ts'
import type { Peer } from '../../../src/cluster/peer.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const MINUTE_MS = 60_000

const test = suite('choice of carriers')

const up: DialOutcome = { type: 'up', peer: {} as Peer }
const failed = (code: ErrorCode, byPeer = false): DialOutcome => ({
  type: 'failed',
  end: { code, message: '', byPeer, down: 'connection_closed' },
  id: undefined,
})
const timeout = failed('ERR_SKEIN_CONNECT_TIMEOUT')

const choice = (): { clock: VirtualClock; carriers: CarrierChoice } => {
  const clock = new VirtualClock()
  return { clock, carriers: new CarrierChoice(clock, { kind: 'quic', hasTcp: true }) }
}

const pass = async (clock: VirtualClock, ms: number): Promise<void> => {
  await clock.run({ untilMs: clock.now() + ms })
}

test('a carrier that is alone is all there is', () => {
  const clock = new VirtualClock()
  assert.equal(new CarrierChoice(clock, { kind: 'memory' }).order(true), ['udp'])
  assert.equal(new CarrierChoice(clock, { kind: 'quic' }).order(true), ['udp'])
  assert.equal(new CarrierChoice(clock, { kind: 'tcp', hasTcp: true }).order(false), ['tcp'])
})

test('TCP follows silence, and no refusal', () => {
  const { carriers } = choice()
  assert.equal(carriers.order(false), ['udp'])
  assert.ok(carriers.ended('udp', timeout))
  assert.ok(carriers.ended('udp', failed('ERR_SKEIN_CONNECTION_LOST')))
  assert.equal(carriers.order(true), ['udp', 'tcp'])
  assert.equal(carriers.order(false), ['udp'], 'of other addresses nothing is known')
  for (const outcome of [
    up,
    failed('ERR_SKEIN_WRONG_COOKIE', true),
    failed('ERR_SKEIN_CERT_FOREIGN'),
    failed('ERR_SKEIN_CONNECTION_LOST', true),
    failed('ERR_SKEIN_BAD_ADDRESS'),
  ])
    assert.not(carriers.ended('udp', outcome))
  assert.not(carriers.ended('tcp', timeout))
})

test('UDP that is answered nowhere while TCP is counts as blocked for ten minutes', async () => {
  const { clock, carriers } = choice()
  carriers.ended('udp', timeout)
  carriers.ended('tcp', up)
  assert.equal(carriers.order(false), ['udp', 'tcp'])
  await pass(clock, 9.9 * MINUTE_MS)
  assert.equal(carriers.order(false), ['udp', 'tcp'])
  await pass(clock, 0.2 * MINUTE_MS)
  assert.equal(carriers.order(false), ['udp'])
})

test('any answer over UDP ends that, and a node that has some does not believe in it', async () => {
  for (const answer of [up, failed('ERR_SKEIN_NAME_TAKEN', true)]) {
    const { clock, carriers } = choice()
    carriers.ended('tcp', up)
    carriers.ended('udp', answer)
    assert.equal(carriers.order(false), ['udp'])
    await pass(clock, 5 * MINUTE_MS)
    carriers.ended('tcp', up)
    assert.equal(carriers.order(false), ['udp'], 'UDP worked a while ago')
    await pass(clock, 5.1 * MINUTE_MS)
    carriers.ended('tcp', up)
    assert.equal(carriers.order(false), ['udp', 'tcp'])
  }
})

test.run()

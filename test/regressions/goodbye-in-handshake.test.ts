/**
 * A connection that ended as soon as TLS was done, and whose goodbye had to wait until after a loss timeout, flooded its
 * peer with acknowledgements: quiche 0.18 repeats them without end once it closes while Handshake packets are due.
 */
import * as assert from 'uvu/assert'
import { systemClock } from '../../transport/clock.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from '../transport/compliance.ts'
import { count, exchange, openPort, Relay, until } from '../transport/quic-support.ts'

/** Longer than a loss timeout on loopback. */
const BUSY_MS = 150

const test = suite('goodbye in the handshake')

test('a goodbye that is late says what it has to say, and is heard', async (t) => {
  // As on a machine that is busy with something else: timers come before what waits for the end of input.
  let isBusy = false
  const clock = {
    ...systemClock,
    afterInput: (fn: () => void): void => {
      if (isBusy) systemClock.after(BUSY_MS, fn)
      else systemClock.afterInput(fn)
    },
  }
  const client = await openPort(t, { clock })
  const before = await openPort(t)
  const relay = await Relay.open(t, addressOf(before))
  const known = serve(before)
  const first = dial(client, relay.address)
  await until(() => first.isOpen && known[0]?.isOpen === true, 'it opens')
  assert.ok(await exchange(first, known[0]!, pattern(1000, 1)))
  await before.close()
  await until(() => first.closes.length > 0, 'it ends')
  assert.is(count(client, 'tickets'), 1)

  // Somebody else answers where the ticket leads to: the connection ends within the flush that finishes TLS.
  const after = await openPort(t, { port: addressOf(before).port })
  const parties = serve(after)
  const sentBefore = count(client, 'sent')
  isBusy = true
  // Nor is there an acknowledgement.
  let answers = 0
  relay.passes = (_bytes, direction) => direction === 'toServer' || answers++ === 0
  const second = dial(client, relay.address)
  await until(() => second.closes.length > 0 && (parties[0]?.closes.length ?? 0) > 0, 'it ends')
  assert.is(second.closes[0]?.code, 'ERR_SKEIN_CERT_FOREIGN')
  assert.is(parties[0]?.closes[0]?.code, 'ERR_SKEIN_CERT_FOREIGN')
  const sent = count(client, 'sent') - sentBefore
  assert.ok(sent < 30, `${sent} datagrams`)
})

test.run()

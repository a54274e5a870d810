/**
 * A path that looks like a LAN but carries no more than 1272 bytes of UDP, as tunnels do: nothing longer comes through, and
 * nobody says so. Packets towards a LAN begin with 1350 bytes, and that was once also the size they fell back to: the
 * handshake passed, and then no full packet ever.
 */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from '../transport/compliance.ts'
import { exchange, openPort, Relay, until } from '../transport/quic-support.ts'

const LONGEST = 1272
/** Several losses in a row tell of a narrow path, each after a longer time; a busy machine takes longer still. */
const PATIENCE_MS = 14_000

const test = suite('a narrow path on a LAN')

test(
  'lets data pass, from the beginning or when it becomes narrow',
  async (t) => {
    for (const isNarrowFirst of [true, false]) {
      const server = await openPort(t)
      const parties = serve(server)
      const relay = await Relay.open(t, addressOf(server))
      let isNarrow = isNarrowFirst
      let dropped = 0
      relay.passes = (bytes) => {
        const passes = !isNarrow || bytes.length <= LONGEST
        if (!passes) dropped++
        return passes
      }
      const client = dial(await openPort(t), relay.address)
      await until(() => client.isOpen && parties.at(-1)?.isOpen === true, 'they connect')
      if (!isNarrowFirst) assert.ok(await exchange(client, parties.at(-1)!, pattern(100_000, 3)))
      isNarrow = true
      assert.ok(await exchange(client, parties.at(-1)!, pattern(300_000, 1), PATIENCE_MS))
      assert.ok(await exchange(parties.at(-1)!, client, pattern(300_000, 2), PATIENCE_MS))
      assert.ok(dropped > 0)
    }
  },
  { deadlineMs: 70_000 },
)

test.run()

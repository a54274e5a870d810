/**
 * A lane that is not read holds back its own sender and nobody else, however much the connection has carried before. quiche
 * once cut the credit of the whole connection to a megabyte or so after the first 256 MB; a parked lane then used it up.
 */
import * as assert from 'uvu/assert'
import { createIdentity } from '../../certs/identity.ts'
import { systemClock } from '../../transport/clock.ts'
import { STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { openQuicTransport } from '../../transport/quic-transport.ts'
import { systemRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { DATA, Full, NO_HEAD, openPair } from '../transport/lanes-harness.ts'

const PARKED = 9
const CARRIED_BYTES = 300 << 20
const chunk = (mark: number): Buffer => Buffer.alloc(64 * 1024, mark)

const test = suite('a parked lane')

test(
  'blocks nobody else after hundreds of megabytes',
  async (t) => {
    const gateKeys = [systemRandom.bytes(32)]
    const open = async () => {
      const identity = await createIdentity({ wallNowMs: Date.now() })
      const options = { host: '127.0.0.1', port: 0, identity, gateKeys, clock: systemClock, random: systemRandom }
      const transport = await openQuicTransport(options)
      t.defer(() => transport.close())
      return transport
    }
    const until = async (condition: () => boolean): Promise<void> => {
      while (!condition()) await new Promise((resolve) => setImmediate(resolve))
    }
    const harness = { a: await open(), b: await open(), clockA: systemClock, clockB: systemClock }
    const { a, b } = await openPair({ ...harness, streamWindowBytes: STREAM_WINDOW_BYTES, until })
    const full = new Full()
    let carriedBytes = 0
    b.listener.take = (_type, bytes) => {
      if (bytes[0] === PARKED) return full
      carriedBytes += bytes.length
      return undefined
    }
    const carry = async (sizeBytes: number): Promise<void> => {
      const sender = a.lanes.sender()
      const goal = carriedBytes + sizeBytes
      for (let sent = 0; sent < sizeBytes; sent += 64 * 1024) {
        if (!sender.send(DATA, NO_HEAD, 0, chunk(1))) await sender.drained()
      }
      await until(() => carriedBytes >= goal)
      sender.close()
    }
    await carry(CARRIED_BYTES)
    const parked = a.lanes.sender()
    let sentBytes = 0
    for (let isParked = false; !isParked; ) {
      sentBytes += 64 * 1024
      if (parked.send(DATA, NO_HEAD, 0, chunk(PARKED))) continue
      isParked = true
      void parked.drained().then(() => {
        isParked = false
      })
      await carry(1 << 20)
    }
    assert.ok(sentBytes < 2 * STREAM_WINDOW_BYTES, `held back after ${sentBytes} bytes`)
    assert.ok(full.isWaitedFor)
    await carry(16 << 20)
  },
  { deadlineMs: 40_000 },
)

test.run()

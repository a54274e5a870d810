/** The receiving end of the wire benchmarks: counts frames, and echoes those of type PING. */
import { createIdentity } from 'skein/certs'
import { Lanes, openQuicTransport, systemClock, systemRandom } from 'skein/transport'
import { dhtOn } from '../discovery/dht/port.ts'
import { serve } from './peer.ts'
import { COUNT, PING } from './wire-frames.ts'

await serve(async ({ gateKey, maxPacketBytes, dht }) => {
  const identity = await createIdentity({ wallNowMs: systemClock.wallNow() })
  const transport = await openQuicTransport({
    host: '127.0.0.1',
    port: 0,
    identity,
    gateKeys: [Buffer.from(gateKey as string, 'hex')],
    clock: systemClock,
    random: systemRandom,
    ...(typeof maxPacketBytes === 'number' ? { maxPacketBytes } : {}),
  })
  if (dht === true) dhtOn(transport, { clock: systemClock, random: systemRandom })
  const nothing = new Uint8Array(0)
  transport.listen((connection) => {
    let got = 0
    let wanted = Number.POSITIVE_INFINITY
    const lanes: Lanes = new Lanes(
      {
        onOpen: () => lanes.acceptLanes(),
        onFrame: (type, buffer, start, end) => {
          if (type === PING) sender.send(PING, nothing, 0, buffer.subarray(start, end))
          else if (++got === wanted) lanes.control(COUNT, nothing)
          return undefined
        },
        onControl: (_type, buffer, start) => {
          wanted = Buffer.from(buffer.subarray(start, start + 4)).readUInt32LE()
          got = 0
          lanes.control(COUNT, nothing)
        },
        onClosed: () => {},
      },
      { clock: systemClock },
    ).attach(connection)
    const sender = lanes.sender()
    return lanes
  })
  return { ready: { port: transport.addresses()[0]!.port, pid: process.pid }, stop: () => transport.close() }
})

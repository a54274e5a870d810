/** The carrier alone: frames on lanes between two processes, without codec and processes. */
import { randomBytes } from 'node:crypto'
import { createIdentity } from 'skein/certs'
import { type LaneSender, Lanes, openQuicTransport, systemClock, systemRandom } from 'skein/transport'
import { type Baselines, roundTrips } from './baselines.ts'
import { startPeer } from './peer.ts'
import { alternate, type Measurement, median } from './report.ts'
import { COUNT, DATA, PING } from './wire-frames.ts'

const SMALL = { bytes: 100, frames: 1_000_000 }
const LARGE_BYTES = 64 * 1024
const LARGE_FRAMES = { narrow: 3000, path: 10_000 }
const NARROW_BYTES = 1350
const PINGS = 3000
const NO_HEAD = new Uint8Array(0)

interface Line {
  /** Of the receiving end, which has a process of its own. */
  readonly port: number
  readonly peerPid: number
  /** Sends frames of one sender and waits until all arrived; seconds. */
  readonly flood: (frames: number, body: Uint8Array) => Promise<number>
  /** Median of round trips, us. */
  readonly pingPong: () => Promise<number>
  readonly stop: () => Promise<void>
}

interface LineOptions {
  readonly maxPacketBytes?: number
  /** The receiving end has a DHT node on its port. */
  readonly dht?: boolean
}

export const openLine = async ({ maxPacketBytes, dht = false }: LineOptions = {}): Promise<Line> => {
  const gateKey = randomBytes(32)
  const cap = maxPacketBytes === undefined ? {} : { maxPacketBytes }
  const peer = await startPeer(new URL('./wire-peer.ts', import.meta.url), {
    gateKey: gateKey.toString('hex'),
    dht,
    ...cap,
  })
  const identity = await createIdentity({ wallNowMs: systemClock.wallNow() })
  const transport = await openQuicTransport({
    host: '127.0.0.1',
    port: 0,
    identity,
    gateKeys: [gateKey],
    clock: systemClock,
    random: systemRandom,
    ...cap,
  })
  let answered = (): void => {}
  const answer = (): Promise<void> =>
    new Promise((resolve) => {
      answered = resolve
    })
  const opened = answer()
  const lanes: Lanes = new Lanes(
    {
      onOpen: () => {
        lanes.acceptLanes()
        answered()
      },
      onFrame: () => {
        answered()
        return undefined
      },
      onControl: () => answered(),
      onClosed: () => {},
    },
    { clock: systemClock },
  )
  lanes.attach(transport.connect({ host: '127.0.0.1', port: peer.ready.port as number }, lanes))
  await opened
  const sender: LaneSender = lanes.sender()
  const announcement = Buffer.alloc(4)
  return {
    port: peer.ready.port as number,
    peerPid: peer.ready.pid as number,
    flood: async (frames, body) => {
      announcement.writeUInt32LE(frames)
      const ready = answer()
      lanes.control(COUNT, announcement)
      await ready
      const all = answer()
      const start = performance.now()
      for (let i = 0; i < frames; i++) if (!sender.send(DATA, NO_HEAD, 0, body)) await sender.drained()
      await all
      return (performance.now() - start) / 1000
    },
    pingPong: async () => {
      const ping = Buffer.alloc(64, 7)
      const light = lanes.sender()
      const samples = await roundTrips(PINGS, () => {
        const pong = answer()
        light.send(PING, NO_HEAD, 0, ping)
        return pong
      })
      light.close()
      return median(samples)
    },
    stop: async () => {
      await transport.close()
      await peer.stop()
    },
  }
}

export async function* wire(baselines: Baselines): AsyncGenerator<Measurement> {
  const bench = 'wire'
  const small = Buffer.alloc(SMALL.bytes, 7)
  const large = Buffer.alloc(LARGE_BYTES, 7)
  const bulk = {
    bench,
    unit: 'bytes/s',
    baseline: 'dgram-1350',
    measureBaseline: baselines.dgramBytesPerSecond,
  } as const
  const bytesPerSecond = async (line: Line, frames: number): Promise<number> =>
    (frames * LARGE_BYTES) / (await line.flood(frames, large))

  const narrow = await openLine({ maxPacketBytes: NARROW_BYTES })
  yield await alternate({
    ...bulk,
    metric: 'frames-64KiB-1350',
    measure: () => bytesPerSecond(narrow, LARGE_FRAMES.narrow),
  })
  await narrow.stop()

  const line = await openLine()
  yield await alternate({
    ...bulk,
    metric: 'frames-64KiB-path',
    measure: () => bytesPerSecond(line, LARGE_FRAMES.path),
  })
  yield await alternate({
    ...bulk,
    metric: 'frames-64KiB-path-to-tls',
    baseline: 'tls-64KiB',
    measureBaseline: baselines.tlsBytesPerSecond,
    measure: () => bytesPerSecond(line, LARGE_FRAMES.path),
  })
  yield await alternate({
    ...bulk,
    metric: 'frames-100B',
    unit: 'messages/s',
    comparable: (rate) => rate * SMALL.bytes,
    measure: async () => SMALL.frames / (await line.flood(SMALL.frames, small)),
  })
  const pingPong = { bench, unit: 'us', measure: line.pingPong } as const
  yield await alternate({
    ...pingPong,
    metric: 'ping-pong-64B',
    baseline: 'dgram-ping-pong',
    measureBaseline: baselines.dgramPingPongUs,
  })
  yield await alternate({
    ...pingPong,
    metric: 'ping-pong-64B-to-tls',
    baseline: 'tls-ping-pong',
    measureBaseline: baselines.tlsPingPongUs,
  })
  await line.stop()
}

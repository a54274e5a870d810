/** js-libp2p: a stream that echoes, one of messages with their length in front, one of plain bytes. No actors, no calls. */
import { LARGE_BYTES, PINGS, roundTrips, SMALL_BYTES, WARM_UP } from '../baselines.ts'
import { startPeer } from '../peer.ts'
import {
  BYTES,
  byteStream,
  ECHO,
  type Libp2pCarrier,
  MESSAGES,
  messageStream,
  parseAddress,
  startLibp2p,
} from './libp2p-node.ts'
import type { PeerSystem, Result, Work } from './system.ts'

const SMALL_MESSAGES = 20_000
const LARGE_WRITES = 1000

export const startLibp2pPair = async (carrier: Libp2pCarrier): Promise<PeerSystem> => {
  const peer = await startPeer(new URL('libp2p-far.ts', import.meta.url), { carrier })
  const node = await startLibp2p(carrier)
  const address = await parseAddress(peer.ready.address as string)

  const pingPong = async (part: number): Promise<Result> => {
    const stream = await node.dialProtocol(address, ECHO)
    const echo = await byteStream(stream)
    const ping = new Uint8Array(64).fill(7)
    const exchange = async (): Promise<unknown> => {
      await echo.write(ping)
      return echo.read({ bytes: ping.length })
    }
    const roundTripsUs = await roundTrips(PINGS * part, exchange, WARM_UP * part)
    await stream.close()
    return { roundTripsUs }
  }

  const messages = async (part: number): Promise<Result> => {
    const count = Math.ceil(SMALL_MESSAGES * part)
    const stream = await node.dialProtocol(address, MESSAGES)
    const messages = await messageStream(stream)
    const start = performance.now()
    await messages.write(Buffer.from(String(count)))
    for (let i = 0; i < count; i++) await messages.write(new Uint8Array(SMALL_BYTES).fill(7))
    await messages.read()
    const seconds = (performance.now() - start) / 1000
    await stream.close()
    return { perSecond: count / seconds }
  }

  const bytes = async (part: number): Promise<Result> => {
    const count = Math.ceil(LARGE_WRITES * part)
    const stream = await node.dialProtocol(address, BYTES)
    const chunk = new Uint8Array(LARGE_BYTES).fill(7)
    const start = performance.now()
    // The far end answers when this end has closed its direction and all is there.
    await stream.sink(Array.from({ length: count }, () => chunk))
    let told = ''
    for await (const part of stream.source) told += Buffer.from(part.subarray()).toString()
    const seconds = (performance.now() - start) / 1000
    if (Number(told) !== count * LARGE_BYTES) throw new Error(`libp2p: ${told} bytes arrived`)
    return { perSecond: (count * LARGE_BYTES) / seconds }
  }

  return {
    measure: (work: Work, part: number) => {
      if (work === 'ping-pong') return pingPong(part)
      return work === '64KiB' ? bytes(part) : messages(part)
    },
    stop: async () => {
      await node.stop()
      await peer.stop()
    },
  }
}

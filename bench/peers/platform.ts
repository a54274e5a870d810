/** What the platform carries without actors: raw node:dgram, and Node's TLS over TCP (../baselines.ts). */
import { startBaselines } from '../baselines.ts'
import type { PeerSystem, Work } from './system.ts'

export const startPlatform = async (name: 'dgram' | 'node-tls'): Promise<PeerSystem> => {
  const baselines = await startBaselines(WARM_UP_PART)
  const [roundTrips, bytesPerSecond] =
    name === 'dgram'
      ? [baselines.dgramRoundTrips, baselines.dgramBytesPerSecond]
      : [baselines.tlsRoundTrips, baselines.tlsBytesPerSecond]
  return {
    measure: async (work: Work, part: number) =>
      work === 'ping-pong' ? { roundTripsUs: await roundTrips(part) } : { perSecond: await bytesPerSecond(part) },
    stop: () => baselines.stop(),
  }
}

/** The comparison warms up once more, with all of the work. */
const WARM_UP_PART = 0.01

/**
 * What junk on the port costs those who transfer something over QUIC: 50 thousand datagrams a second that look like KRPC,
 * against as many that the port drops at first sight, against none; in turn, in the same run. The flooder has a process of
 * its own; on a machine of two cores it takes a share of the processor itself, which is why dropping is measured, too.
 */
import { readFileSync } from 'node:fs'
import { startPeer } from './peer.ts'
import { type Measurement, median } from './report.ts'
import { openLine } from './wire.ts'

const PER_SECOND = 50_000
const ROUNDS = 10
/** 100 MB in all. */
const FRAME_BYTES = 64 * 1024
const FRAMES = 1600
type Kind = 'none' | 'plain' | 'krpc'

export async function* junk(): AsyncGenerator<Measurement> {
  const line = await openLine({ dht: true })
  const frame = Buffer.alloc(FRAME_BYTES, 7)
  const bytesPerSecond = async (kind: Kind): Promise<number> => {
    const args = { port: line.port, kind, perSecond: PER_SECOND }
    const flooder = kind === 'none' ? undefined : await startPeer(new URL('./junk-peer.ts', import.meta.url), args)
    const seconds = await line.flood(FRAMES, frame)
    await flooder?.stop()
    return (FRAMES * FRAME_BYTES) / seconds
  }
  const values: Record<Kind, number[]> = { none: [], plain: [], krpc: [] }
  await bytesPerSecond('krpc')
  const memoryBytes = residentBytes(line.peerPid)
  // What comes second in a round finds another machine than what comes first, so they take turns in that, too.
  const orders: readonly (readonly Kind[])[] = [
    ['none', 'plain', 'krpc'],
    ['krpc', 'plain', 'none'],
  ]
  for (let round = 0; round < ROUNDS; round++)
    for (const kind of orders[round % orders.length]!) values[kind].push(await bytesPerSecond(kind))
  const grownBytes = residentBytes(line.peerPid) - memoryBytes
  await line.stop()

  const compared = (metric: string, kind: Kind, baseline: Kind): Measurement => ({
    bench: 'dht',
    metric,
    value: median(values[kind]),
    unit: 'bytes/s',
    baseline: baseline === 'none' ? 'no junk' : 'dropped junk',
    baselineValue: median(values[baseline]),
    ratio: median(values[kind].map((value, round) => value / values[baseline][round]!)),
  })
  yield compared('beside-krpc-junk', 'krpc', 'plain')
  yield compared('beside-krpc-junk', 'krpc', 'none')
  yield compared('beside-dropped-junk', 'plain', 'none')
  if (process.platform === 'linux') yield { bench: 'dht', metric: 'junk-memory', value: grownBytes, unit: 'bytes' }
}

/** Resident memory of a process. */
const residentBytes = (pid: number): number => {
  if (process.platform !== 'linux') return 0
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kilobytes) * 1024
}

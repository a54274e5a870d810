/** The picture of the comparison, for docs/performance.md: how many times as good as each peer, in each piece of work. */
import { mkdir, writeFile } from 'node:fs/promises'
import { barPlot } from '../plot.ts'
import type { Measurement } from '../report.ts'

const FILE = new URL('../../docs/plots/peers.svg', import.meta.url)
const LABELS: Readonly<Record<string, string>> = {
  'ping-pong': 'ping-pong, 64 B',
  call: 'call and reply',
  '100B-1-sender': '100 B, 1 sender',
  '100B-64-senders': '100 B, 64 senders',
  '100B-1000-senders': '100 B, 1000 light senders',
  '64KiB-1350': '64 KiB, datagrams of 1350 B',
  '64KiB-path': '64 KiB, size of the path',
}
const NAMES = ['erlang-tls', 'erlang-tcp', 'libp2p-quic', 'libp2p-tcp', 'node-tls', 'dgram']

/** Passes the measurements on, and draws them when they are all there. */
export async function* pictured(measurements: AsyncIterable<Measurement>): AsyncGenerator<Measurement> {
  const factors = new Map<string, number>()
  for await (const measurement of measurements) {
    const { metric, baseline, ratio, unit } = measurement
    if (baseline !== undefined && ratio !== undefined)
      factors.set(`${metric} ${baseline}`, unit === 'us' ? 1 / ratio : ratio)
    yield measurement
  }
  const groups = Object.entries(LABELS).map(([metric, label]) => ({
    label,
    values: NAMES.map((name) => factors.get(`${metric} ${name}`)),
  }))
  const svg = barPlot({
    title: 'Skein beside its peers, the same work in the same run',
    axis: {
      title: 'times as good (rate, or time the other way round); right of the line Skein is ahead',
      scale: 'log',
    },
    base: 1,
    names: NAMES,
    groups,
  })
  await mkdir(new URL('.', FILE), { recursive: true })
  await writeFile(FILE, svg)
}

/** The pictures of the growth benchmark, for docs/performance.md. */
import { mkdir, writeFile } from 'node:fs/promises'
import type { Growth, Point } from './growth.ts'
import { type Axis, type LinePlot, linePlot, short } from './plot.ts'

const FOLDER = new URL('../docs/plots/', import.meta.url)
const MIB = 2 ** 20

const bytesText = (bytes: number): string =>
  bytes >= MIB ? `${bytes / MIB} MiB` : bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`

const MEMORY: Axis = { title: 'resident memory, MiB', format: (value) => short(value) }

const line = (name: string, points: readonly Point[], y: (point: Point) => number): LinePlot['lines'][number] => ({
  name,
  points: points.map((point) => ({ x: point.at, y: y(point) })),
})

const memory = (points: readonly Point[]): NonNullable<LinePlot['right']> => ({
  y: MEMORY,
  lines: [line('memory of the sending process', points, ({ rssBytes }) => rssBytes / MIB)],
})

const overCount = (title: string, what: string, points: readonly Point[]): string =>
  linePlot({
    title,
    x: { title: what, scale: 'log', ticks: points.map(({ at }) => at), format: String },
    y: { title: 'messages per second' },
    lines: [
      line('messages per second', points, ({ perSecond }) => perSecond),
      line('per second of processor time', points, ({ cpuUs }) => 1e6 / cpuUs),
    ],
    right: memory(points),
  })

const overSize = (points: readonly Point[]): string =>
  linePlot({
    title: 'One sender, messages of 16 B to 1 MiB',
    x: { title: 'bytes in a message', scale: 'log', ticks: points.map(({ at }) => at), format: bytesText },
    y: { title: 'per second', scale: 'log' },
    lines: [
      line('messages per second', points, ({ perSecond }) => perSecond),
      line('KiB per second', points, ({ at, perSecond }) => (at * perSecond) / 1024),
    ],
    right: memory(points),
  })

export const writeGrowthPlots = async ({ peers, senders, sizes }: Growth): Promise<void> => {
  await mkdir(FOLDER, { recursive: true })
  const plots = {
    'growth-peers': overCount('1000 senders, 100-byte messages spread over all peers', 'connected peers', peers),
    'growth-senders': overCount('100-byte messages to one peer', 'sending processes', senders),
    'growth-size': overSize(sizes),
  }
  for (const [name, svg] of Object.entries(plots)) await writeFile(new URL(`${name}.svg`, FOLDER), svg)
}

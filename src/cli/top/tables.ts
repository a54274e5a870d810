/**
 * The three tables of `skein top`: nodes, the connections between them, and their busiest processes. Pure: samples to rows.
 */
import type { Pid } from '../../pid.ts'
import type { ProcessGlance } from '../../process/census.ts'
import { duration } from '../output.ts'
import { age, count, percent, rate } from './figures.ts'
import type { Sample } from './samples.ts'

export const VIEWS = ['nodes', 'peers', 'processes'] as const
export type View = (typeof VIEWS)[number]

export interface Column {
  readonly title: string
  /** Characters, one more than the title at least, for the mark of sorting; undefined: a share of what is left. */
  readonly width: number | undefined
  readonly align: 'left' | 'right'
}

export interface Row {
  /** The same for the same thing in every round. */
  readonly key: string
  /** The node that it leads to. */
  readonly node: string
  readonly pid: Pid | undefined
  readonly isGone: boolean
  readonly cells: readonly string[]
  /** What they are sorted by. */
  readonly values: readonly (number | string)[]
}

export interface Table {
  readonly view: View
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
}

/** A cell and what it is sorted by. */
type Cell = readonly [text: string, value: number | string]

const left = (title: string, width?: number): Column => ({ title, width, align: 'left' })
const right = (title: string, width: number): Column => ({ title, width, align: 'right' })

const NODE_COLUMNS = [
  left('NODE'),
  right('UP', 4),
  right('CPU', 4),
  right('LAG', 7),
  right('MEM', 4),
  right('PROCS', 6),
  right('WAIT', 5),
  right('PEERS', 6),
  right('IN/s', 5),
  right('OUT/s', 6),
]
const PEER_COLUMNS = [
  left('NODE'),
  left('PEER'),
  left('WAY', 7),
  right('RTT', 7),
  right('LOST', 5),
  right('LANES', 6),
  right('HELD', 5),
  right('QUEUE', 6),
  right('IN/s', 5),
  right('OUT/s', 6),
]
const PROCESS_COLUMNS = [
  left('NODE'),
  right('PID', 7),
  left('NAME'),
  left('STATE', 7),
  right('WAIT', 5),
  right('BYTES', 6),
  right('BONDS', 6),
]

/** The column that a view is sorted by until the user says otherwise. */
export const DEFAULT_SORT: Readonly<Record<View, number>> = { nodes: 0, peers: 0, processes: 4 }

/** `only`: rows of that node alone; `more`: processes to be listed beside the busiest ones. */
export const tableOf = (
  view: View,
  samples: readonly Sample[],
  only?: string,
  more: readonly ProcessGlance[] = [],
): Table => {
  const shown = only === undefined ? samples : samples.filter(({ node }) => node === only)
  const short = shortener(samples)
  switch (view) {
    case 'nodes':
      return { view, columns: NODE_COLUMNS, rows: shown.map((sample) => nodeRow(sample, short)) }
    case 'peers':
      return { view, columns: PEER_COLUMNS, rows: shown.flatMap((sample) => peerRows(sample, short)) }
    case 'processes':
      return { view, columns: PROCESS_COLUMNS, rows: shown.flatMap((sample) => processRows(sample, short, more)) }
  }
}

/** Numbers from the greatest down, texts from A up; `reverse` turns that round. Equal ones in the order of their keys. */
export const sorted = (rows: readonly Row[], column: number, reverse: boolean): Row[] => {
  const direction = reverse ? -1 : 1
  return [...rows].sort((one, other) => {
    const [a = '', b = ''] = [one.values[column], other.values[column]]
    const order = typeof a === 'number' && typeof b === 'number' ? b - a : compare(String(a), String(b))
    return order === 0 || Number.isNaN(order) ? compare(one.key, other.key) : order * direction
  })
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** Names without their host, where all nodes are on the same. */
const shortener = (samples: readonly Sample[]): ((name: string) => string) => {
  const names = samples.flatMap(({ node, snapshot }) => [
    node,
    ...(snapshot?.connections.list.map((one) => one.node) ?? []),
  ])
  const hosts = new Set(names.map((name) => name.slice(name.indexOf('@') + 1)))
  return hosts.size > 1 ? (name) => name : (name) => name.slice(0, name.indexOf('@'))
}

/** How much more per second; undefined where that cannot be known. */
const perSecond = (now: number | undefined, then: number | undefined, spanMs: number): number | undefined =>
  now === undefined || then === undefined || now < then ? undefined : ((now - then) * 1000) / spanMs

const row = (of: Pick<Row, 'key' | 'node' | 'pid' | 'isGone'>, cells: readonly Cell[]): Row => ({
  ...of,
  cells: cells.map(([text]) => text),
  values: cells.map(([, value]) => value),
})

const rateCell = (value: number | undefined): Cell => [rate(value), value ?? -1]
const countCell = (value: number): Cell => [count(value), value]
const textCell = (text: string): Cell => [text, text]

const nodeRow = ({ node, snapshot, code, before }: Sample, short: (name: string) => string): Row => {
  if (snapshot === undefined) {
    const why = `${short(node)}: ${code === undefined ? 'not asked yet' : code.replace('ERR_SKEIN_', '')}`
    const none = NODE_COLUMNS.slice(1).map((): Cell => ['-', -1])
    return row({ key: node, node, pid: undefined, isGone: true }, [[why, node], ...none])
  }
  const { uptimeMs, eventLoop, memory, processes, mailboxes, connections, counters } = snapshot
  const signals = (name: string): number | undefined =>
    before && perSecond(counters[name], before.snapshot.counters[name], before.spanMs)
  return row({ key: node, node, pid: undefined, isGone: false }, [
    [short(node), node],
    [age(uptimeMs), uptimeMs],
    [percent(eventLoop.utilisation), eventLoop.utilisation],
    [duration(eventLoop.maxLagMs), eventLoop.maxLagMs],
    countCell(memory.residentBytes),
    countCell(processes.count),
    countCell(mailboxes.messages),
    countCell(connections.list.filter(({ hidden }) => !hidden).length),
    rateCell(signals('signalsReceived')),
    rateCell(signals('signalsSent')),
  ])
}

const peerRows = ({ node, snapshot, before }: Sample, short: (name: string) => string): Row[] =>
  (snapshot?.connections.list ?? [])
    .filter(({ hidden }) => !hidden)
    .map((one) => {
      const then = before?.snapshot.connections.list.find((other) => other.node === one.node)
      const bytes = (kind: 'sentBytes' | 'receivedBytes'): number | undefined =>
        then && before && perSecond(one[kind], then[kind], before.spanMs)
      return row({ key: `${node} ${one.node}`, node: one.node, pid: undefined, isGone: false }, [
        textCell(short(node)),
        textCell(short(one.node)),
        textCell(one.way),
        [duration(one.rttMs), one.rttMs],
        countCell(one.lostPackets),
        countCell(one.dedicatedLanes),
        countCell(one.heldLanes),
        countCell(one.queuedBytes),
        rateCell(bytes('receivedBytes')),
        rateCell(bytes('sentBytes')),
      ])
    })

/** The largest by each measure, each once. */
const processRows = (
  { node, snapshot }: Sample,
  short: (name: string) => string,
  more: readonly ProcessGlance[],
): Row[] => {
  if (snapshot === undefined) return []
  const { byMessages, byBytes, byBonds } = snapshot.processes
  const others = more.filter(({ pid }) => pid.node === node)
  // What the snapshot says of a process is as new as the rest of the picture.
  const largest = new Map([...others, ...byMessages, ...byBytes, ...byBonds].map((one) => [one.pid.key, one]))
  return [...largest].map(([key, { pid, names, label, state, messages, bytes, bonds }]) =>
    row({ key, node, pid, isGone: false }, [
      textCell(short(node)),
      [String(pid.number), pid.number],
      textCell(names[0] ?? label ?? ''),
      textCell(state),
      countCell(messages),
      countCell(bytes),
      countCell(bonds),
    ]),
  )
}

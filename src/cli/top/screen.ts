/**
 * The screen of `skein top` as lines: what is known and where the user is, to text of the size of the terminal. Pure.
 *
 * No line is wider than the terminal, and there are never more than it has rows. Without colours nothing is lost: the row of
 * the cursor and nodes that are gone are marked by characters too.
 */
import type { ProcessGlance } from '../../process/census.ts'
import type { ProcessDetail } from '../../process/process-page.ts'
import { duration, type Palette } from '../output.ts'
import { age, count, fit, percent, rate, safe } from './figures.ts'
import type { Sample } from './samples.ts'
import { cursorIn, rowsOf, type TopState } from './state.ts'
import { type Column, type Row, type Table, tableOf, VIEWS } from './tables.ts'

/** Between columns, and for the marks at the left. */
const GAP = 1
const MARKS = 2
const MIN_SHARE = 6
const FOOT = 'Enter look  Esc back  1 2 3 views  s sort  r reverse  ? help  q quit'
const HELP = `Up, Down, j, k         move the cursor; Page Up, Page Down, Home, End too
Enter                  look closer: from a node to its processes, from a process to its details
Esc, Backspace         back
1, 2, 3, Tab           nodes, peers (connections), processes
s, S, Right, Left      sort by the next column, or the one before
r                      the other way round
Space, p               hold the picture, and go on
q, Ctrl-C              quit

CPU    share of time the event loop worked     LAG    the latest timer of ten seconds
MEM    resident bytes                          WAIT   messages in mailboxes
IN, OUT  signals a second; of a peer bytes     RTT    round trip
LOST   packets lost on this connection         LANES  of heavy senders
HELD   lanes that wait for a full mailbox      QUEUE  bytes that wait to be sent
BYTES  of what waits in the mailbox            BONDS  links and monitors, both ways

Processes are the ten largest of each node by waiting messages, by bytes, and by bonds.`

export interface Picture {
  readonly cluster: string
  readonly samples: readonly Sample[]
  /** Time of day. */
  readonly clock: string
  /** Of the process that is looked at; undefined: it has ended, or is not known yet. */
  readonly detail: ProcessDetail | undefined
  /** Processes of the node that is looked at, as many as it tells at once. */
  readonly more: readonly ProcessGlance[]
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

export const screen = (picture: Picture, state: TopState, size: Size, paint: Palette): string[] => {
  const { columns, rows } = size
  const head = headLines(picture, state, columns, paint)
  const body = bodyLines(picture, state, { columns, rows: Math.max(0, rows - head.length - 1) }, paint)
  const lines = [...head, ...body].slice(0, Math.max(0, rows - 1))
  while (lines.length < rows - 1) lines.push('')
  return [...lines, paint.dim(fit(state.isPaused ? `HELD, Space goes on  ${FOOT}` : FOOT, columns))]
}

/** The same for pipes: everything, as wide as it is. */
export const plainTables = (picture: Picture): readonly { readonly title: string; readonly rows: string[][] }[] =>
  VIEWS.map((view) => {
    const { columns, rows } = tableOf(view, picture.samples, undefined, picture.more)
    return { title: view, rows: [columns.map(({ title }) => title), ...rows.map(({ cells }) => [...cells])] }
  })

/** One line about all of it. */
export const summary = ({ cluster, samples }: Picture): string => {
  const up = samples.flatMap(({ snapshot }) => snapshot ?? [])
  const gone = samples.length - up.length
  const sum = (of: (one: (typeof up)[number]) => number): string => count(up.reduce((all, one) => all + of(one), 0))
  const nodes = `${up.length} ${up.length === 1 ? 'node' : 'nodes'}${gone === 0 ? '' : `, ${gone} gone`}`
  const processes = `${sum((one) => one.processes.count)} processes`
  const messages = `${sum((one) => one.mailboxes.messages)} messages`
  return `cluster ${cluster}: ${nodes}, ${processes}, ${messages}`
}

const headLines = (picture: Picture, state: TopState, columns: number, paint: Palette): string[] => {
  const title = fit(`skein top  ${summary(picture)}`, Math.max(0, columns - picture.clock.length - 1))
  const views = VIEWS.map((view, index) => (view === state.view ? `[${index + 1} ${view}]` : ` ${index + 1} ${view} `))
  const of = state.node === undefined ? '' : `  of ${state.node}`
  const lines = [paint.bold(fit(`${title} ${picture.clock}`, columns)), fit(`${views.join(' ')}${of}`, columns)]
  return [...lines, ...nodeLines(picture.samples, state, columns), '']
}

/** Of the node that is looked at. */
const nodeLines = (samples: readonly Sample[], { node }: TopState, columns: number): string[] => {
  if (node === undefined) return []
  const sample = samples.find((one) => one.node === node)
  const snapshot = sample?.snapshot
  if (snapshot === undefined) return [fit(`  does not answer: ${sample?.code ?? 'it is not watched'}`, columns)]
  const { id, incarnation, uptimeMs, eventLoop, memory, mailboxes, names, discovery } = snapshot
  const { longest, pressed, overflows } = mailboxes
  const loop = `${percent(eventLoop.utilisation)} busy, ${duration(eventLoop.maxLagMs)} late at most`
  const sources = discovery.map(({ source, state }) => `${source} ${state}`).join(', ')
  return [
    `  id ${id}, incarnation ${incarnation}, up ${age(uptimeMs)}`,
    `  event loop ${loop}; memory ${count(memory.residentBytes)}, heap ${count(memory.heapUsedBytes)}; ${names.count} names`,
    `  longest mailbox ${count(longest)}, ${pressed} hold senders back, ${count(overflows)} overflows${sources === '' ? '' : `; ${sources}`}`,
  ].map((line) => fit(line, columns))
}

const bodyLines = (picture: Picture, state: TopState, size: Size, paint: Palette): string[] => {
  if (state.showsHelp) return HELP.split('\n').map((line) => fit(line, size.columns))
  if (state.process !== undefined) return processLines(picture.detail, state.process, size.columns)
  return tableLines(tableOf(state.view, picture.samples, state.node, picture.more), state, size, paint)
}

const tableLines = (table: Table, state: TopState, { columns, rows }: Size, paint: Palette): string[] => {
  const widths = widthsOf(table, state.node !== undefined, columns)
  const line = (cells: readonly string[]): string =>
    cells
      .flatMap((cell, index) => {
        const width = widths[index] ?? 0
        return width === 0 ? [] : [fit(cell, width, table.columns[index]?.align)]
      })
      .join(' '.repeat(GAP))
  const { column, reverse } = state.sorting[table.view]
  const titles = table.columns.map(({ title }, index) => (index === column ? mark(title, reverse) : title))
  const ordered = rowsOf(table, state)
  const cursor = cursorIn(ordered, state)
  const room = Math.max(0, rows - 1)
  // The row of the cursor is always seen.
  const first = Math.max(0, Math.min(cursor - Math.floor(room / 2), ordered.length - room))
  const shown = ordered.slice(first, first + room)
  const of = (row: Row, index: number): string => {
    const isHere = first + index === cursor
    const text = fit(`${isHere ? '>' : ' '}${row.isGone ? '!' : ' '}${line(row.cells)}`, columns)
    if (row.isGone) return paint.bad(text)
    return isHere ? paint.bold(text) : text
  }
  const none = ordered.length === 0 ? [fit(`${' '.repeat(MARKS)}nothing to show`, columns)] : []
  return [paint.dim(fit(' '.repeat(MARKS) + line(titles), columns)), ...shown.map(of), ...none]
}

const mark = (title: string, reverse: boolean): string => `${reverse ? '^' : ''}${title}${reverse ? '' : '*'}`

/** Columns without a width share what is left. That of the node is left out where there is one only. */
const widthsOf = (table: Table, isOneNode: boolean, columns: number): number[] => {
  const isShown = (index: number): boolean => !isOneNode || index > 0 || table.view === 'nodes'
  const fixed = table.columns.filter(({ width }, index) => width !== undefined && isShown(index))
  const shares = table.columns.filter(({ width }, index) => width === undefined && isShown(index)).length
  const gaps = (fixed.length + shares - 1) * GAP
  const left = columns - MARKS - gaps - fixed.reduce((sum, { width = 0 }) => sum + width, 0)
  const share = Math.max(MIN_SHARE, Math.floor(left / Math.max(1, shares)))
  return table.columns.map(({ width }: Column, index) => (isShown(index) ? (width ?? share) : 0))
}

const processLines = (
  detail: ProcessDetail | undefined,
  { pid }: NonNullable<TopState['process']>,
  columns: number,
): string[] => {
  if (detail === undefined) return [fit(`  ${pid}: it has ended, or its node has not answered yet`, columns)]
  const { names, label, behaviour, state, parent, trapExit, messages, bytes, pressed, limit, onFull } = detail
  const facts: readonly (readonly [string, string])[] = [
    ['pid', String(pid)],
    ['names', names.length === 0 ? 'none' : names.join(', ')],
    ['label', label ?? 'none'],
    ['behaviour', behaviour ?? 'a function'],
    ['state', `${state}${trapExit ? ', traps exits' : ''}`],
    ['parent', parent === undefined ? 'its node' : String(parent)],
    ['mailbox', `${messages} messages, ${count(bytes)} bytes${pressed ? ', holds its senders back' : ''}`],
    ['limit', `${limit}, then ${onFull}`],
    ['links', bondsIn(detail.links)],
    ['monitors', bondsIn(detail.monitors)],
    ['watched by', bondsIn(detail.watchers)],
  ]
  return facts.map(([what, text]) => fit(`  ${what.padEnd(12)}${text}`, columns))
}

const bondsIn = ({ count: all, list }: ProcessDetail['links']): string => {
  const told = list.map(({ pid, name, node }) =>
    pid === undefined ? safe(`${name ?? 'a process'} on ${node}`) : `${pid}`,
  )
  return all === 0 ? 'none' : `${rate(all)}: ${told.join(', ')}`
}

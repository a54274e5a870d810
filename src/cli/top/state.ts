/**
 * Where somebody is in `skein top`, and where a key leads from there. Pure.
 */
import type { Pid } from '../../pid.ts'
import { DEFAULT_SORT, type Row, sorted, type Table, VIEWS, type View } from './tables.ts'

/** Rows that Page Up and Page Down pass over. */
const PAGE = 10

export interface Sorting {
  readonly column: number
  readonly reverse: boolean
}

export interface TopState {
  readonly view: View
  /** Only what concerns this node. */
  readonly node: string | undefined
  /** One process in detail, in front of the table. */
  readonly process: { readonly node: string; readonly pid: Pid } | undefined
  readonly sorting: Readonly<Record<View, Sorting>>
  /** The row that the cursor is on, and where it was, should the row be gone. */
  readonly cursor: { readonly key: string; readonly index: number }
  readonly isPaused: boolean
  readonly showsHelp: boolean
}

export const startState = (node?: string): TopState => ({
  view: node === undefined ? 'nodes' : 'processes',
  node,
  process: undefined,
  sorting: {
    nodes: { column: DEFAULT_SORT.nodes, reverse: false },
    peers: { column: DEFAULT_SORT.peers, reverse: false },
    processes: { column: DEFAULT_SORT.processes, reverse: false },
  },
  cursor: { key: '', index: 0 },
  isPaused: false,
  showsHelp: false,
})

/** The rows of the table in order. */
export const rowsOf = (table: Table, { sorting }: TopState): Row[] => {
  const { column, reverse } = sorting[table.view]
  return sorted(table.rows, column, reverse)
}

/** Where the cursor is now: it stays with its row, wherever that has gone. */
export const cursorIn = (rows: readonly Row[], { cursor }: TopState): number => {
  const found = rows.findIndex(({ key }) => key === cursor.key)
  return found >= 0 ? found : Math.max(0, Math.min(cursor.index, rows.length - 1))
}

/** `key` as node:readline names it, or its character. Undefined: leave. */
export const afterKey = (state: TopState, key: string, table: Table): TopState | undefined => {
  if (key === 'q' || key === 'ctrl-c') return undefined
  if (state.showsHelp) return { ...state, showsHelp: false }
  const rows = rowsOf(table, state)
  const index = cursorIn(rows, state)
  const { view, sorting } = state
  const sort = (change: Partial<Sorting>): TopState => ({
    ...state,
    sorting: { ...sorting, [view]: { ...sorting[view], ...change } },
  })
  const columns = table.columns.length
  switch (key) {
    case '1':
    case '2':
    case '3':
      return seeing(state, VIEWS[Number(key) - 1] ?? view)
    case 'tab':
      return seeing(state, VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length] ?? view)
    case 'up':
    case 'k':
      return moved(state, rows, index - 1)
    case 'down':
    case 'j':
      return moved(state, rows, index + 1)
    case 'pageup':
      return moved(state, rows, index - PAGE)
    case 'pagedown':
      return moved(state, rows, index + PAGE)
    case 'home':
      return moved(state, rows, 0)
    case 'end':
      return moved(state, rows, rows.length - 1)
    case 's':
    case 'right':
      return sort({ column: (sorting[view].column + 1) % columns })
    case 'S':
    case 'left':
      return sort({ column: (sorting[view].column + columns - 1) % columns })
    case 'r':
      return sort({ reverse: !sorting[view].reverse })
    case 'return':
    case 'enter':
      return state.process === undefined ? entered(state, rows[index]) : state
    case 'escape':
    case 'backspace':
      return back(state)
    case 'space':
    case 'p':
      return { ...state, isPaused: !state.isPaused }
    case '?':
    case 'h':
      return { ...state, showsHelp: true }
    default:
      return state
  }
}

const seeing = (state: TopState, view: View): TopState => ({
  ...state,
  view,
  process: undefined,
  // All nodes, should one of them have been looked at.
  node: view === 'nodes' ? undefined : state.node,
  cursor: { key: '', index: 0 },
})

const moved = (state: TopState, rows: readonly Row[], to: number): TopState => {
  const index = Math.max(0, Math.min(to, rows.length - 1))
  return { ...state, cursor: { key: rows[index]?.key ?? '', index } }
}

/** From a node or a peer to the processes of that node, from a process to its details. */
const entered = (state: TopState, row: Row | undefined): TopState => {
  if (row === undefined) return state
  if (row.pid !== undefined) return { ...state, process: { node: row.node, pid: row.pid } }
  return { ...seeing(state, 'processes'), node: row.node }
}

const back = (state: TopState): TopState => {
  if (state.process !== undefined) return { ...state, process: undefined }
  return state.node === undefined ? state : seeing(state, 'nodes')
}

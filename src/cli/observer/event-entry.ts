/**
 * An event of a node as an entry of the log: who it is about, how bad it is, and what happened. The node has a column of its
 * own there, and every event a line; `../event-text.ts` has those that people at a terminal want to know, as sentences.
 */
import { formatAddress } from '../../../transport/address.ts'
import type { NodeEvent } from '../../event-stream.ts'
import { saidOf } from '../../observe/check-snapshot.ts'
import { plain } from '../../observe/plain.ts'
import { safeText } from '../../safe-text.ts'
import type { NewEntry } from './event-log.ts'

const LEVELS: Readonly<Partial<Record<NodeEvent['type'], NewEntry['level']>>> = {
  nodeup: 'good',
  memberclear: 'good',
  healed: 'good',
  nodedown: 'bad',
  refused: 'bad',
  partitioned: 'bad',
  overlappingPartition: 'bad',
  processCrashed: 'bad',
  supervisorGaveUp: 'bad',
  childStartFailed: 'bad',
  membersuspect: 'warning',
  memberRefused: 'warning',
  forbidden: 'warning',
  deadLetter: 'warning',
  mailboxOverflow: 'warning',
  childRestarted: 'warning',
  childKilled: 'warning',
  draining: 'warning',
  lagged: 'warning',
}

/** What every node tells of every other, and the observer sees for itself. */
const COMMON: ReadonlySet<string> = new Set([
  'nodeup',
  'nodedown',
  'moved',
  'memberup',
  'memberdown',
  'membersuspect',
  'memberclear',
  'discovered',
  'undiscovered',
  // Its snapshots tell that too.
  'discoveryStatus',
] satisfies NodeEvent['type'][])
const MAX_TYPE = 40
/** Of what an event says, so many values are looked at: a line shows less. */
const MAX_VALUES = 64

/** `teller` is the node whose event it is. Undefined: it is not worth a line. */
export const entryOf = (event: NodeEvent, teller: string): NewEntry | undefined => {
  const about = 'node' in event && event.node !== undefined ? event.node : teller
  const text = textOf(event)
  if (text === undefined) return undefined
  return { node: about, type: event.type, level: levelOf(event), text }
}

const levelOf = (event: NodeEvent): NewEntry['level'] => {
  if (event.type === 'nodedown' && event.reason === 'shutdown') return 'info'
  return LEVELS[event.type] ?? 'info'
}

const textOf = (event: NodeEvent): string | undefined => {
  switch (event.type) {
    case 'nodeup':
      return event.hidden ? undefined : `connected at ${formatAddress(event.address)}`
    case 'nodedown':
      return event.reason === 'shutdown' ? 'has left: it was stopped' : `connection lost: ${event.reason}`
    case 'moved':
      return `its connection now takes the way ${event.way}, ${formatAddress(event.address)}`
    case 'refused':
      return `refused: ${event.message} (${event.code})`
    // Told by the connection already.
    case 'memberup':
    case 'memberdown':
    case 'discovered':
    case 'undiscovered':
    case 'discoveryStatus':
      return undefined
    default:
      return fieldsOf(event)
  }
}

/** Whether an event that another node tells is worth a line: nothing is certain of it but that it is plain data. */
export const isNews = (event: unknown, teller: string): boolean => {
  const { type, node } = saidOf(event)
  return typeof type === 'string' && !COMMON.has(type) && (type !== 'draining' || node === teller)
}

/** Of an event that another node tells. */
export const toldEntryOf = (event: unknown, teller: string): NewEntry => {
  const type = safeText(saidOf(event).type, MAX_TYPE)
  const level = Object.hasOwn(LEVELS, type) ? LEVELS[type as NodeEvent['type']] : undefined
  return { node: teller, type, level: level ?? 'info', text: fieldsOf(event) }
}

/** Field by field, so that an event that is new here is told too. */
const fieldsOf = (event: unknown): string => {
  const { type: _, ...fields } = saidOf(plain(event, { left: MAX_VALUES }))
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ')
}

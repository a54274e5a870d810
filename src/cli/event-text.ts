/**
 * Events of nodes as people read them, one line each: those of our own node, and those that other nodes have told, of which
 * nothing is certain but that they are plain data.
 */
import { formatAddress } from '../../transport/address.ts'
import type { NodeEvent } from '../event-stream.ts'
import { Pid } from '../pid.ts'
import { safeText } from '../safe-text.ts'
import { firstSentence, type Palette, toJson, visible } from './output.ts'

const KIND_WIDTH = 11
/** Of what another node has told, characters. */
const MAX_TOLD = 4000
const ATTACHED = { opened: 'may evaluate code here now', evaluated: 'evaluated', closed: 'has left' } as const

/** For the beginning of a line. */
export const timeOfDay = (atMs = Date.now()): string => new Date(atMs).toTimeString().slice(0, 8)

/** Undefined where there is nothing to tell a person. */
export const eventText = (event: NodeEvent, paint: Palette): string | undefined => {
  const line = lineOf(event)
  if (line === undefined) return undefined
  const [kind, text, colour = 'plain'] = line
  const padded = kind.padEnd(KIND_WIDTH)
  return `${colour === 'plain' ? padded : paint[colour](padded)} ${visible(text)}`
}

/** Of another node: also what `eventText` leaves out, and what is none. */
export const toldText = (event: unknown, paint: Palette): string => {
  try {
    const text = eventText(event as NodeEvent, paint)
    if (text !== undefined) return text.slice(0, MAX_TOLD)
  } catch {
    // It is no event as we know them: shown as it came.
  }
  const isObject = typeof event === 'object' && event !== null
  const { type, ...others } = (isObject ? event : { type: 'event', value: event }) as Readonly<Record<string, unknown>>
  return `${visible(safeText(type)).padEnd(KIND_WIDTH)} ${visible(toJson(others).slice(0, MAX_TOLD))}`
}

type Line = readonly [kind: string, text: string, colour?: 'good' | 'bad' | 'bold']

const lineOf = (event: NodeEvent): Line | undefined => {
  switch (event.type) {
    case 'nodeup':
      return ['nodeup', `${event.node} at ${formatAddress(event.address)}${event.hidden ? ' (a tool)' : ''}`, 'good']
    case 'nodedown':
      return ['nodedown', `${event.node}: ${event.reason}`, 'bad']
    case 'moved': {
      const way = event.way === 'relay' ? 'through a relay' : `directly, at ${formatAddress(event.address)}`
      return ['moved', `${event.node} is reached ${way}`]
    }
    case 'discovered':
    case 'undiscovered': {
      const sources = event.sources.length === 0 ? '' : `, through ${event.sources.join(' and ')}`
      // A seed, or an address from the DHT, may turn out to be anybody.
      const who = `${event.node ?? 'somebody'} at ${event.addresses.map(formatAddress).join(', ')}`
      return [event.type === 'discovered' ? 'discovered' : 'lost sight', `${who}${sources}`]
    }
    case 'discoveryStatus': {
      const { source, state, detail } = event.status
      if (source === 'peers') return undefined
      return ['discovery', `${source} is ${state}: ${state === 'working' ? firstSentence(detail) : detail}`]
    }
    case 'refused':
      return ['refused', `${event.node ?? formatAddress(event.address)}: ${event.message} (${event.code})`, 'bad']
    case 'draining':
      return ['draining', `${event.node} is about to leave`]
    case 'supervisorLeader':
      return ['leader', `this node ${event.leads ? 'leads' : 'leads no more'} the supervisor ${event.name}`]
    case 'processCrashed':
      return ['crashed', `${event.pid}: ${safeText(event.reason)}`, 'bad']
    case 'attach':
      return [
        'attach',
        `${event.node} ${ATTACHED[event.action]}${event.code === undefined ? '' : `: ${event.code}`}`,
        'bold',
      ]
    case 'deadLetter': {
      const { to } = event
      // As text where another node has told it.
      const target = to instanceof Pid || typeof to === 'string' ? String(to) : `${to.name} on ${to.node}`
      return ['dead letter', `${target}: ${event.reason}`]
    }
    case 'lagged':
      return ['lagged', `${event.lost} events were lost: this terminal is too slow`]
  }
}

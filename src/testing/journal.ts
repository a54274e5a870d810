/**
 * The log of a simulation: what happened when, in virtual milliseconds, for people to read. It keeps the last
 * MAX_LINES lines.
 */
import type { NodeEvent } from '../event-stream.ts'

const MAX_LINES = 10_000
/** Long enough for days of virtual time. */
const TIME_WIDTH = 12

export class Journal {
  readonly #now: () => number
  #lines: string[] = []
  #dropped = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  /** `who` is a host, or empty for the scenario itself. */
  add(who: string, text: string): void {
    // In large steps: to drop one line at a time would cost a copy each.
    if (this.#lines.length >= 2 * MAX_LINES) {
      this.#dropped += MAX_LINES
      this.#lines = this.#lines.slice(MAX_LINES)
    }
    this.#lines.push(`${this.#now().toFixed(1).padStart(TIME_WIDTH)}  ${who === '' ? '' : `${who}: `}${text}`)
  }

  /** The last lines, and how many there were before. */
  tail(count: number): string {
    const before = this.#dropped + Math.max(0, this.#lines.length - count)
    const lines = this.#lines.slice(-count)
    return [...(before > 0 ? [`${before} lines before`.padStart(TIME_WIDTH)] : []), ...lines].join('\n')
  }
}

/** One line for an event of a node; undefined for what only says that discovery works. */
export const describeEvent = (event: NodeEvent): string | undefined => {
  switch (event.type) {
    case 'nodeup':
      return `nodeup ${event.node}`
    case 'nodedown':
      return `nodedown ${event.node}, ${event.reason}`
    case 'refused':
      return `refused ${event.node ?? 'a node'}, ${event.code}: ${event.message}`
    case 'processCrashed':
      return `process ${event.pid} crashed: ${String(event.reason)}`
    case 'draining':
      return `${event.node} drains`
    case 'supervisorLeader':
      return `${event.leads ? 'leads' : 'leads no more'} ${event.name}`
    case 'supervisedStarted':
      return `starts ${event.name}/${event.id} on ${event.node}: ${event.cause}`
    case 'supervisedStartFailed':
      return `${event.name}/${event.id} on ${event.node} failed, ${event.code}: ${event.text}`
    case 'supervisedGaveUp':
      return `gives up ${event.name}/${event.id}: ${event.reason}`
    case 'deadLetter':
      return `dead letter to ${describeTarget(event.to)}, ${event.reason}`
    case 'partitioned':
      return `partitioned, lost ${event.lost.join(' ')}`
    case 'healed':
      return `healed, back ${event.back.join(' ')}${event.missing.length > 0 ? `, missing ${event.missing.join(' ')}` : ''}`
    case 'overlappingPartition':
      return `steps back from ${event.disconnected.join(' ')}, who see ${event.lost.join(' ')}`
    case 'globalConflict':
      return `${event.name} is now of ${event.winner} alone, no more of ${event.loser}`
    default:
      return undefined
  }
}

const describeTarget = (target: Extract<NodeEvent, { type: 'deadLetter' }>['to']): string =>
  'name' in target ? `${target.name} on ${target.node}` : `${target}`

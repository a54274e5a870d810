/**
 * A census: all processes of a node looked at once, for snapshots and metrics. One pass without sorting, so that a
 * million of them take some tens of milliseconds; of the largest few more is told.
 */
import type { Pid } from '../pid.ts'
import { firstOf } from './first-of.ts'
import type { NumberTable } from './number-table.ts'
import type { Process } from './process.ts'

const MAX_NAMES_TOLD = 8

/** One process at a glance. */
export interface ProcessGlance {
  readonly pid: Pid
  readonly label: string | undefined
  /** Registered names, the first eight. */
  readonly names: readonly string[]
  /** `waiting` for a message, or not. */
  readonly state: 'waiting' | 'running'
  /** In its mailbox. */
  readonly messages: number
  /** Of the messages in its mailbox that came from other nodes and are not short. */
  readonly bytes: number
  /** Links and monitors, in either direction. */
  readonly bonds: number
}

export interface Census {
  readonly count: number
  /** In all mailboxes together. */
  readonly messages: number
  readonly bytes: number
  /** In the longest mailbox. */
  readonly longest: number
  /** Mailboxes that hold their senders back. */
  readonly pressed: number
  /** The largest by each measure, largest first; none that has nothing. */
  readonly byMessages: readonly ProcessGlance[]
  readonly byBytes: readonly ProcessGlance[]
  readonly byBonds: readonly ProcessGlance[]
  readonly supervisors: readonly Process[]
}

/** The largest so far, kept in order; a new one is compared with the smallest first. */
class Largest {
  readonly #atMost: number
  readonly #entries: { readonly process: Process; readonly size: number }[] = []

  constructor(atMost: number) {
    this.#atMost = atMost
  }

  look(process: Process, size: number): void {
    const entries = this.#entries
    const isFull = entries.length >= this.#atMost
    if (size <= 0 || (isFull && size <= (entries[entries.length - 1]?.size ?? Number.POSITIVE_INFINITY))) return
    if (isFull) entries.pop()
    const at = entries.findIndex((entry) => entry.size < size)
    entries.splice(at < 0 ? entries.length : at, 0, { process, size })
  }

  glances(): ProcessGlance[] {
    return this.#entries.map(({ process }) => glanceAt(process))
  }
}

/** The largest `top` by each measure, and at most so many supervisors: those at the top of their trees first. */
export const takeCensus = (processes: NumberTable<Process>, top: number, maxSupervisors: number): Census => {
  let [messages, bytes, longest, pressed] = [0, 0, 0, 0]
  const [byMessages, byBytes, byBonds] = [new Largest(top), new Largest(top), new Largest(top)]
  const supervisors: Process[] = []
  processes.each((process) => {
    const { mailbox } = process
    messages += mailbox.size
    bytes += mailbox.sizeBytes
    longest = Math.max(longest, mailbox.size)
    if (mailbox.pressed) pressed++
    byMessages.look(process, mailbox.size)
    byBytes.look(process, mailbox.sizeBytes)
    byBonds.look(process, bondsOf(process))
    if (process.traits.supervises === true && supervisors.length < maxSupervisors) supervisors.push(process)
  })
  return {
    count: processes.size,
    messages,
    bytes,
    longest,
    pressed,
    byMessages: byMessages.glances(),
    byBytes: byBytes.glances(),
    byBonds: byBonds.glances(),
    supervisors,
  }
}

const bondsOf = ({ links, remoteLinks, monitors, watchers }: Process): number =>
  (links?.size ?? 0) + (remoteLinks?.size ?? 0) + (monitors?.size ?? 0) + (watchers?.size ?? 0)

export const glanceAt = (process: Process): ProcessGlance => ({
  pid: process.pid,
  label: process.label,
  names: firstOf(process.names ?? [], MAX_NAMES_TOLD),
  state: process.mailbox.isWaiting ? 'waiting' : 'running',
  messages: process.mailbox.size,
  bytes: process.mailbox.sizeBytes,
  bonds: bondsOf(process),
})

/**
 * Full mailboxes: makes room in one that drops, ends the process of one that exits, and tells the operator.
 *
 * It tells of episodes, not of messages: an episode begins with the first message that found the mailbox full, or, where
 * senders are held back, above its mark, and it has ended when nothing of the kind happened between two looks and the
 * mailbox is down to half. So a process makes a few events per second at most, whatever is sent to it.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Pid } from '../pid.ts'
import type { Reason } from '../signals.ts'
import type { WhenFull } from './behaviour.ts'
import type { From } from './calls.ts'
import type { Process } from './process.ts'
import type { Refusal } from './refusal.ts'

/** Long enough to make one episode of a flood that comes in gusts. */
const LOOK_EVERY_MS = 1000

/** More comes for a process than it takes. */
export interface MailboxOverflow {
  readonly type: 'mailboxOverflow'
  readonly phase: 'began' | 'ended'
  readonly pid: Pid
  readonly label: string | undefined
  readonly policy: WhenFull
  /** Messages. */
  readonly limit: number
  /** Messages lost so far; a call is not among them, since its caller is told. */
  readonly dropped: number
}

export interface OverflowsOptions {
  readonly clock: Clock
  readonly report: (event: MailboxOverflow) => void
  /** At the end of an episode, for all messages that were dropped in it. */
  readonly lost: (process: Process, count: number) => void
  /** A call was dropped: its caller has to be told. */
  readonly refuse: (process: Process, from: From) => void
  readonly end: (process: Process, reason: Reason) => void
}

interface Episode {
  dropped: number
  /** Something happened since the last look. */
  stirred: boolean
}

export class Overflows {
  readonly #options: OverflowsOptions
  readonly #episodes = new Map<Process, Episode>()
  #timer: Timer | undefined

  constructor(options: OverflowsOptions) {
    this.#options = options
  }

  /** The senders of this process are held back. */
  blocks(process: Process): void {
    this.#stir(process)
  }

  /** For a message or a call that found no room, in a mailbox that does not block. False: it cannot be taken. */
  makeRoom(process: Process, isCall: boolean): boolean {
    const { mailbox } = process
    const episode = this.#stir(process)
    if (mailbox.limits.onFull === 'exit') {
      episode.dropped += mailbox.size + 1
      this.#options.end(process, mailboxFull(process))
      return false
    }
    if (mailbox.limits.onFull === 'dropOldest') {
      while (mailbox.full) {
        const oldest = mailbox.dropOldest()
        if (oldest === undefined) break
        if (oldest.kind === 'call') this.#options.refuse(process, (oldest.entry as { from: From }).from)
        else episode.dropped++
      }
      if (!mailbox.full) return true
    }
    if (!isCall) episode.dropped++
    return false
  }

  stop(): void {
    this.#timer?.cancel()
    this.#episodes.clear()
  }

  #stir(process: Process): Episode {
    let episode = this.#episodes.get(process)
    if (episode === undefined) {
      episode = { dropped: 0, stirred: true }
      this.#episodes.set(process, episode)
      this.#timer ??= this.#options.clock.after(LOOK_EVERY_MS, () => this.#look(), true)
      this.#tell(process, 'began', 0)
    }
    episode.stirred = true
    return episode
  }

  #look(): void {
    this.#timer = undefined
    for (const [process, episode] of this.#episodes) {
      const { mailbox, ended } = process
      const isCalm = !episode.stirred && !mailbox.pressed && mailbox.size <= mailbox.limits.highWater / 2
      episode.stirred = false
      if (ended === undefined && !isCalm) continue
      this.#episodes.delete(process)
      if (episode.dropped > 0) this.#options.lost(process, episode.dropped)
      this.#tell(process, 'ended', episode.dropped)
    }
    if (this.#episodes.size > 0) this.#timer = this.#options.clock.after(LOOK_EVERY_MS, () => this.#look(), true)
  }

  #tell({ pid, label, mailbox }: Process, phase: MailboxOverflow['phase'], dropped: number): void {
    const { onFull: policy, highWater: limit } = mailbox.limits
    this.#options.report({ type: 'mailboxOverflow', phase, pid, label, policy, limit, dropped })
  }
}

/** What the caller of a dropped call hears. */
export const MAILBOX_REFUSAL: Refusal = { refused: 'ERR_SKEIN_MAILBOX_FULL', text: 'Its mailbox is full.' }

/** Why a process ends that has no room for what cannot be refused, or whose policy it is to end. */
export const mailboxFull = ({ pid, mailbox }: Process): SkeinError =>
  new SkeinError('ERR_SKEIN_MAILBOX_FULL', `The mailbox of ${pid} was full with ${mailbox.size} messages.`)

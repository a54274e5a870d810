/**
 * The post: brings messages into mailboxes, or says what became of them.
 *
 * Invariants: nothing is lost in silence. A message that finds nobody is a dead letter. What becomes of one that finds the
 * mailbox full is decided by the mailbox's policy: local senders of one that blocks are told by an error, what is dropped
 * is counted and told (overflow.ts), and a call that is dropped fails at its caller. Where something cannot be refused
 * and there is no room at all, the process with the full mailbox ends.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Hold } from '../../transport/lane.ts'
import { type Origin, Pid, type RemoteName } from '../pid.ts'
import { type Reason, type Signal, type To, Unreadable } from '../signals.ts'
import { CallEntry, CastEntry, callMessage } from './behaviour.ts'
import { Bridge } from './bridge.ts'
import type { From } from './calls.ts'
import { type AnyTarget, addressOf, type Directory, nameOf } from './directory.ts'
import type { FairShare } from './fair-share.ts'
import type { Kind } from './mailbox.ts'
import { type MailboxOverflow, mailboxFull, Overflows } from './overflow.ts'
import { Process } from './process.ts'
import { checkMessage, type Issue } from './schema.ts'

/** A message that found nobody: `noproc`, `noconnection`, a code. `from` is undefined for a program outside of any process. */
export interface DeadLetter {
  readonly type: 'deadLetter'
  readonly to: Pid | RemoteName
  readonly from: Pid | undefined
  readonly reason: string
  /** With ERR_SKEIN_BAD_REQUEST: what the schema of the target found. */
  readonly issues?: readonly Issue[]
  /** With ERR_SKEIN_MAILBOX_FULL: messages that were dropped, from whomever. */
  readonly count?: number
}

export interface PostOptions {
  readonly clock: Clock
  readonly origin: Origin
  readonly directory: Directory
  readonly share: FairShare
  readonly report: (event: DeadLetter | MailboxOverflow) => void
  /** A call for this process was dropped. */
  readonly refuse: (process: Process, from: From) => void
  readonly end: (process: Process, reason: Reason) => void
}

type Letter = Extract<Signal, { type: 'send' | 'cast' }>

export class Post {
  readonly #origin: Origin
  readonly #directory: Directory
  readonly #share: FairShare
  readonly #report: PostOptions['report']
  readonly #refuse: PostOptions['refuse']
  readonly #end: PostOptions['end']
  readonly #overflows: Overflows

  constructor({ clock, origin, directory, share, report, refuse, end }: PostOptions) {
    this.#origin = origin
    this.#directory = directory
    this.#share = share
    this.#report = report
    this.#refuse = refuse
    this.#end = end
    const lost = ({ pid }: Process, count: number): void =>
      report({ type: 'deadLetter', to: pid, from: undefined, reason: 'ERR_SKEIN_MAILBOX_FULL', count })
    this.#overflows = new Overflows({ clock, report, lost, refuse, end })
  }

  /** False: much is waiting. Throws what cannot be sent. */
  send(type: Letter['type'], sender: Process | undefined, target: AnyTarget, message: unknown): boolean {
    const at = this.#directory.locate(target)
    if (at instanceof Process) {
      const { mailbox } = at
      const isFull = mailbox.full
      if (isFull) {
        if (mailbox.refuses) throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `The mailbox of ${at.pid} is full.`)
        if (!this.#overflows.makeRoom(at, false)) return this.#share.take()
      }
      mailbox.push(entryFor(at, type, message))
      return this.#hold(at) === undefined && (!isFull || this.#share.take())
    }
    if (at instanceof Bridge) {
      return at.send(sender, { type, from: sender?.pid.number ?? 0, to: addressOf(target), message })
    }
    this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender?.pid, reason: at })
    // Nothing waits, but a sender that goes on until it hears false must not keep input waiting for ever.
    return this.#share.take()
  }

  /** For timers: the sender may have ended, and nobody is there to hear of an error. */
  sendLate(sender: Process | undefined, target: AnyTarget, message: unknown): void {
    const alive = sender?.ended === undefined ? sender : undefined
    try {
      this.send('send', alive, target, message)
    } catch (error) {
      const reason = error instanceof SkeinError ? error.code : String(error)
      this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender?.pid, reason })
    }
  }

  drained(sender: Process | undefined, target: AnyTarget): Promise<void> {
    const at = this.#directory.locate(target)
    if (at instanceof Process && at.mailbox.pressed) return at.mailbox.drained()
    return at instanceof Bridge ? at.route.drained(sender?.pid.number ?? 0) : this.#share.turn()
  }

  /** A message of another node. */
  receive(bridge: Bridge, { type, from, to, message }: Letter, sizeBytes: number): Hold | undefined {
    const process = this.#directory.find(to)
    if (process === undefined) {
      this.#undeliverable(bridge, from, to, 'noproc')
      return undefined
    }
    if (message instanceof Unreadable) {
      this.#undeliverable(bridge, from, to, message.error.code)
      return undefined
    }
    const schema = process.traits.schema?.[type === 'cast' ? 'cast' : 'info']
    const checked = schema === undefined ? undefined : checkMessage(schema, message)
    if (checked?.type === 'bad') {
      this.#undeliverable(bridge, from, to, 'ERR_SKEIN_BAD_REQUEST', checked.issues)
      return undefined
    }
    this.put(process, entryFor(process, type, checked === undefined ? message : checked.value), sizeBytes, 'message')
    return this.#hold(process)
  }

  /** A call, from wherever. A Hold asks to hold back the lane it came over. */
  putCall(process: Process, from: From, request: unknown, sizeBytes = 0): Hold | undefined {
    const entry = process.serves ? new CallEntry(from, request) : callMessage(from, request)
    const isTaken = this.put(process, entry, sizeBytes, 'call')
    if (!isTaken && process.ended === undefined) this.#refuse(process, from)
    return this.#hold(process)
  }

  /** For those who cannot be held back here. False: it was not taken, and that is settled. */
  put(process: Process, entry: unknown, sizeBytes = 0, kind: Kind = 'system'): boolean {
    const { mailbox } = process
    if (mailbox.full && !this.#admits(process, kind)) return false
    mailbox.push(entry, sizeBytes, kind)
    return true
  }

  stop(): void {
    this.#overflows.stop()
  }

  #admits(process: Process, kind: Kind): boolean {
    const { mailbox } = process
    if (kind !== 'system' && !mailbox.refuses) return this.#overflows.makeRoom(process, kind === 'call')
    if (!mailbox.bursting) return true
    this.#end(process, mailboxFull(process))
    return false
  }

  #hold(process: Process): Hold | undefined {
    if (!process.mailbox.pressed) return undefined
    this.#overflows.blocks(process)
    return process.mailbox
  }

  #undeliverable(bridge: Bridge, from: number, to: To, reason: string, issues?: readonly Issue[]): void {
    const origin = bridge.route.origin
    const sender = origin === undefined || from === 0 ? undefined : new Pid(origin, from)
    const target = typeof to === 'number' ? new Pid(this.#origin, to) : { name: to, node: this.#origin.name }
    this.#report({ type: 'deadLetter', to: target, from: sender, reason, ...(issues && { issues }) })
  }
}

const entryFor = (process: Process, type: Letter['type'], message: unknown): unknown =>
  type === 'cast' && process.serves ? new CastEntry(message) : message

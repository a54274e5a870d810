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
import { safeText } from '../safe-text.ts'
import { type Reason, type Signal, type To, Unreadable } from '../signals.ts'
import { CallEntry, CastEntry, callMessage, Notice } from './behaviour.ts'
import { Bridge } from './bridge.ts'
import type { From } from './calls.ts'
import { type AnyTarget, addressOf, type Directory, nameOf } from './directory.ts'
import type { FairShare } from './fair-share.ts'
import type { Kind } from './mailbox.ts'
import { type MailboxOverflow, mailboxFull, Overflows } from './overflow.ts'
import { Process } from './process.ts'
import { checkMessage, type Issue } from './schema.ts'
import type { Tally } from './tally.ts'
import { nameOf as processName, type TracedWork, type Tracing } from './tracing.ts'

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
  readonly tracing: Tracing
  readonly tally: Tally
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
  readonly #tracing: Tracing
  readonly #tally: Tally

  constructor({ clock, origin, directory, share, report, refuse, end, tracing, tally }: PostOptions) {
    this.#origin = origin
    this.#directory = directory
    this.#share = share
    this.#report = report
    this.#refuse = refuse
    this.#end = end
    this.#tracing = tracing
    this.#tally = tally
    const lost = ({ pid }: Process, count: number): void =>
      report({ type: 'deadLetter', to: pid, from: undefined, reason: 'ERR_SKEIN_MAILBOX_FULL', count })
    this.#overflows = new Overflows({ clock, report, lost, refuse, end })
  }

  /** False: much is waiting. Throws what cannot be sent. */
  send(type: Letter['type'], sender: Process | undefined, target: AnyTarget, message: unknown): boolean {
    if (this.#tracing.isOn) return this.#sendTraced(type, sender, target, message)
    return this.#send(type, sender, target, message, undefined)
  }

  /** A function of its own: the closures would cost every message that is not traced, too. */
  #sendTraced(type: Letter['type'], sender: Process | undefined, target: AnyTarget, message: unknown): boolean {
    const what = (): TracedWork => this.workOn(type, target)
    return this.#tracing.outgoing(sender, what, (trace) => this.#send(type, sender, target, message, trace))
  }

  /** How a tracer is told of what goes to this target. */
  workOn(kind: TracedWork['kind'], target: AnyTarget): TracedWork {
    const role = kind === 'call' ? 'client' : 'producer'
    const named = nameOf(target, this.#origin)
    if (!(named instanceof Pid)) return { role, kind, node: named.node, process: named.name }
    const here = this.#directory.isOwn(named.origin) ? this.#directory.find(named.number) : undefined
    return { role, kind, node: named.node, process: here === undefined ? named.toString() : processName(here) }
  }

  #send(
    type: Letter['type'],
    sender: Process | undefined,
    target: AnyTarget,
    message: unknown,
    trace: string | undefined,
  ): boolean {
    const at = this.#directory.locate(target)
    if (at instanceof Process) {
      const { mailbox } = at
      const isFull = mailbox.full
      if (isFull) {
        if (mailbox.refuses) throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `The mailbox of ${at.pid} is full.`)
        if (!this.#overflows.makeRoom(at, false)) return this.#share.take()
      }
      this.#tally.localMessages++
      const entry = entryFor(at, type, message, sender?.pid)
      mailbox.push(this.#tracing.isOn ? this.#tracing.wrap(at, type, trace, entry) : entry)
      return this.#hold(at) === undefined && (!isFull || this.#share.take())
    }
    if (at instanceof Bridge) {
      const from = sender?.pid.number ?? 0
      const to = addressOf(target)
      return at.send(sender, trace === undefined ? { type, from, to, message } : { type, from, to, message, trace })
    }
    this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender?.pid, reason: at })
    // Nothing waits, but a sender that goes on until it hears false must not keep input waiting for ever.
    return this.#share.take()
  }

  /** For timers: the sender may have ended, nobody is there to hear of an error, and it belongs to no trace. */
  sendLate(sender: Process | undefined, target: AnyTarget, message: unknown): void {
    const alive = sender?.ended === undefined ? sender : undefined
    this.#orReport(sender, target, () => this.#send('send', alive, target, message, undefined))
  }

  /** What cannot be sent is a dead letter, and no error. */
  sendOrReport(target: AnyTarget, message: unknown): void {
    this.#orReport(undefined, target, () => this.send('send', undefined, target, message))
  }

  #orReport(sender: Process | undefined, target: AnyTarget, send: () => void): void {
    try {
      send()
    } catch (error) {
      const reason = error instanceof SkeinError ? error.code : safeText(error)
      this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender?.pid, reason })
    }
  }

  drained(sender: Process | undefined, target: AnyTarget): Promise<void> {
    const at = this.#directory.locate(target)
    if (at instanceof Process && at.mailbox.pressed) return at.mailbox.drained()
    return at instanceof Bridge ? at.route.drained(sender?.pid.number ?? 0) : this.#share.turn()
  }

  /** A message of another node. */
  receive(bridge: Bridge, letter: Letter, sizeBytes: number): Hold | undefined {
    const { type, from, to, message } = letter
    const process = this.#directory.reach(bridge, to, type)
    if (typeof process === 'string') {
      this.undeliverable(bridge, from, to, process === 'noproc' ? process : 'ERR_SKEIN_FORBIDDEN')
      return undefined
    }
    if (message instanceof Unreadable) {
      this.undeliverable(bridge, from, to, message.error.code)
      return undefined
    }
    const schema = process.traits.schema?.[type === 'cast' ? 'cast' : 'info']
    const checked = schema === undefined ? undefined : checkMessage(schema, message)
    if (checked?.type === 'bad') {
      this.undeliverable(bridge, from, to, 'ERR_SKEIN_BAD_REQUEST', checked.issues)
      return undefined
    }
    const sender = process.traits.senders === true ? senderOver(bridge, from) : undefined
    const accepted = checked === undefined ? message : checked.value
    const entry = entryFor(process, type, accepted, sender)
    const traced = this.#tracing.isOn ? this.#tracing.wrap(process, type, letter.trace, entry) : entry
    this.put(process, traced, sizeBytes, 'message')
    return this.#hold(process)
  }

  /** A call, from wherever. A Hold asks to hold back the lane it came over. */
  putCall(process: Process, from: From, request: unknown, sizeBytes = 0, trace?: string): Hold | undefined {
    const entry = process.serves ? new CallEntry(from, request) : callMessage(from, request)
    const traced = this.#tracing.isOn ? this.#tracing.wrap(process, 'call', trace, entry) : entry
    const isTaken = this.put(process, traced, sizeBytes, 'call')
    if (!isTaken && process.ended === undefined) this.#refuse(process, from)
    return this.#hold(process)
  }

  /** For those who cannot be held back here. False: it was not taken, and that is settled. */
  put(process: Process, entry: unknown, sizeBytes = 0, kind: Kind = 'system'): boolean {
    const { mailbox } = process
    if (mailbox.full && !this.#admits(process, kind)) return false
    const isBare = kind === 'system' && this.#tracing.isOn && !(entry instanceof Notice)
    mailbox.push(isBare ? this.#tracing.wrap(process, 'send', undefined, entry) : entry, sizeBytes, kind)
    return true
  }

  stop(): void {
    this.#overflows.stop()
  }

  #admits(process: Process, kind: Kind): boolean {
    const { mailbox } = process
    const drops = !mailbox.refuses || process.traits.guarded === true
    if (kind !== 'system' && drops) return this.#overflows.makeRoom(process, kind === 'call')
    if (!mailbox.bursting) return true
    this.#end(process, mailboxFull(process))
    return false
  }

  #hold(process: Process): Hold | undefined {
    if (!process.mailbox.pressed) return undefined
    this.#overflows.blocks(process)
    return process.mailbox
  }

  /** Says of a signal of this node that it came to nothing. */
  unheeded(sender: Process | undefined, target: AnyTarget, reason: string): void {
    this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender?.pid, reason })
  }

  /** Says of a signal of another node that it came to nothing. */
  undeliverable(bridge: Bridge, from: number, to: To, reason: string, issues?: readonly Issue[]): void {
    // Whoever may not send shall not fill the operator's ears either.
    if (reason === 'ERR_SKEIN_FORBIDDEN' && !this.#directory.rights.forbidden.hasLetter()) return
    const sender = senderOver(bridge, from)
    const target = typeof to === 'number' ? new Pid(this.#origin, to) : { name: to, node: this.#origin.name }
    this.#report({ type: 'deadLetter', to: target, from: sender, reason, ...(issues && { issues }) })
  }
}

const entryFor = (process: Process, type: Letter['type'], message: unknown, from: Pid | undefined): unknown => {
  if (type !== 'cast' || !process.serves) return message
  return new CastEntry(message, process.traits.senders === true ? from : undefined)
}

/** Process `number` of the node beyond the bridge; undefined for the node itself. */
const senderOver = (bridge: Bridge, number: number): Pid | undefined => {
  const { origin } = bridge.route
  return origin === undefined || number === 0 ? undefined : new Pid(origin, number)
}

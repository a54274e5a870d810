/**
 * The post: brings messages into mailboxes, or says what became of them.
 *
 * Invariants: nothing is lost in silence. A message that finds nobody is a dead letter; a local sender whose message a
 * mailbox cannot take is told by an error; where nobody can be told, the process with the full mailbox ends.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Hold } from '../../transport/lane.ts'
import { type Origin, Pid, type RemoteName } from '../pid.ts'
import type { Reason, Signal, To } from '../signals.ts'
import { CallEntry, CastEntry } from './behaviour.ts'
import { Bridge } from './bridge.ts'
import type { CallMessage } from './calls.ts'
import { type AnyTarget, addressOf, type Directory, nameOf } from './directory.ts'
import type { FairShare } from './fair-share.ts'
import { Process } from './process.ts'

/** A message that found nobody: `noproc`, or `noconnection`. `from` is undefined for a program outside of any process. */
export interface DeadLetter {
  readonly type: 'deadLetter'
  readonly to: Pid | RemoteName
  readonly from: Pid | undefined
  readonly reason: string
}

export interface PostOptions {
  readonly origin: Origin
  readonly directory: Directory
  readonly share: FairShare
  readonly report: (letter: DeadLetter) => void
  readonly end: (process: Process, reason: Reason) => void
}

type Letter = Extract<Signal, { type: 'send' | 'cast' }>

export class Post {
  readonly #origin: Origin
  readonly #directory: Directory
  readonly #share: FairShare
  readonly #report: (letter: DeadLetter) => void
  readonly #end: (process: Process, reason: Reason) => void

  constructor({ origin, directory, share, report, end }: PostOptions) {
    this.#origin = origin
    this.#directory = directory
    this.#share = share
    this.#report = report
    this.#end = end
  }

  /** False: much is waiting. Throws what cannot be sent. */
  send(type: Letter['type'], sender: Process | undefined, target: AnyTarget, message: unknown): boolean {
    const at = this.#directory.locate(target)
    if (at instanceof Process) {
      const { mailbox } = at
      if (mailbox.full) throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `The mailbox of ${at.pid} is full.`)
      mailbox.push(entryFor(at, type, message))
      return !mailbox.pressed
    }
    if (at instanceof Bridge) {
      return at.send(sender, { type, from: sender?.pid.number ?? 0, to: addressOf(target), message })
    }
    this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender?.pid, reason: at })
    // Nothing waits, but a sender that goes on until it hears false must not keep input waiting for ever.
    return this.#share.take()
  }

  /** For timers: the sender may have ended, and nobody is there to hear of an error. */
  sendLate(sender: Process, target: AnyTarget, message: unknown): void {
    const alive = sender.ended === undefined ? sender : undefined
    try {
      this.send('send', alive, target, message)
    } catch (error) {
      const reason = error instanceof SkeinError ? error.code : String(error)
      this.#report({ type: 'deadLetter', to: nameOf(target, this.#origin), from: sender.pid, reason })
    }
  }

  drained(sender: Process | undefined, target: AnyTarget): Promise<void> {
    const at = this.#directory.locate(target)
    if (at instanceof Process) return at.mailbox.drained()
    return at instanceof Bridge ? at.route.drained(sender?.pid.number ?? 0) : this.#share.turn()
  }

  /** A message of another node. */
  receive(bridge: Bridge, { type, from, to, message }: Letter, sizeBytes: number): Hold | undefined {
    const process = this.#directory.find(to)
    if (process === undefined) {
      this.#undeliverable(bridge, from, to, 'noproc')
      return undefined
    }
    this.put(process, entryFor(process, type, message), sizeBytes)
    return process.mailbox.pressed ? process.mailbox : undefined
  }

  /** A call, from wherever. */
  putCall(process: Process, call: CallMessage, sizeBytes = 0): void {
    this.put(process, process.serves ? new CallEntry(call.from, call.request) : call, sizeBytes)
  }

  /** For those who cannot be refused: a process whose mailbox overflows is ended, because nothing may be lost in silence. */
  put(process: Process, entry: unknown, sizeBytes = 0): void {
    const { mailbox, pid } = process
    if (mailbox.full) {
      const text = `The mailbox of ${pid} is full with ${mailbox.size} messages, the limit "mailbox".`
      this.#end(process, new SkeinError('ERR_SKEIN_LIMIT', text))
    } else mailbox.push(entry, sizeBytes)
  }

  #undeliverable(bridge: Bridge, from: number, to: To, reason: string): void {
    const origin = bridge.route.origin
    const sender = origin === undefined || from === 0 ? undefined : new Pid(origin, from)
    const target = typeof to === 'number' ? new Pid(this.#origin, to) : { name: to, node: this.#origin.name }
    this.#report({ type: 'deadLetter', to: target, from: sender, reason })
  }
}

const entryFor = (process: Process, type: Letter['type'], message: unknown): unknown =>
  type === 'cast' && process.serves ? new CastEntry(message) : message

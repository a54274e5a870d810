/**
 * Exit signals: what they do to the process that receives one (Erlang Reference Manual, "Processes: Receiving Exit
 * Signals"). How a process ends is not decided here.
 *
 * A guarded process heeds only itself, its parent if that is one of this node, and the node when it stops.
 */
import { type Origin, Pid } from '../pid.ts'
import type { Reason, Signal } from '../signals.ts'
import { Bridge } from './bridge.ts'
import { type AnyPid, type AnyTarget, addressOf, type Directory } from './directory.ts'
import type { Post } from './post.ts'
import { Process } from './process.ts'

export interface ExitsOptions {
  readonly origin: Origin
  readonly directory: Directory
  readonly post: Post
  readonly end: (process: Process, reason: Reason) => void
}

/** Why the exit signal of a stranger to a guarded process is a dead letter. */
const NOT_HEEDED = 'ERR_SKEIN_FORBIDDEN'

export class Exits {
  readonly #node: Pid
  readonly #directory: Directory
  readonly #post: Post
  readonly #end: (process: Process, reason: Reason) => void

  constructor({ origin, directory, post, end }: ExitsOptions) {
    this.#node = new Pid(origin, 0)
    this.#directory = directory
    this.#post = post
    this.#end = end
  }

  /** exit/2. Without a sender it comes from the node. Throws what cannot be sent. */
  send(sender: Process | undefined, target: AnyTarget, reason: Reason): void {
    const at = this.#directory.locate(target)
    const from = sender?.pid ?? this.#node
    if (at instanceof Process) {
      if (this.#heeds(at, from)) this.#receive(at, from, reason)
      else this.#post.unheeded(sender, target, NOT_HEEDED)
    } else if (at instanceof Bridge) at.send(sender, { type: 'exit', from: from.number, to: addressOf(target), reason })
  }

  /** exit/2 of the node itself, which every process heeds. */
  order(pid: AnyPid, reason: Reason): void {
    const at = this.#directory.locate(pid)
    if (at instanceof Process) this.#receive(at, this.#node, reason)
  }

  /** exit/2 of another node. */
  onExit(bridge: Bridge, { from, to, reason }: Extract<Signal, { type: 'exit' }>): void {
    const process = this.#directory.reach(bridge, to, 'exit')
    const { origin } = bridge.route
    if (process === 'noproc' || origin === undefined) return
    if (process === 'forbidden') this.#post.undeliverable(bridge, from, to, NOT_HEEDED)
    else if (process.traits.guarded === true) {
      this.#directory.rights.forbidden.note(origin, 'exit')
      this.#post.undeliverable(bridge, from, to, NOT_HEEDED)
    } else this.#receive(process, new Pid(origin, from), reason)
  }

  /** A process linked to this one has ended. */
  overLink(process: Process, from: Pid, reason: Reason): void {
    const isHeeded = this.#heeds(process, from)
    if (process.trapExit) {
      // Strangers shall not fill a guarded process to the point where it ends.
      if (isHeeded || !process.mailbox.full) this.#post.put(process, { type: 'EXIT', pid: from, reason })
    } else if (reason !== 'normal' && isHeeded) this.#end(process, reason)
  }

  #heeds(process: Process, from: Pid): boolean {
    if (process.traits.guarded !== true || from.equals(process.pid)) return true
    return this.#directory.isOwn(from.origin) && process.parent?.equals(from) === true
  }

  /** As over a link, but kill cannot be trapped, and normal ends only the process that sent it to itself. */
  #receive(process: Process, from: Pid, reason: Reason): void {
    if (reason === 'kill') this.#end(process, 'killed')
    else if (process.trapExit) this.#post.put(process, { type: 'EXIT', pid: from, reason })
    else if (reason !== 'normal' || from.equals(process.pid)) this.#end(process, reason)
  }
}

/**
 * One process as this node keeps it: its mailbox, and what has to be settled when it ends.
 *
 * It knows nothing of how signals work: links.ts, monitors.ts and calls.ts each keep their part here. The collections are
 * made when first needed, because most processes need few of them and there may be a million processes.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Pid } from '../pid.ts'
import type { Reason } from '../signals.ts'
import type { Traits } from './behaviour.ts'
import type { Bridge } from './bridge.ts'
import type { Attempted } from './forbidden.ts'
import type { RemoteLink } from './links.ts'
import type { Mailbox } from './mailbox.ts'
import type { Monitor, Watch } from './monitors.ts'
import type { PendingCall, ServedCall } from './pending-call.ts'
import type { Grants } from './rights.ts'
import type { PendingSpawn } from './spawns.ts'

/** Which child of a distributed supervisor a process is. */
export interface Supervised {
  readonly supervisor: string
  readonly id: string
  /** Its global name. */
  readonly name: string
  /** Of its registration, as node.global.token gives it: to be shown to whatever it writes to (`Fence`). */
  readonly token: string
}

/** Where processes stand, as in a registry. */
export interface ProcessTable {
  /** The process has ended, and nobody has heard of it yet. Must not throw. */
  ended(process: Process): void
  /** Standing there opens the process to this attempt of a node that has these rights. */
  isOpen?(process: Process, grants: Grants, attempt: Attempted): boolean
}

export class Process {
  readonly pid: Pid
  readonly mailbox: Mailbox
  readonly traits: Traits
  /** For people; shown in process info. */
  label: string | undefined
  /** Told once: when the process says that it has started, or when it ends before. */
  onStarted: ((outcome: 'started' | 'ended') => void) | undefined
  /** Which child of a distributed supervisor it is. */
  supervised: Supervised | undefined
  /** Whom it was linked to from the start; undefined for one that the node itself started. */
  readonly parent: Pid | undefined
  /** Its function has not returned. */
  running = true
  /** Exit signals become messages. */
  trapExit = false
  names: Set<string> | undefined
  /** The id of the other node that had it started. */
  startedFor: string | undefined
  /** Where it stands. */
  tables: Set<ProcessTable> | undefined
  /** Linked processes of this node. */
  links: Set<Process> | undefined
  /** Links to processes of other nodes, by the key of their pid. */
  remoteLinks: Map<string, RemoteLink> | undefined
  /** Monitors that this process holds, by reference number. */
  monitors: Map<number, Monitor> | undefined
  /** Monitors on this process. */
  watchers: Set<Monitor | Watch> | undefined
  /** Calls this process waits for: the newest, from which the others are found. */
  newestCall: PendingCall | undefined
  /** Calls this process has not answered. */
  newestUnanswered: PendingCall | ServedCall | undefined
  /** Processes on other nodes that this one has asked for. */
  spawns: Set<PendingSpawn> | undefined
  /** Where this process has a lane. */
  bridges: Set<Bridge> | undefined
  /** The bridge it sent over last: spares a look-up for each message. */
  lastBridge: Bridge | undefined
  #ended: { readonly reason: Reason } | undefined
  #controller: AbortController | undefined

  constructor(pid: Pid, mailbox: Mailbox, traits: Traits, parent?: Pid) {
    this.pid = pid
    this.mailbox = mailbox
    this.traits = traits
    this.parent = parent
    this.label = traits.label
  }

  /** Entries of its mailbox tell calls and casts from what was merely sent. */
  get serves(): boolean {
    return this.traits.serves === true
  }

  /** Undefined while alive. */
  get ended(): { readonly reason: Reason } | undefined {
    return this.#ended
  }

  /** Aborted as soon as the process has ended. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#ended !== undefined) this.#controller.abort(this.endedError())
    }
    return this.#controller.signal
  }

  /** From here on the process is dead; its mailbox is gone. */
  end(reason: Reason): void {
    this.#ended = { reason }
    this.mailbox.close(() => this.endedError())
  }

  /** Tells what the function awaits elsewhere. Runs listeners of the user: call it last. */
  abort(): void {
    this.#controller?.abort(this.endedError())
  }

  /** What a function hears that goes on after its process has ended. */
  endedError(): SkeinError {
    return new SkeinError('ERR_SKEIN_PROCESS_ENDED', `The process ${this.pid} has ended.`, {
      cause: this.#ended?.reason,
    })
  }
}

/**
 * One message to many processes: encoded once and sent once per node, on the lane of its sender, so that it keeps its place
 * among everything else the sender sends (G1).
 *
 * To each receiver it is a message like one that was sent to it alone: rights, schema, mailbox and dead letters are those of
 * a send. What one receiver or node cannot take the others still get: it is a dead letter, and no error of the sender, who
 * could not repeat it without sending it to the others again. Only what cannot be sent at all is an error, and then nobody
 * got it from another node. Receivers on one node share the message, as processes of a node do (N5).
 */
import { isSkeinError } from '../../certs/errors.ts'
import type { Hold } from '../../transport/lane.ts'
import { type Origin, Pid } from '../pid.ts'
import type { Signal } from '../signals.ts'
import { MAX_SEND_TARGETS } from '../wire/wire.ts'
import { Bridge } from './bridge.ts'
import type { AnyPid, Directory } from './directory.ts'
import type { FairShare } from './fair-share.ts'
import type { Post } from './post.ts'
import type { Process } from './process.ts'
import type { Tracing } from './tracing.ts'

/** The first protocol version whose nodes know `sendMany`. */
const FIRST_VERSION = 2

/** Processes of one incarnation of a node, by number, in rising order and each once; at least one. */
export interface Targets {
  readonly origin: Origin
  readonly numbers: readonly number[]
}

/** What is said to a group. */
export interface PublishOptions {
  /** The group is one of this scope. */
  readonly scope?: string
  /** Who does not get it. */
  readonly exclude?: AnyPid | readonly AnyPid[]
  /** Only members on this node get it. */
  readonly localOnly?: boolean
}

/** A group, as that whose members are waited for. */
export interface GroupName {
  readonly group: string
  readonly scope?: string
}

/** Knows who is in which group: src/services/groups. */
export interface Publisher {
  publish(sender: Process | undefined, group: string, message: unknown, options?: PublishOptions): boolean
  drained(sender: Process | undefined, group: GroupName): Promise<void>
}

export interface MulticastOptions {
  readonly directory: Directory
  readonly post: Post
  readonly share: FairShare
  readonly tracing: Tracing
}

export class Multicast {
  /** The groups of the node, as soon as there are any. */
  publisher: Publisher | undefined
  readonly #directory: Directory
  readonly #post: Post
  readonly #share: FairShare
  readonly #tracing: Tracing

  constructor({ directory, post, share, tracing }: MulticastOptions) {
    this.#directory = directory
    this.#post = post
    this.#share = share
    this.#tracing = tracing
  }

  /**
   * False: some of them have much to read already. Throws ERR_SKEIN_UNSERIALISABLE or ERR_SKEIN_MESSAGE_TOO_LARGE.
   * `topic` is what a tracer calls them.
   */
  send(sender: Process | undefined, all: readonly Targets[], message: unknown, topic: string): boolean {
    if (!this.#tracing.isOn) return this.#send(sender, all, message, undefined)
    const node = this.#directory.origin.name
    const what = () => ({ role: 'producer', kind: 'send', node, process: topic }) as const
    return this.#tracing.outgoing(sender, what, (trace) => this.#send(sender, all, message, trace))
  }

  #send(sender: Process | undefined, all: readonly Targets[], message: unknown, trace: string | undefined): boolean {
    // To nobody: as for a message that finds nobody, a sender that goes on until it hears false must hear it.
    let isFree = all.length > 0 || this.#share.take()
    // Other nodes first: what cannot be sent is found out before anybody has it.
    for (const targets of all) {
      if (this.#directory.isOwn(targets.origin)) continue
      if (!this.#sendAway(sender, targets, message, trace)) isFree = false
    }
    for (const { origin, numbers } of all) {
      if (!this.#directory.isOwn(origin)) continue
      for (const number of numbers) {
        if (!this.#sendOne(sender, new Pid(origin, number), message)) isFree = false
      }
    }
    return isFree
  }

  #sendAway(sender: Process | undefined, { origin, numbers }: Targets, message: unknown, trace?: string): boolean {
    let isFree = true
    const bridge = this.#directory.toOrigin(origin)
    if (!(bridge instanceof Bridge) || numbers.length === 1 || (bridge.route.version ?? 0) < FIRST_VERSION) {
      for (const number of numbers) {
        if (!this.#sendOne(sender, new Pid(origin, number), message)) isFree = false
      }
      return isFree
    }
    const from = sender?.pid.number ?? 0
    for (let start = 0; start < numbers.length; start += MAX_SEND_TARGETS) {
      const to = numbers.length <= MAX_SEND_TARGETS ? numbers : numbers.slice(start, start + MAX_SEND_TARGETS)
      const signal = { type: 'sendMany', from, to, message, ...(trace !== undefined && { trace }) } as const
      const taken = this.#taken(() => bridge.send(sender, signal), sender, to, origin)
      if (!taken) isFree = false
    }
    return isFree
  }

  #sendOne(sender: Process | undefined, pid: Pid, message: unknown): boolean {
    return this.#taken(() => this.#post.send('send', sender, pid, message), sender, [pid.number], pid.origin)
  }

  /** What finds no room is a dead letter. */
  #taken(send: () => boolean, sender: Process | undefined, numbers: readonly number[], origin: Origin): boolean {
    try {
      return send()
    } catch (error) {
      if (!isSkeinError(error, 'ERR_SKEIN_QUEUE_FULL')) throw error
      for (const number of numbers) this.#post.unheeded(sender, new Pid(origin, number), error.code)
      return false
    }
  }

  /** Of another node. A Hold asks to hold back its lane until all who have too much to read have less. */
  receive(bridge: Bridge, signal: Extract<Signal, { type: 'sendMany' }>, sizeBytes: number): Hold | undefined {
    const { from, message, trace } = signal
    const holds: Hold[] = []
    for (const to of signal.to) {
      const letter = { type: 'send', from, to, message, ...(trace !== undefined && { trace }) } as const
      const hold = this.#post.receive(bridge, letter, sizeBytes)
      if (hold !== undefined) holds.push(hold)
    }
    return holds.length > 1 ? new Holds(holds) : holds[0]
  }

  /** Resolves when all of them take more messages of this sender. */
  async drained(sender: Process | undefined, all: readonly Targets[]): Promise<void> {
    const waits: Promise<void>[] = []
    for (const { origin, numbers } of all) {
      // One lane leads to all processes of another node.
      const some = this.#directory.isOwn(origin) ? numbers : numbers.slice(0, 1)
      for (const number of some) waits.push(this.#post.drained(sender, new Pid(origin, number)))
    }
    // Whoever publishes to nobody and waits in between must not keep input waiting, see `send`.
    if (waits.length === 0) await this.#share.turn()
    await Promise.all(waits)
  }
}

class Holds implements Hold {
  readonly #holds: readonly Hold[]

  constructor(holds: readonly Hold[]) {
    this.#holds = holds
  }

  onceRelieved(resume: () => void): void {
    let left = this.#holds.length
    for (const hold of this.#holds) {
      hold.onceRelieved(() => {
        left--
        if (left === 0) resume()
      })
    }
  }
}

/**
 * Process identifiers, references and aliases: values that stay true through any number of hops.
 *
 * A pid names one process of one incarnation of one node. Its number is never reused within an incarnation, and a
 * restarted node has a new incarnation, so a pid never comes to mean a stranger. A reference names one monitor or one
 * call; it too carries the node and incarnation that made it.
 */

/** One incarnation of a node: what every pid and reference carries. Compare by `key`. */
export class Origin {
  /** name@host, for people. */
  readonly name: string
  /** Node id: hash of the key, see certs/node-id.ts. */
  readonly id: string
  /** 16 hex digits. */
  readonly incarnation: string
  /** id/incarnation: equal exactly when the incarnation is the same. */
  readonly key: string

  constructor(name: string, id: string, incarnation: string) {
    this.name = name
    this.id = id
    this.incarnation = incarnation
    this.key = `${id}/${incarnation}`
  }
}

declare const messageType: unique symbol

/** A process; `M` is what it understands. */
export class Pid<M = unknown> {
  declare readonly [messageType]: (message: M) => void
  readonly origin: Origin
  /** 1 and up; unique within the incarnation. */
  readonly number: number

  constructor(origin: Origin, number: number) {
    this.origin = origin
    this.number = number
  }

  /** name@host of its node. */
  get node(): string {
    return this.origin.name
  }

  /** Equal exactly for the same process; good as a Map key. */
  get key(): string {
    return `${this.origin.key}/${this.number}`
  }

  equals(other: unknown): boolean {
    return other instanceof Pid && other.number === this.number && other.origin.key === this.origin.key
  }

  toString(): string {
    return `<${this.origin.name}#${this.origin.incarnation.slice(-6)}.${this.number}>`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A reference: the name of a monitor, a call or a timer. */
export class Ref {
  readonly origin: Origin
  readonly number: number

  constructor(origin: Origin, number: number) {
    this.origin = origin
    this.number = number
  }

  get key(): string {
    return `${this.origin.key}/r${this.number}`
  }

  equals(other: unknown): boolean {
    return other instanceof Ref && other.number === this.number && other.origin.key === this.origin.key
  }

  toString(): string {
    return `#ref<${this.origin.name}#${this.origin.incarnation.slice(-6)}.${this.number}>`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A name on a node: where `send({ name, node }, ...)` goes. */
export interface RemoteName {
  readonly name: string
  /** name@host */
  readonly node: string
}

/** Whatever can be sent to. A bare string is a name registered on this node. */
export type Target<M = unknown> = Pid<M> | string | RemoteName

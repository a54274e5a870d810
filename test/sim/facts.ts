/**
 * What a run consists of: places (one node from start to end), actors (processes under test) and facts (what was done and
 * what came of it, in order). Rules look at facts and throw a Violation when a guarantee does not hold.
 */
import { isSkeinError } from '../../certs/errors.ts'
import type { From, Pid, Ref, RemoteName, Self, SkeinNode } from '../../src/index.ts'
import type { SimulatedHost } from '../../src/testing/index.ts'

/** A connection as one of its ends sees it: from a nodeup to the next nodedown. */
export interface Connection {
  readonly number: number
  readonly id: string
  readonly incarnation: string
}

/** One node, from its start to its end. */
export class Place {
  readonly host: SimulatedHost
  readonly node: SkeinNode
  readonly number: number
  /** Connected nodes by name. */
  readonly up = new Map<string, Connection>()
  /** Virtual times at which the connection to a node was lost, by its name. */
  readonly losses = new Map<string, number[]>()
  /** Virtual times at which a connection to a node began, by its name. */
  readonly ups = new Map<string, number[]>()
  /** It crashed. */
  isGone = false

  constructor(host: SimulatedHost, number: number) {
    this.host = host
    this.node = host.node
    this.number = number
  }

  get name(): string {
    return this.node.name
  }

  get isRunning(): boolean {
    return !this.isGone && this.host.state === 'running'
  }

  /** The number of the connection to that very node, 0 for itself, undefined while there is none. */
  connectionTo(other: Place): number | undefined {
    if (other === this) return 0
    const up = this.up.get(other.name)
    return up?.id === other.node.id && up.incarnation === other.node.incarnation ? up.number : undefined
  }

  /** Then or later. */
  lostSince(other: string, atMs: number): boolean {
    return this.losses.get(other)?.some((lossMs) => lossMs >= atMs) === true
  }

  /** Later, not then. */
  lostAfter(other: string, atMs: number): boolean {
    return this.losses.get(other)?.some((lossMs) => lossMs > atMs) === true
  }

  connectedSince(other: string, atMs: number): boolean {
    return this.ups.get(other)?.some((upMs) => upMs >= atMs) === true
  }
}

export interface End {
  readonly atMs: number
  /** As `show` writes it; 'crash' when its machine crashed. */
  readonly reason: string
}

/** A process under test. */
export class Actor {
  readonly id: string
  readonly place: Place
  pid!: Pid
  self!: Self
  trapExit: boolean
  /** Since when `trapExit` has been on without a break. */
  trapsSinceMs = Number.POSITIVE_INFINITY
  end: End | undefined
  /** The number of the last signal it sent. */
  lastSent = 0
  /** Names it has had. */
  readonly names = new Set<string>()

  constructor(id: string, place: Place, trapExit: boolean) {
    this.id = id
    this.place = place
    this.trapExit = trapExit
  }

  get isAlive(): boolean {
    return this.end === undefined
  }

  /** It has ended, though its function may not have noticed yet: what it does now has no effect. */
  get isOver(): boolean {
    return this.self.signal.aborted
  }

  /** It can do something: its machine runs. */
  get canAct(): boolean {
    return this.isAlive && this.place.isRunning
  }

  isWith(other: Actor): boolean {
    return this.place === other.place
  }
}

export type Subject = Actor | RemoteName

/** A signal that its receiver can recognise. `number` grows with everything its sender sends. */
export interface Flight {
  readonly kind: 'mail' | 'exit' | 'call' | 'timer'
  readonly from: Actor
  readonly number: number
  readonly to: Subject
  readonly size: number
  /** The connection it was given to; undefined if there was none yet. */
  readonly connection: number | undefined
  readonly sentMs: number
  isRefused: boolean
}

/** What actors send each other. */
export interface Mail {
  readonly fuzz: 'mail'
  readonly from: string
  readonly number: number
  readonly body: Uint8Array
  /** A call that was handed on: the receiver answers it. */
  readonly handedOn?: { readonly from: From; readonly call: number }
}

/** What a called actor does. */
export type Policy = 'reply' | 'twice' | 'hold' | 'handOn' | 'end'

export interface Question {
  readonly fuzz: 'question'
  readonly from: string
  readonly number: number
  readonly call: number
  readonly policy: Policy
  readonly handOnTo?: Pid
}

export interface Answer {
  readonly fuzz: 'answer'
  readonly call: number
  readonly number: number
}

/** A reason that exit/2 brought: which signal it was. */
export interface ExitReason {
  readonly fuzz: 'exit'
  readonly from: string
  readonly number: number
}

/** Any other reason made by the program, to be told from all others. */
export interface Why {
  readonly fuzz: 'why'
  readonly number: number
}

export interface Call {
  readonly number: number
  readonly by: Actor
  readonly to: Subject
  readonly timeoutMs: number
  readonly sentMs: number
  /** On the caller's clock. */
  readonly sentLocalMs: number
}

export interface SetTimer {
  readonly ref: Ref
  readonly by: Actor
  readonly flight: Flight
  /** On the clock of the place that set it. */
  readonly dueLocalMs: number
}

/** A request to start an actor by the name of its behaviour. */
export interface SpawnRequest {
  readonly number: number
  readonly by: Actor
  /** name@host */
  readonly node: string
  readonly how: SpawnHow
  readonly trapExit: boolean
  readonly style: Style
  /** It is answered when the process has started, which may be after its first signals. */
  readonly start: boolean
  /** No node has a behaviour of that name. */
  readonly isUnknown: boolean
}

export type Fact =
  | { readonly type: 'spawnAsked'; readonly request: SpawnRequest }
  | { readonly type: 'born'; readonly request: SpawnRequest; readonly actor: Actor }
  | {
      readonly type: 'spawnAnswered'
      readonly request: SpawnRequest
      readonly pid: Pid | undefined
      readonly code: string
    }
  | { readonly type: 'spawned'; readonly actor: Actor; readonly by: Actor | undefined; readonly how: SpawnHow }
  | { readonly type: 'ended'; readonly actor: Actor; readonly reason: string }
  | { readonly type: 'willEnd'; readonly actor: Actor; readonly reason: string }
  | { readonly type: 'sent'; readonly flight: Flight }
  | { readonly type: 'arrived'; readonly flight: Flight; readonly actor: Actor; readonly isWhole: boolean }
  | { readonly type: 'exitSent'; readonly by: Actor; readonly to: Actor; readonly reason: string }
  | { readonly type: 'linked'; readonly by: Actor; readonly to: Actor }
  | { readonly type: 'unlinked'; readonly by: Actor; readonly to: Actor }
  | { readonly type: 'exit'; readonly actor: Actor; readonly of: Actor; readonly reason: string }
  | { readonly type: 'monitored'; readonly by: Actor; readonly of: Subject; readonly ref: Ref }
  | {
      readonly type: 'demonitored'
      readonly by: Actor
      readonly ref: Ref
      readonly flush: boolean
      readonly was: boolean
    }
  | {
      readonly type: 'down'
      readonly actor: Actor
      readonly ref: Ref
      readonly about: Pid | RemoteName
      readonly reason: string
    }
  | { readonly type: 'nodeSeen'; readonly actor: Actor; readonly node: string; readonly isUp: boolean }
  | { readonly type: 'called'; readonly call: Call }
  | { readonly type: 'answered'; readonly by: Actor; readonly answer: Answer }
  | { readonly type: 'outcome'; readonly call: Call; readonly outcome: Outcome }
  | { readonly type: 'timerSet'; readonly timer: SetTimer }
  | { readonly type: 'timerCancelled'; readonly timer: SetTimer; readonly was: boolean }
  | { readonly type: 'registered'; readonly actor: Actor; readonly name: string; readonly refused: boolean }
  | { readonly type: 'unregistered'; readonly place: Place; readonly name: string; readonly refused: boolean }
  | { readonly type: 'trap'; readonly actor: Actor; readonly on: boolean }
  | { readonly type: 'nodeup'; readonly place: Place; readonly node: string; readonly connection: Connection }
  | { readonly type: 'nodedown'; readonly place: Place; readonly node: string; readonly reason: string }
  | { readonly type: 'strange'; readonly actor: Actor; readonly message: unknown }
  | { readonly type: 'fault'; readonly text: string }

export type SpawnHow = 'spawn' | 'link' | 'monitor'

/** How an actor waits for messages. */
export type Style = 'iterate' | 'receive' | 'timeout' | 'match'

export type Outcome =
  | { readonly type: 'value'; readonly answer: Answer }
  | { readonly type: 'error'; readonly code: string; readonly cause: string }

/** A guarantee that does not hold. */
export class Violation extends Error {
  constructor(guarantee: string, text: string) {
    super(`${guarantee}: ${text}`)
  }
}

/** What a rule can ask of the run. */
export interface Scene {
  readonly nowMs: number
  readonly actors: readonly Actor[]
  actorOf(pid: Pid): Actor | undefined
}

/** One or more guarantees. Each method throws a Violation. */
export interface Rule {
  see(fact: Fact, scene: Scene): void
  /** After healing, once all is quiet: what is owed must have come. */
  settled?(scene: Scene): void
  /** Every connection was lost at once. */
  parted?(scene: Scene): void
  /** Every actor has ended. */
  finished?(scene: Scene): void
}

/** A reason in one line, the same for equal reasons on every node. */
export const show = (reason: unknown): string => {
  if (typeof reason === 'string') return reason
  if (isSkeinError(reason)) return reason.code
  if (reason instanceof Error) return `error ${reason.message}`
  if (isFuzz(reason, 'exit')) return `exit ${reason.from}#${reason.number}`
  if (isFuzz(reason, 'why')) return `why ${reason.number}`
  return `?${JSON.stringify(reason)}`
}

type Fuzz = Mail | Question | Answer | ExitReason | Why | Order

/** Makes an actor return or throw. */
export interface Order {
  readonly fuzz: 'order'
  readonly end: 'return' | 'throw'
  readonly why: number
}

export const isFuzz = <K extends Fuzz['fuzz']>(value: unknown, kind: K): value is Extract<Fuzz, { fuzz: K }> =>
  typeof value === 'object' && value !== null && 'fuzz' in value && value.fuzz === kind

export const nameOf = (subject: Subject): string =>
  subject instanceof Actor ? subject.id : `${subject.name} on ${subject.node}`

/** The place that a subject is on, by name. */
export const nodeOf = (subject: Subject): string => (subject instanceof Actor ? subject.place.name : subject.node)

/**
 * The names of this node's processes: the only claims that this node writes, on its board and in its own table at once.
 *
 * A process that ends loses its names in that instant. What it does not do: ask whether the name is free.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { Origin, Pid } from '../../pid.ts'
import { type Board, MAX_ENTRIES_PER_OWNER } from '../board.ts'
import type { ChannelPeer } from '../channel.ts'
import { claimOf, type Entry } from './claim.ts'
import { tokenOf } from './fence.ts'
import type { HybridClock, Stamp } from './stamp.ts'
import type { Table } from './table.ts'

/** Names of one node. */
const MAX_NAMES_PER_NODE = MAX_ENTRIES_PER_OWNER
/** Names of one process. */
const MAX_NAMES_PER_PROCESS = 4096
/** Names that get a new token before others have their turn: each is told to everybody. */
const RENEWALS_PER_TURN = 512

/** What a callback is told of a claim. */
export interface GlobalClaim {
  readonly pid: Pid
  readonly token: string
  /** Milliseconds since 1970, by the clock of its node. */
  readonly registeredAt: number
}

/** Gives the pid that keeps the name, `a`'s or `b`'s; `a` was registered first. */
export type Resolve = (name: string, a: GlobalClaim, b: GlobalClaim) => Pid | Promise<Pid>

/** A name that a process of this node has. */
export interface Holding {
  readonly name: string
  number: number
  readonly registeredAt: Stamp
  token: Stamp
  readonly resolve: Resolve | undefined
  /** Another node claims the name too; or did, and this node's token is not yet renewed. */
  isContested: boolean
  /** The node that hands the name to this one, and has it until then. */
  giver: ChannelPeer | undefined
}

export interface HoldingsParts {
  readonly self: Origin
  readonly clock: Clock
  readonly stamps: HybridClock
  readonly board: Board<Entry>
  readonly table: Table
}

export class Holdings {
  readonly #parts: HoldingsParts
  readonly #byName = new Map<string, Holding>()
  readonly #byProcess = new Map<number, Set<string>>()
  /** To whom names are being handed. Until that has an end no other gets them, even if the process here has ended. */
  readonly heirs = new Map<string, ChannelPeer>()

  constructor(parts: HoldingsParts) {
    this.#parts = parts
  }

  get(name: string): Holding | undefined {
    return this.#byName.get(name)
  }

  /** Names of a process. */
  namesOf(number: number): readonly string[] {
    return [...(this.#byProcess.get(number) ?? [])]
  }

  names(): IterableIterator<string> {
    return this.#byName.keys()
  }

  /** Throws ERR_SKEIN_LIMIT when there is no room for one more name of this process. */
  mustTake(number: number): void {
    if (this.#byName.size >= MAX_NAMES_PER_NODE) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${MAX_NAMES_PER_NODE} global names.`)
    }
    if ((this.#byProcess.get(number)?.size ?? 0) >= MAX_NAMES_PER_PROCESS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `The process has ${MAX_NAMES_PER_PROCESS} global names.`)
    }
  }

  /** The name is this process's from now on. */
  add(name: string, number: number, options: Partial<Pick<Holding, 'resolve' | 'giver'>> = {}): Holding {
    this.mustTake(number)
    const registeredAt = this.#parts.stamps.tick()
    const holding: Holding = {
      name,
      number,
      registeredAt,
      token: registeredAt,
      resolve: options.resolve,
      giver: options.giver,
      isContested: false,
    }
    this.#byName.set(name, holding)
    this.#index(holding)
    this.#publish(holding)
    return holding
  }

  /** It goes to another process of this node: its seniority stays, the token is new. */
  pass(holding: Holding, number: number): void {
    this.mustTake(number)
    this.#unindex(holding)
    holding.number = number
    this.#index(holding)
    this.renew(holding)
  }

  /** A greater token than all that this node has seen. */
  renew(holding: Holding): void {
    holding.token = this.#parts.stamps.tick()
    this.#publish(holding)
  }

  /** As `outbid`, for all names. */
  async renewAll(stamp: Stamp): Promise<void> {
    let count = 0
    for (const holding of this.#byName.values()) {
      this.outbid(holding, stamp)
      if (++count % RENEWALS_PER_TURN === 0) await new Promise<void>((go) => this.#parts.clock.afterInput(go))
    }
  }

  /** A greater token than that, unless the name is just being given away: then the heir gets one, or it when that fails. */
  outbid(holding: Holding, stamp: Stamp): void {
    if (!this.heirs.has(holding.name) && holding.token <= stamp) this.renew(holding)
  }

  remove(holding: Holding): void {
    const { board, table } = this.#parts
    const { name } = holding
    if (this.#byName.get(name) !== holding) return
    this.#byName.delete(name)
    this.#unindex(holding)
    board.delete(name)
    table.remove(name, undefined)
  }

  tokenOf({ token }: Holding): string {
    return tokenOf(token, this.#parts.self)
  }

  #publish({ name, number, registeredAt, token, resolve }: Holding): void {
    const { board, table, self } = this.#parts
    const entry: Entry = [number, registeredAt, token, resolve !== undefined]
    board.set(name, entry)
    table.put(claimOf(name, entry, undefined, self))
  }

  #index({ name, number }: Holding): void {
    const names = this.#byProcess.get(number)
    if (names === undefined) this.#byProcess.set(number, new Set([name]))
    else names.add(name)
  }

  #unindex({ name, number }: Holding): void {
    const names = this.#byProcess.get(number)
    names?.delete(name)
    if (names?.size === 0) this.#byProcess.delete(number)
  }
}

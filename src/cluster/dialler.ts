/**
 * Reaching one node: look its name up, try its addresses one after the other, and tell what was tried when none worked.
 *
 * One dial at a time per target; whoever else wants the same waits for it. A dial that lost to one from the other side is
 * no failure: the node is connected through the winner. If no winner shows up, the other side still believes in a
 * connection that this one has lost, and the dial is repeated with the word to replace it.
 */
import { type Attempt, ERRORS, type ErrorCode, SkeinError } from '../../certs/errors.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Peer } from './peer.ts'
import type { SessionEnd } from './session.ts'

/** One address has this long to finish TLS; less if there are others to try. */
const ATTEMPT_TIMEOUT_MS = 3000
const ATTEMPT_TIMEOUT_AMONG_SEVERAL_MS = 1500
/** Addresses tried in one dial. */
const MAX_ATTEMPTS = 16
/** Dials under way at once. */
const MAX_DIALS = 1024
/** How long the connection that won may take to be up. */
const WINNER_TIMEOUT_MS = 1000
/** How long an unknown name is waited for, while all sources look again. */
const LOOKUP_TIMEOUT_MS = 2000

export type DialOutcome =
  | { readonly type: 'up'; readonly peer: Peer }
  | { readonly type: 'failed'; readonly end: SessionEnd; readonly id: string | undefined }

export interface DialOptions {
  /** Any other key that answers is an error. */
  readonly expectedId: string | undefined
  readonly replace: boolean
  readonly timeoutMs: number
}

/** Where to reach a node, in the order to try. */
export interface Whereabouts {
  readonly id?: string
  readonly addresses: readonly Address[]
}

/** What a dial needs of the table of peers. */
export interface DialTable {
  dialOnce(address: Address, options: DialOptions): Promise<DialOutcome>
  peerById(id: string): Peer | undefined
  peerByName(name: string): Peer | undefined
  /** The peer of this id as soon as it is up; undefined when the time is over. */
  whenUp(id: string, timeoutMs: number): Promise<Peer | undefined>
}

/** What a dial needs of discovery. */
export interface DialDirectory {
  find(name: string): readonly Whereabouts[]
  /** Asks every source to look again. */
  refresh(): void
  /** Another key answers at the address: what members told of this node is out of date. */
  forget(id: string): void
}

export class Dialler {
  readonly #table: DialTable
  readonly #directory: DialDirectory
  readonly #clock: Clock
  readonly #running = new Map<string, Promise<Peer>>()
  /** Those who wait for a name to become known. */
  readonly #lookups = new Set<{ readonly name: string; readonly found: () => void }>()

  #stopped = false

  constructor(table: DialTable, directory: DialDirectory, clock: Clock) {
    this.#table = table
    this.#directory = directory
    this.#clock = clock
  }

  /** Dials a node by name. Rejects with ERR_SKEIN_NODE_UNKNOWN, ERR_SKEIN_CONNECT_FAILED or the one code of all attempts. */
  toName(name: string): Promise<Peer> {
    return this.#once(name, () => this.#dialName(name))
  }

  /** Dials addresses in order. */
  toAddresses(what: string, whereabouts: Whereabouts): Promise<Peer> {
    return this.#once(`${what} ${whereabouts.addresses.map(formatAddress).join(' ')}`, () =>
      this.#tryAll(what, [whereabouts]),
    )
  }

  /** The node stops: nobody waits any longer for a name to become known, and no dial begins. */
  stop(): void {
    this.#stopped = true
    for (const lookup of [...this.#lookups]) lookup.found()
  }

  /** Discovery knows something new of this name. */
  becameKnown(name: string): void {
    for (const lookup of this.#lookups) if (lookup.name === name) lookup.found()
  }

  #once(key: string, dial: () => Promise<Peer>): Promise<Peer> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    if (this.#stopped) return Promise.reject(stopped())
    if (this.#running.size >= MAX_DIALS) {
      return Promise.reject(new SkeinError('ERR_SKEIN_LIMIT', `${MAX_DIALS} dials are already under way.`))
    }
    const dialling = dial().finally(() => this.#running.delete(key))
    this.#running.set(key, dialling)
    return dialling
  }

  async #dialName(name: string): Promise<Peer> {
    let known = this.#directory.find(name)
    if (known.length === 0) {
      await this.#lookUp(name)
      if (this.#stopped) throw stopped()
      known = this.#directory.find(name)
    }
    const peer = this.#table.peerByName(name)
    if (peer !== undefined) return peer
    if (known.length === 0) throw new SkeinError('ERR_SKEIN_NODE_UNKNOWN', `Nobody knows a node ${name}.`)
    return this.#tryAll(name, known)
  }

  #lookUp(name: string): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel()
        this.#lookups.delete(lookup)
        resolve()
      }
      const lookup = { name, found: settle }
      const timer = this.#clock.after(LOOKUP_TIMEOUT_MS, settle)
      this.#lookups.add(lookup)
      this.#directory.refresh()
    })
  }

  async #tryAll(what: string, places: readonly Whereabouts[]): Promise<Peer> {
    const tries = places.flatMap(({ id, addresses }) => addresses.map((address) => ({ id, address })))
    const timeoutMs = tries.length > 1 ? ATTEMPT_TIMEOUT_AMONG_SEVERAL_MS : ATTEMPT_TIMEOUT_MS
    const attempts: Attempt[] = []
    for (const { id, address } of tries.slice(0, MAX_ATTEMPTS)) {
      const already = this.#table.peerByName(what) ?? (id === undefined ? undefined : this.#table.peerById(id))
      if (already !== undefined) return already
      const outcome = await this.#tryOne(address, { expectedId: id, replace: false, timeoutMs })
      if (outcome.type === 'up') return outcome.peer
      if (outcome.end.code === 'ERR_SKEIN_CERT_FOREIGN' && id !== undefined) this.#directory.forget(id)
      attempts.push({ what: formatAddress(address), code: outcome.end.code, message: outcome.end.message })
    }
    throw failure(what, attempts)
  }

  async #tryOne(address: Address, options: DialOptions): Promise<DialOutcome> {
    const first = await this.#table.dialOnce(address, options)
    if (first.type === 'up' || first.end.code !== 'ERR_SKEIN_SIMULTANEOUS' || first.id === undefined) return first
    const winner = await this.#table.whenUp(first.id, WINNER_TIMEOUT_MS)
    if (winner !== undefined) return { type: 'up', peer: winner }
    const second = await this.#table.dialOnce(address, { ...options, replace: true })
    const peer = this.#table.peerById(first.id)
    return second.type === 'failed' && peer !== undefined ? { type: 'up', peer } : second
  }
}

const stopped = (): SkeinError => new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')

/** Attempts that all ended alike have one cause, and its code says more than "failed". */
const failure = (what: string, attempts: readonly Attempt[]): SkeinError => {
  const tried = attempts.map((attempt) => `${attempt.what}: ${attempt.message}`).join('; ')
  const message = `No connection to ${what}. ${tried}`
  const code = attempts[0]?.code
  if (code === undefined || !attempts.every((attempt) => attempt.code === code)) {
    return new SkeinError('ERR_SKEIN_CONNECT_FAILED', message, { attempts })
  }
  return new SkeinError(isErrorCode(code) ? code : 'ERR_SKEIN_CONNECTION_LOST', message, { attempts })
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)

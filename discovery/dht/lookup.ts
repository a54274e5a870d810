/**
 * One iterative lookup as a state machine: whom to ask next, and when it is done. It sends nothing and knows no time.
 *
 * Candidates stand in the order of their distance to the target. The nearest of them that are not late are the window; who
 * in it was not asked is asked, a few at a time. The lookup is done when everybody in the window answered: nobody waits for
 * a node that is late, unless there are too few others. Who is late may still answer meanwhile.
 *
 * With several paths, each has a share of the first contacts, asks nodes that no other path asks, and hears only of nodes
 * that its own nodes name: a liar leads one path astray at most (S/Kademlia). A window has one node of an address and two
 * of a network over all paths: sybils of a few networks are a few voices. A lookup asks at most MAX_ASKED nodes.
 */
import { sameAddress } from '../../transport/address.ts'
import { compareDistance, sameKey } from './dht-id.ts'
import type { Contact, DhtKey } from './message.ts'
import type { Location, Networks } from './networks.ts'

/** How many of the nearest are to answer, on each path (BEP 5's k). */
export const WINDOW = 8
/** How many answers are awaited at first, and at most: more when answers are late, and when only the last few are missing. */
const MIN_PARALLEL = 4
const MAX_PARALLEL = 12
const PARALLEL_STEP = 2
/**
 * So many more are asked along with the last few of the window. Where some of those are dead, their successors have then
 * answered by the time that is noticed.
 */
const SPARE = 3
/** Liars can name as many nodes as they like. */
export const MAX_ASKED = 160
/** Of a path; the farthest are forgotten. */
const MAX_CANDIDATES = 96
/** Of one answer: 8 is usual. */
const MAX_NAMED = 16
const WINDOW_PER_NETWORK = 2

export interface LookupOptions {
  readonly target: DhtKey
  /** Contacts to begin with, the nearest first. */
  readonly contacts: readonly Contact[]
  readonly networks: Networks
  /** Who may be asked at all; never the node itself. */
  readonly accepts: (contact: Contact) => boolean
  /** 1, or 2 that share no node. */
  readonly paths?: 1 | 2
  /** Waits for late nodes as long as they may still answer: to miss one matters more than time. */
  readonly patient?: boolean
}

/** A node that may be asked, on one path. */
export interface Candidate extends Contact, Location {
  /** What it was named with, until it answers. */
  id: DhtKey
  readonly path: number
  state: 'heard' | 'asked' | 'late' | 'silent' | 'answered' | 'failed'
}

export class Lookup {
  readonly target: DhtKey
  readonly #networks: Networks
  readonly #accepts: (contact: Contact) => boolean
  #patient: boolean
  readonly #paths: Candidate[][]
  readonly #windows: Candidate[][]
  /** Every place asked, by whichever path. */
  readonly #askedAt = new Map<string, Candidate>()
  #asked = 0
  #waiting = 0
  #parallel = MIN_PARALLEL

  constructor({ target, contacts, networks, accepts, paths = 1, patient = false }: LookupOptions) {
    this.target = target
    this.#networks = networks
    this.#accepts = accepts
    this.#patient = patient
    this.#paths = Array.from({ length: paths }, () => [])
    this.#windows = Array.from({ length: paths }, () => [])
    for (const [i, contact] of contacts.entries()) this.#add(contact, i % paths)
  }

  /** How many nodes were asked. */
  get asked(): number {
    return this.#asked
  }

  /** Those to ask now; they count as asked. */
  next(): Candidate[] {
    const asked: Candidate[] = []
    this.#look()
    // Path by path in turn, so that none takes all the room.
    for (let found = true; found; ) {
      found = false
      for (const window of this.#windows) {
        const candidate = this.#nextOf(window)
        if (candidate === undefined) continue
        candidate.state = 'asked'
        this.#askedAt.set(candidate.place, candidate)
        this.#asked++
        this.#waiting++
        asked.push(candidate)
        found = true
      }
      if (found && this.#paths.length > 1) this.#look()
    }
    return asked
  }

  /**
   * An answer came, from a node of this id, with the contacts it names. Whoever named the node may have lied about its id:
   * that must not keep it from being heard.
   */
  answered(candidate: Candidate, id: DhtKey, named: readonly Contact[]): void {
    if (candidate.state === 'asked') this.#waiting--
    candidate.state = 'answered'
    if (!sameKey(candidate.id, id)) this.#rename(candidate, id)
    for (const contact of named.slice(0, MAX_NAMED)) this.#add(contact, candidate.path)
  }

  late(candidate: Candidate): void {
    this.#waiting--
    candidate.state = 'late'
    this.#parallel = Math.min(this.#parallel + PARALLEL_STEP, MAX_PARALLEL)
  }

  silent(candidate: Candidate): void {
    candidate.state = 'silent'
  }

  /** No answer will come, or none that is worth anything. */
  failed(candidate: Candidate): void {
    if (candidate.state === 'asked') this.#waiting--
    candidate.state = 'failed'
  }

  get isPatient(): boolean {
    return this.#patient
  }

  /** From now on late nodes are waited for. */
  bePatient(): void {
    this.#patient = true
  }

  /** To be asked after `next`. */
  get isDone(): boolean {
    return this.#paths.every((_, path) => this.#isPathDone(path))
  }

  /** Those that answered, the nearest first, spread as a window is. */
  closest(count: number): Candidate[] {
    const answered = [...this.#askedAt.values()].filter(({ state }) => state === 'answered')
    answered.sort((a, b) => compareDistance(this.target, a.id, b.id))
    const spread = new Spread([])
    return answered.filter((candidate) => spread.admits(candidate)).slice(0, count)
  }

  #add(contact: Contact, path: number): void {
    const candidates = this.#paths[path]!
    const { id, address } = contact
    const index = this.#indexOf(candidates, id)
    if (index === MAX_CANDIDATES || !this.#accepts(contact)) return
    // The same id with another address is another candidate: one of the two lies, and asking tells which.
    if (candidates.some((known) => sameKey(known.id, id) && sameAddress(known.address, address))) return
    candidates.splice(index, 0, { id, address, path, ...this.#networks.locate(address), state: 'heard' })
    if (candidates.length > MAX_CANDIDATES) candidates.pop()
  }

  #rename(candidate: Candidate, id: DhtKey): void {
    const candidates = this.#paths[candidate.path]!
    const known = candidates.indexOf(candidate)
    if (known >= 0) candidates.splice(known, 1)
    candidate.id = id
    candidates.splice(this.#indexOf(candidates, id), 0, candidate)
  }

  /** Where this id belongs in the order. */
  #indexOf(candidates: readonly Candidate[], id: DhtKey): number {
    let index = candidates.length
    while (index > 0 && compareDistance(this.target, id, candidates[index - 1]!.id) < 0) index--
    return index
  }

  #look(): void {
    for (let path = 0; path < this.#paths.length; path++) this.#windows[path] = this.#windowOf(path, this.#patient)
  }

  /** The nearest candidates of a path that can still answer. */
  #windowOf(path: number, withLate: boolean): Candidate[] {
    const spread = new Spread(this.#windows.flatMap((window, other) => (other === path ? [] : window.slice(0, WINDOW))))
    const window: Candidate[] = []
    for (const candidate of this.#paths[path]!) {
      const asked = this.#askedAt.get(candidate.place)
      if (asked !== undefined && asked !== candidate && isTaken(asked, candidate)) continue
      // Counted whatever its state: a network that names dead nodes without end still has two places.
      if (!spread.admits(candidate)) continue
      if (candidate.state === 'failed' || candidate.state === 'silent') continue
      if (candidate.state === 'late' && !withLate) continue
      if (window.push(candidate) === WINDOW + SPARE) break
    }
    return window
  }

  #nextOf(window: readonly Candidate[]): Candidate | undefined {
    if (this.#asked >= MAX_ASKED) return undefined
    // Once the nearest answered, hardly anybody nearer will be named: the others are asked at once.
    const isNear = window[0]?.state === 'answered'
    if (this.#waiting >= this.#paths.length * (isNear ? MAX_PARALLEL : this.#parallel)) return undefined
    const next = window.findIndex(({ state }) => state === 'heard')
    return next < (isNear ? WINDOW + SPARE : WINDOW) ? window[next] : undefined
  }

  #isPathDone(path: number): boolean {
    const window = this.#windows[path]!.slice(0, WINDOW)
    const canAsk = this.#asked < MAX_ASKED
    if (window.some(({ state }) => state === 'asked' || (state === 'heard' && canAsk))) return false
    if (window.length === WINDOW && !this.#patient) return true
    // Too few answered to go without those who are late.
    return !this.#windowOf(path, true).some(({ state }) => state === 'late')
  }
}

/**
 * Whether a node of this place need not be asked, another one being asked there. Where that one did not answer, it may have
 * been named with a wrong port by somebody who wants the right one not to be asked.
 */
const isTaken = (asked: Candidate, candidate: Candidate): boolean =>
  asked.state === 'asked' || asked.state === 'answered' || sameAddress(asked.address, candidate.address)

/** One node of a place, two of a network. */
class Spread {
  readonly #places = new Set<string>()
  readonly #networks = new Map<string, number>()

  constructor(taken: readonly Candidate[]) {
    for (const candidate of taken) this.#take(candidate)
  }

  /** Takes the candidate if there is room for it. */
  admits(candidate: Candidate): boolean {
    const { place, network } = candidate
    if (this.#places.has(place)) return false
    if (network !== undefined && (this.#networks.get(network) ?? 0) >= WINDOW_PER_NETWORK) return false
    this.#take(candidate)
    return true
  }

  #take({ place, network }: Candidate): void {
    this.#places.add(place)
    if (network !== undefined) this.#networks.set(network, (this.#networks.get(network) ?? 0) + 1)
  }
}

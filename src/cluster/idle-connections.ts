/**
 * Gives up connections that nobody uses, where the cluster is too large for a full mesh: both sides have to agree, and
 * nobody is told DOWN because of it.
 *
 * A connection is idle when no link, monitor, call, spawn or stream hangs on it, nothing came or went for IDLE_MS, and neither
 * side keeps it as a neighbour. The node of the greater id asks; from then on what its processes send waits. The other,
 * if it has no use for the connection either, does likewise and agrees, and the connection ends; otherwise what waits
 * goes out. Who sends something meanwhile gets another connection. What it does not do: dial.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Route } from '../route.ts'
import { CONTROL } from './control.ts'
import type { Peer } from './peer.ts'
import { MESH_VERSION, type Session } from './session.ts'

/** Between two looks at all connections. */
const LOOK_MS = 15_000
/** Looks at which a connection was unused, one after the other, before it is given up. */
const IDLE_LOOKS = 4
/** So long an idle connection stays, at least. */
export const IDLE_MS = LOOK_MS * IDLE_LOOKS
/** An answer takes a round trip; who gives none has no working connection. */
const ANSWER_TIMEOUT_MS = 5000

const ASK = 0
const AGREE = 1
const REFUSE = 2

export interface IdleHost {
  readonly selfId: string
  /** Connections that may be given up: up, and not to neighbours. None in a full mesh. */
  spare(): Iterable<{ readonly id: string; readonly session: Session }>
  isSpare(id: string): boolean
  uses(route: Route): boolean
}

export class IdleConnections {
  readonly #clock: Clock
  readonly #host: IdleHost
  /** Looks at which they were unused, one after the other. */
  readonly #unused = new WeakMap<Peer, number>()
  /** Asked, or agreed: with the time limit for the other side. */
  readonly #parting = new Map<Session, Timer>()
  #timer: Timer | undefined

  constructor(clock: Clock, host: IdleHost) {
    this.#clock = clock
    this.#host = host
  }

  start(): void {
    this.#timer = this.#clock.after(LOOK_MS, () => this.#look(), true)
  }

  stop(): void {
    this.#timer?.cancel()
    for (const timer of this.#parting.values()) timer.cancel()
    this.#parting.clear()
  }

  /** A frame of the other side. Throws ERR_SKEIN_PROTOCOL. */
  heard(session: Session, body: Uint8Array): void {
    const [word] = body
    const { id, peer } = session
    if (body.length !== 1 || id === undefined || peer === undefined) throw nonsense()
    if (word === ASK) this.#asked(session, id, peer)
    else if (word === AGREE && this.#parting.has(session)) {
      session.leaveIdle()
      session.end('closed', 'Nobody needs this connection.', 'idle')
    } else if (word === REFUSE && this.#forget(session)) peer.goOn()
    else throw nonsense()
  }

  #look(): void {
    this.start()
    for (const { id, session } of this.#host.spare()) {
      const { peer } = session
      if (peer === undefined || this.#parting.has(session) || (peer.version ?? 1) < MESH_VERSION) continue
      const looks = this.#isUnused(peer) ? (this.#unused.get(peer) ?? 0) + 1 : 0
      this.#unused.set(peer, looks)
      // One side alone asks, so that they never ask each other at once.
      if (looks >= IDLE_LOOKS && this.#host.selfId > id) void this.#part(session, peer, ASK)
    }
  }

  #isUnused(peer: Peer): boolean {
    return !peer.takeUsed() && !this.#host.uses(peer)
  }

  #asked(session: Session, id: string, peer: Peer): void {
    const isIdle = (this.#unused.get(peer) ?? 0) >= IDLE_LOOKS - 1 && this.#isUnused(peer)
    if (isIdle && this.#host.isSpare(id) && !this.#parting.has(session)) void this.#part(session, peer, AGREE)
    else this.#refuse(session, peer)
  }

  async #part(session: Session, peer: Peer, word: typeof ASK | typeof AGREE): Promise<void> {
    if (!peer.hold()) return
    const timer = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
      this.#parting.delete(session)
      const down = word === AGREE ? 'idle' : 'connection_closed'
      session.end('ERR_SKEIN_CONNECTION_LOST', 'No answer whether the connection is needed.', down)
    })
    this.#parting.set(session, timer)
    await session.lanes.flushed()
    if (session.isOver || !this.#parting.has(session)) return
    // A link or a monitor may have come in by what was still under way.
    if (this.#host.uses(peer)) {
      this.#forget(session)
      peer.goOn()
      if (word === AGREE) this.#refuse(session, peer)
      return
    }
    if (word === AGREE) session.leaveIdle()
    session.meshFrame(CONTROL.idle, Uint8Array.of(word))
  }

  #refuse(session: Session, peer: Peer): void {
    this.#unused.set(peer, 0)
    session.meshFrame(CONTROL.idle, Uint8Array.of(REFUSE))
  }

  #forget(session: Session): boolean {
    this.#parting.get(session)?.cancel()
    return this.#parting.delete(session)
  }
}

const nonsense = (): SkeinError =>
  new SkeinError('ERR_SKEIN_PROTOCOL', 'The peer sent a word about an idle connection that has no place here.')

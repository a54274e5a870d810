/**
 * One connection to another node, from the dial to the end: it runs the handshake (handshake.ts), then hands the frames
 * of the peer's processes to its Peer and handles the control lane itself.
 *
 * Whatever the other side sends, at worst this connection ends with a code. The end comes once: `ended` is called, after
 * it nothing of this session reaches anybody. What it does not do: decide between sessions; the table (peers.ts) does.
 */
import type { VerifiedPeer } from '../../certs/certificate.ts'
import { type ErrorCode, isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { RingView } from '../../certs/keyring.ts'
import { type Address, sameAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import type { Hold, LaneConnection, LanesHandler } from '../../transport/lane.ts'
import type { CloseReason } from '../../transport/transport.ts'
import type { WayKind } from '../../transport/way.ts'
import { REPROOF } from './capabilities.ts'
import {
  CONTROL,
  decodeGoodbye,
  decodeNumber,
  decodePeers,
  encodeGoodbye,
  encodeNumber,
  type PeerHint,
} from './control.ts'
import {
  type Claim,
  HANDSHAKE_TIMEOUT_MS,
  type HandshakeInput,
  type HandshakeState,
  type Introduction,
  type Membership,
  next,
  type Refusal,
  start,
} from './handshake.ts'
import { Allowance } from './membership/allowance.ts'
import { MEMBERSHIP_FRAMES } from './membership/frames.ts'
import type { Peer } from './peer.ts'
import { noConnection, Pings, PROBE_NUMBERS } from './pings.ts'
import { Standing } from './standing.ts'

/** Pings answered. */
const PINGS = { burst: 1000, perSecond: 1000 }
/** A peer gets our list of peers no more often. */
const MIN_LIST_INTERVAL_MS = 500
/** How long what is queued may take to leave before a goodbye. */
const FLUSH_TIMEOUT_MS = 50
/** How long the other side has to close after a goodbye, before we do. Peers shall know within 200 ms. */
const GOODBYE_TIMEOUT_MS = 100

/** The first protocol version whose nodes know `meshFrame`s and the goodbye for an overlapping partition. */
export const MESH_VERSION = 2

const EMPTY = new Uint8Array(0)

/** Why a session that was up is over, in OTP's words; `idle`, which OTP has not: nobody needed it in a large cluster. */
export type DownReason =
  | 'connection_closed'
  | 'net_tick_timeout'
  | 'disconnect'
  | 'shutdown'
  | 'idle'
  | 'overlapping_partition'
  /** One of the two has revoked the other. */
  | 'revoked'

/** What a session tells the node. */
export interface SessionHost {
  readonly clock: Clock
  /** The keys of the cluster, as they are now. */
  readonly ring: RingView
  /** Fresh random bytes. */
  newNonce(): Uint8Array
  judge(session: Session, claim: Claim): Refusal | undefined
  /** The other side is a proven member; gives the peer that this session carries from now on. */
  established(session: Session, membership: Membership): Peer
  ticked(session: Session, checksum: number): void
  askedForPeers(session: Session): void
  toldOfPeers(session: Session, hints: readonly PeerHint[]): void
  /** The answer to a `probe`. */
  ponged(session: Session, number: number): void
  /** A frame of membership/frames.ts, sight.ts or idle-connections.ts. Throws what cannot be read. */
  meshFrame(session: Session, type: number, body: Uint8Array): void
  /** A frame of reach/reach.ts. Throws what cannot be read. */
  reachFrame(session: Session, type: number, body: Uint8Array): void
  /** TLS is done: whose connection it is, is certain; that it is a member's, not yet. */
  opened(session: Session): void
  /** An unreliable message of a proven member. */
  datagram(session: Session, bytes: Uint8Array): void
  /** The connection takes another way than before. */
  moved(session: Session): void
  ended(session: Session, end: SessionEnd): void
  /** A defect of this node, not of the peer. */
  defect(error: unknown): void
}

export interface SessionEnd {
  readonly code: ErrorCode | 'closed'
  readonly message: string
  readonly byPeer: boolean
  /** Only for a session that was up. */
  readonly down: DownReason
}

export class Session implements LanesHandler {
  readonly role: 'initiator' | 'acceptor'
  readonly #dialled: Address
  readonly #host: SessionHost
  readonly #expectedId: string | undefined
  #lanes: LaneConnection | undefined
  #handshake: HandshakeState
  #deadline: Timer | undefined
  #id: string | undefined
  /** What the table of peers was last asked about. */
  #claim: Claim | undefined
  #peer: Peer | undefined
  /** From then on. */
  #standing: Standing | undefined
  /** We said goodbye: however the connection ends now, this is why. */
  #leaving: DownReason | undefined
  #over = false
  readonly #onEnd: (() => void)[] = []
  readonly #pings: Pings
  readonly #pongs: Allowance
  #nextListMs = 0

  constructor(host: SessionHost, own: Introduction, remote: Address, expectedId: string | undefined) {
    this.#host = host
    this.role = own.role
    this.#dialled = remote
    this.#expectedId = expectedId
    this.#pings = new Pings(host.clock, (number) => this.#control(CONTROL.ping, encodeNumber(number)))
    this.#pongs = new Allowance(PINGS, host.clock.now())
    this.#handshake = start(own)
  }

  /** To be called once, before anything happens on the connection. */
  begin(lanes: LaneConnection): void {
    this.#lanes = lanes
    if (this.role === 'acceptor') this.#armDeadline()
  }

  // Queries

  /** The other side's id, certain as soon as TLS is done; while the connection is early, whoever may be there. */
  get id(): string | undefined {
    return this.#id
  }

  /** Where its packets are sent now: the other side, or the relay before it. */
  get remote(): Address {
    return this.#lanes?.connection?.remote ?? this.#dialled
  }

  /** This node dialled the address where its packets are sent now, and neither through a relay nor a NAT that somebody punched. */
  get isDialledThere(): boolean {
    return this.role === 'initiator' && this.way !== 'relay' && sameAddress(this.remote, this.#dialled)
  }

  /** By which way its packets are sent now. */
  get way(): WayKind | 'tcp' {
    return this.lanes.connection.way?.kind ?? (this.lanes.connection.carrier === 'tcp' ? 'tcp' : 'port')
  }

  /** What the other side called itself, proven or not. */
  get claimedName(): string | undefined {
    return this.#claim?.hello?.name
  }

  /** TLS is not done: there may be nobody at the other end, or a replay (RFC 8446 8). No other session suffers for it. */
  get early(): boolean {
    return this.lanes.connection.early === true
  }

  get peer(): Peer | undefined {
    return this.#peer
  }

  /** Fingerprint of the key by which the other side was proven last. */
  get provenBy(): string | undefined {
    return this.#standing?.provenBy
  }

  get isOver(): boolean {
    return this.#over
  }

  /** The incarnation to which we, as acceptor, have sent our proof: it may count itself connected already. */
  get promisedTo(): Membership | undefined {
    return this.#handshake.phase === 'awaitingReady' ? this.#handshake.membership : undefined
  }

  get lanes(): LaneConnection {
    if (this.#lanes === undefined) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The session has not begun.')
    return this.#lanes
  }

  // What comes from the connection

  onOpen(): void {
    if (this.#over) return
    const peer: VerifiedPeer | undefined = this.lanes.connection.peer
    this.#id = peer?.nodeId
    if (peer === undefined) this.end('ERR_SKEIN_CERT_MISSING', 'The other side showed no certificate.')
    else if (this.#expectedId !== undefined && peer.nodeId !== this.#expectedId) {
      this.end('ERR_SKEIN_CERT_FOREIGN', `Node ${peer.nodeId} answered where ${this.#expectedId} was expected.`)
    } else {
      if (!this.early) this.#begun()
      this.#advance({ type: 'open', peer })
    }
  }

  /**
   * The other side is there, and lives. What an initiator judged before is judged for good now. An acceptor waits for the
   * proof: a hello that was said early may have been taken back since, because another dial of the same node was faster.
   */
  onConfirmed(): void {
    if (this.#over) return
    this.#begun()
    if (this.role === 'acceptor' || this.#claim === undefined) return
    const refusal = this.#host.judge(this, this.#claim)
    if (refusal !== undefined) this.end(refusal.code, refusal.message)
  }

  #begun(): void {
    if (this.role === 'initiator') this.#armDeadline()
    this.#host.opened(this)
  }

  onDatagram(bytes: Uint8Array): void {
    // Strangers get nothing relayed.
    if (this.#over || this.#peer === undefined) return
    try {
      this.#host.datagram(this, bytes)
    } catch (error) {
      this.#blame(error, 'ERR_SKEIN_PROTOCOL')
    }
  }

  onMoved(): void {
    if (!this.#over) this.#host.moved(this)
  }

  onFrame(type: number, buffer: Uint8Array, start: number, end: number): Hold | undefined {
    if (this.#over) return undefined
    try {
      return this.#peer?.receive(type, buffer, start, end)
    } catch (error) {
      this.#blame(error, 'ERR_SKEIN_BAD_MESSAGE')
      return undefined
    }
  }

  onControl(type: number, buffer: Uint8Array, start: number, end: number): void {
    if (this.#over) return
    const body = buffer.subarray(start, end)
    try {
      // A hello changes nothing, and the answer is of no use to who merely repeats one. Anything else has to wait.
      if (this.early && this.#handshake.phase !== 'awaitingHello')
        this.end('ERR_SKEIN_HANDSHAKE', `Frame ${type} came in early data, where only a hello has a place.`)
      // The handshake keeps what it gets, and the buffer is only ours for now.
      else if (this.#peer === undefined) this.#advance({ type: 'frame', frame: type, body: Uint8Array.from(body) })
      else this.#handleControl(type, body)
    } catch (error) {
      this.#blame(error, 'ERR_SKEIN_PROTOCOL')
    }
  }

  onClosed(reason: CloseReason): void {
    const down = reason.code === 'ERR_SKEIN_REVOKED' ? 'revoked' : 'connection_closed'
    this.#finish({ ...reason, down: this.#leaving ?? down })
  }

  // Commands

  /** Ends the session now; the peer is told code and message. */
  end(code: ErrorCode | 'closed', message: string, down: DownReason = 'connection_closed'): void {
    if (this.#over) return
    this.#finish({ code, message, byPeer: false, down })
    this.#lanes?.close(wireCodeOf(code), code, message)
  }

  /** Says goodbye and lets the other side close, or does so itself after a moment. Resolves when the session is over. */
  async goodbye(reason: 'shutdown' | 'disconnect' | 'overlapping_partition'): Promise<void> {
    if (this.#over) return
    this.#leaving = reason
    if (this.#peer !== undefined) {
      const { clock } = this.#host
      const over = new Promise<void>((resolve) => this.#onEnd.push(resolve))
      const timer = clock.after(FLUSH_TIMEOUT_MS + GOODBYE_TIMEOUT_MS, () => this.end('closed', reason, reason))
      await Promise.race([this.lanes.flushed(), over, pause(clock, FLUSH_TIMEOUT_MS)])
      const isKnown = reason !== 'overlapping_partition' || (this.#peer.version ?? 1) >= MESH_VERSION
      this.#control(CONTROL.goodbye, encodeGoodbye(isKnown ? reason : 'disconnect'))
      await over
      timer.cancel()
    } else if (reason === 'shutdown') this.end('ERR_SKEIN_STOPPED', 'The node is stopping.', reason)
    else this.end('closed', reason, reason)
  }

  /** The keys of the cluster have changed. Whoever is proven by none of them is no member any more. */
  reviewKeys(): void {
    if (this.#over || this.#standing?.review() !== false) return
    this.end('ERR_SKEIN_WRONG_COOKIE', 'The cookie by which membership was proven is not accepted any more.')
  }

  tick(checksum: number): void {
    this.#control(CONTROL.tick, encodeNumber(checksum))
  }

  /** A ping whose pong the host hears of; its number is below PROBE_NUMBERS. */
  probe(number: number): void {
    this.#control(CONTROL.ping, encodeNumber(number + PROBE_NUMBERS))
  }

  /** To a peer of MESH_VERSION or later, or with the capability that the frame belongs to. */
  meshFrame(type: number, body: Uint8Array): void {
    this.#control(type, body)
  }

  /** Both agreed that nobody needs this connection: however it ends now, this is why. */
  leaveIdle(): void {
    this.#leaving = 'idle'
  }

  askForPeers(): void {
    this.#control(CONTROL.askPeers, EMPTY)
  }

  tellPeers(body: Uint8Array): void {
    this.#control(CONTROL.peers, body)
  }

  /** Milliseconds there and back on the control lane. Rejects with ERR_SKEIN_CONNECT_TIMEOUT or ERR_SKEIN_NOCONNECTION. */
  ping(timeoutMs: number): Promise<number> {
    return this.#over || this.#peer === undefined ? Promise.reject(noConnection()) : this.#pings.ping(timeoutMs)
  }

  #advance(input: HandshakeInput): void {
    const { state, outputs } = next(this.#handshake, input)
    this.#handshake = state
    for (const output of outputs) {
      if (this.#over) return
      if (output.type === 'send') this.#control(output.frame, output.body)
      else if (output.type === 'refuse') this.end(output.code, output.message)
      else if (output.type === 'established') this.#establish(output.membership)
      else {
        this.#claim = output.claim
        const refusal = this.#host.judge(this, output.claim)
        if (!this.#over) this.#advance({ type: 'verdict', refusal })
      }
    }
  }

  #establish(membership: Membership): void {
    this.#deadline?.cancel()
    const { clock, ring } = this.#host
    this.#standing = new Standing({
      role: this.role,
      ring,
      proven: membership.proven,
      isAble: membership.capabilities.includes(REPROOF),
      nonce: () => this.#host.newNonce(),
      nowMs: clock.now(),
      send: (type, body) => this.#control(type, body),
    })
    // A key that the handshake began with may have been dropped since.
    this.reviewKeys()
    if (this.#over) return
    this.#peer = this.#host.established(this, membership)
    if (!this.#over) this.lanes.acceptLanes()
  }

  #handleControl(type: number, body: Uint8Array): void {
    switch (type) {
      case CONTROL.tick:
        this.#host.ticked(this, decodeNumber(body))
        break
      case CONTROL.goodbye: {
        const down = downBy(decodeGoodbye(body))
        // What arrived together with the goodbye is still to be read.
        this.#host.clock.afterInput(() => this.end('closed', 'goodbye', down))
        break
      }
      case CONTROL.askPeers:
        this.#answerAsk()
        break
      case CONTROL.peers:
        this.#host.toldOfPeers(this, decodePeers(body))
        break
      case CONTROL.ping:
        this.#answerPing(decodeNumber(body))
        break
      case CONTROL.pong:
        this.#ponged(decodeNumber(body))
        break
      case MEMBERSHIP_FRAMES.probe:
      case MEMBERSHIP_FRAMES.probed:
      case MEMBERSHIP_FRAMES.gossip:
      case MEMBERSHIP_FRAMES.digest:
      case CONTROL.sight:
      case CONTROL.idle:
        this.#host.meshFrame(this, type, body)
        break
      case CONTROL.keys:
        this.#peer?.learnKeys(body)
        break
      case CONTROL.keysKnown:
        this.#peer?.keysKnown(decodeNumber(body))
        break
      case CONTROL.challenge:
        this.#standing?.challenged(body, this.#host.clock.now())
        break
      case CONTROL.answer:
        this.#standing?.answered(body)
        break
      case CONTROL.observed:
      case CONTROL.relayAsk:
      case CONTROL.relayOpened:
      case CONTROL.relayRefused:
      case CONTROL.relayIncoming:
      case CONTROL.relayClose:
      case CONTROL.punchPlan:
        this.#host.reachFrame(this, type, body)
        break
      default:
        throw new SkeinError('ERR_SKEIN_PROTOCOL', `The peer sent control frame ${type}, which has no place here.`)
    }
  }

  /** A peer that asks without end, and perhaps does not read the answers, gets no more than its share. */
  #answerPing(number: number): void {
    if (this.#pongs.take(this.#host.clock.now())) this.#control(CONTROL.pong, encodeNumber(number))
  }

  #answerAsk(): void {
    const nowMs = this.#host.clock.now()
    if (nowMs < this.#nextListMs) return
    this.#nextListMs = nowMs + MIN_LIST_INTERVAL_MS
    this.#host.askedForPeers(this)
  }

  #ponged(number: number): void {
    if (number >= PROBE_NUMBERS) {
      this.#host.ponged(this, number - PROBE_NUMBERS)
      return
    }
    this.#pings.ponged(number)
  }

  #control(type: number, body: Uint8Array): void {
    if (!this.#over) this.lanes.control(type, body)
  }

  #armDeadline(): void {
    this.#deadline = this.#host.clock.after(HANDSHAKE_TIMEOUT_MS, () => this.#advance({ type: 'deadline' }))
  }

  /** What a peer sent cost it this connection; an error that is no SkeinError is our own defect and costs no more. */
  #blame(error: unknown, code: ErrorCode): void {
    if (!isSkeinError(error)) this.#host.defect(error)
    this.end(code, isSkeinError(error) ? error.message : 'The frame could not be handled.')
  }

  #finish(end: SessionEnd): void {
    if (this.#over) return
    this.#over = true
    this.#deadline?.cancel()
    this.#pings.end()
    this.#host.ended(this, end)
    for (const callback of this.#onEnd) callback()
  }
}

/** What the other side's goodbye means. */
const downBy = (reason: string): DownReason =>
  reason === 'disconnect' || reason === 'overlapping_partition' ? reason : 'shutdown'

const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve, true)
  })

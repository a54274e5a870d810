/**
 * One QUIC connection: quiche's state driven by our event loop.
 *
 * A turn goes: datagrams come in (`receive`), then once for all of them `work` reads what they brought, then one `flush`
 * lets the layer above write and sends the packets. One timer serves all of quiche's deadlines. Streams carry nothing
 * before the peer's certificate was verified; on a resumed connection that is the certificate of the session before, and
 * it is `early` until TLS is done (RFC 8446 2.3). The table of connections belongs to quic-host.ts, admission to
 * quic-listener.ts; what bytes mean belongs to lanes.ts.
 */
import type { VerifiedPeer } from '../certs/certificate.ts'
import { isSkeinError } from '../certs/errors.ts'
import type { Address } from './address.ts'
import type { Admitted } from './admission.ts'
import type { BulkRoom, PathFigures } from './bulk-room.ts'
import type { Timer } from './clock.ts'
import { boundedCloseMessage, wireCodeOf } from './close-codes.ts'
import { closeReasonOf } from './close-reason.ts'
import { DeadlineTimer } from './deadline-timer.ts'
import type { PathSetting } from './path-settings.ts'
import { type PathHost, QuicPath } from './quic-path.ts'
import type { QuicSession } from './quiche.ts'
import { ReadableStreams } from './readable-streams.ts'
import type { CloseReason, Connection, ConnectionHandler, ConnectionStats, ReadResult } from './transport.ts'
import type { Way } from './way.ts'

/** Stream bytes written per flush before input gets its turn again: about a millisecond of encryption and sending. */
const FLUSH_BUDGET_BYTES = 256 * 1024
/** Ranks of streams in quiche: lower leaves first. */
const URGENT_RANK = 10
const BULK_RANK = 127
/** Enough for a packet that only asks for an acknowledgement. */
const PING_PACKET_BYTES = 64

/** What the connection needs of its endpoint. */
export interface ConnectionHost extends PathHost {
  /** Judges the peer's certificate; throws coded errors. */
  verify(certificate: Uint8Array): VerifiedPeer
  /** The peer should have spare ids of this connection. */
  issueIds(connection: QuicConnection): void
  /** TLS is done. */
  opened(connection: QuicConnection): void
  /** What the next connection to this peer may be resumed with. */
  ticket(connection: QuicConnection, peer: VerifiedPeer, bytes: Uint8Array): void
  ended(connection: QuicConnection): void
}

/** `early`: streams run, TLS is not done. */
type State = 'connecting' | 'early' | 'open' | 'closing' | 'ended'

export class QuicConnection implements Connection {
  readonly carrier = 'quic'
  readonly role: 'initiator' | 'acceptor'
  readonly #path: QuicPath
  readonly #session: QuicSession
  readonly #host: ConnectionHost
  /** Set at once by whoever made the connection. */
  handler!: ConnectionHandler
  peer: VerifiedPeer | undefined
  /** The place an incoming connection takes among the admitted ones. */
  admitted: Admitted | undefined
  /** Of the last short header; kept by the table of connections. */
  lastIdKey = ''
  #state: State = 'connecting'
  #nextStream: number
  /** The stream whose capacity tells what the connection could take: the control lane's, then one that is never written. */
  #gauge = -1
  /** How far the gauge reaches, bytes; 0 while it is the control lane's. */
  #gaugeBytes = 0
  readonly #readable: ReadableStreams
  #flushScheduled = false
  /** A flush already happened since input was last waited for. */
  #flushedThisRound = false
  #budgetBytes = 0
  #budgetSpent = false
  readonly #timer: DeadlineTimer
  #deadline: Timer | undefined
  #reason: CloseReason | undefined
  /** What the peer is still to be told about the end. */
  #goodbye: { readonly wireCode: number; readonly message: string } | undefined
  readonly #bulkRoom: BulkRoom
  readonly #pathFigures = (): PathFigures => this.#session.path()
  /** Short headers of a resumed acceptor's first flight say nothing about ours: it has ours a round trip after TLS is done. */
  #flightsCrossUntilMs = Number.NEGATIVE_INFINITY
  #datagrams = 0
  /** Datagrams of the handshake less packets, of which several share a datagram. */
  #handshakeSurplus = 0
  /** quiche met an error that ends the connection as soon as the peer was told. */
  #refused = false
  readonly #flush = (): void => this.flush()
  readonly #newRound = (): void => {
    this.#flushedThisRound = false
  }
  readonly #nothing: ReadResult = { bytes: 0, finished: false, reset: false }

  constructor(
    role: 'initiator' | 'acceptor',
    session: QuicSession,
    host: ConnectionHost,
    way: Way,
    setting: Omit<PathSetting, 'config'>,
    timeoutMs: number,
  ) {
    this.role = role
    this.#bulkRoom = setting.bulkRoom
    this.#session = session
    this.#readable = new ReadableStreams(session, (stream) => {
      this.handler.onReadable(stream)
      return this.#carriesStreams
    })
    this.#host = host
    this.#timer = new DeadlineTimer(host.clock, () => this.#timerFired())
    const listener = {
      message: (bytes: Uint8Array): void => {
        if (this.#state === 'open') this.handler.onDatagram?.(bytes)
      },
      moved: (): void => {
        if (this.#state === 'open') this.handler.onMoved?.()
      },
    }
    this.#path = new QuicPath(role, session, host, listener, way, setting)
    // RFC 9000 2.1: unidirectional streams are 2, 6, 10... of the client and 3, 7, 11... of the server.
    this.#nextStream = role === 'initiator' ? 2 : 3
    this.#deadline = host.clock.after(timeoutMs, () =>
      this.#finish({
        code: 'ERR_SKEIN_CONNECT_TIMEOUT',
        message: `no answer within ${timeoutMs} ms`,
        byPeer: false,
        wireCode: 0,
      }),
    )
  }

  get remote(): Address {
    return this.#path.way.address
  }

  get way(): Way {
    return this.#path.way
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.#state !== 'open' || !this.#path.sendMessage(bytes)) return false
    this.requestFlush()
    return true
  }

  offer(way: Way): void {
    if (!this.#carriesStreams) return
    this.#path.offer(way)
    this.requestFlush()
  }

  /** No more packets by this way. */
  wayGone(way: Way): void {
    if (this.#state === 'closing' || this.#state === 'ended') return
    if (!this.#path.gone(way)) return
    if (this.#state === 'open') return this.requestFlush()
    // Nobody knows another one yet.
    const message = 'the way there was closed'
    this.#finish({ code: 'ERR_SKEIN_CONNECTION_LOST', message, byPeer: false, wireCode: 0 })
  }

  /** Messages that were not taken, or not sent. */
  get droppedMessages(): number {
    return this.#path.droppedMessages
  }

  get lastHeardMs(): number {
    return this.#path.lastHeardMs
  }

  get sentBytes(): number {
    return this.#path.sentBytes
  }

  /** Datagrams that brought nothing: damaged, forged, or here before. Exact once the handshake is over. */
  get invalidDatagrams(): number {
    return Math.max(0, this.#datagrams - this.#handshakeSurplus - this.#session.tally().receivedPackets)
  }

  /** Hands one datagram to quiche. */
  receive(datagram: Uint8Array, way: Way): void {
    // A short header from the acceptor: it has all of our handshake.
    if (!this.#path.confirmed && this.#state === 'open' && (datagram[0] as number) < 0x80) {
      if (this.#host.clock.now() >= this.#flightsCrossUntilMs) this.#endHandshake()
    }
    this.#datagrams++
    if (this.#path.receive(datagram, way)) this.#refused = true
  }

  /** Before a batch is worked through, which can take a millisecond: the peer may go on meanwhile. */
  acknowledge(): void {
    if (this.#state === 'open' && this.#path.confirmed) this.#path.sendAhead()
  }

  /** After all datagrams of a turn: read what they brought. */
  work(): void {
    const session = this.#session
    this.#advance()
    // Streams first: a frame may announce what datagrams behind it belong to, such as a relayed channel.
    if (this.#carriesStreams) this.#readable.tellAll()
    if (this.#state === 'open') this.#path.read()
    if (session.draining || session.closed) this.#sessionEnded()
    this.requestFlush()
  }

  get early(): boolean {
    return this.#state === 'early'
  }

  get #carriesStreams(): boolean {
    return this.#state === 'open' || this.#state === 'early'
  }

  openStream(urgent: boolean): number {
    if (!this.#carriesStreams || !this.#session.openStream(this.#nextStream, urgent ? URGENT_RANK : BULK_RANK))
      return -1
    const stream = this.#nextStream
    this.#nextStream += 4
    if (urgent && this.#gauge < 0) this.#gauge = stream
    return stream
  }

  write(stream: number, bytes: Uint8Array, finish: boolean): number {
    if (!this.#carriesStreams || this.#budgetSpent) return 0
    const taken = this.#session.writeStream(stream, bytes, finish)
    if (taken < 0) {
      this.close(wireCodeOf('ERR_SKEIN_PROTOCOL'), 'ERR_SKEIN_PROTOCOL', 'the peer stopped a stream')
      return 0
    }
    this.#budgetBytes -= taken
    if (this.#budgetBytes <= 0) this.#budgetSpent = true
    return taken
  }

  blocked(): boolean {
    if (!this.#carriesStreams || this.#budgetSpent) return true
    return this.#gauge >= 0 && this.#session.capacity(this.#gauge) === 0
  }

  bulkRoomBytes(writtenBytes: number): number {
    if (this.#gaugeBytes === 0 && !this.#openGauge()) return Number.POSITIVE_INFINITY
    const now = this.#host.clock.now()
    const room = this.#session.capacity(this.#gauge)
    return this.#bulkRoom.bytes(now, writtenBytes, room, this.#gaugeBytes, this.#path.packetBytes, this.#pathFigures)
  }

  /** A stream that stays unused keeps all its credit; the peer never hears of it. */
  #openGauge(): boolean {
    const stream = this.openStream(false)
    if (stream < 0) return false
    this.#gauge = stream
    this.#gaugeBytes = this.#session.streamCredit
    return true
  }

  read(stream: number, target: Uint8Array): ReadResult {
    if (!this.#carriesStreams) return this.#nothing
    const result = this.#session.readStream(stream, target)
    // What was read opens windows and frees streams: the peer has to be told, whoever made us read.
    if (result.bytes > 0 || result.finished || result.reset) this.requestFlush()
    return result
  }

  reset(stream: number): void {
    if (!this.#carriesStreams) return
    this.#session.resetStream(stream)
    this.requestFlush()
  }

  requestFlush(): void {
    if (this.#flushScheduled || this.#state === 'ended') return
    this.#flushScheduled = true
    // Alone, a message leaves at the end of its turn. Behind another of the same round it waits for its fellows.
    if (this.#flushedThisRound) this.#host.clock.afterInput(this.#flush)
    else this.#host.clock.endOfTurn(this.#flush)
  }

  /** Lets the layer above write, then sends all packets there are. */
  flush(): void {
    this.#flushScheduled = false
    if (this.#state === 'ended') return
    if (!this.#flushedThisRound) {
      this.#flushedThisRound = true
      this.#host.clock.afterInput(this.#newRound)
    }
    if (this.#carriesStreams) {
      this.#budgetBytes = FLUSH_BUDGET_BYTES
      this.#budgetSpent = false
      this.handler.onFlush()
    }
    if (this.#goodbye !== undefined && this.#hasRoomForGoodbye()) this.#sayGoodbye()
    if (this.#state === 'open' && this.#path.confirmed) this.#path.sendProofs()
    const allSent = this.#goodbye !== undefined || this.#path.sendPackets()
    // The first packet decides whether an initiator may go on early, the last of the handshake whether it is done.
    if (this.#advance()) this.requestFlush()
    if (this.#state === 'open' && this.#path.confirmed && !this.blocked()) this.#path.probeSize()
    if (this.#refused) {
      this.#refused = false
      if (this.#session.draining) this.#sessionEnded()
    }
    // What cannot even say that it closes (it heard nothing, or too little to answer: RFC 9000 8.1) is over.
    if (this.#state === 'closing' && this.isGone && allSent && !this.#session.draining) return this.#end()
    if ((this.#budgetSpent || !allSent) && !this.#flushScheduled) {
      this.#flushScheduled = true
      this.#host.clock.afterInput(this.#flush)
    }
    this.#armTimer()
  }

  close(wireCode: number, code: CloseReason['code'], message: string): void {
    if (this.#state === 'closing' || this.#state === 'ended') return
    // quiche will send nothing but the close, which an acceptor cannot read before it has our part of the handshake.
    if (!this.#path.confirmed && (this.#session.established || this.#session.early)) this.#path.sendPackets()
    this.#finish({ code, message, byPeer: false, wireCode }, boundedCloseMessage(message))
  }

  /** TLS is done, and nobody has closed it. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Closed, and the peer was told as far as that was possible. */
  get isGone(): boolean {
    return (
      this.#state === 'ended' || (this.#state === 'closing' && (this.#goodbye === undefined || this.#session.draining))
    )
  }

  /** The endpoint is going away: no more timers, no more packets. */
  abandon(): void {
    this.#end()
  }

  stats(): ConnectionStats {
    const { sentBytes, receivedBytes, lostPackets } = this.#session.tally()
    return {
      rttMs: this.#session.path().rttMs,
      sentBytes,
      receivedBytes,
      lostPackets,
      pathSizeBytes: this.#path.packetBytes,
    }
  }

  /** Looks how far TLS is; true if that was news. */
  #advance(): boolean {
    if (this.#state !== 'connecting' && this.#state !== 'early') return false
    const session = this.#session
    if (session.draining) return false
    if (session.established) this.#open()
    else if (this.#state === 'connecting' && session.early) this.#openEarly()
    else return false
    return true
  }

  /** With the certificate of the session before. The deadline stays: whoever is there has not shown that it is alive. */
  #openEarly(): void {
    this.peer = this.#verified()
    if (this.peer === undefined) return
    this.#state = 'early'
    this.handler.onOpen()
  }

  #open(): void {
    const before = this.peer
    this.peer = this.#verified()
    if (this.peer === undefined) return
    if (before !== undefined && before.nodeId !== this.peer.nodeId) {
      const message = `Node ${this.peer.nodeId} answered where ${before.nodeId} was expected.`
      this.close(wireCodeOf('ERR_SKEIN_CERT_FOREIGN'), 'ERR_SKEIN_CERT_FOREIGN', message)
      return
    }
    this.#deadline?.cancel()
    this.#state = 'open'
    this.#host.opened(this)
    if (this.role === 'acceptor') this.#endHandshake()
    else if (this.resumed) this.#flightsCrossUntilMs = this.#host.clock.now() + this.#session.path().rttMs
    this.#host.issueIds(this)
    if (before === undefined) this.handler.onOpen()
    else this.handler.onConfirmed?.()
  }

  /** The peer by its certificate; undefined, and the connection is closed, if that is not good. */
  #verified(): VerifiedPeer | undefined {
    try {
      return this.#host.verify(this.#session.peerCertificate() ?? new Uint8Array(0))
    } catch (error) {
      const code = isSkeinError(error) ? error.code : 'ERR_SKEIN_CERT_INVALID'
      this.close(wireCodeOf(code), code, (error as Error).message)
      return undefined
    }
  }

  /** TLS took up an earlier session. */
  get resumed(): boolean {
    return this.#session.resumed
  }

  #endHandshake(): void {
    this.#path.confirm()
    this.#handshakeSurplus = this.#datagrams - this.#session.tally().receivedPackets
  }

  #armTimer(): void {
    if (this.#state === 'ended') return
    const now = this.#host.clock.now()
    const dueMs = this.#session.timeoutMs() ?? Number.POSITIVE_INFINITY
    const pathMs = this.#state === 'open' ? Math.max(0, this.#path.deadlineMs(now) - now) : Number.POSITIVE_INFINITY
    this.#timer.arm(now, Math.min(dueMs, pathMs))
  }

  #timerFired(): void {
    if (this.#session.timeoutMs() === 0) {
      this.#session.onTimeout()
      // The packets that follow a timeout are sent whatever the congestion window says.
      if (this.#goodbye !== undefined) {
        // Handshake packets that are due come first: quiche 0.18, once it closes, acknowledges in them without end.
        if (!this.#path.confirmed) this.#path.sendPackets()
        this.#sayGoodbye()
      }
      if (this.#state === 'open') this.#path.lossTimeout()
    }
    if (this.#state === 'open') {
      this.#session.dropPathEvents()
      this.#path.tick()
      this.#host.issueIds(this)
    }
    if (this.#session.closed || (this.#session.draining && this.#state !== 'closing')) this.#sessionEnded()
    this.flush()
  }

  /** quiche says it is over: by the peer, by a broken rule, or by silence. */
  #sessionEnded(): void {
    if (this.#state !== 'closing' && this.#state !== 'ended')
      this.#finish(closeReasonOf(this.#session.end(), this.#state !== 'open'))
    if (this.#session.closed) this.#end()
  }

  /** Tells the layer above, once, at the end of the turn; quiche may go on draining for a while. */
  #finish(reason: CloseReason, message = ''): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#deadline?.cancel()
    // Who knows nothing of this connection was started again, and cannot read tickets from before.
    const isForgotten = reason.byPeer && reason.code === 'ERR_SKEIN_CONNECTION_LOST'
    if (this.#state === 'open' && this.role === 'initiator' && !isForgotten) this.#keepTicket()
    this.#state = 'closing'
    if (!this.#session.draining && !this.#session.closed) this.#goodbye = { wireCode: reason.wireCode, message }
    this.#host.clock.endOfTurn(() => this.handler.onClosed(reason))
    this.requestFlush()
  }

  /** Now, not when it came: the next connection begins after this one, and by then it is known where the peer is. */
  #keepTicket(): void {
    const bytes = this.#session.ticket()
    if (bytes !== undefined && this.peer !== undefined) this.#host.ticket(this, this.peer, bytes)
  }

  /**
   * quiche neither sends a close while the congestion window is full, nor hears acknowledgements once it wants to close: in
   * the middle of a bulk transfer the peer would hear of it late. So first see whether a packet gets through, and if not,
   * wait for the next acknowledgement.
   */
  #hasRoomForGoodbye(): boolean {
    if (!this.#session.established) return true
    this.#session.ping()
    return this.#path.sendPacket(PING_PACKET_BYTES)
  }

  #sayGoodbye(): void {
    if (this.#goodbye !== undefined) this.#session.close(true, this.#goodbye.wireCode, this.#goodbye.message)
    this.#goodbye = undefined
  }

  #end(): void {
    if (this.#state === 'ended') return
    if (this.#reason === undefined)
      this.#finish({ code: 'closed', message: 'the endpoint was closed', byPeer: false, wireCode: 0 })
    this.#state = 'ended'
    this.#timer.cancel()
    this.#deadline?.cancel()
    this.#host.ended(this)
  }
}

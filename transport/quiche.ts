/**
 * The only file that touches the QUIC engine: the native quiche binding inside @matrixai/quic.
 *
 * It turns the binding's exceptions into values, reuses what crosses the native border on every packet, and says in a
 * coded error when the platform has no prebuilt binary. The package's own socket, client and server classes are not used:
 * they were measured 40 to 70 times slower than this binding driven directly.
 */

import type { Quiche } from '@matrixai/quic/native/quiche.js'
import type { Config, Connection, Host, RecvInfo } from '@matrixai/quic/native/types.js'
import { SkeinError } from '../certs/errors.ts'
import type { PathFigures } from './bulk-room.ts'
import { wireCodeOf } from './close-codes.ts'
import { FrameWatch } from './frame-watch.ts'
import { shortHeaderAt } from './quic-header.ts'

const SUPPORTED_PLATFORMS = ['linux-x64 (glibc)', 'darwin-x64', 'darwin-arm64', 'win32-x64'] as const

/** ALPN of the protocol; a change that old nodes cannot follow changes it. */
const APPLICATION_PROTOCOL = 'skein/1'
/** RFC 9000 14.1: an Initial datagram is at least this long. */
export const MIN_INITIAL_BYTES = 1200
/** quiche writes packet lengths as two-byte varints (RFC 9000 section 16). */
export const MAX_PACKET_BYTES = 16_383
/** Connection ids that the peer has of us; a change of way takes a spare one (RFC 9000 9.5). */
const CONNECTION_IDS_AT_PEER = 4
/** We take so many ids of the peer's: what it keeps with us, and those that replace them while retired ones are on their way. */
const CONNECTION_IDS_LIMIT = 8
/** Numbers of ids looked through for the one in use: those not yet given back, and gaps that reordering made. */
const ID_SEARCH = 32
/** DATAGRAM frames that came in during one turn, and those that wait to be sent; more are dropped. */
const DATAGRAMS_RECEIVED = 1024
const DATAGRAMS_TO_SEND = 64
/** What quiche is told instead of addresses: which way packets go is decided beneath it (quic-path.ts). */
const HERE: Host = { host: '127.0.0.1', port: 1 }
const THERE: Host = { host: '127.0.0.1', port: 2 }
const CAME_FROM_THERE: RecvInfo = { from: THERE, to: HERE }
/** What the engine wants of a ticket key: a name of 16 bytes, a key for HMAC and one for AES-128. */
export const TICKET_KEY_BYTES = 48
/** quiche's number for the sending side of a stream. */
const WRITE_SIDE = 1

export interface EngineOptions {
  readonly privateKeyPem: string
  readonly certificatePem: string
  /** Longest packet we may ever send, bytes; also sets the initial congestion window to ten of these. */
  readonly maxPacketBytes: number
  readonly idleTimeoutMs: number
  /** Credit of one incoming stream, bytes. */
  readonly streamWindowBytes: number
  /** Credit of all incoming streams together, bytes. */
  readonly connectionWindowBytes: number
  readonly maxStreams: number
  /** TICKET_KEY_BYTES of secret: seals the session tickets that are given to peers, the same for all connections of a port. */
  readonly ticketKey: Uint8Array
}

/** Loads the native binary. Throws ERR_SKEIN_PLATFORM where there is none. */
export const loadQuicEngine = async (): Promise<QuicEngine> => {
  try {
    const loaded = await import('@matrixai/quic/native/quiche.js')
    return new QuicEngine(loaded.default)
  } catch (cause) {
    throw new SkeinError(
      'ERR_SKEIN_PLATFORM',
      `no prebuilt QUIC binary for ${process.platform}-${process.arch}; supported are ${SUPPORTED_PLATFORMS.join(', ')}`,
      { cause },
    )
  }
}

/** What came back from a stream read; reused by every read of the connection. */
export interface StreamRead {
  bytes: number
  finished: boolean
  /** By the peer: nothing more comes. */
  reset: boolean
}

export class QuicEngine {
  readonly #native: Quiche

  constructor(native: Quiche) {
    this.#native = native
  }

  /** Settings shared by many connections; RFC 9000 18.2 for what they mean on the wire. Throws ERR_SKEIN_BAD_IDENTITY. */
  config(options: EngineOptions): Config {
    const config = this.#tlsConfig([Buffer.from(options.privateKeyPem)], [Buffer.from(options.certificatePem)])
    config.setApplicationProtos([APPLICATION_PROTOCOL])
    config.grease(true)
    config.setMaxIdleTimeout(options.idleTimeoutMs)
    config.setMaxRecvUdpPayloadSize(65_527)
    config.setMaxSendUdpPayloadSize(options.maxPacketBytes)
    config.setInitialMaxData(options.connectionWindowBytes)
    config.setInitialMaxStreamDataUni(options.streamWindowBytes)
    config.setInitialMaxStreamDataBidiLocal(0)
    config.setInitialMaxStreamDataBidiRemote(0)
    config.setInitialMaxStreamsBidi(0)
    config.setInitialMaxStreamsUni(options.maxStreams)
    config.setMaxConnectionWindow(options.connectionWindowBytes)
    config.setMaxStreamWindow(options.streamWindowBytes)
    config.setActiveConnectionIdLimit(CONNECTION_IDS_LIMIT)
    config.setDisableActiveMigration(false)
    config.setCcAlgorithm(this.#native.CongestionControlAlgorithm.BBR)
    // The binding hides when a paced packet should leave, so quiche must not count on us holding it back.
    config.enablePacing(false)
    config.enableDgram(true, DATAGRAMS_RECEIVED, DATAGRAMS_TO_SEND)
    config.setTicketKey(options.ticketKey)
    config.enableEarlyData()
    return config
  }

  #tlsConfig(privateKeys: Uint8Array[], certificates: Uint8Array[]): Config {
    try {
      // verify_peer asks for the certificate, verify_allow_fail leaves the judgement to verifyCertificate: a self-signed leaf has no CA to check.
      return this.#native.Config.withBoringSslCtx(true, true, null, privateKeys, certificates, 'ed25519')
    } catch (cause) {
      throw new SkeinError('ERR_SKEIN_BAD_IDENTITY', 'TLS cannot use this key with this certificate', { cause })
    }
  }

  connect(sourceId: Uint8Array, config: Config): QuicSession {
    return new QuicSession(this.#native.Connection.connect(null, sourceId, HERE, THERE, config))
  }

  accept(sourceId: Uint8Array, originalId: Uint8Array | undefined, config: Config): QuicSession {
    return new QuicSession(this.#native.Connection.accept(sourceId, originalId, HERE, THERE, config))
  }

  /** Writes a version negotiation packet (RFC 9000 17.2.1); returns its length. */
  negotiateVersion(sourceId: Uint8Array, destinationId: Uint8Array, out: Uint8Array): number {
    return this.#native.negotiateVersion(sourceId, destinationId, out)
  }

  /** Writes a Retry packet (RFC 9000 17.2.5); returns its length. */
  retry(
    sourceId: Uint8Array,
    destinationId: Uint8Array,
    newSourceId: Uint8Array,
    token: Uint8Array,
    out: Uint8Array,
  ): number {
    return this.#native.retry(sourceId, destinationId, newSourceId, token, this.#native.PROTOCOL_VERSION, out)
  }
}

/** quiche's words for RESET_STREAM and STOP_SENDING; InvalidStreamState, its other word, is no fault of the peer. */
const isCutOff = (error: unknown): boolean => /^Stream(Reset|Stopped)/.test((error as Error).message)

/** How an ended session ended. */
export type SessionEnd =
  | ({ readonly type: 'closed'; readonly byPeer: boolean; readonly application: boolean } & WireError)
  | { readonly type: 'timedOut' }
  /** By a stateless reset (RFC 9000 10.3), or for want of a path that works. */
  | { readonly type: 'reset' }

interface WireError {
  readonly code: number
  readonly reason: string
}

export interface SessionTally {
  /** Authentic ones, each counted once. */
  readonly receivedPackets: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly lostPackets: number
  readonly lostBytes: number
}

/** One quiche connection. Methods are named after what they do here; none throws for what the peer did. */
export class QuicSession {
  readonly #quic: Connection
  readonly #watch = new FrameWatch()
  /** quiche has the keys of short headers. */
  #opensShort = false
  /** What quiche had counted after the packet before; -1: nobody asked. */
  #counted = -1
  readonly #streamRead: StreamRead = { bytes: 0, finished: false, reset: false }
  /** All of the peer's ids with lower numbers were given back. */
  #lowestId = 0

  constructor(quic: Connection) {
    this.#quic = quic
  }

  /** Takes one datagram (decrypted in place). Returns an error word, of quiche or why the connection is closed, or undefined. */
  receive(datagram: Uint8Array, nowMs: number): string | undefined {
    const watch = this.#watch
    const isLong = datagram[0]! >= 0x80
    if (isLong && !watch.admitsHandshake) return undefined
    this.#opensShort ||= this.#quic.isEstablished()
    if (!isLong && !watch.isAlert(nowMs)) {
      this.#counted = -1
      const error = this.#take(datagram)
      if (error === undefined && this.#opensShort) watch.packet(datagram, 0, nowMs)
      return error
    }
    const before = this.#counted < 0 ? this.#quic.stats().recv : this.#counted
    const error = this.#take(datagram)
    this.#counted = this.#quic.stats().recv
    const isNew = this.#counted > before
    if (isLong && isNew) watch.handshake(datagram.length)
    if (error !== undefined || !this.#opensShort) return error
    const offence = watch.packet(datagram, shortHeaderAt(datagram), nowMs, isNew)
    if (offence !== undefined) this.close(true, wireCodeOf('ERR_SKEIN_LIMIT'), offence)
    return offence
  }

  #take(datagram: Uint8Array): string | undefined {
    try {
      this.#quic.recv(datagram, CAME_FROM_THERE)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  /** Writes the next packet to `out`, as long as `out` at most; 0 when there is none. */
  nextPacket(out: Uint8Array): number {
    try {
      return this.#quic.send(out)?.[0] ?? 0
    } catch {
      return 0
    }
  }

  /** Bytes taken; -1 when the peer stopped the stream, which no Skein node does. */
  writeStream(stream: number, bytes: Uint8Array, finish: boolean): number {
    try {
      return this.#quic.streamSend(stream, bytes, finish) ?? 0
    } catch (error) {
      return isCutOff(error) ? -1 : 0
    }
  }

  /** Opens a stream by giving it its rank; lower ranks leave first. False when the peer allows no more. */
  openStream(stream: number, urgency: number): boolean {
    try {
      if (this.#quic.peerStreamsLeftUni() <= 0) return false
      this.#quic.streamPriority(stream, urgency, true)
      return true
    } catch {
      return false
    }
  }

  /** Nothing for a stream that has not begun or is over. */
  readStream(stream: number, target: Uint8Array): StreamRead {
    const result = this.#streamRead
    result.reset = false
    try {
      const read = this.#quic.streamRecv(stream, target)
      result.bytes = read === null ? 0 : read[0]
      result.finished = read === null ? false : read[1]
    } catch (error) {
      result.bytes = 0
      result.finished = false
      result.reset = isCutOff(error)
    }
    if (result.bytes > 0 || result.finished || result.reset)
      this.#watch.read(stream, result.bytes, result.finished || result.reset)
    return result
  }

  /** Cuts off a stream of ours; the peer's reads fail from then on (RFC 9000 3.1). */
  resetStream(stream: number): void {
    try {
      this.#quic.streamShutdown(stream, WRITE_SIDE, 0)
    } catch {
      // It never began, or is over.
    }
  }

  /** Bytes the stream could take now. */
  capacity(stream: number): number {
    try {
      return this.#quic.streamCapacity(stream)
    } catch {
      return 0
    }
  }

  get anyReadable(): boolean {
    return this.#quic.isReadable()
  }

  streamReadable(stream: number): boolean {
    return this.#quic.streamReadable(stream)
  }

  readable(): Iterable<number> {
    return this.#quic.readable()
  }

  sendDatagram(bytes: Uint8Array): boolean {
    try {
      return this.#quic.dgramSend(bytes) !== null
    } catch {
      return false
    }
  }

  receiveDatagram(): Uint8Array | undefined {
    try {
      return this.#quic.dgramRecvVec() ?? undefined
    } catch {
      return undefined
    }
  }

  /** DATAGRAM frames that quiche holds. */
  get datagramsToSend(): number {
    return this.#quic.dgramSendQueueLen()
  }

  /** Drops them. */
  dropDatagrams(): void {
    this.#quic.dgramPurgeOutgoing(() => true)
  }

  get datagramsWaiting(): number {
    return this.#quic.dgramRecvQueueLen()
  }

  /** Milliseconds until `onTimeout` wants to be called, rounded down; undefined for never. */
  timeoutMs(): number | undefined {
    return this.#quic.timeout() ?? undefined
  }

  onTimeout(): void {
    this.#quic.onTimeout()
  }

  get established(): boolean {
    return this.#quic.isEstablished()
  }

  /** Takes up an earlier session, before the first packet. False for what is no ticket. */
  resume(ticket: Uint8Array): boolean {
    try {
      this.#quic.setSession(ticket)
      return true
    } catch {
      return false
    }
  }

  /** Streams carry something already, though TLS is not done; the initiator cannot know yet whether it will be taken. */
  get early(): boolean {
    return this.#quic.isInEarlyData()
  }

  /** TLS went on where an earlier connection had ended, without certificates on the wire. */
  get resumed(): boolean {
    return this.#quic.isResumed()
  }

  /** The last ticket that the acceptor gave, if any came yet. */
  ticket(): Uint8Array | undefined {
    return this.#quic.session() ?? undefined
  }

  /** Nothing more will be sent or received. */
  get closed(): boolean {
    return this.#quic.isClosed()
  }

  /** A close was sent or received; only `closed` is left to wait for. */
  get draining(): boolean {
    return this.#quic.isDraining()
  }

  /** The peer's leaf certificate, DER. */
  peerCertificate(): Uint8Array | undefined {
    return this.#quic.peerCertChain()?.[0]
  }

  close(application: boolean, code: number, reason: string): void {
    try {
      this.#quic.close(application, code, Buffer.from(reason))
    } catch {
      // Already closing for another reason: that one stands.
    }
  }

  /** The next packet will ask for an acknowledgement. */
  ping(): void {
    try {
      this.#quic.sendAckEliciting()
    } catch {
      // Closed: there is no next packet.
    }
  }

  end(): SessionEnd {
    const peer = this.#quic.peerError()
    const error = peer ?? this.#quic.localError()
    if (error === null) return { type: this.#quic.isTimedOut() ? 'timedOut' : 'reset' }
    return {
      type: 'closed',
      byPeer: peer !== null,
      application: error.isApp,
      code: error.errorCode,
      reason: Buffer.from(error.reason).toString('utf8'),
    }
  }

  /** Connection ids the peer should still be given. */
  get spareIdsWanted(): number {
    return Math.min(this.#quic.sourceCidsLeft(), CONNECTION_IDS_AT_PEER - this.#quic.activeSourceCids())
  }

  addSourceId(id: Uint8Array, resetToken: bigint): boolean {
    try {
      this.#quic.newSourceCid(id, resetToken, false)
      return true
    } catch {
      return false
    }
  }

  /** An id of ours that the peer retired, until there is none. */
  nextRetiredId(): Uint8Array | undefined {
    return this.#quic.retiredScidNext() ?? undefined
  }

  /**
   * Gives the peer's id in use back and takes the next one (RFC 9000 5.1.2); false while there is none. quiche does not
   * tell the number of the one in use, so those that are left are tried until it changes. It is nearly always the first.
   * With a peer that announces ids twice the one in use stays for good (frame-watch.ts), which is true as well.
   */
  changeId(): boolean {
    if (this.#watch.idsComeAgain) return true
    const quic = this.#quic
    const before = Buffer.from(quic.destinationId())
    const firstNumber = this.#lowestId
    for (let number = firstNumber; number < firstNumber + ID_SEARCH && quic.availableDcids() > 0; number++) {
      try {
        quic.retireDestinationCid(number)
      } catch {
        // Given back before, or not here yet.
        continue
      }
      this.#watch.gaveBack(number)
      if (number === this.#lowestId) this.#lowestId++
      if (!before.equals(quic.destinationId())) return true
    }
    return false
  }

  /** Takes path events off quiche's queue, where they would pile up. */
  dropPathEvents(): void {
    while (this.#quic.pathEventNext());
  }

  /** Bytes the peer takes of a new stream before it grants more. */
  get streamCredit(): number {
    return this.#quic.stats().peerInitialMaxStreamDataUni
  }

  /** What the congestion controller knows of the active path. */
  path(): PathFigures {
    const path = this.#quic.pathStats().find((candidate) => candidate.active)
    return { windowBytes: path?.cwnd ?? 0, bytesPerSecond: path?.deliveryRate ?? 0, rttMs: path?.rtt ?? 0 }
  }

  /** Counts since the beginning, on all paths. Lost is what quiche gave up on, though it may have arrived late. */
  tally(): SessionTally {
    const { recv, sentBytes, recvBytes, lost, lostBytes } = this.#quic.stats()
    return { receivedPackets: recv, sentBytes, receivedBytes: recvBytes, lostPackets: lost, lostBytes }
  }
}

/**
 * One connection over TLS on TCP: streams with credit of their own, in frames (tcp-frames.ts).
 *
 * It keeps QUIC's promises but one: TCP has a single order, so a lost packet holds up all streams. Nothing of a stream is
 * read before the peer's certificate was verified and its word heard (tcp-gate.ts). What it sends, and how much at a time, is
 * in tcp-sender.ts; sockets, preambles and admission belong to tcp-transport.ts.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { VerifiedPeer } from '../certs/certificate.ts'
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import type { Address } from './address.ts'
import type { Clock, Timer } from './clock.ts'
import { codeOfWire, wireCodeOf } from './close-codes.ts'
import { IDLE_TIMEOUT_MS } from './path-settings.ts'
import { FRAME, FrameReader, limitsOf, MAX_DATA_BYTES } from './tcp-frames.ts'
import type { TcpGate } from './tcp-gate.ts'
import { TcpSender } from './tcp-sender.ts'
import { TcpIncomingStreams } from './tcp-streams.ts'
import { bindingOf, certificateOf, codeOfAlert, speaksOurProtocol } from './tcp-tls.ts'
import {
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionStats,
  MAX_DATAGRAM_BYTES,
  type ReadResult,
} from './transport.ts'

/** After this much silence the peer is asked whether it is there, which also keeps the way through a NAT open. */
const KEEPALIVE_MS = 5000
/** A goodbye has this long to leave, and the peer to hear it. */
const FAREWELL_TIMEOUT_MS = 500

/** What the connection needs of its endpoint. */
export interface TcpConnectionHost {
  readonly clock: Clock
  readonly gate: TcpGate
  /** Judges the peer's certificate; throws coded errors. */
  verify(certificate: Uint8Array): VerifiedPeer
  opened(connection: TcpConnection): void
  ended(connection: TcpConnection): void
}

/** closing: the layer above knows, or is about to; the peer is being told. */
type State = 'connecting' | 'open' | 'closing' | 'ended'

export class TcpConnection implements Connection {
  readonly carrier = 'tcp'
  readonly role: 'initiator' | 'acceptor'
  readonly remote: Address
  readonly way = undefined
  /** Set at once by whoever made the connection. */
  handler!: ConnectionHandler
  peer: VerifiedPeer | undefined
  lastHeardMs: number
  readonly #host: TcpConnectionHost
  #state: State = 'connecting'
  #isSecure = false
  /** Of this TLS connection, until the peer has said its word. */
  #binding: Uint8Array | undefined
  readonly #sender: TcpSender
  readonly #incoming: TcpIncomingStreams
  readonly #reader = new FrameReader({
    data: (stream, bytes, ends) => this.#receiveData(stream, bytes, ends),
    frame: (type, body) => this.#receiveFrame(type, body),
  })
  /** Streams that became readable with the present chunk. */
  readonly #readable = new Set<number>()
  /** What the peer said when it closed. */
  #peerClose: CloseReason | undefined
  #flushScheduled = false
  /** A flush already happened since input was last waited for. */
  #flushedThisRound = false
  #isFlushing = false
  #timer: Timer | undefined
  #reason: CloseReason | undefined
  #lastError: NodeJS.ErrnoException | undefined
  #receivedBytes = 0
  readonly #flush = (): void => this.flush()
  readonly #newRound = (): void => {
    this.#flushedThisRound = false
  }
  readonly #nothing: ReadResult = { bytes: 0, finished: false, reset: false }

  constructor(
    role: 'initiator' | 'acceptor',
    socket: Socket,
    remote: Address,
    host: TcpConnectionHost,
    timeoutMs: number,
  ) {
    this.role = role
    this.remote = remote
    this.#host = host
    this.#sender = new TcpSender(role, socket, host.clock, () => this.requestFlush())
    this.#incoming = new TcpIncomingStreams(role === 'initiator' ? 'acceptor' : 'initiator')
    this.lastHeardMs = host.clock.now()
    this.#watch(socket)
    this.#timer = host.clock.after(timeoutMs, () =>
      this.#fail('ERR_SKEIN_CONNECT_TIMEOUT', `no answer over TCP within ${timeoutMs} ms`, false),
    )
  }

  /** From now on TLS holds the connection. */
  wrap(tls: TLSSocket): void {
    this.#sender.socket = tls
    this.#watch(tls)
    if (this.#state === 'ended') tls.destroy()
  }

  /** TLS is done: judges the peer. Who dialled says its word now, and may go on to speak; who accepted waits for that. */
  secured(tls: TLSSocket): void {
    if (this.#state !== 'connecting') return
    this.#isSecure = true
    tls.on('data', (chunk: Buffer) => this.#receive(chunk))
    try {
      if (!speaksOurProtocol(tls)) throw new SkeinError('ERR_SKEIN_VERSION', 'the peer named no protocol that we speak')
      this.peer = this.#host.verify(certificateOf(tls))
      this.#binding = bindingOf(tls)
    } catch (error) {
      const code = isSkeinError(error) ? error.code : 'ERR_SKEIN_CERT_INVALID'
      this.close(wireCodeOf(code), code, (error as Error).message)
      return
    }
    if (this.role === 'initiator') this.#open(this.#binding)
  }

  #open(binding: Uint8Array): void {
    this.#sender.word(this.#host.gate.word(this.role, binding))
    this.#state = 'open'
    this.lastHeardMs = this.#host.clock.now()
    this.#timer?.cancel()
    this.#watchSilence()
    this.#host.opened(this)
    if (this.#flushScheduled) {
      this.#flushScheduled = false
      this.requestFlush()
    }
    this.#sender.ping()
    this.#sender.send()
    this.handler.onOpen()
  }

  // ---- what the layer above calls

  openStream(_urgent: boolean): number {
    return this.#state === 'open' ? this.#sender.open() : -1
  }

  write(stream: number, bytes: Uint8Array, finish: boolean): number {
    if (this.#state !== 'open') return 0
    if (!this.#isFlushing) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'write was called outside onFlush')
    return this.#sender.write(stream, bytes, finish)
  }

  blocked(): boolean {
    return this.#state !== 'open' || this.#sender.isBlocked()
  }

  bulkRoomBytes(writtenBytes: number): number {
    return this.#sender.bulkRoomBytes(writtenBytes)
  }

  read(stream: number, target: Uint8Array): ReadResult {
    if (this.#state !== 'open') return this.#nothing
    const result = this.#incoming.read(stream, target)
    if (this.#incoming.hasToTell) this.requestFlush()
    return result
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.#state !== 'open' || bytes.length > MAX_DATAGRAM_BYTES || !this.#sender.queue(bytes)) return false
    this.requestFlush()
    return true
  }

  offer(): void {}

  reset(stream: number): void {
    if (this.#state === 'open' && this.#sender.reset(stream)) this.requestFlush()
  }

  requestFlush(): void {
    if (this.#flushScheduled || this.#isOver) return
    this.#flushScheduled = true
    if (this.#state !== 'open') return
    // As quic-connection.ts: alone a message leaves at the end of its turn, behind another it waits for its fellows.
    if (this.#flushedThisRound) this.#host.clock.afterInput(this.#flush)
    else this.#host.clock.endOfTurn(this.#flush)
  }

  /** Lets the layer above write, then gives all of it to the socket. */
  flush(): void {
    this.#flushScheduled = false
    if (this.#state !== 'open') return
    if (!this.#flushedThisRound) {
      this.#flushedThisRound = true
      this.#host.clock.afterInput(this.#newRound)
    }
    this.#sender.begin(this.#incoming)
    this.#isFlushing = true
    try {
      this.handler.onFlush()
    } finally {
      this.#isFlushing = false
    }
    if ((this.#state as State) === 'open') this.#sender.end()
  }

  close(wireCode: number, code: CloseReason['code'], message: string): void {
    if (this.#isOver) return
    if (this.#isSecure) this.#sender.close(wireCode, message)
    this.#finish({ code, message, byPeer: false, wireCode })
    if (!this.#isSecure) return this.#destroy()
    // What still comes is read and dropped: closing on unread bytes would reset the connection and lose the goodbye.
    this.#sender.socket.end()
    this.#timer = this.#host.clock.after(FAREWELL_TIMEOUT_MS, () => this.#destroy())
  }

  /** The endpoint is going away: no more timers, no more packets. */
  abandon(): void {
    this.#fail('closed', 'the endpoint was closed', false)
  }

  get sentBytes(): number {
    return this.#sender.socket.bytesWritten
  }

  stats(): ConnectionStats {
    return {
      rttMs: this.#sender.rttMs,
      sentBytes: this.sentBytes,
      receivedBytes: this.#receivedBytes,
      lostPackets: 0,
      pathSizeBytes: MAX_DATA_BYTES,
    }
  }

  // ---- coming in

  #receive(chunk: Buffer): void {
    if (this.#isOver) return
    this.lastHeardMs = this.#host.clock.now()
    this.#receivedBytes += chunk.length
    try {
      this.#reader.take(chunk)
    } catch (error) {
      if (!isSkeinError(error)) throw error
      this.#readable.clear()
      this.close(wireCodeOf(error.code), error.code, error.message)
      return
    }
    this.#tellReadable()
    if (this.#peerClose === undefined || this.#isOver) return
    this.#finish(this.#peerClose)
    this.#destroy()
  }

  #tellReadable(): void {
    for (const stream of this.#readable) {
      this.#readable.delete(stream)
      if (this.#state === 'open') this.handler.onReadable(stream)
    }
  }

  #receiveData(stream: number, bytes: Uint8Array, ends: boolean): void {
    if (this.#peerClose !== undefined || this.#isOver) return
    if (this.#binding !== undefined) throw speechless()
    this.#incoming.receive(stream, bytes, ends)
    this.#readable.add(stream)
  }

  #receiveFrame(type: number, body: Buffer): void {
    if (this.#peerClose !== undefined || this.#isOver) return
    if (type === FRAME.word) return this.#receiveWord(body)
    if (type !== FRAME.close && this.#binding !== undefined) throw speechless()
    switch (type) {
      case FRAME.reset: {
        const [stream] = limitsOf(body) as [number]
        this.#incoming.reset(stream)
        this.#readable.add(stream)
        return
      }
      case FRAME.credit: {
        const [stream, limit] = limitsOf(body) as [number, number]
        return this.#sender.creditStream(stream, limit)
      }
      case FRAME.streams:
        return this.#sender.creditStreams(limitsOf(body)[0] as number)
      case FRAME.datagram:
        // As on QUIC, streams first: a frame before it may announce whom it belongs to, such as a relayed channel.
        this.#tellReadable()
        if (this.#state === 'open') this.handler.onDatagram?.(body)
        return
      case FRAME.ping:
        this.#sender.owePong(body.readUInt32BE())
        return this.requestFlush()
      case FRAME.pong:
        if (!this.#sender.answered(body.readUInt32BE(), this.lastHeardMs)) {
          throw new SkeinError('ERR_SKEIN_PROTOCOL', 'the peer answered a ping that was never sent')
        }
        // There is room for bulk that was not even offered, beside light senders.
        return this.requestFlush()
      default: {
        const wireCode = body.readUInt32BE()
        const message = body.toString('utf8', 4)
        this.#peerClose = { code: codeOfWire(wireCode), message, byPeer: true, wireCode }
      }
    }
  }

  #receiveWord(word: Buffer): void {
    const binding = this.#binding
    if (binding === undefined) throw new SkeinError('ERR_SKEIN_PROTOCOL', 'the peer said its word twice')
    const isAcceptor = this.role === 'acceptor'
    if (!this.#host.gate.isWord(isAcceptor ? 'initiator' : 'acceptor', binding, word))
      throw new SkeinError('ERR_SKEIN_WRONG_COOKIE', 'the peer does not know the cookie')
    this.#binding = undefined
    if (isAcceptor) this.#open(binding)
  }

  /** A handler may end the connection amid a chunk. */
  get #isOver(): boolean {
    return this.#state === 'closing' || this.#state === 'ended'
  }

  // ---- the end

  #watch(socket: Socket): void {
    // What the error says is told when the socket is closed, which always follows.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#lastError ??= error
    })
    socket.once('close', () => this.#socketClosed())
  }

  #socketClosed(): void {
    if (this.#state === 'open')
      this.#fail('ERR_SKEIN_CONNECTION_LOST', 'the TCP connection ended without a goodbye', true)
    else if (this.#state === 'connecting') {
      const cause = this.#lastError?.code ?? 'closed by the other side'
      const code = codeOfAlert(cause)
      this.#fail(code ?? 'ERR_SKEIN_CONNECT_TIMEOUT', `no connection over TCP: ${cause}`, code !== undefined)
    } else this.#destroy()
  }

  #watchSilence(): void {
    const silentMs = (): number => this.#host.clock.now() - this.lastHeardMs
    this.#timer = this.#host.clock.after(
      KEEPALIVE_MS - (silentMs() % KEEPALIVE_MS),
      () => {
        if (silentMs() >= IDLE_TIMEOUT_MS) {
          const message = `the peer has been silent for ${IDLE_TIMEOUT_MS} ms`
          return this.#fail('ERR_SKEIN_CONNECTION_LOST', message, false)
        }
        if (silentMs() >= KEEPALIVE_MS) {
          this.#sender.ping()
          this.#sender.send()
        }
        this.#watchSilence()
      },
      true,
    )
  }

  #fail(code: CloseReason['code'], message: string, byPeer: boolean): void {
    this.#finish({ code, message, byPeer, wireCode: 0 })
    this.#destroy()
  }

  /** Tells the layer above, once, at the end of the turn. */
  #finish(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#state = 'closing'
    this.#timer?.cancel()
    this.#host.clock.endOfTurn(() => this.handler.onClosed(reason))
  }

  #destroy(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#timer?.cancel()
    this.#sender.socket.destroy()
    this.#host.ended(this)
  }
}

const speechless = (): SkeinError => new SkeinError('ERR_SKEIN_PROTOCOL', 'the peer spoke before it said its word')

/**
 * One end of a connection of the memory network. From above it is QUIC: reliable ordered streams, windows, a stream
 * limit, a congestion window that refuses what is too much, loss that only shows as delay, and an end that comes with a
 * code or with silence. Below it are packets that may be lost, doubled or late.
 *
 * An idle connection has no timer and no event. While packets wait for acknowledgement one timer serves for probes, loss
 * and silence. It does not encrypt, prove identities or find path sizes: an identity is what the peer's `hello` says.
 */
import type { VerifiedPeer } from '../certs/certificate.ts'
import { SkeinError } from '../certs/errors.ts'
import type { Address } from './address.ts'
import type { Clock, Timer } from './clock.ts'
import { boundedCloseMessage, codeOfWire } from './close-codes.ts'
import {
  type ClosePacket,
  type DataPacket,
  type Frame,
  HANDSHAKE_PACKET_BYTES,
  PACKET_OVERHEAD_BYTES,
  type Packet,
  peerEndKey,
} from './memory-packet.ts'
import { Recovery } from './memory-recovery.ts'
import { IncomingStreams } from './memory-streams.ts'
import { OutgoingStreams, type StreamLimits } from './outgoing-streams.ts'
import {
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionStats,
  MAX_DATAGRAM_BYTES,
  type ReadResult,
} from './transport.ts'

/** Bounds of a connection of the memory network. */
export interface ConnectionLimits extends StreamLimits {
  /** Bytes that may be under way unacknowledged. Fixed: there is no congestion control. */
  readonly congestionWindowBytes: number
  /** Largest packet. */
  readonly pathSizeBytes: number
  /** Silence after something was sent that ends a connection. */
  readonly idleTimeoutMs: number
}

/** What a connection needs of its transport. */
export interface ConnectionPort {
  readonly clock: Clock
  readonly identity: VerifiedPeer
  readonly limits: ConnectionLimits
  /** The tag of this port's handshakes. */
  readonly gate: string | undefined
  transmit(packet: Packet, remote: Address): void
  /** The connection is over; `farewell` answers what still comes for it. */
  ended(connection: MemoryConnection, farewell: ClosePacket | undefined): void
}

/** Type, stream, offset and length of a frame, roughly (RFC 9000, 19.8). */
const FRAME_OVERHEAD_BYTES = 8
/** A timer set for the rounding error of a sum would fire for ever at the same time. */
const MIN_TIMER_MS = 0.01

/** A message so much older than another is not told from a duplicate, and dropped. */
const MESSAGES_REMEMBERED = 256

type State = 'connecting' | 'open' | 'closed'

const PING: readonly Frame[] = [{ type: 'ping' }]
const NO_FRAMES: readonly Frame[] = []

export class MemoryConnection implements Connection {
  readonly carrier = 'memory'
  readonly role: 'initiator' | 'acceptor'
  readonly remote: Address
  readonly way = undefined
  /** Names this end: see `endKey`. */
  readonly key: number
  peer: VerifiedPeer | undefined
  lastHeardMs: number
  sentBytes = 0
  readonly #port: ConnectionPort
  #handler: ConnectionHandler | undefined
  #state: State = 'connecting'
  /** The identity that the peer's hello named; it counts once the handshake is through. */
  #named: VerifiedPeer | undefined
  readonly #outgoing: OutgoingStreams
  readonly #incoming: IncomingStreams
  readonly #recovery = new Recovery()
  /** The packet being filled during a flush. */
  #filling: Frame[] = []
  #fillingBytes = 0
  #flushScheduled = false
  #isFlushing = false
  /** The layer above was refused something: it hears when there may be room. */
  #wasRefused = false
  #acknowledgementScheduled = false
  #owesAcknowledgement = false
  #timer: Timer | undefined
  #timerAtMs = 0
  #connectTimer: Timer | undefined
  #reason: CloseReason | undefined
  #messages = 0
  /** The latest one heard of those that share a place. */
  readonly #messagesHeard: number[] = []
  #receivedBytes = 0

  constructor(role: 'initiator' | 'acceptor', key: number, remote: Address, port: ConnectionPort, timeoutMs: number) {
    this.role = role
    this.key = key
    this.remote = remote
    this.#port = port
    this.lastHeardMs = port.clock.now()
    this.#outgoing = new OutgoingStreams(role, port.limits)
    this.#incoming = new IncomingStreams(role === 'initiator' ? 'acceptor' : 'initiator', port.limits)
    this.#connectTimer = port.clock.after(timeoutMs, () => {
      this.#end('ERR_SKEIN_CONNECT_TIMEOUT', `No answer within ${timeoutMs} ms.`, false, 0, undefined)
    })
  }

  /** Begins, with the handler that hears of everything. The initiator says hello first, the acceptor when it has heard it. */
  start(handler: ConnectionHandler): void {
    this.#handler = handler
    this.#send([{ type: 'hello', identity: this.#port.identity }])
  }

  // ---- what the layer above calls

  openStream(_urgent: boolean): number {
    if (this.#state !== 'open') return -1
    const stream = this.#outgoing.open()
    if (stream < 0) this.#wasRefused = true
    return stream
  }

  write(stream: number, bytes: Uint8Array, finish: boolean): number {
    if (this.#state !== 'open') return 0
    // A core that writes at another time would work here and fail on QUIC.
    if (!this.#isFlushing) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'write was called outside onFlush')
    const streamRoom = this.#outgoing.room(stream)
    if (streamRoom === undefined) return 0
    const take = Math.max(0, Math.min(bytes.length, streamRoom, this.#windowRoom()))
    if (take < bytes.length) this.#wasRefused = true
    // A copy, also of a Buffer, whose own `slice` would share its bytes: the caller goes on using them.
    this.#fill(stream, new Uint8Array(bytes.subarray(0, take)), finish && take === bytes.length)
    return take
  }

  /** Links of the memory network have no queues to keep short. */
  bulkRoomBytes(): number {
    return Number.POSITIVE_INFINITY
  }

  blocked(): boolean {
    const isBlocked = this.#state !== 'open' || this.#windowRoom() <= 0 || this.#outgoing.connectionRoom <= 0
    // Who is told so will not even try to write.
    if (isBlocked) this.#wasRefused = true
    return isBlocked
  }

  read(stream: number, target: Uint8Array): ReadResult {
    if (this.#state !== 'open') return { bytes: 0, finished: false, reset: false }
    const result = this.#incoming.read(stream, target)
    if (this.#incoming.hasToTell) this.#scheduleAcknowledgement()
    return result
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.#state !== 'open' || bytes.length > MAX_DATAGRAM_BYTES) return false
    const sizeBytes = PACKET_OVERHEAD_BYTES + bytes.length
    this.sentBytes += sizeBytes
    this.#port.transmit(
      {
        kind: 'message',
        end: peerEndKey(this.key),
        number: this.#messages++,
        bytes: Uint8Array.from(bytes),
        sizeBytes,
      },
      this.remote,
    )
    return true
  }

  /** Packets of the memory network have but one way. */
  offer(): void {}

  reset(stream: number): void {
    if (this.#state !== 'open') return
    // What waits in the packet being filled has its place in the stream already.
    this.#sendFilled()
    const finalBytes = this.#outgoing.reset(stream)
    if (finalBytes !== undefined) this.#send([{ type: 'reset', stream, finalBytes }])
  }

  requestFlush(): void {
    if (this.#flushScheduled || this.#state === 'closed') return
    this.#flushScheduled = true
    // Before the handshake is through there is nothing to write to; `#open` makes up for it.
    if (this.#state === 'open') this.#port.clock.endOfTurn(() => this.#flush())
  }

  close(wireCode: number, code: CloseReason['code'], message: string): void {
    if (this.#state === 'closed') return
    const packet: ClosePacket = {
      kind: 'close',
      end: peerEndKey(this.key),
      wireCode,
      message: boundedCloseMessage(message),
      sizeBytes: PACKET_OVERHEAD_BYTES + message.length,
    }
    this.#port.transmit(packet, this.remote)
    this.#end(code, message, false, wireCode, packet)
  }

  stats(): ConnectionStats {
    return {
      rttMs: this.#recovery.rttMs,
      sentBytes: this.sentBytes,
      receivedBytes: this.#receivedBytes,
      lostPackets: this.#recovery.lostPackets,
      pathSizeBytes: this.#port.limits.pathSizeBytes,
    }
  }

  // ---- what the transport calls

  receive(packet: Exclude<Packet, { kind: 'foreign' }>): void {
    if (this.#state === 'closed') return
    this.lastHeardMs = this.#port.clock.now()
    this.#receivedBytes += packet.sizeBytes
    if (packet.kind === 'close')
      this.#end(codeOfWire(packet.wireCode), packet.message, true, packet.wireCode, undefined)
    else if (packet.kind === 'reset') {
      const message = 'The peer does not know this connection: it has restarted.'
      this.#end('ERR_SKEIN_CONNECTION_LOST', message, true, 0, undefined)
    } else if (packet.kind === 'message') {
      if (this.#state === 'open' && this.#isFirst(packet.number)) this.#handler?.onDatagram?.(packet.bytes)
    } else this.#receiveData(packet)
  }

  /** The transport is closing: tells the handler now, if it was not told yet. */
  tellEnd(): void {
    const handler = this.#handler
    if (this.#reason === undefined || handler === undefined) return
    this.#handler = undefined
    handler.onClosed(this.#reason)
  }

  // ---- coming in

  #isFirst(message: number): boolean {
    const place = message % MESSAGES_REMEMBERED
    if ((this.#messagesHeard[place] ?? -1) >= message) return false
    this.#messagesHeard[place] = message
    return true
  }

  #receiveData(packet: DataPacket): void {
    const isNew = this.#recovery.received(packet, this.lastHeardMs)
    if (packet.number !== undefined) {
      this.#owesAcknowledgement = true
      this.#scheduleAcknowledgement()
    }
    const readable: number[] = []
    if (isNew) {
      for (const frame of packet.frames) {
        if (frame.type === 'stream' || frame.type === 'reset') {
          if (this.#incoming.receive(frame) && !readable.includes(frame.stream)) readable.push(frame.stream)
        } else if (frame.type === 'hello') this.#named = frame.identity
        else if (frame.type === 'streams') this.#outgoing.allowStreams(frame.limit)
        else if (frame.type === 'connectionWindow') this.#outgoing.allowConnection(frame.limit)
        else if (frame.type === 'streamWindow') this.#outgoing.allowStream(frame.stream, frame.limit)
      }
    }
    if (this.#state === 'connecting') this.#proceed(packet)
    for (const stream of readable) {
      if ((this.#state as State) !== 'open') return
      this.#handler?.onReadable(stream)
    }
    if ((this.#state as State) !== 'open') return
    this.#sendLost()
    if (this.#wasRefused) this.requestFlush()
  }

  /** The initiator is through with the acceptor's hello, the acceptor with the first packet that only then can come. */
  #proceed(packet: DataPacket): void {
    if (this.#named === undefined || (this.role === 'acceptor' && packet.kind === 'handshake')) return
    this.#state = 'open'
    this.peer = this.#named
    this.#connectTimer?.cancel()
    this.#connectTimer = undefined
    if (this.role === 'initiator') this.#send(PING)
    if (this.#flushScheduled) {
      this.#flushScheduled = false
      this.requestFlush()
    }
    this.#handler?.onOpen()
  }

  // ---- going out

  #flush(): void {
    this.#flushScheduled = false
    if (this.#state !== 'open') return
    this.#wasRefused = false
    this.#isFlushing = true
    try {
      this.#handler?.onFlush()
    } finally {
      this.#isFlushing = false
    }
    if ((this.#state as State) === 'open') this.#sendFilled()
  }

  #windowRoom(): number {
    return this.#port.limits.congestionWindowBytes - this.#recovery.inFlightBytes - this.#fillingBytes
  }

  /** Puts stream bytes into packets; full ones leave at once, the last one at the end of the flush. */
  #fill(stream: number, bytes: Uint8Array, finish: boolean): void {
    if (bytes.length === 0 && !finish) return
    const fullBytes = this.#port.limits.pathSizeBytes - PACKET_OVERHEAD_BYTES
    let position = 0
    do {
      if (this.#fillingBytes >= fullBytes) this.#sendFilled()
      const piece = bytes.subarray(position, position + fullBytes - this.#fillingBytes)
      position += piece.length
      const finishesHere = finish && position === bytes.length
      const offset = this.#outgoing.send(stream, piece.length, finishesHere)
      this.#filling.push({ type: 'stream', stream, offset, bytes: piece, finish: finishesHere })
      this.#fillingBytes += piece.length + FRAME_OVERHEAD_BYTES
    } while (position < bytes.length)
  }

  #sendFilled(): void {
    if (this.#filling.length === 0) return
    const frames = this.#filling
    this.#filling = []
    this.#fillingBytes = 0
    this.#send(frames)
  }

  /** Sends one packet, with all that is owed to the peer. Without frames it is a bare acknowledgement. */
  #send(wanted: readonly Frame[]): void {
    const now = this.#port.clock.now()
    const frames = this.#incoming.hasToTell ? [...this.#incoming.takeTold(), ...wanted] : wanted
    const sizeBytes = this.#state === 'connecting' ? HANDSHAKE_PACKET_BYTES : packetSize(frames)
    const recovery = this.#recovery
    const number = frames.length > 0 ? recovery.sent(frames, sizeBytes, now) : undefined
    this.#owesAcknowledgement = false
    this.sentBytes += sizeBytes
    this.#port.transmit(
      {
        kind: this.#state === 'connecting' ? 'handshake' : 'data',
        end: peerEndKey(this.key),
        number,
        frames,
        sizeBytes,
        ackedBelow: recovery.receivedBelow,
        ackedAbove: recovery.receivedAbove,
        unresolvedFrom: recovery.unresolvedFrom,
        gate: this.#port.gate,
      },
      this.remote,
    )
    if (number !== undefined) this.#armTimer()
  }

  #sendLost(): void {
    for (const frames of this.#recovery.takeLost(this.#port.clock.now())) this.#send(frames)
  }

  /** One acknowledgement, and one telling of new limits, for all the input of a moment. */
  #scheduleAcknowledgement(): void {
    if (this.#acknowledgementScheduled) return
    this.#acknowledgementScheduled = true
    this.#port.clock.afterInput(() => {
      this.#acknowledgementScheduled = false
      if (this.#state === 'closed' || !(this.#owesAcknowledgement || this.#incoming.hasToTell)) return
      this.#send(NO_FRAMES)
    })
  }

  // ---- time

  /** The timer is only ever moved forward: firing early costs a look, moving it with each packet would cost more. */
  #armTimer(): void {
    let deadlineMs = this.#recovery.deadlineMs()
    if (this.#state === 'open') deadlineMs = Math.min(deadlineMs, this.#silenceEndsMs())
    if (this.#timer !== undefined) {
      if (deadlineMs >= this.#timerAtMs) return
      this.#timer.cancel()
    }
    const delayMs = Math.max(deadlineMs - this.#port.clock.now(), MIN_TIMER_MS)
    this.#timerAtMs = deadlineMs
    this.#timer = this.#port.clock.after(delayMs, () => this.#timerFired())
  }

  #silenceEndsMs(): number {
    return this.#recovery.silentSinceMs + this.#port.limits.idleTimeoutMs
  }

  #timerFired(): void {
    this.#timer = undefined
    if (this.#state === 'closed' || !this.#recovery.isWaiting) return
    const now = this.#port.clock.now()
    if (this.#state === 'open' && now >= this.#silenceEndsMs()) {
      const message = `The peer has been silent for ${this.#port.limits.idleTimeoutMs} ms.`
      this.#end('ERR_SKEIN_CONNECTION_LOST', message, false, 0, undefined)
      return
    }
    this.#sendLost()
    const probe = this.#recovery.takeProbe(now)
    if (probe !== undefined) this.#send(probe)
    if (this.#recovery.isWaiting) this.#armTimer()
  }

  #end(
    code: CloseReason['code'],
    message: string,
    byPeer: boolean,
    wireCode: number,
    farewell: ClosePacket | undefined,
  ): void {
    this.#state = 'closed'
    this.#reason = { code, message, byPeer, wireCode }
    this.#connectTimer?.cancel()
    this.#timer?.cancel()
    this.#filling = []
    this.#port.ended(this, farewell)
  }
}

const packetSize = (frames: readonly Frame[]): number => {
  let sizeBytes = PACKET_OVERHEAD_BYTES
  for (const frame of frames)
    sizeBytes += frame.type === 'stream' ? FRAME_OVERHEAD_BYTES + frame.bytes.length : FRAME_OVERHEAD_BYTES
  return sizeBytes
}

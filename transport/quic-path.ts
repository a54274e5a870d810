/**
 * How the packets of one QUIC connection travel: by which way (way-keeper.ts), how long they may be (path-size.ts), and the
 * DATAGRAM frames that find out (quic-datagrams.ts). quiche is told none of it: to it the peer is at one place for ever.
 *
 * Why not quiche's own paths: only its clients may move, 63 times at most as it forgets no path, and it forgets to repeat
 * what was under way on the path it left. Beneath it a change of way is nothing but a change of round trip time.
 *
 * What a packet brought is found out by counting: quiche drops what is forged or a repetition without a word. Asking for
 * the count costs microseconds, so packets by the present way are counted only when somebody wants to know.
 */
import { BlackHole, type LossTally } from './black-hole.ts'
import type { Clock } from './clock.ts'
import { GATE_TAG_BYTES } from './gate.ts'
import type { PathSize } from './path-size.ts'
import {
  challenge,
  challengeAnswer,
  type DatagramListener,
  probe,
  probeAnswer,
  QuicDatagrams,
} from './quic-datagrams.ts'
import { MIN_INITIAL_BYTES, type QuicSession } from './quiche.ts'
import type { Random } from './random.ts'
import type { Way } from './way.ts'
import { PROOF_PACKET_BYTES, type Proof, WayKeeper } from './way-keeper.ts'

/** After a loss timeout so many packets are of the safe size, which passes where larger ones may not; quiche sends two probes (RFC 9002 6.2.4). */
const SMALL_PACKETS_AFTER_TIMEOUT = 2
/** Packets sent in one flush at most; what is left goes after input was handled. */
const MAX_PACKETS_PER_FLUSH = 1024
/** Other frames come first: an acknowledgement, new ids. Then the proof goes with the next packet. */
const PROOF_TRIES = 3
/**
 * A change of way is followed by a change of the connection id (RFC 9000 9.5) after so long: quiche ends a connection that
 * gets a late packet for an id it has retired, so what is under way by the old way has to arrive first.
 */
const CHANGE_ID_AFTER_MS = 1000

/** What it needs of the endpoint. */
export interface PathHost {
  readonly clock: Clock
  readonly random: Random
  /** A buffer of this many bytes to put a packet into, good until the next `transmit`. */
  packetBuffer(sizeBytes: number): Uint8Array
  /** Sends the first bytes of the buffer last given; a long header gets its gate tag here. */
  transmit(length: number, by: Way): void
  /** How packet sizes are found on this way, up to the engine's own largest. */
  pathSize(way: Way, largestBytes: number): PathSize
}

/** What it tells the connection. */
export interface PathListener {
  message(bytes: Uint8Array): void
  moved(): void
}

export class QuicPath implements DatagramListener {
  readonly #session: QuicSession
  readonly #host: PathHost
  readonly #listener: PathListener
  readonly #largestBytes: number
  readonly #keeper: WayKeeper
  readonly #datagrams: QuicDatagrams
  #way: Way
  #size: PathSize
  #blackHole = new BlackHole()
  #smallPackets = 0
  /** Sent in such packets so far. */
  #smallBytes = 0
  /** Nothing of the handshake is left to send: no more long headers. Before that nobody moves (RFC 9000 9). */
  #confirmed = false
  /** The way of the packets whose DATAGRAM frames are being read. */
  #cameBy: Way
  /** A challenge of the datagram from elsewhere that is being read is to be answered. */
  #isChallenged = false
  #lastDatagramMs: number
  #lastHeardMs: number
  #packetsHeard = 0
  /** Datagrams came in since packets were counted last. */
  #isUncounted = true
  #sentBytes = 0
  #changeIdAtMs = Number.POSITIVE_INFINITY

  constructor(
    role: 'initiator' | 'acceptor',
    session: QuicSession,
    host: PathHost,
    listener: PathListener,
    way: Way,
    { pathSize, largestBytes }: { readonly pathSize: PathSize; readonly largestBytes: number },
  ) {
    const now = host.clock.now()
    this.#session = session
    this.#host = host
    this.#listener = listener
    this.#way = way
    this.#cameBy = way
    this.#size = pathSize
    this.#largestBytes = largestBytes
    this.#keeper = new WayKeeper(role, way, host.random, now)
    this.#datagrams = new QuicDatagrams(host.clock, this)
    this.#lastDatagramMs = now
    this.#lastHeardMs = now
  }

  get way(): Way {
    return this.#way
  }

  /** The size of packets now, bytes. */
  get packetBytes(): number {
    return this.#size.currentBytes
  }

  get confirmed(): boolean {
    return this.#confirmed
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  confirm(): void {
    this.#confirmed = true
  }

  /** Monotonic time at which the last authentic packet arrived, whichever way it came. */
  get lastHeardMs(): number {
    this.#count()
    return this.#lastHeardMs
  }

  // ---- in

  /** Hands one datagram to quiche, which decrypts it in place; true if that ends the connection. */
  receive(datagram: Uint8Array, way: Way): boolean {
    if (!this.#confirmed || way === this.#way || way.key === this.#way.key) {
      this.#cameBy = this.#way
      this.#isUncounted = true
      this.#lastDatagramMs = this.#host.clock.now()
      return this.#session.receive(datagram, this.#lastDatagramMs) !== undefined
    }
    return this.#receiveElsewhere(datagram, way)
  }

  #receiveElsewhere(datagram: Uint8Array, way: Way): boolean {
    // What waits came by the present way.
    this.read()
    const before = this.#count()
    const now = this.#host.clock.now()
    this.#lastDatagramMs = now
    const isRefused = this.#session.receive(datagram, now) !== undefined
    const after = this.#session.tally().receivedPackets
    if (after <= before) return isRefused
    this.#packetsHeard = after
    this.#lastHeardMs = now
    this.#keeper.heard(way, datagram.length, now)
    this.#follow()
    this.#cameBy = way
    this.#isChallenged = false
    this.read()
    return isRefused
  }

  /** Reads the DATAGRAM frames that came. */
  read(): void {
    const session = this.#session
    while (session.datagramsWaiting > 0) {
      const frame = session.receiveDatagram()
      if (frame === undefined) return
      this.#datagrams.receive(frame)
    }
  }

  probed(sizeBytes: number): void {
    this.#session.sendDatagram(probeAnswer(sizeBytes))
  }

  probeAnswered(sizeBytes: number): void {
    this.#size.onProbeAcked(sizeBytes)
  }

  challenged(nonce: Uint8Array): void {
    // There may be nobody there: what goes to an unproven address is no multiple of what came from it.
    if (this.#isChallenged && this.#cameBy.key !== this.#way.key) return
    this.#isChallenged = true
    this.#keeper.challenged(this.#cameBy, nonce, this.#host.clock.now())
  }

  answered(nonce: Uint8Array, peerUsesIt: boolean): void {
    this.#count()
    this.#keeper.answered(nonce, peerUsesIt, this.#host.clock.now())
    this.#follow()
  }

  message(bytes: Uint8Array): void {
    this.#listener.message(bytes)
  }

  // ---- ways

  offer(way: Way): void {
    this.#keeper.offered(way, this.#host.clock.now())
  }

  /** True if there is something to send now. Told to all connections of a port, of which mostly one is concerned. */
  gone(way: Way): boolean {
    const isPresent = way.key === this.#way.key
    if (isPresent) this.#count()
    this.#keeper.gone(way, this.#host.clock.now())
    this.#follow()
    return isPresent
  }

  /** Goes where the keeper says. */
  #follow(): void {
    const way = this.#keeper.present
    if (way === this.#way) return
    this.#way = way
    this.#size = this.#host.pathSize(way, this.#largestBytes)
    this.#blackHole = new BlackHole()
    // What quiche holds may be too long for the new way, and would be in front of everything.
    this.#session.dropDatagrams()
    // Its acknowledgement tells quiche what of the old way was lost.
    this.#session.ping()
    this.#changeIdAtMs = Math.min(this.#changeIdAtMs, this.#host.clock.now() + CHANGE_ID_AFTER_MS)
    this.#listener.moved()
  }

  // ---- out

  /** Takes a message; false when too many wait. */
  sendMessage(bytes: Uint8Array): boolean {
    return this.#datagrams.queue(bytes, this.#size.currentBytes)
  }

  /** Messages not taken, or not sent since they no longer fit. */
  get droppedMessages(): number {
    return this.#datagrams.dropped
  }

  /** What a peer may be waiting for, while there is more to do here. */
  sendAhead(): void {
    this.sendProofs()
    this.sendPackets()
  }

  /** Sends challenges and answers that are due. First of all: the window may take no more than one packet. */
  sendProofs(): void {
    const keeper = this.#keeper
    if (!keeper.hasProofs) return
    const now = this.#host.clock.now()
    for (let proof = keeper.nextProof(now); proof !== undefined; proof = keeper.nextProof(now)) {
      if (!this.#sendProof(proof)) return keeper.notSent(now)
      keeper.sent(proof, now)
    }
  }

  /** The packet with the proof, and no other, takes the way to be proven. */
  #sendProof({ type, way, nonce }: Proof): boolean {
    const session = this.#session
    if (session.datagramsToSend > 0) session.dropDatagrams()
    if (
      !session.sendDatagram(type === 'challenge' ? challenge(nonce) : challengeAnswer(nonce, way.key === this.#way.key))
    )
      return false
    for (let tries = 0; tries < PROOF_TRIES; tries++) {
      const length = session.nextPacket(this.#host.packetBuffer(PROOF_PACKET_BYTES))
      if (length === 0) break
      const isInside = session.datagramsToSend === 0
      this.#transmit(length, isInside ? way : this.#way)
      if (isInside) return true
    }
    session.dropDatagrams()
    return false
  }

  /** Sends all packets there are; false if there were too many for one turn. */
  sendPackets(): boolean {
    const session = this.#session
    const host = this.#host
    const pathBytes = this.#size.currentBytes
    // The gate's tag, which only long headers get, counts as well; but QUIC wants 1200 bytes without it.
    const size = this.#confirmed ? pathBytes : Math.max(MIN_INITIAL_BYTES, pathBytes - GATE_TAG_BYTES)
    const smallPackets = this.#smallPackets
    this.#smallPackets = 0
    for (let count = 0; count < MAX_PACKETS_PER_FLUSH; count++) {
      if (this.#datagrams.waiting > 0 && session.datagramsToSend === 0) {
        const frame = this.#datagrams.next(size)
        if (frame !== undefined) session.sendDatagram(frame)
      }
      const isSmall = count < smallPackets
      const length = session.nextPacket(host.packetBuffer(isSmall ? this.#size.safeBytes : size))
      if (length === 0) return true
      if (isSmall) this.#smallBytes += length
      this.#transmit(length, this.#way)
    }
    return false
  }

  /** Sends a packet of this size at most, if there is something to send. */
  sendPacket(sizeBytes: number): boolean {
    const length = this.#session.nextPacket(this.#host.packetBuffer(sizeBytes))
    if (length > 0) this.#transmit(length, this.#way)
    return length > 0
  }

  #transmit(length: number, by: Way): void {
    this.#sentBytes += length
    this.#host.transmit(length, by)
  }

  /** Sends a packet of the size to be tried, if one is due; the peer answers it in a DATAGRAM frame. */
  probeSize(): void {
    const now = this.#host.clock.now()
    const size = this.#size
    if (size.deadlineMs !== undefined && now >= size.deadlineMs) size.onTimeout(now)
    const packetBytes = size.nextProbe(now)
    // quiche packs what waits before it: then the packet would be of another size.
    if (packetBytes === undefined || this.#session.datagramsToSend > 0) return
    if (!this.#session.sendDatagram(probe(packetBytes))) return
    this.sendPacket(packetBytes)
    // The window has no room for it: quiche would keep it, and all messages behind it.
    if (this.#session.datagramsToSend > 0) return this.#session.dropDatagrams()
    size.onProbeSent(packetBytes, now)
  }

  // ---- time

  /** When to call `tick`; Infinity for never. */
  deadlineMs(nowMs: number): number {
    return Math.min(
      this.#size.deadlineMs ?? Number.POSITIVE_INFINITY,
      // Before that no proof is sent.
      this.#confirmed ? this.#keeper.deadlineMs(nowMs) : Number.POSITIVE_INFINITY,
      this.#changeIdAtMs,
    )
  }

  tick(): void {
    const now = this.#host.clock.now()
    if (now >= this.#keeper.deadlineMs(now)) {
      this.#count()
      this.#keeper.tick(now)
      this.#follow()
    }
    if (now < this.#changeIdAtMs) return
    this.#changeIdAtMs = this.#session.changeId() ? Number.POSITIVE_INFINITY : now + CHANGE_ID_AFTER_MS
  }

  /** A loss timeout: sends the next packets so that they arrive whatever became of the path, and looks whether they are the only ones. */
  lossTimeout(): void {
    const now = this.#host.clock.now()
    this.#count()
    this.#keeper.lossTimeout(now)
    if (this.#size.currentBytes === this.#size.safeBytes) return
    this.#smallPackets = SMALL_PACKETS_AFTER_TIMEOUT
    const tally = (): LossTally => {
      const { sentBytes, lostPackets, lostBytes } = this.#session.tally()
      return { sentBytes: sentBytes - this.#smallBytes, lostPackets, lostBytes }
    }
    if (!this.#blackHole.onTimeout(this.#size.safeBytes, tally)) return
    this.#size.onBlackHole(now)
    this.#session.dropDatagrams()
  }

  /** Packets counted so far. What was not counted before came by the present way. */
  #count(): number {
    if (!this.#isUncounted) return this.#packetsHeard
    this.#isUncounted = false
    const { receivedPackets } = this.#session.tally()
    if (receivedPackets > this.#packetsHeard) {
      this.#packetsHeard = receivedPackets
      this.#lastHeardMs = this.#lastDatagramMs
      this.#keeper.presentHeard(this.#lastDatagramMs)
    }
    return receivedPackets
  }
}

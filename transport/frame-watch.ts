/**
 * What a peer may ask of quiche with frames that carry nothing: a bound on each connection for which nobody looks into quiche.
 *
 * quiche 0.18 keeps some frames for ever, or searches all it kept for each new one (docs/quic.md lists them). It decrypts
 * packets in place, so after it took one the frames can be read here. Those of honest peers cost next to nothing: mostly
 * one or two stream frames or acknowledgements. Odd ones take points from a budget that fills up again with time;
 * frames of streams count while they wait to be read, most of all those behind gaps.
 *
 * A packet that is forged shows nothing, as the engine blanks what it cannot open; before it has the keys it leaves all as
 * it came, and nothing may be read here. One that is repeated would count
 * twice: so from the first odd packet on it is asked whether quiche counted this one (`isNew`), and only then is it booked.
 *
 * Sans-io. Never throws; a peer that passes a bound is named by a sentence, and its connection is to be closed.
 */

/** A short header: first byte, connection id of 16; the packet number follows. */
const SHORT_HEADER_BYTES = 17
const AEAD_TAG_BYTES = 16

/** Points that a connection starts with, and gets back per second. A change of way costs an honest peer about 40. */
const BUDGET_POINTS = 4000
const POINTS_PER_SECOND = 100
/** An odd packet is followed by so long a time in which packets are counted one by one. */
const ALERT_MS = 1000
/** After so many such times it stays like that. One is forgotten in each hour without. */
const MAX_ALERTS = 16
const ALERT_KEPT_MS = 60 * 60_000
/** Frames without data in one packet that cost nothing; each one more is a point. Credit for many streams fits in here. */
const FREE_FRAMES = 64
/** Ranges of an acknowledgement that cost nothing; quiche sends 68 at most. Of further ones 16 are a point. */
const FREE_RANGES = 256
const RANGES_PER_POINT = 16
/** Ids come and go with changes of way: once a second at most. */
const ID_POINTS = 20
/** Challenges of paths, tokens: no node of ours sends them. */
const FOREIGN_POINTS = 10
/** TLS says something after the handshake only to give tickets: one or two, of some hundred bytes, perhaps repeated. */
const MAX_CRYPTO_FRAMES = 256
const MAX_CRYPTO_BYTES = 64 * 1024
/** Stream frames that wait to be read. One takes about 150 bytes besides its data. */
const WAITING_FRAMES = 16_384
const MAX_WAITING_FRAMES = 1 << 20
/** Beyond that they bring so many bytes each on average; no frame of a lane is as short. */
const BYTES_PER_WAITING_FRAME = 8
/** Out of order are only the neighbours of what was lost. */
const BYTES_PER_GAP = 1024
/** Datagrams of the handshake: two certificates take less than 3 KB, the rest is for what was sent again. */
const MAX_HANDSHAKE_BYTES = 48 * 1024

/** A peer opens streams of one kind alone, and with each one all before it (RFC 9000, 2.1 and 3.2). */
const STREAM_STEP = 4
/** More than the engine lets a peer have open; bytes that it could not decrypt may name any number. */
const MAX_OPEN_STREAMS = 8192

/** What waits on one stream. */
interface Waiting {
  /** How far it was read, and how far it reaches. */
  read: number
  end: number
  frames: number
  gaps: number
}

/** Frames that are cheap one by one: PING, credit, resets, datagrams. */
const isPlain = (type: number): boolean => (type > 0 && type <= 0x17) || type === 0x30 || type === 0x31

export class FrameWatch {
  #points = BUDGET_POINTS
  #refilledMs = Number.NEGATIVE_INFINITY
  #alertUntilMs = Number.NEGATIVE_INFINITY
  #alerts = 0
  #cryptoFrames = 0
  #cryptoBytes = 0
  #handshakeBytes = 0
  #retirePriorTo = 0
  #largestGivenBack = -1
  #idsComeAgain = false
  /** Those that are open. Repeated frames of one that is over may come as long as the connection lasts, and count for nothing. */
  readonly #streams = new Map<number, Waiting>()
  #newestStream = -1
  #lastStream = -1
  #last: Waiting | undefined
  /** Sums over all streams. */
  #frames = 0
  #gaps = 0
  #spanBytes = 0
  // The packet that is being read.
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  #cost = 0
  #books = false

  /** False: a datagram with a long header is one too many, and not to be read. */
  get admitsHandshake(): boolean {
    return this.#handshakeBytes < MAX_HANDSHAKE_BYTES
  }

  /** The engine counted one. What somebody repeats who only saw it is not, and must not use up the room. */
  handshake(datagramBytes: number): void {
    this.#handshakeBytes += datagramBytes
  }

  /**
   * The peer announced an id that was given back before. Taking another one could lead to it, and to a loop without end
   * in quiche 0.18 when it is told again that this one was given back (CVE-2025-7054): so the one in use has to stay.
   */
  get idsComeAgain(): boolean {
    return this.#idsComeAgain
  }

  /** The id of the peer's with this number was given back. */
  gaveBack(number: number): void {
    this.#largestGivenBack = Math.max(this.#largestGivenBack, number)
  }

  /** True while packets are to be counted one by one. */
  isAlert(nowMs: number): boolean {
    return nowMs < this.#alertUntilMs
  }

  /**
   * A datagram as the engine left it, with a short header at `offset`. `isNew`: the engine counted it; undefined where that
   * was not asked for. Gives the offence, if it is one too many.
   */
  packet(datagram: Uint8Array, offset: number, nowMs: number, isNew?: boolean): string | undefined {
    if (isNew === false || offset < 0) return undefined
    this.#bytes = datagram
    this.#at = offset + SHORT_HEADER_BYTES + (datagram[offset]! & 3) + 1
    this.#end = datagram.length - AEAD_TAG_BYTES
    this.#cost = 0
    this.#books = isNew === true
    let plain = 0
    while (this.#at < this.#end) {
      const type = datagram[this.#at++]!
      if (type >= 0x08 && type <= 0x0f) this.#stream(type)
      else if (isPlain(type) && ++plain > FREE_FRAMES) this.#cost++
      if (!this.#passBy(type)) break
    }
    if (this.#cost > 0 || this.#isCrowded(2)) this.#alert(nowMs)
    return this.#books ? this.#offence(nowMs) : undefined
  }

  #alert(nowMs: number): void {
    if (nowMs >= this.#alertUntilMs)
      this.#alerts = 1 + Math.max(0, this.#alerts - Math.floor((nowMs - this.#alertUntilMs) / ALERT_KEPT_MS))
    this.#alertUntilMs = this.#alerts > MAX_ALERTS ? Number.POSITIVE_INFINITY : nowMs + ALERT_MS
  }

  /** So many bytes of a stream were read; `isOver`: there is nothing more. */
  read(stream: number, bytes: number, isOver: boolean): void {
    const waiting = this.#of(stream)
    if (waiting === undefined) return
    const spanBytes = waiting.end - waiting.read
    waiting.read += bytes
    const rest = isOver || waiting.read >= waiting.end ? 0 : (waiting.end - waiting.read) / spanBytes
    this.#frames -= waiting.frames * (1 - rest)
    this.#gaps -= waiting.gaps * (1 - rest)
    waiting.frames *= rest
    waiting.gaps *= rest
    if (waiting.end < waiting.read) waiting.end = waiting.read
    this.#spanBytes += (isOver ? 0 : waiting.end - waiting.read) - spanBytes
    if (!isOver) return
    this.#streams.delete(stream)
    this.#lastStream = -1
  }

  /** Undefined: it is over, or cannot be. */
  #of(stream: number): Waiting | undefined {
    if (stream === this.#lastStream && this.#last !== undefined) return this.#last
    if (stream > this.#newestStream) {
      const next = this.#newestStream < 0 ? stream % STREAM_STEP : this.#newestStream + STREAM_STEP
      if (this.#streams.size + (stream - next) / STREAM_STEP >= MAX_OPEN_STREAMS) return undefined
      for (let opened = next; opened <= stream; opened += STREAM_STEP)
        this.#streams.set(opened, { read: 0, end: 0, frames: 0, gaps: 0 })
      this.#newestStream = stream
    }
    const waiting = this.#streams.get(stream)
    if (waiting === undefined) return undefined
    this.#lastStream = stream
    this.#last = waiting
    return waiting
  }

  /** Reads a stream frame up to its data. */
  #stream(type: number): void {
    const from = this.#at
    const stream = this.#integer()
    const offset = type & 4 ? this.#integer() : 0
    const length = type & 2 ? this.#integer() : Math.max(0, this.#end - this.#at)
    this.#at = from
    const end = offset + length
    if (end === 0) return
    const waiting = this.#of(stream)
    if (waiting === undefined || end <= waiting.read) return
    waiting.frames++
    this.#frames++
    if (offset !== waiting.end) {
      waiting.gaps++
      this.#gaps++
    }
    if (end <= waiting.end) return
    this.#spanBytes += end - waiting.end
    waiting.end = end
  }

  /** Goes on behind the frame; false where nothing can be told any more. */
  #passBy(type: number): boolean {
    switch (type) {
      case 0x00:
        while (this.#at < this.#end && this.#bytes[this.#at] === 0) this.#at++
        return true
      case 0x01:
        return true
      case 0x02:
      case 0x03:
        return this.#acknowledgement(type)
      case 0x06: {
        this.#integers(1)
        const length = this.#integer()
        this.#at += length
        this.#cost += FOREIGN_POINTS
        if (this.#books) {
          this.#cryptoFrames++
          this.#cryptoBytes += length
        }
        return true
      }
      case 0x07:
        this.#cost += FOREIGN_POINTS
        return this.#data()
      case 0x18:
        this.#cost += ID_POINTS
        this.#connectionId(this.#integer(), this.#integer())
        this.#at += (this.#bytes[this.#at] ?? 0) + 17
        return true
      case 0x19:
        this.#cost += ID_POINTS
        return this.#integers(1)
      case 0x1a:
      case 0x1b:
        this.#cost += FOREIGN_POINTS
        this.#at += 8
        return true
      case 0x1e:
        this.#cost++
        return true
      case 0x31:
        return this.#data()
      case 0x04:
        return this.#integers(3)
      case 0x05:
      case 0x11:
      case 0x15:
        return this.#integers(2)
      case 0x10:
      case 0x12:
      case 0x13:
      case 0x14:
      case 0x16:
      case 0x17:
        return this.#integers(1)
      default:
        if (type < 0x08 || type > 0x0f) return false
        this.#integers(type & 4 ? 2 : 1)
        return (type & 2) !== 0 && this.#data()
    }
  }

  #connectionId(number: number, retirePriorTo: number): void {
    const isKnown = number < this.#retirePriorTo || number <= this.#largestGivenBack
    if (isKnown || !Number.isSafeInteger(number)) this.#idsComeAgain = true
    this.#retirePriorTo = Math.max(this.#retirePriorTo, retirePriorTo)
  }

  #acknowledgement(type: number): boolean {
    this.#integers(2)
    const ranges = this.#integer()
    if (ranges > FREE_RANGES) this.#cost += Math.ceil((ranges - FREE_RANGES) / RANGES_PER_POINT)
    // A count beyond what the packet holds ends with the packet.
    return this.#integers(1 + Math.min(ranges, this.#bytes.length) * 2 + (type === 3 ? 3 : 0))
  }

  #data(): boolean {
    const length = this.#integer()
    this.#at += length
    return true
  }

  #integers(count: number): boolean {
    for (let i = 0; i < count && this.#at < this.#end; i++) this.#at += 1 << (this.#bytes[this.#at]! >> 6)
    return true
  }

  /** Exact below 2^53; beyond that merely large. */
  #integer(): number {
    const bytes = this.#bytes
    const first = bytes[this.#at] ?? 0
    const size = 1 << (first >> 6)
    let value = first & 0x3f
    for (let i = 1; i < size; i++) value = value * 256 + (bytes[this.#at + i] ?? 0)
    this.#at += size
    return value
  }

  /** More waits than one part in `share` of the bounds. */
  #isCrowded(share: number): boolean {
    return (
      this.#frames > MAX_WAITING_FRAMES / share ||
      this.#frames > (WAITING_FRAMES + this.#spanBytes / BYTES_PER_WAITING_FRAME) / share ||
      this.#gaps > (WAITING_FRAMES + this.#spanBytes / BYTES_PER_GAP) / share
    )
  }

  #offence(nowMs: number): string | undefined {
    const sinceMs = Math.max(0, nowMs - this.#refilledMs)
    this.#refilledMs = nowMs
    this.#points = Math.min(BUDGET_POINTS, this.#points + (sinceMs / 1000) * POINTS_PER_SECOND) - this.#cost
    if (this.#cryptoFrames > MAX_CRYPTO_FRAMES || this.#cryptoBytes > MAX_CRYPTO_BYTES)
      return 'TLS went on after the handshake'
    if (this.#points < 0) return 'too many frames that carry nothing'
    if (this.#isCrowded(1)) return 'too many pieces of streams that cannot be read'
    return undefined
  }
}

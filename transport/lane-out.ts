/**
 * The sending end of one lane: frames in, stream bytes out, in order.
 *
 * A frame is `length u32 little endian (bytes after this field), type u8, head, body`. Bytes wait in chunks; a turn's
 * frames leave in one write, because a write costs half a microsecond however little it carries. The lane neither
 * schedules itself nor knows who sends on it: that is lanes.ts.
 */
import type { Connection } from './transport.ts'

export const FRAME_HEADER_BYTES = 5

/** A lane that carries little keeps little, cut from the shared pool of small buffers; one that filled a chunk gets large ones. */
const SMALL_CHUNK_BYTES = 2 * 1024
const LARGE_CHUNK_BYTES = 64 * 1024
/** Emptied large chunks kept for reuse, per connection. */
const MAX_SPARE_CHUNKS = 16
/** What a heavy lane writes per round, bytes. */
const QUANTUM_BYTES = 16 * 1024
/** Who waits for room on a lane goes on when no more than this is queued, bytes. */
const LOW_WATER_BYTES = 128 * 1024

interface Chunk {
  readonly bytes: Buffer
  start: number
  end: number
}

/** Large chunks between two uses, shared by the lanes of a connection. */
export class ChunkPool {
  readonly #spare: Chunk[] = []

  take(): Chunk {
    return this.#spare.pop() ?? { bytes: Buffer.allocUnsafeSlow(LARGE_CHUNK_BYTES), start: 0, end: 0 }
  }

  giveBack(chunk: Chunk): void {
    if (chunk.bytes.length !== LARGE_CHUNK_BYTES || this.#spare.length >= MAX_SPARE_CHUNKS) return
    chunk.start = 0
    chunk.end = 0
    this.#spare.push(chunk)
  }

  /** Lets go of everything: the connection is at rest. */
  clear(): void {
    this.#spare.length = 0
  }
}

/** In the order of their numbers on the wire. The last kind carries bytes instead of frames (byte-streams.ts). */
export const LANE_KINDS = ['control', 'shared', 'dedicated', 'stream'] as const
export type LaneKind = (typeof LANE_KINDS)[number]

export class OutLane {
  readonly kind: LaneKind
  readonly #pool: ChunkPool
  readonly #chunks: Chunk[] = []
  /** Bytes that wait here. */
  queuedBytes = 0
  /** QUIC stream number; -1 until the stream is opened. */
  stream = -1
  /** What round robin grants it per round, and what it still owes it, bytes. */
  quantumBytes = QUANTUM_BYTES
  deficitBytes = 0
  lowWaterBytes = LOW_WATER_BYTES
  /** In the scheduler's list of lanes with something to write. */
  listed = false
  /** Something was queued since the last look for idle lanes. */
  active = true
  /**
   * The stream ends behind what waits, which must not be nothing: quiche never sends a FIN that goes alone if all bytes
   * before it are acknowledged first (docs/quic.md). Nothing may be appended any more.
   */
  finishing = false
  finished = false
  /** May not be written to yet: its sender's previous lane is not acknowledged. */
  blocked = false

  /** Called when the lane is below its low-water mark. */
  readonly waiters: (() => void)[] = []

  constructor(kind: OutLane['kind'], pool: ChunkPool) {
    this.kind = kind
    this.#pool = pool
  }

  append(type: number, head: Uint8Array, headLength: number, body: Uint8Array | undefined): void {
    const bodyLength = body === undefined ? 0 : body.length
    const chunk = this.#room(FRAME_HEADER_BYTES + headLength)
    const { bytes } = chunk
    let at = chunk.end
    const length = 1 + headLength + bodyLength
    bytes[at++] = length
    bytes[at++] = length >>> 8
    bytes[at++] = length >>> 16
    bytes[at++] = length >>> 24
    bytes[at++] = type
    // Heads are a few bytes: a loop beats a call into the engine.
    for (let i = 0; i < headLength; i++) bytes[at++] = head[i] as number
    chunk.end = at
    if (body !== undefined) this.#appendBytes(chunk, body)
    this.queuedBytes += 4 + length
    this.active = true
  }

  /** Bytes as they are, of a stream. */
  appendBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#appendBytes(this.#room(1), bytes)
    this.queuedBytes += bytes.length
  }

  /** Forgets what waits, and who waits. */
  drop(): void {
    for (const chunk of this.#chunks.splice(0)) this.#pool.giveBack(chunk)
    this.queuedBytes = 0
    this.waiters.length = 0
  }

  /** Lets those go on who wait for room. */
  release(): void {
    if (this.waiters.length > 0) for (const resolve of this.waiters.splice(0)) resolve()
  }

  /** Writes at most `limitBytes` to the stream; returns how many the connection took. */
  writeTo(connection: Connection, limitBytes: number): number {
    let written = 0
    while (this.queuedBytes > 0 && written < limitBytes) {
      const chunk = this.#chunks[0] as Chunk
      const offered = Math.min(chunk.end - chunk.start, limitBytes - written)
      const last = this.finishing && offered === this.queuedBytes
      const taken = connection.write(this.stream, chunk.bytes.subarray(chunk.start, chunk.start + offered), last)
      chunk.start += taken
      written += taken
      this.queuedBytes -= taken
      if (chunk.start === chunk.end) this.#emptied(chunk)
      if (taken < offered) return written
      if (last) this.finished = true
    }
    return written
  }

  /** A lane that carries little fills its only chunk again and again. */
  #emptied(chunk: Chunk): void {
    if (this.#chunks.length === 1 && chunk.bytes.length === SMALL_CHUNK_BYTES) {
      chunk.start = 0
      chunk.end = 0
      return
    }
    this.#chunks.shift()
    this.#pool.giveBack(chunk)
  }

  /** The last chunk, or a new one, with `bytes` of room in one piece. */
  #room(bytes: number): Chunk {
    const last = this.#chunks[this.#chunks.length - 1]
    if (last !== undefined && last.bytes.length - last.end >= bytes) return last
    return this.#addChunk(last === undefined && bytes <= SMALL_CHUNK_BYTES)
  }

  #addChunk(small: boolean): Chunk {
    const chunk = small ? { bytes: Buffer.allocUnsafe(SMALL_CHUNK_BYTES), start: 0, end: 0 } : this.#pool.take()
    this.#chunks.push(chunk)
    return chunk
  }

  #appendBytes(first: Chunk, bytes: Uint8Array): void {
    let chunk = first
    let from = 0
    while (from < bytes.length) {
      const room = chunk.bytes.length - chunk.end
      const count = Math.min(room, bytes.length - from)
      chunk.bytes.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), chunk.end)
      chunk.end += count
      from += count
      if (from < bytes.length) chunk = this.#addChunk(false)
    }
  }
}

/** A lane of one sender. */
export class DedicatedLane extends OutLane {
  /** The peer delivered everything on it. */
  acknowledged = false
  /** Told then, if the sender is gone. */
  onAcknowledged: (() => void) | undefined
  /** Where its sender goes on if it sends before the acknowledgement. */
  successor: DedicatedLane | undefined
}

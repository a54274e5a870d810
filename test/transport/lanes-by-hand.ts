/** A connection whose every window, read and flush is in the hands of the test. */
import type { CloseReason, Connection, ConnectionHandler, ReadResult } from '../../transport/transport.ts'

export class HandConnection implements Connection {
  readonly carrier = 'memory'
  readonly role = 'initiator'
  readonly remote = { host: 'nowhere', port: 1 }
  readonly way = undefined
  readonly peer = undefined
  readonly lastHeardMs = 0
  readonly sentBytes = 0
  /** How many more bytes the connection takes, and single streams take. */
  roomBytes = Number.POSITIVE_INFINITY
  /** What bulk may write beside light senders. */
  bulkRoom = Number.POSITIVE_INFINITY
  readonly streamRoomBytes = new Map<number, number>()
  /** What was written, in order. */
  readonly writes: { readonly stream: number; readonly bytes: Buffer }[] = []
  readonly ended = new Set<number>()
  readonly resets: number[] = []
  readonly closes: CloseReason[] = []
  #opened = 0
  #handler: ConnectionHandler | undefined
  readonly #incoming = new Map<number, { bytes: Buffer; finished: boolean }>()

  open(handler: ConnectionHandler): void {
    this.#handler = handler
    handler.onOpen()
  }

  /** Room for so many bytes, then one flush. */
  flush(roomBytes: number): void {
    this.roomBytes = roomBytes
    this.#handler?.onFlush()
  }

  /** Bytes of the peer; the handler hears of them. */
  feed(stream: number, bytes: Uint8Array, finished = false): void {
    this.store(stream, bytes, finished)
    this.#handler?.onReadable(stream)
  }

  /** Bytes of the peer that the handler does not hear of yet. */
  store(stream: number, bytes: Uint8Array, finished = false): void {
    const waiting = this.#incoming.get(stream)?.bytes ?? Buffer.alloc(0)
    this.#incoming.set(stream, { bytes: Buffer.concat([waiting, bytes]), finished })
  }

  waitingBytes(stream: number): number {
    return this.#incoming.get(stream)?.bytes.length ?? 0
  }

  openStream(_urgent: boolean): number {
    return 4 * this.#opened++ + 2
  }

  write(stream: number, bytes: Uint8Array, finish: boolean): number {
    const streamRoomBytes = this.streamRoomBytes.get(stream) ?? Number.POSITIVE_INFINITY
    const taken = Math.min(bytes.length, this.roomBytes, streamRoomBytes)
    this.roomBytes -= taken
    this.streamRoomBytes.set(stream, streamRoomBytes - taken)
    if (taken > 0) this.writes.push({ stream, bytes: Buffer.from(bytes.subarray(0, taken)) })
    if (finish && taken === bytes.length) this.ended.add(stream)
    return taken
  }

  blocked(): boolean {
    return this.roomBytes <= 0
  }

  read(stream: number, target: Uint8Array): ReadResult {
    const one = this.#incoming.get(stream)
    if (one === undefined || this.closes.length > 0) return { bytes: 0, finished: false, reset: false }
    const bytes = Math.min(one.bytes.length, target.length)
    target.set(one.bytes.subarray(0, bytes))
    one.bytes = one.bytes.subarray(bytes)
    return { bytes, finished: one.finished && one.bytes.length === 0, reset: false }
  }

  reset(stream: number): void {
    this.resets.push(stream)
  }

  bulkRoomBytes(): number {
    return this.bulkRoom
  }

  readonly datagrams: Uint8Array[] = []

  sendDatagram(bytes: Uint8Array): boolean {
    this.datagrams.push(Uint8Array.from(bytes))
    return true
  }

  offer(): void {}

  requestFlush(): void {}

  close(wireCode: number, code: CloseReason['code'], message: string): void {
    this.closes.push({ wireCode, code, message, byPeer: false })
  }

  stats() {
    return { rttMs: 0, sentBytes: 0, receivedBytes: 0, lostPackets: 0, pathSizeBytes: 1200 }
  }

  /** Bytes written per stream. */
  writtenBytes(stream: number): number {
    let sum = 0
    for (const write of this.writes) if (write.stream === stream) sum += write.bytes.length
    return sum
  }
}

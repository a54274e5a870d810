/**
 * Gives the memory of datagrams back as soon as they are read.
 *
 * node:dgram makes a buffer per datagram outside V8's heap. Left to the garbage collector they pile up, and V8 counts them
 * against the growth of a small heap: while bulk came in it collected fifty times a second. An ArrayBuffer that is
 * transferred is detached at once, and a port that is closed drops what it is sent, memory and all (the HTML standard,
 * "StructuredSerializeWithTransfer", takes effect even then). That costs 0.6 us a buffer, less than collecting it.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'

/** Smaller ones cost the collector less than the transfer costs us, bytes. */
const LEAST_BYTES = 1024
/** Buffers kept for one transfer: a few share its cost, and little waits. */
const BATCH = 16

export class SpentBuffers {
  readonly #nowhere: MessagePort
  #waiting: ArrayBuffer[] = []

  constructor() {
    const { port1, port2 } = new MessageChannel()
    port2.close()
    port1.close()
    this.#nowhere = port1
  }

  /** Nobody may look at this datagram again. One that shares its memory with others is left alone. */
  add(datagram: Buffer): void {
    const { buffer } = datagram
    if (datagram.length < LEAST_BYTES || buffer.byteLength !== datagram.length || !(buffer instanceof ArrayBuffer))
      return
    if (this.#waiting.push(buffer) >= BATCH) this.release()
  }

  /** Lets go of what waits. */
  release(): void {
    if (this.#waiting.length === 0) return
    this.#nowhere.postMessage(undefined, this.#waiting)
    this.#waiting = []
  }
}

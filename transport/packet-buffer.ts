/**
 * Where a port writes the packets that it sends: one buffer for all, with views by length, so that a packet costs no
 * allocation.
 */

/** Lengths of packets that have a view of their own: the full ones, and nearly all short ones. */
const MAX_VIEWS = 1024

export class PacketBuffer {
  readonly #sizeBytes: number
  readonly #views = new Map<number, Uint8Array>()
  bytes: Uint8Array

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
    this.bytes = new Uint8Array(sizeBytes)
  }

  /** The first so many bytes. */
  view(sizeBytes: number): Uint8Array {
    let view = this.#views.get(sizeBytes)
    if (view === undefined) {
      view = this.bytes.subarray(0, sizeBytes)
      if (this.#views.size < MAX_VIEWS) this.#views.set(sizeBytes, view)
    }
    return view
  }

  /** Somebody still holds the buffer: the next packet is written elsewhere. */
  leave(): void {
    this.bytes = new Uint8Array(this.#sizeBytes)
    this.#views.clear()
  }
}

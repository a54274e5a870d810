/**
 * A stream of bytes within a node: the same two ends as over a connection, with a bounded buffer between them.
 *
 * Reader and writer wake each other in microtasks, which Node runs until there are none: so after a while the writer has
 * to wait until input was handled.
 */
import type { ByteReader, ByteReaderHandler, ByteWriter, ByteWriterHandler } from '../../transport/byte-stream.ts'
import type { Clock } from '../../transport/clock.ts'
import type { ReadResult } from '../../transport/transport.ts'

/** What may wait for the reader, bytes. */
const BUFFER_BYTES = 256 * 1024
/** In so many pieces at most: the smallest cost far more than their bytes. */
const MAX_PIECES = 1024
/** What a writer may write before input has its turn: about a millisecond of copying, or of small pieces. */
const TURN_BYTES = 4 * 1024 * 1024
const TURN_WRITES = 256

export interface LocalBytes {
  readonly writer: ByteWriter
  readonly reader: ByteReader
}

export const localBytes = (clock: Clock, writing: ByteWriterHandler, reading: ByteReaderHandler): LocalBytes => {
  const chunks: Uint8Array[] = []
  let waitingBytes = 0
  let state: 'open' | 'finished' | 'over' = 'open'
  let wantsRoom = false
  let turnBytes = TURN_BYTES
  let turnWrites = TURN_WRITES
  let isRenewing = false

  const over = (): void => {
    state = 'over'
    chunks.length = 0
    waitingBytes = 0
  }
  const room = (): number =>
    turnWrites <= 0 || chunks.length >= MAX_PIECES ? 0 : Math.min(BUFFER_BYTES - waitingBytes, turnBytes)
  const giveRoom = (): void => {
    if (!wantsRoom || state === 'over' || room() < BUFFER_BYTES / 2) return
    wantsRoom = false
    writing.onRoom()
  }
  const renewLater = (): void => {
    if (isRenewing) return
    isRenewing = true
    clock.afterInput(() => {
      isRenewing = false
      turnBytes = TURN_BYTES
      turnWrites = TURN_WRITES
      giveRoom()
    })
  }

  const writer: ByteWriter = {
    write: (bytes) => {
      if (state !== 'open') return bytes.length
      renewLater()
      const count = Math.min(bytes.length, room())
      if (count > 0) {
        chunks.push(Uint8Array.from(bytes.subarray(0, count)))
        waitingBytes += count
        turnBytes -= count
        turnWrites--
      }
      if (count < bytes.length) wantsRoom = true
      if (count > 0) reading.onReadable()
      return count
    },
    finish: () => {
      if (state !== 'open') return
      state = 'finished'
      reading.onReadable()
    },
    abort: (why) => {
      if (state === 'over') return
      over()
      reading.onAborted(why)
    },
  }
  const reader: ByteReader = {
    read: (target): ReadResult => {
      let bytes = 0
      while (bytes < target.length && chunks.length > 0) {
        const chunk = chunks[0] as Uint8Array
        const count = Math.min(chunk.length, target.length - bytes)
        target.set(count === chunk.length ? chunk : chunk.subarray(0, count), bytes)
        bytes += count
        if (count === chunk.length) chunks.shift()
        else chunks[0] = chunk.subarray(count)
      }
      waitingBytes -= bytes
      const finished = state === 'finished' && waitingBytes === 0
      if (finished) {
        over()
        writing.onDelivered()
      } else if (bytes > 0) giveRoom()
      return { bytes, finished, reset: false }
    },
    stop: (why) => {
      if (state === 'over') return
      over()
      writing.onStopped(why)
    },
  }
  return { writer, reader }
}

/**
 * Writes that wait for the disk: the latest one for each key. A newer write of a key takes the older one's place, and the
 * callers of both learn how the newer one ended, so a process that saves faster than the disk costs one write at a time.
 *
 * Bounded by keys and by bytes; what is taken out counts until it is settled. It decides nothing about when to write.
 */
import { SkeinError } from '../../../certs/errors.ts'

/** One for each process that saves at the same moment. */
const MAX_PENDING_KEYS = 100_000
/** Waiting or being written. */
const MAX_PENDING_BYTES = 256 * 1024 * 1024

/** The bytes of a save, undefined for a remove. */
export type Written = Uint8Array | undefined

export class PendingWrite {
  readonly key: string
  readonly done: Promise<void>
  value: Written
  /** Both are given to all who wait for the write. */
  readonly succeed: () => void
  readonly fail: (error: unknown) => void

  constructor(key: string, value: Written, onSettled: (write: PendingWrite) => void) {
    this.key = key
    this.value = value
    let [resolveDone, rejectDone]: [() => void, (error: unknown) => void] = [() => {}, () => {}]
    this.done = new Promise((resolve, reject) => {
      resolveDone = resolve
      rejectDone = reject
    })
    this.succeed = () => {
      onSettled(this)
      resolveDone()
    }
    this.fail = (error) => {
      onSettled(this)
      rejectDone(error)
    }
  }
}

export class PendingWrites {
  readonly #waiting = new Map<string, PendingWrite>()
  #heldBytes = 0

  get size(): number {
    return this.#waiting.size
  }

  get(key: string): PendingWrite | undefined {
    return this.#waiting.get(key)
  }

  /** Gives the promise of this write, or throws ERR_SKEIN_LIMIT. */
  put(key: string, value: Written): Promise<void> {
    const waiting = this.#waiting.get(key)
    const heldBytes = this.#heldBytes - sizeOf(waiting?.value) + sizeOf(value)
    if (heldBytes > MAX_PENDING_BYTES) throw overloaded(`${MAX_PENDING_BYTES} bytes`)
    if (waiting === undefined && this.#waiting.size >= MAX_PENDING_KEYS) throw overloaded(`${MAX_PENDING_KEYS} keys`)
    this.#heldBytes = heldBytes
    if (waiting !== undefined) {
      waiting.value = value
      return waiting.done
    }
    const write = new PendingWrite(key, value, (settled) => {
      this.#heldBytes -= sizeOf(settled.value)
    })
    this.#waiting.set(key, write)
    return write.done
  }

  /** Takes a write out; the taker settles it. */
  take(key: string): PendingWrite | undefined {
    const write = this.#waiting.get(key)
    this.#waiting.delete(key)
    return write
  }

  takeAll(): PendingWrite[] {
    const writes = [...this.#waiting.values()]
    this.#waiting.clear()
    return writes
  }
}

const sizeOf = (value: Written): number => value?.length ?? 0

const overloaded = (limit: string): SkeinError =>
  new SkeinError('ERR_SKEIN_LIMIT', `more than ${limit} wait to be written`, {
    hint: 'The disk is slower than the saves: save less often, or await each save.',
  })

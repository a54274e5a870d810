/**
 * All that one DHT node is to do later, on one timer of the clock: a binary heap.
 *
 * A cancelled entry stays in the heap until it surfaces. The timer is a background one: a DHT alone keeps no process
 * alive. After `stop` nothing fires any more.
 */
import type { Clock, Timer } from '../../transport/clock.ts'

export class Timetable {
  readonly #clock: Clock
  /** Children of i at 2i+1 and 2i+2. */
  readonly #heap: Entry[] = []
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs `fn` once, `ms` milliseconds from now. */
  after(ms: number, fn: () => void): Timer {
    const entry = new Entry(this.#clock.now() + ms, fn)
    if (this.#stopped) return entry
    const heap = this.#heap
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]!
      if (parent.atMs <= entry.atMs) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = entry
    this.#arm()
    return entry
  }

  stop(): void {
    this.#stopped = true
    this.#heap.length = 0
    this.#timer?.cancel()
  }

  #arm(): void {
    this.#dropCancelled()
    const next = this.#heap[0]
    if (next === undefined || this.#timerAtMs <= next.atMs) return
    this.#timer?.cancel()
    this.#timerAtMs = next.atMs
    this.#timer = this.#clock.after(Math.max(0, next.atMs - this.#clock.now()), () => this.#fire(), true)
  }

  #fire(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    for (;;) {
      this.#dropCancelled()
      const next = this.#heap[0]
      if (next === undefined || next.atMs > now) break
      this.#pop()
      const fn = next.fn!
      next.fn = undefined
      fn()
    }
    this.#arm()
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]!.fn === undefined) this.#pop()
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      if (childIndex >= heap.length) break
      if (childIndex + 1 < heap.length && heap[childIndex + 1]!.atMs < heap[childIndex]!.atMs) childIndex++
      const child = heap[childIndex]!
      if (last.atMs <= child.atMs) break
      heap[index] = child
      index = childIndex
    }
    heap[index] = last
  }
}

class Entry implements Timer {
  readonly atMs: number
  /** Undefined once it ran or was cancelled. */
  fn: (() => void) | undefined

  constructor(atMs: number, fn: () => void) {
    this.atMs = atMs
    this.fn = fn
  }

  cancel(): void {
    this.fn = undefined
  }
}

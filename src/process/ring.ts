/**
 * A queue in a ring: taking from either end costs the same however many wait. It makes its memory when first needed, since
 * most of a million processes have nothing waiting, and gives it back after a flood.
 *
 * Beside each entry a number can be kept (its note); the memory for notes is made with the first one that is not 0.
 */

/** A power of two. */
const INITIAL_CAPACITY = 8
/** An empty ring larger than this gives its memory back. */
const KEPT_CAPACITY = 4096

type Slots<T> = (T | undefined)[]

export class Ring<T> {
  #slots: Slots<T> | undefined
  #notes: Slots<number> | undefined
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  push(entry: T, note = 0): void {
    let slots = this.#slots
    if (slots === undefined) slots = this.#slots = new Array(INITIAL_CAPACITY)
    else if (this.#size === slots.length) slots = this.#resize(slots, slots.length * 2)
    const place = (this.#head + this.#size) & (slots.length - 1)
    slots[place] = entry
    this.#size++
    if (note !== 0) {
      this.#notes ??= new Array(slots.length)
      this.#notes[place] = note
    }
  }

  /** The entry so many places behind the oldest, which must be there. */
  at(index: number): T {
    return (this.#slots as Slots<T>)[this.#place(index)] as T
  }

  noteAt(index: number): number {
    return this.#notes?.[this.#place(index)] ?? 0
  }

  /** Takes the oldest; there must be one. */
  shift(): T {
    const slots = this.#slots as Slots<T>
    const head = this.#head
    const entry = slots[head] as T
    slots[head] = undefined
    if (this.#notes !== undefined) this.#notes[head] = undefined
    this.#head = (head + 1) & (slots.length - 1)
    this.#size--
    if (this.#size === 0 && slots.length > KEPT_CAPACITY) this.clear()
    return entry
  }

  /** Takes the one at `index`; the others keep their order. Costs a step for each older one. */
  take(index: number): T {
    if (index > 0) {
      const slots = this.#slots as Slots<T>
      this.#closeGap(slots, index)
      if (this.#notes !== undefined) this.#closeGap(this.#notes, index)
    }
    return this.shift()
  }

  clear(): void {
    this.#slots = undefined
    this.#notes = undefined
    this.#head = 0
    this.#size = 0
  }

  #place(index: number): number {
    return (this.#head + index) & ((this.#slots as Slots<T>).length - 1)
  }

  /** Those before `index` move one place back, and what was there comes to the front. */
  #closeGap<E>(slots: Slots<E>, index: number): void {
    const mask = slots.length - 1
    const taken = slots[this.#place(index)]
    for (let i = index; i > 0; i--) slots[(this.#head + i) & mask] = slots[(this.#head + i - 1) & mask]
    slots[this.#head] = taken
  }

  #resize(slots: Slots<T>, capacity: number): Slots<T> {
    const notes = this.#notes
    if (notes !== undefined) this.#notes = this.#unrolled(notes, capacity)
    const unrolled = this.#unrolled(slots, capacity)
    this.#slots = unrolled
    this.#head = 0
    return unrolled
  }

  #unrolled<E>(slots: Slots<E>, capacity: number): Slots<E> {
    const unrolled: Slots<E> = new Array(capacity)
    for (let i = 0; i < this.#size; i++) unrolled[i] = slots[(this.#head + i) & (slots.length - 1)]
    return unrolled
  }
}

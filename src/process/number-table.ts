/**
 * Finds things by numbers that it gives out itself, each greater than the one before: processes, calls.
 *
 * The slot of a number is its low bits, and numbers whose slot is taken are left out. That is
 * faster than a Map, and easier on the collector: a Map from which as much is deleted as is added makes itself anew again
 * and again, and V8 chains the old tables, so that what they held lives until the next full collection.
 */

/** A power of two, like every later size: numbers that differ in their slot do so in a larger table too. */
const INITIAL_SLOTS = 64
/** An empty table larger than this gives its memory back. */
const KEPT_SLOTS = 4096

export class NumberTable<T> {
  #values: (T | undefined)[] = new Array(INITIAL_SLOTS)
  #numbers: number[] = new Array(INITIAL_SLOTS).fill(0)
  #size = 0
  #last = 0

  get size(): number {
    return this.#size
  }

  /** The greatest number given out so far. */
  get last(): number {
    return this.#last
  }

  /** A number for one more. */
  next(): number {
    if (this.#size * 2 >= this.#values.length) this.#grow()
    do this.#last++
    while (this.#values[this.#last & (this.#values.length - 1)] !== undefined)
    return this.#last
  }

  /** With the number that `next` has just given. */
  set(number: number, value: T): void {
    const slot = number & (this.#values.length - 1)
    this.#values[slot] = value
    this.#numbers[slot] = number
    this.#size++
  }

  /** Of any number whatever. */
  get(number: number): T | undefined {
    const slot = number & (this.#values.length - 1)
    return this.#numbers[slot] === number ? this.#values[slot] : undefined
  }

  /** What may have a number with these low bits, 32 of them. */
  nearest(bits: number): T | undefined {
    return this.#values[bits & (this.#values.length - 1)]
  }

  has(number: number): boolean {
    return this.get(number) !== undefined
  }

  delete(number: number): void {
    if (!this.has(number)) return
    this.#values[number & (this.#values.length - 1)] = undefined
    this.#size--
    if (this.#size > 0 || this.#values.length <= KEPT_SLOTS) return
    this.#values = new Array(INITIAL_SLOTS)
    this.#numbers = new Array(INITIAL_SLOTS).fill(0)
  }

  /** In no order, without a copy. */
  each(visit: (value: T) => void): void {
    for (const value of this.#values) if (value !== undefined) visit(value)
  }

  /** In the order of their numbers. */
  values(): T[] {
    return this.#taken().map(({ value }) => value)
  }

  #taken(): { readonly number: number; readonly value: T }[] {
    const taken: { number: number; value: T }[] = []
    this.#values.forEach((value, slot) => {
      if (value !== undefined) taken.push({ number: this.#numbers[slot] as number, value })
    })
    return taken.sort((a, b) => a.number - b.number)
  }

  #grow(): void {
    const taken = this.#taken()
    const slots = this.#values.length * 2
    this.#values = new Array(slots)
    this.#numbers = new Array(slots).fill(0)
    this.#size = 0
    for (const { number, value } of taken) this.set(number, value)
  }
}

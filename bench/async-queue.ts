/** What a program without Skein would use between two parts of it: an array, and a promise for the consumer that waits. */
export class AsyncQueue<T> implements AsyncIterableIterator<T, never> {
  #items: T[] = []
  #taken = 0
  #waiting: ((step: IteratorResult<T, never>) => void) | undefined

  push(item: T): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) this.#items.push(item)
    else waiting({ value: item, done: false })
  }

  next(): Promise<IteratorResult<T, never>> {
    if (this.#taken === this.#items.length) {
      return new Promise((resolve) => {
        this.#waiting = resolve
      })
    }
    const value = this.#items[this.#taken++] as T
    if (this.#taken === this.#items.length) {
      this.#items = []
      this.#taken = 0
    }
    return Promise.resolve({ value, done: false })
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, never> {
    return this
  }
}

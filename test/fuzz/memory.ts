/**
 * What inputs cost in memory: what one of them allocates, and what stays after many of them.
 *
 * Growth has two tests. New inputs of the corpus are repeated together, three rounds of that, and what is on the heap after a
 * collection must not rise by LEAK_BYTES in each round. And of the looks taken over a whole run the least of the last three
 * must not lie above the least of the first three by more than GROWTH_BYTES and what the corpus has grown by.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LEAK_BYTES = 20 * 1024
const LEAK_ROUNDS = 3
const GROWTH_BYTES = 12 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** On the heap and beside it, bytes. */
export const usedBytes = (): number => {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

export const keptBytes = async (): Promise<number> => {
  collect()
  // What native objects held is let go of in a turn of its own.
  await nextTurn()
  collect()
  await nextTurn()
  return usedBytes()
}

/** Whether each round leaves something behind. */
export const leaks = async (round: () => Promise<void>): Promise<boolean> => {
  // What is made once, such as compiled code, is made here.
  await round()
  let before = await keptBytes()
  for (let i = 0; i < LEAK_ROUNDS; i++) {
    await round()
    const after = await keptBytes()
    if (after - before < LEAK_BYTES) return false
    before = after
  }
  return true
}

/** The looks of a run. */
export class Growth {
  readonly #looks: { readonly kept: number; readonly own: number }[] = []

  /** `own` is what the fuzzer itself keeps. */
  async look(own: number): Promise<void> {
    this.#looks.push({ kept: await keptBytes(), own })
  }

  /** Undefined: too few looks, or no growth. */
  get bytes(): number | undefined {
    if (this.#looks.length < 8) return undefined
    const least = (from: number, to?: number): number =>
      Math.min(...this.#looks.slice(from, to).map(({ kept, own }) => kept - 2 * own))
    const grown = least(-3) - least(1, 4)
    return grown > GROWTH_BYTES ? grown : undefined
  }
}

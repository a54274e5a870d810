/**
 * What inputs cost in memory: what one of them allocates, and what stays after many of them.
 *
 * Growth has two tests. New inputs of the corpus are repeated together, round by round, and what is kept after each round is
 * compared with what was kept before it: three rises of LEAK_BYTES are growth, two rounds without one are none. And of the looks taken over a whole run the least of the last three
 * must not lie above the least of the first three by more than GROWTH_BYTES and what the corpus has grown by.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LEAK_BYTES = 20 * 1024
const LEAK_RISES = 3
/** What was collected meanwhile, such as code that nobody runs, hides the rise of a round now and then. */
const FLAT_ROUNDS = 2
/** Code that is being compiled beside holds some 100 KiB for one collection or two, and longer on a busy machine. */
const COLLECTIONS = 4
const GROWTH_BYTES = 12 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** On the heap and beside it, bytes. */
export const usedBytes = (): number => {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

/** The least of several collections: what one of them finds may be held for a moment only. */
export const keptBytes = async (): Promise<number> => {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < COLLECTIONS; i++) {
    collect()
    // What native objects held is let go of in a turn of its own.
    await nextTurn()
    least = Math.min(least, usedBytes())
  }
  return least
}

/** Whether rounds leave something behind, each of them. */
export const leaks = async (round: () => Promise<void>): Promise<boolean> => {
  // What is made once, such as compiled code, is made here.
  await round()
  let before = await keptBytes()
  for (let rises = 0, flat = 0; ; ) {
    await round()
    const after = await keptBytes()
    if (after - before >= LEAK_BYTES) rises++
    else flat++
    if (flat === FLAT_ROUNDS) return false
    if (rises === LEAK_RISES) return true
    before = after
  }
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

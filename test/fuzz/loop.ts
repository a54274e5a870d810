/**
 * The thread that runs inputs: makes them, runs them, keeps those that reach something new, and tells what went wrong.
 *
 * Inputs run in batches, and what a batch covered is looked at behind it: one with news is run again in halves until the
 * inputs are found that make them. Batches grow while there are no news.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { Chance } from './chance.ts'
import { Coverage } from './coverage.ts'
import { Growth, keptBytes, leaks, usedBytes } from './memory.ts'
import { Mutator } from './mutator.ts'
import { BEGUN, type Finding, isNear, LENGTH, type Order, type Told, UNDER_WAY, WORDS_BYTES } from './orders.ts'
import { DEFAULT_MAX_ALLOCATION, DEFAULT_MAX_BYTES, isRefusal, type Target } from './target.ts'

const FIRST_BATCH = 32
const MAX_BATCH = 4096
const SAMPLES = 64
const MAX_SAMPLES = 512
/** Bytes of a new input that are tried with every value. */
const SWEPT_PLACES = 12
/** While batches are smaller there is news enough. */
const SWEEP_FROM_BATCH = 512
/** Inputs that are worked with; beyond that one of them is given up for each new one. */
const MAX_CORPUS = 1500
/** The last ones kept are taken half of the time. */
const RECENT = 16
/** One input in so many is weighed. */
const WEIGHED = 64
/** New inputs are repeated together to see whether they leave something behind. */
const LEAK_GROUP = 32
const LEAK_REPEATS = 256
const SLOW_LEAK_REPEATS = 32
/** A group that leaks has an input that does; its halves are looked at so often until that is found. */
const LEAK_TRIES = 2
const GROWTH_LOOKS = 12
const MAX_SHRINK_RUNS = 3000
const STACK_FRAMES = 20
/** Of all inputs that are written down in the end. */
const MAX_SAVED_BYTES = 40 * 1024
const MAX_SAVED_INPUTS = 120

const root = new URL('../../', import.meta.url).href
const OWN = /^(?:src|transport|discovery|certs|test\/fuzz\/targets\/canary)/

class Loop {
  readonly #order: Order
  readonly #target: Target
  readonly #coverage: Coverage
  readonly #chance: Chance
  readonly #mutator: Mutator
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #corpus: Uint8Array[] = []
  #fresh: Uint8Array[] = []
  readonly #unswept: Uint8Array[] = []
  readonly #samples: Uint8Array[] = []
  readonly #known: Set<string>
  readonly #growth = new Growth()
  #inputs = 0
  #refused = 0

  constructor(order: Order, target: Target, coverage: Coverage) {
    this.#order = order
    this.#target = target
    this.#coverage = coverage
    this.#chance = new Chance(order.seed)
    this.#known = new Set(order.known)
    this.#mutator = new Mutator(this.#chance, target.dictionary ?? [], target.maxBytes ?? DEFAULT_MAX_BYTES)
    this.#words = new Int32Array(order.shared, 0, WORDS_BYTES / 4)
    this.#bytes = new Uint8Array(order.shared, WORDS_BYTES)
  }

  async run(): Promise<void> {
    const { replay, corpus, inputs, untilMs } = this.#order
    if (replay !== undefined) {
      await this.#take(replay)
    } else {
      await this.#explore(corpus.map((one) => Uint8Array.from(one)))
      await this.#explore(Array.from({ length: SAMPLES }, () => this.#sample()))
      if (this.#corpus.length === 0) this.#keep(this.#sample())
      let size = FIRST_BATCH
      const looksEvery = Math.max(MAX_BATCH, Math.floor(inputs / GROWTH_LOOKS))
      let nextLook = looksEvery
      while (this.#inputs < inputs && Date.now() < untilMs) {
        const count = Math.min(size, inputs - this.#inputs)
        const swept = size >= SWEEP_FROM_BATCH ? this.#unswept.pop() : undefined
        const batch = swept === undefined ? Array.from({ length: count }, () => this.#make()) : this.#sweep(swept)
        const hasNews = await this.#explore(batch)
        size = hasNews ? Math.max(FIRST_BATCH, size >> 1) : Math.min(MAX_BATCH, size << 1)
        if (this.#fresh.length >= LEAK_GROUP) await this.#repeatFresh()
        while (this.#inputs >= nextLook) {
          nextLook += looksEvery
          await this.#repeatFresh()
          await this.#growth.look(this.#corpus.reduce((sum, one) => sum + one.length + 200, 0))
        }
      }
      await this.#repeatFresh()
      const { bytes } = this.#growth
      if (bytes !== undefined) {
        this.#tellOnce({
          kind: 'growth',
          what: `${bytes} bytes more are kept at the end than at the start`,
          input: undefined,
        })
      }
    }
    const { ran, known } = this.#coverage.blocks
    const figures = { inputs: this.#inputs, refused: this.#refused, ran, known }
    say({ type: 'done', figures, corpus: replay === undefined ? await this.#distil() : [] })
  }

  /** Samples may take longer to make than to read: each is used several times. */
  #sample(): Uint8Array {
    const chance = this.#chance
    if (this.#samples.length === MAX_SAMPLES && !chance.oneIn(8)) return chance.pick(this.#samples)
    const sample = Uint8Array.from(this.#target.sample(chance).subarray(0, this.#bytes.length))
    if (this.#samples.length < MAX_SAMPLES) this.#samples.push(sample)
    else this.#samples[chance.below(MAX_SAMPLES)] = sample
    return sample
  }

  #make(): Uint8Array {
    const chance = this.#chance
    if (chance.oneIn(16)) return this.#sample()
    const base = chance.oneIn(8) ? this.#sample() : this.#pick()
    return Uint8Array.from(this.#mutator.mutate(base, this.#pick()))
  }

  /** Every value of some of its bytes: what hides behind one of them is found at once. */
  #sweep(input: Uint8Array): Uint8Array[] {
    const places = Math.min(input.length, SWEPT_PLACES)
    const from = this.#chance.below(input.length - places + 1)
    return Array.from({ length: 256 * places }, (_, i) => {
      const swept = Uint8Array.from(input)
      swept[from + (i >> 8)] = i & 255
      return swept
    })
  }

  #pick(): Uint8Array {
    const { length } = this.#corpus
    const recent = this.#chance.oneIn(2) ? Math.max(0, length - RECENT) : 0
    return this.#corpus[recent + this.#chance.below(length - recent)]!
  }

  /** True if one of them reached something new. */
  async #explore(batch: readonly Uint8Array[]): Promise<boolean> {
    for (const input of batch) {
      this.#inputs++
      if (this.#order.hung.some((one) => isNear(one, input))) continue
      if (this.#inputs % WEIGHED === 0) await this.#weigh(input)
      else {
        const later = this.#take(input)
        if (later !== undefined) await later
      }
    }
    // What was put off to the end of a turn is due.
    await nextTurn()
    const news = this.#coverage.look()
    if (news.length === 0) return false
    await this.#search(batch)
    // What did not come again: it may have come of what was compiled or kept meanwhile.
    this.#coverage.keep(news)
    return true
  }

  /** Keeps those of them that reach something new. */
  async #search(batch: readonly Uint8Array[]): Promise<void> {
    for (const input of batch) if (!this.#order.hung.some((one) => isNear(one, input))) await this.#take(input)
    const news = this.#coverage.look()
    if (news.length === 0 || batch.length === 0) return
    if (batch.length === 1) {
      this.#coverage.keep(news)
      this.#keep(batch[0]!)
      return
    }
    const half = batch.length >> 1
    await this.#search(batch.slice(0, half))
    await this.#search(batch.slice(half))
  }

  #keep(input: Uint8Array): void {
    if (this.#corpus.length < MAX_CORPUS) this.#corpus.push(input)
    else this.#corpus[this.#chance.below(MAX_CORPUS)] = input
    this.#fresh.push(input)
    this.#unswept.push(input)
    say({ type: 'kept', input })
  }

  /** Gives a promise only where there is something to wait for. */
  #take(input: Uint8Array): Promise<void> | undefined {
    try {
      return this.#call(input)?.catch((error: unknown) => this.#crashed(input, error))
    } catch (error) {
      return this.#crashed(input, error)
    }
  }

  /** Gives a promise only where the target does. Throws what is no refusal. */
  #call(input: Uint8Array): Promise<void> | undefined {
    this.#bytes.set(input)
    this.#words[LENGTH] = input.length
    Atomics.add(this.#words, BEGUN, 1)
    Atomics.store(this.#words, UNDER_WAY, 1)
    try {
      const outcome = this.#target.run(Buffer.from(input.buffer, input.byteOffset, input.length))
      if (outcome instanceof Promise) {
        return outcome
          .catch((error: unknown) => this.#judge(error))
          .finally(() => Atomics.store(this.#words, UNDER_WAY, 0)) as Promise<void>
      }
    } catch (error) {
      this.#judge(error)
    }
    Atomics.store(this.#words, UNDER_WAY, 0)
    return undefined
  }

  #judge(error: unknown): void {
    if (this.#target.neverThrows === true || !isRefusal(error)) throw error
    this.#refused++
  }

  async #crashed(input: Uint8Array, error: unknown): Promise<void> {
    const kind = kindOf(error)
    if (this.#known.has(kind)) return
    this.#known.add(kind)
    Error.stackTraceLimit = STACK_FRAMES
    const again = await this.#errorOf(input)
    const small = again === undefined ? input : await this.#shrink(input, kind)
    Error.stackTraceLimit = 0
    const what = again instanceof Error ? (again.stack ?? String(again)) : String(again ?? error)
    say({ type: 'found', finding: { kind: 'crash', what, input: small }, signature: kind })
  }

  async #errorOf(input: Uint8Array): Promise<unknown> {
    try {
      await this.#call(input)
      return undefined
    } catch (error) {
      return error
    }
  }

  /** The shortest input found that crashes in the same way. */
  async #shrink(input: Uint8Array, kind: string): Promise<Uint8Array> {
    let best = input
    let runs = 0
    for (let size = best.length >> 1; size >= 1 && runs < MAX_SHRINK_RUNS; size = size === 1 ? 0 : size >> 1) {
      for (let at = 0; at < best.length && runs < MAX_SHRINK_RUNS; runs++) {
        const tried = Buffer.concat([best.subarray(0, at), best.subarray(at + size)])
        const error = await this.#errorOf(tried)
        if (error !== undefined && kindOf(error) === kind) best = tried
        else at += size
      }
    }
    return best
  }

  /** As #take, and weighs what was allocated; whatever weighs too much is weighed again, three times. */
  async #weigh(input: Uint8Array): Promise<void> {
    const limit = this.#target.maxAllocation ?? DEFAULT_MAX_ALLOCATION
    const before = usedBytes()
    await this.#take(input)
    if (usedBytes() - before <= limit) return
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < 3; i++) {
      const start = await keptBytes()
      await this.#take(input)
      least = Math.min(least, usedBytes() - start)
    }
    if (least <= limit) return
    const what = `an input of ${input.length} bytes allocates ${least} bytes, more than ${limit}`
    this.#tellOnce({ kind: 'growth', what, input })
  }

  async #repeatFresh(): Promise<void> {
    const group = this.#fresh
    this.#fresh = []
    for (const input of group) await this.#weigh(input)
    await this.#findLeak(group)
  }

  /** True if one of them was found to leave something behind. */
  async #findLeak(group: readonly Uint8Array[]): Promise<boolean> {
    if (group.length === 0 || !(await this.#isLeaking(group))) return false
    if (group.length === 1) {
      this.#tellOnce({ kind: 'growth', what: 'repeating it leaves memory behind', input: group[0] })
      return true
    }
    const half = group.length >> 1
    for (let tries = 0; tries < LEAK_TRIES; tries++) {
      const isInFirst = await this.#findLeak(group.slice(0, half))
      if ((await this.#findLeak(group.slice(half))) || isInFirst) return true
    }
    return false
  }

  #isLeaking(group: readonly Uint8Array[]): Promise<boolean> {
    const repeats = this.#target.isSlow === true ? SLOW_LEAK_REPEATS : LEAK_REPEATS
    return leaks(async () => {
      for (let i = 0; i < repeats; i++) {
        for (const input of group) await this.#take(input)
        await nextTurn()
      }
    })
  }

  #tellOnce(finding: Finding): void {
    const signature = `${finding.kind} ${finding.what.replaceAll(/\d+/g, '#')}`
    if (this.#known.has(signature)) return
    this.#known.add(signature)
    say({ type: 'found', finding, signature })
  }

  /** The shortest inputs that cover together what all of them cover. */
  async #distil(): Promise<readonly Uint8Array[]> {
    this.#coverage.forget()
    const saved: Uint8Array[] = []
    let savedBytes = 0
    for (const input of this.#corpus.toSorted((a, b) => a.length - b.length)) {
      await this.#take(input)
      const news = this.#coverage.look()
      if (news.length === 0 || savedBytes + input.length > MAX_SAVED_BYTES) continue
      this.#coverage.keep(news)
      saved.push(input)
      savedBytes += input.length
      if (saved.length === MAX_SAVED_INPUTS) break
    }
    return saved
  }
}

/** The same for errors that say the same of different bytes. */
const kindOf = (error: unknown): string =>
  error instanceof Error
    ? `${error.name}: ${error.message.slice(0, 80).replaceAll(/\d+|"[^"]*"/g, '#')}`
    : `thrown ${typeof error}`

const say = (told: Told): void => parentPort?.postMessage(told)

const order = workerData as Order
const isOwn = (url: string): boolean => url.startsWith(root) && OWN.test(url.slice(root.length))
const coverage = new Coverage(isOwn)
const loaded = (await import(new URL(`targets/${order.target}.ts`, import.meta.url).href)) as { target: Target }
Error.stackTraceLimit = 0
say({ type: 'ready' })
await new Loop(order, loaded.target, coverage).run()

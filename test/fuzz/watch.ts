/**
 * Watches over the thread that runs inputs: one that hangs is ended, the input is kept, and another thread goes on with the
 * rest; so does one that runs out of memory.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import {
  BEGUN,
  type Finding,
  HANG_MS,
  isNear,
  LENGTH,
  MAX_INPUT_BYTES,
  type Order,
  type RunFigures,
  type Told,
  UNDER_WAY,
  WORDS_BYTES,
} from './orders.ts'

const LOOK_MS = 50
/** An input that only waits hangs too; on a machine with much else to do a short one may take long. */
const STUCK_MS = 15_000
/** Between the seeds of one thread and the next. */
const SEED_STEP = 1_000_003
const MAX_HEAP_MB = 1024
/** A target with more findings than this has had enough. */
const MAX_ENDED_THREADS = 12
/** Tries to make an input that hangs shorter; each may take the time of a hang. */
const MAX_HANG_TRIES = 4
/** So many are made shorter. */
const SHRUNK_HANGS = 2

export interface WatchOptions {
  readonly target: string
  readonly seed: number
  readonly inputs: number
  readonly untilMs: number
  readonly corpus: readonly Uint8Array[]
  /** Told as they come. */
  found?(finding: Finding): void
  /** True: the run may end with this one. */
  isEnough?(finding: Finding): boolean
}

export interface Watched extends RunFigures {
  readonly findings: readonly Finding[]
  readonly seconds: number
  readonly cpuSeconds: number
  readonly corpus: readonly Uint8Array[]
}

export const watch = async (options: WatchOptions): Promise<Watched> => {
  const findings: Finding[] = []
  const known: string[] = []
  const kept = [...options.corpus]
  const startMs = Date.now()
  const startCpuMs = cpuMs()
  const hung: Uint8Array[] = []
  let done = 0
  const times = () => ({ seconds: (Date.now() - startMs) / 1000, cpuSeconds: (cpuMs() - startCpuMs) / 1000 })
  const enough = new AbortController()
  const note = (finding: Finding): void => {
    findings.push(finding)
    options.found?.(finding)
    if (options.isEnough?.(finding) === true) enough.abort()
  }
  for (let threads = 0; ; threads++) {
    const { target, inputs, seed, untilMs } = options
    const part = { target, seed: seed + threads * SEED_STEP, inputs: inputs - done, untilMs, corpus: kept, known, hung }
    const end = await runThread(
      part,
      (told) => {
        if (told.type === 'kept') kept.push(told.input)
        if (told.type === 'found') {
          known.push(told.signature)
          note(told.finding)
        }
      },
      enough.signal,
    )
    if (end.type === 'done') {
      return { ...end.figures, inputs: done + end.figures.inputs, ...times(), findings, corpus: end.corpus }
    }
    done += end.begun
    let isSound = false
    if (end.type === 'stopped') {
      // Nobody asked it for more.
    } else if (end.type === 'hung') {
      const isFirst = hung.length < SHRUNK_HANGS
      const small = isFirst ? await shrinkHang(target, end.input) : end.input
      isSound = small === undefined
      if (small !== undefined) {
        note({ kind: 'hang', what: `an input took longer than ${HANG_MS} ms`, input: small })
        hung.push(end.input, small)
      }
    } else note({ kind: 'growth', what: end.why, input: end.input })
    // What is like it is not begun with again.
    const without = isSound ? kept : kept.filter((one) => !isNear(one, end.input))
    kept.splice(0, kept.length, ...without)
    if (enough.signal.aborted || threads >= MAX_ENDED_THREADS || done >= inputs) {
      return { inputs: done, ran: 0, known: 0, refused: 0, ...times(), findings, corpus: kept }
    }
  }
}

/** True: this input alone takes longer than it may. */
const hangs = async (target: string, input: Uint8Array): Promise<boolean> => {
  const untilMs = Number.POSITIVE_INFINITY
  const order = { target, seed: 1, inputs: 1, untilMs, corpus: [], known: [], hung: [], replay: input }
  const end = await runThread(order, () => {})
  return end.type === 'hung'
}

/** Undefined: it does not hang again, the machine was slow. */
const shrinkHang = async (target: string, input: Uint8Array): Promise<Uint8Array | undefined> => {
  if (!(await hangs(target, input))) return undefined
  let best = input
  let tries = 0
  for (let size = best.length >> 1; size >= 1 && tries < MAX_HANG_TRIES; size >>= 1) {
    for (let at = 0; at < best.length && tries < MAX_HANG_TRIES; tries++) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)])
      if (await hangs(target, shorter)) best = shorter
      else at += size
    }
  }
  return best
}

/** Of all threads of this process; the one that watches takes next to nothing. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

type End =
  | Extract<Told, { type: 'done' }>
  | { readonly type: 'stopped'; readonly begun: number; readonly input: Uint8Array }
  | { readonly type: 'hung'; readonly begun: number; readonly input: Uint8Array }
  | { readonly type: 'died'; readonly begun: number; readonly input: Uint8Array; readonly why: string }

const runThread = async (
  order: Omit<Order, 'shared'>,
  told: (told: Told) => void,
  stop?: AbortSignal,
): Promise<End> => {
  const shared = new SharedArrayBuffer(WORDS_BYTES + MAX_INPUT_BYTES)
  const words = new Int32Array(shared, 0, WORDS_BYTES / 4)
  const worker = new Worker(new URL('thread.mjs', import.meta.url), {
    workerData: { ...order, shared } satisfies Order,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  })
  const current = () => ({
    begun: Atomics.load(words, BEGUN),
    input: Uint8Array.from(new Uint8Array(shared, WORDS_BYTES, Atomics.load(words, LENGTH))),
  })
  let end: End | undefined
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('message', (message: Told) => {
      if (message.type === 'done') end = message
      told(message)
    })
    worker.once('error', (error: NodeJS.ErrnoException) => {
      if (Atomics.load(words, BEGUN) === 0) reject(error)
      else end ??= { type: 'died', ...current(), why: error.code ?? String(error) }
    })
    worker.once('exit', () => resolve())
  })
  let begun = -1
  let sinceMs = Date.now()
  let sinceCpuMs = cpuMs()
  let isOver = false
  const over = ended.finally(() => {
    isOver = true
  })
  while (!isOver) {
    await Promise.race([over, sleep(LOOK_MS)])
    if (stop?.aborted === true && end === undefined) {
      end = { type: 'stopped', ...current() }
      await worker.terminate()
      break
    }
    const now = Atomics.load(words, BEGUN)
    if (now !== begun || Atomics.load(words, UNDER_WAY) === 0) {
      begun = now
      sinceMs = Date.now()
      sinceCpuMs = cpuMs()
    } else if ((cpuMs() - sinceCpuMs > HANG_MS || Date.now() - sinceMs > STUCK_MS) && end === undefined) {
      end = { type: 'hung', ...current() }
      await worker.terminate()
    }
  }
  await over
  if (end === undefined) throw new Error(`the thread of ${order.target} ended without a word`)
  return end
}

/** One target in a process of its own: what main.ts starts, so that not even a crash of the engine ends the others. */

import { readCorpus } from './files.ts'
import type { Finding } from './orders.ts'
import { watch } from './watch.ts'

export interface ChildOrder {
  readonly target: string
  readonly seed: number
  readonly inputs: number
  readonly minutes: number
}

export type ChildTold =
  | { readonly type: 'found'; readonly finding: Finding }
  | { readonly type: 'done'; readonly watched: Awaited<ReturnType<typeof watch>> }

/** Of findings. */
const KINDS = 3

const say = (told: ChildTold): void => {
  process.send?.(told)
}

process.once('message', ({ target, seed, inputs, minutes }: ChildOrder) => {
  const untilMs = Date.now() + minutes * 60_000
  const found = (finding: Finding): void => say({ type: 'found', finding })
  const kinds = new Set<string>()
  // The canary has shown all it has.
  const isEnough = ({ kind }: Finding): boolean => kinds.add(kind).size === KINDS && target === 'canary'
  watch({ target, seed, inputs, untilMs, corpus: readCorpus(target), found, isEnough }).then(
    (watched) => {
      say({ type: 'done', watched })
      process.disconnect?.()
    },
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})

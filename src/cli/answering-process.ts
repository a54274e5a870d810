/**
 * The other end of asked-process.ts: a process of a hidden command answers what its parent asks, each question once.
 *
 * It lives as long as its channel to the parent, so nothing is left over whatever happens to that one; and when the last
 * question has been answered it ends by itself.
 */
import { isSkeinError } from '../../certs/errors.ts'
import type { Ask, Questions, Report } from './asked-process.ts'

export type Answers<Q extends Questions<Q>> = {
  readonly [K in keyof Q]: (ask: Q[K]['ask']) => Promise<Q[K]['answer']>
}

/** Resolves when `last` has been answered. `orphaned` runs when the parent is gone, before this process ends of it. */
export const answerQuestions = async <Q extends Questions<Q>>(
  answers: Answers<Q>,
  last: keyof Q & string,
  orphaned: () => void = () => {},
): Promise<void> => {
  // Ctrl-C reaches the whole group of processes; the parent decides what it means.
  process.on('SIGINT', () => {})
  const end = (): void => {
    orphaned()
    process.exit(1)
  }
  process.once('disconnect', end)
  await new Promise<void>((resolve) => {
    process.on('message', (message) => {
      const ask = message as Ask
      void answer(answers, ask).then(() => ask.question === last && resolve())
    })
  })
  process.off('disconnect', end)
  process.disconnect?.()
}

/** Resolves when the report has left. Should the parent have gone, `disconnect` will tell. */
export const tell = <E>(report: Report<E>): Promise<void> =>
  new Promise((resolve) => {
    if (process.send?.(report, undefined, undefined, () => resolve()) === undefined) resolve()
  })

const answer = async <Q extends Questions<Q>>(answers: Answers<Q>, ask: Ask): Promise<void> => {
  const { number, question, with: argument } = ask
  try {
    // The parent is the same program: argument and question fit together.
    const work = answers[question as keyof Q] as (argument: unknown) => Promise<unknown>
    await tell({ type: 'answer', number, value: await work(argument) })
  } catch (error) {
    const message = isSkeinError(error) ? `${error.code}: ${error.message}` : String(error)
    await tell({ type: 'failed', number, message })
  }
}

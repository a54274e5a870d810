/**
 * Looking for a node by name for a while: asked again with growing pauses, since who has just started, or moved, may not be
 * published yet.
 */
import type { Clock, Timer } from '../../transport/clock.ts'

/** The first pause. */
const ASK_AGAIN_MS = 300

export interface SearchOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  /** Asks once; resolves when the answers are in. Never rejects. */
  readonly ask: () => Promise<void>
  /** Called when the time is over, unless the search was cancelled. */
  readonly onOver: () => void
}

/** Begins a search; it ends when it is cancelled, or its time is over. */
export const search = ({ clock, timeoutMs, ask, onOver }: SearchOptions): Timer => {
  let again: Timer | undefined
  let isOver = false
  const askAndWait = async (pauseMs: number): Promise<void> => {
    await ask()
    if (!isOver) again = clock.after(pauseMs, () => void askAndWait(pauseMs * 2))
  }
  const cancel = (): void => {
    isOver = true
    again?.cancel()
    deadline.cancel()
  }
  const deadline = clock.after(timeoutMs, () => {
    cancel()
    onOver()
  })
  void askAndWait(ASK_AGAIN_MS)
  return { cancel }
}

/**
 * The patience of somebody who waits for an answer: a timeout and an AbortSignal, whichever comes first.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'

/** OTP's default for gen_server calls. */
export const DEFAULT_PATIENCE_MS = 5000

/** How long to wait. */
export interface PatienceOptions {
  /** Milliseconds, Infinity for no limit. Default: 5000. */
  readonly timeoutMs?: number
  /** Gives up. */
  readonly signal?: AbortSignal
}

/** Why somebody does not wait any more. */
export type Impatience = { readonly type: 'timeout'; readonly timeoutMs: number } | { readonly type: 'aborted' }

export class Patience {
  #timer: Timer | undefined
  #release: (() => void) | undefined

  /** Its options have to be looked at before: `checkTimeout`, and whether the signal is aborted already. */
  constructor(
    clock: Clock,
    { timeoutMs = DEFAULT_PATIENCE_MS, signal }: PatienceOptions,
    give: (why: Impatience) => void,
  ) {
    if (Number.isFinite(timeoutMs)) this.#timer = clock.after(timeoutMs, () => give({ type: 'timeout', timeoutMs }))
    if (signal === undefined) return
    const abandon = (): void => give({ type: 'aborted' })
    signal.addEventListener('abort', abandon, { once: true })
    this.#release = () => signal.removeEventListener('abort', abandon)
  }

  /** It is over: neither fires any more. */
  end(): void {
    this.#timer?.cancel()
    this.#release?.()
  }
}

/** A rejection of it that nobody awaits goes unnoticed. */
export const quiet = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(ignore)
  return promise
}

const ignore = (): void => {}

/** Throws ERR_SKEIN_BAD_ARGUMENT. */
export const checkTimeout = (timeoutMs: unknown): void => {
  if (timeoutMs === undefined || (typeof timeoutMs === 'number' && timeoutMs >= 0)) return
  throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'timeoutMs is a number of milliseconds, 0 or more.')
}

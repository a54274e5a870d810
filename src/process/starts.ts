/**
 * The start of a process, for those who wait for it: a process has started as soon as it is spawned, unless its
 * behaviour announces the start. Then it has when it says so, and one that ends before has failed to start.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Pid } from '../pid.ts'
import type { Reason } from '../signals.ts'
import type { Process } from './process.ts'

/** Calls back once, perhaps at once. To be asked right after spawning, before the function runs. */
export const onceStarted = (process: Process, tell: (outcome: 'started' | 'ended') => void): void => {
  if (process.traits.announces === true) process.onStarted = tell
  else tell('started')
}

/** Tells whoever waits for the start of a process how that went. */
export const tellStarter = (process: Process, outcome: 'started' | 'ended'): void => {
  const { onStarted } = process
  process.onStarted = undefined
  onStarted?.(outcome)
}

/** Resolves when the process has started; rejects with ERR_SKEIN_START_FAILED. To be asked right after spawning. */
export const whenStarted = (process: Process): Promise<Pid> =>
  new Promise((resolve, reject) => {
    onceStarted(process, (outcome) => {
      if (outcome === 'started') resolve(process.pid)
      else reject(startFailed(process.pid.toString(), process.ended?.reason))
    })
  })

export const startFailed = (who: string, reason: Reason): SkeinError =>
  new SkeinError('ERR_SKEIN_START_FAILED', `${who} ended before it had started.`, { cause: reason })

/**
 * One child as the node that runs it tells of it. Children are found by supervisor and id; no node has two of one.
 */
import { Pid } from '../../pid.ts'

const MAX_RUN_LENGTH = 64
const MAX_TEXT_LENGTH = 500

/**
 * starting: it waits for its name, or for its init. stopping: it was told to end. ended: by itself; kept until the leader
 * knows. handed: it has ended because it is to go on elsewhere, and its state is kept.
 */
export type SlotStatus = 'starting' | 'running' | 'stopping' | 'ended' | 'handed'

export interface SlotFacts {
  readonly run: string
  readonly pid: Pid
  readonly status: SlotStatus
  /** Of `ended`: the exit reason was normal or shutdown. */
  readonly orderly: boolean
  /** Of `ended`: the exit reason, in words. */
  readonly reason: string
}

export const readSlot = (value: unknown): SlotFacts | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const { run, pid, status, orderly, reason } = value as Record<string, unknown>
  const isSound =
    isRun(run) &&
    pid instanceof Pid &&
    isStatus(status) &&
    typeof orderly === 'boolean' &&
    typeof reason === 'string' &&
    reason.length <= MAX_TEXT_LENGTH
  return isSound ? { run, pid, status, orderly, reason } : undefined
}

/** Which start of a child it is, in a word. */
export const isRun = (run: unknown): run is string => typeof run === 'string' && run.length <= MAX_RUN_LENGTH

/** How something ended, in words. */
export const shorten = (text: string): string => text.slice(0, MAX_TEXT_LENGTH)

const isStatus = (status: unknown): status is SlotStatus =>
  status === 'starting' || status === 'running' || status === 'stopping' || status === 'ended' || status === 'handed'

/** It has a process. */
export const isActive = ({ status }: SlotFacts): boolean => status === 'starting' || status === 'running'

/** The global name of a child. No supervisor has a slash in its name. */
export const nameOfChild = (supervisor: string, id: string): string => `${supervisor}/${id}`

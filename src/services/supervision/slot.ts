/**
 * One child as the node that runs it tells of it. Children are found by supervisor and id; no node has two of one.
 */
import { Pid } from '../../pid.ts'

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
    typeof run === 'string' &&
    pid instanceof Pid &&
    isStatus(status) &&
    typeof orderly === 'boolean' &&
    typeof reason === 'string'
  return isSound ? { run, pid, status, orderly, reason } : undefined
}

const isStatus = (status: unknown): status is SlotStatus =>
  status === 'starting' || status === 'running' || status === 'stopping' || status === 'ended' || status === 'handed'

/** It has a process. */
export const isActive = ({ status }: SlotFacts): boolean => status === 'starting' || status === 'running'

/** The global name of a child. No supervisor has a slash in its name. */
export const nameOfChild = (supervisor: string, id: string): string => `${supervisor}/${id}`

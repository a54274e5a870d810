/**
 * What supervision needs of the names that are known in the whole cluster.
 */
import type { Pid } from '../../pid.ts'
import { LEADER } from '../../process/rights.ts'

export interface Names {
  register(name: string, pid: Pid): Promise<{ readonly token: string }>
  whereis(name: string): Pid | undefined
  token(name: string): string | undefined
}

/** Whose process leads. */
export const nameOfLeader = (supervisor: string): string => `${LEADER}${supervisor}`

/** The supervisor whose leader has that name. */
export const leaderNamed = (name: string): string | undefined =>
  name.startsWith(LEADER) ? name.slice(LEADER.length) : undefined

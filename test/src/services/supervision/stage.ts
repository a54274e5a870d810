/** Three simulated nodes with counters and one supervisor. */
import type {
  AllowRule,
  DistributedSupervisor,
  SkeinError,
  SkeinNode,
  SuperviseOptions,
} from '../../../../src/index.ts'
import { isSkeinError } from '../../../../src/index.ts'
import { type SimulatedHost, type Simulation, simulate } from '../../../../src/testing/index.ts'
import { Runs } from '../../../sim/children.ts'

export type Name = 'a' | 'b' | 'c'
export const NODES = ['a', 'b', 'c'] as const

export interface Stage {
  readonly sim: Simulation<Name>
  readonly runs: Runs
  readonly supervisors: Record<Name, DistributedSupervisor>
}

export interface StageOptions extends SuperviseOptions {
  readonly seed?: number
  readonly allow?: readonly AllowRule[]
  readonly boot?: (node: SkeinNode, host: SimulatedHost) => void
}

const CHILDREN = ['x', 'y', 'z'].map((id) => ({ id, behaviour: 'counter', args: [0] }))

export const stage = (
  { seed = 1, allow, boot, ...options }: StageOptions,
  play: (stage: Stage) => Promise<void>,
): Promise<void> => {
  const runs = new Runs()
  const supervisors = {} as Record<Name, DistributedSupervisor>
  let isMeshed = false
  const supervise = (node: SkeinNode, name: string): void => {
    supervisors[name as Name] = node.supervise('sup', { children: CHILDREN, ...options })
  }
  return simulate(
    {
      nodes: NODES,
      seed,
      ...(allow === undefined ? {} : { allow }),
      boot: (node, host) => {
        runs.offer(node)
        if (isMeshed) supervise(node, host.name)
        boot?.(node, host)
      },
    },
    async (sim) => {
      await sim.meshed()
      isMeshed = true
      for (const name of NODES) supervise(sim.hosts[name].node, name)
      await sim.until('somebody leads', () => NODES.some((name) => supervisors[name].isLeader))
      await play({ sim, runs, supervisors })
    },
  )
}

/** Each child runs once. */
export const allRun = ({ runs }: Stage, ids = ['x', 'y', 'z']): boolean =>
  ids.every((id) => runs.of(`sup/${id}`).length === 1)

/** How it fails. */
export const errorOf = async (promise: Promise<unknown>): Promise<SkeinError> => {
  try {
    await promise
  } catch (error) {
    if (isSkeinError(error)) return error
    throw error
  }
  throw new Error('It did not fail.')
}

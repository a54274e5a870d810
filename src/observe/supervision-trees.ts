/**
 * Supervision trees, as the supervisors themselves tell them: asked level by level, all of a level at once, until the
 * time or the number of a snapshot is used up. Who is not asked, or does not answer, stands in the tree as such.
 */
import type { Clock } from '../../transport/clock.ts'
import type { ChildInfo } from '../behaviours/supervisor/request.ts'
import { type Caller, supervisorOf } from '../behaviours/supervisor/supervisor-of.ts'
import type { Origin } from '../pid.ts'
import type { Process } from '../process/process.ts'
import { MAX_CHILDREN_TOLD, MAX_SUPERVISORS_TOLD, MAX_TREE_DEPTH, type SupervisionTree } from './snapshot.ts'

/** All levels together: well within what a snapshot of the cluster waits by default. */
const TREES_TIMEOUT_MS = 1000

interface TreesParts {
  readonly self: Origin
  readonly clock: Clock
  readonly caller: Caller
  /** Of this node. */
  readonly supervisors: readonly Process[]
}

/** Never rejects; takes a second at most. */
export const supervisionTrees = ({ self, clock, caller, supervisors }: TreesParts): Promise<SupervisionTree[]> => {
  const byNumber = new Map(supervisors.map((process) => [process.pid.number, process]))
  const isBelow = ({ parent }: Process): boolean => parent?.origin.key === self.key && byNumber.has(parent.number)
  const endMs = clock.now() + TREES_TIMEOUT_MS
  let left = MAX_SUPERVISORS_TOLD

  const treeOf = async (process: Process, depth: number): Promise<SupervisionTree> => {
    const { pid, label } = process
    const timeoutMs = endMs - clock.now()
    if (left <= 0 || depth > MAX_TREE_DEPTH || timeoutMs <= 0) return { pid, label, status: 'cut', children: [] }
    left--
    const treeOfChild = async ({ id, pid, status, type }: ChildInfo) => {
      const below = pid?.origin.key === self.key ? byNumber.get(pid.number) : undefined
      return { id, pid, status, type, tree: below && (await treeOf(below, depth + 1)) }
    }
    try {
      const infos = (await supervisorOf(caller, pid, { timeoutMs }).whichChildren()).slice(0, MAX_CHILDREN_TOLD)
      return { pid, label, status: 'answered', children: await Promise.all(infos.map(treeOfChild)) }
    } catch {
      // It did not answer, or, being a supervisor of the program's own making, not as one.
      return { pid, label, status: 'silent', children: [] }
    }
  }
  return Promise.all(supervisors.filter((process) => !isBelow(process)).map((process) => treeOf(process, 1)))
}

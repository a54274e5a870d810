/**
 * What others ask of the leader of a distributed supervisor, carried out. A request may come from any node, so nothing in
 * it is taken for granted; whatever is wrong with it is the answer.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import type { ChildCount } from '../../behaviours/supervisor/request.ts'
import type { Restart } from '../../behaviours/supervisor/spec.ts'
import type { Origin, Pid } from '../../pid.ts'
import type { Rights } from '../../process/rights.ts'
import type { View } from './candidates.ts'
import { isId, type KeptSpec, readSpec } from './child-spec.ts'
import type { Leader, Outcome } from './leader.ts'
import { MAX_CHILDREN, type Plan, type PlannedChild, WHOLE } from './plan.ts'
import { isActive, type SlotFacts } from './slot.ts'

export type DistributedRequest =
  | { readonly type: 'startChild'; readonly id: string; readonly spec: KeptSpec; readonly request: string }
  | { readonly type: 'terminateChild'; readonly id: string }
  | { readonly type: 'restartChild'; readonly id: string; readonly request: string }
  | { readonly type: 'deleteChild'; readonly id: string }
  | { readonly type: 'whichChildren' }
  | { readonly type: 'countChildren' }
  | { readonly type: 'stop' }

/** A child of a distributed supervisor, as its leader knows it. */
export interface DistributedChildInfo {
  readonly id: string
  /** Undefined while it does not run. */
  readonly pid: Pid | undefined
  /** name@host of the node that runs it. */
  readonly node: string | undefined
  /** waiting: it is to run, and does not yet. gaveUp: it failed too often. */
  readonly status: 'running' | 'starting' | 'waiting' | 'stopped' | 'gaveUp'
  readonly behaviour: string
  readonly restart: Restart
}

/** What requests are carried out on. */
export interface Office {
  readonly leader: Leader
  readonly plan: Plan
  readonly view: View
  readonly rights: Rights
}

const MAX_REQUEST_LENGTH = 64

/** Undefined asks from this node. Rejects with a SkeinError. */
const carryOut = async (office: Office, asking: Origin | undefined, request: unknown): Promise<unknown> => {
  const fields = (typeof request === 'object' && request !== null ? request : {}) as Record<string, unknown>
  switch (fields.type) {
    case 'startChild':
      return startChild(office, asking, fields)
    case 'terminateChild':
      return terminateChild(office, find(office, fields.id))
    case 'restartChild':
      return restartChild(office, find(office, fields.id), fields.request)
    case 'deleteChild':
      return deleteChild(office, find(office, fields.id))
    case 'whichChildren':
      return whichChildren(office)
    case 'countChildren':
      return countChildren(office)
    case 'stop':
      return stop(office)
  }
  throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A distributed supervisor does not understand this request.')
}

const startChild = async (
  { leader, plan, rights }: Office,
  asking: Origin | undefined,
  fields: Record<string, unknown>,
): Promise<Pid> => {
  const { id, request } = fields
  const spec = readSpec(fields.spec)
  if (!isId(id) || spec === undefined || typeof request !== 'string' || request.length > MAX_REQUEST_LENGTH) {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'What was asked to be started is no child.')
  }
  // Who may not start it here shall not have it started by us elsewhere.
  if (asking !== undefined) rights.checkSpawn(asking, spec.behaviour, '')
  const known = plan.get(id)
  if (known !== undefined && known.request !== request) {
    throw new SkeinError('ERR_SKEIN_CHILD_EXISTS', `This supervisor has a child "${id}" already: ${known.wanted}.`)
  }
  if (known === undefined) {
    if (plan.size >= MAX_CHILDREN) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `A distributed supervisor has at most ${MAX_CHILDREN} children.`)
    }
    plan.decide(id, 'running', { spec, request })
  }
  try {
    return started(await settled(leader, id), id)
  } catch (error) {
    if (plan.get(id)?.request === request) plan.decide(id, 'deleted')
    leader.touch(id)
    throw error
  }
}

const terminateChild = async ({ leader, plan }: Office, { id, spec }: PlannedChild): Promise<void> => {
  plan.decide(id, spec.restart === 'temporary' ? 'deleted' : 'stopped')
  await settled(leader, id)
}

/** Nodes of before do not say which request it is. */
const restartChild = async ({ leader, plan }: Office, child: PlannedChild, request: unknown): Promise<Pid> => {
  const { id, wanted } = child
  const isNamed = typeof request === 'string' && request.length <= MAX_REQUEST_LENGTH
  // A leader that is gone had decided it, and did not come to answer.
  if (!isNamed || wanted !== 'running' || child.request !== request) {
    mustBeStopped(id, wanted)
    plan.decide(id, 'running', isNamed ? { request } : {})
  }
  try {
    return started(await settled(leader, id), id)
  } catch (error) {
    if (plan.get(id)?.wanted === 'running') plan.decide(id, 'stopped')
    throw error
  }
}

const deleteChild = async ({ leader, plan }: Office, { id, wanted }: PlannedChild): Promise<void> => {
  mustBeStopped(id, wanted)
  plan.decide(id, 'deleted')
  await settled(leader, id)
}

const whichChildren = ({ plan, view }: Office): DistributedChildInfo[] =>
  Array.from(plan.ids(), (id) => infoOf(plan.get(id) as PlannedChild, view.get(id)))

const infoOf = (
  { id, spec, wanted }: PlannedChild,
  slots: ReadonlyMap<string, SlotFacts> | undefined,
): DistributedChildInfo => {
  const shared = { id, behaviour: spec.behaviour, restart: spec.restart }
  for (const [node, slot] of slots ?? []) {
    if (!isActive(slot)) continue
    const isRunning = slot.status === 'running'
    return { ...shared, node, pid: isRunning ? slot.pid : undefined, status: isRunning ? 'running' : 'starting' }
  }
  const status = wanted === 'running' || wanted === 'deleted' ? 'waiting' : wanted
  return { ...shared, node: undefined, pid: undefined, status }
}

/** Supervisors among the children are not told from workers. */
const countChildren = (office: Office): ChildCount => {
  const infos = whichChildren(office)
  const active = infos.filter(({ status }) => status === 'running').length
  return { specs: infos.length, active, supervisors: 0, workers: infos.length }
}

const stop = async ({ leader, plan, view }: Office): Promise<void> => {
  plan.decide(WHOLE, 'stopped')
  leader.touchAll()
  await Promise.all(Array.from(view.keys(), (id) => settled(leader, id)))
}

const settled = (leader: Leader, id: string): Promise<Outcome> =>
  new Promise((resolve) => leader.whenSettled(id, resolve))

const started = (outcome: Outcome, id: string): Pid => {
  if (outcome === 'gone') throw new SkeinError('ERR_SKEIN_START_FAILED', `The child "${id}" was stopped meanwhile.`)
  if ('error' in outcome) throw outcome.error
  return outcome.pid
}

const find = ({ plan }: Office, id: unknown): PlannedChild => {
  const child = isId(id) ? plan.get(id) : undefined
  if (child !== undefined) return child
  throw new SkeinError('ERR_SKEIN_NO_CHILD', `This supervisor has no child "${String(id).slice(0, 100)}".`)
}

const mustBeStopped = (id: string, wanted: string): void => {
  if (wanted === 'running') throw new SkeinError('ERR_SKEIN_CHILD_RUNNING', `The child "${id}" is to run.`)
}

/** As the reply of a call: a refusal is a value. */
export const answerTo = async (office: Office, asking: Origin | undefined, request: unknown): Promise<unknown> => {
  try {
    return await carryOut(office, asking, request)
  } catch (error) {
    if (isSkeinError(error)) return error
    throw error
  }
}

/**
 * What others ask of a supervisor, carried out. A request may come from another node, so nothing in it is taken for granted;
 * whatever is wrong with it is the answer, and no harm to the supervisor.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import { Pid } from '../../pid.ts'
import type { CallEntry } from '../../process/behaviour.ts'
import { UnsendableReason } from '../../process/bridge.ts'
import type { From } from '../../process/calls.ts'
import { INSIDE, type Self } from '../../process/self.ts'
import { answer as reply } from '../housekeeping.ts'
import { Child } from './child.ts'
import type { ChildCount, ChildInfo, SupervisorRequest } from './request.ts'
import { type CheckedSpec, checkSpec } from './spec.ts'
import type { Supervision } from './supervision.ts'

/** Answers one call. Rejects only if the supervisor has ended meanwhile. */
export const answer = async (
  self: Self<unknown>,
  supervision: Supervision,
  { from, request }: CallEntry,
): Promise<void> => {
  const { process, services } = self[INSIDE]
  let value: unknown
  try {
    value = await carryOut(supervision, request as SupervisorRequest, (spec) => checkRights(self, from, spec))
  } catch (error) {
    if (process.ended !== undefined || !isSkeinError(error)) throw error
    value = error
  }
  try {
    services.calls.reply(process, from, value)
  } catch {
    // A cause that cannot cross the wire, a list that is too long for one message, a caller that reads no answers.
    reply(self, from, isSkeinError(value) ? withoutCause(value) : value)
  }
  if ((request as SupervisorRequest | undefined)?.type === 'stop') services.end(process, 'normal')
}

const carryOut = (
  supervision: Supervision,
  request: SupervisorRequest,
  check: (spec: CheckedSpec) => void,
): unknown => {
  switch (request?.type) {
    case 'startChild':
      return startChild(supervision, request.spec, check)
    case 'startChildWith':
      return startChildWith(supervision, request.args)
    case 'terminateChild':
      return terminateChild(supervision, request.child)
    case 'restartChild':
      return restartChild(supervision, request.id)
    case 'deleteChild':
      return deleteChild(supervision, request.id)
    case 'whichChildren':
      return Array.from(supervision.children, infoOf)
    case 'countChildren':
      return count(supervision)
    case 'stop':
      return supervision.stopAll()
    default:
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A supervisor does not understand this request.')
  }
}

/** A node that may not start a behaviour here may not have it started either. */
const checkRights = (self: Self<unknown>, from: From, { start, name = '' }: CheckedSpec): void => {
  const { directory } = self[INSIDE].services
  const { origin } = from.call
  if (directory.isOwn(origin)) return
  directory.rights.checkSpawn(origin, typeof start === 'string' ? start : '', name)
}

const startChild = async (
  supervision: Supervision,
  given: unknown,
  check: (spec: CheckedSpec) => void,
): Promise<Pid> => {
  const { children, plan } = supervision
  if (supervision.onDemand) throw misused('startChild', 'All its children follow one pattern: use startChildWith.')
  const spec = checkSpec(given, plan.autoShutdown)
  check(spec)
  const known = children.withId(spec.id)
  if (known !== undefined) {
    const text = `This supervisor has a child "${spec.id}" already; it is ${known.status.type}.`
    throw new SkeinError('ERR_SKEIN_CHILD_EXISTS', text)
  }
  children.checkRoom()
  return start(supervision, new Child(spec))
}

const startChildWith = async (supervision: Supervision, args: unknown): Promise<Pid> => {
  const { children, plan } = supervision
  const [pattern] = plan.children
  if (!supervision.onDemand || pattern === undefined)
    throw misused('startChildWith', 'It has no pattern: use startChild.')
  if (!Array.isArray(args)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The arguments are a list.')
  children.checkRoom()
  return start(supervision, new Child(pattern, args))
}

const start = async (supervision: Supervision, child: Child): Promise<Pid> => {
  const outcome = await supervision.start(child)
  if (outcome.type === 'started') return outcome.process.pid
  const text = `The child "${child.spec.id}" could not be started.`
  throw new SkeinError('ERR_SKEIN_START_FAILED', text, { cause: outcome.reason })
}

const terminateChild = async (supervision: Supervision, wanted: unknown): Promise<void> => {
  const child = find(supervision, wanted)
  await supervision.stop(child)
  if (supervision.onDemand) supervision.children.remove(child)
}

const restartChild = async (supervision: Supervision, id: unknown): Promise<Pid> => {
  if (supervision.onDemand) throw misused('restartChild', 'Its children cannot be started again by hand.')
  const child = find(supervision, id)
  mustBeStopped(child)
  return start(supervision, child)
}

const deleteChild = (supervision: Supervision, id: unknown): void => {
  if (supervision.onDemand) throw misused('deleteChild', 'Its children have no specification of their own.')
  const child = find(supervision, id)
  mustBeStopped(child)
  supervision.children.remove(child)
}

const find = ({ children, onDemand }: Supervision, wanted: unknown): Child => {
  let child: Child | undefined
  if (wanted instanceof Pid) child = children.withPid(wanted)
  else if (onDemand) throw misused('terminateChild', 'Its children are named by their pids.')
  else if (typeof wanted === 'string') child = children.withId(wanted)
  if (child !== undefined) return child
  const name = typeof wanted === 'string' || wanted instanceof Pid ? wanted : 'of that kind'
  throw new SkeinError('ERR_SKEIN_NO_CHILD', `This supervisor has no child ${name}.`)
}

const mustBeStopped = ({ spec, status }: Child): void => {
  if (status.type === 'stopped') return
  throw new SkeinError('ERR_SKEIN_CHILD_RUNNING', `The child "${spec.id}" is ${status.type}.`)
}

const infoOf = ({ spec, status, process }: Child): ChildInfo => ({
  id: spec.id,
  pid: process?.pid,
  status: status.type,
  type: spec.type,
  restart: spec.restart,
})

const count = ({ children, onDemand }: Supervision): ChildCount => {
  let all = 0
  let active = 0
  let supervisors = 0
  for (const { spec, process } of children) {
    all++
    if (process !== undefined && process.ended === undefined) active++
    if (spec.type === 'supervisor') supervisors++
  }
  return { specs: onDemand ? 1 : all, active, supervisors, workers: all - supervisors }
}

const misused = (what: string, text: string): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `This supervisor does not take ${what}. ${text}`)

const withoutCause = ({ code, message, cause }: SkeinError): SkeinError =>
  new SkeinError(code, message, { cause: cause === undefined ? undefined : new UnsendableReason(cause) })

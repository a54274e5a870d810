/**
 * `supervisor`: a behaviour that starts other processes, watches them and starts them again when they end.
 *
 * The words are those of OTP's supervisor, in this language's spelling: oneForOne, oneForAll, restForOne, simpleOneForOne;
 * permanent, transient, temporary. The work is in supervision.ts.
 */
import type { Behaviour } from '../../process/behaviour.ts'
import { INSIDE, type Self } from '../../process/self.ts'
import { announceStarted, serve } from '../../process/serve.ts'
import type { SupervisorMessage } from './request.ts'
import { answer } from './requests.ts'
import {
  type CheckedOptions,
  type CheckedPlan,
  checkPlan,
  type DynamicOptions,
  type Start,
  type SupervisorOptions,
} from './spec.ts'
import { Supervision } from './supervision.ts'

/** What is supervised, from the arguments the supervisor is started with: as `init` in OTP. */
export type Plan<A extends unknown[]> = (...args: A) => SupervisorOptions

/**
 * A behaviour that supervises. It has started when all its children have; if one cannot be started it ends, with
 * ERR_SKEIN_START_FAILED. Throws ERR_SKEIN_BAD_ARGUMENT; what a function gives is checked when the supervisor starts.
 */
export function supervisor<S extends Start[]>(options: CheckedOptions<S>): Behaviour<SupervisorMessage, []>
export function supervisor(options: DynamicOptions): Behaviour<SupervisorMessage, []>
export function supervisor<A extends unknown[]>(plan: Plan<A>): Behaviour<SupervisorMessage, A>
export function supervisor(given: SupervisorOptions | Plan<unknown[]>): Behaviour<SupervisorMessage, unknown[]> {
  if (typeof given === 'function') return behaviour((...args) => checkPlan(given(...args)), 'supervisor')
  const plan = checkPlan(given)
  return behaviour(() => plan, plan.label ?? 'supervisor')
}

const behaviour = (
  plan: (...args: unknown[]) => CheckedPlan,
  label: string,
): Behaviour<SupervisorMessage, unknown[]> => {
  const run = async (self: Self<SupervisorMessage>, ...args: unknown[]): Promise<void> => {
    self.trapExit = true
    const checked = plan(...args)
    if (checked.label !== undefined) self[INSIDE].process.label = checked.label
    const supervision = new Supervision(self as Self<unknown>, checked, (own, entry) =>
      answer(self as Self<unknown>, own, entry),
    )
    await supervision.begin()
    serve(self as Self<unknown>, (entry) => supervision.take(entry))
    announceStarted(self as Self<unknown>)
  }
  return Object.assign(run, { traits: { label, serves: true, announces: true, supervises: true } })
}

/**
 * State machines: a process that is always in one of some declared states, as OTP's gen_statem is.
 *
 * `stateMachine(definition)` makes a behaviour. The definition says for each state what happens on which event and which
 * states that may lead to; what is not declared cannot happen. docs/state-machine.md has the rules and the order of things.
 *
 *     const door = stateMachine({
 *       data: (code: string) => ({ code }),
 *       initial: 'locked',
 *       states: {
 *         locked: {
 *           on: { enter: { to: 'open', do: ({ data }, { code }: { code: string }) => code === data.code ? { next: 'open' } : {} } },
 *         },
 *         open: { stateTimeout: { afterMs: 10_000, to: 'locked' }, on: { enter: 'postpone' } },
 *       },
 *     })
 *     const pid = await node.start(door, '1234')
 */
import type { Behaviour } from '../process/behaviour.ts'
import type { Self } from '../process/self.ts'
import { tableOf } from './state-machine/definition.ts'
import { mermaidOf } from './state-machine/mermaid.ts'
import { Run } from './state-machine/run.ts'
import type { Checked, ProtocolOf, Shape } from './state-machine/shape.ts'

/** A behaviour that knows its own picture. */
export interface StateMachine<M, A extends unknown[]> extends Behaviour<M, A> {
  /** The text of a Mermaid state diagram. */
  mermaid(): string
}

/** A state machine, from its states. Throws ERR_SKEIN_BAD_ARGUMENT for a definition that cannot work. */
export const stateMachine = <D, A extends unknown[], N extends string, const Def>(
  definition: Shape<D, A, N> & Def & Checked<Def>,
): StateMachine<ProtocolOf<Def>, A> => {
  const table = tableOf(definition)
  const { label, mailbox, schema } = table
  // Only the author of the definition knows its types.
  const run = (self: Self<ProtocolOf<Def>>, ...args: A): Promise<void> | void =>
    new Run(table, self as unknown as Self).start(args)
  return Object.assign(run, {
    mermaid: () => mermaidOf(table),
    traits: {
      serves: true,
      announces: true,
      ...(label !== undefined && { label }),
      ...(mailbox !== undefined && { mailbox }),
      ...(schema !== undefined && { schema }),
    },
  })
}

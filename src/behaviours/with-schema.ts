/** Gives a plain process function schemas, checked where a message arrives from another node. A GenServer has its own. */
import { type Behaviour, checkBehaviour } from '../process/behaviour.ts'
import type { RequestOf, SendOf } from '../process/protocol.ts'
import { checkSchemas, type StandardSchema } from '../process/schema.ts'

/** What `withSchema` checks of what arrives from other nodes. */
export interface FunctionSchemas<M> {
  /** Of what is sent or cast: a plain function does not tell them apart. */
  readonly message?: StandardSchema<unknown, SendOf<M>>
  /** Of the requests of calls. */
  readonly call?: StandardSchema<unknown, RequestOf<M>>
}

/** The same behaviour with schemas. Throws ERR_SKEIN_BAD_ARGUMENT. */
export const withSchema = <M, A extends unknown[]>(
  behaviour: Behaviour<M, A>,
  { message, call }: FunctionSchemas<M>,
): Behaviour<M, A> => {
  checkBehaviour(behaviour)
  const schema = { ...(message && { cast: message, info: message }), ...(call && { call }) }
  checkSchemas(schema)
  const same: Behaviour<M, A> = (self, ...args) => behaviour(self, ...args)
  return Object.assign(same, { traits: { ...behaviour.traits, schema } })
}

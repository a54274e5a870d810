/**
 * GenServer: a process that keeps a state and answers calls, as OTP's gen_server does.
 *
 * `genServer(spec)` makes a behaviour from functions that are given a message and the state, and say in their result what
 * follows. All of them return the same shape, `Result`, or nothing. What OTP's documentation says of the order of things
 * holds here too; docs/gen-server.md has it, with what differs.
 *
 *     const counter = genServer({
 *       init: (_self, start: number) => ({ state: start }),
 *       handleCall: (request: 'read', _from, total) => ({ reply: total }),
 *       handleCast: (message: { add: number }, total) => ({ state: total + message.add }),
 *     })
 *     const pid = await node.start(counter, 5)
 */
import type { Behaviour } from '../process/behaviour.ts'
import type { CallMessage } from '../process/calls.ts'
import type { CastMessage, InfoMessage } from '../process/protocol.ts'
import type { StandardSchema } from '../process/schema.ts'
import type { Self } from '../process/self.ts'
import type { SystemMessage } from '../signals.ts'
import {
  type AnySpec,
  type CallResult,
  checkSpec,
  type GenServerSpec,
  type Nothing,
  type TimeoutMessage,
} from './gen-server-spec.ts'
import { Server } from './server.ts'

/** What a GenServer understands. */
export type GenServerProtocol<Request, Reply, Cast, Info> =
  | CallMessage<Request, Reply>
  | CastMessage<Cast>
  | InfoMessage<Exclude<Info, SystemMessage | TimeoutMessage>>

/** What callers get, by the results of `handleCall`: unknown if it leaves one to be answered later. */
export type ReplyIn<Outcome> = Outcome extends { readonly reply: infer Reply }
  ? Reply
  : Outcome extends { readonly stop: unknown }
    ? never
    : unknown

/** A schema may let through only what its handler takes. */
type Fit<Kind extends string, Checked, Taken> = [Checked] extends [Taken]
  ? unknown
  : { readonly schema: { readonly [K in Kind]: StandardSchema<unknown, Taken> } }

/** A server with a state, from its functions. Throws ERR_SKEIN_BAD_ARGUMENT for a spec that cannot work. */
export const genServer = <
  State,
  Args extends unknown[] = [],
  Request = never,
  Outcome extends CallResult<NoInfer<State>, NoInfer<Continue>> | Nothing = never,
  Cast = never,
  Info = never,
  Continue = never,
  CheckedRequest = never,
  CheckedCast = never,
  CheckedInfo = never,
>(
  spec: GenServerSpec<State, Args, Request, Outcome, Cast, Info, Continue, CheckedRequest, CheckedCast, CheckedInfo> &
    Fit<'call', CheckedRequest, Request> &
    Fit<'cast', CheckedCast, Cast> &
    Fit<'info', CheckedInfo, Info>,
): Behaviour<GenServerProtocol<Request, ReplyIn<Outcome>, Cast, Info>, Args> => {
  // Only the author of the spec knows its types.
  const any = spec as unknown as AnySpec
  checkSpec(any)
  const { label, mailbox, schema } = spec
  const run = (self: Self<GenServerProtocol<Request, ReplyIn<Outcome>, Cast, Info>>, ...args: Args) =>
    new Server(any, self as unknown as Self).start(args)
  return Object.assign(run, {
    traits: {
      serves: true,
      announces: true,
      ...(label && { label }),
      ...(mailbox && { mailbox }),
      ...(schema && { schema }),
    },
  })
}

/**
 * What a process understands, as types: the `M` of `Pid<M>`.
 *
 * `M` is a union. A plain type in it is a message that may be sent; `CallMessage`, `CastMessage` and `InfoMessage` say
 * what may be called, cast, and sent to a process that tells these apart. A process that does not takes a cast as a plain
 * message. Only types live here: nothing of this exists when the program runs.
 */
import type { Pid } from '../pid.ts'
import type { Behaviour } from './behaviour.ts'
import type { CallMessage } from './calls.ts'

declare const castType: unique symbol
declare const infoType: unique symbol
declare const replyType: unique symbol

/** In `M`: what may be cast. No message looks like this. */
export interface CastMessage<C> {
  readonly [castType]: C
}

/** In `M`: what may be sent to a process that also takes casts. No message looks like this. */
export interface InfoMessage<I> {
  readonly [infoType]: I
}

/** A request that says what is replied to it: `Request<{ type: 'get' }, number>`. Its value is the first type. */
export type Request<Body, Reply> = Body & { readonly [replyType]?: readonly [Reply] }

/** What may be sent. */
export type SendOf<M> = unknown extends M
  ? unknown
  : M extends CallMessage<unknown, never> | CastMessage<unknown>
    ? never
    : M extends InfoMessage<infer I>
      ? I
      : M

/** What may be cast. */
export type CastOf<M> = unknown extends M
  ? unknown
  : [Extract<M, CastMessage<unknown>>] extends [never]
    ? SendOf<M>
    : M extends CastMessage<infer C>
      ? C
      : never

/** What may be called. `Pid<never>` stands for any process: it can be asked anything, on the caller's word. */
export type RequestOf<M> = [M] extends [never]
  ? unknown
  : unknown extends M
    ? unknown
    : M extends CallMessage<infer Q, never>
      ? Q
      : never

/** What the request `R` is answered with. */
export type ReplyOf<M, R> = [M] extends [never]
  ? unknown
  : unknown extends M
    ? unknown
    : M extends CallMessage<infer Q, infer Reply>
      ? ReplyAmong<Q, R, Reply>
      : never

/** The reply of those requests in the union `Q` that `R` is one of. */
type ReplyAmong<Q, R, Reply> = Q extends unknown ? (R extends Q ? DeclaredReply<Q, Reply> : never) : never

type DeclaredReply<Q, Otherwise> = Q extends { readonly [replyType]?: readonly [infer Reply] }
  ? unknown extends Reply
    ? Otherwise
    : Reply
  : Otherwise

/** All replies that the requests in `Q` declare; `never` if there is none that does. */
export type DeclaredReplies<Q> = Q extends unknown ? DeclaredReply<Q, never> : never

/** The pid of a process with this behaviour: `PidOf<typeof counter>`. */
export type PidOf<B> = B extends Behaviour<infer M, never> ? Pid<M> : never

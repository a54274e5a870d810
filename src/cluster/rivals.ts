/**
 * One node, one name, one connection: the rules by which a newcomer is let in or refused when there is a rival, as one
 * pure function. They follow OTP's dist_util: where both sides dialled at once, the connection of the greater id lives.
 *
 * Nobody is ever asked to wait: a verdict falls at once, and the side whose dial lost finds the winner in its table, or
 * dials again and says `replace`. docs/handshake.md shows the cases as a table.
 */
import type { Refusal } from './handshake.ts'

/** A connection on its way in, as far as it is known. */
export interface Newcomer {
  /** Our part in it. */
  readonly role: 'initiator' | 'acceptor'
  readonly id: string
  /** Unknown until its hello came. */
  readonly said: { readonly name: string; readonly incarnation: string; readonly replace: boolean } | undefined
}

/** Another connection of the same node whose handshake is under way. */
export interface PendingRival {
  readonly role: 'initiator' | 'acceptor'
  /** As acceptor our proof is sent: the other side may be up already. Its incarnation, then. */
  readonly promised: string | undefined
}

/** What the table of peers knows that could speak against the newcomer. */
export interface Standing {
  readonly self: { readonly id: string; readonly name: string; readonly incarnation: string }
  /** The connection that is up to the same node. */
  readonly up: { readonly incarnation: string } | undefined
  readonly pending: PendingRival | undefined
  /** Id of another node that holds the newcomer's name and is connected, or promised. */
  readonly nameHolder: string | undefined
  /** No room for one more peer. */
  readonly full: boolean
}

export type Verdict =
  | { readonly type: 'refuse'; readonly refusal: Refusal }
  /** Let it go on; `endPending`: the rival on its way has lost. What is up is replaced when the newcomer is established. */
  | { readonly type: 'accept'; readonly endPending: boolean }

export const judgeRivals = (newcomer: Newcomer, standing: Standing): Verdict => {
  const { self } = standing
  if (newcomer.said !== undefined) {
    const { name, incarnation } = newcomer.said
    if (newcomer.id === self.id) return refuseSelf(incarnation === self.incarnation)
    if (name === self.name || standing.nameHolder !== undefined) {
      return refuse('ERR_SKEIN_NAME_TAKEN', `The name ${name} belongs to a live node with another key.`)
    }
    const established = standing.pending?.promised ?? standing.up?.incarnation
    if (established !== undefined) return judgeIncarnations(newcomer, established, standing.pending !== undefined)
  }
  if (standing.full && standing.up === undefined) {
    return refuse('ERR_SKEIN_TOO_MANY_CONNECTIONS', 'The limit of peers is reached.')
  }
  return judgePending(newcomer, standing)
}

/** Incarnations begin with the time of the start, so the later one is the greater. */
const judgeIncarnations = (newcomer: Newcomer, established: string, isPending: boolean): Verdict => {
  const { incarnation, replace } = newcomer.said!
  if (incarnation < established) {
    return refuse('ERR_SKEIN_STALE_INCARNATION', 'A newer incarnation of this node is already connected.')
  }
  const lostByPeer = newcomer.role === 'acceptor' && replace
  if (incarnation > established || lostByPeer) return { type: 'accept', endPending: isPending }
  return simultaneous('The two nodes are already connected.')
}

const judgePending = (newcomer: Newcomer, { self, pending }: Standing): Verdict => {
  if (pending === undefined) return { type: 'accept', endPending: false }
  if (newcomer.role === pending.role) {
    // The other side gave up its older dial when it said hello again; of our own dials the first goes on.
    if (newcomer.role === 'acceptor') return { type: 'accept', endPending: true }
    return simultaneous('Another dial to the same node is under way.')
  }
  const initiator = newcomer.role === 'initiator' ? self.id : newcomer.id
  const other = newcomer.role === 'initiator' ? newcomer.id : self.id
  if (initiator > other && pending.promised === undefined) return { type: 'accept', endPending: true }
  return simultaneous('Both nodes dialled at once and the other connection won.')
}

const refuse = (code: Refusal['code'], message: string): Verdict => ({ type: 'refuse', refusal: { code, message } })

const simultaneous = (message: string): Verdict => refuse('ERR_SKEIN_SIMULTANEOUS', message)

const refuseSelf = (sameIncarnation: boolean): Verdict =>
  sameIncarnation
    ? refuse('ERR_SKEIN_SELF', 'The connection leads back to the node it came from.')
    : refuse('ERR_SKEIN_STALE_INCARNATION', 'Two running nodes share one identity.')

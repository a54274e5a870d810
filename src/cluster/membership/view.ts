/**
 * Whom this node takes for a member of the cluster: what the rest of the node reads of the membership, and how it hears of
 * changes. In a full mesh the members are the connected nodes that are not hidden; in a larger cluster also those that
 * only gossip tells of. This node itself is never among them.
 */
import type { Address } from '../../../transport/address.ts'

/** Another node that counts as a member: `node.members()`. */
export interface Member {
  readonly id: string
  readonly name: string
  readonly incarnation: string
  /** Where it listens, as it says itself: hints, not proofs. */
  readonly addresses: readonly Address[]
  /** 'suspect': somebody misses its sign of life, and it has not yet answered. */
  readonly state: 'alive' | 'suspect'
}

/**
 * Why a member is none any more. `shutdown`: it said so itself. `down`: it was found silent. `disconnected`: in a full mesh,
 * somebody ended the connection on purpose. `replaced`: it came back as a newer incarnation. `forgotten`: nobody could
 * reach it for long, or, in a full mesh again, nobody here is connected to it.
 */
export type LeaveReason = 'shutdown' | 'down' | 'disconnected' | 'replaced' | 'forgotten'

export interface MembershipView {
  members(): Iterable<Member>
  get(id: string): Member | undefined
  readonly size: number
  /** Ids of all who are thought to live, this node not included: beyond a full mesh the members, in one also the told. */
  known(): Iterable<string>
}

export interface MembershipListener {
  joined(member: Member): void
  suspected(member: Member): void
  /** A suspicion was refuted. */
  cleared(member: Member): void
  left(member: Member, reason: LeaveReason): void
}

/**
 * What the membership asks of the mesh, which answers from `known` ids of the view. In a full mesh members are those who
 * are connected; beyond it gossip counts too, and the neighbours of a node are the ones who may say that it is down.
 */
export interface Topology {
  /** Everybody is meant to be connected to everybody. */
  readonly full: boolean
  /** With whom this member, or this node itself, is meant to be connected: the same answer on nodes that know the same. */
  neighboursOf(id: string): ReadonlySet<string>
}

/**
 * Whom this node takes for a member of the cluster: what the rest of the node reads of the membership, and how it hears of
 * changes. In a full mesh the members are the connected nodes that are not hidden; in a larger cluster also those that
 * only gossip tells of. This node itself is never among them.
 */
import type { Address } from '../../transport/address.ts'

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
 * Why a member is none any more. `shutdown`: it said so itself. `down`: it was found silent. `replaced`: it came back as
 * a newer incarnation. `forgotten`: nobody has told of it for long.
 */
export type LeaveReason = 'shutdown' | 'down' | 'replaced' | 'forgotten'

export interface MembershipView {
  members(): Iterable<Member>
  get(id: string): Member | undefined
  readonly size: number
}

export interface MembershipListener {
  joined(member: Member): void
  suspected(member: Member): void
  /** A suspicion was refuted. */
  cleared(member: Member): void
  left(member: Member, reason: LeaveReason): void
}

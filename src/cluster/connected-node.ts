/**
 * A connected node as the rest of this node sees it: who it is, where it is, and what of that is of use to others.
 */
import { type Address, sameAddress } from '../../transport/address.ts'
import type { WayKind } from '../../transport/way.ts'
import { isLoopback } from './membership/member-record.ts'

/** A connected node. */
export interface ConnectedNode {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly hidden: boolean
  /** Of the protocol: the newest that both nodes speak. */
  readonly version: number
  /** Where its packets come from, or the relay before it. */
  readonly address: Address
  /** By which way now: straight from the port, from a socket of its own, through a relay; or over TCP. */
  readonly way: WayKind | 'tcp'
  /** It knows relays and punching. */
  readonly reaches: boolean
  /** Where it listens, by its own account. */
  readonly listens: readonly Address[]
  /** We dialled it. */
  readonly dialled: boolean
  /** At the address where it is now, straight: others may do the same. */
  readonly isDialledThere: boolean
}

/**
 * Where third parties may dial it, of what was seen: behind a NAT that place is of no use without a punch, and a relay's
 * place is none of its.
 */
export const seenAt = ({ address, listens, reaches, way }: ConnectedNode): readonly Address[] =>
  way === 'port' && (!reaches || listens.some((one) => sameAddress(one, address))) ? [address] : []

/** It is on this machine, and not just the relay before it. */
export const isOnThisMachine = ({ address, way }: Pick<ConnectedNode, 'address' | 'way'>): boolean =>
  way !== 'relay' && isLoopback(address)

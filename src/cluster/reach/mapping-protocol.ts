/**
 * What a way of asking a router for a port is to the port mapper.
 */
import type { Address } from '../../../transport/address.ts'
import type { Asking } from './gateway-wire.ts'

export interface MapRequest {
  readonly internalPort: number
  /** The port to have outside, if it is free. */
  readonly wantedPort: number
  /** 0 takes the mapping back. */
  readonly lifetimeSeconds: number
}

/** What a router gave. */
export interface Lease {
  /** Where it is reached from outside. */
  readonly address: Address
  readonly lifetimeMs: number
}

export interface MappingProtocol {
  /** For people. */
  readonly name: string
  /** Makes the mapping, or renews it. Rejects with an error for people. */
  map(request: MapRequest, asking: Asking): Promise<Lease>
  /** Takes back what was made. */
  unmap(request: MapRequest, asking: Asking): Promise<void>
}

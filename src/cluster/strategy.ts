/**
 * How what discovery finds becomes connections: a few decisions in one place, made by the user or by default.
 */
import type { KnownNode } from '../../discovery/table.ts'

/** Whom to connect to without being asked: everybody, nobody, or those that a function says. */
export type MeshPolicy = 'full' | 'none' | ((node: KnownNode) => boolean)

export interface ClusterStrategy {
  /** How often sources that have to ask for news (dht, dns) do so, about. */
  readonly pollIntervalMs: number
  /** How long one address has to answer before it counts as failed. */
  readonly connectTimeoutMs: number
  readonly mesh: MeshPolicy
  /** Mesh 'full' connects everybody to everybody up to so many nodes; beyond it each keeps to its neighbours. */
  readonly fullMeshNodes: number
  /** In a full mesh: of two nodes that lost each other one leaves those who still see both. */
  readonly preventOverlappingPartitions: boolean
}

export const DEFAULT_STRATEGY: ClusterStrategy = {
  pollIntervalMs: 60_000,
  connectTimeoutMs: 3000,
  mesh: 'full',
  fullMeshNodes: 128,
  preventOverlappingPartitions: true,
}

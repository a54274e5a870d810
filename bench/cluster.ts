/** Clusters: membership in the simulator against its targets, and whatever else the services of a cluster promise. One file a part. */
import { globalNames } from './cluster-global.ts'
import { groups } from './cluster-groups.ts'
import { membership } from './cluster-membership.ts'
import type { Measurement } from './report.ts'

export async function* cluster(): AsyncGenerator<Measurement> {
  yield* membership()
  yield* globalNames()
  yield* groups()
}

/**
 * What `npm run test:sim` can look into: the guarantees of signals unless another subject is named. Each runs one seed.
 */
import type { Identity } from '../../certs/identity.ts'
import { type Finding, type FuzzOptions, fuzz } from './fuzz.ts'
import { fuzzGlobal } from './global.ts'
import { fuzzGroups } from './groups.ts'
import { fuzzNodes } from './nodes.ts'
import { fuzzSupervision } from './supervision.ts'

export type Subject = (
  seed: number,
  identities: readonly Identity[],
  options: FuzzOptions,
) => Promise<Finding | undefined>

export const DEFAULT_SUBJECT = 'guarantees'

export const SUBJECTS: Readonly<Record<string, Subject>> = {
  [DEFAULT_SUBJECT]: fuzz,
  global: fuzzGlobal,
  groups: fuzzGroups,
  nodes: fuzzNodes,
  supervision: fuzzSupervision,
}

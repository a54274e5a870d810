/**
 * Making and merging records of members.
 */
import { type Address, sameAddress } from '../../../transport/address.ts'
import { MAX_NODE_ADDRESSES, type PeerHint } from '../control.ts'
import { Allowance } from './allowance.ts'
import type { MemberRecord } from './roster.ts'

/** Announcements of one member that are taken for news: a refutation now and then, and its addresses. */
const NEWS = { burst: 8, perSecond: 1 }
/** Accusations that were refuted; a member that has used them up is not believed about others. */
const MISTAKES = { burst: 64, perSecond: 1 / 60 }

export const newRecord = (
  { id, name, incarnation }: Pick<MemberRecord, 'id' | 'name' | 'incarnation'>,
  nowMs: number,
  toldBy?: string,
): MemberRecord => ({
  id,
  name,
  incarnation,
  refutation: 0,
  addresses: [],
  announcement: undefined,
  isChecked: false,
  state: 'alive',
  reason: 'forgotten',
  isCertain: false,
  connection: undefined,
  doubts: new Map(),
  missed: undefined,
  isParted: false,
  doubtedMs: undefined,
  accuseFromMs: 0,
  goneMs: 0,
  news: new Allowance(NEWS, nowMs),
  mistakes: new Allowance(MISTAKES, nowMs),
  shown: undefined,
  toldBy,
})

export const hintOf = ({ id, name, incarnation, addresses }: MemberRecord): PeerHint => ({
  id,
  name,
  incarnation,
  addresses,
})

/** Without those that occur twice; the same list as before if nothing changed. */
export const mergedAddresses = (addresses: readonly Address[], before: readonly Address[]): readonly Address[] => {
  const merged: Address[] = []
  for (const address of addresses) {
    if (merged.length < MAX_NODE_ADDRESSES && !merged.some((other) => sameAddress(other, address))) merged.push(address)
  }
  const isSame = merged.length === before.length && merged.every((one, index) => sameAddress(one, before[index]!))
  return isSame ? before : merged
}

export const isLoopback = ({ host }: Address): boolean => host === '::1' || host.startsWith('127.')

/**
 * Where the things of a cluster lie in the DHT: meeting points and items, all derived from the cluster's rendezvous key.
 *
 * To whoever lacks that key every place is a random number, without relation to any other, to a cluster or to a node.
 * Each item has a signing key of its own, which every member can derive: that is what lets a member find the item by a
 * name alone, and why the contents are signed once more by the node they tell of (record.ts). No place outlives the day:
 * what a DHT node learnt yesterday of who asks for what is worth nothing today, and an item that somebody spoiled with the
 * greatest sequence number is spoiled for a day only.
 */
import { createHash } from 'node:crypto'
import { hkdfSha256 } from '../../certs/keys.ts'
import { SEED_BYTES, type SigningKey, signingKeyFromSeed } from '../../certs/signing-key.ts'
import type { DhtKey } from './message.ts'

const DAY_MS = 24 * 60 * 60_000
/** Around midnight (UTC) both days count: twice the longest pause between two publications. */
const OVERLAP_MS = 60 * 60_000

const SALT = 'skein v1 places'

/** By what an item is looked up. */
export type ItemKind = 'id' | 'name'

/** The days, counted from 1970, whose places are in use now: today's first. */
export const daysAt = (wallNowMs: number): readonly number[] => {
  const today = Math.floor(wallNowMs / DAY_MS)
  const sinceMidnightMs = wallNowMs - today * DAY_MS
  if (sinceMidnightMs < OVERLAP_MS) return [today, today - 1]
  return DAY_MS - sinceMidnightMs < OVERLAP_MS ? [today, today + 1] : [today]
}

/** Where members announce themselves and look for each other: an info-hash as BEP 5 has it. */
export const meetingPoint = (rendezvousKey: Uint8Array, day: number): DhtKey => {
  const secret = hkdfSha256(rendezvousKey, SALT, `meeting\0${day}`, SEED_BYTES)
  return new Uint8Array(createHash('sha1').update(secret).digest())
}

/** The key that signs the record of the node with this id or name, and under which it is found (BEP 44). */
export const itemKey = (rendezvousKey: Uint8Array, day: number, kind: ItemKind, text: string): SigningKey =>
  signingKeyFromSeed(hkdfSha256(rendezvousKey, SALT, `${kind}\0${day}\0${text}`, SEED_BYTES))

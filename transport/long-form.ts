/**
 * What a long header shows before its tag is checked: whether the datagram could be of any use if a member had sent it.
 *
 * The tag costs a hash over all of it for each key that opens; the form costs a look at six bytes and the length. Most of
 * what a flood can bring is told by that. What is left, whole first flights, is bounded by what it costs to take them from the
 * kernel, which is more than the hash: so there is no limit on how many tags are checked, which would only let a
 * flood up to that limit keep new members out.
 *
 * Invariants: never throws, allocates nothing, and says 'no' to nothing that a member sends (RFC 9000 sections 6.1, 14.1, 17.2).
 */
import { GATE_TAG_BYTES } from './gate.ts'
import { MAX_CONNECTION_ID_BYTES, supportedVersion } from './quic-header.ts'
import { MIN_INITIAL_BYTES } from './quiche.ts'

/** Of use in any case; only if it names a connection; or in no case. */
export type LongUse = 'any' | 'known' | 'no'

/** The length of the destination id stands here, the id behind it. */
const ID_LENGTH_AT = 5
export const LONG_ID_AT = ID_LENGTH_AT + 1

/** What opens a connection, or asks for another version, fills a datagram. */
const MIN_OPENING_BYTES = MIN_INITIAL_BYTES + GATE_TAG_BYTES

/** The type bits of version 1 (RFC 9000 table 5). */
const INITIAL = 0
const ZERO_RTT = 1

/** Of a datagram with its tag that begins like a long header. */
export const longUseOf = (sealed: Uint8Array): LongUse => {
  if (sealed[ID_LENGTH_AT]! > MAX_CONNECTION_ID_BYTES) return 'no'
  const version = (sealed[1]! << 24) | (sealed[2]! << 16) | (sealed[3]! << 8) | sealed[4]!
  if (version === 0) return 'known'
  if (version !== supportedVersion) return sealed.length >= MIN_OPENING_BYTES ? 'any' : 'no'
  const type = (sealed[0]! >>> 4) & 3
  // Early data may come in a datagram of its own, of any length, and before the answer that tells our id.
  if (type === ZERO_RTT) return 'any'
  return type === INITIAL && sealed.length >= MIN_OPENING_BYTES ? 'any' : 'known'
}

/**
 * What two ends of a relayed connection tell each other for a punch: how their NATs treat them, and where they may be
 * found besides where the relay sees them. It travels inside that connection, so the relay cannot read it.
 *
 * Also the frame in which a node tells another at which address it sees it.
 */

import { NAT_CLASSES, type NatClass } from '../../../discovery/source.ts'
import type { Address } from '../../../transport/address.ts'
import { ByteReader, ByteWriter, malformed } from '../../wire/bytes.ts'
import { readAddresses, writeAddresses } from '../control.ts'

/** Both ends of a punch have it from the relay, fresh for each. */
export const TOKEN_BYTES = 16
/** Candidates in one plan. */
export const MAX_CANDIDATES = 16

export interface PunchPlan {
  readonly token: Uint8Array
  readonly nat: NatClass
  readonly candidates: readonly Address[]
}

export const encodePlan = ({ token, nat, candidates }: PunchPlan): Uint8Array => {
  const out = new ByteWriter().bytes(token).u8(NAT_CLASSES.indexOf(nat))
  return writeAddresses(out, candidates.slice(0, MAX_CANDIDATES)).done()
}

/** Throws ERR_SKEIN_PROTOCOL. */
export const decodePlan = (body: Uint8Array): PunchPlan => {
  const reader = new ByteReader(body)
  const token = Uint8Array.from(reader.bytes(TOKEN_BYTES))
  if (token.length !== TOKEN_BYTES) throw malformed('a token that is too short')
  // A class that a later version may know.
  const nat = NAT_CLASSES[reader.u8()] ?? 'unknown'
  const candidates = readAddresses(reader)
  reader.end()
  return { token, nat, candidates }
}

export const encodeObserved = (address: Address): Uint8Array => writeAddresses(new ByteWriter(), [address]).done()

/** Throws ERR_SKEIN_PROTOCOL. */
export const decodeObserved = (body: Uint8Array): Address => {
  const reader = new ByteReader(body)
  const [address] = readAddresses(reader)
  reader.end()
  if (address === undefined) throw malformed('an observation without an address')
  return address
}

/**
 * The long header of a QUIC packet, read before quiche sees the datagram (RFC 9000 section 17.2, RFC 8999 section 5.1).
 *
 * The endpoint needs little of it: the version, both connection ids and the token. With these it finds the connection,
 * answers with version negotiation or a retry, or drops the datagram, without a byte of state for the stranger.
 *
 * Invariants: never throws, whatever the bytes; reads nothing beyond them; what it gives back are views into the
 * datagram, so copy what must outlive it. It reads the first packet of a datagram only, and judges neither protection
 * nor payload: that is quiche's work.
 */

/** The one version spoken: QUIC version 1. */
export const supportedVersion = 1

/** Version 1 allows ids of at most 20 bytes; a longer one, which another version might use, is not worth an answer. */
export const MAX_CONNECTION_ID_BYTES = 20

/** First byte, four of version, two of id lengths: what the invariants need at least. */
const MIN_LONG_HEADER_BYTES = 7

/** A retry ends in an AEAD tag of this length (RFC 9000 section 17.2.5). */
const RETRY_INTEGRITY_TAG_BYTES = 16

export interface LongHeader {
  readonly version: number
  readonly destinationId: Uint8Array
  readonly sourceId: Uint8Array
  /** Of an Initial or a Retry; undefined where there is none, and never empty. */
  readonly token: Uint8Array | undefined
  /** 'unsupported': another version, of which only version and ids are known (RFC 8999). */
  readonly type: 'initial' | 'retry' | 'handshake' | 'zeroRtt' | 'negotiation' | 'unsupported'
}

/** The type bits of version 1 in their order (RFC 9000 table 5). */
const TYPES = ['initial', 'zeroRtt', 'handshake', 'retry'] as const

/** Length in bytes of the variable-length integer at `offset`, 0 if it is cut off (RFC 9000 section 16). */
const varintBytes = (bytes: Uint8Array, offset: number): number => {
  if (offset >= bytes.length) return 0
  const size = 1 << (bytes[offset]! >>> 6)
  return offset + size <= bytes.length ? size : 0
}

/** Its value; exact up to 2^53 and merely large above, where no datagram reaches. */
const varintValue = (bytes: Uint8Array, offset: number, size: number): number => {
  let value = bytes[offset]! & 0x3f
  for (let i = 1; i < size; i++) value = value * 256 + bytes[offset + i]!
  return value
}

/** True if a variable-length integer stands at `offset` and the datagram holds as many bytes behind it as it says. */
const holdsItsLength = (bytes: Uint8Array, offset: number): boolean => {
  const size = varintBytes(bytes, offset)
  return size > 0 && varintValue(bytes, offset, size) <= bytes.length - offset - size
}

/** Reads the long header at the start of a datagram (its gate tag already cut off); undefined if it is malformed. */
export const parseLongHeader = (bytes: Uint8Array): LongHeader | undefined => {
  if (bytes.length < MIN_LONG_HEADER_BYTES) return undefined
  const first = bytes[0]!
  if (first < 0x80) return undefined
  const version = ((bytes[1]! << 24) | (bytes[2]! << 16) | (bytes[3]! << 8) | bytes[4]!) >>> 0
  // Only version negotiation leaves the fixed bit open (RFC 9000 section 17.2.1).
  if (first < 0xc0 && version !== 0) return undefined

  const destinationBytes = bytes[5]!
  if (destinationBytes > MAX_CONNECTION_ID_BYTES) return undefined
  const sourceLengthAt = 6 + destinationBytes
  if (sourceLengthAt >= bytes.length) return undefined
  const sourceBytes = bytes[sourceLengthAt]!
  if (sourceBytes > MAX_CONNECTION_ID_BYTES) return undefined
  const rest = sourceLengthAt + 1 + sourceBytes
  if (rest > bytes.length) return undefined
  const restBytes = bytes.length - rest

  let type: LongHeader['type']
  let token: Uint8Array | undefined
  if (version === 0) {
    // A list of versions, four bytes each, and never an empty one (RFC 8999 section 6).
    if (restBytes === 0 || restBytes % 4 !== 0) return undefined
    type = 'negotiation'
  } else if (version !== supportedVersion) {
    type = 'unsupported'
  } else {
    type = TYPES[((first >>> 4) & 3) as 0 | 1 | 2 | 3]
    if (type === 'retry') {
      if (restBytes <= RETRY_INTEGRITY_TAG_BYTES) return undefined
      token = bytes.subarray(rest, bytes.length - RETRY_INTEGRITY_TAG_BYTES)
    } else if (type === 'initial') {
      if (!holdsItsLength(bytes, rest)) return undefined
      const tokenAt = rest + varintBytes(bytes, rest)
      const tokenEnd = tokenAt + varintValue(bytes, rest, tokenAt - rest)
      if (!holdsItsLength(bytes, tokenEnd)) return undefined
      if (tokenEnd > tokenAt) token = bytes.subarray(tokenAt, tokenEnd)
    } else if (!holdsItsLength(bytes, rest)) return undefined
  }
  return {
    version,
    destinationId: bytes.subarray(6, sourceLengthAt),
    sourceId: bytes.subarray(sourceLengthAt + 1, rest),
    token,
    type,
  }
}

/**
 * Where in a datagram of version 1 the packet with a short header begins, which can only be its last (RFC 9000 section
 * 12.2); -1 if there is none.
 */
export const shortHeaderAt = (bytes: Uint8Array): number => {
  let at = 0
  while (at < bytes.length && bytes[at]! >= 0x80) {
    const type = TYPES[((bytes[at]! >>> 4) & 3) as 0 | 1 | 2 | 3]
    const sourceLengthAt = at + 6 + (bytes[at + 5] ?? 0)
    at = sourceLengthAt + 1 + (bytes[sourceLengthAt] ?? 0)
    if (type === 'retry') return -1
    for (let fields = type === 'initial' ? 2 : 1; fields > 0; fields--) {
      const size = varintBytes(bytes, at)
      if (size === 0) return -1
      at += size + varintValue(bytes, at, size)
    }
  }
  return at < bytes.length ? at : -1
}

/**
 * One port, several protocols: tells from a few bytes whom a datagram is for (docs/port.md has the table).
 *
 * The test is exact, not a guess. Bencode dictionaries begin with "d" (0x64) and an ASCII digit, and QUIC short headers
 * may begin with 0x64 too; but behind it stands a connection id of ours, and all of ours begin with a byte >= 0x80
 * (connection-id.ts), which is no digit. RFC 9443 keeps 0x00 to 0x3F free of QUIC.
 *
 * Invariants: never throws, allocates nothing, reads at most five bytes. It says whose a datagram is, not that it is
 * well-formed.
 */

export type DatagramClass = 'long' | 'short' | 'krpc' | 'probe' | 'unknown'

/** First byte, four of version, two of id lengths (RFC 8999 section 5.1). */
const MIN_LONG_BYTES = 7

/** No packet with a short header is shorter, not even a stateless reset (RFC 9000 section 10.3). */
const MIN_SHORT_BYTES = 21

const LETTER_D = 0x64
const LETTER_E = 0x65
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39

/** Whom this datagram is for. */
export const classify = (bytes: Uint8Array): DatagramClass => {
  const length = bytes.length
  if (length === 0) return 'unknown'
  const first = bytes[0]!
  if (first >= 0x80) {
    if (length < MIN_LONG_BYTES) return 'unknown'
    if (first >= 0xc0) return 'long'
    // The fixed bit is 0: only version negotiation, whose version is 0, may leave it so (RFC 9000 section 17.2.1).
    return (bytes[1]! | bytes[2]! | bytes[3]! | bytes[4]!) === 0 ? 'long' : 'unknown'
  }
  if (first < 0x40) return 'probe'
  if (first !== LETTER_D) return length < MIN_SHORT_BYTES ? 'unknown' : 'short'
  if (length < 3) return 'unknown'
  const second = bytes[1]!
  if (second >= 0x80) return length < MIN_SHORT_BYTES ? 'unknown' : 'short'
  return second >= DIGIT_0 && second <= DIGIT_9 && bytes[length - 1] === LETTER_E ? 'krpc' : 'unknown'
}

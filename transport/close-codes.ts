/**
 * Why a connection ended, as a number on the wire: QUIC's application error code (RFC 9000, section 19.19), the same on
 * every carrier. A number never changes its meaning and is never reused; docs/protocol.md repeats this table.
 */
import type { CloseReason } from './transport.ts'

type CloseCode = CloseReason['code']

/** What an unknown number, or a code without a number of its own, is taken for. */
const FALLBACK = 'ERR_SKEIN_CONNECTION_LOST'

const WIRE_CODES = {
  closed: 0,
  ERR_SKEIN_CONNECTION_LOST: 1,
  ERR_SKEIN_STOPPED: 2,
  // handshake
  ERR_SKEIN_WRONG_COOKIE: 16,
  ERR_SKEIN_WRONG_CLUSTER: 17,
  ERR_SKEIN_NAME_TAKEN: 18,
  ERR_SKEIN_VERSION: 19,
  ERR_SKEIN_SELF: 20,
  ERR_SKEIN_SIMULTANEOUS: 21,
  ERR_SKEIN_STALE_INCARNATION: 22,
  ERR_SKEIN_HANDSHAKE: 23,
  ERR_SKEIN_CONNECT_TIMEOUT: 24,
  ERR_SKEIN_OVERLAPPING_PARTITION: 25,
  ERR_SKEIN_REVOKED: 26,
  ERR_SKEIN_NOT_ADMITTED: 27,
  // certificates
  ERR_SKEIN_CERT_INVALID: 32,
  ERR_SKEIN_CERT_EXPIRED: 33,
  ERR_SKEIN_CERT_MISSING: 34,
  ERR_SKEIN_CERT_FOREIGN: 35,
  ERR_SKEIN_CERT_UNTRUSTED: 36,
  // what the peer sent
  ERR_SKEIN_PROTOCOL: 48,
  ERR_SKEIN_BAD_MESSAGE: 49,
  ERR_SKEIN_UNKNOWN_TYPE: 50,
  // limits
  ERR_SKEIN_TOO_MANY_CONNECTIONS: 64,
  ERR_SKEIN_LIMIT: 65,
} as const satisfies Partial<Record<CloseCode, number>>

const CODE_OF_WIRE: ReadonlyMap<number, CloseCode> = new Map(
  Object.entries(WIRE_CODES).map(([code, wireCode]) => [wireCode, code as keyof typeof WIRE_CODES]),
)

/** The number that tells the peer `code`. */
export const wireCodeOf = (code: CloseCode): number =>
  Object.hasOwn(WIRE_CODES, code) ? WIRE_CODES[code as keyof typeof WIRE_CODES] : WIRE_CODES[FALLBACK]

/** What a number from the peer means here. */
export const codeOfWire = (wireCode: number): CloseCode => CODE_OF_WIRE.get(wireCode) ?? FALLBACK

/** A close message travels in at most this many bytes of UTF-8, so that it fits the packet that closes. */
const MAX_CLOSE_MESSAGE_BYTES = 200

/** The message cut to what may travel, never within a character. */
export const boundedCloseMessage = (message: string): string => {
  const bytes = Buffer.from(message)
  if (bytes.length <= MAX_CLOSE_MESSAGE_BYTES) return message
  let end = MAX_CLOSE_MESSAGE_BYTES
  // 10xxxxxx continues a character (RFC 3629).
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** RFC 9000 20.1 and 9001 4.8: what an error of QUIC or TLS itself means to a user. */
export const transportCode = (code: number): CloseReason['code'] => {
  const noApplicationProtocol = 0x100 + 120
  const certificateRequired = 0x100 + 116
  const connectionRefused = 0x02
  if (code === noApplicationProtocol) return 'ERR_SKEIN_VERSION'
  if (code === certificateRequired) return 'ERR_SKEIN_CERT_MISSING'
  if (code === connectionRefused) return 'ERR_SKEIN_TOO_MANY_CONNECTIONS'
  if (code === 0) return 'closed'
  return code >= 0x100 && code < 0x200 ? 'ERR_SKEIN_CERT_INVALID' : 'ERR_SKEIN_CONNECTION_LOST'
}

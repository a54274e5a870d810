/**
 * A probe of a punch as bytes, 26 of them, whatever its kind; so an answer is never longer than what it answers.
 *
 *     0x01 | kind (1) | token (16) | number (4) | echo (4)
 *
 * ask:    "do you hear me?", with a number that the asker made for this one address. The echo is 0.
 * answer: "I do", with the number of the question as echo. The number is 0.
 * both:   an answer that asks in turn.
 *
 * The first byte is below 0x40, where QUIC never is (RFC 9443), and other kinds of datagram that may come there one day
 * begin with another one. Decoding never throws.
 */
import { TOKEN_BYTES } from './punch-plan.ts'

export type ProbeKind = 'ask' | 'answer' | 'both'

export interface Probe {
  readonly kind: ProbeKind
  /** Shared with the bytes that it was decoded from. */
  readonly token: Uint8Array
  readonly number: number
  readonly echo: number
}

/** By their byte on the wire. */
const KINDS: readonly ProbeKind[] = ['ask', 'answer', 'both']
const FIRST_BYTE = 0x01
const TOKEN_START = 2
const NUMBER_START = TOKEN_START + TOKEN_BYTES
const ECHO_START = NUMBER_START + 4
export const PROBE_BYTES = ECHO_START + 4

export const encodeProbe = ({ kind, token, number, echo }: Probe): Uint8Array => {
  const bytes = Buffer.alloc(PROBE_BYTES)
  bytes[0] = FIRST_BYTE
  bytes[1] = KINDS.indexOf(kind)
  bytes.set(token, TOKEN_START)
  bytes.writeUInt32BE(number, NUMBER_START)
  bytes.writeUInt32BE(echo, ECHO_START)
  return bytes
}

/** Undefined for whatever else begins with such a byte. */
export const decodeProbe = (bytes: Uint8Array): Probe | undefined => {
  if (bytes.length !== PROBE_BYTES || bytes[0] !== FIRST_BYTE) return undefined
  const kind = KINDS[bytes[1]!]
  if (kind === undefined) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return {
    kind,
    token: bytes.subarray(TOKEN_START, NUMBER_START),
    number: view.getUint32(NUMBER_START),
    echo: view.getUint32(ECHO_START),
  }
}

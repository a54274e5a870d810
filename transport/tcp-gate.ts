/**
 * The gate of the TCP port: the first bytes of a connection, before any TLS, show that its dialler knows the cookie.
 *
 *     preamble = nonce, 16 random bytes | time, u32 seconds since 1970 | tag
 *     tag      = as in gate.ts, over "skein tcp" | nonce | time
 *
 * Whoever cannot make one gets nothing back, not even a byte of TLS. A recorded preamble opens nothing a second time: the
 * time must be about now, and nonces are remembered for as long as their time would pass. That memory is bounded and dies
 * with the process, and every node has its own: whoever has recorded a preamble may pass with it where it was not seen. So
 * in TLS each side shows once more that it knows the cookie, before anything else of it is read:
 *
 *     word = tag, as in gate.ts, over "skein tls" | role | what only the two ends of this TLS connection know
 *
 * and without that word whoever passed sees that the port speaks TLS, and its certificate, no more. The labels keep tags of one
 * kind from passing for another.
 */
import { CLOCK_SKEW_TOLERANCE_MS } from '../certs/certificate.ts'
import { GATE_TAG_BYTES, Gate } from './gate.ts'
import type { Random } from './random.ts'

const LABEL = Buffer.from('skein tcp')
const WORD_LABEL = 'skein tls'
const NONCE_BYTES = 16
const TIME_BYTES = 4
export const PREAMBLE_BYTES = NONCE_BYTES + TIME_BYTES + GATE_TAG_BYTES
/** A nonce is remembered for one to two of these, so until its time is too old whatever the difference of the clocks. */
const GENERATION_MS = 2 * CLOCK_SKEW_TOLERANCE_MS
const MAX_NONCES_PER_GENERATION = 16_384

/** 'stranger': no key made that tag. */
export type PreambleVerdict = 'member' | 'stranger' | 'stale' | 'replayed'

type Role = 'initiator' | 'acceptor'

const wordHead = (role: Role): Buffer => Buffer.from(`${WORD_LABEL}${role}`)

export class TcpGate {
  readonly #gate: Gate
  readonly #random: Random
  #nonces = new Set<string>()
  #olderNonces = new Set<string>()
  #generationEndsMs = Number.NEGATIVE_INFINITY

  /** As for Gate: the first key seals, all open. Throws ERR_SKEIN_BAD_ARGUMENT. */
  constructor(keys: readonly Uint8Array[], random: Random) {
    this.#gate = new Gate(keys)
    this.#random = random
  }

  /** From now on these keys count instead; nonces stay known. Throws ERR_SKEIN_BAD_ARGUMENT. */
  useKeys(keys: readonly Uint8Array[]): void {
    this.#gate.useKeys(keys)
  }

  /** A preamble for one connection. */
  seal(wallNowMs: number): Uint8Array {
    const bytes = Buffer.alloc(LABEL.length + PREAMBLE_BYTES)
    bytes.set(LABEL)
    bytes.set(this.#random.bytes(NONCE_BYTES), LABEL.length)
    const end = bytes.writeUInt32BE(Math.floor(wallNowMs / 1000) >>> 0, LABEL.length + NONCE_BYTES)
    this.#gate.seal(bytes, end)
    return bytes.subarray(LABEL.length)
  }

  /** Judges what a dialler sent, PREAMBLE_BYTES; a good one is good once. Never throws. */
  open(preamble: Uint8Array, wallNowMs: number): PreambleVerdict {
    const bytes = Buffer.concat([LABEL, preamble])
    if (preamble.length !== PREAMBLE_BYTES || this.#gate.open(bytes) < 0) return 'stranger'
    const timeMs = 1000 * bytes.readUInt32BE(LABEL.length + NONCE_BYTES)
    if (Math.abs(wallNowMs - timeMs) > CLOCK_SKEW_TOLERANCE_MS) return 'stale'
    return this.#remember(bytes.toString('latin1', LABEL.length, LABEL.length + NONCE_BYTES), wallNowMs)
      ? 'member'
      : 'replayed'
  }

  /** What this side says first in TLS; `binding` is that connection's own (tcp-tls.ts). */
  word(role: Role, binding: Uint8Array): Uint8Array {
    const said = Buffer.concat([wordHead(role), binding])
    const bytes = Buffer.concat([said, Buffer.alloc(GATE_TAG_BYTES)])
    this.#gate.seal(bytes, said.length)
    return bytes.subarray(said.length)
  }

  /** The side of this role knows the cookie. Never throws. */
  isWord(role: Role, binding: Uint8Array, word: Uint8Array): boolean {
    return word.length === GATE_TAG_BYTES && this.#gate.open(Buffer.concat([wordHead(role), binding, word])) >= 0
  }

  /** False for one that is known. */
  #remember(nonce: string, wallNowMs: number): boolean {
    if (this.#nonces.has(nonce) || this.#olderNonces.has(nonce)) return false
    const isOld = wallNowMs >= this.#generationEndsMs
    if (isOld || this.#nonces.size >= MAX_NONCES_PER_GENERATION) {
      this.#olderNonces = this.#nonces
      this.#nonces = new Set()
      this.#generationEndsMs = wallNowMs + GENERATION_MS
    }
    this.#nonces.add(nonce)
    return true
  }
}

/**
 * Tokens of stateless retry: a client that returns one has shown that it receives at the address it sends from
 * (RFC 9000 sections 8.1.2 to 8.1.4). The node keeps nothing; all it needs to know again is in the token.
 *
 * Layout: version (1 byte), time of issue in ms (6), length of the original destination id (1), that id, and a tag of 16
 * bytes: HMAC-SHA256 over what precedes it, the id the retry was sent from, and the client's address and port. Nothing
 * in it is secret, so it is authenticated and not encrypted.
 *
 * A token stays good for its lifetime and may come back more than once: packets are repeated when they are lost. Times
 * are of the node's monotonic clock, so a token never outlives the process, nor does its key need to.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { SkeinError } from '../certs/errors.ts'
import { type Address, unmapHost } from './address.ts'
import { MAX_CONNECTION_ID_BYTES } from './quic-header.ts'

/** Clients return the token at once (RFC 9000 section 8.1.3); a slow path and some repetitions fit into this. */
const DEFAULT_LIFETIME_MS = 10_000

const MIN_KEY_BYTES = 16
const TOKEN_VERSION = 1
const TIME_BYTES = 6
const HEAD_BYTES = 1 + TIME_BYTES + 1
const TAG_BYTES = 16

export class RetryTokens {
  readonly #key: KeyObject
  readonly #lifetimeMs: number

  /** Throws ERR_SKEIN_BAD_ARGUMENT for a key of fewer than 16 bytes. */
  constructor(key: Uint8Array, options: { readonly lifetimeMs?: number } = {}) {
    if (key.length < MIN_KEY_BYTES) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `The key for retry tokens needs ${MIN_KEY_BYTES} bytes or more.`)
    }
    this.#key = createSecretKey(key)
    this.#lifetimeMs = options.lifetimeMs ?? DEFAULT_LIFETIME_MS
  }

  /** A token of at most 44 bytes for the client at `address`, whose Initial was for `originalDestinationId` (20 bytes or fewer). */
  issue(address: Address, originalDestinationId: Uint8Array, retrySourceId: Uint8Array, nowMs: number): Uint8Array {
    const body = HEAD_BYTES + originalDestinationId.length
    const token = new Uint8Array(body + TAG_BYTES)
    token[0] = TOKEN_VERSION
    let issuedMs = Math.floor(nowMs)
    for (let i = TIME_BYTES; i >= 1; i--) {
      token[i] = issuedMs % 256
      issuedMs = Math.floor(issuedMs / 256)
    }
    token[HEAD_BYTES - 1] = originalDestinationId.length
    token.set(originalDestinationId, HEAD_BYTES)
    token.set(this.#tag(token.subarray(0, body), address, retrySourceId), body)
    return token
  }

  /**
   * The original destination id, if this node issued the token to this address, not too long ago, in a retry sent from
   * the id that the client now uses as its destination. Never throws.
   */
  check(token: Uint8Array, address: Address, destinationId: Uint8Array, nowMs: number): Uint8Array | undefined {
    if (token.length < HEAD_BYTES + TAG_BYTES || token[0] !== TOKEN_VERSION) return undefined
    const idBytes = token[HEAD_BYTES - 1]!
    const body = HEAD_BYTES + idBytes
    if (idBytes > MAX_CONNECTION_ID_BYTES || token.length !== body + TAG_BYTES) return undefined
    if (destinationId.length > MAX_CONNECTION_ID_BYTES) return undefined
    if (!timingSafeEqual(this.#tag(token.subarray(0, body), address, destinationId), token.subarray(body)))
      return undefined
    let issuedMs = 0
    for (let i = 1; i <= TIME_BYTES; i++) issuedMs = issuedMs * 256 + token[i]!
    const ageMs = Math.floor(nowMs) - issuedMs
    return ageMs >= 0 && ageMs <= this.#lifetimeMs ? Uint8Array.from(token.subarray(HEAD_BYTES, body)) : undefined
  }

  /** Every part before the address says its own length, so no two inputs read the same. */
  #tag(body: Uint8Array, address: Address, retrySourceId: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key)
      .update(body)
      .update(Uint8Array.of(retrySourceId.length))
      .update(retrySourceId)
      .update(`${address.port} ${unmapHost(address.host)}`)
      .digest()
      .subarray(0, TAG_BYTES)
  }
}

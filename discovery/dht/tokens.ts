/**
 * Write tokens (BEP 5): whoever wants to store something shows that it receives what is sent to its address.
 *
 * A token is a keyed hash of the asker's host and the target, so nothing is kept for the askers. The secret changes every
 * 5 minutes and the last one still counts: a token is good for 5 to 10 minutes. The port is left out, as in BEP 5: a NAT
 * may change it between two queries. No timers: time is told with each call.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { unmapHost } from '../../transport/address.ts'
import type { Random } from '../../transport/random.ts'
import type { DhtKey } from './message.ts'

export const TOKEN_BYTES = 8
export const SECRET_LIFETIME_MS = 5 * 60_000
const SECRET_BYTES = 32

export class Tokens {
  readonly #random: Random
  #secret: Uint8Array
  #last: Uint8Array
  #sinceMs: number

  constructor(random: Random, nowMs: number) {
    this.#random = random
    this.#secret = random.bytes(SECRET_BYTES)
    this.#last = random.bytes(SECRET_BYTES)
    this.#sinceMs = nowMs
  }

  /** The token with which this host may store under this target. */
  make(host: string, target: DhtKey, nowMs: number): Uint8Array {
    this.#rotate(nowMs)
    return tokenOf(this.#secret, host, target)
  }

  /** Whether this is a token of ours for this host and target; takes the same time wherever it differs. */
  check(token: Uint8Array, host: string, target: DhtKey, nowMs: number): boolean {
    this.#rotate(nowMs)
    if (token.length !== TOKEN_BYTES) return false
    return [this.#secret, this.#last].some((secret) => timingSafeEqual(token, tokenOf(secret, host, target)))
  }

  #rotate(nowMs: number): void {
    const lifetimes = Math.floor((nowMs - this.#sinceMs) / SECRET_LIFETIME_MS)
    if (lifetimes < 1) return
    this.#last = lifetimes === 1 ? this.#secret : this.#random.bytes(SECRET_BYTES)
    this.#secret = this.#random.bytes(SECRET_BYTES)
    this.#sinceMs += lifetimes * SECRET_LIFETIME_MS
  }
}

/** The target has a fixed length, so no two pairs give the same bytes. */
const tokenOf = (secret: Uint8Array, host: string, target: DhtKey): Uint8Array =>
  createHmac('sha256', secret).update(target).update(unmapHost(host)).digest().subarray(0, TOKEN_BYTES)

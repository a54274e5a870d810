/**
 * By what a reply finds its call: a key that only those know who hold the `from` of the call.
 *
 * A server may hand `from` on, so a reply may come from any node, and calls are counted: whoever could tell the next number
 * could answer in the place of another. So the key is the number and, above it, bits that cannot be guessed. A node that
 * was not asked and tries keys that are none is soon not listened to in this, and does not begin anew by connecting again.
 * (RFC 4086 has how many bits what takes.)
 */
import type { Random } from '../../transport/random.ts'
import { Allowance } from '../cluster/membership/allowance.ts'
import type { Bridge } from './bridge.ts'

/** Above the 32 bits of the number, and together no more than a number holds. */
const SECRET_BITS = 21
const NUMBERS = 2 ** 32
/** Secrets drawn at once: a call costs a few nanoseconds of it. */
const SECRETS_DRAWN = 1024
/**
 * Replies of one node for which there is no call, before it is not believed to have been handed one. Late replies are such
 * too. Of a call that waits for a minute a guesser finds the key with a chance of 1 in 250 so.
 */
const STRAYS = { burst: 4096, perSecond: 64 }
/** Nodes of which that is remembered, by id; the oldest is forgotten first. */
const MAX_REMEMBERED = 4096

export class CallKeys {
  readonly #random: Random
  /** By the id of the node. */
  readonly #strays = new Map<string, Allowance>()
  #secrets = new Uint32Array(0)
  #next = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** For the call with this number, of which the lower 32 bits come back. */
  keyOf(number: number): number {
    if (this.#next === this.#secrets.length) {
      const bytes = this.#random.bytes(SECRETS_DRAWN * Uint32Array.BYTES_PER_ELEMENT)
      this.#secrets = new Uint32Array(Uint8Array.from(bytes).buffer)
      this.#next = 0
    }
    const secret = (this.#secrets[this.#next++] as number) >>> (32 - SECRET_BITS)
    return secret * NUMBERS + (number >>> 0)
  }

  /** This node replied to a call that there is not. */
  stray(bridge: Bridge, nowMs: number): void {
    this.#allowance(bridge, nowMs).take(nowMs)
  }

  /** Whether it may answer a call of another node. */
  mayStandIn(bridge: Bridge, nowMs: number): boolean {
    return this.#strays.get(idOf(bridge))?.has(nowMs) ?? true
  }

  #allowance(bridge: Bridge, nowMs: number): Allowance {
    const id = idOf(bridge)
    const known = this.#strays.get(id)
    if (known !== undefined) return known
    for (const oldest of this.#strays.keys()) {
      if (this.#strays.size < MAX_REMEMBERED) break
      this.#strays.delete(oldest)
    }
    const allowance = new Allowance(STRAYS, nowMs)
    this.#strays.set(id, allowance)
    return allowance
  }
}

const idOf = ({ route }: Bridge): string => route.origin?.id ?? ''

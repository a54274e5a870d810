/**
 * Changing the cookie of a running cluster, as an operator does it on each node: first every node accepts the next cookie,
 * then every node uses it. docs/rotation.md tells why nobody is cut off in between.
 *
 * What it does: turn cookies into keys and windows into times, and end those that are over. What the change means for
 * connections and discovery is the business of those who listen to the ring (certs/keyring.ts).
 */
import { usableCookie } from '../certs/cookie.ts'
import { fingerprintOf, type Keyring, type RingChange } from '../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../certs/keys.ts'
import type { Clock, Timer } from '../transport/clock.ts'
import type { Logger } from './config.ts'
import type { NodeEvent } from './event-stream.ts'
import { within } from './option-checks.ts'

/** How long the old cookie counts beside the new one, unless said otherwise. */
const DEFAULT_ACCEPT_OLD_MS = 60 * 60_000
/** No window is longer than 30 days. */
const WINDOW_MS_RANGE = [0, 30 * 24 * 60 * 60_000] as const

/** A cookie that the node goes by, without its secret. */
export interface CookieInfo {
  /** 8 hex digits, the same on each node: the first ones of the tag that `skein doctor` shows. */
  readonly fingerprint: string
  /** The node shows it; the others it only accepts. */
  readonly primary: boolean
  /** Milliseconds; undefined: it counts until it is dropped. */
  readonly endsInMs: number | undefined
  /** Connected nodes that have proven to have it, and none that is newer here. */
  readonly nodes: number
}

export interface CookiesHost {
  readonly cluster: string
  readonly keys: Keyring
  readonly clock: Clock
  readonly logger: Logger
  provenBy(fingerprint: string): number
  emit(event: NodeEvent): void
}

export class Cookies {
  readonly #host: CookiesHost
  readonly #forget: () => void
  #timer: Timer | undefined
  #stopped = false

  /** @internal Use node.cookies. */
  constructor(host: CookiesHost) {
    this.#host = host
    this.#forget = host.keys.onChange((change) => this.#changed(change))
    this.#arm()
  }

  /** The one that is used first. */
  list(): CookieInfo[] {
    const { keys, clock, provenBy } = this.#host
    return keys.entries().map(({ fingerprint, primary, endMs }) => ({
      fingerprint,
      primary,
      endsInMs: endMs === undefined ? undefined : Math.max(0, endMs - clock.now()),
      nodes: provenBy(fingerprint),
    }))
  }

  /**
   * Step one, on every node: this cookie counts too, for `forMs` or until it is dropped. Nodes that use it and accept
   * the one of this node are let in. Gives its fingerprint. Throws ERR_SKEIN_BAD_COOKIE, ERR_SKEIN_BAD_OPTION, or ERR_SKEIN_LIMIT beyond three at once.
   */
  accept(cookie: string | Uint8Array, { forMs }: { readonly forMs?: number } = {}): string {
    const keys = this.#keysOf(cookie)
    this.#host.keys.accept(keys, forMs === undefined ? undefined : this.#endAfter('forMs', forMs))
    this.#arm()
    return fingerprintOf(keys)
  }

  /**
   * Step two, when every node accepts it: from now on this cookie is the node's own, and the one before is accepted for
   * `acceptOldMs` (an hour) more. Whoever has not shown by then that it has the new one loses its connection. Gives its
   * fingerprint. Throws as `accept`.
   */
  use(
    cookie: string | Uint8Array,
    { acceptOldMs = DEFAULT_ACCEPT_OLD_MS }: { readonly acceptOldMs?: number } = {},
  ): string {
    const keys = this.#keysOf(cookie)
    this.#host.keys.use(keys, this.#endAfter('acceptOldMs', acceptOldMs))
    this.#expire()
    return fingerprintOf(keys)
  }

  /** Accepts a cookie no longer. False if it was not accepted. Throws ERR_SKEIN_BAD_ARGUMENT for the one that is used. */
  drop(cookie: string | Uint8Array): boolean {
    const isDropped = this.#host.keys.drop(this.#keysOf(cookie))
    this.#arm()
    return isDropped
  }

  /** @internal The node stops. */
  stop(): void {
    this.#stopped = true
    this.#forget()
    this.#timer?.cancel()
  }

  #keysOf(cookie: string | Uint8Array): ClusterKeys {
    return deriveKeys(usableCookie(cookie, 'argument'), this.#host.cluster)
  }

  #endAfter(what: string, ms: number): number {
    return this.#host.clock.now() + within(what, WINDOW_MS_RANGE, ms)
  }

  #expire(): void {
    this.#host.keys.expire(this.#host.clock.now())
    this.#arm()
  }

  #arm(): void {
    this.#timer?.cancel()
    const { keys, clock } = this.#host
    const endMs = keys.nextEndMs
    if (endMs === undefined || this.#stopped) return
    this.#timer = clock.after(Math.max(0, endMs - clock.now()), () => this.#expire(), true)
  }

  #changed({ added, primary, dropped }: RingChange): void {
    const { emit, logger } = this.#host
    for (const fingerprint of added) {
      if (fingerprint === primary) continue
      logger.info({ fingerprint }, 'cookie accepted')
      emit({ type: 'cookieAccepted', fingerprint })
    }
    if (primary !== undefined) {
      logger.info({ fingerprint: primary }, 'cookie used')
      emit({ type: 'cookieUsed', fingerprint: primary })
    }
    for (const fingerprint of dropped) {
      logger.info({ fingerprint }, 'cookie dropped')
      emit({ type: 'cookieDropped', fingerprint })
    }
  }
}

/**
 * Which connections that were never up the operator hears of, in the log and as event `refused`.
 *
 * Everyday ends, as of two dials at once, are no news, and news of those who are not let in are bounded: anybody may try
 * again and again. What it does not do: refuse (admission.ts, handshake.ts).
 */
import type { ErrorCode } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Logger } from '../config.ts'
import type { NodeEvent } from '../event-stream.ts'
import { isBarring } from './admission.ts'
import { Allowance } from './membership/allowance.ts'
import type { Session, SessionEnd } from './session.ts'

/** Ends of handshakes that are everyday. */
const QUIET_ENDS: readonly ErrorCode[] = [
  'ERR_SKEIN_SIMULTANEOUS',
  'ERR_SKEIN_SELF',
  'ERR_SKEIN_CONNECT_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_STOPPED',
]

/** Ends of handshakes with those who are not let in, of which the operator hears. */
const BARRED_NEWS = { burst: 32, perSecond: 0.1 }

export interface RefusalsOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly emit: (event: NodeEvent) => void
}

export class Refusals {
  readonly #options: RefusalsOptions
  readonly #barredNews: Allowance

  constructor(options: RefusalsOptions) {
    this.#options = options
    this.#barredNews = new Allowance(BARRED_NEWS, options.clock.now())
  }

  /** A connection ended before it was up. */
  ended({ claimedName: node, remote: address }: Session, { code, message, byPeer }: SessionEnd): void {
    const { clock, logger, emit } = this.#options
    if (code === 'closed' || QUIET_ENDS.includes(code)) return
    if (isBarring(code) && !this.#barredNews.take(clock.now())) return
    logger.warn({ peer: node, address: formatAddress(address), code, byPeer }, message)
    emit({ type: 'refused', node, address, code, message, byPeer })
  }
}

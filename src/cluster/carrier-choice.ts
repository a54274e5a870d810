/**
 * Over which carrier a node dials: UDP, and TCP where UDP got no answer.
 *
 * An address that stays silent over UDP is tried over TCP. A network that blocks UDP would cost every dial the whole
 * wait, so it is remembered for a while that UDP was answered nowhere and TCP was: then both are raced, UDP a moment
 * before. The first answer over UDP ends that.
 */
import type { Clock } from '../../transport/clock.ts'
import type { Transport } from '../../transport/transport.ts'
import type { DialOutcome } from './dialler.ts'

/** How long a network is believed to block UDP, and an answer over UDP to show that it does not. */
const BELIEF_MS = 10 * 60_000

/** How an attempt over UDP ends where nothing came back. A refusal would be the same over TCP. */
const SILENCE: readonly string[] = ['ERR_SKEIN_CONNECT_TIMEOUT', 'ERR_SKEIN_CONNECTION_LOST']

export type Carrier = 'udp' | 'tcp'

export class CarrierChoice {
  readonly #clock: Clock
  readonly #has: Carrier | 'both'
  #answeredMs = Number.NEGATIVE_INFINITY
  #blockedUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, { kind, hasTcp }: Pick<Transport, 'kind' | 'hasTcp'>) {
    this.#clock = clock
    this.#has = kind === 'tcp' ? 'tcp' : hasTcp === true ? 'both' : 'udp'
  }

  /** How an address is to be tried, in that order; `isSilent`: over UDP nothing came back. */
  order(isSilent: boolean): readonly Carrier[] {
    if (this.#has !== 'both') return [this.#has]
    return isSilent || this.#clock.now() < this.#blockedUntilMs ? ['udp', 'tcp'] : ['udp']
  }

  /** What became of an attempt. True: the address is silent over UDP. */
  ended(carrier: Carrier, outcome: DialOutcome): boolean {
    const now = this.#clock.now()
    const isAnswered = outcome.type === 'up' || outcome.end.byPeer
    if (carrier === 'udp' && isAnswered) {
      this.#answeredMs = now
      this.#blockedUntilMs = Number.NEGATIVE_INFINITY
    }
    if (carrier === 'tcp' && outcome.type === 'up' && now - this.#answeredMs > BELIEF_MS) {
      this.#blockedUntilMs = now + BELIEF_MS
    }
    return carrier === 'udp' && !isAnswered && SILENCE.includes(outcome.end.code)
  }
}

/**
 * Who of the connected nodes still lives: ticks, pings, questions to third parties, and the verdict on a connection.
 *
 * In a full mesh whoever dialled a peer sends it a tick each interval. The carrier's acknowledgement shows that the peer
 * lives, so the peer sends none of its own while those come and tell it nothing new: half the packets. Beyond it there is one ping with each beat, to the peer that was
 * not heard for longest, so the traffic does not grow with the number of connections. A peer that is silent is pinged, and
 * up to three others are asked to ping it; while any of them hears it the verdict waits, up to a limit. One timer per
 * node. A verdict is about one's own connection alone: what it means for the membership of the cluster suspicions.ts decides.
 */
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import { type Beat, Liveness, type LivenessPreset, Pulse } from '../liveness.ts'
import {
  decodeProbe,
  decodeProbed,
  encodeProbe,
  encodeProbed,
  MEMBERSHIP_FRAMES,
  MEMBERSHIP_VERSION,
  NO_MESH,
} from './frames.ts'
import { IndirectProbes, MAX_HELPERS } from './indirect-probes.ts'

/** Beyond a full mesh every connection is used at least this often, by one end or the other: none falls idle. */
const MAX_ROUND_MS = 6000
/** Both ends of a connection ping. */
const ENDS = 2

/** A connection as membership needs it. */
export interface Carrier {
  readonly id: string
  readonly version: number
  readonly isHidden: boolean
  /** The peer dialled, and what it sends is acknowledged at once, by this node and not by its kernel: it needs no ticks of ours. */
  readonly acknowledgesTicks?: boolean
  /** Monotonic time of the last byte of the peer. */
  readonly lastHeardMs: number
  rttMs(): number
  tick(checksum: number): void
  /** A ping whose pong comes back to `Detector.ponged`. */
  probe(number: number): void
  tell(frame: number, body: Uint8Array): void
  /** The peer was silent for too long. */
  giveUp(): void
}

export interface DetectorHost {
  readonly clock: Clock
  readonly random: Random
  readonly preset: LivenessPreset
  /** Of the membership this node sees, for ticks. */
  checksum(): number
  /** Everybody is connected to everybody: peers tick. */
  isFull(): boolean
  /** Whether this member may well be connected to that one. */
  mayHear(helper: string, subject: string): boolean
  /** A peer does not answer. */
  silent(id: string): void
  /** After each look at all peers. */
  beat(nowMs: number): void
}

interface Link {
  readonly carrier: Carrier
  readonly liveness: Liveness
  isSilent: boolean
  /** A tick came since ours was due last, and there is nothing to tell in return. */
  isTickAnswered: boolean
  /** How often it was asked for since it is silent. */
  asks: number
}

export class Detector {
  readonly #host: DetectorHost
  readonly #pulse: Pulse
  readonly #probes: IndirectProbes
  readonly #links = new Map<string, Link>()
  #timer: Timer | undefined
  #stopped = false

  constructor(host: DetectorHost) {
    this.#host = host
    this.#pulse = new Pulse(host.preset, host.clock.now())
    this.#probes = new IndirectProbes(host.random)
  }

  start(): void {
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  up(carrier: Carrier): void {
    const liveness = new Liveness(this.#host.preset, this.#host.clock.now())
    this.#links.set(carrier.id, { carrier, liveness, isSilent: false, isTickAnswered: false, asks: 0 })
  }

  down(id: string): void {
    this.#links.delete(id)
  }

  /** This process is late itself: it had better accuse nobody. */
  get isSlow(): boolean {
    return this.#pulse.isSlow
  }

  /** For so long this peer has owed us a sign of life; undefined if it is not connected. */
  silenceMs(id: string): number | undefined {
    const link = this.#links.get(id)
    if (link === undefined) return undefined
    return link.isSilent ? link.liveness.silenceMs : 0
  }

  /** Somebody doubts that it lives: let us see. */
  probeNow(id: string): void {
    const link = this.#links.get(id)
    if (link === undefined || link.liveness.isAsked) return
    this.#ping(link, this.#host.clock.now())
  }

  /** A third party hears it, or it has spoken through others. */
  confirmed(id: string): void {
    this.#links.get(id)?.liveness.confirmed(this.#host.clock.now())
  }

  /** A tick of the peer. */
  ticked(id: string, checksum: number): void {
    const link = this.#links.get(id)
    if (link?.carrier.acknowledgesTicks !== true) return
    const own = this.#host.checksum()
    link.isTickAnswered = checksum === own || checksum === NO_MESH || own === NO_MESH
  }

  /** The answer to a `probe` of a carrier. */
  ponged(id: string, number: number): void {
    const errand = this.#probes.ponged(id, number)
    if (errand === undefined) return
    this.#answer(errand.asker, errand.nonce, true)
  }

  /** A frame of a peer: probe or probed. Throws ERR_SKEIN_PROTOCOL. */
  received(from: string, frame: number, body: Uint8Array): void {
    const nowMs = this.#host.clock.now()
    if (frame === MEMBERSHIP_FRAMES.probed) {
      const { nonce, isAlive } = decodeProbed(body)
      const subject = this.#probes.answered(from, nonce, nowMs)
      if (subject !== undefined && isAlive) this.confirmed(subject)
      return
    }
    const { nonce, subject } = decodeProbe(body)
    const link = this.#links.get(subject)
    const number = link === undefined ? undefined : this.#probes.accept(from, nonce, subject, nowMs)
    if (number === undefined) this.#answer(from, nonce, false)
    else link?.carrier.probe(number)
  }

  #answer(asker: string, nonce: number, isAlive: boolean): void {
    this.#links.get(asker)?.carrier.tell(MEMBERSHIP_FRAMES.probed, encodeProbed({ nonce, isAlive }))
  }

  #arm(): void {
    if (this.#stopped) return
    this.#timer = this.#host.clock.after(this.#pulse.checkIntervalMs, () => this.#beat(), true)
  }

  #beat(): void {
    const nowMs = this.#host.clock.now()
    const beat = this.#pulse.beat(nowMs)
    const isFull = this.#host.isFull()
    const checksum = this.#host.checksum()
    for (const link of [...this.#links.values()]) this.#look(link, nowMs, beat, isFull, checksum)
    if (!isFull) this.#pingOldest(nowMs, checksum)
    this.#host.beat(nowMs)
    this.#arm()
  }

  #look(link: Link, nowMs: number, beat: Beat, isFull: boolean, checksum: number): void {
    const { carrier, liveness } = link
    const ticks = isFull || carrier.version < MEMBERSHIP_VERSION
    const hints = { onlyIfAsked: !isFull, rttMs: () => carrier.rttMs() }
    const verdict = liveness.check(nowMs, carrier.lastHeardMs, beat, hints)
    if (verdict === 'down') {
      carrier.giveUp()
      return
    }
    if (beat.tick) {
      if (ticks && !link.isTickAnswered) carrier.tick(checksum)
      link.isTickAnswered = false
    }
    link.isSilent = verdict === 'silent'
    if (!link.isSilent) link.asks = 0
    else if (!this.#pulse.isSlow || link.asks > 0 || liveness.silenceMs >= this.#host.preset.downAfterMs) {
      if (link.asks === 0 || beat.tick) this.#askFor(link, nowMs)
      link.asks++
      this.#host.silent(carrier.id)
    }
  }

  #ping({ carrier, liveness }: Link, nowMs: number): void {
    liveness.asked(nowMs)
    carrier.probe(this.#probes.pingNumber())
  }

  #askFor(link: Link, nowMs: number): void {
    const subject = link.carrier.id
    // The packets that it owes an answer to repeat themselves; one more does no harm.
    if (link.asks === 0) this.#ping(link, nowMs)
    const helpers = this.#helpersFor(subject)
    const nonce = helpers.length === 0 ? undefined : this.#probes.ask(subject, new Set(helpers.map(idOf)), nowMs)
    if (nonce === undefined) return
    const body = encodeProbe({ nonce, subject })
    for (const { carrier } of helpers) carrier.tell(MEMBERSHIP_FRAMES.probe, body)
  }

  /** A few of those that may hear it, by chance: each time others. */
  #helpersFor(subject: string): Link[] {
    const fit = [...this.#links.values()].filter(
      ({ carrier, isSilent }) =>
        !isSilent &&
        carrier.id !== subject &&
        carrier.version >= MEMBERSHIP_VERSION &&
        !carrier.isHidden &&
        this.#host.mayHear(carrier.id, subject),
    )
    const chosen: Link[] = []
    while (chosen.length < MAX_HELPERS && fit.length > 0) {
      chosen.push(...fit.splice(Math.floor(this.#host.random.float() * fit.length), 1))
    }
    return chosen
  }

  /** Those that were not heard for longest; what a connection carries anyway makes its ping needless. */
  #pingOldest(nowMs: number, checksum: number): void {
    const perBeat = Math.ceil((this.#links.size / ENDS) * (this.#pulse.checkIntervalMs / MAX_ROUND_MS))
    for (let i = 0; i < perBeat; i++) {
      let oldest: Link | undefined
      for (const link of this.#links.values()) {
        if (link.liveness.isAsked || nowMs - link.liveness.lastHeardMs < this.#host.preset.tickIntervalMs) continue
        if (oldest === undefined || link.liveness.lastHeardMs < oldest.liveness.lastHeardMs) oldest = link
      }
      if (oldest === undefined) return
      oldest.carrier.tick(checksum)
      this.#ping(oldest, nowMs)
    }
  }
}

const idOf = ({ carrier }: Link): string => carrier.id

/**
 * One punch: this end's part in finding a straight way to one other node, which tries the same at the same time.
 *
 * Both know a token. Each asks at the addresses where the other may be; packets out make the NATs let packets in. A
 * way is found when an answer comes from where we asked, with the number we asked with: so packets pass in both
 * directions. Who is at the other end it does not prove; the connection does that when it is offered the way.
 *
 * - Every valid question is answered, wherever it comes from: a symmetric NAT shows itself by an unexpected address. The
 *   answer is a question as well, so nothing needs to be remembered of such an address, and no more goes out than came in.
 * - A number is a keyed hash of the address that it is sent to. So it is known again without being remembered, is good
 *   for no other address, and our own question, turned round by a mirror or by our own host, is recognised.
 * - The first question to each target is an opener: it opens our own NAT and ends at the next router. Where a NAT accepts UDP
 *   to itself, what comes in before its own host has sent to that address takes the pair of ports for itself, for half a
 *   minute; so nothing else goes out until the other end had time to open its NAT too.
 * - Everything is over after a bounded time. For a while after its end a punch still answers: the other end may not have
 *   heard us yet.
 */
import { createHmac } from 'node:crypto'
import { addressOf, compactAddress, familyOf } from '../../../discovery/dht/compact-address.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import type { Way } from '../../../transport/way.ts'
import { encodeProbe, type Probe } from './probe-frames.ts'
import { MAX_CANDIDATES } from './punch-plan.ts'
import type { Side, SideWays } from './side-ways.ts'
import { Spread } from './spread.ts'
import { Sweep } from './sweep.ts'
import type { Turn, Turns } from './turns.ts'

/** The other end's candidates, and where the relay sees it. */
const MAX_TARGETS = MAX_CANDIDATES + 1
/**
 * Routers that an opener reaches: our NAT lets it pass, the next one drops it. Behind two NATs the outer one sees nothing of
 * it, and it may be spoiled as without an opener.
 */
const OPENER_HOPS = 2
/**
 * After the opener each target is asked so much later, answered or not: what we send may help the other end too, which has
 * perhaps not found us yet. The relay tells both ends of each other in one turn, so the first pause is for how late a
 * machine may be.
 */
const ASK_AFTER_MS: readonly number[] = [40, 100, 250, 500, 1000]
/** A punch is not over before this, nor as soon after a question: news of more targets, or an answer, may be on its way. */
const QUIET_MS = 2000
/** However many targets are added. */
const MAX_PLAIN_MS = 6000
/** Of a spread or sweep, from its start. A sweep takes 4.1 s, and an answer some time. */
const MAX_MANY_PORTS_MS = 5500
/** Told to whoever began the punch. */
const MAX_FOUND = 4
const KEY_BYTES = 16

/** What is common to all punches of a node. */
export interface PunchGround {
  readonly clock: Clock
  readonly random: Random
  readonly sides: SideWays
  readonly spreads: Turns
  readonly sweeps: Turns
  /** Sends a question, from the shared port or from a side; no further than so many routers. */
  ask(to: Address, bytes: Uint8Array, side?: Side, hops?: number): void
  /** From the shared port. */
  direct(address: Address): Way | undefined
  /** This punch does no more than answer. */
  over(punch: OnePunch): void
}

export interface PunchTask {
  /** 16 bytes that both ends know, fresh for each attempt. */
  readonly token: Uint8Array
  readonly targets: readonly Address[]
  /** Who told of the other end. */
  readonly relay?: string
  /** A way on which a probe was answered; the quickest comes first. */
  found(way: Way): void
  /** It came to its end by itself. */
  over(): void
}

/** What came of a probe that was heard: undefined if it was none for this punch. */
export interface Heard {
  readonly reply: Uint8Array | undefined
}

export class OnePunch {
  readonly #ground: PunchGround
  readonly #task: PunchTask
  readonly token: Uint8Array
  readonly relay: string
  readonly #key: Uint8Array
  readonly #beganMs: number
  #endMs: number
  /** By the bytes of their address. */
  readonly #targets = new Set<string>()
  readonly #found = new Set<string>()
  readonly #timers: Timer[] = []
  #last: Timer | undefined
  #manyPorts: { turn?: Turn; run?: Spread | Sweep } | undefined
  #isOver = false

  constructor(ground: PunchGround, task: PunchTask) {
    this.#ground = ground
    this.#task = task
    this.relay = task.relay ?? ''
    this.token = Uint8Array.from(task.token)
    this.#key = ground.random.bytes(KEY_BYTES)
    this.#beganMs = ground.clock.now()
    this.#endMs = this.#beganMs + QUIET_MS
    this.#armEnd()
  }

  addTargets(addresses: readonly Address[]): void {
    for (const address of addresses) this.#addTarget(address)
  }

  spread(target: Address): void {
    const compact = compactAddress(target)
    const address = compact && addressOf(compact)
    if (compact === undefined || address === undefined || familyOf(address.host) !== 'ip4') return
    const direct = this.#ground.direct(address)
    if (direct === undefined || this.#ground.sides.isFull) return
    const question = this.#question(compact)
    const { clock, sides, ask } = this.#ground
    this.#beginManyPorts(this.#ground.spreads, () => {
      return new Spread({
        clock,
        open: () => sides.open(this, address, direct.maxBytes),
        ask: (side, isOpener) => ask(address, question, side, isOpener ? OPENER_HOPS : undefined),
      })
    })
  }

  sweep(host: string): void {
    const { clock, random, direct, ask, sweeps } = this.#ground
    const compact = compactAddress({ host, port: 1 })
    const plain = compact && addressOf(compact)?.host
    // Whoever has IPv6 has no need of a symmetric NAT, and 2048 questions would find nothing among so many addresses.
    if (plain === undefined || familyOf(plain) !== 'ip4' || direct({ host: plain, port: 1 }) === undefined) return
    this.#beginManyPorts(sweeps, () => {
      return new Sweep({
        clock,
        random,
        probe: (port) => {
          const address = { host: plain, port }
          const bytes = compactAddress(address)
          if (bytes !== undefined) ask(address, this.#question(bytes))
        },
        done: () => this.#manyPorts?.turn?.end(),
      })
    })
  }

  /** A probe with our token; `side` is the one it came to, if not to the shared port. */
  hear(probe: Probe, from: Address, side?: Side): Heard | undefined {
    const compact = compactAddress(from)
    if (compact === undefined) return undefined
    const number = this.#numberFor(compact)
    if (probe.kind === 'ask') {
      // Our own question come back.
      if (probe.number === number) return undefined
      if (side !== undefined && !side.hear()) return undefined
      return { reply: this.#answer(probe.number, this.#wants(from, side) ? number : undefined) }
    }
    if (probe.echo !== number) return undefined
    if (side !== undefined && !side.hear()) return undefined
    this.#isFound(from, compact, side)
    return { reply: probe.kind === 'both' ? this.#answer(probe.number, undefined) : undefined }
  }

  /** Ends it, and whoever began it hears of that. */
  giveUp(): void {
    this.end()
    this.#task.over()
  }

  /** From now on it only answers. Idempotent. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#last?.cancel()
    for (const timer of this.#timers) timer.cancel()
    this.#endManyPorts()
    this.#ground.over(this)
  }

  #addTarget(target: Address): void {
    const compact = compactAddress(target)
    const address = compact && addressOf(compact)
    if (this.#isOver || compact === undefined || address === undefined) return
    const key = keyOf(compact)
    if (this.#targets.size >= MAX_TARGETS || this.#targets.has(key)) return
    if (this.#ground.direct(address) === undefined) return
    this.#targets.add(key)
    const { clock, ask } = this.#ground
    ask(address, this.#question(compact), undefined, OPENER_HOPS)
    this.#askOften(address, compact)
    const quietMs = clock.now() + Math.max(...ASK_AFTER_MS) + QUIET_MS
    this.#extend(Math.min(quietMs, this.#beganMs + MAX_PLAIN_MS))
  }

  #askOften(address: Address, compact: Uint8Array, side?: Side): void {
    const { clock, ask } = this.#ground
    const question = this.#question(compact)
    for (const ms of ASK_AFTER_MS) this.#timers.push(clock.after(ms, () => ask(address, question, side), true))
  }

  /** One spread or sweep, once, and only as long as nothing was found. */
  #beginManyPorts(turns: Turns, start: () => Spread | Sweep): void {
    if (this.#isOver || this.#manyPorts !== undefined || this.#found.size > 0) return
    const manyPorts: { turn?: Turn; run?: Spread | Sweep } = {}
    this.#manyPorts = manyPorts
    manyPorts.turn = turns.take(() => {
      this.#extend(this.#ground.clock.now() + MAX_MANY_PORTS_MS)
      manyPorts.run = start()
    })
  }

  #endManyPorts(): void {
    this.#manyPorts?.run?.end()
    this.#manyPorts?.turn?.end()
  }

  #extend(untilMs: number): void {
    if (untilMs <= this.#endMs) return
    this.#endMs = untilMs
    this.#armEnd()
  }

  #armEnd(): void {
    const { clock } = this.#ground
    this.#last?.cancel()
    this.#last = clock.after(this.#endMs - clock.now(), () => this.giveUp(), true)
  }

  #wants(from: Address, side: Side | undefined): boolean {
    const way = side?.way ?? this.#ground.direct(from)
    return !this.#isOver && way !== undefined && !this.#found.has(way.key)
  }

  #isFound(from: Address, compact: Uint8Array, side: Side | undefined): void {
    const way = side?.way ?? this.#ground.direct(from)
    if (this.#isOver || way === undefined || this.#found.has(way.key) || this.#found.size >= MAX_FOUND) return
    this.#found.add(way.key)
    this.#endManyPorts()
    if (side !== undefined || !this.#targets.has(keyOf(compact))) this.#askOften(from, compact, side)
    this.#task.found(way)
  }

  #question(compact: Uint8Array): Uint8Array {
    return encodeProbe({ kind: 'ask', token: this.token, number: this.#numberFor(compact), echo: 0 })
  }

  #answer(echo: number, number: number | undefined): Uint8Array {
    const kind = number === undefined ? 'answer' : 'both'
    return encodeProbe({ kind, token: this.token, number: number ?? 0, echo })
  }

  #numberFor(compact: Uint8Array): number {
    return createHmac('sha256', this.#key).update(compact).digest().readUInt32BE(0)
  }
}

const keyOf = (compact: Uint8Array): string => Buffer.from(compact).toString('latin1')

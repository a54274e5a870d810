/**
 * Multicast DNS on one network interface: a socket, a responder, a browser and the timer that drives them.
 *
 * A link never throws and never gives up: what goes wrong is kept as its problem until it hears a packet of its own
 * again, which is the proof that multicast works here.
 */
import type { Address } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { NodeRecord } from '../source.ts'
import { Browser, type Seen } from './browser.ts'
import type { Echoes } from './echoes.ts'
import { type IsNeighbour, isOwnAddress, type MulticastInterface, neighboursOf } from './interfaces.ts'
import type { Packet } from './packet.ts'
import { Responder } from './responder.ts'
import { type LabelNumbers, type NodeService, serviceOf } from './service.ts'
import type { MulticastSocket, OpenSocket } from './socket.ts'

/** A packet to oneself takes less than a millisecond; a busy machine may take much longer to look at it. */
export const ECHO_LIMIT_MS = 2000

/** Counts of all links of a source. */
export interface LinkCounters {
  sent: number
  received: number
  /** Datagrams that are no DNS packets. */
  malformed: number
  /** Packets from senders that are no neighbours on the interface. */
  offLink: number
  socketErrors: number
  /** Answers to plain resolvers. */
  legacy: number
}

export interface LinkOptions {
  readonly clock: Clock
  readonly random: Random
  readonly port: number
  readonly openSocket: OpenSocket
  readonly counters: LinkCounters
  /** Shared by the links of a node: they may lie on one wire. */
  readonly echoes: Echoes
  /** Whether the node starts, or the interface came later. */
  readonly start: 'at once' | 'spread'
  /** These node names are seen otherwise than before. */
  readonly onChange: (names: ReadonlySet<string>) => void
  /** The link hears itself, or has a problem. */
  readonly onVerdict: () => void
}

export class Link {
  readonly face: MulticastInterface
  readonly #options: LinkOptions
  readonly #isNeighbour: IsNeighbour
  readonly #responder: Responder
  readonly #browser: Browser
  readonly #opening: Promise<void>
  readonly #seen = new Map<string, Seen>()
  #socket: MulticastSocket | undefined
  #timer: Timer | undefined
  #timerMs = Number.POSITIVE_INFINITY
  /** Heard a packet of its own, and nothing went wrong since. */
  #heard = false
  /** Since when packets of its own do not come back. */
  #unheardMs = Number.POSITIVE_INFINITY
  #problem: string | undefined
  #closing: Promise<void> | undefined

  /** Opens at once. */
  constructor(face: MulticastInterface, record: NodeRecord, options: LinkOptions) {
    this.face = face
    this.#options = options
    this.#isNeighbour = neighboursOf(face)
    this.#responder = new Responder(options.random, options.echoes)
    this.#browser = new Browser(options.clock.now(), record, face, options.random, options.start)
    this.publish(record)
    const handler = {
      onPacket: (packet: Packet, from: Address) => this.#receive(packet, from),
      onMalformed: () => {
        options.counters.malformed++
      },
      onError: (reason: string) => {
        options.counters.socketErrors++
        this.#problem = reason
        this.#heard = false
        options.onVerdict()
      },
    }
    this.#opening = options.openSocket(face, options.port, handler).then(
      (socket) => {
        this.#socket = socket
        this.#turn()
      },
      (error: unknown) => handler.onError(String(error)),
    )
  }

  /** The nodes seen here. */
  get seen(): Iterable<Seen> {
    return this.#seen.values()
  }

  /** Instances that found no room. */
  get refused(): number {
    return this.#browser.refused
  }

  /** Services seen that are no nodes of our cluster. */
  get foreign(): number {
    return this.#browser.foreign
  }

  /** Why it does not work, as far as the system told. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Whether it hears what it sends. */
  get works(): boolean {
    return this.#heard && this.#options.clock.now() - this.#unheardMs < ECHO_LIMIT_MS
  }

  publish(record: NodeRecord): void {
    this.#browser.become(this.#options.clock.now(), record)
    const plain = serviceOf(record, this.face)
    if (plain === undefined) {
      for (const packet of this.#responder.goodbye()) this.#send(packet)
      return
    }
    const build = (numbers: LabelNumbers): NodeService => serviceOf(record, this.face, numbers) ?? plain
    this.#responder.publish(this.#options.clock.now(), build)
    this.#turn()
  }

  refresh(): void {
    this.#browser.refresh(this.#options.clock.now())
    this.#turn()
  }

  /** Says goodbye and frees the socket. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    await this.#opening
    for (const packet of this.#responder.goodbye()) this.#send(packet)
    // A socket that cannot be closed has been closed by the system.
    await this.#socket?.close().catch(() => {})
  }

  #receive(packet: Packet, from: Address): void {
    if (this.#closing !== undefined) return
    const { counters, clock, port } = this.#options
    if (!this.#isNeighbour(from.host)) {
      counters.offLink++
      return
    }
    counters.received++
    if (from.port === port && isOwnAddress(this.face, from.host)) this.#heardItself()
    if (from.port !== port) {
      // RFC 6762 section 6: a response from another port than 5353 is none. A question is that of a plain resolver (6.7).
      const answer = packet.kind === 'query' ? this.#responder.answerLegacy(clock.now(), packet) : undefined
      if (answer === undefined) return
      counters.legacy++
      this.#socket?.send(answer, from)
      return
    }
    this.#responder.handle(clock.now(), packet, from.host, this.#browser.isAlone)
    this.#browser.handle(clock.now(), packet)
    this.#turn()
  }

  #heardItself(): void {
    const first = !this.works
    this.#heard = true
    this.#unheardMs = Number.POSITIVE_INFINITY
    this.#problem = undefined
    if (first) this.#options.onVerdict()
  }

  /** Sends what is due, tells what changed, and arms the timer for what comes next. */
  #turn(): void {
    if (this.#socket === undefined || this.#closing !== undefined) return
    const { clock } = this.#options
    const nowMs = clock.now()
    const own = this.#responder.service
    for (const packet of this.#responder.poll(nowMs)) this.#send(packet)
    for (const packet of this.#browser.poll(nowMs, own === undefined ? [] : [own.pointer])) this.#send(packet)
    this.#tellChanges()
    const dueMs = Math.min(this.#responder.deadlineMs(), this.#browser.deadlineMs())
    if (dueMs === this.#timerMs) return
    this.#timer?.cancel()
    this.#timerMs = dueMs
    this.#timer = clock.after(
      dueMs - nowMs,
      () => {
        this.#timerMs = Number.POSITIVE_INFINITY
        this.#turn()
      },
      true,
    )
  }

  #tellChanges(): void {
    const changes = this.#browser.takeChanges()
    if (changes.length === 0) return
    const names = new Set<string>()
    for (const { instance, seen } of changes) {
      const before = this.#seen.get(instance)
      if (before !== undefined) names.add(before.name)
      if (seen !== undefined) names.add(seen.name)
      if (seen === undefined) this.#seen.delete(instance)
      else this.#seen.set(instance, seen)
    }
    this.#options.onChange(names)
  }

  #send(packet: Packet): void {
    if (this.#socket === undefined) return
    this.#options.counters.sent++
    this.#unheardMs = Math.min(this.#unheardMs, this.#options.clock.now())
    this.#socket.send(packet)
  }
}

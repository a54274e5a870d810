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
import { type IsNeighbour, isOwnAddress, type MulticastInterface, neighboursOf } from './interfaces.ts'
import { type Packet, type ResourceRecord, recordKey } from './packet.ts'
import { Responder } from './responder.ts'
import { recordsOf, serviceOf } from './service.ts'
import type { MulticastSocket, OpenSocket } from './socket.ts'

/** Twice the longest pause between questions, and some: who has not heard one of his own by then is deaf. */
const HEARD_VALID_MS = 150_000

/** Counts of all links of a source. */
export interface LinkCounters {
  sent: number
  received: number
  /** Datagrams that are no DNS packets. */
  malformed: number
  /** Packets from senders that are no neighbours on the interface. */
  offLink: number
  socketErrors: number
}

export interface LinkOptions {
  readonly clock: Clock
  readonly random: Random
  readonly port: number
  readonly openSocket: OpenSocket
  readonly counters: LinkCounters
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
  #heardMs = Number.NEGATIVE_INFINITY
  #problem: string | undefined
  #closing: Promise<void> | undefined

  /** Opens at once. */
  constructor(face: MulticastInterface, record: NodeRecord, options: LinkOptions) {
    this.face = face
    this.#options = options
    this.#isNeighbour = neighboursOf(face)
    this.#responder = new Responder(options.random)
    this.#browser = new Browser(options.clock.now(), record, face, options.random)
    this.publish(record)
    const handler = {
      onPacket: (packet: Packet, from: Address) => this.#receive(packet, from),
      onMalformed: () => {
        options.counters.malformed++
      },
      onError: (reason: string) => {
        options.counters.socketErrors++
        this.#problem = reason
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

  /** Why it does not work, as far as the system told. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Whether it heard itself lately. */
  get works(): boolean {
    return this.#options.clock.now() - this.#heardMs < HEARD_VALID_MS
  }

  publish(record: NodeRecord): void {
    const service = serviceOf(record, this.face)
    const current = this.#responder.service
    if (service === undefined) {
      for (const packet of this.#responder.goodbye()) this.#send(packet)
    } else if (current === undefined || !sameRecords(recordsOf(current), recordsOf(service))) {
      this.#responder.publish(this.#options.clock.now(), service)
      this.#turn()
    }
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
    if (isOwnAddress(this.face, from.host)) this.#heardItself()
    // RFC 6762 section 6: a response from another port than 5353 is none.
    if (packet.kind === 'response' && from.port !== port) return
    this.#responder.handle(clock.now(), packet, `${from.host} ${from.port}`)
    this.#browser.handle(clock.now(), packet)
    this.#turn()
  }

  #heardItself(): void {
    const first = !this.works
    this.#heardMs = this.#options.clock.now()
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
    this.#socket.send(packet)
  }
}

const sameRecords = (a: readonly ResourceRecord[], b: readonly ResourceRecord[]): boolean =>
  a.length === b.length && a.every((record, index) => recordKey(record) === recordKey(b[index]!))

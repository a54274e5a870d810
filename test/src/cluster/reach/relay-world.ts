/**
 * A relay and members around it in virtual time: the real service and the real clients, with sessions that keep frames in
 * order and lose what is under way when they end. A session ends when one side cannot read what the other one sent.
 */
import { isSkeinError } from '../../../../certs/errors.ts'
import { nodeIdOf } from '../../../../certs/node-id.ts'
import { CONTROL } from '../../../../src/cluster/control.ts'
import type { ReachPeer } from '../../../../src/cluster/reach/reach-peer.ts'
import { RelayClient, type RelayedWay } from '../../../../src/cluster/reach/relay-client.ts'
import { isForRelay } from '../../../../src/cluster/reach/relay-frames.ts'
import { type RelayLimits, RelayService } from '../../../../src/cluster/reach/relay-service.ts'
import type { Address } from '../../../../transport/address.ts'
import { type Random, seededRandom } from '../../../../transport/random.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import type { Way } from '../../../../transport/way.ts'

/** One way between a member and the relay. */
const DELAY_MS = 5
const ROUND_TRIP_MS = 2 * DELAY_MS

interface Frame {
  readonly type: number
  readonly body: Uint8Array
}

/** A member, with one session to the relay. */
export class Member {
  readonly id: string
  readonly name: string
  readonly address: Address
  readonly client: RelayClient
  readonly incoming: RelayedWay[] = []
  readonly gone: RelayedWay[] = []
  /** What came by relayed ways, by their keys. */
  readonly received: { key: string; bytes: Uint8Array }[] = []
  readonly retired: string[] = []
  /** All that the relay sent. */
  readonly frames: Frame[] = []
  readonly datagrams: Uint8Array[] = []
  /** The relay, as this member sees it. */
  readonly relay: ReachPeer
  isUp = true
  /** False: its client is not told, and it does not answer. */
  isHonest = true
  /** The session to it is full of frames that it does not read: the next one ends it. */
  isClogged = false
  /** Datagrams that the session takes towards this member; beyond it there is no room. */
  room = Number.POSITIVE_INFINITY

  constructor(world: RelayWorld, number: number) {
    this.id = nodeIdOf(Buffer.alloc(32, `member ${number}`))
    this.name = `m${number}@test`
    this.address = { host: `10.0.${number >> 8}.${number & 255}`, port: 4000 + number }
    this.client = new RelayClient({
      clock: world.clock,
      ways: {
        direct: () => undefined,
        receive: ({ key }: Way, bytes: Uint8Array) => this.received.push({ key, bytes }),
        gone: ({ key }: Way) => this.retired.push(key),
      },
      incoming: (relayed) => this.incoming.push(relayed),
      gone: (relayed) => this.gone.push(relayed),
    })
    this.relay = {
      id: world.id,
      name: 'relay@test',
      address: { host: '10.1.0.1', port: 4433 },
      sendFrame: (type, body) => world.toRelay(this, () => world.handle(this, type, body)),
      sendDatagram: (bytes) => {
        world.toRelay(this, () => world.service.datagram(world.peerOf(this), bytes))
        return this.isUp
      },
    }
  }

  /** The texts that came. */
  get texts(): string[] {
    return this.received.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
  }
}

export class RelayWorld {
  readonly id = nodeIdOf(Buffer.alloc(32, 'relay'))
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly service: RelayService
  readonly members: Member[] = []
  readonly #peers = new Map<Member, ReachPeer>()

  constructor(options: { limits?: Partial<RelayLimits>; isEnabled?: boolean; seed?: number } = {}) {
    const { limits = {}, isEnabled = true, seed = 1 } = options
    this.random = seededRandom(seed)
    this.service = new RelayService({
      clock: this.clock,
      random: this.random,
      limits,
      isEnabled,
      peer: (id) => {
        const member = this.members.find((one) => one.id === id && one.isUp)
        return member && this.peerOf(member)
      },
    })
  }

  join(): Member {
    const member = new Member(this, this.members.length)
    this.members.push(member)
    return member
  }

  /** A member, as the relay sees it. */
  peerOf(member: Member): ReachPeer {
    const known = this.#peers.get(member)
    if (known !== undefined) return known
    const peer: ReachPeer = {
      id: member.id,
      name: member.name,
      address: member.address,
      sendFrame: (type, body) => {
        if (member.isClogged) return this.end(member)
        const copy = Uint8Array.from(body)
        this.#toMember(member, () => {
          member.frames.push({ type, body: copy })
          if (member.isHonest) member.client.frame(member.relay, type, copy)
        })
      },
      sendDatagram: (bytes) => {
        if (member.room <= 0 || !member.isUp) return false
        member.room--
        const copy = Uint8Array.from(bytes)
        this.#toMember(member, () => {
          member.datagrams.push(copy)
          if (member.isHonest && !isForRelay(copy)) member.client.datagram(member.relay, copy)
        })
        return true
      },
    }
    this.#peers.set(member, peer)
    return peer
  }

  toRelay(member: Member, work: () => void): void {
    if (member.isUp) this.#later(member, work)
  }

  #toMember(member: Member, work: () => void): void {
    if (member.isUp) this.#later(member, work)
  }

  #later(member: Member, work: () => void): void {
    this.clock.after(DELAY_MS, () => {
      if (!member.isUp) return
      try {
        work()
      } catch (error) {
        if (!isSkeinError(error, 'ERR_SKEIN_PROTOCOL')) throw error
        this.end(member)
      }
    })
  }

  handle(member: Member, type: number, body: Uint8Array): void {
    const peer = this.peerOf(member)
    if (type === CONTROL.relayAsk) this.service.ask(peer, body)
    else if (type === CONTROL.relayClose) this.service.close(peer, body)
  }

  /** The session between this member and the relay ends. */
  end(member: Member): void {
    if (!member.isUp) return
    member.isUp = false
    this.service.gone(member.id)
    member.client.gone(this.id)
  }

  again(member: Member): void {
    member.isUp = true
  }

  /** Until all that is under way has come. */
  settle(): void {
    this.clock.advance(2 * ROUND_TRIP_MS)
  }

  /** Asks, and gives both ends. */
  async open(from: Member, to: Member): Promise<{ own: RelayedWay; other: RelayedWay }> {
    const asked = from.client.ask(from.relay, to.id)
    this.settle()
    const own = await asked
    const other = to.incoming.at(-1)
    if (other === undefined) throw new Error('the other end heard nothing')
    return { own, other }
  }
}

/** Sends a text by a way. */
export const sendText = ({ way }: RelayedWay, text: string): void => {
  const bytes = Buffer.from(text, 'latin1')
  way.send(bytes, bytes.length)
}

/** The code and message of what a promise rejects with. */
export const rejection = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing was rejected',
    (error: unknown) => (isSkeinError(error) ? `${error.code}: ${error.message}` : String(error)),
  )

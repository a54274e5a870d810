/**
 * Members with a real Reach each, in virtual time, and sessions between them that carry frames and datagrams but no QUIC:
 * a connection goes the way that the test says.
 */
import { nodeIdOf } from '../../../../certs/node-id.ts'
import type { ConnectedNode } from '../../../../src/cluster/connected-node.ts'
import { Reach, type ReachOptions } from '../../../../src/cluster/reach/reach.ts'
import { SelfView } from '../../../../src/cluster/reach/self-view.ts'
import type { Session } from '../../../../src/cluster/session.ts'
import type { Address } from '../../../../transport/address.ts'
import { seededRandom } from '../../../../transport/random.ts'
import type { Transport } from '../../../../transport/transport.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import type { Way } from '../../../../transport/way.ts'

/** One way between two members. */
const DELAY_MS = 5

export class World {
  readonly clock = new VirtualClock()
  readonly random = seededRandom(7)
  readonly members: Member[] = []

  member(options: Partial<ReachOptions> = {}): Member {
    const member = new Member(this, this.members.length, options)
    this.members.push(member)
    return member
  }

  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.now() + ms })
  }
}

export interface LinkOptions {
  /** By which ways each end sends; straight from the port without. */
  readonly ways?: readonly [Way, Way]
  readonly reaches?: boolean
}

export class Member {
  readonly world: World
  readonly id: string
  readonly name: string
  readonly address: Address
  readonly reach: Reach
  readonly view: SelfView
  /** Of those that are up, by the id of the other end. */
  readonly ends = new Map<string, End>()
  /** What came by relayed ways. */
  readonly received: string[] = []
  readonly gone: string[] = []
  readonly probes: Address[] = []
  readonly dialled: Address[] = []
  readonly defects: unknown[] = []
  /** Who answers a dial to an address. */
  onDial: (address: Address) => void = () => {}

  constructor(world: World, number: number, options: Partial<ReachOptions>) {
    this.world = world
    this.id = nodeIdOf(Buffer.alloc(32, `member ${number}`))
    this.name = `m${number}@test`
    this.address = { host: `203.0.113.${number + 1}`, port: 4433 }
    const { clock, random } = world
    this.view = new SelfView({ clock, local: () => [{ host: `10.0.0.${number + 1}`, port: 4433 }], changed: () => {} })
    const transport: Partial<Transport> = {
      onDatagram: () => {},
      sendDatagram: (to) => this.probes.push(to),
    }
    this.reach = new Reach({
      selfId: this.id,
      clock,
      random,
      transport: transport as Transport,
      ways: {
        direct: portWay,
        receive: (_way, bytes) => this.received.push(Buffer.from(bytes).toString('latin1')),
        gone: (way) => this.gone.push(way.key),
      },
      view: this.view,
      relays: true,
      host: {
        dial: async (_what, address) => {
          this.dialled.push(address)
          this.onDial(address)
        },
        moved: () => {},
        defect: (error) => this.defects.push(error),
      },
      ...options,
    })
  }

  /** A connection of this one to another, up at both ends. */
  link(other: Member, options: LinkOptions = {}): [End, End] {
    const [own, its] = this.meet(other, options)
    own.up()
    its.up()
    return [own, its]
  }

  /** The same with TLS done, and no more. */
  meet(other: Member, { ways, reaches = true }: LinkOptions = {}): [End, End] {
    const own = new End(this, other, 'initiator', ways?.[0] ?? portWay(other.address), reaches)
    const its = new End(other, this, 'acceptor', ways?.[1] ?? portWay(this.address), reaches)
    own.other = its
    its.other = own
    for (const { owner, asSession } of [own, its]) owner.reach.opened(asSession)
    return [own, its]
  }
}

/** One end of a connection. */
export class End {
  readonly owner: Member
  readonly peer: Member
  readonly role: Session['role']
  readonly id: string
  readonly reaches: boolean
  other: End | undefined
  isOver = false
  /** Nothing that it sends arrives. */
  isCut = false
  readonly offered: string[] = []
  readonly frames: { readonly type: number; readonly body: Uint8Array }[] = []
  pings = 0
  lastHeardMs: number
  sentBytes = 0
  current: Way

  constructor(owner: Member, peer: Member, role: Session['role'], way: Way, reaches: boolean) {
    this.owner = owner
    this.peer = peer
    this.role = role
    this.id = peer.id
    this.current = way
    this.reaches = reaches
    this.lastHeardMs = owner.world.clock.now()
  }

  get asSession(): Session {
    return this as unknown as Session
  }

  // What Reach asks of a session

  get way(): Way['kind'] {
    return this.current.kind
  }

  get remote(): Address {
    return this.current.address
  }

  readonly lanes = this.#lanes()

  meshFrame(type: number, body: Uint8Array): void {
    this.frames.push({ type, body })
    this.#send((other) => other.owner.reach.frame(other.asSession, type, body))
  }

  async ping(): Promise<number> {
    this.pings++
    this.#send((other) => other.#send(() => {}))
    return 0
  }

  // What a test does

  up(): void {
    const { owner, peer, reaches } = this
    const before = owner.ends.get(peer.id)
    before?.end()
    owner.ends.set(peer.id, this)
    owner.reach.up(
      { id: peer.id, name: peer.name, reaches, dialled: this.role === 'initiator' } as ConnectedNode,
      this.asSession,
    )
  }

  /** This end is over, and if it was up everybody hears of it. */
  end(): void {
    if (this.isOver) return
    this.isOver = true
    if (this.owner.ends.get(this.id) !== this) return
    this.owner.ends.delete(this.id)
    this.owner.reach.down(this.id)
  }

  /** Says something, which the other end acknowledges. */
  speak(): void {
    this.#send((other) => other.#send(() => {}))
  }

  move(way: Way): void {
    this.current = way
    this.owner.reach.moved(this.asSession)
  }

  /** Both ends. */
  cut(): void {
    for (const end of [this, this.other]) if (end !== undefined) end.isCut = true
  }

  #send(deliver: (other: End) => void): void {
    this.sentBytes += 50
    const { other } = this
    if (this.isOver || this.isCut || other === undefined) return
    this.owner.world.clock.after(
      DELAY_MS,
      () => {
        if (other.isOver) return
        other.lastHeardMs = this.owner.world.clock.now()
        deliver(other)
      },
      true,
    )
  }

  #lanes() {
    const end = this
    return {
      get lastHeardMs() {
        return end.lastHeardMs
      },
      connection: {
        get way() {
          return end.current
        },
        get sentBytes() {
          return end.sentBytes
        },
        stats: () => ({ rttMs: 2 * DELAY_MS }),
        offer: (way: Way) => {
          end.offered.push(way.key)
        },
        sendDatagram: (bytes: Uint8Array) => {
          const copy = Uint8Array.from(bytes)
          end.#send((other) => other.owner.reach.datagram(other.asSession, copy))
          return true
        },
      },
    }
  }
}

const portWay = (address: Address): Way => ({
  kind: 'port',
  key: `${address.port} ${address.host}`,
  address,
  maxBytes: 1472,
  send: () => {},
})

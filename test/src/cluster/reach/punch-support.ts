/** One puncher whose packets go nowhere but into a list, in virtual time. */
import { decodeProbe, encodeProbe, type Probe, type ProbeKind } from '../../../../src/cluster/reach/probe-frames.ts'
import { type Punch, Puncher } from '../../../../src/cluster/reach/puncher.ts'
import { type Address, formatAddress } from '../../../../transport/address.ts'
import { seededRandom } from '../../../../transport/random.ts'
import type { SideSocket, SideSockets } from '../../../../transport/side-sockets.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import type { Way } from '../../../../transport/way.ts'

export const TOKEN: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i)
export const at = (port: number, host = '203.0.113.7'): Address => ({ host, port })

export interface Sent {
  readonly to: Address
  readonly bytes: Uint8Array
  readonly atMs: number
  /** The side socket's port. */
  readonly side?: number
  /** Routers that it reaches, if not any number. */
  readonly hops?: number
}

export class Bench {
  readonly clock = new VirtualClock()
  readonly random = seededRandom(42)
  readonly puncher: Puncher
  readonly sent: Sent[] = []
  readonly received: { way: Way; bytes: Uint8Array }[] = []
  readonly gone: Way[] = []
  readonly found: Way[] = []
  over = 0
  /** Side sockets that are open, by port. */
  readonly open = new Map<number, (bytes: Uint8Array, from: Address) => void>()
  /** How many there may be. */
  descriptors = 1000
  /** The machine takes so long to open one. */
  opening: Promise<void> | undefined
  /** What the port cannot reach. */
  unreachable: (address: Address) => boolean = () => false
  #nextPort = 40_000

  constructor() {
    this.puncher = new Puncher({
      clock: this.clock,
      random: this.random,
      sendProbe: (to, bytes, hops) => this.#sent(to, bytes, undefined, hops),
      openSideSockets: (count, receive) => this.#sideSockets(count, receive),
      direct: (address) => (this.unreachable(address) ? undefined : wayTo(address)),
      receive: (way, bytes) => void this.received.push({ way, bytes }),
      gone: (way) => void this.gone.push(way),
    })
  }

  begin(targets: readonly Address[], token = TOKEN): Punch {
    return this.puncher.begin({
      token,
      targets,
      found: (way) => void this.found.push(way),
      over: () => {
        this.over++
      },
    })
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms
    while (this.clock.now() < endMs) {
      this.clock.advance(Math.min(10, endMs - this.clock.now()))
      for (let i = 0; i < 4; i++) await undefined
    }
  }

  /** What was sent since the last call, decoded. */
  take(): (Probe & Sent)[] {
    return this.sent.splice(0).map((one) => ({ ...one, ...decodeProbe(one.bytes)! }))
  }

  hear(from: Address, kind: ProbeKind, { number = 0, echo = 0, token = TOKEN }: Partial<Probe> = {}): void {
    this.puncher.receive(encodeProbe({ kind, token, number, echo }), from)
  }

  hearAside(
    port: number,
    from: Address,
    kind: ProbeKind,
    { number = 0, echo = 0, token = TOKEN }: Partial<Probe> = {},
  ): void {
    this.open.get(port)?.(encodeProbe({ kind, token, number, echo }), from)
  }

  #sent(to: Address, bytes: Uint8Array, side?: number, hops?: number): void {
    const sent = { to, bytes: Uint8Array.from(bytes), atMs: this.clock.now() }
    this.sent.push({ ...sent, ...(side !== undefined && { side }), ...(hops !== undefined && { hops }) })
  }

  #sideSockets(count: number, receive: (bytes: Buffer, from: Address, socket: SideSocket) => void): SideSockets {
    const close = new Set<() => void>()
    return {
      open: async () => {
        if (this.opening !== undefined) await this.opening
        if (this.open.size >= Math.min(count, this.descriptors)) return undefined
        const port = this.#nextPort++
        const socket: SideSocket = {
          port,
          send: (bytes, length, to, hops) => this.#sent(to, bytes.subarray(0, length), port, hops),
          close: () => void this.open.delete(port),
        }
        close.add(socket.close)
        this.open.set(port, (bytes, from) => receive(Buffer.from(bytes), from, socket))
        return socket
      },
      close: () => {
        for (const one of close) one()
      },
    }
  }
}

const wayTo = (address: Address): Way => ({
  kind: 'port',
  key: `port ${formatAddress(address)}`,
  address,
  maxBytes: 1350,
  send: () => {},
})

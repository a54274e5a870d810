/** What the tests of discovery share: records of nodes, a recorder of events, a LAN in memory for multicast DNS. */
import type { MulticastInterface } from '../../discovery/mdns/interfaces.ts'
import { type Packet, packetBytes } from '../../discovery/mdns/packet.ts'
import type { MulticastSocket, OpenSocket, SocketHandler } from '../../discovery/mdns/socket.ts'
import type { DiscoveryEvent, NodeRecord } from '../../discovery/source.ts'
import type { Address } from '../../transport/address.ts'
import { parseHostPort } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import { seededRandom } from '../../transport/random.ts'

const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** A node id of the right shape, the same for the same seed. */
export const idOf = (seed: number): string =>
  Array.from(seededRandom(seed).bytes(32), (byte) => ID_ALPHABET[byte % 32]).join('')

export const addressesOf = (...texts: string[]): Address[] => texts.map((text) => parseHostPort(text))

/** A record of node number `seed`; `change` replaces parts of it. */
export const nodeRecord = (seed: number, change: Partial<NodeRecord> = {}): NodeRecord => ({
  name: `node${seed}@host`,
  id: idOf(seed),
  incarnation: seed.toString(16).padStart(16, '0'),
  addresses: addressesOf(`10.77.0.${seed}:4433`),
  clusterTag: 'tag',
  ...change,
})

/** Collects events and tells them in short form. */
export class EventLog {
  readonly events: DiscoveryEvent[] = []
  readonly emit = (event: DiscoveryEvent): void => {
    this.events.push(event)
  }

  /** As "found node1@host", since the last call. */
  take(): string[] {
    return this.events.splice(0).map(({ type, sighting }) => `${type} ${sighting.name ?? sighting.key}`)
  }
}

/** The interface of a host on the LAN in memory. */
export const faceOf = (host: number): MulticastInterface => ({
  interfaceName: 'eth0',
  loopback: false,
  family: 4,
  address: `10.77.0.${host}`,
  networks: [`10.77.0.${host}/24`],
})

/** One wire: everybody hears every packet a moment later, the sender too, unless the wire is cut. */
export class MemoryLan {
  readonly packets: Packet[] = []
  largestBytes = 0
  /** A packet is lost when this says so. */
  drops: (from: string, to: string) => boolean = () => false
  readonly #clock: Clock
  readonly #sockets = new Set<{ face: MulticastInterface; port: number; handler: SocketHandler }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly open: OpenSocket = async (face, port, handler): Promise<MulticastSocket> => {
    const socket = { face, port, handler }
    this.#sockets.add(socket)
    return {
      send: (packet, to) => {
        if (!this.#sockets.has(socket) || to !== undefined) return
        this.packets.push(packet)
        this.largestBytes = Math.max(this.largestBytes, packetBytes(packet))
        for (const other of this.#sockets) {
          if (other.port !== port || this.drops(face.address, other.face.address)) continue
          this.#clock.after(1, () => {
            if (this.#sockets.has(other)) other.handler.onPacket(packet, { host: face.address, port })
          })
        }
      },
      close: async () => {
        this.#sockets.delete(socket)
      },
    }
  }

  /** The machine with this address loses its power: nothing is said any more. */
  kill(address: string): void {
    for (const socket of this.#sockets) if (socket.face.address === address) this.#sockets.delete(socket)
  }
}

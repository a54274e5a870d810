/**
 * Where a DHT node gets its datagrams: from the port that carries QUIC, or from a port of its own.
 *
 * The second is a bootstrap node: it has no cookie, no key and no cluster, speaks nothing but KRPC, and drops every other
 * datagram unanswered. Any node of any DHT can begin with it.
 */
import type { Address } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import { classify } from '../../transport/demux.ts'
import { localHosts, wireAddress } from '../../transport/local-address.ts'
import type { Random } from '../../transport/random.ts'
import { UdpSocket } from '../../transport/socket.ts'
import type { Transport } from '../../transport/transport.ts'
import { type Family, familyOf } from './compact-address.ts'
import { Dht } from './dht.ts'
import type { SavedTable } from './table-file.ts'

/** What a DHT node takes, also one on the port of a transport. */
export interface DhtNodeOptions {
  readonly clock: Clock
  readonly random: Random
  readonly network?: 'private' | 'public'
  /** Asks and stores, but answers nobody: for those that do not stay (BEP 43). */
  readonly readOnly?: boolean
  /** Of an earlier run. */
  readonly saved?: SavedTable | undefined
}

/** A DHT node on the port of a transport. */
export const dhtOn = (transport: Transport, { saved, ...options }: DhtNodeOptions): Dht => {
  const send = (bytes: Uint8Array, to: Address): void => transport.sendDatagram(to, bytes)
  const dht = new Dht({ ...options, ...saved, send, families: familiesOf(transport.addresses()) })
  transport.onDatagram('krpc', (bytes, from) => dht.receive(bytes, from))
  return dht
}

/** What `openDhtPort` takes. */
export interface DhtPortOptions extends DhtNodeOptions {
  /** Literal address to bind; '::' serves IPv4 as well. */
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
}

/** A DHT node with a port of its own. */
export interface DhtPort {
  readonly dht: Dht
  addresses(): readonly Address[]
  /** Frees the port. Idempotent. */
  close(): Promise<void>
}

/** Opens a port for a DHT alone. Throws ERR_SKEIN_PORT_BUSY or ERR_SKEIN_BIND. */
export const openDhtPort = async ({ host, port, saved, ...options }: DhtPortOptions): Promise<DhtPort> => {
  let dht: Dht | undefined
  const socket = await UdpSocket.open(host, port, (datagram, fromHost, fromPort) => {
    if (classify(datagram) === 'krpc') dht?.receive(datagram, { host: fromHost, port: fromPort })
  })
  const { bound, dualStack } = socket
  const isAnywhere = bound.host === '::' || bound.host === '0.0.0.0'
  const addresses = (): Address[] =>
    isAnywhere ? localHosts(dualStack).map((local) => ({ host: local, port: bound.port })) : [bound]
  const send = (bytes: Uint8Array, to: Address): void => {
    const wire = wireAddress(to, bound.host, dualStack)
    if (wire !== undefined) socket.send(bytes, wire.host, wire.port)
  }
  dht = new Dht({ ...options, ...saved, send, families: familiesOf(addresses()) })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    dht?.stop()
    closing ??= socket.close()
    return closing
  }
  return { dht, addresses, close }
}

/** The families of the addresses; link-local and such are in none, so IPv4 is there in any case. */
const familiesOf = (addresses: readonly Address[]): readonly Family[] => {
  const families = new Set(addresses.map(({ host }) => familyOf(host)))
  return families.size === 0 ? ['ip4'] : [...families].sort()
}

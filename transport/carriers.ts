/**
 * Both carriers of a node as one transport: QUIC over UDP for everything, and TLS over TCP for dials that ask for it.
 *
 * On platforms without a QUIC binary there is TCP alone: no datagrams of other kinds, no ways, and incoming connections
 * only where TCP is listened on. Whoever listens on both has one port number for both.
 */
import { isSkeinError, type SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import type { Address } from './address.ts'
import { openQuicTransport, type QuicTransportOptions } from './quic-transport.ts'
import { openTcpTransport, type TcpTransport } from './tcp-transport.ts'
import type { Connection, ConnectionHandler, ConnectOptions, DatagramKind, Transport } from './transport.ts'
import type { Ways } from './way.ts'

/** Port numbers tried until one is free for both carriers, where nobody asked for a certain one. */
const MAX_PORTS_TRIED = 8

export interface CarriersOptions extends QuicTransportOptions {
  /** Listens on TCP as well. */
  readonly tcp: boolean
  /** Opens the UDP port; rejects with ERR_SKEIN_PLATFORM where there is no engine for it. */
  readonly openQuic?: (options: QuicTransportOptions) => Promise<Transport>
}

/** Opens the port, or ports. Throws ERR_SKEIN_PORT_BUSY, ERR_SKEIN_BIND, ERR_SKEIN_BAD_IDENTITY or ERR_SKEIN_BAD_OPTION. */
export const openCarriers = async ({ tcp, ...options }: CarriersOptions): Promise<Carriers> => {
  const isFree = options.port === 0 || options.portFallback === true
  for (let tried = 1; ; tried++) {
    try {
      return await openOnce(tried === 1 ? options : { ...options, port: 0 }, tcp)
    } catch (error) {
      if (!isFree || tried >= MAX_PORTS_TRIED || !isSkeinError(error, 'ERR_SKEIN_PORT_BUSY')) throw error
    }
  }
}

const openOnce = async (
  { openQuic = openQuicTransport, ...options }: Omit<CarriersOptions, 'tcp'>,
  listens: boolean,
): Promise<Carriers> => {
  const quic = await openQuic(options).catch((error: unknown) => {
    if (isSkeinError(error, 'ERR_SKEIN_PLATFORM')) return error
    throw error
  })
  const openTcp = (port: number): Promise<TcpTransport> =>
    openTcpTransport({ ...options, port: listens ? port : undefined })
  if (isSkeinError(quic)) return new Carriers(undefined, await openTcp(options.port), quic)
  try {
    return new Carriers(quic, await openTcp(quic.addresses()[0]?.port ?? options.port), undefined)
  } catch (error) {
    await quic.close()
    throw error
  }
}

export class Carriers implements Transport {
  readonly kind: Transport['kind']
  readonly hasTcp = true
  readonly ways: Ways | undefined
  /** Why there is no QUIC, and so no datagrams; undefined where there is. */
  readonly missing: SkeinError | undefined
  readonly #quic: Transport | undefined
  readonly #tcp: TcpTransport

  constructor(quic: Transport | undefined, tcp: TcpTransport, missing: SkeinError | undefined) {
    this.#quic = quic
    this.#tcp = tcp
    this.missing = missing
    this.kind = this.#main.kind
    this.ways = this.#main.ways
  }

  addresses(): readonly Address[] {
    return this.#main.addresses()
  }

  connect(remote: Address, handler: ConnectionHandler, options: ConnectOptions = {}): Connection {
    return (options.carrier === 'tcp' ? this.#tcp : this.#main).connect(remote, handler, options)
  }

  listen(accept: (connection: Connection) => ConnectionHandler): void {
    this.#quic?.listen(accept)
    this.#tcp.listen(accept)
  }

  sendDatagram(remote: Address, bytes: Uint8Array, hops?: number): void {
    this.#main.sendDatagram(remote, bytes, hops)
  }

  onDatagram(kind: DatagramKind, handler: (bytes: Uint8Array, from: Address) => void): void {
    this.#main.onDatagram(kind, handler)
  }

  useGateKeys(keys: readonly Uint8Array[]): void {
    this.#quic?.useGateKeys(keys)
    this.#tcp.useGateKeys(keys)
  }

  useIdentity(identity: Identity): void {
    this.#quic?.useIdentity(identity)
    this.#tcp.useIdentity(identity)
  }

  /** Those of TCP with a prefix. */
  counters(): Readonly<Record<string, number>> {
    const tcp = Object.entries(this.#tcp.counters()).map(([name, count]) => [
      `tcp${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      count,
    ])
    return { ...this.#quic?.counters(), ...Object.fromEntries(tcp) }
  }

  async close(): Promise<void> {
    await Promise.all([this.#quic?.close(), this.#tcp.close()])
  }

  get #main(): Transport {
    return this.#quic ?? this.#tcp
  }
}

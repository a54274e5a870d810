/**
 * The connections of a port by their ids: which one a datagram is for.
 *
 * An id that the peer has given back leads to its connection no more, but it stays known: what comes late for it must reach
 * neither quiche, which would end the connection, nor be answered with a stateless reset, which would end it as well. And
 * since a batch of datagrams may hold both the news that an id was given back and a late packet for it, the connection is
 * asked for such news whenever another id than before comes up.
 */
import { CONNECTION_ID_BYTES, type ConnectionIds, connectionKey } from './connection-id.ts'
import type { QuicConnection } from './quic-connection.ts'
import type { LongHeader } from './quic-header.ts'

/** Ids given back that one connection remembers. The first is never forgotten: only its reset token is known to the peer's quiche. */
const MAX_RETIRED_IDS = 64

interface Entry {
  readonly live: Set<string>
  readonly retired: string[]
}

export class ConnectionTable {
  readonly #ids: ConnectionIds
  readonly #byId = new Map<string, QuicConnection>()
  readonly #entries = new Map<QuicConnection, Entry>()

  constructor(ids: ConnectionIds) {
    this.#ids = ids
  }

  connections(): IterableIterator<QuicConnection> {
    return this.#entries.keys()
  }

  get size(): number {
    return this.#entries.size
  }

  get idCount(): number {
    return this.#byId.size
  }

  /** The id leads to this connection from now on. */
  add(connection: QuicConnection, id: Uint8Array): void {
    const key = connectionKey(id, 0)
    let entry = this.#entries.get(connection)
    if (entry === undefined) {
      entry = { live: new Set(), retired: [] }
      this.#entries.set(connection, entry)
    }
    entry.live.add(key)
    this.#byId.set(key, connection)
  }

  /** It was never given out. */
  drop(connection: QuicConnection, id: Uint8Array): void {
    const key = connectionKey(id, 0)
    this.#entries.get(connection)?.live.delete(key)
    this.#byId.delete(key)
  }

  /** The peer has given it back. */
  retire(connection: QuicConnection, id: Uint8Array): void {
    const entry = this.#entries.get(connection)
    const key = connectionKey(id, 0)
    if (entry === undefined || !entry.live.delete(key)) return
    entry.retired.push(key)
    if (entry.retired.length <= MAX_RETIRED_IDS) return
    for (const forgotten of entry.retired.splice(1, 1)) this.#byId.delete(forgotten)
  }

  remove(connection: QuicConnection): void {
    const entry = this.#entries.get(connection)
    if (entry === undefined) return
    for (const key of entry.live) this.#byId.delete(key)
    for (const key of entry.retired) this.#byId.delete(key)
    this.#entries.delete(connection)
  }

  /** Whose short header this is: 'late' for an id given back, undefined for one of nobody. */
  ofShort(datagram: Uint8Array): QuicConnection | 'late' | undefined {
    const key = connectionKey(datagram, 1)
    const connection = this.#byId.get(key)
    if (connection === undefined || key === connection.lastIdKey) return connection
    connection.retireIds()
    if (this.#entries.get(connection)?.live.has(key) !== true) return 'late'
    connection.lastIdKey = key
    return connection
  }

  /** Whose long header this is. A client names its own choice of id until it has heard ours, which is derived from it. */
  ofLong(header: LongHeader): QuicConnection | undefined {
    const id = header.destinationId
    const connection = id.length === CONNECTION_ID_BYTES ? this.#byId.get(connectionKey(id, 0)) : undefined
    if (connection !== undefined || (header.type !== 'initial' && header.type !== 'zeroRtt')) return connection
    return this.#byId.get(connectionKey(this.#ids.derive(id), 0))
  }
}

/**
 * The connections of a port by their ids: which one a datagram is for, and which ids their peers have.
 *
 * An id that the peer has given back leads to its connection no more. What comes late for it must not reach quiche, which
 * would end the connection; nor be answered with a stateless reset, which would end it as well. And since a batch of
 * datagrams may hold both the news that an id was given back and a late packet for it, there is a look for such news
 * whenever another id than before comes up.
 */
import { CONNECTION_ID_BYTES, type ConnectionIds, connectionKey } from './connection-id.ts'
import { LONG_ID_AT, longUseOf } from './long-form.ts'
import type { QuicConnection } from './quic-connection.ts'
import type { LongHeader } from './quic-header.ts'
import type { QuicSession } from './quiche.ts'

interface Entry {
  readonly session: QuicSession
  readonly firstId: Uint8Array
  readonly keys: Set<string>
}

export class ConnectionTable {
  readonly #ids: ConnectionIds
  readonly #byId = new Map<string, QuicConnection>()
  /** Those that live, by the family of their ids. */
  readonly #families = new Set<string>()
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

  /** A new connection, and the first id that leads to it. */
  adopt(connection: QuicConnection, session: QuicSession, id: Uint8Array): void {
    const key = connectionKey(id, 0)
    this.#entries.set(connection, { session, firstId: id, keys: new Set([key]) })
    this.#families.add(this.#ids.family(id))
    this.#byId.set(key, connection)
  }

  /** Keeps spare ids with the peer, so that either side can change its way (RFC 9000 5.1.1, 9.5). */
  issueIds(connection: QuicConnection): void {
    const entry = this.#entries.get(connection)
    if (entry === undefined) return
    this.#takeBack(entry)
    while (entry.session.spareIdsWanted > 0) {
      const id = this.#ids.sibling(entry.firstId)
      if (!entry.session.addSourceId(id, this.#ids.spareToken(id))) return
      const key = connectionKey(id, 0)
      entry.keys.add(key)
      this.#byId.set(key, connection)
    }
  }

  /** Ids that the peer has given back lead to the connection no more. */
  #takeBack({ session, keys }: Entry): void {
    for (let id = session.nextRetiredId(); id !== undefined; id = session.nextRetiredId()) {
      const key = connectionKey(id, 0)
      if (keys.delete(key)) this.#byId.delete(key)
    }
  }

  remove(connection: QuicConnection): void {
    const entry = this.#entries.get(connection)
    if (entry === undefined) return
    for (const key of entry.keys) this.#byId.delete(key)
    this.#families.delete(this.#ids.family(entry.firstId))
    this.#entries.delete(connection)
  }

  /** Whose short header this is. */
  ofShort(datagram: Uint8Array): QuicConnection | undefined {
    const key = connectionKey(datagram, 1)
    const connection = this.#byId.get(key)
    if (connection === undefined || key === connection.lastIdKey) return connection
    const entry = this.#entries.get(connection)
    if (entry === undefined) return undefined
    this.#takeBack(entry)
    if (!entry.keys.has(key)) return undefined
    connection.lastIdKey = key
    return connection
  }

  /** Of an id by which no connection is found: it was given back to one that lives. */
  isLate(id: Uint8Array): boolean {
    return this.#families.has(this.#ids.family(id))
  }

  /** Whether this long header, whose tag is still to be checked, may concern a connection, or open one. */
  mayConcern(sealed: Uint8Array): boolean {
    const use = longUseOf(sealed)
    return use === 'any' || (use === 'known' && this.#isKnown(sealed, LONG_ID_AT))
  }

  /** Whether the id at `offset`, of the length that stands before it, is one of a connection here. */
  #isKnown(datagram: Uint8Array, offset: number): boolean {
    return datagram[offset - 1] === CONNECTION_ID_BYTES && this.#byId.has(connectionKey(datagram, offset))
  }

  /** Whose long header this is. A client names its own choice of id until it has heard ours, which is derived from it. */
  ofLong(header: LongHeader): QuicConnection | undefined {
    const id = header.destinationId
    const connection = id.length === CONNECTION_ID_BYTES ? this.#byId.get(connectionKey(id, 0)) : undefined
    if (connection !== undefined || (header.type !== 'initial' && header.type !== 'zeroRtt')) return connection
    return this.#byId.get(connectionKey(this.#ids.derive(id), 0))
  }
}

/** Which connection a datagram is for, while its ids come and go. */
import * as assert from 'uvu/assert'
import { ConnectionIds } from '../../transport/connection-id.ts'
import { ConnectionTable } from '../../transport/connection-table.ts'
import type { QuicConnection } from '../../transport/quic-connection.ts'
import type { QuicSession } from '../../transport/quiche.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('table of connections')

const setUp = () => {
  const random = seededRandom(5)
  const ids = new ConnectionIds(random.bytes(32), random)
  const table = new ConnectionTable(ids)
  const issued: Uint8Array[] = []
  const tokens = new Set<bigint>()
  const retired: Uint8Array[] = []
  const session = {
    get spareIdsWanted() {
      return 3 - issued.length
    },
    addSourceId: (id: Uint8Array, token: bigint) => {
      tokens.add(token)
      return issued.push(id) > 0
    },
    nextRetiredId: () => retired.shift(),
  }
  const connection = { lastIdKey: '' } as unknown as QuicConnection
  const first = ids.random()
  table.adopt(connection, session as unknown as QuicSession, first)
  table.issueIds(connection)
  const packet = (id: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0x40), id, Buffer.alloc(9)])
  return { ids, table, issued, tokens, retired, connection, first, packet }
}

test('all ids lead to the connection, and none to another after it', () => {
  const { ids, table, issued, tokens, connection, first, packet } = setUp()
  assert.is(table.idCount, 4)
  for (const id of [first, ...issued]) assert.is(table.ofShort(packet(id)), connection)
  assert.is(table.ofShort(packet(ids.random())), undefined)
  assert.is(tokens.size, 3, 'no two ids are announced with one token')
  assert.not.ok(tokens.has(ids.resetToken(first)))
  for (const id of issued) assert.is(ids.resetToken(id), ids.resetToken(first), 'but a reset carries the same')
  table.remove(connection)
  assert.is(table.idCount, 0)
  for (const id of [first, ...issued]) {
    assert.is(table.ofShort(packet(id)), undefined)
    assert.not.ok(table.isLate(id))
  }
})

test('a late packet in the very batch in which its id was given back reaches nobody', () => {
  const { table, issued, retired, connection, first, packet } = setUp()
  assert.is(table.ofShort(packet(first)), connection)
  // The packet that brings the news names another id, as it has to (RFC 9000 section 19.16).
  assert.is(table.ofShort(packet(issued[0] as Uint8Array)), connection)
  retired.push(first)
  assert.is(table.ofShort(packet(first)), undefined)
  assert.ok(table.isLate(first))
  assert.is(table.ofShort(packet(issued[0] as Uint8Array)), connection)
  assert.is(table.idCount, 3)
})

test.run()

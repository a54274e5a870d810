/** The store of session tickets: whose they are, for how long, how many, and that each is used once. */
import * as assert from 'uvu/assert'
import type { VerifiedPeer } from '../../certs/certificate.ts'
import type { Address } from '../../transport/address.ts'
import { type Ticket, Tickets } from '../../transport/tickets.ts'
import { suite } from '../support/suite.ts'

const HOUR_MS = 3_600_000
const HERE: Address = { host: '192.0.2.1', port: 4433 }
const THERE: Address = { host: '192.0.2.2', port: 4433 }

const peer = (nodeId: string): VerifiedPeer => ({
  nodeId,
  publicKey: new Uint8Array(32),
  certificate: new Uint8Array(1),
})

const ticket = (nodeId: string, mark = 0): Ticket => ({ bytes: Uint8Array.of(mark), peer: peer(nodeId) })

const test = suite('session tickets')

test('a ticket is found by its peer, wherever that is now, and only once', () => {
  const tickets = new Tickets(() => {})
  tickets.keep(ticket('a', 1), HERE, 0)
  assert.is(tickets.take('b', HERE, 0), undefined, 'another peer has no part in it')
  const taken = tickets.take('a', THERE, 0)
  assert.equal(taken?.bytes, Uint8Array.of(1))
  assert.is(taken?.peer.nodeId, 'a')
  assert.is(tickets.take('a', HERE, 0), undefined)
  assert.is(tickets.size, 0)
})

test('a dial that expects nobody gets the ticket of who was there last, and the next dial none', () => {
  const tickets = new Tickets(() => {})
  tickets.keep(ticket('a', 1), HERE, 0)
  tickets.keep(ticket('b', 2), HERE, 1)
  tickets.keep(ticket('c', 3), THERE, 2)
  assert.is(tickets.take(undefined, { ...HERE, port: 4434 }, 3), undefined)
  assert.is(tickets.take(undefined, HERE, 3)?.peer.nodeId, 'b')
  assert.is(tickets.take(undefined, HERE, 3), undefined, 'it may be a third one that is there now')
  assert.is(tickets.size, 1)
  assert.ok(tickets.take('c', HERE, 3))
})

test('the ticket of a peer behind a relay is not that of the relay', () => {
  const tickets = new Tickets(() => {})
  tickets.keep(ticket('a', 1), undefined, 0)
  assert.is(tickets.take(undefined, HERE, 1), undefined)
  assert.ok(tickets.take('a', HERE, 1))
})

test('a newer ticket replaces the older one, and the address with it', () => {
  const tickets = new Tickets(() => {})
  tickets.keep(ticket('a', 1), HERE, 0)
  tickets.keep(ticket('a', 2), THERE, 1)
  assert.is(tickets.size, 1)
  assert.is(tickets.take(undefined, HERE, 2), undefined)
  assert.equal(tickets.take(undefined, THERE, 2)?.bytes, Uint8Array.of(2))
})

test('a ticket is good for two days', () => {
  const tickets = new Tickets(() => {})
  tickets.keep(ticket('a'), HERE, 1000)
  tickets.keep(ticket('b'), HERE, 1000)
  assert.ok(tickets.take('a', HERE, 1000 + 48 * HOUR_MS))
  assert.is(tickets.take('b', HERE, 1001 + 48 * HOUR_MS), undefined)
  assert.is(tickets.size, 0, 'what is too old is not kept')
})

test('a ticket is good for no longer than the certificate beside it', () => {
  let isExpired = false
  const tickets = new Tickets(() => {
    if (isExpired) throw new Error('expired')
  })
  tickets.keep(ticket('a'), HERE, 0)
  tickets.keep(ticket('b'), HERE, 0)
  assert.ok(tickets.take('a', HERE, 1))
  isExpired = true
  assert.is(tickets.take('b', HERE, 1), undefined)
  assert.is(tickets.size, 0)
})

test('beyond 1024 peers the one that was quiet for longest is forgotten', () => {
  const tickets = new Tickets(() => {})
  for (let i = 0; i < 1024; i++) tickets.keep(ticket(`peer ${i}`), HERE, i)
  tickets.keep(ticket('peer 0', 7), HERE, 2000)
  tickets.keep(ticket('one more'), HERE, 2001)
  assert.is(tickets.size, 1024)
  assert.is(tickets.take('peer 1', HERE, 2002), undefined)
  assert.equal(tickets.take('peer 0', HERE, 2002)?.bytes, Uint8Array.of(7))
  assert.ok(tickets.take('peer 2', HERE, 2002))
})

test.run()

/**
 * Resumed connections on real ports: what goes in the first flight, what comes back in the first answer, and that nothing
 * is lost or believed when the ticket is refused, replayed, spoiled, out of date, or somebody else's.
 */
import * as assert from 'uvu/assert'
import { createIdentity } from '../../certs/identity.ts'
import type { Address } from '../../transport/address.ts'
import { ADMISSION_LIMITS } from '../../transport/admission.ts'
import { systemClock } from '../../transport/clock.ts'
import type { QuicTransport } from '../../transport/quic-transport.ts'
import { type Ticket, Tickets } from '../../transport/tickets.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, Party, pattern } from './compliance.ts'
import { count, exchange, firstFlights, newIdentity, openPort, Relay, Stranger, until } from './quic-support.ts'

const DAY_MS = 24 * 60 * 60_000
/** Long enough that a flight is over before the next one begins, on a busy machine too. */
const ONE_WAY_MS = 60
const HELLO = pattern(400, 1)
const ANSWER = pattern(300, 2)

/** Keeps in mind when it was open early, and when TLS was done. */
class Resumer extends Party {
  openedEarly = false
  confirmations = 0

  override onOpen(): void {
    this.openedEarly = this.connection.early === true
    super.onOpen()
  }

  onConfirmed(): void {
    if (!this.openedEarly || this.confirmations > 0 || this.connection.early === true) this.untimely.push('onConfirmed')
    this.confirmations++
  }
}

/** Answers every stream that ends. */
class Answerer extends Resumer {
  override onReadable(stream: number): void {
    const before = this.finished.size
    super.onReadable(stream)
    if (this.finished.size > before) this.send(ANSWER)
  }
}

const answer = (transport: QuicTransport): Answerer[] => {
  const parties: Answerer[] = []
  transport.listen((connection) => {
    const party = new Answerer()
    party.connection = connection
    parties.push(party)
    return party
  })
  return parties
}

/** Dials, and says hello as soon as that is possible. */
const greet = (from: QuicTransport, to: Address, expectedId?: string, timeoutMs = 5000): Resumer => {
  const party = new Resumer()
  party.connection = from.connect(to, party, expectedId === undefined ? { timeoutMs } : { timeoutMs, expectedId })
  party.send(HELLO)
  return party
}

const answered = async (party: Resumer): Promise<void> => {
  await until(() => party.finished.size === 1 || party.closes.length > 0, 'the answer')
  assert.equal(party.closes, [])
  assert.is(Buffer.compare(party.received(3), ANSWER), 0)
}

const end = async (...parties: Party[]): Promise<void> => {
  for (const party of parties) party.connection.close(0, 'closed', '')
  await until(() => parties.every((party) => party.closes.length > 0), 'the end')
}

/** Who sent before it was over, by turns: what is sent before the other's answer is one flight. */
const flightsUntil = async (over: Promise<void>, relay: Relay): Promise<readonly string[]> => {
  relay.delayMs = ONE_WAY_MS
  const flights: string[] = []
  relay.passes = (_bytes, direction) => {
    if (flights.at(-1) !== direction) flights.push(direction)
    return true
  }
  await over
  return [...flights]
}

/** A port that has a ticket of another. */
const acquainted = async (
  t: TestContext,
  via?: (server: Address) => Promise<Address>,
): Promise<{ client: QuicTransport; server: QuicTransport; to: Address; id: string; parties: Answerer[] }> => {
  const [client, server] = [await openPort(t), await openPort(t)]
  const parties = answer(server)
  const to = via === undefined ? addressOf(server) : await via(addressOf(server))
  const first = greet(client, to)
  await answered(first)
  const id = first.connection.peer!.nodeId
  await end(first)
  await until(() => parties[0]!.closes.length > 0, 'the end')
  assert.is(count(client, 'tickets'), 1)
  return { client, server, to, id, parties }
}

const test = suite('QUIC port: resumption')

test('a resumed connection has its answer a round trip sooner than the first one', async (t) => {
  const [client, server] = [await openPort(t), await openPort(t)]
  const parties = answer(server)
  const [firstRelay, secondRelay] = [await Relay.open(t, addressOf(server)), await Relay.open(t, addressOf(server))]
  const first = greet(client, firstRelay.address)
  assert.equal(await flightsUntil(answered(first), firstRelay), ['toServer', 'toClient', 'toServer', 'toClient'])
  assert.not(first.openedEarly)
  await end(first)
  await until(() => parties[0]!.closes.length > 0, 'the end')

  const second = greet(client, secondRelay.address, first.connection.peer!.nodeId)
  assert.equal(await flightsUntil(answered(second), secondRelay), ['toServer', 'toClient'])
  await until(() => count(server, 'resumed') === 1, 'TLS is done on both sides')
  for (const party of [second, parties[1]!]) {
    assert.ok(party.openedEarly)
    assert.not(party.connection.early)
    assert.is(party.confirmations, 1)
    assert.equal(party.untimely, [])
  }
  assert.is(count(client, 'resumed'), 1)
  assert.equal(second.connection.peer?.publicKey, first.connection.peer?.publicKey)
  assert.equal(parties[1]!.connection.peer?.publicKey, parties[0]!.connection.peer?.publicKey)
  assert.is(Buffer.compare(parties[1]!.received(2), HELLO), 0)
  assert.ok(await exchange(second, parties[1]!, pattern(200_000, 3)), 'and it goes on like any other')
})

test('each connection leaves a ticket for the next one, and a ticket is used once', async (t) => {
  const { client, server, to, id, parties } = await acquainted(t)
  for (let round = 1; round <= 3; round++) {
    const pair = [greet(client, to, id), greet(client, to, id)]
    assert.is(count(client, 'tickets'), 0)
    for (const party of pair) await answered(party)
    assert.equal(
      pair.map((party) => party.openedEarly),
      [true, false],
    )
    await end(...pair)
    await until(() => parties.every((party) => party.closes.length > 0), 'the end')
    assert.is(count(client, 'tickets'), 1)
    assert.is(count(server, 'resumed'), round)
  }
  for (const port of [client, server]) {
    await until(() => count(port, 'connections') === 0, 'nothing is left')
    assert.is(count(port, 'connectionIds'), 0)
  }
})

test('a ticket is for the peer that gave it', async (t) => {
  const { client, server, to } = await acquainted(t)
  const other = greet(client, to, 'somebody else')
  await answered(other)
  assert.not(other.openedEarly)
  assert.is(count(server, 'resumed'), 0)
})

test('where nobody in particular is expected, it is whoever was there last', async (t) => {
  const { client, server, to } = await acquainted(t)
  const again = greet(client, to)
  await answered(again)
  assert.ok(again.openedEarly)
  assert.is(count(server, 'resumed'), 1)
})

test('a ticket shown to another peer opens nothing', async (t) => {
  const { client, server, to } = await acquainted(t)
  await server.close()
  const other = await openPort(t, { port: to.port })
  const parties = answer(other)
  const party = greet(client, to)
  await until(() => party.closes.length > 0 && (parties[0]?.closes.length ?? 0) > 0, 'it ends')
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_CERT_FOREIGN')
  assert.is(party.closes[0]?.byPeer, false)
  assert.is(parties[0]?.closes[0]?.code, 'ERR_SKEIN_CERT_FOREIGN')
  assert.is(parties[0]?.receivedBytes, 0, 'what was meant for the one did not reach the other')
  await answered(greet(client, to))
})

test('a peer that was started again does not know the ticket, and nothing is lost', async (t) => {
  const [client, identity] = [await openPort(t), await newIdentity()]
  const before = await openPort(t, { identity })
  const to = addressOf(before)
  answer(before)
  await answered(greet(client, to))
  await before.close()
  await until(() => count(client, 'tickets') === 1, 'the end')

  const after = await openPort(t, { identity, port: to.port })
  const parties = answer(after)
  const party = greet(client, to, identity.nodeId)
  await answered(party)
  assert.ok(party.openedEarly)
  assert.is(party.confirmations, 1)
  assert.not(parties[0]!.openedEarly)
  assert.is(Buffer.compare(parties[0]!.received(2), HELLO), 0)
  assert.is(parties[0]!.finished.size, 1)
  assert.is(count(client, 'resumed') + count(after, 'resumed'), 0)
  assert.ok(await exchange(party, parties[0]!, pattern(200_000, 3)))
  await end(party)
  const next = greet(client, to, identity.nodeId)
  await answered(next)
  assert.is(count(after, 'resumed'), 1, 'it has given a new one')
})

for (const spoil of ['cut', 'changed', 'random', 'empty'] as const) {
  test(`a ticket that is spoilt (${spoil}) costs a full handshake`, async (t) => {
    const { client, server, to, id } = await acquainted(t)
    const { take } = Tickets.prototype
    t.defer(() => {
      Tickets.prototype.take = take
    })
    Tickets.prototype.take = function (this: Tickets, ...args) {
      const ticket = take.apply(this, args)
      return ticket && { ...ticket, bytes: spoilt(ticket, spoil) }
    }
    const party = greet(client, to, id)
    await answered(party)
    assert.is(count(server, 'resumed'), 0)
  })
}

const spoilt = ({ bytes }: Ticket, how: 'cut' | 'changed' | 'random' | 'empty'): Uint8Array => {
  if (how === 'empty') return new Uint8Array(0)
  if (how === 'cut') return bytes.subarray(0, bytes.length >> 1)
  if (how === 'random') return pattern(bytes.length, 9)
  // In the ticket itself, which is random to us: it begins after the secret, and the certificates come later.
  const changed = Uint8Array.from(bytes)
  for (let i = 200; i < changed.length - 200; i += 7) changed[i]! ^= 1
  return changed
}

for (const lost of [0, 1]) {
  test(`datagram ${lost} of the first flight is lost, and nothing else`, async (t) => {
    let relay: Relay | undefined
    const { client, to, id, parties } = await acquainted(t, async (server) => {
      relay = await Relay.open(t, server)
      return relay.address
    })
    let sent = 0
    relay!.passes = (_bytes, direction) => direction === 'toClient' || sent++ !== lost
    const party = greet(client, to, id)
    await answered(party)
    assert.ok(party.openedEarly)
    assert.is(Buffer.compare(parties[1]!.received(2), HELLO), 0)
    assert.is(parties[1]!.finished.size, 1)
  })
}

test('an acceptor that asks for a retry gets all of it afterwards', async (t) => {
  const { client, server, to, id, parties } = await acquainted(t)
  const flood = await Stranger.open(t)
  for (const flight of await firstFlights(t, ADMISSION_LIMITS.halfOpenPerAddressBeforeRetry))
    await flood.send(flight, to)
  await until(() => count(server, 'accepted') > ADMISSION_LIMITS.halfOpenPerAddressBeforeRetry, 'many are half-open')
  const party = greet(client, to, id)
  await answered(party)
  assert.is(count(server, 'retries'), 1)
  assert.is(Buffer.compare(parties.at(-1)!.received(2), HELLO), 0)
  assert.is(parties.at(-1)!.finished.size, 1)
})

test('an early connection to nobody ends at its deadline and leaves nothing', async (t) => {
  const { client, server, to, id } = await acquainted(t)
  await server.close()
  const silent = await Stranger.open(t)
  const party = greet(client, silent.address, id, 200)
  await until(() => party.closes.length > 0, 'it gives up')
  assert.ok(party.openedEarly)
  assert.is(party.confirmations, 0)
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  await until(() => count(client, 'connections') === 0, 'nothing is left')
  assert.is(count(client, 'connectionIds'), 0)
  assert.is(count(client, 'tickets'), 0, 'what went out is not used again')
  await answered(greet(client, addressOf(await reopened(t, to)), undefined))
})

const reopened = async (t: TestContext, { port }: Address): Promise<QuicTransport> => {
  const transport = await openPort(t, { port })
  answer(transport)
  return transport
}

for (const side of ['initiator', 'acceptor'] as const) {
  test(`a certificate that expired since the ticket was given is refused by the ${side}`, async (t) => {
    let laterMs = 0
    const clock = { ...systemClock, wallNow: () => Date.now() + laterMs }
    const brief = await createIdentity({ wallNowMs: Date.now(), validForMs: DAY_MS })
    const client = await openPort(t, side === 'initiator' ? { clock } : { identity: brief })
    const server = await openPort(t, side === 'acceptor' ? { clock } : { identity: brief })
    const parties = answer(server)
    const first = greet(client, addressOf(server))
    await answered(first)
    await end(first)
    laterMs = 2 * DAY_MS
    const second = greet(client, addressOf(server), first.connection.peer!.nodeId)
    await until(() => second.closes.length > 0, 'it ends')
    assert.is(second.closes[0]?.code, 'ERR_SKEIN_CERT_EXPIRED')
    assert.is(second.closes[0]?.byPeer, side === 'acceptor')
    assert.is(second.opened, side === 'acceptor' ? 1 : 0)
    if (side === 'acceptor') assert.is(parties[1]?.opened, 0)
    assert.is(parties[1]?.receivedBytes, 0)
  })
}

test(
  'a first flight that somebody replays gets an answer, and nothing after it',
  async (t) => {
    let relay: Relay | undefined
    const { client, server, to, id, parties } = await acquainted(t, async (address) => {
      relay = await Relay.open(t, address)
      return relay.address
    })
    const limit = ADMISSION_LIMITS.halfOpenPerAddressBeforeRetry
    const flights: Buffer[][] = []
    relay!.passes = (bytes, direction) => {
      if (direction === 'toServer') flights.at(-1)?.push(Buffer.from(bytes))
      return true
    }
    for (let i = 0; i <= limit; i++) {
      const flight: Buffer[] = []
      flights.push(flight)
      const party = greet(client, to, id)
      await until(() => flight.length >= 2, 'the first flight')
      flights.push([])
      await answered(party)
      assert.ok(party.openedEarly)
      await end(party)
      await until(() => count(server, 'connections') === 0, 'it is forgotten')
    }
    const recorded = flights.filter((_flight, index) => index % 2 === 0)
    const before = parties.length
    const resumed = count(server, 'resumed')

    const attacker = await Stranger.open(t)
    let sentBytes = 0
    for (const [index, flight] of recorded.entries()) {
      for (const bytes of flight) {
        sentBytes += bytes.length
        await attacker.send(bytes, addressOf(server))
      }
      await until(
        () => count(server, 'accepted') + count(server, 'retries') >= 2 * limit + 2 - (limit - index) + 1,
        'it came',
      )
    }
    const replayed = parties.slice(before)
    assert.is(replayed.length, limit)
    assert.is(count(server, 'retries'), 1, 'all of them count as half-open: the next one has to show its address')
    await until(() => replayed.every((party) => party.finished.size === 1), 'they are read')
    for (const party of replayed) {
      assert.ok(party.openedEarly)
      assert.ok(party.connection.early)
      assert.is(Buffer.compare(party.received(2), HELLO), 0)
    }
    await until(() => replayed.every((party) => party.closes.length > 0), 'they end', 5000)
    for (const party of replayed) {
      assert.is(party.confirmations, 0)
      assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
      assert.equal(party.untimely, [])
    }
    await until(() => count(server, 'connections') === 0, 'nothing is left')
    assert.is(count(server, 'resumed'), resumed)
    const heardBytes = attacker.heard.reduce((sum, bytes) => sum + bytes.length, 0)
    assert.ok(heardBytes > 0 && heardBytes <= 3 * sentBytes, `${heardBytes} bytes for ${sentBytes}`)
  },
  { deadlineMs: 30_000 },
)

test.run()

/** The life of a QUIC port: platforms without an engine, options, addresses out of reach, closing, and nothing left behind. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import * as assert from 'uvu/assert'
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import type { Address } from '../../transport/address.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, type Party, pattern, serve } from './compliance.ts'
import { count, exchange, firstFlights, newIdentity, openPair, openPort, startFixture, until } from './quic-support.ts'

const GOODBYE_MS = 200
const SUPPORTED_PLATFORMS = ['linux-x64', 'darwin-x64', 'darwin-arm64', 'win32-x64']

const rejects = async (code: ErrorCode, body: () => Promise<unknown>): Promise<SkeinError> => {
  const thrown = await body().then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof SkeinError)) throw new Error(`expected ${code}`, { cause: thrown })
  assert.is(thrown.code, code, thrown.message)
  return thrown
}

const test = suite('QUIC port: life')

for (const [platform, arch] of [
  ['linux', 'arm64'],
  ['sunos', 'x64'],
  ['win32', 'arm64'],
] as const) {
  test(`${platform}-${arch} has no engine, and the error names it and those that have`, async (t) => {
    const child = startFixture(t, 'platform.ts', [platform, arch])
    const { code, message, hint } = JSON.parse(await text(child.stdout!)) as Record<string, string>
    assert.is(code, 'ERR_SKEIN_PLATFORM')
    assert.ok(message!.includes(`${platform}-${arch}`), message)
    for (const supported of SUPPORTED_PLATFORMS) {
      assert.ok(message!.includes(supported), message)
      assert.ok(hint!.includes(supported), hint)
    }
  })
}

test('options that cannot be are refused before the port opens', async (t) => {
  for (const maxPacketBytes of [1199, 16_384, 1350.5, Number.NaN])
    await rejects('ERR_SKEIN_BAD_OPTION', () => openPort(t, { maxPacketBytes }))
  const one = await newIdentity()
  const certificatePem = '-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n'
  await rejects('ERR_SKEIN_BAD_IDENTITY', () => openPort(t, { identity: { ...one, certificatePem } }))
})

test('an address out of reach fails the connection, not the caller', async (t) => {
  const port = await openPort(t)
  const unreachable: Address[] = [
    { host: '::1', port: 4433 },
    { host: 'fe80::1%eth0', port: 4433 },
    { host: 'somewhere', port: 4433 },
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.1', port: 65_536 },
    { host: '', port: 4433 },
  ]
  for (const address of unreachable) {
    const party = dial(port, address)
    assert.is(party.closes.length, 0, 'nothing is called before connect returns')
    await until(() => party.closes.length > 0, 'it ends')
    assert.is(party.closes[0]?.code, 'ERR_SKEIN_BAD_ADDRESS')
    assert.ok(party.closes[0]?.message.includes(address.host))
    assert.equal(party.connection.remote, address)
    assert.is(party.connection.openStream(false), -1)
    assert.ok(party.connection.blocked())
    party.connection.requestFlush()
    party.connection.close(0, 'closed', 'again')
    port.sendDatagram(address, Uint8Array.of(1))
  }
  assert.is(count(port, 'unreachable'), unreachable.length)
  assert.is(count(port, 'connections'), 0)
  assert.is(count(port, 'sent'), 0)
})

test('a closed port fails what is asked of it, and throws nothing', async (t) => {
  const port = await openPort(t)
  const other = await openPort(t)
  const address = addressOf(other)
  await port.close()
  const party = dial(port, address)
  await until(() => party.closes.length > 0, 'it ends')
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_STOPPED')
  port.sendDatagram(address, Uint8Array.of(1))
  await port.close()
  assert.is(count(port, 'connections'), 0)
})

test('a first flight from a link-local address is refused, as quiche knows no zones', async (t) => {
  const [name, local] =
    Object.entries(networkInterfaces())
      .flatMap(([key, addresses]) => (addresses ?? []).map((one) => [key, one.address] as const))
      .find(([, address]) => address.startsWith('fe80:')) ?? t.skip('no link-local address here')
  const port = await openPort(t, { host: '::' })
  const parties = serve(port)
  const [flight] = await firstFlights(t, 1)
  // From this machine to itself: it never leaves the kernel.
  const socket = createSocket('udp6')
  t.defer(() => new Promise<void>((resolve) => socket.close(() => resolve())))
  socket.send(flight as Buffer, addressOf(port).port, `${local}%${name}`)
  await until(() => count(port, 'refused') === 1, 'it is refused')
  assert.is(parties.length, 0)
})

test('closing tells every peer within 200 ms', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const peers: Party[] = []
  for (let i = 0; i < 5; i++) peers.push(dial(await openPort(t), addressOf(port)))
  const another = await openPort(t)
  const anotherParties = serve(another)
  const outgoing = dial(port, addressOf(another))
  await until(() => [...peers, outgoing].every((party) => party.isOpen) && anotherParties.length === 1, 'all connect')
  await until(() => parties.length === 5 && parties.every((party) => party.isOpen), 'all connect')
  const closing = port.close()
  const again = port.close()
  await until(() => [...peers, ...anotherParties].every((party) => party.closes.length > 0), 'all heard it', GOODBYE_MS)
  await Promise.all([closing, again])
  for (const party of [...peers, ...anotherParties]) {
    assert.is(party.closes[0]?.code, 'closed')
    assert.is(party.closes[0]?.byPeer, true)
  }
  for (const party of [...parties, outgoing]) assert.is(party.closes[0]?.byPeer, false)
  for (const party of [...peers, ...parties, outgoing]) assert.equal(party.untimely, [])
  assert.is(count(port, 'connections'), 0)
  assert.is(count(port, 'connectionIds'), 0)
})

for (const closes of ['port', 'connection'] as const) {
  test(`a ${closes} closed in the middle of bulk is heard as soon as the next acknowledgement is there`, async (t) => {
    const { a, initiator, acceptor } = await openPair(t)
    for (const party of [initiator, acceptor]) party.send(pattern(20_000_000, 1))
    await until(() => acceptor.receivedBytes > 1_000_000, 'both are busy')
    if (closes === 'port') await a.close()
    else initiator.connection.close(0, 'closed', 'enough')
    // Long before silence would tell.
    await until(() => acceptor.closes.length > 0, 'it is heard', 2000)
    assert.is(acceptor.closes[0]?.code, 'closed')
    assert.is(acceptor.closes[0]?.byPeer, true)
    assert.equal([...initiator.untimely, ...acceptor.untimely], [])
    await until(() => count(a, 'connections') === 0, 'nothing is left')
    assert.is(count(a, 'connectionIds'), 0)
  })
}

test('an initiator that closes as soon as it is open is heard', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const client = await openPort(t)
  const party = dial(client, addressOf(port))
  const onOpen = party.onOpen.bind(party)
  party.onOpen = () => {
    onOpen()
    party.connection.close(0, 'closed', 'just looking')
  }
  await until(() => (parties[0]?.closes.length ?? 0) > 0, 'it is heard', 1000)
  assert.is(parties[0]?.closes[0]?.message, 'just looking')
  assert.is(parties[0]?.opened, 0, 'there was never anything open')
})

test(
  'many connections come and go and leave nothing in the tables',
  async (t) => {
    const [a, b] = [await openPort(t), await openPort(t)]
    const parties = serve(b)
    for (let round = 0; round < 10; round++) {
      const first = parties.length
      const dialled = Array.from({ length: 20 }, () => dial(a, addressOf(b)))
      await until(
        () => parties.length === first + 20 && [...dialled, ...parties.slice(first)].every((party) => party.isOpen),
        `round ${round}`,
      )
      const accepted = parties.slice(first)
      if (round === 0) assert.ok(await exchange(dialled[0]!, accepted[0]!, pattern(1000, 1)))
      // Closed by the one, by the other, or by both at once.
      for (const [i, party] of dialled.entries()) if (i % 3 !== 0) party.connection.close(0, 'closed', '')
      for (const [i, party] of accepted.entries()) if (i % 3 !== 1) party.connection.close(0, 'closed', '')
      await until(() => [...dialled, ...accepted].every((party) => party.closes.length > 0), 'all are closed')
    }
    for (const port of [a, b]) {
      await until(() => count(port, 'connections') === 0, 'the table is empty')
      assert.is(count(port, 'connectionIds'), 0)
    }
    for (const party of parties) assert.is(party.closes.length, 1)
    assert.is(count(b, 'refused'), 0)
  },
  { deadlineMs: 30_000 },
)

test('dials without an answer leave nothing in the tables', async (t) => {
  const [port, silent] = [await openPort(t), await openPort(t)]
  const parties = Array.from({ length: 20 }, () => dial(port, addressOf(silent), 100))
  await until(() => parties.every((party) => party.closes.length > 0), 'all give up')
  // Long before the second that QUIC waits for an answer to a first flight.
  await until(() => count(port, 'connections') === 0, 'the table is empty', 500)
  assert.is(count(port, 'connectionIds'), 0)
})

test('after closing, the process ends by itself', async (t) => {
  const child = startFixture(t, 'goes.ts')
  const [output, [code, signal]] = await Promise.all([text(child.stdout!), once(child, 'exit')])
  assert.is(output, 'closing\nclosed\n')
  assert.is(code, 0)
  assert.is(signal, null)
})

test('spare connection ids are there for a change of address, and no more of them', async (t) => {
  const { a, b, initiator, acceptor } = await openPair(t)
  assert.ok(await exchange(initiator, acceptor, pattern(1000, 1)))
  for (const port of [a, b]) assert.is(count(port, 'connectionIds'), 4)
})

test.run()

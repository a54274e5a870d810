/** The QUIC port under a flood of first flights: retry, limits per address, and the deadline of half-open connections. */
import * as assert from 'uvu/assert'
import { ADMISSION_LIMITS } from '../../transport/admission.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, type Party, pattern, serve } from './compliance.ts'
import { count, exchange, firstFlights, openPort, Relay, Stranger, until } from './quic-support.ts'

const { halfOpenBeforeRetry, halfOpenPerAddress, halfOpenPerAddressBeforeRetry } = ADMISSION_LIMITS
/** The port's own is 3 s; then it may take a moment until quiche has said goodbye. */
const ACCEPT_DEADLINE_PATIENCE_MS = 6000
const RETRY_TYPE = 3

const isRetry = (bytes: Uint8Array): boolean => {
  const first = bytes[0] as number
  return first >= 0xc0 && ((first >>> 4) & 3) === RETRY_TYPE
}

const endedByDeadline = (parties: readonly Party[]): boolean =>
  parties.every((party) => party.closes[0]?.code === 'ERR_SKEIN_CONNECT_TIMEOUT')

const test = suite('QUIC port: floods')

test(
  'an address with many half-open connections has to show itself, and its real clients still connect',
  async (t) => {
    const port = await openPort(t)
    const parties = serve(port)
    const attacker = await Stranger.open(t)
    for (const flight of await firstFlights(t, halfOpenPerAddressBeforeRetry + 10))
      await attacker.send(flight, addressOf(port))
    await until(() => count(port, 'retries') === 10, 'retries instead of connections')
    assert.is(count(port, 'accepted'), halfOpenPerAddressBeforeRetry)
    assert.is(parties.length, halfOpenPerAddressBeforeRetry)
    await until(() => attacker.heard.filter(isRetry).length === 10, 'the retries arrive')
    // A real client is asked as well, answers, and is in.
    const halfOpen = parties.slice()
    const client = dial(await openPort(t), addressOf(port))
    await until(() => client.isOpen && parties.at(-1)?.isOpen === true, 'the client connects')
    assert.is(count(port, 'retries'), 11)
    assert.ok(await exchange(client, parties.at(-1)!, pattern(100_000, 1)))
    assert.ok(await exchange(parties.at(-1)!, client, pattern(100_000, 2)))
    // The half-open ones end by themselves and leave nothing; the real one stays.
    await until(() => endedByDeadline(halfOpen), 'the half-open ones end', ACCEPT_DEADLINE_PATIENCE_MS)
    await until(() => count(port, 'connections') === 1, 'their places are free', ACCEPT_DEADLINE_PATIENCE_MS)
    assert.ok(client.isOpen)
    assert.is(count(port, 'refused'), 0)
  },
  { deadlineMs: 20_000 },
)

test(
  'with many half-open connections in all, everybody has to show the address',
  async (t) => {
    if (process.platform !== 'linux') t.skip('only Linux gives all of 127.0.0.0/8 to the loopback')
    const port = await openPort(t)
    const parties = serve(port)
    const flights = await firstFlights(t, halfOpenBeforeRetry + 6)
    const perAddress = halfOpenPerAddressBeforeRetry - 1
    const attackers: Stranger[] = []
    for (const [i, flight] of flights.entries()) {
      if (i % perAddress === 0) attackers.push(await Stranger.open(t, `127.0.0.${10 + i / perAddress}`))
      await attackers.at(-1)!.send(flight, addressOf(port))
    }
    await until(() => count(port, 'received') === flights.length, 'all flights')
    assert.is(count(port, 'accepted'), halfOpenBeforeRetry)
    assert.is(count(port, 'retries'), 6)
    // A client from an address without any blame.
    const client = dial(await openPort(t, { host: '127.0.0.99' }), addressOf(port))
    await until(() => client.isOpen && parties.at(-1)?.isOpen === true, 'the client connects')
    assert.is(count(port, 'retries'), 7)
    assert.ok(await exchange(client, parties.at(-1)!, pattern(10_000, 1)))
  },
  { deadlineMs: 20_000 },
)

test(
  'an address has so many half-open connections and no more, even if it shows itself; others do not suffer',
  async (t) => {
    const other = otherLoopback(t)
    const port = await openPort(t)
    const parties = serve(port)
    const relay = await Relay.open(t, addressOf(port))
    // The clients may be asked for a token and bring it, but nothing else comes through to them.
    relay.passes = (bytes, direction) => direction === 'toServer' || isRetry(bytes)
    const flood = await openPort(t)
    for (let i = 0; i < halfOpenPerAddress + 8; i++) dial(flood, relay.address)
    await until(() => count(port, 'accepted') === halfOpenPerAddress && count(port, 'refused') >= 8, 'the limit')
    await flood.close()
    assert.is(parties.length, halfOpenPerAddress)
    const refused = dial(await openPort(t), addressOf(port), 300)
    await until(() => refused.closes.length > 0, 'a client of this address is turned away')
    assert.is(refused.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
    const welcome = dial(await openPort(t, { host: other }), addressOf(port))
    await until(() => welcome.isOpen, 'a client of another address connects')
    // After the deadline the address is welcome again.
    await until(() => endedByDeadline(parties.slice(0, halfOpenPerAddress)), 'the half-open ones end')
    await until(() => count(port, 'connections') === 1, 'their places are free', ACCEPT_DEADLINE_PATIENCE_MS)
    const again = dial(await openPort(t), addressOf(port))
    await until(() => again.isOpen, 'the address is welcome again')
  },
  { deadlineMs: 20_000 },
)

test('a token is good for one address only', async (t) => {
  const port = await openPort(t)
  serve(port)
  const attacker = await Stranger.open(t)
  for (const flight of await firstFlights(t, halfOpenPerAddressBeforeRetry))
    await attacker.send(flight, addressOf(port))
  await until(() => count(port, 'accepted') === halfOpenPerAddressBeforeRetry, 'the flood')
  // A client is asked for a token, and its answer is caught and sent from elsewhere.
  const relay = await Relay.open(t, addressOf(port))
  const caught: Buffer[] = []
  let asked = false
  relay.passes = (bytes, direction) => {
    if (direction === 'toClient') asked ||= isRetry(bytes)
    else if (asked) caught.push(bytes)
    return direction === 'toClient' || !asked
  }
  dial(await openPort(t), relay.address)
  await until(() => caught.length > 0, 'the flight with the token')
  const accepted = count(port, 'accepted')
  await attacker.send(caught[0] as Buffer, addressOf(port))
  await until(() => count(port, 'refused') === 1, 'the stolen token is refused')
  assert.is(count(port, 'accepted'), accepted)
  await relay.inject(caught[0] as Buffer)
  await until(() => count(port, 'accepted') === accepted + 1, 'from where it belongs it is accepted')
})

const otherLoopback = (t: TestContext): string => {
  if (process.platform !== 'linux') t.skip('only Linux gives all of 127.0.0.0/8 to the loopback')
  return '127.0.0.2'
}

test.run()

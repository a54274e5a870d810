/** Stateless resets: a node that was killed and started again tells its old peers at once that their connections are gone. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { systemClock } from '../../transport/clock.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from './compliance.ts'
import {
  count,
  exchange,
  GATE_KEY,
  newIdentity,
  openPort,
  Relay,
  Stranger,
  startFixture,
  until,
} from './quic-support.ts'

/** Far less than the 30 s of silence after which QUIC gives up by itself. */
const RESET_PATIENCE_MS = 3000
const SEED = 20261123

const startPort = async (t: TestContext, identityFile: string, port: number) => {
  const child = startFixture(t, 'port.ts', [identityFile, String(port), GATE_KEY.toString('hex')])
  const [line] = await once(child.stdout!, 'data')
  return { child, port: Number(String(line)) }
}

const test = suite('QUIC port: stateless reset')

test(
  'after kill -9 and a restart on the same port the old connection ends at once, and a new one can be made',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'skein-reset-'))
    t.defer(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'identity.pem')
    const first = await startPort(t, file, 0)
    const port = await openPort(t)
    const party = dial(port, { host: '127.0.0.1', port: first.port })
    await until(() => party.isOpen, 'the connection opens')
    const nodeId = party.connection.peer?.nodeId

    const killed = once(first.child, 'exit')
    first.child.kill('SIGKILL')
    await killed
    const second = await startPort(t, file, first.port)
    assert.is(second.port, first.port)
    assert.is(party.closes.length, 0, 'nobody has noticed yet')
    party.send(pattern(1000, 1))
    await until(() => party.closes.length > 0, 'the reset is understood', RESET_PATIENCE_MS)
    assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
    assert.is(party.closes[0]?.byPeer, true)
    assert.is(count(port, 'tickets'), 0, 'a ticket of before is of no use')

    const again = dial(port, { host: '127.0.0.1', port: second.port })
    await until(() => again.isOpen, 'a new connection')
    assert.is(again.connection.peer?.nodeId, nodeId)
    await until(() => count(port, 'connections') === 1, 'nothing of the old one is left')
    await until(() => count(port, 'connectionIds') === 4, 'spare ids')
  },
  { deadlineMs: 20_000 },
)

test('a reset only goes to one who names an id of this node, and is never longer than what caused it', async (t) => {
  // A node that went without a word: its goodbye is lost on the way.
  const identity = await newIdentity()
  const before = await openPort(t, { identity })
  const address = addressOf(before)
  const parties = serve(before)
  const relay = await Relay.open(t, address)
  const port = await openPort(t)
  const party = dial(port, relay.address)
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'the connection opens')
  await exchange(party, parties[0]!, pattern(100, 1))
  let caught: Buffer | undefined
  relay.passes = (bytes, direction) => {
    if (direction === 'toServer' && (bytes[0] as number) < 0x80) caught = bytes
    return false
  }
  await before.close()
  party.send(pattern(500, 1))
  await until(() => caught !== undefined, 'a packet of the old connection')

  const after = await openPort(t, { identity, port: address.port })
  serve(after)
  const stranger = await Stranger.open(t)
  const packet = caught as unknown as Buffer
  const random = seededRandom(SEED)
  for (let i = 0; i < 20; i++) {
    // The id with one bit wrong is no id of ours.
    const forged = Buffer.from(packet)
    const at = 1 + Math.floor(random.float() * 16)
    forged[at] = (forged[at] as number) ^ (at === 1 ? 1 : 0x80)
    await stranger.send(forged, address)
  }
  // Too short for a reset that is shorter still.
  await stranger.send(packet.subarray(0, 21), address)
  await until(() => count(after, 'received') === 21, 'all of it')
  assert.is(count(after, 'sent'), 0)
  assert.is(count(after, 'resets'), 0)
  for (const sizeBytes of [packet.length, 30]) {
    const heard = stranger.heard.length
    await stranger.send(packet.subarray(0, sizeBytes), address)
    await until(() => stranger.heard.length > heard, 'the reset')
    const reset = stranger.heard[heard] as Buffer
    assert.ok(reset.length < sizeBytes && reset.length >= 21, `${reset.length} bytes for ${sizeBytes}`)
    assert.is((reset[0] as number) & 0xc0, 0x40)
  }
  assert.is(count(after, 'resets'), 2)
  // What was sent to the stranger ends no connection but that one, and only when it comes from the right address.
  const other = dial(port, address)
  await until(() => other.isOpen, 'another connection')
  await stranger.send(stranger.heard[0] as Buffer, addressOf(port))
  await until(() => count(port, 'unconnected') > 0, 'the reset from elsewhere')
  assert.is(party.closes.length, 0)
  relay.passes = () => true
  await until(() => party.closes.length > 0, 'the reset through the relay', RESET_PATIENCE_MS)
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  assert.ok(other.isOpen)
  console.log(`seed ${SEED}`)
})

test('resets are not handed out without measure', async (t) => {
  const identity = await newIdentity()
  const before = await openPort(t, { identity })
  const address = addressOf(before)
  const parties = serve(before)
  const relay = await Relay.open(t, address)
  const party = dial(await openPort(t), relay.address)
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'the connection opens')
  await exchange(party, parties[0]!, pattern(100, 1))
  const caught: Buffer[] = []
  relay.passes = (bytes, direction) => {
    if (direction === 'toServer') caught.push(bytes)
    return false
  }
  party.send(pattern(500, 1))
  await until(() => caught.some((bytes) => (bytes[0] as number) < 0x80), 'a packet of the old connection')
  await before.close()
  // A clock that stands still: all of it is one second.
  const startMs = systemClock.now()
  const after = await openPort(t, { identity, port: address.port, clock: { ...systemClock, now: () => startMs } })
  const stranger = await Stranger.open(t)
  const packet = caught.find((bytes) => (bytes[0] as number) < 0x80) as Buffer
  for (let i = 0; i < 100; i++) await stranger.send(packet, address)
  await until(() => count(after, 'received') === 100, 'all of it')
  assert.is(count(after, 'resets'), 32)
})

test('a party of a healthy connection takes no reset from thin air', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const relay = await Relay.open(t, addressOf(port))
  const party = dial(await openPort(t), relay.address)
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'the connection opens')
  const random = seededRandom(SEED)
  for (let i = 0; i < 30; i++) {
    const forged = random.bytes(21 + i)
    forged[0] = 0x40 | ((forged[0] as number) & 0x3f)
    forged[1] = (forged[1] as number) | 0x80
    await relay.inject(forged)
  }
  await until(() => count(port, 'unconnected') === 30, 'all of it')
  assert.ok(await exchange(party, parties[0]!, pattern(10_000, 1)))
  assert.ok(await exchange(parties[0]!, party, pattern(10_000, 2)))
})

test.run()

/** QUIC and TCP as one transport: one port number, the right carrier for each dial, and a node without QUIC. */
import { createServer } from 'node:net'
import * as assert from 'uvu/assert'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { type Carriers, type CarriersOptions, openCarriers } from '../../transport/carriers.ts'
import { systemClock } from '../../transport/clock.ts'
import { systemRandom } from '../../transport/random.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from './compliance.ts'
import { GATE_KEY, newIdentity, openTcpPort, until } from './tcp-support.ts'

const NO_ENGINE = new SkeinError('ERR_SKEIN_PLATFORM', 'no engine in this test')
const withoutQuic = (): Promise<never> => Promise.reject(NO_ENGINE)

const open = async (t: TestContext, options: Partial<CarriersOptions> = {}): Promise<Carriers> => {
  const carriers = await openCarriers({
    host: '127.0.0.1',
    port: 0,
    tcp: true,
    identity: await newIdentity(),
    gateKeys: [GATE_KEY],
    clock: systemClock,
    random: systemRandom,
    ...options,
  })
  t.defer(() => carriers.close())
  return carriers
}

/** Takes a TCP port; nobody takes it along with UDP's. */
const busyPort = async (t: TestContext): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.defer(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as { port: number }).port
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it worked',
    (error: unknown) => (isSkeinError(error) ? error.code : String(error)),
  )

const test = suite('carriers')

test('one port number for both; a dial goes where it is asked to', async (t) => {
  const [a, b] = [await open(t, { tcp: false }), await open(t)]
  assert.equal([a.kind, a.hasTcp, a.missing], ['quic', true, undefined])
  const parties = serve(b)
  const byUdp = dial(a, addressOf(b))
  await until(() => byUdp.isOpen && parties[0]?.isOpen === true, 'over UDP')
  const connected: string[] = []
  const closed: string[] = []
  const connection = a.connect(
    addressOf(b),
    {
      onOpen: () => connected.push('open'),
      onReadable() {},
      onFlush() {},
      onClosed: ({ code }) => closed.push(code),
    },
    { carrier: 'tcp' },
  )
  await until(() => connected.length === 1 && parties[1]?.isOpen === true, 'over TCP')
  assert.equal([byUdp.connection.carrier, connection.carrier], ['quic', 'tcp'])
  assert.equal(
    parties.map((party) => party.connection.carrier),
    ['quic', 'tcp'],
  )
  const counters = b.counters()
  assert.equal([counters.accepted, counters.tcpAccepted, counters.tcpConnections], [1, 1, 1])
  assert.ok(a.ways !== undefined, 'those of QUIC')
  await b.close()
  await until(() => closed.length === 1 && byUdp.closes.length === 1, 'both are told')
  assert.equal([closed[0], byUdp.closes[0]?.code], ['closed', 'closed'])
})

test('listens on TCP only if asked to', async (t) => {
  const [a, b] = [await open(t), await open(t, { tcp: false })]
  serve(b)
  const reasons: string[] = []
  const handler = {
    onOpen() {},
    onReadable() {},
    onFlush() {},
    onClosed: ({ code }: { code: string }) => reasons.push(code),
  }
  a.connect(addressOf(b), handler, { carrier: 'tcp' })
  await until(() => reasons.length === 1, 'nobody is there')
  assert.equal(reasons, ['ERR_SKEIN_CONNECT_TIMEOUT'])
})

test('a TCP port that is taken: an error if it was chosen, another one if not', async (t) => {
  const port = await busyPort(t)
  assert.is(await codeOf(open(t, { port })), 'ERR_SKEIN_PORT_BUSY')
  const other = await open(t, { port, portFallback: true })
  assert.is.not(addressOf(other).port, port)
  const tcpAlone = await open(t, { port, portFallback: true, openQuic: withoutQuic })
  assert.is.not(addressOf(tcpAlone).port, port)
  // Nothing was left behind by the attempts: UDP's port is free.
  const udpAlone = await open(t, { port, tcp: false })
  assert.is(addressOf(udpAlone).port, port)
})

test('without a QUIC engine there is TCP alone', async (t) => {
  const [a, b] = [await open(t, { openQuic: withoutQuic, tcp: false }), await open(t, { openQuic: withoutQuic })]
  assert.equal([a.kind, a.hasTcp, a.ways, a.missing], ['tcp', true, undefined, NO_ENGINE])
  assert.equal(a.addresses(), [])
  const parties = serve(b)
  const party = dial(a, addressOf(b))
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'they connect')
  const job = party.send(pattern(300_000, 1))
  await until(() => parties[0]!.finished.has(job.stream), 'bytes arrive')
  assert.is(party.connection.carrier, 'tcp')
  a.onDatagram('krpc', () => {})
  a.sendDatagram(addressOf(b), Uint8Array.of(1))
  assert.is(a.counters().tcpUnreachable, 1)
  // A member with both carriers comes in over TCP.
  const both = await open(t)
  const reasons: string[] = []
  both.connect(
    addressOf(b),
    { onOpen: () => reasons.push('open'), onReadable() {}, onFlush() {}, onClosed: ({ code }) => reasons.push(code) },
    { carrier: 'tcp' },
  )
  await until(() => reasons[0] === 'open', 'it comes in')
})

test('other failures of QUIC are failures', async (t) => {
  const openQuic = (): Promise<never> => Promise.reject(new SkeinError('ERR_SKEIN_BIND', 'not in this test'))
  assert.is(await codeOf(open(t, { openQuic })), 'ERR_SKEIN_BIND')
  const one = await newIdentity()
  const identity = { ...one, certificatePem: '-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n' }
  assert.is(await codeOf(openTcpPort(t, { identity })), 'ERR_SKEIN_BAD_IDENTITY')
  assert.is(await codeOf(openTcpPort(t, { host: '192.0.2.1' })), 'ERR_SKEIN_BIND')
})

test.run()

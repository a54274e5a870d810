/** The UDP socket of a port: binding and its failures, dual stack, addresses that others can dial, kernel buffers. */
import { networkInterfaces } from 'node:os'
import * as assert from 'uvu/assert'
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import { UdpSocket } from '../../transport/socket.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from './compliance.ts'
import { exchange, openPort, Stranger, until } from './quic-support.ts'

const DOCUMENTATION_ADDRESS = '192.0.2.77' // RFC 5737: nobody's

const fails = async (code: ErrorCode, body: () => Promise<unknown>): Promise<SkeinError> => {
  const thrown = await body().then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof SkeinError)) throw new Error(`expected ${code}`, { cause: thrown })
  assert.is(thrown.code, code, thrown.message)
  return thrown
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map((one) => one.address))

const needIPv6 = (t: TestContext): void => {
  if (!ownAddresses().includes('::1')) t.skip('this machine has no IPv6')
}

const openSocket = async (t: TestContext, host: string, heard: Buffer[] = []): Promise<UdpSocket> => {
  const socket = await UdpSocket.open(host, 0, (datagram) => heard.push(Buffer.from(datagram)))
  t.defer(() => socket.close())
  return socket
}

const test = suite('UDP socket')

test('a busy port is an error that names it, or makes way for a free one', async (t) => {
  const first = await openPort(t)
  const { host, port } = addressOf(first)
  const error = await fails('ERR_SKEIN_PORT_BUSY', () => openPort(t, { port }))
  assert.ok(error.message.includes(String(port)), error.message)
  const second = await openPort(t, { port, portFallback: true })
  assert.is(addressOf(second).host, host)
  assert.is.not(addressOf(second).port, port)
  // Both are good ports.
  const parties = serve(second)
  const party = dial(first, addressOf(second))
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'they connect')
})

test('a port that is free is used, fallback or not, and free again after closing', async (t) => {
  const first = await openPort(t)
  const { port } = addressOf(first)
  await first.close()
  assert.is(addressOf(await openPort(t, { port, portFallback: true })).port, port)
})

test('an address of another machine cannot be bound, with fallback neither', async (t) => {
  for (const portFallback of [false, true]) {
    const error = await fails('ERR_SKEIN_BIND', () => openPort(t, { host: DOCUMENTATION_ADDRESS, portFallback }))
    assert.ok(error.message.includes(DOCUMENTATION_ADDRESS), error.message)
  }
})

test("'::' serves IPv6 and IPv4", async (t) => {
  needIPv6(t)
  const both = await openPort(t, { host: '::' })
  const parties = serve(both)
  const { port } = addressOf(both)
  for (const [i, host] of ['127.0.0.1', '::1'].entries()) {
    const party = dial(await openPort(t, { host }), { host, port })
    await until(() => party.isOpen && parties[i]?.isOpen === true, `a client on ${host}`)
    assert.is(parties[i]?.connection.remote.host, host, 'IPv4 peers are shown as such')
    assert.ok(await exchange(party, parties[i]!, pattern(10_000, 1)))
    assert.ok(await exchange(parties[i]!, party, pattern(10_000, 2)))
  }
  // And it dials both.
  for (const host of ['127.0.0.1', '::1']) {
    const other = await openPort(t, { host })
    const others = serve(other)
    const party = dial(both, addressOf(other))
    await until(() => party.isOpen && others[0]?.isOpen === true, `a port on ${host}`)
    assert.equal(party.connection.remote, addressOf(other))
    assert.ok(await exchange(party, others[0]!, pattern(10_000, 3)))
  }
})

test("a port that somebody has in one family is busy for '::'", async (t) => {
  needIPv6(t)
  for (const host of ['127.0.0.1', '::1']) {
    const { bound } = await openSocket(t, host)
    const error = await fails('ERR_SKEIN_PORT_BUSY', () => UdpSocket.open('::', bound.port, () => {}))
    assert.ok(error.message.includes(String(bound.port)), error.message)
    // What was bound meanwhile in the other family is free again.
    const other = host === '::1' ? '127.0.0.1' : '::1'
    const again = await UdpSocket.open(other, bound.port, () => {})
    t.defer(() => again.close())
  }
})

test('a datagram with few hops arrives where no router is, and the socket sends as before', async (t) => {
  const heard: Buffer[] = []
  const hosts = ownAddresses().includes('::1') ? (['127.0.0.1', '::1'] as const) : (['127.0.0.1'] as const)
  const socket = await openSocket(t, hosts.length > 1 ? '::' : '0.0.0.0')
  for (const host of hosts) {
    const { port } = (await openSocket(t, host, heard)).bound
    socket.sendNear(Uint8Array.of(1), host, port, 2)
    // No such number of hops: it goes as far as any.
    socket.sendNear(Uint8Array.of(2), host, port, 0)
    socket.send(Uint8Array.of(3), host, port)
    await until(() => heard.length === 3, 'all of them')
    assert.equal(
      heard.splice(0).map(([byte]) => byte),
      [1, 2, 3],
    )
  }
  await socket.close()
  socket.sendNear(Uint8Array.of(4), '127.0.0.1', 9, 2)
})

test('datagrams of other kinds go both ways through a dual stack', async (t) => {
  needIPv6(t)
  const both = await openPort(t, { host: '::' })
  const stranger = await Stranger.open(t)
  const heard: string[] = []
  both.onDatagram('probe', (_bytes, from) => {
    heard.push(from.host)
    both.sendDatagram(from, Uint8Array.of(2))
    both.sendDatagram({ ...from, host: `::ffff:${from.host}` }, Uint8Array.of(2), 2)
  })
  await stranger.send(Uint8Array.of(1), { host: '127.0.0.1', port: addressOf(both).port })
  await until(() => stranger.heard.length === 2, 'the answers')
  assert.equal(heard, ['127.0.0.1'])
})

test('addresses() tells the machine its own addresses, which can be dialled', async (t) => {
  const own = ownAddresses()
  for (const host of ['0.0.0.0', '::']) {
    if (host === '::' && !own.includes('::1')) continue
    const port = await openPort(t, { host })
    const parties = serve(port)
    const addresses = port.addresses()
    assert.ok(addresses.length > 0)
    assert.is(new Set(addresses.map((one) => one.port)).size, 1)
    for (const address of addresses) {
      assert.ok(own.includes(address.host), `${address.host} is no address of this machine`)
      assert.not.match(address.host, /^(::|0\.0\.0\.0|fe80:.*)$/)
      if (host === '0.0.0.0') assert.match(address.host, /^\d+\.\d+\.\d+\.\d+$/)
    }
    assert.ok(addresses.some((one) => one.host === '127.0.0.1'))
    const party = dial(await openPort(t), { host: '127.0.0.1', port: addresses[0]!.port })
    await until(() => party.isOpen && parties.length === 1, 'one of them is dialled')
  }
})

test('a port bound to one address tells just that', async (t) => {
  const port = await openPort(t, { host: '127.0.0.1' })
  assert.equal(
    port.addresses().map(({ host }) => host),
    ['127.0.0.1'],
  )
  assert.ok(addressOf(port).port > 0)
})

test('the kernel is asked for large buffers, and what it gave is told', async (t) => {
  const { receiveBytes, sendBytes } = (await openPort(t)).kernelBuffers()
  // More than Linux gives by default (net.core.rmem_default, 208 KiB); how much more is up to the machine.
  assert.ok(receiveBytes >= 212_992 && sendBytes >= 212_992, `${receiveBytes} and ${sendBytes}`)
})

test('what cannot be sent is lost, as UDP may lose anything: port 0, nobody there, closed', async (t) => {
  const heard: Buffer[] = []
  const [socket, other] = [await openSocket(t, '127.0.0.1'), await openSocket(t, '127.0.0.1', heard)]
  const gone = await UdpSocket.open('127.0.0.1', 0, () => {})
  await gone.close()
  const bytes = Uint8Array.of(1, 2, 3, 4)
  assert.is(socket.send(bytes, '127.0.0.1', 0), true)
  // Nobody there: the kernel may report it with the next call.
  for (let i = 0; i < 3; i++) socket.send(bytes, '127.0.0.1', gone.bound.port)
  // Of another family, and longer than UDP can be.
  socket.send(bytes, '::1', other.bound.port)
  socket.send(new Uint8Array(70_000), '127.0.0.1', other.bound.port)
  assert.is(gone.send(bytes, '127.0.0.1', other.bound.port), true)
  // It still works, and sends as many bytes as it was told.
  socket.send(bytes.subarray(0, 3), '127.0.0.1', other.bound.port)
  await until(() => heard.length > 0, 'what can be sent arrives')
  assert.equal(
    heard.map((one) => [...one]),
    [[1, 2, 3]],
  )
})

test.run()

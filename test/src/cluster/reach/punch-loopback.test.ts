/** Two punchers on real sockets, on loopback: as they punch without any NAT between them, and from side sockets. */
import * as assert from 'uvu/assert'
import { Puncher } from '../../../../src/cluster/reach/puncher.ts'
import { type Address, formatAddress } from '../../../../transport/address.ts'
import { systemClock } from '../../../../transport/clock.ts'
import { systemRandom } from '../../../../transport/random.ts'
import { openSideSockets } from '../../../../transport/side-sockets.ts'
import { UdpSocket } from '../../../../transport/socket.ts'
import type { Way } from '../../../../transport/way.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { until } from '../../../transport/quic-support.ts'

const test = suite('punch on loopback')

interface End {
  readonly puncher: Puncher
  readonly at: Address
  readonly found: Way[]
  /** What came to the port and is no probe. */
  readonly port: string[]
  /** What came to a side. */
  readonly sides: string[]
}

const openEnd = async (t: TestContext): Promise<End> => {
  const port: string[] = []
  const sides: string[] = []
  const socket = await UdpSocket.open('127.0.0.1', 0, (bytes, host, from) => {
    if (bytes[0]! < 0x40) puncher.receive(bytes, { host, port: from })
    else port.push(bytes.toString())
  })
  t.defer(() => socket.close())
  const send = (to: Address, bytes: Uint8Array, length: number): void =>
    void socket.send(bytes.subarray(0, length), to.host, to.port)
  const puncher = new Puncher({
    clock: systemClock,
    random: systemRandom,
    sendProbe: (to, bytes) => send(to, bytes, bytes.length),
    openSideSockets,
    direct: (address) => ({
      kind: 'port',
      key: `port ${formatAddress(address)}`,
      address,
      maxBytes: 1350,
      send: (bytes, length) => send(address, bytes, length),
    }),
    receive: (_way, bytes) => void sides.push(Buffer.from(bytes).toString()),
    gone: () => {},
  })
  t.defer(() => puncher.stop())
  return { puncher, at: socket.bound, found: [], port, sides }
}

test('two find each other', async (t) => {
  const [a, b] = [await openEnd(t), await openEnd(t)]
  const token = systemRandom.bytes(16)
  const begin = (end: End, other: End): void => {
    end.puncher.begin({ token, targets: [other.at], found: (way) => void end.found.push(way), over: () => {} })
  }
  begin(a, b)
  begin(b, a)
  await until(() => a.found.length > 0 && b.found.length > 0, 'both find a way')
  assert.equal(a.found[0]?.address, b.at)
  assert.equal(b.found[0]?.address, a.at)
  a.found[0]!.send(Buffer.from('hello'), 5)
  await until(() => b.port.length > 0, 'the way leads there')
  assert.equal(b.port, ['hello'])
})

test('one finds the other from a side socket, and datagrams pass in both directions', async (t) => {
  const [cone, symmetric] = [await openEnd(t), await openEnd(t)]
  const token = systemRandom.bytes(16)
  cone.puncher.begin({ token, targets: [], found: (way) => void cone.found.push(way), over: () => {} })
  const punch = symmetric.puncher.begin({
    token,
    targets: [],
    found: (way) => void symmetric.found.push(way),
    over: () => {},
  })
  punch.spread(cone.at)
  await until(() => cone.found.length > 0 && symmetric.found.length > 0, 'both find a way')
  punch.end()
  const [there, back] = [symmetric.found[0]!, cone.found[0]!]
  assert.equal([there.kind, there.address, back.kind], ['socket', cone.at, 'port'])
  assert.is(there.key, `socket ${back.address.port} 127.0.0.1 ${cone.at.port}`)
  there.send(Buffer.from('there'), 5)
  await until(() => cone.port.length > 0, 'there')
  back.send(Buffer.from('_back'), 5)
  await until(() => symmetric.sides.length > 0, 'and back')
  assert.equal([cone.port, symmetric.sides], [['there'], ['_back']])
  const kept = symmetric.puncher.figures.sideSockets
  assert.ok(kept >= 1 && kept <= 4, `${kept} sockets are kept`)
  symmetric.puncher.release(there)
  assert.is(symmetric.puncher.figures.sideSockets, kept - 1)
})

test.run()

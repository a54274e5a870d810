import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as assert from 'uvu/assert'
import {
  decodeNatPmpExternal,
  decodeNatPmpMap,
  decodePcpMap,
  encodePcpMap,
} from '../../../../src/cluster/reach/gateway-frames.ts'
import { gatewayIn } from '../../../../src/cluster/reach/gateway-wire.ts'
import type { Lease, MappingProtocol } from '../../../../src/cluster/reach/mapping-protocol.ts'
import { PcpMapping } from '../../../../src/cluster/reach/pcp-mapping.ts'
import { type PortMapper, portMapper } from '../../../../src/cluster/reach/port-mapping.ts'
import { UpnpMapping } from '../../../../src/cluster/reach/upnp-mapping.ts'
import { type Address, formatAddress } from '../../../../transport/address.ts'
import { systemClock } from '../../../../transport/clock.ts'
import { seededRandom, systemRandom } from '../../../../transport/random.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { type FakeRouter, pcpRouter, upnpRouter } from './fake-gateway.ts'

const test = suite('port mapping')

const PORT = 4433
const MINUTE_MS = 60_000
const OUTER: Address = { host: '9.9.9.9', port: PORT }

// The mapper, in virtual time

class Script implements MappingProtocol {
  readonly name: string
  readonly calls: string[] = []
  answer: () => Promise<Lease> = async () => ({ address: OUTER, lifetimeMs: 60 * MINUTE_MS })
  unmapping: () => Promise<void> = async () => {}

  constructor(name = 'script') {
    this.name = name
  }

  map(): Promise<Lease> {
    this.calls.push('map')
    return this.answer()
  }

  unmap(): Promise<void> {
    this.calls.push('unmap')
    return this.unmapping()
  }
}

const scripted = (...protocols: Script[]) => {
  const clock = new VirtualClock()
  const world = { clock, needed: true, told: [] as string[], mapper: undefined as unknown as PortMapper }
  world.mapper = portMapper({
    clock,
    random: seededRandom(7),
    port: PORT,
    isNeeded: () => world.needed,
    changed: () => world.told.push(world.mapper.address === undefined ? 'none' : formatAddress(world.mapper.address)),
    protocols,
  })
  const pass = (ms: number) => clock.run({ untilMs: clock.now() + ms })
  return { world, pass }
}

test('nothing is asked while there is no NAT; once there is, at once', async () => {
  const script = new Script()
  const { world, pass } = scripted(script)
  world.needed = false
  world.mapper.start()
  await pass(10 * MINUTE_MS)
  assert.equal(script.calls, [])
  assert.match(world.mapper.status, /^not needed/)
  world.needed = true
  world.mapper.soon()
  await pass(10)
  assert.equal(script.calls, ['map'])
  assert.equal(world.told, ['9.9.9.9:4433'])
  assert.is(world.mapper.status, 'the router leads 9.9.9.9:4433 here, by script')
  world.needed = false
  await pass(15 * MINUTE_MS)
  assert.is(script.calls.at(-1), 'unmap')
  assert.equal(world.told, ['9.9.9.9:4433', 'none'])
  await world.mapper.stop()
})

test('it is renewed every ten minutes, and at half of what is shorter', async () => {
  for (const [lifetimeMs, times] of [
    [60 * MINUTE_MS, 6],
    [4 * MINUTE_MS, 30],
    [0, 200],
  ] as const) {
    const script = new Script()
    script.answer = async () => ({ address: OUTER, lifetimeMs })
    const { world, pass } = scripted(script)
    world.mapper.start()
    await pass(60 * MINUTE_MS)
    const renewals = script.calls.length - 1
    assert.ok(renewals >= times * 0.85 && renewals <= times * 1.3, `${renewals} renewals of ${lifetimeMs} ms`)
    assert.ok(world.told.length <= 1, 'the same address is no news')
    await world.mapper.stop()
  }
})

test('a renewal that fails costs nothing until the lease is over, and then it is told', async () => {
  const script = new Script()
  const { world, pass } = scripted(script)
  world.mapper.start()
  await pass(MINUTE_MS)
  script.answer = async () => {
    throw new Error('no')
  }
  await pass(50 * MINUTE_MS)
  assert.equal(world.mapper.address, OUTER)
  await pass(11 * MINUTE_MS)
  assert.is(world.mapper.address, undefined)
  assert.equal(world.told, ['9.9.9.9:4433', 'none'])
  assert.is(world.mapper.status, 'the router maps no port: script: no')
  script.answer = async () => ({ address: { host: '9.9.9.9', port: 5 }, lifetimeMs: 60 * MINUTE_MS })
  await pass(40 * MINUTE_MS)
  assert.equal(world.told.slice(2), ['9.9.9.9:5'])
  await world.mapper.stop()
})

test('who failed is asked again, ever more seldom; the next protocol steps in, and renews what it made', async () => {
  const [first, second] = [new Script('first'), new Script('second')]
  first.answer = second.answer = async () => {
    throw new Error('nobody there')
  }
  const { world, pass } = scripted(first, second)
  world.mapper.start()
  await pass(6 * 60 * MINUTE_MS)
  assert.is(world.mapper.status, 'the router maps no port: first: nobody there; second: nobody there')
  assert.ok(first.calls.length > 10 && first.calls.length < 22, `${first.calls.length} attempts`)
  assert.is(first.calls.length, second.calls.length)
  second.answer = async () => ({ address: OUTER, lifetimeMs: 60 * MINUTE_MS })
  await pass(40 * MINUTE_MS)
  assert.equal(world.mapper.address, OUTER)
  const before = first.calls.length
  await pass(60 * MINUTE_MS)
  assert.is(first.calls.length, before)
  await world.mapper.stop()
  assert.is(second.calls.at(-1), 'unmap')
})

test('a router that is behind a NAT itself gives nothing that others could use', async () => {
  for (const host of ['192.168.0.2', '100.64.3.4', '10.0.0.1', '0.0.0.0', '127.0.0.1', '255.255.255.255', 'no host']) {
    const script = new Script()
    script.answer = async () => ({ address: { host, port: PORT }, lifetimeMs: MINUTE_MS })
    const { world, pass } = scripted(script)
    world.mapper.start()
    await pass(10)
    assert.is(world.mapper.address, undefined)
    assert.equal(script.calls, ['map', 'unmap'])
    assert.match(world.mapper.status, /another NAT beyond it/)
    assert.equal(world.told, [])
    await world.mapper.stop()
  }
})

test('stop waits for no router, is idempotent, and after it nothing is asked', async () => {
  const script = new Script()
  script.unmapping = () => new Promise(() => {})
  const { world, pass } = scripted(script)
  world.mapper.start()
  await pass(10)
  const before = world.clock.now()
  const stopped = Promise.all([world.mapper.stop(), world.mapper.stop()])
  let isOver = false
  void stopped.then(() => {
    isOver = true
  })
  await pass(1000)
  assert.ok(isOver)
  assert.ok(world.clock.now() - before <= 1000)
  assert.is(world.mapper.status, 'stopped')
  assert.is(world.mapper.address, undefined)
  await pass(120 * MINUTE_MS)
  assert.equal(script.calls, ['map', 'unmap'])
  assert.is(world.clock.pending, 0)
})

test('what a router gives after the stop is taken back', async () => {
  const script = new Script()
  let give = (_lease: Lease): void => {}
  script.answer = () =>
    new Promise((resolve) => {
      give = resolve
    })
  const { world, pass } = scripted(script)
  world.mapper.start()
  await pass(10)
  assert.is(world.mapper.status, 'asking the router')
  const stopped = world.mapper.stop()
  await pass(1000)
  await stopped
  assert.equal(script.calls, ['map'])
  give({ address: OUTER, lifetimeMs: MINUTE_MS })
  await pass(1000)
  assert.equal(script.calls, ['map', 'unmap'])
  assert.equal(world.told, [])
})

test('what a router gives while the node stops is taken back before it has stopped, and no other one is asked', async () => {
  const [first, second] = [new Script('first'), new Script('second')]
  for (const gives of [true, false]) {
    let answer = (): void => {}
    first.calls.length = 0
    first.answer = () =>
      new Promise((resolve, reject) => {
        answer = gives ? () => resolve({ address: OUTER, lifetimeMs: MINUTE_MS }) : () => reject(new Error('no'))
      })
    const { world, pass } = scripted(first, second)
    world.mapper.start()
    await pass(10)
    let isStopped = false
    const stopped = world.mapper.stop().then(() => {
      isStopped = true
    })
    await pass(100)
    assert.not(isStopped)
    answer()
    await pass(1)
    await stopped
    assert.equal(first.calls, gives ? ['map', 'unmap'] : ['map'])
    assert.equal(second.calls, [])
    assert.equal(world.told, [], 'what is taken back is no news')
    assert.is(world.mapper.status, 'stopped')
    assert.is(world.clock.pending, 0)
  }
})

// Frames

test('no bytes at all throw, and only an answer to this request is one', () => {
  const seed = 99
  const random = seededRandom(seed)
  const nonce = random.bytes(12)
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.bytes(Math.floor(random.float() * 64))
    if (bytes.length > 1 && i % 2 === 0) bytes.set([i % 3 === 0 ? 2 : 0, 0x80 + (i % 4)])
    const pcp = decodePcpMap(bytes, PORT, nonce)
    assert.ok(pcp === undefined || pcp.type === 'versionless', `seed ${seed}, ${i}`)
    decodeNatPmpMap(bytes, PORT)
    decodeNatPmpExternal(bytes)
  }
  const request = { internalPort: PORT, wantedPort: PORT, lifetimeSeconds: 60 }
  const answer = Buffer.from(encodePcpMap(request, '192.168.1.7', nonce))
  answer[1]! |= 0x80
  assert.is(decodePcpMap(answer, PORT, nonce)?.type, 'mapped')
  for (const [at, what] of [
    [24, 'nonce'],
    [35, 'nonce'],
    [36, 'protocol'],
    [40, 'port'],
    [1, 'opcode'],
  ] as const) {
    const other = Buffer.from(answer)
    other[at]! ^= 1
    assert.is(decodePcpMap(other, PORT, nonce), undefined, `another ${what}`)
  }
})

test('the router of the default route: the one of the lowest metric, and none where there is none', () => {
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'
  const lan = 'eth0\t004D0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n'
  const route = (gateway: string, metric: number, flags = '0003'): string =>
    `eth0\t00000000\t${gateway}\t${flags}\t0\t0\t${metric}\t00000000\t0\t0\t0\n`
  assert.is(gatewayIn(head + lan), undefined)
  assert.is(gatewayIn(head + lan + route('0100A8C0', 100)), '192.168.0.1')
  assert.is(gatewayIn(head + route('0100A8C0', 600) + route('FE01000A', 100)), '10.0.1.254')
  assert.is(gatewayIn(head + route('00000000', 0, '0001')), undefined)
  assert.is(gatewayIn('nonsense'), undefined)
  assert.is(gatewayIn(''), undefined)
})

// Real sockets, on loopback

const mapOnce = async (t: TestContext, protocol: MappingProtocol) => {
  const ending = new AbortController()
  t.defer(() => ending.abort())
  const asking = { clock: systemClock, signal: ending.signal }
  const request = { internalPort: PORT, wantedPort: PORT, lifetimeSeconds: 3600 }
  const outcome = await protocol.map(request, asking).then(
    ({ address, lifetimeMs }) => `${formatAddress(address)} for ${lifetimeMs / 1000}`,
    (error: Error) => `failed: ${error.message}`,
  )
  return {
    outcome,
    request,
    again: () => protocol.map(request, asking),
    unmap: () => protocol.unmap({ ...request, lifetimeSeconds: 0 }, asking),
  }
}

const pcpOn = (router: FakeRouter) => new PcpMapping({ random: systemRandom, gateway: async () => router.address })
const upnpOn = (router: FakeRouter) => new UpnpMapping({ random: systemRandom, search: router.address })

test('PCP: mapped, renewed and taken back', async (t) => {
  const router = await pcpRouter(t, { speaks: 'pcp' })
  const { outcome, again, unmap } = await mapOnce(t, pcpOn(router))
  assert.is(outcome, '9.9.9.9:4433 for 3600')
  await again()
  await unmap()
  assert.equal(router.asked, ['pcp map 4433 4433 for 3600', 'pcp map 4433 4433 for 3600', 'pcp map 4433 0 for 0'])
})

test('NAT-PMP: after one word of PCP, and a lost datagram is repeated', async (t) => {
  const router = await pcpRouter(t, { speaks: 'nat-pmp' })
  const { outcome, again, unmap } = await mapOnce(t, pcpOn(router))
  assert.is(outcome, '9.9.9.9:4433 for 3600')
  const asked = ['pcp map 4433 4433 for 3600', 'nat-pmp map 4433 4433 for 3600', 'nat-pmp external']
  assert.equal(router.asked, asked)
  await again()
  await unmap()
  // The external address is asked for by the one who maps.
  assert.equal(router.asked, [...asked, ...asked.slice(1), 'nat-pmp map 4433 0 for 0'])
})

test('a mapping whose renewal failed is taken back all the same', async (t) => {
  const pcp = await pcpRouter(t, { speaks: 'pcp' })
  let gateway = pcp.address
  const mapping = new PcpMapping({ random: systemRandom, gateway: async () => gateway })
  const { again, unmap } = await mapOnce(t, mapping)
  gateway = { ...pcp.address, port: 1 }
  assert.is(await again().catch(() => 'failed'), 'failed')
  gateway = pcp.address
  await unmap()
  await unmap()
  assert.equal(pcp.asked, ['pcp map 4433 4433 for 3600', 'pcp map 4433 0 for 0'])

  const upnp = await upnpRouter(t)
  const other = upnpOn(upnp)
  const { request, unmap: takeBack } = await mapOnce(t, other)
  const ended = { clock: systemClock, signal: AbortSignal.abort() }
  assert.is(await other.map(request, ended).catch(() => 'failed'), 'failed')
  await takeBack()
  assert.is(upnp.asked.at(-1), '/ctl/IPConn DeletePortMapping 4433 UDP')
})

test('a mapping without an address is taken back', async (t) => {
  for (const speaks of ['pcp', 'nat-pmp'] as const) {
    const router = await pcpRouter(t, { speaks, outer: '0.0.0.0' })
    const { outcome, unmap } = await mapOnce(t, pcpOn(router))
    assert.is(outcome, 'failed: the router gave no address')
    assert.is(router.asked.at(-1), `${speaks} map 4433 0 for 0`)
    const asked = router.asked.length
    await unmap()
    assert.is(router.asked.length, asked)
  }
})

test('what is no answer is passed over, and a refusal is told in words', async (t) => {
  const noise = [
    new Uint8Array(0),
    Uint8Array.of(2),
    Uint8Array.of(2, 0x81),
    new Uint8Array(60).fill(2),
    new Uint8Array(2000),
  ]
  noise[4]!.set([2, 0x81])
  const noisy = await pcpRouter(t, { speaks: 'pcp', noise })
  assert.is((await mapOnce(t, pcpOn(noisy))).outcome, '9.9.9.9:4433 for 3600')
  const closed = await pcpRouter(t, { speaks: 'pcp', refuses: 2 })
  assert.match((await mapOnce(t, pcpOn(closed))).outcome, /^failed: not authorized/)
  const old = await pcpRouter(t, { speaks: 'nat-pmp', refuses: 3 })
  assert.match((await mapOnce(t, pcpOn(old))).outcome, /^failed: network failure/)
})

test('where nobody listens it is soon over', async (t) => {
  const router = await pcpRouter(t, { speaks: 'pcp' })
  const nobody = new PcpMapping({ random: systemRandom, gateway: async () => ({ ...router.address, port: 1 }) })
  assert.match((await mapOnce(t, nobody)).outcome, /^failed: /)
  const unknown = new PcpMapping({ random: systemRandom, gateway: async () => undefined })
  assert.is((await mapOnce(t, unknown)).outcome, 'failed: the router is not known')
})

test('UPnP: found, mapped, renewed without a search, and taken back', async (t) => {
  const router = await upnpRouter(t)
  const { outcome, again, unmap } = await mapOnce(t, upnpOn(router))
  assert.is(outcome, '9.9.9.9:4433 for 3600')
  const mapping = ['/ctl/IPConn GetExternalIPAddress', '/ctl/IPConn AddPortMapping 4433 UDP 4433 127.0.0.1 3600']
  const calls = (): string[] => router.asked.filter((one) => one.startsWith('/'))
  assert.equal(calls(), ['/root.xml', ...mapping])
  const searches = router.asked.length - calls().length
  await again()
  await unmap()
  await unmap()
  assert.equal(calls(), ['/root.xml', ...mapping, ...mapping, '/ctl/IPConn DeletePortMapping 4433 UDP'])
  assert.is(router.asked.length - calls().length, searches)
})

test('UPnP: a port that is taken makes way for another, a router that knows only lasting ones gets one', async (t) => {
  const taken = await upnpRouter(t, { refuses: [718, 729] })
  const { outcome } = await mapOnce(t, upnpOn(taken))
  const port = Number(/^9\.9\.9\.9:(\d+) for 3600$/.exec(outcome)?.[1])
  assert.ok(port >= 49_152 && port <= 65_535, outcome)
  const lasting = await upnpRouter(t, { refuses: [725] })
  assert.is((await mapOnce(t, upnpOn(lasting))).outcome, '9.9.9.9:4433 for 3600')
  assert.match(lasting.asked.at(-1)!, / 0$/)
  const full = await upnpRouter(t, { refuses: Array(9).fill(718) })
  assert.is((await mapOnce(t, upnpOn(full))).outcome, 'failed: error 718, No')
  const closed = await upnpRouter(t, { refuses: [606] })
  assert.is((await mapOnce(t, upnpOn(closed))).outcome, 'failed: error 606, No')
})

test('UPnP: whoever answers the search makes us fetch from nowhere but itself, and no more than is good', async (t) => {
  const visits: string[] = []
  const victim = createServer((request, response) => {
    visits.push(String(request.url))
    response.end()
  })
  await new Promise<void>((resolve) => victim.listen(0, '127.0.0.1', resolve))
  t.defer(() => new Promise((resolve) => victim.close(resolve)))
  const { port } = victim.address() as AddressInfo
  for (const location of [
    `http://localhost:${port}/a`,
    `http://127.0.0.2:${port}/b`,
    `https://127.0.0.1:${port}/c`,
    'file:///etc/passwd',
    'no url',
    '',
  ]) {
    const router = await upnpRouter(t, { location: () => location })
    assert.is((await mapOnce(t, upnpOn(router))).outcome, 'failed: no router answered the search', location)
  }
  const service = (url: string): string =>
    `<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>${url}</controlURL></service>`
  for (const url of [`http://localhost:${port}/d`, `http://127.0.0.2:${port}/e`, 'http://[', 'ftp://127.0.0.1/']) {
    const router = await upnpRouter(t, { description: () => service(url) })
    assert.match((await mapOnce(t, upnpOn(router))).outcome, /^failed: .*offers no port mapping/, url)
  }
  const based = await upnpRouter(t, {
    description: () => `<URLBase>http://127.0.0.2:${port}/</URLBase>${service('/f')}`,
  })
  assert.match((await mapOnce(t, upnpOn(based))).outcome, /offers no port mapping/)
  assert.equal(visits, [])
  const endless = await upnpRouter(t, { description: () => '<service>'.repeat(100_000) })
  assert.match((await mapOnce(t, upnpOn(endless))).outcome, /sent too much/)
})

test('UPnP: a router without an address, and one that hangs', async (t) => {
  for (const outer of ['', '0.0.0.0', 'host.example', '1.2.3']) {
    const router = await upnpRouter(t, { outer })
    assert.is((await mapOnce(t, upnpOn(router))).outcome, 'failed: the router has no address itself')
  }
  const hanging = await upnpRouter(t, { hangs: true })
  assert.match((await mapOnce(t, upnpOn(hanging))).outcome, /did not answer in time/)
})

test('the mapper on a real router: its stop ends a question that is under way', async (t) => {
  const silent = await pcpRouter(t, { speaks: 'pcp', loses: 1000 })
  const mapper = portMapper({
    clock: systemClock,
    random: systemRandom,
    port: PORT,
    isNeeded: () => true,
    changed: () => {},
    protocols: [pcpOn(silent)],
  })
  mapper.start()
  while (silent.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await mapper.stop()
  assert.is(mapper.status, 'stopped')
})

test.run()

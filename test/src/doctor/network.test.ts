/** The checks of the network: what is asked and heard, and what follows for UDP, NAT and multicast. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import * as assert from 'uvu/assert'
import { openDhtPort } from '../../../discovery/dht/port.ts'
import type { MulticastInterface } from '../../../discovery/mdns/interfaces.ts'
import type { OpenSocket, SocketHandler } from '../../../discovery/mdns/socket.ts'
import { checkMulticast, type MulticastProbe, probeMulticast } from '../../../src/doctor/multicast.ts'
import { checkNat, natOf, type Observation } from '../../../src/doctor/nat.ts'
import { type Sounding, sound } from '../../../src/doctor/sounding.ts'
import { checkUdp, type UdpFacts } from '../../../src/doctor/udp.ts'
import { type Address, parseHostPort } from '../../../transport/address.ts'
import { systemClock } from '../../../transport/clock.ts'
import { systemRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite, type TestContext } from '../../support/suite.ts'

const test = suite('doctor: the network')

const parts = { clock: systemClock, random: systemRandom }
const at = (text: string): Address => parseHostPort(text, 4433)

const socketHere = async (t: TestContext): Promise<Socket> => {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.defer(() => socket.close())
  return socket
}

test('a node of a DHT answers and tells where it sees us; garbage is no answer; a closed port says so', async (t) => {
  const node = await openDhtPort({ ...parts, host: '127.0.0.1', port: 0 })
  t.defer(() => node.close())
  const liar = await socketHere(t)
  liar.on('message', (datagram, from) => {
    // Not a message, and an answer to a question that nobody asked.
    for (const reply of [
      Buffer.alloc(99, 0x7f),
      Buffer.from('d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:zzzz1:y1:re'),
      datagram,
    ]) {
      liar.send(reply, from.port, from.address)
    }
  })
  const { results, observations, localPort } = await sound(parts, [
    node.addresses()[0]!,
    { host: '127.0.0.1', port: liar.address().port },
  ])
  assert.equal(
    results.map(({ udp, tcp }) => [udp, tcp]),
    [
      ['answered', 'notTried'],
      ['silent', 'there'],
    ],
  )
  assert.equal(
    observations.map(({ observed }) => observed),
    [{ host: '127.0.0.1', port: localPort }],
  )
  if (process.platform !== 'linux') return
  const ended = await openDhtPort({ ...parts, host: '127.0.0.1', port: 0 })
  await ended.close()
  assert.is((await sound(parts, ended.addresses())).results[0]?.udp, 'closed')
})

const sounding = (
  address: string,
  udp: Sounding['udp'],
  tcp: Sounding['tcp'] = 'silent',
  elsewhere = false,
): Sounding => ({
  address: at(address),
  udp,
  tookMs: udp === 'answered' ? 3 : undefined,
  tcp,
  elsewhere,
})

const none: UdpFacts = { soundings: [], places: [], unresolved: [], isProven: () => false, reached: 0 }

test('UDP: what silence means depends on what else answers', () => {
  const judge = (...soundings: Sounding[]): string[] =>
    checkUdp({ ...none, soundings }).map(({ state, what }) => `${state} ${what}`)
  const expect = (soundings: Sounding[], ...patterns: RegExp[]): void => {
    const found = judge(...soundings)
    assert.is(found.length, patterns.length, JSON.stringify(found))
    for (const [index, pattern] of patterns.entries()) assert.match(found[index] ?? '', pattern)
  }
  expect([], /^skipped No address was given/)
  assert.is(checkUdp({ ...none, reached: 2 })[0]?.state, 'ok', 'members were found by discovery')
  expect([sounding('1.2.3.4', 'answered')], /^ok .* 1 of 1 addresses answered, the first after 3\.0 ms/)
  expect([sounding('1.2.3.4', 'silent', 'there')], /^failed UDP blocked/)
  expect([sounding('1.2.3.4', 'silent', 'there', true)], /^failed UDP blocked on the way back, or a stranger/)
  expect([sounding('1.2.3.4', 'forbidden')], /^failed UDP blocked: this machine does not let/)
  expect([sounding('1.2.3.4', 'silent')], /^failed 1\.2\.3\.4:4433 answers neither/)
  expect([sounding('1.2.3.4', 'closed')], /^failed Nobody listens/)
  expect([sounding('1.2.3.4', 'noRoute')], /^failed There is no way/)
  // One cause, one finding.
  expect(
    [sounding('1.2.3.4', 'silent', 'there'), sounding('5.6.7.8', 'silent', 'there')],
    /1\.2\.3\.4:4433, 5\.6\.7\.8:4433/,
  )
  expect(
    [sounding('1.2.3.4', 'answered'), sounding('5.6.7.8', 'silent', 'there')],
    /^ok .* 1 of 2/,
    /^failed 5\.6\.7\.8:4433 does not answer, while others do/,
  )
  expect(
    [sounding('1.2.3.4', 'answered'), sounding('5.6.7.8', 'silent', 'there', true)],
    /^ok/,
    /^failed UDP gets to the host of 5\.6\.7\.8:4433 and back, but that port is silent/,
  )
  const named = checkUdp({
    ...none,
    soundings: [
      sounding('[2001:db8::1]:4433', 'noRoute'),
      sounding('1.2.3.4', 'answered'),
      sounding('5.6.7.8', 'silent'),
    ],
    places: [[at('[2001:db8::1]:4433'), at('1.2.3.4')], [at('5.6.7.8')]],
  }).map(({ state, what }) => `${state} ${what}`)
  assert.is(named.length, 2, 'a name that answers at one address needs no second')
  assert.match(named[1] ?? '', /^failed 5\.6\.7\.8/)
  const proven = checkUdp({ ...none, soundings: [sounding('1.2.3.4', 'silent', 'there')], isProven: () => true })
  assert.is(proven[0]?.state, 'ok', 'a node without a DHT that lets us in answers too')
  const [name] = checkUdp({ ...none, unresolved: [{ host: 'nowhere.invalid', port: 1 }] })
  assert.match(name?.what ?? '', /nowhere\.invalid has no address/)
})

const sees = (observer: string, observed: string): Observation => ({ observer: at(observer), observed: at(observed) })

test('NAT: the class follows from where several see one socket', () => {
  const own = [at('10.0.0.7:5000')]
  const of = (...observations: Observation[]): string => natOf(observations, own).nat
  assert.is(of(), 'unknown')
  assert.is(of(sees('8.8.8.8', '198.51.100.1:5000')), 'unknown', 'one cannot tell')
  assert.is(
    of(sees('8.8.8.8', '198.51.100.1:5000'), sees('8.8.8.8:9', '198.51.100.1:5001')),
    'unknown',
    'nor one host twice',
  )
  assert.is(of(sees('8.8.8.8', '198.51.100.1:5000'), sees('9.9.9.9', '198.51.100.1:5000')), 'cone')
  assert.is(of(sees('8.8.8.8', '198.51.100.1:5000'), sees('9.9.9.9', '198.51.100.1:6000')), 'symmetric')
  assert.is(of(sees('10.0.0.8', '10.0.0.7:5000')), 'open')
  assert.match(checkNat(natOf([sees('10.0.0.8', '10.0.0.7:5000')], own))[0]?.why ?? '', /farther out/)
  const twoNetworks = [at('10.0.0.7:5000'), at('10.8.0.7:5000')]
  const both = [sees('10.0.0.8', '10.0.0.7:5000'), sees('10.8.0.8', '10.8.0.7:5000')]
  assert.is(natOf(both, twoNetworks).nat, 'open', 'an own address on each network is no NAT')
  assert.is(
    of(sees('8.8.8.8', '1.1.1.1:5'), sees('9.9.9.9', '1.1.1.1:5'), sees('7.7.7.7', '6.6.6.6:6')),
    'cone',
    'one of three may lie',
  )
  assert.is(of(sees('8.8.8.8', '1.1.1.1:5'), sees('9.9.9.9', '1.1.1.1:6'), sees('7.7.7.7', '1.1.1.1:7')), 'symmetric')
  assert.is(
    of(sees('8.8.8.8', '1.1.1.1:5'), sees('9.9.9.9', '192.168.1.7:5000')),
    'unknown',
    'a neighbour behind the same NAT',
  )
  // A neighbour sees nothing of the NAT farther out.
  assert.is(of(sees('10.0.0.8', '10.0.0.7:5000'), sees('8.8.8.8', '1.1.1.1:5'), sees('9.9.9.9', '1.1.1.1:5')), 'cone')
  assert.is(of(sees('[2001:db8::1]:1', '[2001:db8::2]:2')), 'unknown')
  const symmetric = natOf([sees('8.8.8.8', '1.1.1.1:5'), sees('9.9.9.9', '1.1.1.1:6')], own)
  const [finding] = checkNat(symmetric)
  assert.equal([finding?.state, /port/.test(finding?.remedy ?? '')], ['warning', true])
  assert.is(checkNat(natOf([], own))[0]?.state, 'skipped')
})

const face: MulticastInterface = {
  interfaceName: 'eth0',
  loopback: false,
  family: 4,
  address: '10.0.0.7',
  networks: ['10.0.0.7/24'],
}

/** A medium on which all sockets hear what one says, if it carries at all, and a neighbour answers. */
const medium = (carries: boolean, neighbour: string | undefined): OpenSocket => {
  const handlers = new Set<SocketHandler>()
  return async (_face, _port, handler) => {
    handlers.add(handler)
    return {
      send: (packet) => {
        if (!carries) return handler.onError('EPERM')
        for (const one of handlers) {
          one.onPacket(packet, { host: '10.0.0.7', port: 5353 })
          if (neighbour !== undefined)
            one.onPacket({ ...packet, kind: 'response', questions: [] }, { host: neighbour, port: 5353 })
        }
      },
      close: async () => void handlers.delete(handler),
    }
  }
}

test('multicast: it works, it does not, somebody else is there', async () => {
  const probe = async (openSocket: OpenSocket): Promise<MulticastProbe> => {
    const clock = new VirtualClock()
    const probing = probeMulticast({ clock, random: systemRandom, openSocket }, [face])
    await clock.run({ untilMs: 5000 })
    return (await probing)[0]!
  }
  const alone = await probe(medium(true, undefined))
  assert.equal([alone.works, alone.heard], [true, []])
  const together = await probe(medium(true, '10.0.0.9'))
  assert.equal(together.heard, ['10.0.0.9'])
  assert.equal((await probe(medium(true, '172.16.0.1'))).heard, [], 'of another network')
  const broken = await probe(medium(false, undefined))
  assert.equal([broken.works, broken.errors], [false, ['EPERM']])

  const user = { name: 'a@there', host: '10.0.0.9' }
  const state = (probes: MulticastProbe[], users = [user]): string => {
    const [finding] = checkMulticast(probes, users)
    return `${finding?.state} ${finding?.what}`
  }
  assert.match(state([alone]), /^failed Multicast blocked on the network of eth0: a@there/)
  assert.match(state([alone], []), /^ok .* no other host was heard/)
  assert.match(state([alone], [{ name: 'b@far', host: '192.0.2.1' }]), /^ok/)
  assert.match(state([together]), /^ok .* 1 other host answered/)
  assert.match(state([{ ...alone, heard: ['10.0.0.8'] }]), /^warning .* a@there .* was not heard/)
  assert.match(state([broken]), /^failed Multicast blocked on eth0: .* \(EPERM\)/)
  const tunnel = { ...broken, face: { ...face, interfaceName: 'tun0' } }
  assert.match(state([tunnel, together]), /^warning tun0 carries no multicast/)
  assert.match(state([]), /^skipped/)
})

test.run()

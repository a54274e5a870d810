import * as assert from 'uvu/assert'
import { KEEPALIVE_MS, MAX_OBSERVERS, SelfView } from '../../../../src/cluster/reach/self-view.ts'
import { type Address, formatAddress, parseHostPort } from '../../../../transport/address.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('self view')

const at = (text: string): Address => parseHostPort(text)
/** A number from 0 up to, but not including, `below`. */
const dice = (seed: number): ((below: number) => number) => {
  const random = seededRandom(seed)
  return (below) => Math.floor(random.float() * below)
}

const LAN = ['192.168.1.7:4433', '127.0.0.1:4433']
const PUBLIC = '203.0.113.5'

class World {
  readonly clock = new VirtualClock()
  changes = 0
  local: Address[]
  readonly view: SelfView

  constructor(local: readonly string[] = LAN) {
    this.local = local.map(at)
    this.view = new SelfView({ clock: this.clock, local: () => this.local, changed: () => this.changes++ })
  }

  /** Member n, on a host of its own in one and the same network, sees this node there. */
  seen(n: number, where: string, idleMs?: number): void {
    this.view.observed(`member${n}`, at(`198.51.100.${n}:4433`), at(where), idleMs)
  }

  /** Nothing is sent for a while. */
  pass(ms: number): void {
    this.clock.advance(ms)
  }

  get public(): string[] {
    return this.view.publicAddresses().map(formatAddress)
  }

  get candidates(): string[] {
    return this.view.candidates().map(formatAddress)
  }

  get advertised(): string[] {
    return this.view.advertised().map(formatAddress)
  }
}

test('nothing is known at first, and its own addresses are all it can tell', () => {
  const world = new World()
  assert.is(world.view.nat, 'unknown')
  assert.equal(world.public, [])
  assert.equal(world.advertised, LAN)
  assert.equal(world.candidates, ['192.168.1.7:4433'])
  assert.is(world.view.keepaliveMs, KEEPALIVE_MS)
  assert.is(world.changes, 0)
})

test('one member is believed; the class takes two on different hosts', () => {
  const world = new World()
  world.seen(1, `${PUBLIC}:5000`)
  assert.equal(world.public, [`${PUBLIC}:5000`])
  assert.is(world.view.nat, 'unknown')
  world.view.observed('another', at('198.51.100.1:4434'), at(`${PUBLIC}:5000`))
  assert.is(world.view.nat, 'unknown', 'the same host')
  world.seen(2, `${PUBLIC}:5000`)
  assert.is(world.view.nat, 'cone')
  assert.equal(world.candidates, ['192.168.1.7:4433', `${PUBLIC}:5000`])
  assert.equal(world.advertised, LAN, 'what the NAT did not agree to is not to be dialled')
})

test('of two who contradict each other neither is believed', () => {
  const world = new World()
  world.seen(1, `${PUBLIC}:5000`)
  world.seen(2, '203.0.113.66:5000')
  assert.equal(world.public, [])
  assert.is(world.view.nat, 'unknown')
  world.seen(3, `${PUBLIC}:5000`)
  assert.equal(world.public, [`${PUBLIC}:5000`])
  assert.is(world.view.nat, 'cone')
})

test('another port for each is a symmetric NAT, and no port is to be tried then', () => {
  const world = new World()
  world.seen(1, `${PUBLIC}:5000`)
  world.seen(2, `${PUBLIC}:6000`)
  assert.is(world.view.nat, 'symmetric')
  assert.equal(world.public, [`${PUBLIC}:0`])
  assert.equal(world.candidates, ['192.168.1.7:4433'])
  for (let n = 3; n < 9; n++) world.seen(n, `${PUBLIC}:${7000 + n}`)
  assert.is(world.view.nat, 'symmetric')
})

test('seen at an address of its own there is no NAT', () => {
  const world = new World([`${PUBLIC}:4433`, '127.0.0.1:4433'])
  world.seen(1, `${PUBLIC}:4433`)
  assert.is(world.view.nat, 'open')
  assert.equal(world.advertised, [`${PUBLIC}:4433`, '127.0.0.1:4433'])
})

test('IPv4 behind a NAT and IPv6 without one stand beside each other', () => {
  const world = new World([...LAN, '[2001:db8::7]:4433'])
  world.seen(1, `${PUBLIC}:5000`)
  world.seen(2, `${PUBLIC}:5000`)
  world.view.observed('member3', at('[2001:db8:1::1]:4433'), at('[2001:db8::7]:4433'))
  assert.is(world.view.nat, 'cone')
  assert.equal(world.public, [`${PUBLIC}:5000`, '[2001:db8::7]:4433'])
  assert.equal(world.candidates, ['192.168.1.7:4433', '[2001:db8::7]:4433', `${PUBLIC}:5000`])
  world.view.observed('member4', at('[::ffff:198.51.100.4]:4433'), at(`[::ffff:${PUBLIC}]:5001`))
  assert.is(world.view.nat, 'cone', 'an IPv4 address in the notation of IPv6 is one of IPv4')
})

test('who is on the same LAN tells nothing of the world', () => {
  const world = new World()
  for (let n = 10; n < 16; n++) world.view.observed(`near${n}`, at(`192.168.1.${n}:4433`), at('192.168.1.7:4433'))
  assert.is(world.view.nat, 'unknown')
  assert.equal(world.public, [])
  for (let n = 10; n < 16; n++) world.view.observed(`near${n}`, at(`192.168.1.${n}:4433`), at(`${PUBLIC}:1`))
  assert.equal(world.public, [], 'nor by a lie')
  world.seen(1, `${PUBLIC}:5000`)
  assert.ok(world.public.includes(`${PUBLIC}:5000`))
})

test('a container that a LAN sees behind its host is behind a NAT there', () => {
  const world = new World(['172.17.0.2:4433', '127.0.0.1:4433'])
  world.view.observed('a', at('192.168.1.10:4433'), at('192.168.1.5:50000'))
  world.view.observed('b', at('192.168.1.11:4433'), at('192.168.1.5:50000'))
  assert.is(world.view.nat, 'cone')
  assert.equal(world.public, [])
  assert.equal(world.candidates, ['172.17.0.2:4433', '192.168.1.5:50000'])
})

test('what cannot be true counts for nothing', () => {
  const world = new World()
  world.seen(1, '10.0.0.9:4433')
  world.seen(2, '127.0.0.1:4433')
  world.seen(3, '[2001:db8::7]:4433')
  world.view.observed('member4', at('198.51.100.4:4433'), { host: PUBLIC, port: 0 })
  world.view.observed('member5', at('127.0.0.1:4433'), at('127.0.0.1:5555'))
  assert.equal(world.public, [])
  assert.is(world.view.nat, 'unknown')
  assert.is(world.changes, 0)
  world.seen(1, `${PUBLIC}:5000`)
  world.seen(1, '10.0.0.9:4433')
  assert.equal(world.public, [`${PUBLIC}:5000`], 'what it said before stands')
})

test('a liar among four changes nothing, whatever it says and however often', () => {
  const seed = 20_261
  const random = dice(seed)
  for (const kind of ['cone', 'symmetric', 'open'] as const) {
    const world = new World(kind === 'open' ? [`${PUBLIC}:4433`] : LAN)
    const truth = (n: number): string => `${PUBLIC}:${kind === 'open' ? 4433 : kind === 'cone' ? 5000 : 5000 + n}`
    for (const n of [1, 2, 3]) world.seen(n, truth(n))
    const before = [world.view.nat, ...world.public]
    assert.is(before[0], kind)
    for (let i = 0; i < 300; i++) {
      const hosts = [PUBLIC, PUBLIC, '203.0.113.66', '192.168.1.7', '10.0.0.1', '8.8.8.8']
      const lie = `${hosts[random(hosts.length)]}:${1 + random(65_535)}`
      world.pass(random(5000))
      const by = random(20) === 0 ? 'gone' : 'seen'
      if (by === 'gone') world.view.gone('member4')
      else world.seen(4, lie)
      if (random(3) === 0) {
        const n = 1 + random(3)
        world.seen(n, truth(n))
      }
      assert.equal([world.view.nat, ...world.public], before, `${kind}, seed ${seed}, lie ${i}: ${lie}`)
    }
  }
})

test('a liar with many identities on one host has one vote', () => {
  const world = new World()
  for (const n of [1, 2, 3]) world.seen(n, `${PUBLIC}:5000`)
  for (let i = 0; i < 50; i++) world.view.observed(`sybil${i}`, at('198.51.100.66:4433'), at('203.0.113.66:1'))
  assert.equal(world.public, [`${PUBLIC}:5000`])
  assert.is(world.view.nat, 'cone')
})

test('a liar that moves from host to host takes its vote along', () => {
  const world = new World()
  for (const n of [1, 2]) world.seen(n, `${PUBLIC}:5000`)
  for (let i = 10; i < 20; i++) world.view.observed('mover', at(`198.51.100.${i}:4433`), at('203.0.113.66:1'))
  assert.equal(world.public, [`${PUBLIC}:5000`])
})

test('a word counts for as long as its member is connected', () => {
  const world = new World()
  for (const n of [1, 2, 3]) world.seen(n, `${PUBLIC}:5000`)
  world.pass(24 * 3_600_000)
  world.seen(4, '203.0.113.66:1')
  assert.equal([world.view.nat, ...world.public], ['cone', `${PUBLIC}:5000`])
})

test('those who tell are bounded, and make room when they go', () => {
  const world = new World()
  const observer = (i: number): Address => at(`198.${18 + (i >> 8)}.${i & 255}.1:4433`)
  for (let i = 0; i < MAX_OBSERVERS; i++) world.view.observed(`m${i}`, observer(i), at('203.0.113.66:1'))
  world.view.observed('late', observer(MAX_OBSERVERS), at(`${PUBLIC}:5000`))
  for (let i = 0; i < MAX_OBSERVERS; i++) world.view.gone(`m${i}`)
  assert.equal(world.public, [], 'the late one was not heard')
  world.view.observed('late', observer(MAX_OBSERVERS), at(`${PUBLIC}:5000`))
  assert.equal(world.public, [`${PUBLIC}:5000`])
})

test('a mapping that was forgotten is no symmetric NAT, and sets the keepalive', () => {
  const world = new World()
  for (const n of [1, 2, 3, 4]) world.seen(n, `${PUBLIC}:5000`)
  world.pass(40_000)
  // One after the other they see the new mapping; while they are of two minds nothing is concluded.
  for (const n of [1, 2, 3, 4]) {
    world.seen(n, `${PUBLIC}:5900`, 28_000)
    assert.is(world.view.nat, 'cone', `after ${n}`)
    world.pass(100)
  }
  assert.equal(world.public, [`${PUBLIC}:5900`])
  assert.is(world.view.shortestMappingMs, 28_000)
  assert.ok(world.view.keepaliveMs < 14_000, 'below half of it')
  world.pass(60_000)
  world.seen(2, `${PUBLIC}:6100`, 6000)
  assert.is(world.view.keepaliveMs, 5000, 'never below')
})

test('with two members alone a forgotten mapping is no symmetric NAT either, but two new ports are', () => {
  const world = new World()
  for (const n of [1, 2]) world.seen(n, `${PUBLIC}:5000`)
  world.pass(60_000)
  world.seen(1, `${PUBLIC}:5900`)
  assert.is(world.view.nat, 'cone')
  world.seen(2, `${PUBLIC}:5900`)
  assert.is(world.view.nat, 'cone')
  assert.equal(world.public, [`${PUBLIC}:5900`])
  world.pass(60_000)
  world.seen(1, `${PUBLIC}:7001`)
  world.pass(1)
  world.seen(2, `${PUBLIC}:7002`)
  // The second one's change began a new reckoning: it takes another word of the first.
  world.seen(1, `${PUBLIC}:7001`)
  assert.is(world.view.nat, 'symmetric')
})

test('a router that was restarted in mid-traffic does not hurry the keepalive', () => {
  const world = new World()
  world.seen(1, `${PUBLIC}:5000`)
  world.pass(60_000)
  world.seen(1, `${PUBLIC}:5900`, 20)
  assert.is(world.view.shortestMappingMs, undefined)
  assert.is(world.view.keepaliveMs, KEEPALIVE_MS)
})

test('in another network the life of mappings is measured anew', () => {
  const world = new World()
  world.seen(1, `${PUBLIC}:5000`)
  world.seen(1, `${PUBLIC}:5900`, 12_000)
  assert.is(world.view.shortestMappingMs, 12_000)
  world.seen(1, '192.0.2.200:5900', 12_000)
  assert.equal(world.public, ['192.0.2.200:5900'])
  assert.is(world.view.shortestMappingMs, undefined)
})

test('a changed address is believed once more than half see it', () => {
  const world = new World()
  for (const n of [1, 2, 3, 4, 5]) world.seen(n, `${PUBLIC}:5000`)
  const before = world.changes
  for (const n of [1, 2]) world.seen(n, '192.0.2.200:7000')
  assert.equal(world.public, [`${PUBLIC}:5000`])
  assert.is(world.changes, before)
  world.seen(3, '192.0.2.200:7000')
  assert.equal(world.public, ['192.0.2.200:7000'])
  assert.is(world.view.nat, 'cone')
  assert.is(world.changes, before + 1)
})

test('who goes takes its word along, and the class stays while the address does', () => {
  const world = new World()
  for (const n of [1, 2]) world.seen(n, `${PUBLIC}:5000`)
  world.view.gone('member1')
  assert.is(world.view.nat, 'cone')
  world.view.gone('member1')
  world.view.gone('member2')
  assert.equal(world.public, [])
  assert.is(world.view.nat, 'unknown')
})

test('two members of one host: the later word counts, and the other stands when it goes', () => {
  const world = new World()
  world.view.observed('a', at('198.51.100.1:4433'), at(`${PUBLIC}:5000`))
  world.pass(10)
  world.view.observed('b', at('198.51.100.1:4434'), at('203.0.113.66:5000'))
  assert.equal(world.public, ['203.0.113.66:5000'])
  world.view.gone('b')
  assert.equal(world.public, [`${PUBLIC}:5000`])
})

test('the DHT counts where members say nothing', () => {
  const world = new World()
  world.view.dhtSaw(at(`${PUBLIC}:5000`), 'stable')
  assert.is(world.view.nat, 'cone')
  assert.equal(world.public, [`${PUBLIC}:5000`])
  world.view.dhtSaw(undefined, 'varying')
  assert.is(world.view.nat, 'symmetric')
  for (const n of [1, 2]) world.seen(n, `${PUBLIC}:5000`)
  assert.is(world.view.nat, 'cone', 'members are certain by their keys')
  world.view.dhtSaw(at('203.0.113.66:1'), 'stable')
  assert.equal(world.public, [`${PUBLIC}:5000`])
  world.view.gone('member1')
  world.view.gone('member2')
  world.seen(3, `${PUBLIC}:5000`)
  assert.is(world.view.nat, 'unknown', 'member and DHT see another host each')
  const open = new World([`${PUBLIC}:4433`])
  open.view.dhtSaw(undefined, 'varying')
  assert.is(open.view.nat, 'unknown')
  open.view.dhtSaw(at(`${PUBLIC}:4433`), 'stable')
  assert.is(open.view.nat, 'open')
})

test('a mapped address comes first, and makes the node as good as open for those who dial', () => {
  const world = new World()
  for (const n of [1, 2]) world.seen(n, `${PUBLIC}:5000`)
  const before = world.changes
  world.view.mapped(at(`${PUBLIC}:4433`))
  assert.is(world.changes, before + 1)
  assert.equal(world.advertised, [`${PUBLIC}:4433`, ...LAN])
  assert.equal([world.view.nat, world.view.publishedNat], ['cone', 'open'])
  world.view.mapped(undefined)
  assert.equal([world.view.nat, world.view.publishedNat], ['cone', 'cone'])
  assert.equal(world.advertised, LAN)
})

test('changes are told once each, and what is said again is none', () => {
  const world = new World()
  world.seen(1, `${PUBLIC}:5000`)
  assert.is(world.changes, 1)
  for (let i = 0; i < 5; i++) world.seen(1, `${PUBLIC}:5000`)
  assert.is(world.changes, 1)
  world.local = ['192.168.2.9:4433'].map(at)
  world.view.localChanged()
  assert.is(world.changes, 2)
  assert.equal(world.advertised, ['192.168.2.9:4433'])
})

test.run()

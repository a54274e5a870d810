import * as assert from 'uvu/assert'
import { Introducers, MAX_CANDIDATES } from '../../../../src/cluster/reach/introducers.ts'
import { formatAddress, parseHostPort } from '../../../../transport/address.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('introducers')

class World {
  changes = 0
  readonly introducers = new Introducers(() => this.changes++)

  met(id: string, address: string, { dialled = true, nat = 'unknown' as 'unknown' | 'open' | 'cone' } = {}): void {
    this.introducers.met({ id, address: parseHostPort(address), dialled, nat })
  }

  get ids(): string {
    return this.introducers.ids().join(' ')
  }
}

test('only who can be reached by a stranger: dialled at a public address, or without a NAT', () => {
  const world = new World()
  world.met('lan', '192.168.1.9:4433')
  world.met('came', '198.51.100.1:50000', { dialled: false })
  world.met('cone', '198.51.100.2:50000', { dialled: false, nat: 'cone' })
  world.met('private', '10.0.0.1:4433', { dialled: false, nat: 'open' })
  assert.is(world.ids, '')
  assert.is(world.changes, 0)
  world.met('open', '198.51.100.3:4433', { dialled: false, nat: 'open' })
  world.met('dialled', '[2001:db8::1]:4433')
  assert.is(world.ids, 'open dialled')
  assert.equal(world.introducers.addresses().map(formatAddress), ['198.51.100.3:4433', '[2001:db8::1]:4433'])
  assert.is(world.changes, 2)
})

test('three at most, those who are connected longest, and they stay', () => {
  const world = new World()
  for (let i = 1; i <= 9; i++) world.met(`m${i}`, `${20 + i}.0.0.1:4433`)
  assert.is(world.ids, 'm1 m2 m3')
  assert.is(world.changes, 3)
  world.introducers.gone('m2')
  assert.is(world.ids, 'm1 m3 m4')
  world.met('m2', '22.0.0.1:4433')
  assert.is(world.ids, 'm1 m3 m4', 'it is the youngest now')
  assert.is(world.changes, 4)
})

test('other networks before neighbours; a neighbour rather than nobody', () => {
  const world = new World()
  world.met('a1', '21.0.0.1:4433')
  world.met('a2', '21.0.0.2:4433')
  world.met('a3', '21.0.0.3:4433')
  assert.is(world.ids, 'a1 a2 a3')
  world.met('b1', '22.0.0.1:4433')
  assert.is(world.ids, 'a1 a2 b1')
  world.met('c1', '23.0.0.1:4433')
  assert.is(world.ids, 'a1 c1 b1')
  world.met('d1', '24.0.0.1:4433')
  assert.is(world.ids, 'a1 c1 b1', 'no more to gain')
})

test('one that turns out to be behind a NAT after all, or moves, is told', () => {
  const world = new World()
  world.met('a', '21.0.0.1:4433', { dialled: false, nat: 'open' })
  world.met('a', '21.0.0.1:4433', { dialled: false, nat: 'open' })
  assert.is(world.changes, 1)
  world.met('a', '21.0.0.7:4433', { dialled: false, nat: 'open' })
  assert.is(world.changes, 2)
  assert.equal(world.introducers.addresses().map(formatAddress), ['21.0.0.7:4433'])
  world.met('a', '21.0.0.7:4433', { dialled: false, nat: 'cone' })
  assert.is(world.ids, '')
  assert.is(world.changes, 3)
})

test(
  'under any coming and going: three at most, connected, distinct, and no change without a reason',
  () => {
    const seed = 4711
    const floats = seededRandom(seed)
    const random = (below: number): number => Math.floor(floats.float() * below)
    const world = new World()
    const here = new Set<string>()
    for (let i = 0; i < 3000; i++) {
      const n = random(2 * MAX_CANDIDATES)
      const id = `m${n}`
      const [before, changesBefore] = [world.ids, world.changes]
      if (random(3) === 0) {
        world.introducers.gone(id)
        here.delete(id)
      } else {
        world.met(id, `${20 + (n % 5)}.0.${n >> 8}.${n & 255}:4433`)
        here.add(id)
      }
      const ids = world.introducers.ids()
      assert.ok(ids.length <= 3 && new Set(ids).size === ids.length, `seed ${seed}, step ${i}`)
      assert.ok(
        ids.every((one) => here.has(one)),
        `seed ${seed}, step ${i}: ${world.ids}`,
      )
      assert.is(world.changes - changesBefore, before === world.ids ? 0 : 1, `seed ${seed}, step ${i}`)
    }
  },
  { deadlineMs: 60_000 },
)

test('those remembered are bounded', () => {
  const world = new World()
  for (let i = 0; i < MAX_CANDIDATES; i++) world.met(`m${i}`, `20.${i >> 8}.${i & 255}.1:4433`)
  world.met('late', '99.0.0.1:4433')
  const gone = [...Array(MAX_CANDIDATES).keys()]
  for (const i of gone) world.introducers.gone(`m${i}`)
  assert.is(world.ids, '', 'the late one was left out')
  world.met('late', '99.0.0.1:4433')
  assert.is(world.ids, 'late')
})

test.run()

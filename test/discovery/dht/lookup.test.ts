import * as assert from 'uvu/assert'
import { compareDistance, sameKey } from '../../../discovery/dht/dht-id.ts'
import { type Candidate, Lookup, type LookupOptions, MAX_ASKED, WINDOW } from '../../../discovery/dht/lookup.ts'
import type { Contact } from '../../../discovery/dht/message.ts'
import { Networks } from '../../../discovery/dht/networks.ts'
import { type Random, seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('lookup')
const target = new Uint8Array(20)
const networks = new Networks()

const nodeOf = (random: Random, number: number): Contact => ({
  id: Uint8Array.from(random.bytes(20)),
  address: { host: `${20 + (number >> 12)}.${(number >> 6) & 63}.${number & 63}.1`, port: 1 },
})
const world = (count: number, seed = 1): Contact[] => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, i) => nodeOf(random, i))
}
const nearest = (nodes: readonly Contact[], count: number): Contact[] =>
  nodes.toSorted((a, b) => compareDistance(target, a.id, b.id)).slice(0, count)
const hosts = (nodes: readonly Contact[]): string[] => nodes.map(({ address }) => address.host)
const newLookup = (contacts: readonly Contact[], options: Partial<LookupOptions> = {}): Lookup =>
  new Lookup({ target, contacts, networks, accepts: () => true, ...options })

/** Runs a lookup to its end; nodes answer as `behave` says, undefined is silence. */
const run = (lookup: Lookup, behave: (candidate: Candidate) => readonly Contact[] | undefined): Candidate[] => {
  const asked: Candidate[] = []
  for (let round = 0; round < 1000; round++) {
    const next = lookup.next()
    asked.push(...next)
    if (lookup.isDone) return asked
    assert.ok(next.length > 0, 'it waits for somebody')
    for (const candidate of next) {
      const named = behave(candidate)
      if (named !== undefined) lookup.answered(candidate, candidate.id, named)
      else {
        lookup.late(candidate)
        lookup.silent(candidate)
      }
    }
  }
  throw new Error('the lookup does not end')
}

test('finds the nearest where everybody knows some', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const nodes = world(300, seed)
    const random = seededRandom(seed)
    // Everybody knows the neighbours of the target as well as anybody may, with gaps.
    const known = (): Contact[] =>
      nearest(
        nodes.filter(() => random.float() < 0.7),
        8,
      )
    const lookup = newLookup(nodes.slice(0, 5))
    const asked = run(lookup, known)
    assert.equal(hosts(lookup.closest(8)), hosts(nearest(nodes, 8)))
    assert.ok(asked.length <= 30, `${asked.length} asked`)
  }
})

test('dead nodes are left behind, and nobody is asked twice', () => {
  const nodes = world(200)
  const dead = new Set(hosts(nodes.filter((_, i) => i % 4 === 0)))
  for (const paths of [1, 2] as const) {
    const lookup = newLookup(nodes.slice(1, 20), { paths })
    const asked = run(lookup, (one) => (dead.has(one.address.host) ? undefined : nearest(nodes, 24)))
    assert.is(new Set(hosts(asked)).size, asked.length)
    const alive = nodes.filter(({ address }) => !dead.has(address.host))
    assert.equal(hosts(lookup.closest(8)), hosts(nearest(alive, 8)))
  }
})

test('the nearest who is late holds nobody up, unless there are too few others', () => {
  const many = world(30)
  const lookup = newLookup(many)
  let late: Candidate | undefined
  for (let next = lookup.next(); next.length > 0; next = lookup.next()) {
    for (const candidate of next) {
      if (late === undefined) late = candidate
      else lookup.answered(candidate, candidate.id, [])
    }
    if (late !== undefined && !lookup.isDone) lookup.late(late)
  }
  assert.ok(lookup.isDone)
  lookup.answered(late!, late!.id, [])
  assert.is(lookup.closest(1)[0], late, 'its answer is welcome until the end')

  const few = newLookup(world(3))
  const asked = few.next()
  assert.is(asked.length, 3)
  for (const candidate of asked) few.late(candidate)
  assert.not(few.isDone)
  few.answered(asked[0]!, asked[0]!.id, [])
  few.silent(asked[1]!)
  assert.not(few.isDone)
  few.failed(asked[2]!)
  assert.equal(few.next(), [])
  assert.ok(few.isDone)
})

test('a patient lookup waits for everybody in the window', () => {
  const lookup = newLookup(world(30), { patient: true })
  const waiting: Candidate[] = []
  for (let next = lookup.next(); next.length > 0; next = lookup.next()) {
    for (const candidate of next) {
      if (waiting.length > 0) lookup.answered(candidate, candidate.id, [])
      else {
        waiting.push(candidate)
        lookup.late(candidate)
      }
    }
  }
  assert.not(lookup.isDone)
  lookup.silent(waiting[0]!)
  for (const candidate of lookup.next()) lookup.answered(candidate, candidate.id, [])
  assert.ok(lookup.isDone)
})

test('without contacts it is done at once', () => {
  const lookup = newLookup([])
  assert.equal(lookup.next(), [])
  assert.ok(lookup.isDone)
  assert.equal(lookup.closest(8), [])
})

test('two paths share no node, and a path hears only of what its own nodes name', () => {
  const nodes = world(200)
  const [left, right] = [nodes.slice(0, 100), nodes.slice(100)]
  const lookup = newLookup([left[0]!, right[0]!, left[1]!, right[1]!], { paths: 2 })
  const ofLeft = new Set(hosts(left))
  const asked = run(lookup, (one) => nearest(ofLeft.has(one.address.host) ? left : right, 20))
  assert.is(new Set(hosts(asked)).size, asked.length)
  for (const one of asked) assert.is(one.path, ofLeft.has(one.address.host) ? 0 : 1)
  assert.ok(lookup.closest(16).length === 16)
})

test('sybils of four networks are eight voices of sixteen at most', () => {
  const honest = world(60)
  const sybils = Array.from({ length: 64 }, (_, i) => ({
    id: Uint8Array.from({ length: 20 }, (_, byte) => (byte === 19 ? i + 1 : 0)),
    address: { host: `150.1.${i % 4}.${1 + (i >> 2)}`, port: 1 },
  }))
  const isSybil = ({ address }: Contact): boolean => address.host.startsWith('150.')
  // Sybils name sybils; the honest name the nearest they know, half of them sybils.
  const lookup = newLookup(honest.slice(0, 8), { paths: 2 })
  const asked = run(lookup, (one) =>
    isSybil(one) ? sybils.slice(8, 24) : [...sybils.slice(0, 4), ...nearest(honest, 8)],
  )
  const found = lookup.closest(16)
  assert.is(found.length, 16)
  assert.ok(found.filter(isSybil).length <= 8, `${found.filter(isSybil).length} sybils`)
  assert.ok(asked.filter(isSybil).length <= 24, `${asked.filter(isSybil).length} sybils asked`)
})

test('a liar who names an honest node with a wrong id does not keep it from being heard', () => {
  const honest = nearest(world(40), 1)[0]!
  const liar = { id: new Uint8Array(20).fill(0xff), address: { host: '150.1.1.1', port: 1 } }
  const lookup = newLookup([liar])
  const fake = new Uint8Array(20)
  fake[19] = 1
  const [asked] = lookup.next()
  lookup.answered(asked!, liar.id, [{ id: fake, address: honest.address }])
  const [renamed] = lookup.next()
  lookup.answered(renamed!, honest.id, [])
  assert.equal(lookup.next(), [])
  assert.ok(lookup.isDone)
  assert.ok(sameKey(lookup.closest(1)[0]!.id, honest.id))
})

test('liars who name ever nearer nodes cannot keep it busy for ever', () => {
  let number = 0
  const closer = (): Contact[] =>
    Array.from({ length: WINDOW }, () => {
      number++
      const id = new Uint8Array(20).fill(0xff)
      new DataView(id.buffer).setUint32(0, 0x7fffffff - number)
      return { id, address: { host: `${20 + (number >> 12)}.${(number >> 6) & 63}.${number & 63}.1`, port: 1 } }
    })
  const lookup = newLookup(closer())
  const asked = run(lookup, closer)
  assert.is(asked.length, MAX_ASKED)
})

test('who is not accepted is not asked', () => {
  const nodes = world(20)
  const lookup = newLookup(nodes, { accepts: ({ address }) => address.host !== nodes[3]!.address.host })
  const asked = run(lookup, () => nodes)
  assert.not(hosts(asked).includes(nodes[3]!.address.host))
})

test.run()

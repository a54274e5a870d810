/** What the soak run judges with: numbers in sequence, what is left over, and the census that sees private fields. */
import * as assert from 'uvu/assert'
import { Probes } from '../../src/observe/probes.ts'
import { suite } from '../support/suite.ts'
import { projectClasses, takeCensus } from './census.ts'
import { Sequences } from './jobs/sequence.ts'
import { leftOvers, type QuietLook } from './verdict.ts'

const test = suite('verdicts of the soak run')

const look = (tables: Record<string, number>, sockets: number): QuietLook => ({
  sample: {
    rss: 0,
    heapAfterGc: 0,
    codeAfterGc: 0,
    heapUsed: 0,
    external: 0,
    arrayBuffers: 0,
    cpuMicros: 0,
    resources: { UDPWrap: sockets },
    figures: {},
    counters: {},
  },
  census: { instances: {}, tables },
})

test('numbers come one after the other, whatever the first is', () => {
  const heard = new Sequences()
  assert.equal(
    [7, 8, 9].map((number) => heard.next('a', 'n', number, 0)),
    ['', '', ''],
  )
  assert.equal(heard.last(), { a: 9 })
})

test('a gap, a repeat and an older number are wrong', () => {
  for (const number of [4, 2, 1]) {
    const heard = new Sequences()
    heard.next('a', 'n', 2, 0)
    assert.not.equal(heard.next('a', 'n', number, 0), '', String(number))
  }
})

test('a cut excuses one gap of that node, and nothing else', () => {
  const heard = new Sequences()
  for (const sender of ['a', 'b']) heard.next(sender, sender, 1, 0)
  heard.cut('a')
  assert.is(heard.next('a', 'a', 5, 0), '')
  assert.not.equal(heard.next('a', 'a', 7, 0), '')
  assert.not.equal(heard.next('b', 'b', 5, 0), '')
  heard.cut('b')
  assert.not.equal(heard.next('b', 'b', 5, 0), '', 'twice is wrong after a cut too')
})

test('what is more at the end than it ever was before is left over', () => {
  const before = [look({ 'Peers.#up': 30, 'Dht.#items': 9 }, 1), look({ 'Peers.#up': 40, 'Dht.#items': 7 }, 1)]
  assert.equal(leftOvers('m', before, [look({ 'Peers.#up': 90 }, 2), look({ 'Peers.#up': 40 }, 1)], [], 0), [])
  const kinds = (bound: { most?: number; perGone?: number }, gone: number, peers = 50): string[] => {
    const after = [peers, 60].map((count) => look({ 'Peers.#up': count, 'New.#table': 20 }, 2))
    return leftOvers('m', before, after, [{ kind: 'table Peers.#up', ...bound, why: 'a test' }], gone).map(
      ({ kind }) => kind,
    )
  }
  const others = ['resource UDPWrap', 'table New.#table']
  assert.equal(kinds({ most: 50 }, 0), others)
  assert.equal(kinds({ most: 45 }, 0), others, 'a few more, and a tenth, are no leak')
  assert.equal(kinds({ perGone: 1 }, 10), others)
  assert.equal(kinds({ most: 45 }, 0, 60), [...others, 'table Peers.#up'].sort())
  assert.equal(kinds({ perGone: 1 }, 3, 60), [...others, 'table Peers.#up'].sort())
  assert.equal(kinds({ perGone: 1 }, 10, 60), others)
})

test(
  'the census counts objects of the project and what their private tables hold',
  async () => {
    const classes = await projectClasses()
    const probes = [new Probes(), new Probes()]
    const before = takeCensus(classes)
    for (const [i, one] of probes.entries()) for (let k = 0; k <= i; k++) one.add(`probe${k}`, () => k)
    const after = takeCensus(classes)
    assert.is(before.instances.Probes, 2)
    assert.is(after.instances.Probes, 2)
    assert.is((after.tables['Probes.#probes'] ?? 0) - (before.tables['Probes.#probes'] ?? 0), 3)
  },
  { deadlineMs: 60_000 },
)

test.run()

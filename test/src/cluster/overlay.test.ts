/** The overlay of large clusters: mutual, connected, of small degree and diameter, and little changed by who comes and goes. */
import * as assert from 'uvu/assert'
import { MeshSize } from '../../../src/cluster/mesh-size.ts'
import { MeshTopology } from '../../../src/cluster/mesh-topology.ts'
import { Overlay } from '../../../src/cluster/overlay.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('overlay')

const idsOf = (count: number, seed: number): string[] => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => Buffer.from(random.bytes(16)).toString('hex'))
}

type Graph = ReadonlyMap<string, ReadonlySet<string>>

const overlayOf = (ids: readonly string[]): Overlay => {
  const overlay = new Overlay()
  for (const id of ids) overlay.join(id)
  return overlay
}

const graphOf = (ids: readonly string[]): Graph => {
  const overlay = overlayOf(ids)
  return new Map(ids.map((id) => [id, overlay.neighboursOf(id)]))
}

/** Hops from the first node to each other one. */
const hopsIn = (graph: Graph, without: ReadonlySet<string> = new Set()): Map<string, number> => {
  const first = [...graph.keys()].find((id) => !without.has(id))!
  const hops = new Map([[first, 0]])
  for (const [id, count] of hops) {
    for (const next of graph.get(id)!) if (!hops.has(next) && !without.has(next)) hops.set(next, count + 1)
  }
  return hops
}

const edgesOf = (graph: Graph): Set<string> =>
  new Set([...graph].flatMap(([id, others]) => [...others].map((other) => [id, other].sort().join(' '))))

for (const [count, seed] of [
  [2, 1],
  [3, 2],
  [10, 3],
  [129, 4],
  [400, 5],
  [1000, 6],
] as const) {
  test(`${count} nodes: mutual, connected, degree about 2 log2(n)`, () => {
    const graph = graphOf(idsOf(count, seed))
    let degrees = 0
    let largest = 0
    for (const [id, others] of graph) {
      assert.not(others.has(id), 'nobody is its own neighbour')
      for (const other of others) assert.ok(graph.get(other)!.has(id), `mutual, seed ${seed}`)
      degrees += others.size
      largest = Math.max(largest, others.size)
    }
    const hops = hopsIn(graph)
    const log = Math.log2(count)
    assert.is(hops.size, count, 'connected')
    assert.ok(Math.max(...hops.values()) <= 2 * log + 1, 'few hops')
    assert.ok(degrees / count <= 2 * log + 2, `mean degree ${degrees / count}`)
    assert.ok(largest <= 4 * log + 4, `largest degree ${largest}`)
    console.log(
      `${count} nodes: mean degree ${(degrees / count).toFixed(1)}, largest ${largest}, ${Math.max(...hops.values())} hops`,
    )
  })
}

test('a node that comes or goes changes no more than the connections around it', () => {
  const ids = idsOf(400, 7)
  const before = edgesOf(graphOf(ids))
  const [newcomer] = idsOf(1, 8)
  const after = edgesOf(graphOf([...ids, newcomer!]))
  const added = [...after].filter((edge) => !before.has(edge))
  const removed = [...before].filter((edge) => !after.has(edge))
  assert.ok(
    added.every((edge) => edge.includes(newcomer!)),
    'new ones are all its own',
  )
  assert.ok(added.length > 0)
  assert.ok(removed.length <= added.length, `${removed.length} removed, ${added.length} added`)
})

test('a third of the nodes gone at once leaves the others connected', () => {
  const ids = idsOf(300, 9)
  const gone = new Set(ids.slice(0, 100))
  assert.is(hopsIn(graphOf(ids), gone).size, 200)
})

test('the order of joining does not matter, and leaving undoes it', () => {
  const ids = idsOf(50, 10)
  const [self = ''] = ids
  const forward = overlayOf(ids)
  const backward = overlayOf(ids.toReversed())
  const usual = [...forward.neighboursOf(self)].sort()
  assert.equal([...backward.neighboursOf(self)].sort(), usual)
  const [guest = ''] = idsOf(1, 11)
  assert.is(forward.neighboursOf(guest).size, 0, 'no member, no neighbours')
  forward.join(guest)
  forward.join(self)
  assert.is(forward.size, 51)
  assert.ok(forward.neighboursOf(guest).size > 0)
  forward.leave(guest)
  assert.equal([...forward.neighboursOf(self)].sort(), usual)
})

test('a topology follows what is known, and is full up to its size', () => {
  const ids = idsOf(12, 12)
  let known = ids.slice(1, 10)
  const topology = new MeshTopology({ selfId: ids[0]!, fullMeshNodes: 10, known: () => known })
  assert.is(topology.full, true)
  assert.is(topology.wants(ids[11]!), true, 'a full mesh wants everybody')
  assert.equal([...topology.neighboursOf(ids[0]!)].sort(), ids.slice(1, 10).sort())
  known = ids.slice(1)
  assert.is(topology.full, true, 'nobody said that something changed')
  topology.changed()
  assert.is(topology.full, false)
  const expected = overlayOf(ids).neighboursOf(ids[0]!)
  assert.equal([...topology.neighboursOf(ids[0]!)].sort(), [...expected].sort())
  for (const id of ids.slice(1)) assert.is(topology.wants(id), expected.has(id))
  known = ids.slice(1, 5)
  topology.changed()
  assert.is(topology.full, true)
})

test('size: out of the full mesh above the limit, back only well below it', () => {
  const size = new MeshSize(10)
  assert.is(size.update(10), false)
  assert.is(size.isFull, true)
  assert.is(size.update(11), true)
  assert.is(size.isFull, false)
  assert.is(size.update(9), false)
  assert.is(size.isFull, false)
  assert.is(size.update(8), true)
  assert.is(size.isFull, true)
  assert.is(size.update(10), false)
})

test.run()

/**
 * What a node told of itself could keep the one that asked from working: bytes were taken apart member by member, which for
 * one message took more memory than there is, and long integers were written out in decimals.
 */
import * as assert from 'uvu/assert'
import { genServer } from '../../src/behaviours/gen-server.ts'
import { checkSnapshot } from '../../src/observe/check-snapshot.ts'
import { plain } from '../../src/observe/plain.ts'
import { Probes } from '../../src/observe/probes.ts'
import { simulate } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('hostile snapshot')

const said = (more: object): object => ({ node: 'b@test', processes: {}, mailboxes: {}, ...more })

test('bytes where a record should be have no members', () => {
  const bytes = new Uint8Array(4)
  const snapshot = checkSnapshot(said({ counters: bytes, probes: bytes }), 'b@test')
  assert.equal(snapshot?.counters, {})
  assert.equal(snapshot?.probes, {})
  assert.is(checkSnapshot({ node: 'b@test', processes: bytes, mailboxes: {} }, 'b@test'), undefined)
})

test('bytes and long integers in a probe are told by their size at most', () => {
  const probes = {
    bytes: new Uint8Array(4),
    view: new DataView(new ArrayBuffer(3)),
    long: 1n << 1_000_000n,
    count: -7n,
  }
  const snapshot = checkSnapshot(said({ probes }), 'b@test')
  assert.equal(snapshot?.probes, { bytes: '4 bytes', view: '3 bytes', long: '...', count: '-7' })
})

test('what has no text does not fail', () => {
  const mute = new Error('x')
  Object.defineProperty(mute, 'message', { value: Object.create(null) })
  assert.equal(plain({ keys: new Map([[Object.create(null), 1]]), mute }), { keys: { object: 1 }, mute: 'object' })
})

test('many large probes are no larger together than one', () => {
  const probes = new Probes()
  for (const name of ['first', 'second', 'third']) probes.add(name, () => Array(200).fill(Array(20).fill(1)))
  const lengths = Object.values(probes.read()).map((value) => (value as unknown[][]).flat().length)
  assert.ok((lengths[0] ?? 0) > 3500, String(lengths))
  assert.ok((lengths[1] ?? 0) + (lengths[2] ?? 0) < 100, String(lengths))
})

test("a supervisor of the program's own making that answers nonsense", async () => {
  await simulate({ nodes: ['a'] }, async (sim) => {
    const { node } = sim.hosts.a
    const fake = genServer({ init: () => ({ state: undefined }), handleCall: () => ({ reply: [null] }), label: 'fake' })
    const pid = node.spawn(Object.assign(fake, { traits: { ...fake.traits, supervises: true } }))
    const { nodes } = await node.observer.snapshot()
    const [one] = nodes
    assert.is(one?.status, 'ok', JSON.stringify(one))
    const trees = one?.status === 'ok' ? one.snapshot.supervisors.filter((tree) => tree.pid.equals(pid)) : []
    assert.equal(
      trees.map(({ status }) => status),
      ['silent'],
    )
  })
})

test.run()

/**
 * How soon a node asks again where another one sees other members than it does. All are in a full mesh with a gap in it: so
 * nobody passes on news, and only who asks hears of the others.
 */
import * as assert from 'uvu/assert'
import { suite } from '../../../support/suite.ts'
import { MembershipNetwork, type SimulatedNode } from './simulation.ts'

const test = suite('anti-entropy')

/** A difference that asking does not end is asked about once a minute after so long. */
const LONG_MS = 250_000
const MAX_PAUSE_MS = 62_000
/** Two ticks, and the shortest pause between two questions. */
const SOON_MS = 3000

/** `a` and `c` are both connected to `b`, and not to each other; it has been so for long. */
const gapped = () => {
  const network = new MembershipNetwork({ seed: 1, nodes: 0 })
  network.meshes = false
  const [a, b, c] = [network.add(), network.add(), network.add()]
  network.connect(a, b)
  network.connect(b, c)
  network.run(LONG_MS)
  assert.equal([...new Set(a.hints)], [c.origin.id])
  return { network, a, b, c }
}

/** Somebody joins at `at`: how long it takes until `node` has heard of it. */
const joinAndBeHeard = (network: MembershipNetwork, at: SimulatedNode, node: SimulatedNode): number => {
  const fresh = network.add()
  network.connect(fresh, at)
  const tookMs = network.until(() => node.hints.includes(fresh.origin.id), MAX_PAUSE_MS)
  if (tookMs === undefined) throw new Error('it was not heard of')
  return tookMs
}

test('where an answer brought news, the next question follows soon, however long the pause was', () => {
  const { network, a, b } = gapped()
  assert.ok(joinAndBeHeard(network, b, a) > SOON_MS, 'the pauses had become long')
  const tookMs = joinAndBeHeard(network, b, a)
  assert.ok(tookMs <= SOON_MS, `${tookMs} ms`)
})

test('after all have agreed, another difference is asked about at once', () => {
  const { network, a, b, c } = gapped()
  network.connect(a, c)
  network.run(10_000)
  const tookMs = joinAndBeHeard(network, b, a)
  assert.ok(tookMs <= SOON_MS, `${tookMs} ms`)
})

test.run()

/**
 * Whenever a node came back all names got new tokens, of which every node was told: one node that came and went kept all
 * others busy.
 */
import * as assert from 'uvu/assert'
import { simulate } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('flapping peer')

const NAMES = 1200
const FLAPS = 12
/** How often names may be renewed because somebody is back. */
const INTERVAL_MS = 5000

test('a node that comes and goes does not make names be renewed each time', async () => {
  const liveness = { tickIntervalMs: 100, downAfterMs: 400 }
  await simulate({ nodes: ['a', 'b', 'c'], liveness }, async (sim) => {
    const { a, b, c } = sim.hosts
    await sim.meshed()
    const holder = a.node.spawn((self) => self.receive().then(() => {}))
    const names = Array.from({ length: NAMES }, (_, index) => `n${index}`)
    await Promise.all(names.map((name) => a.node.global.register(name, holder)))
    const last = names.at(-1) ?? ''
    const tokens = new Set<string | undefined>()
    const look = (): void => void tokens.add(c.node.global.token(last))
    await sim.until('all see it', () => c.node.global.count === NAMES)
    look()
    const startMs = sim.nowMs
    for (let flap = 0; flap < FLAPS; flap++) {
      b.pause()
      await sim.until('it is gone', () => a.node.nodes().length === 1)
      b.resume()
      await sim.until('it is back', () => a.node.nodes().length === 2)
      await sim.sleep(200)
      look()
    }
    const passes = Math.ceil((sim.nowMs - startMs) / INTERVAL_MS)
    assert.ok(passes < FLAPS - 2, `${passes} passes`)
    // The one from before too.
    assert.ok(tokens.size > 1 && tokens.size <= passes + 1, `${tokens.size} tokens, ${passes} passes`)
  })
})

test.run()

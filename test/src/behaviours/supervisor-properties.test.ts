/** Any sequence of ends, within the intensity: afterwards all permanent children live, in the right order. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import { suite } from '../../support/suite.ts'
import { World } from './supervisor-support.ts'

const test = suite('supervisor properties', { watchdogMs: 120_000 })

const RUNS = 150

const seed = Date.now() & 0x7fffffff
console.log(`supervisor properties seed: ${seed}`)

const children = fc.array(fc.constantFrom('permanent', 'transient', 'temporary'), { minLength: 1, maxLength: 5 })
const step = fc.record({
  /** Children that end in one turn, before the supervisor hears of any. */
  ends: fc.array(fc.record({ which: fc.nat(4), reason: fc.constantFrom('normal', 'shutdown', 'crash') }), {
    minLength: 1,
    maxLength: 3,
  }),
  /** A child whose next start fails. */
  failing: fc.option(fc.nat(4), { nil: undefined }),
})
const run = fc.record({
  strategy: fc.constantFrom('oneForOne', 'oneForAll', 'restForOne'),
  children,
  steps: fc.array(step, { maxLength: 8 }),
})

test('children after any sequence of ends', async (t) => {
  await fc.assert(
    fc.asyncProperty(run, async ({ strategy, children: restarts, steps }) => {
      const world = new World(t)
      const id = (index: number): string => `c${index % restarts.length}`
      const sup = await world.start(
        supervisor({
          strategy,
          maxRestarts: 1000,
          children: restarts.map((restart, i) => ({ id: id(i), start: world.child(id(i)), restart })),
        }),
      )
      for (const { ends, failing } of steps) {
        if (failing !== undefined) world.failing.set(id(failing), 1)
        for (const { which, reason } of ends) {
          if (world.living.has(id(which))) world.end(id(which), reason)
        }
        await world.rest()
        world.failing.clear()
        const listed = await sup.ask((client) => client.whichChildren())
        for (const [index, restart] of restarts.entries()) {
          const child = listed.find((one) => one.id === id(index))
          const self = world.living.get(id(index))
          if (restart === 'permanent') assert.ok(self !== undefined, `${id(index)} is permanent and dead`)
          if (restart !== 'temporary') assert.ok(child !== undefined, `${id(index)} is off the list`)
          // What the supervisor says is what is.
          assert.is(child?.pid?.key, self?.pid.key)
        }
        const order = listed.map((one) => Number(one.id.slice(1)))
        assert.equal(
          order,
          order.toSorted((a, b) => a - b),
        )
        if (strategy === 'oneForOne') continue
        // Who depends on others was started after them: pids count up.
        const numbers = listed.flatMap((one) => (one.pid === undefined ? [] : [one.pid.number]))
        assert.equal(
          numbers,
          numbers.toSorted((a, b) => a - b),
        )
      }
      await sup.ask((client) => client.stop())
      assert.is(world.living.size, 0)
      await world.close()
    }),
    { seed, numRuns: RUNS },
  )
})

test.run()

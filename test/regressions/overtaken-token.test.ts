/**
 * The holder of a name was away. Meanwhile somebody else had the name, with a greater token, and ended again. Nothing was
 * left to conflict with when the holder came back, so it kept its old token, and every resource refused it for ever.
 */
import * as assert from 'uvu/assert'
import { Fence } from '../../src/index.ts'
import { simulate } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('overtaken token')

test('a holder that was away gets a token that its resource admits', async () => {
  await simulate({ nodes: ['a', 'b', 'c'], runs: 5 }, async (sim) => {
    await sim.meshed()
    const { a, b, c } = sim.hosts
    const waiter = (host: typeof a) => host.node.spawn((self) => self.receive().then(() => {}))
    const holder = waiter(a)
    const resource = new Fence()
    assert.ok(resource.admits((await a.node.global.register('x', holder)).token))
    a.pause()
    await sim.until('the name is free', () => b.node.global.whereis('x') === undefined)
    const other = waiter(b)
    assert.ok(resource.admits((await b.node.global.register('x', other)).token))
    b.node.exit(other, 'kill')
    await sim.until('it is free again', () => c.node.global.whereis('x') === undefined)
    a.resume()
    await sim.meshed()
    await sim.sleep(1000)
    assert.ok(c.node.global.whereis('x')?.equals(holder))
    assert.is(c.node.global.token('x'), a.node.global.token('x'))
    assert.ok(resource.admits(a.node.global.token('x') ?? ''))
  })
})

test.run()

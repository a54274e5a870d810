/**
 * Found by the soak run: a leader went away after it had decided to restart a child and before it answered. The request was
 * made again, as it should be, and the new leader refused it: the child was to run already.
 */
import * as assert from 'uvu/assert'
import { genServer, Pid } from '../../src/index.ts'
import { simulate } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('a restart that is asked for again')

const START_MS = 1000

test('the new leader brings to an end what the old one had begun', async () => {
  await simulate({ nodes: ['a', 'b', 'c'], runs: 5 }, async (sim) => {
    const hosts = Object.values(sim.hosts)
    const slow = genServer({ init: () => sim.sleep(START_MS).then(() => ({ state: 0 })) })
    const supervisors = hosts.map(({ node }) => {
      node.behaviour('slow', slow)
      return node.supervise('s', { children: [{ id: 'one', behaviour: 'slow' }], placement: 'roundRobin' })
    })
    await sim.meshed()
    await sim.until('it runs', () => supervisors.every((one) => one.child('one') !== undefined))
    const leader = hosts.findIndex(({ node }) => node.name === supervisors[0]?.leader)
    const asking = supervisors[(leader + 1) % hosts.length]
    assert.ok(leader >= 0 && asking !== undefined)
    await asking.terminateChild('one')
    const pid = asking.restartChild('one')
    await sim.sleep(START_MS / 2)
    hosts[leader]?.crash()
    assert.instance(await pid, Pid)
    assert.is((await asking.countChildren()).active, 1)
    const code = await asking.restartChild('one').catch((error: { code: string }) => error.code)
    assert.is(code, 'ERR_SKEIN_CHILD_RUNNING', 'another request is another matter')
  })
})

test.run()

/** Members that tell or order what makes no sense, or what is not theirs: it is refused, told once, and harms nobody. */
import * as assert from 'uvu/assert'
import type { NodeEvent, Self, SkeinNode } from '../../../../src/index.ts'
import { suite } from '../../../support/suite.ts'
import { allRun, stage } from './stage.ts'

const test = suite('distributed supervisors and members that lie')

const listen = (node: SkeinNode): NodeEvent[] => {
  const events: NodeEvent[] = []
  void (async () => {
    for await (const event of node.events) events.push(event)
  })()
  return events
}

test('messages of strangers to the service are not heard, and its processes cannot be ended', () =>
  stage({}, async (all) => {
    const { sim, runs } = all
    await sim.until('all run', () => allRun(all))
    const before = [...runs.now]
    const { a, b } = sim.hosts
    const events = listen(a.node)
    b.node.spawn(async (self: Self) => {
      for (const name of ['skein.supervision', 'skein.nodes', 'skein.children']) {
        const target = { name, node: a.node.name }
        for (const order of [
          { type: 'stop', supervisor: 'sup', id: 'x', run: '1', handOver: false },
          { type: 'start', supervisor: 'sup', id: 'x', run: '1', spec: null },
          { type: 'board', number: 0, put: [['slot sup/x', { run: 1 }]], removed: [], complete: true },
          { type: 'DOWN', ref: 1 },
          null,
        ]) {
          self.cast(target as never, order as never)
          self.send(target as never, order as never)
        }
        self.exit(target as never, 'kill')
      }
    })
    await sim.sleep(5000)
    assert.equal([...runs.now], before)
    assert.not(events.some(({ type }) => type === 'processCrashed'))
    assert.ok(a.node.whereis('skein.supervision'))
    assert.ok(a.node.whereis('skein.children'))
  }))

test('a node is not told of by others, and a token cannot be had by a false child', () =>
  stage({ children: [] }, async ({ sim, supervisors }) => {
    const { a, b } = sim.hosts
    // Somebody has the name of a child that is to come: it is not started, and nobody else is harmed.
    const pid = b.node.spawn(() => new Promise<void>(() => {}))
    await b.node.global.register('sup/taken', pid)
    const outcome = supervisors.a.startChild({ id: 'taken', behaviour: 'counter' }, { timeoutMs: 8000 }).then(
      () => 'started',
      (error: { code: string }) => error.code,
    )
    const other = await supervisors.a.startChild({ id: 'free', behaviour: 'counter' })
    assert.ok(await a.node.isProcessAlive(other))
    assert.is(await outcome, 'ERR_SKEIN_CALL_TIMEOUT')
    assert.ok(a.node.global.whereis('sup/taken')?.equals(pid))
    b.node.exit(pid as never, 'kill')
    await sim.until('it is started after all', () => a.node.global.whereis('sup/taken')?.equals(pid) === false)
  }))

test.run()

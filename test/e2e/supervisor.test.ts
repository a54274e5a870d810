/** A supervisor on another node, over real sockets: started by name, asked from here, its children's ends heard here. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { supervisor } from '../../src/behaviours/supervisor/supervisor.ts'
import { supervisorOf } from '../../src/behaviours/supervisor/supervisor-of.ts'
import type { SkeinNode } from '../../src/node.ts'
import type { Pid } from '../../src/pid.ts'
import type { CallMessage } from '../../src/process/calls.ts'
import type { Self } from '../../src/process/self.ts'
import { startNode } from '../../src/start.ts'
import { codeOf, errorOf } from '../src/process/process-support.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('supervisor e2e')

const twoNodes = async (t: TestContext): Promise<{ here: SkeinNode; there: SkeinNode }> => {
  const ignore = (): void => {}
  const logger = { error: ignore, warn: ignore, info: ignore, debug: ignore }
  const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false, logger } as const
  const here = await startNode({ ...options, name: 'here' })
  t.defer(() => here.stop())
  const there = await startNode({ ...options, name: 'there' })
  t.defer(() => there.stop())
  await here.connect(`127.0.0.1:${there.addresses[0]?.port}`)
  return { here, there }
}

type Fragile = { crash: string } | CallMessage<'who', Pid>

const fragile = async (self: Self<Fragile>): Promise<void> => {
  for await (const message of self) {
    if ('crash' in message) throw new Error(message.crash)
    self.reply(message.from, self.pid as Pid)
  }
}

/** Ends with a reason that cannot cross the wire. */
const odd = Object.assign((self: Self<unknown>): void => self.exit(() => 'odd'), {
  traits: { serves: true, announces: true },
})

test('the end of a child is heard here, and its successor found by name', async (t) => {
  const { here, there } = await twoNodes(t)
  there.behaviour('fragile', fragile)
  there.behaviour('odd', odd)
  there.behaviour('tree', supervisor({ maxRestarts: 3, children: [{ id: 'one', name: 'one', start: fragile }] }))
  const tree = await here.spawnOn('there', 'tree', [], { start: true })
  const target = { name: 'one', node: there.name }
  const first = (await here.call(target as never, 'who')) as Pid
  const down = await new Promise<{ pid: unknown; reason: Error }>((resolve) => {
    here.spawn(async (self: Self<unknown>) => {
      self.monitor(first)
      self.send(first, { crash: 'broken' })
      resolve((await self.receive()) as { pid: unknown; reason: Error })
    })
  })
  assert.is(down.reason.message, 'broken')
  assert.ok(first.equals(down.pid))
  // The supervisor hears of the end when we do, and answers when it has seen to it.
  const client = supervisorOf(here, tree)
  const [child] = await client.whichChildren()
  const second = (await here.call(target as never, 'who')) as Pid
  assert.not(second.equals(first))
  assert.ok(second.equals(child?.pid))

  // Children from here are named by their behaviours.
  const added = await client.startChild({ id: 'two', start: 'fragile', restart: 'temporary' })
  assert.ok(added.equals(await here.call(added as never, 'who')))
  assert.is(await codeOf(client.startChild({ id: 'three', start: fragile })), 'ERR_SKEIN_UNSERIALISABLE')
  const unknown = await errorOf(client.startChild({ id: 'three', start: 'nobody' }))
  assert.is(unknown.code, 'ERR_SKEIN_START_FAILED')
  assert.is((unknown.cause as { code: string }).code, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
  const failed = await errorOf(client.startChild({ id: 'three', start: 'odd' }))
  assert.is(failed.code, 'ERR_SKEIN_START_FAILED')
  assert.match(String(failed.cause), 'odd')
  await client.terminateChild(added)
  assert.equal(await client.countChildren(), { specs: 1, active: 1, supervisors: 0, workers: 1 })
  await client.stop()
  assert.is(await codeOf(client.whichChildren()), 'ERR_SKEIN_NOPROC')
})

test.run()

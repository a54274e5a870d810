/** Channels of diagnostics_channel: told what happens while somebody listens. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import * as assert from 'uvu/assert'
import type { CallNews, EventNews, ExitNews, SpawnNews } from '../../../src/diagnostics.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { ending, meshed, pass, settled, startCluster, until } from '../node-support.ts'

const test = suite('diagnostics')

const listen = <T>(t: TestContext, name: string): T[] => {
  const heard: T[] = []
  const listener = (news: unknown): void => {
    heard.push(news as T)
  }
  subscribe(name, listener)
  t.defer(() => unsubscribe(name, listener))
  return heard
}

test('events of all nodes, spawns, exits and calls', async (t) => {
  const events = listen<EventNews>(t, 'skein:event')
  const spawns = listen<SpawnNews>(t, 'skein:spawn')
  const exits = listen<ExitNews>(t, 'skein:exit')
  const calls = listen<CallNews>(t, 'skein:call')
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const ups = events.filter(({ event }) => event.type === 'nodeup').map(({ node }) => node)
  assert.equal(ups.sort(), [a.name, b.name].sort())
  const pid = a.spawn(() => {})
  await until(cluster, 'its end', () => exits.some((exit) => exit.pid.equals(pid)))
  assert.equal(
    spawns.filter((spawn) => spawn.pid.equals(pid)).map(({ node }) => node),
    [a.name],
  )
  assert.is(exits.find((exit) => exit.pid.equals(pid))?.reason, 'normal')
  calls.length = 0
  await settled(cluster, a.call({ name: 'skein', node: b.name }, { type: 'ping' }))
  const lost = ending(a.call('nobody', 1))
  const late = ending(
    b.call(
      b.spawn(() => new Promise<void>(() => {})),
      1 as never,
      { timeoutMs: 50 },
    ),
  )
  await pass(cluster, 100)
  assert.equal([lost.code, late.code], ['ERR_SKEIN_NOPROC', 'ERR_SKEIN_CALL_TIMEOUT'])
  assert.is(calls.length, 2, 'a call to nobody never began')
  const [answered, failed] = calls
  assert.equal(answered?.to, { name: 'skein', node: b.name })
  assert.is(answered?.error, undefined)
  assert.ok((answered?.durationMs ?? 0) > 0)
  assert.is((failed?.error as { readonly code: string } | undefined)?.code, 'ERR_SKEIN_CALL_TIMEOUT')
})

test.run()

/**
 * Any member could end the process that answers tools, for good: with an exit signal or over a link.
 */
import * as assert from 'uvu/assert'
import { ofType, settled, startCluster, until, watch } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('the system process is guarded')

test('neither an exit signal nor a link ends it, from here or there', async (t) => {
  const cluster = await startCluster(t, 2)
  const [a, b] = [cluster.nodes[0]!, cluster.nodes[1]!]
  const events = watch(b)
  const target = { name: 'skein', node: b.name }
  const pid = b.whereis('skein')!
  for (const reason of ['kill', 'shutdown', 'normal', new Error('no reason')]) {
    a.exit(target, reason)
    a.exit(pid, reason)
    b.exit('skein', reason)
  }
  for (const node of [a, b]) {
    node.spawn((self) => {
      self.link(pid)
      throw new Error('takes along whoever is linked')
    })
  }
  assert.equal(await settled(cluster, a.call(target, { type: 'ping' })), { type: 'pong', node: b.name })
  const refused = () => ofType(events, 'deadLetter').filter(({ reason }) => reason === 'ERR_SKEIN_FORBIDDEN')
  await until(cluster, 'every exit signal is told of', () => refused().length === 12)
  assert.is(b.whereis('skein'), pid)
})

test.run()

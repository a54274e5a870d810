/** A process of a tool that hears one node: what others say to it, and what they pass off, is not heard. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { nodeListener } from '../../../src/cli/node-listener.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { suite } from '../../support/suite.ts'
import { failureOf, meshed, pass, settled, startCluster, until } from '../node-support.ts'

const test = suite('node listener')

test('casts of the node are heard, and what becomes of it; nothing else', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b, c] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  const [heard, happened]: [unknown[], unknown[]] = [[], []]
  const pid = b.spawn(
    nodeListener(a.name, (self) => ({
      work: async () => self.monitorNodes(true),
      heard: (message) => heard.push(message),
      happened: (message) => happened.push(message),
    })),
  )
  await pass(cluster, 100)
  const lie = { type: 'nodedown', node: a.name, reason: 'lie' }
  for (const node of [a, c]) {
    node.spawn((self) => {
      self.send(pid, lie)
      self.cast(pid, `from ${node.name}`)
    })
    // Of no process.
    node.cast(pid, lie)
    const error = await failureOf(cluster, node.call(pid as never, lie as never))
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_REQUEST'), error.code)
  }
  await pass(cluster, 1000)
  assert.equal([heard, happened], [[`from ${a.name}`], []])
  await settled(cluster, a.stop())
  await until(cluster, 'the end of the node', () => happened.length > 0)
  assert.equal(happened, [{ type: 'nodedown', node: a.name, reason: 'shutdown' }])
  assert.ok(b.isAlive)
})

test.run()

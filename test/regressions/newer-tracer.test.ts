/** `stop` of what openTelemetry gave also took away the tracer that a program had put in its place. */
import * as api from '@opentelemetry/api'
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../src/node.ts'
import { openTelemetry } from '../../src/observe/open-telemetry.ts'
import type { Tracer } from '../../src/process/tracing.ts'
import { settled, startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('a newer tracer')

test('stop ends its own tracer, and no other', async (t) => {
  const cluster = await startCluster(t, 1)
  const [node] = cluster.nodes as [SkeinNode]
  const asked: string[] = []
  const mine: Tracer = {
    current: () => {
      asked.push('current')
      return undefined
    },
    run: (_trace, _what, fn) => fn(),
  }
  const telemetry = await settled(cluster, openTelemetry(node, { api }))
  node.observer.trace(mine)
  telemetry.stop()
  node.send('nobody', 1)
  assert.ok(asked.length > 0, 'the newer one is still asked')
  node.observer.untrace(mine)
  asked.length = 0
  node.send('nobody', 2)
  assert.equal(asked, [])
})

test.run()

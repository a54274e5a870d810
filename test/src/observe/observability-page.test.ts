/** docs/observability.md lists exactly the metrics and channels there are. */
import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../../src/node.ts'
import { suite } from '../../support/suite.ts'
import { meshed, settled, startCluster } from '../node-support.ts'

const test = suite('observability page')

const page = readFileSync(new URL('../../../docs/observability.md', import.meta.url), 'utf8')

test('the table of metrics', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [node] = cluster.nodes as [SkeinNode]
  await settled(cluster, node.call({ name: 'skein', node: cluster.nodes[1]!.name }, { type: 'ping' }))
  const rows = node.observer.metrics.read().map((family) => {
    const series = family.type === 'histogram' ? family.distributions : family.samples
    const labels = new Set(series.flatMap((one) => Object.keys(one.labels)))
    return `| ${family.name} | ${family.type} | ${[...labels].join(', ')} | ${family.help} |`.replaceAll('  ', ' ')
  })
  const listed = page.split('\n').filter((line) => line.startsWith('| skein_'))
  assert.equal(listed, rows, `It should be:\n${rows.join('\n')}\n`)
})

test('the table of channels', () => {
  const source = readFileSync(new URL('../../../src/diagnostics.ts', import.meta.url), 'utf8')
  const made = Array.from(source.matchAll(/channel\('(.*)'\)/g), ([, name]) => name)
  const listed = Array.from(page.matchAll(/^\| (skein:\w+) \|/gm), ([, name]) => name)
  assert.equal(
    listed,
    made.sort((a, b) => listed.indexOf(a) - listed.indexOf(b)),
  )
  assert.ok(made.length > 3)
})

test.run()

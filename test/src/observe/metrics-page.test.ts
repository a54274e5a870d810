/** docs/metrics.md lists exactly the metrics there are, each with a unit and when to act, and the kinds of the port. */
import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../../src/node.ts'
import { startNode } from '../../../src/start.ts'
import { suite } from '../../support/suite.ts'
import { meshed, settled, startCluster } from '../node-support.ts'

const test = suite('metrics page')

const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')

const rowsOf = (start: string): string[][] =>
  page
    .split('\n')
    .filter((line) => line.startsWith(start))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )

test('the metrics', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [node] = cluster.nodes as [SkeinNode]
  await settled(cluster, node.call({ name: 'skein', node: cluster.nodes[1]!.name }, { type: 'ping' }))
  const metrics = node.observer.metrics.read().map((family) => {
    const series = family.type === 'histogram' ? family.distributions : family.samples
    const labels = new Set(series.flatMap((one) => Object.keys(one.labels)))
    return [family.name, family.type, [...labels].join(', '), family.help]
  })
  const rows = rowsOf('| skein_')
  assert.equal(
    rows.map(([name, type, labels, , meaning]) => [name, type, labels, meaning]),
    metrics,
    `It should have:\n${metrics.map((cells) => cells.join(' | ')).join('\n')}\n`,
  )
  for (const [name, , , unit = '', , act = ''] of rows) {
    assert.ok(unit.length > 3 && act.length > 10, `${name} has no unit, or does not say when to act`)
    if (name?.includes('_seconds')) assert.is(unit, 'seconds', name)
    if (name?.includes('_bytes')) assert.is(unit, 'bytes', name)
  }
})

test('the kinds of the port, of a node on UDP and TCP', async (t) => {
  const cookie = 'a cookie of the metrics page'
  const node = await startNode({ cookie, host: '127.0.0.1', port: 0, tcp: true, discovery: false, logLevel: 'silent' })
  t.defer(() => node.stop())
  const kinds = Object.keys(node.counters())
  const rows = rowsOf('| ').filter(([name = '']) => /^[a-z][A-Za-z]+$/.test(name))
  assert.equal(
    rows.map(([name]) => name),
    kinds,
  )
  assert.ok(kinds.length > 30)
  for (const [name, meaning = '', act = ''] of rows) assert.ok(meaning.length > 10 && act.length > 5, name)
})

test.run()

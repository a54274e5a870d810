/** Each system of `npm run bench -- peers` does each of its works once, a little of it, so that the bench runs when it is wanted. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { comparison, comparisonOptions } from '../../bench/peers/comparison.ts'
import { PEERS, SKEIN } from '../../bench/peers/systems.ts'
import { WANTED } from '../../bench/peers/wanted.ts'
import { suite } from '../support/suite.ts'

const test = suite('bench: peers', { watchdogMs: 400_000 })
/** A few round trips, a thousand small messages, some large ones. */
const PART = 0.005

for (const { name, works, missing, start } of [SKEIN, ...PEERS]) {
  test(
    `${name} does its work`,
    async (t) => {
      const lack = missing()
      if (lack !== undefined) t.missing(lack)
      const system = await start()
      t.defer(() => system.stop())
      for (const work of works) {
        const result = await system.measure(work, PART)
        const figures = 'perSecond' in result ? [result.perSecond] : result.roundTripsUs
        assert.ok(
          figures.length > 0 && figures.every((figure) => figure > 0 && figure < Number.POSITIVE_INFINITY),
          work,
        )
      }
    },
    { deadlineMs: 60_000 },
  )
}

test(
  'compares ours with those that are asked for',
  async (t) => {
    const lack = SKEIN.missing()
    if (lack !== undefined) t.missing(lack)
    const options = comparisonOptions(['peers', '--rounds', '2', '--only', 'dgram,node-tls', '--json'])
    assert.equal(options, { rounds: 2, only: ['dgram', 'node-tls'] })
    const rows: string[] = []
    for await (const { metric, baseline, ratio } of comparison({ ...options, part: PART })) {
      if (baseline === undefined) continue
      assert.ok(ratio !== undefined && ratio > 0, metric)
      rows.push(`${metric} ${baseline}`)
    }
    const metrics = ['ping-pong', 'ping-pong-mean', '64KiB-1350', '64KiB-path']
    assert.equal(rows.sort(), metrics.flatMap((metric) => [`${metric} dgram`, `${metric} node-tls`]).sort())
  },
  { deadlineMs: 60_000 },
)

test('refuses a peer that is not there', async () => {
  const name = randomBytes(4).toString('hex')
  const refused = await comparison({ only: [name] })
    .next()
    .then(() => 'nothing', String)
  assert.match(refused, `there is no peer ${name}`)
})

test('wants something only of peers and metrics that there are', () => {
  const names = new Set([...PEERS.map(({ name }) => name), 'noex-in-proportion'])
  for (const [metric, wanted] of Object.entries(WANTED)) {
    assert.ok((SKEIN.works as readonly string[]).includes(metric), metric)
    for (const name of Object.keys(wanted)) assert.ok(names.has(name), name)
  }
})

test.run()

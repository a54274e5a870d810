/** Metrics and how Prometheus reads them: labels are escaped and bounded, whatever the program says. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { MAX_SERIES, Metrics } from '../../../src/observe/metrics.ts'
import { prometheusText } from '../../../src/observe/prometheus.ts'
import { suite } from '../../support/suite.ts'

const test = suite('metrics')

const textOf = (metrics: Metrics): string => prometheusText({ observer: { metrics } })

const codeOf = (fn: () => unknown): string | undefined => {
  try {
    fn()
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
  return undefined
}

test('counters, gauges and histograms in the exposition format', () => {
  const metrics = new Metrics()
  const orders = metrics.counter('shop_orders_total', 'Orders taken.')
  orders.add()
  orders.add(2, { kind: 'book' })
  orders.add(-1)
  orders.add(Number.NaN)
  metrics.gauge('shop_open', 'Whether it is open.').set(1)
  metrics.gauge('shop_stock', 'Pieces.', () => [{ labels: { kind: 'book' }, value: 7 }])
  metrics.gauge('shop_unknown', 'Nothing known.', () => undefined)
  const waiting = metrics.histogram('shop_waiting_seconds', 'Waiting.', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 3, Number.NaN]) waiting.observe(value)
  assert.is(
    textOf(metrics),
    `# HELP shop_orders_total Orders taken.
# TYPE shop_orders_total counter
shop_orders_total 1
shop_orders_total{kind="book"} 2
# HELP shop_open Whether it is open.
# TYPE shop_open gauge
shop_open 1
# HELP shop_stock Pieces.
# TYPE shop_stock gauge
shop_stock{kind="book"} 7
# HELP shop_unknown Nothing known.
# TYPE shop_unknown gauge
# HELP shop_waiting_seconds Waiting.
# TYPE shop_waiting_seconds histogram
shop_waiting_seconds_bucket{le="0.1"} 2
shop_waiting_seconds_bucket{le="1"} 3
shop_waiting_seconds_bucket{le="+Inf"} 4
shop_waiting_seconds_sum 3.65
shop_waiting_seconds_count 4
`,
  )
})

test('help and label values are escaped, values are in the words of the format', () => {
  const metrics = new Metrics()
  const gauge = metrics.gauge('odd', 'back\\slash and\nline')
  gauge.set(Number.POSITIVE_INFINITY, { a: 'quote " back\\ line\n end' })
  gauge.set(Number.NEGATIVE_INFINITY, { a: 'b' })
  gauge.set(Number.NaN, { a: 'c' })
  const [help, , ...lines] = textOf(metrics).trimEnd().split('\n')
  assert.is(help, '# HELP odd back\\\\slash and\\nline')
  assert.equal(lines, ['odd{a="quote \\" back\\\\ line\\n end"} +Inf', 'odd{a="b"} -Inf', 'odd{a="c"} NaN'])
})

test('labels are bounded: what is too much is counted together, and nothing is lost', () => {
  const metrics = new Metrics()
  const counter = metrics.counter('visits_total', 'Visits.')
  const visitors = 10_000
  for (let i = 0; i < visitors; i++) counter.add(1, { visitor: `v${i}`, 'not a name': 'x', __reserved: 'y' })
  const read = metrics.readOne('visits_total')
  assert.ok(read !== undefined && read.type === 'counter')
  assert.is(read.samples.length, MAX_SERIES + 1)
  assert.is(
    read.samples.reduce((sum, { value }) => sum + value, 0),
    visitors,
  )
  assert.is(read.samples.find(({ labels }) => labels.visitor === 'other')?.value, visitors - MAX_SERIES)
  assert.equal(Object.keys(read.samples[0]?.labels ?? {}), ['visitor'])
  counter.add(1, { visitor: 'x'.repeat(1000) })
  assert.not.match(textOf(metrics), 'x'.repeat(129))
  // Labels of ever new names, too.
  for (let i = 0; i < 5000; i++) counter.add(1, { [`n${i}`]: 'v' })
  const again = metrics.readOne('visits_total')
  assert.ok(again !== undefined && again.type === 'counter' && again.samples.length <= 2 * MAX_SERIES)
})

test('a read function gives bounded series too, and one that throws gives none', () => {
  const metrics = new Metrics()
  metrics.gauge('many', 'Many.', () => Array.from({ length: 5000 }, (_, i) => ({ labels: { i: String(i) }, value: 1 })))
  metrics.gauge('broken', 'Broken.', () => {
    throw new Error('no')
  })
  const [many, broken] = metrics.read()
  assert.ok(many?.type === 'gauge' && many.samples.length === MAX_SERIES + 1)
  assert.ok(broken?.type === 'gauge' && broken.samples.length === 0)
})

test('bad names, names taken and bad bounds are refused', () => {
  const metrics = new Metrics()
  metrics.counter('a_total', 'A.')
  assert.is(
    codeOf(() => metrics.gauge('a_total', 'A.')),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  for (const name of ['', '1a', 'a-b', 'a b', 'a\n# TYPE b counter']) {
    assert.is(
      codeOf(() => metrics.counter(name, 'B.')),
      'ERR_SKEIN_BAD_NAME',
      JSON.stringify(name),
    )
  }
  for (const bounds of [[], [1, 1], [2, 1], [Number.POSITIVE_INFINITY], new Array(100).fill(0).map((_, i) => i)]) {
    assert.is(
      codeOf(() => metrics.histogram('h', 'H.', bounds)),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
  }
  for (let i = 0; i < 1023; i++) metrics.counter(`c${i}_total`, 'C.')
  assert.is(
    codeOf(() => metrics.counter('one_too_many', 'C.')),
    'ERR_SKEIN_LIMIT',
  )
})

test('a metric that is given values with and without labels', () => {
  const metrics = new Metrics()
  const orders = metrics.counter('shop_orders_total', 'Orders.')
  for (const labels of [undefined, {}, { kind: 'book' }, undefined]) orders.add(1, labels)
  const text = '# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\n'
  assert.is(textOf(metrics), `${text}shop_orders_total 3\nshop_orders_total{kind="book"} 1\n`)
})

test("the label that tells buckets of a histogram apart is not the program's", () => {
  const metrics = new Metrics()
  const waiting = metrics.histogram('shop_waiting_seconds', 'Waiting.', [1])
  for (const le of ['x', 'y']) waiting.observe(0.5, { le })
  assert.match(textOf(metrics), /^shop_waiting_seconds_bucket\{le="1"\} 2$/m)
  assert.match(textOf(metrics), /^shop_waiting_seconds_count 2$/m)
})

test.run()

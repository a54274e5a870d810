/** The OpenTelemetry adapter, with the real API and SDK, in virtual time. */
import * as api from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import * as assert from 'uvu/assert'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { openTelemetry } from '../../../src/observe/open-telemetry.ts'
import type { Self } from '../../../src/process/self.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { meshed, settled, startCluster, until } from '../node-support.ts'

const test = suite('OpenTelemetry')

const sdk = (t: TestContext) => {
  const spans = new InMemorySpanExporter()
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  api.trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }))
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  api.metrics.setGlobalMeterProvider(provider)
  t.defer(async () => {
    await provider.shutdown()
    for (const one of [api.context, api.trace, api.metrics]) one.disable()
  })
  const metrics = async () => {
    exporter.reset()
    await reader.forceFlush()
    return exporter.getMetrics().flatMap((one) => one.scopeMetrics.flatMap((scope) => scope.metrics))
  }
  return { spans, metrics, program: api.trace.getTracer('program') }
}

const start = async (t: TestContext) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  return { cluster, a, b }
}

const server = genServer({
  init: () => ({ state: undefined }),
  handleCall: (request: string) => {
    if (request === 'fail') throw new TypeError('it broke')
    return request === 'stop' ? { reply: 'bye', stop: 'normal' } : { reply: request }
  },
  handleCast: () => {},
  label: 'server',
})

test('spans of calls and casts, with parents, kinds and errors', async (t) => {
  const { spans, program } = sdk(t)
  const { cluster, a, b } = await start(t)
  for (const node of [a, b]) await settled(cluster, openTelemetry(node, { api }))
  const pid = b.spawn(server)
  await settled(
    cluster,
    program.startActiveSpan('work', async (span) => {
      await a.call(pid, 'hello')
      a.cast(pid, 'x' as never)
      await a.call(pid, 'fail').catch(() => undefined)
      span.end()
    }),
  )
  await until(cluster, 'all spans', () => spans.getFinishedSpans().length === 7)
  const all = spans.getFinishedSpans()
  const named = (one: (typeof all)[number]): string => `${api.SpanKind[one.kind]} ${one.name}`
  assert.equal(
    all.map(named).sort(),
    [
      'CLIENT call server',
      'CLIENT call server',
      'CONSUMER cast server',
      'INTERNAL work',
      'PRODUCER cast server',
      'SERVER call server',
      'SERVER call server',
    ]
      .map((name) => name.replace(/^(CLIENT|PRODUCER) (\w+) server/, `$1 $2 ${pid}`))
      .sort(),
  )
  assert.is(new Set(all.map((one) => one.spanContext().traceId)).size, 1)
  const failed = all.filter((one) => one.status.code === api.SpanStatusCode.ERROR)
  assert.equal(failed.map(({ kind }) => api.SpanKind[kind]).sort(), ['CLIENT', 'SERVER'])
  assert.is(failed.find(({ kind }) => kind === api.SpanKind.SERVER)?.status.message, 'it broke')
  for (const one of all.filter(({ kind }) => kind === api.SpanKind.SERVER || kind === api.SpanKind.CONSUMER)) {
    assert.is(one.parentSpanContext?.isRemote, true)
  }
})

test('an orderly stop is no error; an unsampled trace travels and makes no spans', async (t) => {
  const { spans, program } = sdk(t)
  const { cluster, a, b } = await start(t)
  for (const node of [a, b]) await settled(cluster, openTelemetry(node, { api }))
  const pid = b.spawn(server)
  await settled(
    cluster,
    program.startActiveSpan('work', async (span) => {
      await a.call(pid, 'stop')
      span.end()
    }),
  )
  await until(cluster, 'all spans', () => spans.getFinishedSpans().length === 3)
  assert.is(spans.getFinishedSpans().filter((one) => one.status.code === api.SpanStatusCode.ERROR).length, 0)
  spans.reset()
  let seen: string | undefined
  const taker = b.spawn(async (self: Self) => {
    await self.receive()
    seen = self.traceparent
  })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const parent = { traceId, spanId: 'b7ad6b7169203331', traceFlags: api.TraceFlags.NONE, isRemote: true }
  api.context.with(api.trace.setSpanContext(api.ROOT_CONTEXT, parent), () => a.send(taker, 'x'))
  await until(cluster, 'the message', () => seen !== undefined)
  assert.match(seen ?? '', /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/)
  assert.is(spans.getFinishedSpans().length, 0)
})

test('metrics: those of the node and of the program, also later ones; nothing after stop', async (t) => {
  const { metrics, spans, program } = sdk(t)
  const { cluster, a, b } = await start(t)
  const telemetry = await settled(cluster, openTelemetry(a, { api }))
  const orders = a.observer.metrics.counter('shop_orders_total', 'Orders.')
  orders.add(2, { kind: 'book' })
  let reads = 0
  a.observer.metrics.gauge('shop_open', 'Whether it is open.', () => ++reads)
  const waiting = a.observer.metrics.histogram('shop_waiting_seconds', 'Waiting.', [1, 10])
  waiting.observe(3)
  const read = await settled(cluster, metrics())
  const found = (name: string) => read.find(({ descriptor }) => descriptor.name === name)?.dataPoints
  assert.equal(
    found('shop_orders_total')?.map(({ attributes, value }) => [attributes, value]),
    [[{ kind: 'book', 'skein.node': a.name }, 2]],
  )
  assert.is(found('skein_connections')?.[0]?.value, 1)
  const histogram = found('shop_waiting_seconds')?.[0]?.value as { buckets: { boundaries: number[]; counts: number[] } }
  assert.equal(
    [histogram.buckets.boundaries, histogram.buckets.counts],
    [
      [1, 10],
      [0, 1, 0],
    ],
  )
  telemetry.stop()
  telemetry.stop()
  spans.reset()
  const pid = b.spawn(server)
  await settled(
    cluster,
    program.startActiveSpan('work', async (span) => {
      await a.call(pid, 'hello')
      span.end()
    }),
  )
  assert.equal(
    spans.getFinishedSpans().map(({ name }) => name),
    ['work'],
  )
  // The SDK goes on to tell what it was told last; nobody is asked any more.
  const before = reads
  await settled(cluster, metrics())
  assert.ok(before > 0)
  assert.is(reads, before)
})

test('a node that has been stopped tells nothing', async (t) => {
  const { metrics } = sdk(t)
  const { cluster, a } = await start(t)
  await settled(cluster, a.stop())
  const telemetry = await settled(cluster, openTelemetry(a, { api }))
  assert.equal(await settled(cluster, metrics()), [])
  telemetry.stop()
})

test.run()

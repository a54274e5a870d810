/**
 * Whoever threw something that has no text (an object without prototype) broke those who wanted to tell of it: a snapshot
 * never came, and promises that nobody held rejected, which ends a Node.js process.
 */
import * as assert from 'uvu/assert'
import { startHealthServer, startNode } from '../../src/index.ts'
import { openTelemetry } from '../../src/observe/open-telemetry.ts'
import { Probes } from '../../src/observe/probes.ts'
import { Tracing } from '../../src/process/tracing.ts'
import { suite } from '../support/suite.ts'

const test = suite('errors without text')

const mute: unknown = Object.create(null)
const throwMute = (): never => {
  throw mute
}

test('a probe and a check', () => {
  const probes = new Probes()
  probes.add('mute', throwMute)
  probes.addCheck('mute', throwMute)
  assert.equal(probes.read(), { mute: { error: 'object' } })
  assert.equal(probes.reasons(), [{ what: 'mute', text: 'object' }])
})

test('the ready function of a health server', async (t) => {
  const node = await startNode({ cookie: 'a cookie for tests', host: '127.0.0.1', port: 0, discovery: false })
  t.defer(() => node.stop())
  for (const ready of [throwMute, () => mute as string, () => Promise.reject(mute)]) {
    const { port, close } = await startHealthServer(node, { port: 0, ready })
    const answer = await fetch(`http://127.0.0.1:${port}/ready`)
    const { reasons } = (await answer.json()) as { reasons: unknown }
    assert.equal(reasons, [{ what: 'program', text: 'object' }])
    await close()
  }
})

test('work under a span, and a tracer whose spans are asynchronous', async () => {
  const tracing = new Tracing({
    current: () => undefined,
    run: (async (_trace: unknown, _what: unknown, fn: () => unknown) => await fn()) as never,
  })
  const handled = tracing.apart(() => Promise.reject(mute))
  assert.is(await handled.catch((error: unknown) => error), mute)
  const ended: unknown[] = []
  const span = {
    spanContext: () => ({ traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }),
    setStatus: ({ message }: { message: string }) => ended.push(message),
    recordException: () => {},
    end: () => ended.push('end'),
  }
  const traced = new Tracing()
  const api = {
    ROOT_CONTEXT: {},
    context: { active: () => ({}), with: (_context: unknown, fn: () => unknown) => fn() },
    trace: {
      getTracer: () => ({ startSpan: () => span }),
      getSpan: () => undefined,
      setSpan: () => ({}),
      setSpanContext: () => ({}),
    },
    metrics: { getMeter: () => ({}) },
  }
  const metrics = { watch: () => () => {} }
  const observer = { metrics, trace: (tracer: never) => traced.use(tracer), onStop: () => () => {} }
  await openTelemetry({ name: 'a@test', observer } as never, { api })
  const trace = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`
  const what = () => ({ role: 'server', kind: 'call', node: 'a@test', process: 'x' }) as const
  const work = traced.handle(trace, what, () => Promise.reject(mute))
  assert.is(await work.catch((error: unknown) => error), mute)
  // A rejection that nobody handles fails the test.
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ended, ['object', 'end'])
})

test.run()

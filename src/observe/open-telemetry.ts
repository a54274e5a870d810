/**
 * OpenTelemetry: the metrics of a node as instruments of a meter, and a span for every call, cast and send that belongs to
 * a trace. The only file that touches `@opentelemetry/api`, which the program may have installed, or passes in.
 *
 * A call has a client span here and a server span there, a cast or send a producer and a consumer span. Messages of no
 * trace make no spans: a trace begins where the program begins one. The shapes below are the part of the API that is
 * used, so that the package's types do not need it.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { TracedWork, Tracer } from '../process/tracing.ts'
import { safeMessage } from '../safe-text.ts'
import { isOrderly } from '../signals.ts'
import { traceparentOf } from '../wire/trace-context.ts'
import type { Family, Labels, Metrics } from './metrics.ts'

const SCOPE = 'skein'
const PACKAGE = '@opentelemetry/api'
/** SpanKind of the API. */
const KINDS = { server: 1, client: 2, producer: 3, consumer: 4 } as const satisfies Record<TracedWork['role'], number>
/** SpanStatusCode.ERROR of the API. */
const STATUS_ERROR = 2

interface SpanContext {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
  readonly isRemote?: boolean
}

interface Span {
  spanContext(): SpanContext
  setStatus(status: { code: number; message?: string }): unknown
  recordException(exception: Error): void
  end(): void
}

interface Context {
  getValue(key: symbol): unknown
}

interface ObservableResult {
  observe(value: number, attributes?: Labels): void
}

interface Observable {
  addCallback(callback: (result: ObservableResult) => void): void
  removeCallback(callback: (result: ObservableResult) => void): void
}

interface InstrumentOptions {
  readonly description?: string
  readonly advice?: { explicitBucketBoundaries?: number[] }
}

/** The module `@opentelemetry/api`. */
export interface OpenTelemetryApi {
  readonly ROOT_CONTEXT: object
  readonly context: object
  readonly trace: object
  readonly metrics: object
}

/** The same, as far as it is used: its own types would be needed by everybody who compiles against this package. */
interface Api {
  readonly ROOT_CONTEXT: Context
  readonly context: {
    active(): Context
    with<T>(context: Context, fn: () => T): T
  }
  readonly trace: {
    getTracer(name: string): {
      startSpan(name: string, options: { kind: number; attributes: Labels }, context: Context): Span
    }
    getSpan(context: Context): Span | undefined
    setSpan(context: Context, span: Span): Context
    setSpanContext(context: Context, spanContext: SpanContext): Context
  }
  readonly metrics: {
    getMeter(name: string): {
      createObservableCounter(name: string, options: InstrumentOptions): Observable
      createObservableGauge(name: string, options: InstrumentOptions): Observable
      createHistogram(name: string, options: InstrumentOptions): { record(value: number, attributes?: Labels): void }
    }
  }
}

/** What `openTelemetry` takes. */
export interface TelemetryOptions {
  /** The module `@opentelemetry/api`. Default: it is imported. */
  readonly api?: OpenTelemetryApi
}

/** What is to be told; a SkeinNode is one. */
export interface TelemetryNode {
  readonly name: string
  readonly observer: {
    readonly metrics: Metrics
    trace(tracer: Tracer | undefined): void
    /** Only if that is still the one in use. */
    untrace(tracer: Tracer): void
    onStop(fn: () => void): () => void
  }
}

/** What `openTelemetry` gives. */
export interface Telemetry {
  /** No more spans and metrics of this node. Idempotent; the end of the node does it too. */
  stop(): void
}

/** Metrics and traces of the node go to the program's OpenTelemetry SDK. Rejects with ERR_SKEIN_NO_TELEMETRY. */
export const openTelemetry = async (node: TelemetryNode, options: TelemetryOptions = {}): Promise<Telemetry> => {
  const api = (options.api ?? (await importApi())) as Api
  const { observer } = node
  const ends: (() => void)[] = []
  const stop = (): void => {
    for (const end of ends.splice(0)) end()
  }
  try {
    ends.push(passOnMetrics(api, observer.metrics, node.name))
    const tracer = tracerOf(api)
    observer.trace(tracer)
    ends.push(() => observer.untrace(tracer))
    // Runs at once for a node that has been stopped.
    ends.push(observer.onStop(stop))
  } catch (error) {
    stop()
    throw error
  }
  return { stop }
}

/** Not a literal in the import: the compiler would ask for types of what may not be there. */
const importApi = async (name: string = PACKAGE): Promise<OpenTelemetryApi> => {
  try {
    return (await import(name)) as OpenTelemetryApi
  } catch (error) {
    throw new SkeinError('ERR_SKEIN_NO_TELEMETRY', `${name} cannot be loaded.`, { cause: error })
  }
}

const passOnMetrics = ({ metrics: global }: Api, metrics: Metrics, node: string): (() => void) => {
  const meter = global.getMeter(SCOPE)
  const ends: (() => void)[] = []
  const histograms = new Map<string, { record(value: number, attributes?: Labels): void }>()
  const attributes = (labels: Labels): Labels => ({ ...labels, 'skein.node': node })
  const forget = metrics.watch({
    added: ({ name, type, help, bounds }) => {
      if (type === 'histogram') {
        const advice = { explicitBucketBoundaries: [...bounds] }
        histograms.set(name, meter.createHistogram(name, { description: help, advice }))
        return
      }
      const create = type === 'counter' ? meter.createObservableCounter : meter.createObservableGauge
      const instrument = create.call(meter, name, { description: help })
      const callback = (result: ObservableResult): void => {
        for (const { labels, value } of samplesIn(metrics.readOne(name))) result.observe(value, attributes(labels))
      }
      instrument.addCallback(callback)
      ends.push(() => instrument.removeCallback(callback))
    },
    observed: (name, value, labels) => {
      try {
        histograms.get(name)?.record(value, attributes(labels))
      } catch {
        // Of an SDK that fails, whoever is being measured must not hear.
      }
    },
  })
  return () => {
    forget()
    for (const end of ends) end()
  }
}

const samplesIn = (family: Family | undefined) =>
  family === undefined || family.type === 'histogram' ? [] : family.samples

const tracerOf = ({ trace, context, ROOT_CONTEXT }: Api): Tracer => {
  const tracer = trace.getTracer(SCOPE)
  const current = (): string | undefined => {
    const span = trace.getSpan(context.active())
    return span === undefined ? undefined : textOf(span.spanContext())
  }
  /** The active span itself, where it is the one that is meant: samplers treat it better than one from afar. */
  const parentContext = (traceparent: string): Context => {
    if (current() === traceparent) return context.active()
    const remote = spanContextOf(traceparent)
    return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote)
  }
  const run = <T>(traceparent: string | undefined, what: TracedWork, fn: () => T): T => {
    if (traceparent === undefined) return context.with(ROOT_CONTEXT, fn)
    const parent = parentContext(traceparent)
    const span = tracer.startSpan(nameOf(what), { kind: KINDS[what.role], attributes: attributesOf(what) }, parent)
    return context.with(trace.setSpan(parent, span), () => finishing(span, fn))
  }
  return { current, run }
}

/** The span ends when what is run does; a reason of an orderly end is no error. */
const finishing = <T>(span: Span, fn: () => T): T => {
  const failed = (error: unknown): void => {
    if (!isOrderly(error)) {
      span.setStatus({ code: STATUS_ERROR, message: safeMessage(error) })
      if (error instanceof Error) span.recordException(error)
    }
    span.end()
  }
  let value: T
  try {
    value = fn()
  } catch (error) {
    failed(error)
    throw error
  }
  if (value instanceof Promise) value.then(() => span.end(), failed)
  else span.end()
  return value
}

/** As for remote procedure calls and for messaging: what is done, and to whom. */
const nameOf = ({ kind, process }: TracedWork): string => `${kind} ${process}`

const attributesOf = ({ kind, node, process }: TracedWork): Labels => ({
  'skein.kind': kind,
  'skein.process': process,
  'server.address': node,
})

const textOf = ({ traceId, spanId, traceFlags }: SpanContext): string | undefined =>
  traceparentOf(`00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`)

const spanContextOf = (traceparent: string): SpanContext | undefined => {
  const [, traceId, spanId, flags] = traceparentOf(traceparent)?.split('-') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}

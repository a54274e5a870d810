/** A tracer for tests: spans are numbered, and noted with their parents. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { TracedWork, Tracer } from '../../../src/process/tracing.ts'

export interface NotedSpan extends TracedWork {
  readonly trace: string
  readonly parent: string
  ended: boolean
}

const SPAN_ID = /^00-[0-9a-f]{32}-([0-9a-f]{16})-01$/

export const spanIdOf = (trace: string | undefined): string => SPAN_ID.exec(trace ?? '')?.[1] ?? 'none'

export class NotingTracer implements Tracer {
  readonly spans: NotedSpan[] = []
  readonly #active = new AsyncLocalStorage<string | undefined>()
  readonly #traceId: string
  readonly #number: number
  #last = 0

  /** `number` keeps the spans of one tracer apart from those of another. */
  constructor(number = 1, traceId = '0af7651916cd43dd8448eb211c80319c') {
    this.#number = number
    this.#traceId = traceId
  }

  current(): string | undefined {
    return this.#active.getStore()
  }

  run<T>(parent: string | undefined, what: TracedWork, fn: () => T): T {
    if (parent === undefined) return this.#active.run(undefined, fn)
    const trace = this.#newTrace(parent.slice(3, 35))
    const span: NotedSpan = { ...what, trace, parent, ended: false }
    this.spans.push(span)
    const value = this.#active.run(trace, fn)
    const end = (): void => {
      span.ended = true
    }
    if (value instanceof Promise) value.then(end, end)
    else end()
    return value
  }

  /** Begins a trace, as a program does. */
  begin<T>(fn: (trace: string) => T): T {
    const trace = this.#newTrace(this.#traceId)
    return this.#active.run(trace, () => fn(trace))
  }

  #newTrace(traceId: string): string {
    const id = (this.#number * 0x1_0000 + ++this.#last).toString(16).padStart(16, '0')
    return `00-${traceId}-${id}-01`
  }
}

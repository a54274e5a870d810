/**
 * Tracing: which trace a message belongs to, from the process that sends it to the handler that takes it.
 *
 * A tracer is the program's own (observe/open-telemetry.ts makes one); here is only when it is asked, and what stands in
 * a mailbox meanwhile. Without a tracer nothing happens and nothing is kept. With one every message is wrapped, those of
 * no trace too, because whoever handles them must not find the trace of somebody else. A tracer that throws, or gives
 * nonsense, costs the trace and not the message. Messages of no trace begin none.
 */
import { traceparentOf } from '../wire/trace-context.ts'
import { type Consumer, Entry } from './behaviour.ts'
import type { Process } from './process.ts'

/** What is done under a span: sending, or handling what was sent. */
export interface TracedWork {
  /** OpenTelemetry's kinds of spans: a call has a client and a server, a send or cast a producer and a consumer. */
  readonly role: 'client' | 'server' | 'producer' | 'consumer'
  readonly kind: 'call' | 'cast' | 'send'
  /** name@host of the node of the process that is called or sent to. */
  readonly node: string
  /** That process: its label, its name or its pid. */
  readonly process: string
}

/** Keeps track of what belongs to what; given as option `tracing`. */
export interface Tracer {
  /** The `traceparent` (W3C Trace Context) of what runs now, undefined for none. */
  current(): string | undefined
  /**
   * Runs `fn` under a new span whose parent is `traceparent`, and gives what it gives; the span is over when that, or the
   * promise it is, is. While it runs `current` tells of the new span. Without a traceparent: runs `fn` in no span at all.
   */
  run<T>(traceparent: string | undefined, what: TracedWork, fn: () => T): T
}

const ignore = (): void => {}

const NOBODY: TracedWork = { role: 'consumer', kind: 'send', node: '', process: '' }

export class Tracing {
  #tracer: Tracer | undefined
  /** The trace of the message that a process took last. */
  readonly #taken = new WeakMap<Process, string>()

  constructor(tracer?: Tracer) {
    this.#tracer = tracer
  }

  /** Looked at for every message. */
  get isOn(): boolean {
    return this.#tracer !== undefined
  }

  use(tracer: Tracer | undefined): void {
    this.#tracer = tracer
  }

  uses(tracer: Tracer): boolean {
    return this.#tracer === tracer
  }

  /** The trace that something belongs to which this process, or the program, does now. */
  of(process: Process | undefined): string | undefined {
    return this.#current() ?? (process === undefined ? undefined : this.#taken.get(process))
  }

  /** Sends, or calls, by `fn`, which is given the trace that is to go with it. Throws what `fn` throws. */
  outgoing<T>(sender: Process | undefined, what: () => TracedWork, fn: (trace: string | undefined) => T): T {
    const parent = this.of(sender)
    return parent === undefined ? fn(undefined) : this.#run(parent, what, () => fn(this.#current() ?? parent))
  }

  /** What is to stand in the mailbox of `process` for this entry. */
  wrap(process: Process, kind: TracedWork['kind'], trace: string | undefined, entry: unknown): unknown {
    return new Traced(this, process, kind, trace, entry)
  }

  /** Runs what belongs to no trace, whatever the one that started it is in the midst of. */
  apart<A extends unknown[], T>(fn: (...args: A) => T, ...args: A): T {
    return this.#run(
      undefined,
      () => NOBODY,
      () => fn(...args),
    )
  }

  /** @internal For Traced: under the trace of the message. */
  handle<T>(trace: string | undefined, what: () => TracedWork, fn: () => T): T {
    return this.#run(trace, what, fn)
  }

  /** @internal For Traced: the function of a process took it. */
  took(process: Process, trace: string | undefined): void {
    if (trace === undefined) this.#taken.delete(process)
    else this.#taken.set(process, trace)
  }

  #current(): string | undefined {
    try {
      return traceparentOf(this.#tracer?.current())
    } catch {
      return undefined
    }
  }

  /** Whatever the tracer does, `fn` runs once and its outcome counts. */
  #run<T>(trace: string | undefined, what: () => TracedWork, fn: () => T): T {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined
    const once = (): T => {
      if (outcome === undefined) {
        try {
          outcome = { value: fn() }
        } catch (error) {
          outcome = { error }
        }
      }
      if ('error' in outcome) throw outcome.error
      return outcome.value
    }
    try {
      const ran: unknown = this.#tracer?.run(trace, what(), once)
      // An async one gives a promise of its own, which fails as that of `fn` does.
      if (ran instanceof Promise) ran.catch(ignore)
    } catch {
      // Either the tracer failed, or fn did, and its outcome says so.
    }
    return once()
  }
}

/** A message on its way through a mailbox, with its trace. */
export class Traced extends Entry {
  readonly #tracing: Tracing
  readonly #process: Process
  readonly #kind: TracedWork['kind']
  readonly #trace: string | undefined
  /** What stands there without tracing. */
  readonly entry: unknown

  constructor(tracing: Tracing, process: Process, kind: TracedWork['kind'], trace: string | undefined, entry: unknown) {
    super()
    this.#tracing = tracing
    this.#process = process
    this.#kind = kind
    this.#trace = trace
    this.entry = entry
  }

  open(): unknown {
    return this.entry instanceof Entry ? this.entry.open() : this.entry
  }

  override take(): unknown {
    this.#tracing.took(this.#process, this.#trace)
    return this.open()
  }

  /** Hands it to the consumer, whose work belongs to the trace. */
  handle(consumer: Consumer): Promise<void> | void {
    const process = this.#process
    const kind = this.#kind
    const what = (): TracedWork => ({
      role: kind === 'call' ? 'server' : 'consumer',
      kind,
      node: process.pid.node,
      process: nameOf(process),
    })
    return this.#tracing.handle(this.#trace, what, () => consumer(this.entry))
  }
}

/** How people know a process: the number alone tells them nothing. */
export const nameOf = (process: Process): string => {
  if (process.label !== undefined) return process.label
  for (const name of process.names ?? []) return name
  return process.pid.toString()
}

/**
 * The narrator's end of one node process of the demo.
 *
 * Every event is kept with the time it came, so nothing that happened early is missed. When the process ends, whoever
 * still waits for an event learns how it ended.
 */
import { AskedProcess } from './asked-process.ts'
import type { DemoEvent, DemoQuestions } from './demo-protocol.ts'

/** A node tells of a few dozen things in a whole demo. */
const MAX_EVENTS = 1000

export interface Timed<T extends DemoEvent = DemoEvent> {
  readonly event: T
  /** When it reached the narrator, on the clock of performance.now(). */
  readonly atMs: number
}

export class DemoChild extends AskedProcess<DemoQuestions, DemoEvent> {
  readonly #events: Timed[] = []
  readonly #listeners = new Set<() => void>()

  /** `entry` is the file of the command itself. */
  constructor(label: string, entry: string, environment: NodeJS.ProcessEnv) {
    super({ label, entry, command: 'demo-node', environment })
  }

  /** The first event that matches, past or to come. */
  async event<T extends DemoEvent>(matches: (event: DemoEvent) => event is T, sinceMs = 0): Promise<Timed<T>> {
    for (;;) {
      const found = this.#events.find((one): one is Timed<T> => one.atMs >= sinceMs && matches(one.event))
      if (found !== undefined) return found
      if (this.ending !== undefined) throw new Error(`process ${this.label} ended: ${this.ending}`)
      await new Promise<void>((resolve) => this.#listeners.add(resolve))
    }
  }

  /** What has happened so far. */
  get events(): readonly Timed[] {
    return this.#events
  }

  protected override heard(event: DemoEvent): void {
    if (this.#events.length < MAX_EVENTS) this.#events.push({ event, atMs: performance.now() })
    this.#wake()
  }

  protected override over(): void {
    this.#wake()
  }

  #wake(): void {
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }
}

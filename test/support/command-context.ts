/**
 * What helpers of tests ask of a test, for commands: clean-ups that are run in the end, and no skipping. What is missing fails.
 */
import type { TestContext } from './suite.ts'

export class CommandContext implements TestContext {
  readonly #cleanUps: (() => unknown)[] = []

  defer(cleanUp: () => unknown): void {
    this.#cleanUps.push(cleanUp)
  }

  skip(reason: string): never {
    throw new Error(reason)
  }

  missing(what: string): never {
    throw new Error(`missing: ${what}`)
  }

  /** The last one first, each once, whatever becomes of the others. */
  async cleanUp(): Promise<void> {
    for (const one of this.#cleanUps.splice(0).reverse()) {
      try {
        await one()
      } catch {
        // What cannot be cleaned up does not keep the rest from it.
      }
    }
  }
}

/**
 * What a program says, line by line, for those who wait for a certain line. Whoever waits when the program ends hears of
 * that, with what was said and not taken.
 */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

export class SaidLines {
  readonly #lines: string[] = []
  #hasEnded = false
  #wake = (): void => {}

  /** The streams are those of the child that are read: each is a pipe. */
  constructor(child: ChildProcess, streams: readonly Readable[]) {
    for (const stream of streams) {
      createInterface({ input: stream }).on('line', (line) => {
        this.#lines.push(line)
        this.#wake()
      })
    }
    child.once('close', () => {
      this.#hasEnded = true
      this.#wake()
    })
  }

  /** The first line that fits, taken out with all before it. One waits at a time. */
  async next(fits: (line: string) => boolean): Promise<string> {
    for (;;) {
      const index = this.#lines.findIndex(fits)
      const line = index < 0 ? undefined : this.#lines.splice(0, index + 1).at(-1)
      if (line !== undefined) return line
      if (this.#hasEnded) throw new Error(`the program ended, having said: ${this.#lines.join('\n')}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

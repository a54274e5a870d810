/**
 * A pause of all incoming lanes of one connection after something that was costly to take in: they go on when pending
 * input and timers had their turn. What a peer sends few bytes for thus holds up a node no longer at a time than many
 * bytes would. The control lane does not rest; whoever was left over comes first the next time.
 */
import type { Clock } from './clock.ts'
import type { InLane } from './lane-in.ts'

export class LaneRest {
  readonly #clock: Clock
  readonly #resume: (lane: InLane) => void
  /** Those that wait for the end of the rest; undefined: there is none. */
  #lanes: InLane[] | undefined

  constructor(clock: Clock, resume: (lane: InLane) => void) {
    this.#clock = clock
    this.#resume = resume
  }

  begin(): void {
    if (this.#lanes !== undefined) return
    const lanes: InLane[] = []
    this.#lanes = lanes
    this.#clock.afterInput(() => {
      this.#lanes = undefined
      this.#end(lanes)
    })
  }

  /** True: there is a rest, and the lane waits for its end. */
  takes(lane: InLane): boolean {
    if (this.#lanes === undefined || lane.kind === 'control') return false
    lane.paused = true
    this.#lanes.push(lane)
    return true
  }

  #end(lanes: readonly InLane[]): void {
    for (const [index, lane] of lanes.entries()) {
      if (this.#lanes !== undefined) {
        this.#lanes.unshift(...lanes.slice(index))
        return
      }
      this.#resume(lane)
    }
  }
}

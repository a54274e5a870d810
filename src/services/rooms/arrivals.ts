/**
 * Sockets of other nodes that have been told of before their node's process is in the room's group: nothing would reach
 * them yet, so they are not shown yet. The board and the groups come over two lanes, and either may be first.
 */
import type { Origin } from '../../pid.ts'

export interface Arrival {
  readonly origin: Origin
  readonly seat: string
  readonly room: string
  readonly name: string
}

export class Arrivals {
  /** By room and origin, then by seat. No more than the boards of the peers hold. */
  readonly #waiting = new Map<string, Map<string, Arrival>>()

  add(arrival: Arrival): void {
    const key = keyOf(arrival.room, arrival.origin)
    const seats = this.#waiting.get(key)
    if (seats === undefined) this.#waiting.set(key, new Map([[arrival.seat, arrival]]))
    else seats.set(arrival.seat, arrival)
  }

  remove(room: string, origin: Origin, seat: string): void {
    const key = keyOf(room, origin)
    const seats = this.#waiting.get(key)
    if (seats?.delete(seat) === true && seats.size === 0) this.#waiting.delete(key)
  }

  /** Those who have been waiting for this. */
  take(room: string, origin: Origin): readonly Arrival[] {
    const key = keyOf(room, origin)
    const seats = this.#waiting.get(key)
    this.#waiting.delete(key)
    return [...(seats?.values() ?? [])]
  }

  takeAll(): readonly Arrival[] {
    const all = [...this.#waiting.values()].flatMap((seats) => [...seats.values()])
    this.#waiting.clear()
    return all
  }
}

const keyOf = (room: string, origin: Origin): string => `${origin.key} ${room}`

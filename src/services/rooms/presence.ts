/**
 * Who is in which room, on all nodes.
 */
import type { Origin } from '../../pid.ts'

/** A socket in a room. */
export interface RoomMember {
  /** Of this socket in this room; the same nowhere and never again. */
  readonly id: string
  /** What it entered as; several may have the same. */
  readonly name: string
  /** name@host */
  readonly node: string
}

type Tell = (event: { readonly type: 'join' | 'leave'; readonly room: string; readonly member: RoomMember }) => void

const NOBODY: readonly RoomMember[] = Object.freeze([])

interface Room {
  /** By the origin and the seat. */
  readonly members: Map<string, RoomMember>
  list: readonly RoomMember[] | undefined
}

export class Presence {
  readonly #tell: Tell
  readonly #rooms = new Map<string, Room>()

  constructor(tell: Tell) {
    this.#tell = tell
  }

  rooms(): string[] {
    return [...this.#rooms.keys()]
  }

  count(room: string): number {
    return this.#rooms.get(room)?.members.size ?? 0
  }

  members(room: string): readonly RoomMember[] {
    const found = this.#rooms.get(room)
    if (found === undefined) return NOBODY
    found.list ??= Object.freeze([...found.members.values()])
    return found.list
  }

  add(origin: Origin, seat: string, room: string, name: string): RoomMember {
    const number = seat.slice(0, seat.indexOf(':'))
    const member: RoomMember = { id: `${number}.${origin.incarnation}`, name, node: origin.name }
    let found = this.#rooms.get(room)
    if (found === undefined) {
      found = { members: new Map(), list: undefined }
      this.#rooms.set(room, found)
    }
    const key = `${origin.key} ${seat}`
    const isNew = !found.members.has(key)
    found.members.set(key, member)
    found.list = undefined
    if (isNew) this.#tell({ type: 'join', room, member })
    return member
  }

  remove(origin: Origin, seat: string, room: string): void {
    const found = this.#rooms.get(room)
    const key = `${origin.key} ${seat}`
    const member = found?.members.get(key)
    if (found === undefined || member === undefined) return
    found.members.delete(key)
    found.list = undefined
    if (found.members.size === 0) this.#rooms.delete(room)
    this.#tell({ type: 'leave', room, member })
  }
}

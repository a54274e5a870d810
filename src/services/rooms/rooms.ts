/**
 * Rooms of sockets, as programs see them: `node.rooms(options)`.
 */
import type { Lagged } from '../../event-stream.ts'
import type { RoomMember } from './presence.ts'
import type { RoomEvent, RoomService } from './room-service.ts'
import type { RoomSocket } from './socket.ts'

export class Rooms {
  readonly #service: RoomService

  /** @internal Use node.rooms. */
  constructor(service: RoomService) {
    this.#service = service
  }

  /**
   * Lets an open socket of this node enter a room, which is made by that; `as` is what others see of it. It leaves when it
   * closes. Rejects with ERR_SKEIN_ROOM_REFUSED, ERR_SKEIN_BAD_NAME or ERR_SKEIN_LIMIT.
   */
  join(room: string, socket: RoomSocket, { as }: { readonly as: string }): Promise<RoomMember> {
    return this.#service.join(room, socket, as)
  }

  /** It is in the room. */
  has(room: string, socket: RoomSocket): boolean {
    return this.#service.has(room, socket)
  }

  /** False: it was not there. */
  leave(room: string, socket: RoomSocket): boolean {
    return this.#service.leave(room, socket)
  }

  /** The socket leaves all its rooms; it is not closed. */
  leaveAll(socket: RoomSocket): void {
    this.#service.leaveAll(socket)
  }

  /**
   * Writes to every socket of the room, on all nodes; broadcasts of one node arrive in order. False: some node has much to
   * write already; await `drained`. Throws ERR_SKEIN_MESSAGE_TOO_LARGE or ERR_SKEIN_BAD_ARGUMENT.
   */
  broadcast(
    room: string,
    data: string | Uint8Array,
    { except = [] }: { readonly except?: RoomSocket | readonly RoomSocket[] } = {},
  ): boolean {
    return this.#service.broadcast(room, data, Array.isArray(except) ? except : [except as RoomSocket])
  }

  /** Resolves when all nodes with sockets in the room take more. */
  drained(room: string): Promise<void> {
    return this.#service.drained(room)
  }

  /** On all nodes that this one is connected to; the list is not changed later. */
  members(room: string): readonly RoomMember[] {
    return this.#service.presence.members(room)
  }

  /** How many `members` there are. */
  count(room: string): number {
    return this.#service.presence.count(room)
  }

  /** All rooms that somebody is in. */
  rooms(): string[] {
    return this.#service.presence.rooms()
  }

  /** Who enters and leaves, on any node, and which sockets of this one are slow; of one room or of all. */
  watch(room?: string): AsyncIterable<RoomEvent | Lagged> {
    return this.#service.events.only((event) => room === undefined || event.room === room)
  }
}

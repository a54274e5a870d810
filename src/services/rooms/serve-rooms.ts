/**
 * Rooms for the sockets of a WebSocket server, such as the one of the package `ws`; that package is the program's, and is
 * not loaded here.
 *
 * Each socket enters the room that `enter` names for its request, and what it sends goes to the others in that room. What
 * goes wrong with one socket closes that socket.
 */
import type { IncomingMessage } from 'node:http'
import type { RoomMember } from './presence.ts'
import type { Rooms } from './rooms.ts'
import type { RoomSocket } from './socket.ts'

/** Policy violation (RFC 6455, 7.4.1). */
const CLOSE_REFUSED = 1008
/** Sent before a socket has entered: so many are passed on then, and one more closes it. */
const MAX_EARLY_MESSAGES = 16
/** Or so much of it. */
const MAX_EARLY_BYTES = 65_536

type Data = Buffer | ArrayBuffer | Buffer[]

/** A socket of `ws`. */
export interface ServerSocket extends RoomSocket {
  on(event: 'message', listener: (data: Data, isBinary: boolean) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  /** Reads no more until `resume`; used where there is one, for a socket that says more than the nodes take. */
  pause?(): void
  resume?(): void
}

/** A WebSocketServer of `ws`. */
export interface SocketServer {
  on(event: 'connection', listener: (socket: ServerSocket, request: IncomingMessage) => void): unknown
}

/** What `serveRooms` takes. */
export interface ServeRoomsOptions {
  /** The room of a new socket and its name there; undefined closes it. This is where a request is authenticated. */
  readonly enter: (request: IncomingMessage) => Entrance | undefined | Promise<Entrance | undefined>
  /** What is broadcast when a socket has sent this; undefined for nothing. Default: what it sent. */
  readonly said?: (data: string | Uint8Array, member: RoomMember, room: string) => string | Uint8Array | undefined
}

/** Where a new socket goes, and its name there. */
export interface Entrance {
  readonly room: string
  readonly as: string
}

/** From now on every socket that connects to the server enters a room. */
export const serveRooms = (server: SocketServer, rooms: Rooms, options: ServeRoomsOptions): void => {
  server.on('connection', (socket, request) => {
    // An error is followed by the close, and that is heard by the rooms.
    socket.on('error', () => {})
    void seat(socket, request, rooms, options)
  })
}

const seat = async (
  socket: ServerSocket,
  request: IncomingMessage,
  rooms: Rooms,
  { enter, said = (data) => data }: ServeRoomsOptions,
): Promise<void> => {
  const refuse = (): void => socket.close(CLOSE_REFUSED, 'refused')
  const early: (string | Uint8Array)[] = []
  let earlyBytes = 0
  let say = (data: string | Uint8Array): void => {
    earlyBytes += data.length
    if (early.length < MAX_EARLY_MESSAGES && earlyBytes <= MAX_EARLY_BYTES) early.push(data)
    else refuse()
  }
  socket.on('message', (data, isBinary) => {
    try {
      say(isBinary ? bytesOf(data) : bytesOf(data).toString())
    } catch {
      refuse()
    }
  })
  try {
    const entrance = await enter(request)
    if (entrance === undefined) {
      refuse()
      return
    }
    const { room, as } = entrance
    const member = await rooms.join(room, socket, { as })
    say = (data) => {
      // It may have been made to leave, and is still connected.
      if (!rooms.has(room, socket)) return
      const saying = said(data, member, room)
      if (saying === undefined || rooms.broadcast(room, saying, { except: socket })) return
      socket.pause?.()
      void rooms
        .drained(room)
        .finally(() => socket.resume?.())
        .catch(refuse)
    }
    for (const data of early.splice(0)) say(data)
  } catch {
    refuse()
  }
}

const bytesOf = (data: Data): Buffer => {
  if (Buffer.isBuffer(data)) return data
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
}

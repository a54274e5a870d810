/** Sockets of `ws` and of browsers fit into rooms as they are. */

import type { WebSocket as ServerSocket, WebSocketServer } from 'ws'
import { type RoomSocket, type Rooms, serveRooms } from '../../src/index.ts'

declare const rooms: Rooms
declare const socket: ServerSocket
declare const server: WebSocketServer
/** What browsers and Node 22 have, as far as it matters here. */
declare const standard: Pick<EventTarget, 'addEventListener'> & {
  readonly readyState: number
  readonly bufferedAmount: number
  send(data: string | ArrayBufferLike | ArrayBufferView): void
  close(code?: number, reason?: string): void
}

const fits: RoomSocket = standard
void rooms.join('lobby', socket, { as: 'anna' })
void rooms.join('lobby', fits, { as: 'bert' })
rooms.broadcast('lobby', 'hi', { except: [socket, fits] })
serveRooms(server, rooms, { enter: ({ headers }) => ({ room: 'lobby', as: headers.host ?? 'nobody' }) })
// @ts-expect-error a member has a name
void rooms.join('lobby', socket, {})
// @ts-expect-error only text and bytes can be written
rooms.broadcast('lobby', { text: 'hi' })

/**
 * The sockets that rooms write to, and what becomes of those that do not read.
 *
 * A socket is whatever looks like a WebSocket: of the package `ws`, of Node itself, or of one's own making. What is
 * written and not yet sent waits in the memory of this node, so a socket that is behind gets nothing more.
 */

/** Unsent bytes above which a socket counts as slow, unless the options say otherwise. */
export const DEFAULT_MAX_BUFFERED_BYTES = 1 << 20

/** `readyState` of a socket that can be written to (WHATWG WebSockets, the interface WebSocket). */
export const OPEN = 1
/** Try again later (IANA, WebSocket Close Code Number Registry). */
const CLOSE_CODE = 1013

/** What a room needs of a socket. */
export interface RoomSocket {
  readonly readyState: number
  /** Bytes that were written and not yet sent. */
  readonly bufferedAmount: number
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  /** Ends it at once; used where there is one, because a closing handshake waits behind all that is unsent. */
  terminate?(): void
  addEventListener(type: 'close', listener: () => void): void
}

/** drop: it is closed, and leaves all its rooms. skip: it misses what comes while it is behind. */
export type WhenSlow = 'drop' | 'skip'

export type Written = 'written' | 'slow' | 'failed'

/** Never throws. */
export const write = (socket: RoomSocket, data: string | Uint8Array, maxBufferedBytes: number): Written => {
  try {
    if (socket.readyState !== OPEN) return 'failed'
    if (socket.bufferedAmount > maxBufferedBytes) return 'slow'
    socket.send(data)
    return 'written'
  } catch {
    return 'failed'
  }
}

/** Never throws. */
export const drop = (socket: RoomSocket): void => {
  try {
    if (socket.terminate === undefined) close(socket)
    else socket.terminate()
  } catch {
    // It is closed already, or broken: either way nothing more is written to it.
  }
}

const close = (socket: RoomSocket): void => {
  try {
    socket.close(CLOSE_CODE, 'too slow')
  } catch {
    // The WebSocket of browsers and of Node lets a program give no such code (WHATWG WebSockets, close).
    socket.close()
  }
}

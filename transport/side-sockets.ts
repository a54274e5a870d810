/**
 * Side sockets: UDP sockets for a while, beside the node's port, each on a port that the system chooses. For ways
 * through a NAT that gives every socket and destination another port (src/cluster/reach).
 *
 * A set is bounded, and closes all of them at once. In a worker they are closed at the latest when the thread exits
 * (socket.ts says why). When the machine gives no more descriptors there are fewer sockets, and nothing else happens. IPv4 only.
 */
import { createSocket, type Socket } from 'node:dgram'
import { isMainThread } from 'node:worker_threads'
import type { Address } from './address.ts'
import { atExit } from './at-exit.ts'
import { growBuffers, noLookup, withHops } from './socket.ts'

export interface SideSocket {
  /** The local port. */
  readonly port: number
  /**
   * Sends bytes[0..length), which are only lent for this call, or loses them, as UDP may. No further than so many routers,
   * where the system can do that.
   */
  send(bytes: Uint8Array, length: number, to: Address, hops?: number): void
  /** Nothing is heard from it any more. Idempotent. */
  close(): void
}

export interface SideSockets {
  /** One more; undefined if as many are open as may be, if the machine gives none, or after `close`. Never rejects. */
  open(): Promise<SideSocket | undefined>
  close(): void
}

type Receive = (bytes: Buffer, from: Address, socket: SideSocket) => void

/** A set that holds up to `count` sockets; it opens none by itself. */
export const openSideSockets = (count: number, receive: Receive): SideSockets => new SocketSet(count, receive)

class SocketSet implements SideSockets {
  readonly #count: number
  readonly #receive: Receive
  readonly #open = new Set<OneSocket>()
  /** Being opened. */
  #opening = 0
  #calledOff: (() => void) | undefined
  #isClosed = false

  constructor(count: number, receive: Receive) {
    this.#count = count
    this.#receive = receive
  }

  async open(): Promise<SideSocket | undefined> {
    if (this.#isClosed || this.#open.size + this.#opening >= this.#count) return undefined
    this.#calledOff ??= isMainThread ? () => {} : atExit(() => this.close())
    this.#opening++
    const socket = await bind()
    this.#opening--
    if (socket === undefined) return undefined
    if (this.#isClosed) {
      socket.close()
      return undefined
    }
    const one = new OneSocket(socket, this.#receive, () => this.#open.delete(one))
    this.#open.add(one)
    return one
  }

  close(): void {
    this.#isClosed = true
    this.#calledOff?.()
    for (const one of [...this.#open]) one.close()
  }
}

class OneSocket implements SideSocket {
  readonly #socket: Socket
  readonly #closed: () => void
  readonly port: number
  /** What is sent is copied here, since the kernel may not take it at once. */
  #copy = Buffer.alloc(0)
  #isClosed = false

  constructor(socket: Socket, receive: Receive, closed: () => void) {
    this.#socket = socket
    this.#closed = closed
    this.port = socket.address().port
    socket.on('message', (bytes, { address, port }) => {
      if (!this.#isClosed) receive(bytes, { host: address, port }, this)
    })
  }

  send(bytes: Uint8Array, length: number, to: Address, hops?: number): void {
    // While the kernel's buffer is full the copy is still needed, and what would come behind it is lost.
    if (this.#isClosed || to.port === 0 || this.#socket.getSendQueueCount() > 0) return
    if (this.#copy.length < length) this.#copy = Buffer.alloc(length)
    this.#copy.set(bytes.subarray(0, length))
    const send = (): void => this.#socket.send(this.#copy, 0, length, to.port, to.host)
    if (hops === undefined) send()
    else withHops(this.#socket, hops, send)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.close()
    this.#closed()
  }
}

/** Undefined where the machine gives no socket. */
const bind = (): Promise<Socket | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket({ type: 'udp4', lookup: noLookup as never })
    const failed = (): void => {
      socket.close()
      resolve(undefined)
    }
    socket.once('error', failed)
    socket.bind({ address: '0.0.0.0', port: 0, exclusive: true }, () => {
      socket.removeListener('error', failed)
      // As with the node's port: later errors concern single datagrams.
      socket.on('error', () => {})
      growBuffers(socket)
      resolve(socket)
    })
  })

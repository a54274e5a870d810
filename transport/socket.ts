/**
 * One UDP socket: bound once, large kernel buffers, no name look-ups on the way out.
 *
 * It knows nothing of what the datagrams mean. Hosts are in the socket's own notation (an IPv6 socket that serves both
 * families shows IPv4 peers as ::ffff:a.b.c.d). A datagram that the kernel refuses is lost, as UDP may lose any.
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { isMainThread } from 'node:worker_threads'
import { SkeinError } from '../certs/errors.ts'
import type { Address } from './address.ts'
import { atExit } from './at-exit.ts'

/** Asked of the kernel in each direction; it may give less (net.core.rmem_max). Largest first, since some refuse rather than clamp. */
const SOCKET_BUFFER_BYTES = [8 << 20, 4 << 20, 1 << 20] as const

export type ReceiveDatagram = (datagram: Buffer, host: string, port: number) => void

/** Takes the place of the name service: only literal addresses come this way, and node:dgram would wait a tick for each. */
export const noLookup = (
  host: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void => callback(null, host, isIPv6(host) ? 6 : 4)

/** For whoever has to close the socket at once, or know of it in another thread. */
export interface SocketWatch {
  /** The descriptor is -1 where there is none. */
  opened(descriptor: number, closeNow: () => void): void
  closed(): void
}

export class UdpSocket {
  readonly #socket: Socket
  readonly #watch: SocketWatch | undefined
  readonly #stayOpen: () => void
  readonly bound: Address
  /** IPv6 socket that also serves IPv4. */
  readonly dualStack: boolean
  #isClosed = false

  private constructor(socket: Socket, dualStack: boolean, watch: SocketWatch | undefined) {
    this.#socket = socket
    this.#watch = watch
    const closeNow = (): void => this.#close(() => {})
    // Node 20 aborts the whole process if a datagram reaches a socket whose thread is just being ended.
    this.#stayOpen = isMainThread ? () => {} : atExit(closeNow)
    watch?.opened(descriptorOf(socket), closeNow)
    this.dualStack = dualStack
    const { address, port } = socket.address()
    this.bound = { host: address, port }
    growBuffers(socket)
  }

  /** Binds. Throws ERR_SKEIN_PORT_BUSY or ERR_SKEIN_BIND. */
  static open(host: string, port: number, receive: ReceiveDatagram, watch?: SocketWatch): Promise<UdpSocket> {
    const dualStack = host === '::'
    const socket = createSocket({
      type: isIPv6(host) ? 'udp6' : 'udp4',
      ipv6Only: !dualStack && isIPv6(host),
      lookup: noLookup as never,
    })
    return new Promise((resolve, reject) => {
      socket.once('error', (cause: NodeJS.ErrnoException) => {
        socket.close()
        reject(
          cause.code === 'EADDRINUSE'
            ? new SkeinError('ERR_SKEIN_PORT_BUSY', `UDP port ${port} on ${host} is in use`, { cause })
            : new SkeinError('ERR_SKEIN_BIND', `cannot bind UDP ${host} port ${port}: ${cause.code ?? cause.message}`, {
                cause,
              }),
        )
      })
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.removeAllListeners('error')
        // Errors after binding concern single datagrams (an ICMP answer, a full queue): QUIC's own loss recovery covers them.
        socket.on('error', () => {})
        socket.on('message', (datagram, from) => receive(datagram, from.address, from.port))
        resolve(new UdpSocket(socket, dualStack, watch))
      })
    })
  }

  /** Sends buffer[0..length). True when the kernel has it and the buffer may be used again; false while it is still needed. */
  send(buffer: Uint8Array, length: number, host: string, port: number): boolean {
    // node:dgram throws for both: a closed socket, and port 0, from which anybody can send but to which nobody can.
    if (this.#isClosed || port === 0) return true
    this.#socket.send(buffer, 0, length, port, host)
    return !this.sendsWaiting
  }

  /** The kernel's buffer was full: some of what was sent has not left this process. */
  get sendsWaiting(): boolean {
    return this.#socket.getSendQueueCount() > 0
  }

  /** What the kernel really gave, bytes. */
  kernelBuffers(): { receiveBytes: number; sendBytes: number } {
    return { receiveBytes: this.#socket.getRecvBufferSize(), sendBytes: this.#socket.getSendBufferSize() }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#close(resolve))
  }

  #close(closed: () => void): void {
    if (this.#isClosed) {
      closed()
      return
    }
    this.#isClosed = true
    this.#stayOpen()
    this.#socket.close(closed)
    this.#watch?.closed()
  }
}

/** -1 where the system has none (Windows). Node keeps it behind a symbol of its own. */
const descriptorOf = (socket: Socket): number => {
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    const state: unknown = Reflect.get(socket, symbol)
    if (typeof state !== 'object' || state === null || !('handle' in state)) continue
    const { fd } = (state.handle ?? {}) as { readonly fd?: unknown }
    if (typeof fd === 'number') return fd
  }
  return -1
}

export const growBuffers = (socket: Socket): void => {
  grow((bytes) => socket.setRecvBufferSize(bytes))
  grow((bytes) => socket.setSendBufferSize(bytes))
}

const grow = (set: (bytes: number) => void): void => {
  for (const bytes of SOCKET_BUFFER_BYTES) {
    try {
      set(bytes)
      return
    } catch {
      // This kernel refuses what it cannot give: ask for less.
    }
  }
}

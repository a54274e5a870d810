/**
 * One UDP port: bound once, large kernel buffers, no name look-ups on the way out.
 *
 * It knows nothing of what the datagrams mean. A datagram that the kernel refuses is lost, as UDP may lose any.
 *
 * A port on '::' has two sockets of the system, one for each family. One IPv6 socket could serve both, but the hops of what
 * it sends over IPv4 cannot be set: Node sets those of IPv6 there, and Linux does not heed them for IPv4.
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { isMainThread } from 'node:worker_threads'
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import type { Address } from './address.ts'
import { atExit } from './at-exit.ts'

/** Asked of the kernel in each direction; it may give less (net.core.rmem_max). Largest first, since some refuse rather than clamp. */
const SOCKET_BUFFER_BYTES = [8 << 20, 4 << 20, 1 << 20] as const
/** Of everything for which nobody chose otherwise, once somebody has (RFC 1700: the default time to live). */
const USUAL_HOPS = 64
/** The system chooses a port that is free in one family; it may be taken in the other. */
const MAX_PORTS_TRIED = 8

export type ReceiveDatagram = (datagram: Buffer, host: string, port: number) => void

/**
 * Takes the place of the name service: only literal addresses come this way, and node:dgram would wait a tick for each. A
 * socket says of which family it is, and looking at the address costs a microsecond a datagram.
 */
export const noLookup = (
  host: string,
  options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void => callback(null, host, typeof options === 'number' ? options : isIPv6(host) ? 6 : 4)

/** For whoever has to close the socket at once, or know of it in another thread. */
export interface SocketWatch {
  /** One descriptor, or two; -1 where there is none. */
  opened(descriptors: readonly number[], closeNow: () => void): void
  closed(): void
}

export class UdpSocket {
  /** Of the family of `bound`. */
  readonly #socket: Socket
  /** For IPv4, beside one for IPv6. */
  readonly #second: Socket | undefined
  readonly #watch: SocketWatch | undefined
  readonly #stayOpen: () => void
  readonly bound: Address
  /** It serves IPv6 and IPv4. */
  readonly dualStack: boolean
  #isClosed = false

  private constructor(sockets: readonly [Socket, Socket?], receive: ReceiveDatagram, watch: SocketWatch | undefined) {
    const [socket, second] = sockets
    this.#socket = socket
    this.#second = second
    this.dualStack = second !== undefined
    this.#watch = watch
    const closeNow = (): void => this.#close(() => {})
    // Node 20 aborts the whole process if a datagram reaches a socket whose thread is just being ended.
    this.#stayOpen = isMainThread ? () => {} : atExit(closeNow)
    watch?.opened(this.#sockets.map(descriptorOf), closeNow)
    const { address, port } = socket.address()
    this.bound = { host: address, port }
    for (const one of this.#sockets) {
      one.on('message', (datagram, from) => receive(datagram, from.address, from.port))
      growBuffers(one)
    }
  }

  /** Binds. Throws ERR_SKEIN_PORT_BUSY or ERR_SKEIN_BIND. */
  static async open(host: string, port: number, receive: ReceiveDatagram, watch?: SocketWatch): Promise<UdpSocket> {
    if (host !== '::') return new UdpSocket([await bind(host, port)], receive, watch)
    for (let tried = 1; ; tried++) {
      const first = await bind(host, port)
      try {
        return new UdpSocket([first, await bind('0.0.0.0', first.address().port)], receive, watch)
      } catch (error) {
        first.close()
        if (port !== 0 || tried === MAX_PORTS_TRIED || !isSkeinError(error, 'ERR_SKEIN_PORT_BUSY')) throw error
      }
    }
  }

  /** True when the kernel has it and the buffer may be used again; false while it is still needed. */
  send(datagram: Uint8Array, host: string, port: number): boolean {
    // node:dgram throws for both: a closed socket, and port 0, from which anybody can send but to which nobody can.
    if (this.#isClosed || port === 0) return true
    const socket = this.#for(host)
    socket.send(datagram, port, host)
    return socket.getSendQueueCount() === 0
  }

  /** As `send`, but it goes no further than so many routers, the last of which drops it; if that cannot be had, it goes as any. */
  sendNear(datagram: Uint8Array, host: string, port: number, hops: number): void {
    if (!this.#isClosed) withHops(this.#for(host), hops, () => this.send(datagram, host, port))
  }

  /** The kernel's buffer was full: some of what was sent has not left this process. */
  get sendsWaiting(): boolean {
    return this.#sockets.some((socket) => socket.getSendQueueCount() > 0)
  }

  /** What the kernel really gave, bytes. */
  kernelBuffers(): { receiveBytes: number; sendBytes: number } {
    return { receiveBytes: this.#socket.getRecvBufferSize(), sendBytes: this.#socket.getSendBufferSize() }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#close(resolve))
  }

  get #sockets(): readonly Socket[] {
    return this.#second === undefined ? [this.#socket] : [this.#socket, this.#second]
  }

  #for(host: string): Socket {
    return this.#second === undefined || host.includes(':') ? this.#socket : this.#second
  }

  #close(closed: () => void): void {
    if (this.#isClosed) {
      closed()
      return
    }
    this.#isClosed = true
    this.#stayOpen()
    this.#second?.close()
    this.#socket.close(closed)
    this.#watch?.closed()
  }
}

/** One socket of the system. */
const bind = (host: string, port: number): Promise<Socket> => {
  const isIp6 = isIPv6(host)
  const socket = createSocket({ type: isIp6 ? 'udp6' : 'udp4', ipv6Only: isIp6, lookup: noLookup as never })
  return new Promise((resolve, reject) => {
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      socket.close()
      reject(
        isTaken(cause)
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
      resolve(socket)
    })
  })
}

/** Windows keeps ranges of ports for itself (Hyper-V, WinNAT), of IPv4 and of IPv6 apart, and denies access to them. */
const isTaken = ({ code }: NodeJS.ErrnoException): boolean =>
  code === 'EADDRINUSE' || (code === 'EACCES' && process.platform === 'win32')

/**
 * What `send` sends on this socket passes so many routers at most. Node sends at once unless something waits; then, or
 * where the system does not let itself be told, it goes as far as any.
 */
export const withHops = (socket: Socket, hops: number, send: () => void): void => {
  const isSet = socket.getSendQueueCount() === 0 && setHops(socket, hops)
  send()
  if (isSet) setHops(socket, USUAL_HOPS)
}

const setHops = (socket: Socket, hops: number): boolean => {
  try {
    socket.setTTL(hops)
    return true
  } catch {
    return false
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

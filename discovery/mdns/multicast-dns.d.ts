/** The part of multicast-dns 7 that socket.ts uses; the package brings no types. */
declare module 'multicast-dns' {
  import type { EventEmitter } from 'node:events'

  interface Options {
    port?: number
    type?: 'udp4' | 'udp6'
    ip?: string
    interface?: string
    bind?: string | false
    multicast?: boolean
    socket?: object
  }

  interface MulticastDns extends EventEmitter {
    send(packet: object, callback: (error?: Error | null) => void): void
    send(packet: object, to: { address: string; port: number }, callback: (error?: Error | null) => void): void
    destroy(callback: () => void): void
  }

  export default function multicastDns(options: Options): MulticastDns
}

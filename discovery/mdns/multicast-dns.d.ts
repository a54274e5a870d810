/** The part of multicast-dns 7 that socket.ts uses; the package brings no types. */
declare module 'multicast-dns' {
  import type { EventEmitter } from 'node:events'

  namespace multicastDns {
    interface Options {
      port?: number
      type?: 'udp4' | 'udp6'
      ip?: string
      interface?: string
      bind?: string | false
      multicast?: boolean
      socket?: unknown
    }

    interface WireRecord {
      name: string
      type: string
      class?: string
      ttl?: number
      flush?: boolean
      data?: unknown
    }

    interface WirePacket {
      type: 'query' | 'response'
      flags?: number
      questions: { name: string; type: string; class?: string }[]
      answers: WireRecord[]
      additionals: WireRecord[]
    }

    interface MulticastDns extends EventEmitter {
      send(packet: WirePacket, callback: (error?: Error | null) => void): void
      destroy(callback: () => void): void
    }
  }

  function multicastDns(options: multicastDns.Options): multicastDns.MulticastDns
  export = multicastDns
}

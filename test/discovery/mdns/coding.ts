/** Codes packets exactly as they cross the wire: through multicast-dns, on a socket that only hands over the bytes. */
import { EventEmitter } from 'node:events'
import multicastDns from 'multicast-dns'
import type { Packet } from '../../../discovery/mdns/packet.ts'
import { fromWire, guard, toWire, type WirePacket } from '../../../discovery/mdns/socket.ts'

class ByteSocket extends EventEmitter {
  sent: ((bytes: Buffer) => void) | undefined

  send(bytes: Buffer): void {
    this.sent?.(bytes)
  }

  close(done: () => void): void {
    done()
  }
}

const socket = new ByteSocket()
const mdns = multicastDns({ socket, bind: false, multicast: false })
guard(socket, () => {})
let decoded: Packet | undefined
mdns.on('packet', (packet: WirePacket) => {
  decoded = fromWire(packet)
})
mdns.on('warning', () => {})

export const encode = (packet: Packet): Promise<Buffer> =>
  new Promise((resolve) => {
    socket.sent = resolve
    mdns.send(toWire(packet), () => {})
  })

/** Undefined for what is no DNS packet. */
export const decode = (bytes: Uint8Array): Packet | undefined => {
  decoded = undefined
  socket.emit('message', Buffer.from(bytes), { address: '10.77.0.1', port: 5353 })
  return decoded
}

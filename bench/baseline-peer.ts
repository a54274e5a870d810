/** The far end of the baselines: a UDP echo, a UDP sink that acknowledges now and then, and a TLS server that does both. */
import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { createIdentity } from '../certs/identity.ts'
import { systemClock } from '../transport/clock.ts'
import { serve } from './peer.ts'

/** Datagrams per acknowledgement, and bytes per acknowledgement on TLS. */
const ACK_EVERY = 64
const TLS_ACK_BYTES = 1 << 20

const udp = async (): Promise<{ port: number; close: () => void }> => {
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: 4 << 20,
    sendBufferSize: 4 << 20,
    lookup: (host, _options, done) => done(null, host, 4),
  })
  let received = 0
  socket.on('message', (datagram, from) => {
    if (datagram.length <= 64) socket.send(datagram, from.port, from.address)
    else if (++received % ACK_EVERY === 0) socket.send(datagram.subarray(0, 65), from.port, from.address)
  })
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
  return { port: socket.address().port, close: () => socket.close() }
}

const tls = async (): Promise<{ port: number; close: () => void }> => {
  const { privateKeyPem, certificatePem } = await createIdentity({ wallNowMs: systemClock.wallNow() })
  const server = createServer({ key: privateKeyPem, cert: certificatePem }, (socket) => {
    socket.setNoDelay(true)
    let received = 0
    let first = true
    let isBulk = false
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      // A first chunk of more than a ping makes this a bulk connection.
      if (first) isBulk = chunk.length > 64
      first = false
      if (!isBulk) socket.write(chunk)
      else {
        const before = Math.floor(received / TLS_ACK_BYTES)
        received += chunk.length
        const now = Math.floor(received / TLS_ACK_BYTES)
        if (now > before) socket.write(Buffer.alloc(now - before))
      }
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

await serve(async () => {
  const [udpEnd, tlsEnd] = [await udp(), await tls()]
  return {
    ready: { udpPort: udpEnd.port, tlsPort: tlsEnd.port },
    stop: async () => {
      udpEnd.close()
      tlsEnd.close()
    },
  }
})

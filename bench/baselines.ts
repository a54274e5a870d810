/** What the platform itself can do, measured between two processes: raw node:dgram, and Node's TLS over TCP. */
import { createSocket, type Socket } from 'node:dgram'
import { connect } from 'node:tls'
import { startPeer } from './peer.ts'
import { median } from './report.ts'

/** The far end of the baselines, and how to measure each of them once more. */
export interface Baselines {
  /** One way, 1350-byte datagrams without loss, bytes/s. */
  dgramBytesPerSecond(): Promise<number>
  /** 64-byte ping-pong, median, us. */
  dgramPingPongUs(): Promise<number>
  /** 64 KiB writes, bytes/s. */
  tlsBytesPerSecond(): Promise<number>
  tlsPingPongUs(): Promise<number>
  stop(): Promise<void>
}

const DATAGRAM_BYTES = 1350
const DATAGRAMS = 200_000
/** Datagrams on their way before an acknowledgement must come: fits the socket buffers, so nothing is lost. */
const WINDOW = 1024
const ACK_EVERY = 64
const PINGS = 5000
const WARM_UP = 1000
const TLS_BYTES = 256 << 20
const TLS_CHUNK_BYTES = 64 * 1024

const open = (): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: 4 << 20,
      sendBufferSize: 4 << 20,
      lookup: (host, _options, done) => done(null, host, 4),
    })
    socket.bind(0, '127.0.0.1', () => resolve(socket))
  })

const oneWay = async (port: number): Promise<number> => {
  const socket = await open()
  const datagram = Buffer.alloc(DATAGRAM_BYTES, 7)
  let sent = 0
  let acknowledged = 0
  const start = performance.now()
  await new Promise<void>((done) => {
    const fill = (): void => {
      while (sent < DATAGRAMS && sent - acknowledged < WINDOW) {
        socket.send(datagram, 0, DATAGRAM_BYTES, port, '127.0.0.1')
        sent++
      }
    }
    socket.on('message', () => {
      acknowledged += ACK_EVERY
      if (acknowledged >= DATAGRAMS) done()
      else fill()
    })
    fill()
  })
  const seconds = (performance.now() - start) / 1000
  socket.close()
  return (DATAGRAMS * DATAGRAM_BYTES) / seconds
}

/** Times `count` round trips made by `exchange`, after a warm-up; us, in order. */
export const roundTrips = async (count: number, exchange: () => Promise<unknown>): Promise<number[]> => {
  for (let i = 0; i < WARM_UP; i++) await exchange()
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const start = performance.now()
    await exchange()
    samples.push((performance.now() - start) * 1000)
  }
  return samples
}

const pingPong = async (port: number): Promise<number> => {
  const socket = await open()
  const ping = Buffer.alloc(64, 7)
  let answered = (): void => {}
  socket.on('message', () => answered())
  const samples = await roundTrips(PINGS, () => {
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    socket.send(ping, 0, 64, port, '127.0.0.1')
    return answer
  })
  socket.close()
  return median(samples)
}

const tlsSocket = (port: number) =>
  new Promise<ReturnType<typeof connect>>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.setNoDelay(true)
      resolve(socket)
    })
  })

const tlsBulk = async (port: number): Promise<number> => {
  const socket = await tlsSocket(port)
  const chunk = Buffer.alloc(TLS_CHUNK_BYTES, 7)
  const start = performance.now()
  let written = 0
  let acknowledged = 0
  await new Promise<void>((done) => {
    const fill = (): void => {
      while (written < TLS_BYTES) {
        written += chunk.length
        if (!socket.write(chunk)) return void socket.once('drain', fill)
      }
    }
    socket.on('data', (acks: Buffer) => {
      acknowledged += acks.length
      if (acknowledged >= TLS_BYTES >> 20) done()
    })
    fill()
  })
  const seconds = (performance.now() - start) / 1000
  socket.destroy()
  return TLS_BYTES / seconds
}

const tlsPingPong = async (port: number): Promise<number> => {
  const socket = await tlsSocket(port)
  const ping = Buffer.alloc(64, 7)
  let answered = (): void => {}
  socket.on('data', () => answered())
  const samples = await roundTrips(PINGS, () => {
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    socket.write(ping)
    return answer
  })
  socket.destroy()
  return median(samples)
}

export const startBaselines = async (): Promise<Baselines> => {
  const peer = await startPeer(new URL('./baseline-peer.ts', import.meta.url), {})
  const udpPort = peer.ready.udpPort as number
  const tlsPort = peer.ready.tlsPort as number
  const baselines = {
    dgramBytesPerSecond: () => oneWay(udpPort),
    dgramPingPongUs: () => pingPong(udpPort),
    tlsBytesPerSecond: () => tlsBulk(tlsPort),
    tlsPingPongUs: () => tlsPingPong(tlsPort),
    stop: () => peer.stop(),
  }
  await baselines.dgramBytesPerSecond()
  await baselines.dgramPingPongUs()
  await baselines.tlsBytesPerSecond()
  await baselines.tlsPingPongUs()
  return baselines
}

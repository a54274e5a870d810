/** What the platform itself can do, measured between two processes: raw node:dgram, and Node's TLS over TCP. */
import { createSocket, type Socket } from 'node:dgram'
import { connect } from 'node:tls'
import { startPeer } from './peer.ts'
import { median } from './report.ts'

/** The far end of the baselines, and how to measure each of them once more; `part` of the usual amount of work. */
export interface Baselines {
  /** One way, 1350-byte datagrams without loss, bytes/s. */
  dgramBytesPerSecond(part?: number): Promise<number>
  /** 64-byte ping-pong, each round trip, us. */
  dgramRoundTrips(part?: number): Promise<number[]>
  /** Median of these. */
  dgramPingPongUs(): Promise<number>
  /** 64 KiB writes, bytes/s. */
  tlsBytesPerSecond(part?: number): Promise<number>
  tlsRoundTrips(part?: number): Promise<number[]>
  tlsPingPongUs(): Promise<number>
  stop(): Promise<void>
}

/** Messages that all benchmarks send, in encoded bytes. */
export const SMALL_BYTES = 100
export const LARGE_BYTES = 64 * 1024
const DATAGRAM_BYTES = 1350
const DATAGRAMS = 200_000
/** Datagrams on their way before an acknowledgement must come: fits the socket buffers, so nothing is lost. */
const WINDOW = 1024
const ACK_EVERY = 64
/** Round trips of a ping-pong, and those before them that are not counted. */
export const PINGS = 5000
export const WARM_UP = 1000
const TLS_BYTES = 256 << 20
const TLS_ACK_BYTES = 1 << 20

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

const oneWay = async (port: number, part: number): Promise<number> => {
  // In whole acknowledgements.
  const datagrams = ACK_EVERY * Math.ceil((DATAGRAMS * part) / ACK_EVERY)
  const socket = await open()
  const datagram = Buffer.alloc(DATAGRAM_BYTES, 7)
  let sent = 0
  let acknowledged = 0
  const start = performance.now()
  await new Promise<void>((done) => {
    const fill = (): void => {
      while (sent < datagrams && sent - acknowledged < WINDOW) {
        socket.send(datagram, 0, DATAGRAM_BYTES, port, '127.0.0.1')
        sent++
      }
    }
    socket.on('message', () => {
      acknowledged += ACK_EVERY
      if (acknowledged >= datagrams) done()
      else fill()
    })
    fill()
  })
  const seconds = (performance.now() - start) / 1000
  socket.close()
  return (datagrams * DATAGRAM_BYTES) / seconds
}

/** Times `count` round trips made by `exchange`, after a warm-up; us, in order. */
export const roundTrips = async (
  count: number,
  exchange: () => Promise<unknown>,
  warmUp: number = WARM_UP,
): Promise<number[]> => {
  for (let i = 0; i < warmUp; i++) await exchange()
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const start = performance.now()
    await exchange()
    samples.push((performance.now() - start) * 1000)
  }
  return samples
}

const pingPong = async (port: number, part: number): Promise<number[]> => {
  const socket = await open()
  const ping = Buffer.alloc(64, 7)
  let answered = (): void => {}
  socket.on('message', () => answered())
  const exchange = (): Promise<void> => {
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    socket.send(ping, 0, 64, port, '127.0.0.1')
    return answer
  }
  const samples = await roundTrips(PINGS * part, exchange, WARM_UP * part)
  socket.close()
  return samples
}

const tlsSocket = (port: number) =>
  new Promise<ReturnType<typeof connect>>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.setNoDelay(true)
      resolve(socket)
    })
  })

const tlsBulk = async (port: number, part: number): Promise<number> => {
  // In whole acknowledgements.
  const bytes = Math.ceil((TLS_BYTES * part) / TLS_ACK_BYTES) * TLS_ACK_BYTES
  const socket = await tlsSocket(port)
  const chunk = Buffer.alloc(LARGE_BYTES, 7)
  const start = performance.now()
  let written = 0
  let acknowledged = 0
  await new Promise<void>((done) => {
    const fill = (): void => {
      while (written < bytes) {
        written += chunk.length
        if (!socket.write(chunk)) return void socket.once('drain', fill)
      }
    }
    socket.on('data', (acks: Buffer) => {
      acknowledged += acks.length
      if (acknowledged >= bytes / TLS_ACK_BYTES) done()
    })
    fill()
  })
  const seconds = (performance.now() - start) / 1000
  socket.destroy()
  return bytes / seconds
}

const tlsPingPong = async (port: number, part: number): Promise<number[]> => {
  const socket = await tlsSocket(port)
  const ping = Buffer.alloc(64, 7)
  let answered = (): void => {}
  socket.on('data', () => answered())
  const exchange = (): Promise<void> => {
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    socket.write(ping)
    return answer
  }
  const samples = await roundTrips(PINGS * part, exchange, WARM_UP * part)
  socket.destroy()
  return samples
}

/** Starts the far end and does everything once, to be warm; `part` of the usual amount. */
export const startBaselines = async (part = 1): Promise<Baselines> => {
  const peer = await startPeer(new URL('./baseline-peer.ts', import.meta.url), {})
  const udpPort = peer.ready.udpPort as number
  const tlsPort = peer.ready.tlsPort as number
  const dgramRoundTrips = (part = 1): Promise<number[]> => pingPong(udpPort, part)
  const tlsRoundTrips = (part = 1): Promise<number[]> => tlsPingPong(tlsPort, part)
  const baselines: Baselines = {
    dgramBytesPerSecond: (part = 1) => oneWay(udpPort, part),
    dgramRoundTrips,
    dgramPingPongUs: async () => median(await dgramRoundTrips()),
    tlsBytesPerSecond: (part = 1) => tlsBulk(tlsPort, part),
    tlsRoundTrips,
    tlsPingPongUs: async () => median(await tlsRoundTrips()),
    stop: () => peer.stop(),
  }
  await baselines.dgramBytesPerSecond(part)
  await baselines.dgramRoundTrips(part)
  await baselines.tlsBytesPerSecond(part)
  await baselines.tlsRoundTrips(part)
  return baselines
}

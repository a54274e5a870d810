/**
 * Floods a port with junk, in a process of its own. Kinds: 'krpc', what looks like KRPC and is none; 'strangers', whole
 * handshakes of strangers and junk of every kind from many addresses; and 'plain' or 'plain-strangers', as many of the same
 * lengths that the port drops at first sight. With a `total` it sends so many when asked; else on and on.
 */
import { createSocket, type Socket } from 'node:dgram'
import { krpcJunk, mixedJunk, plainlyDropped, strangeInitials } from './junk-datagrams.ts'
import { serve } from './peer.ts'

export type JunkKind = 'krpc' | 'plain' | 'strangers' | 'plain-strangers'

export interface Flooded {
  readonly sent: number
  readonly seconds: number
  /** Datagrams that came back. */
  readonly heard: number
}

const EVERY_MS = 2
const VARIETY = 1024
/** A part of the strangers' datagrams are whole handshakes: 100 thousand beside a million others. */
const HANDSHAKE_EVERY = 11
const HANDSHAKES = 512
const SOCKETS = 64
/** More in one go would only overflow the buffer of the port: this many at most are made up for at once. */
const MOST_AT_ONCE = 400

const datagramsOf = async (kind: JunkKind): Promise<(index: number) => Buffer> => {
  const krpc = krpcJunk(VARIETY)
  if (kind === 'krpc') return (i) => krpc[i % VARIETY]!
  if (kind === 'plain') {
    const plain = krpc.map(plainlyDropped)
    return (i) => plain[i % VARIETY]!
  }
  const isPlain = kind === 'plain-strangers'
  const initials = await strangeInitials(HANDSHAKES)
  const junk = mixedJunk(VARIETY, initials)
  const [handshakes, others] = isPlain ? [initials.map(plainlyDropped), junk.map(plainlyDropped)] : [initials, junk]
  return (i) =>
    i % HANDSHAKE_EVERY === 0 ? handshakes[(i / HANDSHAKE_EVERY) % HANDSHAKES]! : others[i % others.length]!
}

/** Half of what is sent comes from one address, the rest from others: only Linux gives all of 127.0.0.0/8 to the loopback. */
const open = async (kind: JunkKind): Promise<(index: number) => Socket> => {
  const isMany = kind === 'strangers' || kind === 'plain-strangers'
  const sockets = await Promise.all(
    Array.from({ length: isMany ? SOCKETS : 1 }, async (_, i) => {
      const socket = createSocket('udp4')
      const host = i > 0 && process.platform === 'linux' ? `127.0.${i}.${1 + (i % 200)}` : '127.0.0.1'
      await new Promise<void>((resolve) => socket.bind(0, host, resolve))
      return socket
    }),
  )
  return (i) => (i % 2 === 0 ? sockets[0]! : sockets[(i >> 1) % sockets.length]!)
}

await serve(async (args) => {
  const { port, kind, perSecond, total } = args as {
    readonly port: number
    readonly kind: JunkKind
    readonly perSecond: number
    readonly total?: number
  }
  const [datagramAt, socketAt] = [await datagramsOf(kind), await open(kind)]
  const sockets = new Set(Array.from({ length: 2 * SOCKETS }, (_, i) => socketAt(i)))
  let heard = 0
  for (const socket of sockets) socket.on('message', () => heard++)
  let timer: NodeJS.Timeout | undefined
  const flood = (most: number, done: (flooded: Flooded) => void): void => {
    const start = performance.now()
    let sent = 0
    let last = start
    let credit = 0
    timer = setInterval(() => {
      const now = performance.now()
      credit = Math.min(credit + ((now - last) / 1000) * perSecond, total === undefined ? most : MOST_AT_ONCE)
      last = now
      for (; credit >= 1 && sent < most; credit--) {
        socketAt(sent).send(datagramAt(sent), port, '127.0.0.1')
        sent++
      }
      if (sent < most) return
      clearInterval(timer)
      // What comes back is on its way by now; the kernel of this machine is all there is between.
      setTimeout(() => done({ sent, seconds: (now - start) / 1000, heard }), 100)
    }, EVERY_MS)
  }
  if (total === undefined) flood(Number.POSITIVE_INFINITY, () => {})
  return {
    ready: {},
    answer: () => new Promise<Flooded>((resolve) => flood(total ?? 0, resolve)),
    stop: async () => {
      clearInterval(timer)
      for (const socket of sockets) socket.close()
    },
  }
})

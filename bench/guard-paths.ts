/**
 * The hot paths that the guard watches, each with the work of a baseline that it is compared with. Both run in one process,
 * with both ends of a connection in it: nothing waits for another process, so that processor time says what a path costs.
 */
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { type Self, type SkeinNode, startNode } from 'skein'
import { createIdentity } from 'skein/certs'
import { simulatedNodes } from 'skein/testing'
import { type LaneSender, Lanes, openQuicTransport, systemClock, systemRandom } from 'skein/transport'
import { Origin } from '../src/pid.ts'
import { MessageCodec } from '../src/wire/codec.ts'
import { AsyncQueue } from './async-queue.ts'

interface GuardPath {
  /** What its processor time is compared with. */
  readonly baseline: string
  readonly open: () => Promise<OpenPath>
}

/** A path, ready to be worked on. */
interface OpenPath {
  readonly work: () => Promise<void>
  /** Messages, frames or round trips in one call of `work`. */
  readonly units: number
  readonly baseline: () => Promise<void>
  /** One call of `baseline` is compared with so many of them. */
  readonly baselineUnits: number
  readonly stop: () => Promise<void>
}

const SMALL_BYTES = 100
const LARGE_BYTES = 64 * 1024
const DATAGRAM_BYTES = 1350
const PING_BYTES = 64
const LOST_AFTER_MS = 500
/** Datagrams under way at once: they fit the socket buffers of any machine, so none is lost. */
const DATAGRAM_BURST = 64
/** Messages sent in one go; then the sender waits until they have been handled. */
const MESSAGE_BURST = 1000
const FRAME_TYPE = 1
const NO_HEAD = new Uint8Array(0)
const NOTHING = async (): Promise<void> => {}

/** Encodes to 100 bytes. */
const smallMessage = (sequence: number): unknown => ({ type: 'tick', sequence, text: 'x'.repeat(SMALL_BYTES - 32) })

/** What the messages of most programs go through. */
const jsonThereAndBack = async (messages: number): Promise<void> => {
  for (let i = 0; i < messages; i++) JSON.parse(Buffer.from(JSON.stringify(smallMessage(i))).toString())
}

/** Resolves when so many have come. */
class Arrivals {
  #missing = 0
  #done = (): void => {}

  readonly count = (): void => {
    if (--this.#missing === 0) this.#done()
  }

  of(count: number): Promise<void> {
    this.#missing = count
    return new Promise((resolve) => {
      this.#done = resolve
    })
  }

  /** The rest will not come. */
  giveUp(): void {
    this.#missing = 0
    this.#done()
  }

  get missing(): number {
    return this.#missing
  }
}

const codec = async (): Promise<OpenPath> => {
  const messages = 40_000
  const messageCodec = new MessageCodec({ local: new Origin('a@bench', 'a'.repeat(32), '0'.repeat(16)) })
  return {
    work: async () => {
      for (let i = 0; i < messages; i++) {
        const bytes = messageCodec.encode(smallMessage(i))
        messageCodec.decode(bytes, 0, bytes.length)
      }
    },
    units: messages,
    baseline: () => jsonThereAndBack(messages),
    baselineUnits: messages,
    stop: NOTHING,
  }
}

const localSend = async (): Promise<OpenPath> => {
  const messages = 300_000
  const arrivals = new Arrivals()
  const node = await startNode({ name: 'a@bench', cookie: 'guard-bench', host: '127.0.0.1', port: 0, discovery: false })
  const receiver = node.spawn(async (self: Self<number>) => {
    for await (const _ of self) arrivals.count()
  })
  const queue = new AsyncQueue<number>()
  const consume = async (): Promise<void> => {
    for await (const _ of queue) arrivals.count()
  }
  void consume()
  const inBursts = async (push: (message: number) => void): Promise<void> => {
    for (let sent = 0; sent < messages; sent += MESSAGE_BURST) {
      const handled = arrivals.of(MESSAGE_BURST)
      for (let i = 0; i < MESSAGE_BURST; i++) push(i)
      await handled
    }
  }
  return {
    work: () =>
      new Promise((resolve, reject) => {
        node.spawn(async (self: Self) => {
          await inBursts((message) => self.send(receiver, message)).then(resolve, reject)
        })
      }),
    units: messages,
    baseline: () => inBursts((message) => queue.push(message)),
    baselineUnits: messages,
    stop: () => node.stop(),
  }
}

/** Two nodes on the memory network: everything a message passes except socket and QUIC. */
const nodeToNode = async (): Promise<OpenPath> => {
  const messages = 40_000
  const network = { pathSizeBytes: 16_000, congestionWindowBytes: 1 << 20 }
  const cluster = await simulatedNodes(2, { network })
  const { clock } = cluster
  const [from, to] = cluster.nodes as [SkeinNode, SkeinNode]
  await clock.run({ until: () => from.nodes().length === 1 && to.nodes().length === 1 })
  let received = 0
  const receiver = to.spawn(async (self: Self) => {
    for await (const _ of self) received++
  })
  return {
    work: async () => {
      const wanted = received + messages
      from.spawn(async (self: Self) => {
        for (let i = 0; i < messages; i++) if (!self.send(receiver, smallMessage(i))) await self.drained(receiver)
      })
      await clock.run({ until: () => received >= wanted })
    },
    units: messages,
    baseline: () => jsonThereAndBack(messages),
    baselineUnits: messages,
    stop: NOTHING,
  }
}

interface QuicPair {
  /** Sends frames and waits until they have come. */
  readonly flood: (frames: number, body: Uint8Array) => Promise<void>
  /** Sends one frame there and one back, so many times. */
  readonly pingPong: (count: number) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Two ports on loopback, and lanes between them. */
const quicPair = async (maxPacketBytes?: number): Promise<QuicPair> => {
  const gateKeys = [randomBytes(32)]
  const open = async () =>
    openQuicTransport({
      host: '127.0.0.1',
      port: 0,
      identity: await createIdentity({ wallNowMs: systemClock.wallNow() }),
      gateKeys,
      clock: systemClock,
      random: systemRandom,
      ...(maxPacketBytes === undefined ? {} : { maxPacketBytes }),
    })
  const [from, to] = [await open(), await open()]
  const arrivals = new Arrivals()
  const answers = new Arrivals()
  const ping = Buffer.alloc(PING_BYTES, 7)
  let answering: LaneSender | undefined
  let echoes = false
  const lanesOf = (opened: () => void, arrived: () => void): Lanes => {
    const lanes: Lanes = new Lanes(
      {
        onOpen: () => {
          lanes.acceptLanes()
          opened()
        },
        onFrame: () => {
          arrived()
          return undefined
        },
        onControl: () => {},
        onClosed: () => {},
      },
      { clock: systemClock },
    )
    return lanes
  }
  to.listen((connection) => {
    const arrived = (): void => {
      arrivals.count()
      if (echoes) answering?.send(FRAME_TYPE, NO_HEAD, 0, ping)
    }
    const lanes = lanesOf(() => {}, arrived).attach(connection)
    answering = lanes.sender()
    return lanes
  })
  const lanes = await new Promise<Lanes>((resolve) => {
    const lanes = lanesOf(() => resolve(lanes), answers.count)
    lanes.attach(from.connect(to.addresses()[0]!, lanes))
  })
  const sender = lanes.sender()
  return {
    flood: async (frames, bytes) => {
      const all = arrivals.of(frames)
      for (let i = 0; i < frames; i++) if (!sender.send(FRAME_TYPE, NO_HEAD, 0, bytes)) await sender.drained()
      await all
    },
    pingPong: async (count) => {
      echoes = true
      for (let i = 0; i < count; i++) {
        const answer = answers.of(1)
        sender.send(FRAME_TYPE, NO_HEAD, 0, ping)
        await answer
      }
      echoes = false
    },
    stop: async () => {
      await from.close()
      await to.close()
    },
  }
}

interface DatagramPair {
  readonly flood: (datagrams: number) => Promise<void>
  readonly pingPong: (count: number) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Two sockets of node:dgram on loopback. */
const datagramPair = async (): Promise<DatagramPair> => {
  const open = (): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
      socket.bind(0, '127.0.0.1', () => resolve(socket))
    })
  const [from, to] = [await open(), await open()]
  const [fromPort, toPort] = [from.address().port, to.address().port]
  const large = Buffer.alloc(DATAGRAM_BYTES, 7)
  const small = Buffer.alloc(PING_BYTES, 7)
  const arrivals = new Arrivals()
  const answers = new Arrivals()
  let echoes = false
  to.on('message', () => {
    arrivals.count()
    if (echoes) to.send(small, 0, small.length, fromPort, '127.0.0.1')
  })
  from.on('message', answers.count)
  // UDP may lose a datagram even here; whoever waits for it goes on after a while without.
  let before = [0, 0]
  const watch = setInterval(() => {
    for (const [i, waited] of [arrivals, answers].entries()) {
      if (waited.missing > 0 && waited.missing === before[i]) waited.giveUp()
    }
    before = [arrivals.missing, answers.missing]
  }, LOST_AFTER_MS)
  return {
    flood: async (datagrams) => {
      for (let sent = 0; sent < datagrams; sent += DATAGRAM_BURST) {
        const all = arrivals.of(DATAGRAM_BURST)
        for (let i = 0; i < DATAGRAM_BURST; i++) from.send(large, 0, DATAGRAM_BYTES, toPort, '127.0.0.1')
        await all
      }
    },
    pingPong: async (count) => {
      echoes = true
      for (let i = 0; i < count; i++) {
        const answer = answers.of(1)
        from.send(small, 0, small.length, toPort, '127.0.0.1')
        await answer
      }
      echoes = false
    },
    stop: async () => {
      clearInterval(watch)
      from.close()
      to.close()
    },
  }
}

/** Processor time per byte of frames over QUIC, to that of raw datagrams of 1350 bytes. */
const quicFlood = (frameBytes: number, frames: number, maxPacketBytes?: number) => async (): Promise<OpenPath> => {
  const datagrams = 80 * DATAGRAM_BURST
  const quic = await quicPair(maxPacketBytes)
  const raw = await datagramPair()
  const body = Buffer.alloc(frameBytes, 7)
  return {
    work: () => quic.flood(frames, body),
    units: frames,
    baseline: () => raw.flood(datagrams),
    baselineUnits: (datagrams * DATAGRAM_BYTES) / frameBytes,
    stop: async () => {
      await quic.stop()
      await raw.stop()
    },
  }
}

const quicPingPong = async (): Promise<OpenPath> => {
  const quic = await quicPair()
  const raw = await datagramPair()
  const [pings, rawPings] = [500, 2000]
  return {
    work: () => quic.pingPong(pings),
    units: pings,
    baseline: () => raw.pingPong(rawPings),
    baselineUnits: rawPings,
    stop: async () => {
      await quic.stop()
      await raw.stop()
    },
  }
}

const JSON_BASELINE = 'json'
const DATAGRAM_BASELINE = 'dgram-1350'

/** By the name under which the ratio stands in history.jsonl. */
export const GUARD_PATHS: Readonly<Record<string, GuardPath>> = {
  codec: { baseline: JSON_BASELINE, open: codec },
  'local-send': { baseline: 'async-queue', open: localSend },
  'node-to-node': { baseline: JSON_BASELINE, open: nodeToNode },
  'frames-64KiB-1350': { baseline: DATAGRAM_BASELINE, open: quicFlood(LARGE_BYTES, 64, DATAGRAM_BYTES) },
  'frames-64KiB-path': { baseline: DATAGRAM_BASELINE, open: quicFlood(LARGE_BYTES, 320) },
  'frames-100B': { baseline: DATAGRAM_BASELINE, open: quicFlood(SMALL_BYTES, 80_000) },
  'ping-pong-64B': { baseline: 'dgram-ping-pong', open: quicPingPong },
}

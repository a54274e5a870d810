/**
 * Far ends of a node under test: the real handshake, connection, lanes and wire format, and behind them nothing but a
 * count. A thousand of them fit into one process, where a thousand whole nodes would take the machine for themselves.
 */
import { createIdentity } from '../certs/identity.ts'
import { Keyring } from '../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../certs/keys.ts'
import { Peers, type PeersObserver } from '../src/cluster/peers.ts'
import { newIncarnation } from '../src/incarnation.ts'
import { Origin } from '../src/pid.ts'
import type { Route, SignalSink } from '../src/route.ts'
import { MessageCodec } from '../src/wire/codec.ts'
import { DEFAULT_MAX_MESSAGE_BYTES } from '../src/wire/codec-types.ts'
import { Wire } from '../src/wire/wire.ts'
import { systemClock } from '../transport/clock.ts'
import { openQuicTransport } from '../transport/quic-transport.ts'
import { systemRandom } from '../transport/random.ts'
import { serve } from './peer.ts'

const CLUSTER = 'default'
const DIAL_TIMEOUT_MS = 10_000
/** Heads of frames come on top of messages. */
const FRAME_HEAD_BYTES = 4096
/** A busy machine may leave a handshake alone for longer than it waits. */
const DIAL_TRIES = 5
/** Dials at once: more would run into each other's timeouts. */
const DIALS = 8

/** Who asked to be told when so many messages came. */
interface Asker {
  readonly route: Route
  readonly call: number
  readonly wanted: number
}

/** One count for all nodes of the process. A call that names a number is answered when so many messages came since the last. */
class Count implements SignalSink {
  #got = 0
  #asker: Asker | undefined

  deliver(route: Route, signal: Parameters<SignalSink['deliver']>[1]): undefined {
    if (signal.type === 'send') this.#got++
    else if (signal.type === 'call') this.#asker = { route, call: signal.call, wanted: signal.request as number }
    if (this.#asker !== undefined && this.#got >= this.#asker.wanted) this.#answer(this.#asker)
  }

  uses(): boolean {
    return false
  }

  routeDown(): void {}

  #answer({ route, call, wanted }: Asker): void {
    this.#got -= wanted
    this.#asker = undefined
    route.send({ type: 'reply', from: 1, call, value: wanted })
  }
}

/** All that it hears of others it ignores. */
const observer = (nodeDown: () => void): PeersObserver => ({
  nodeUp: () => {},
  nodeDown,
  refused: () => {},
  ticked: () => {},
  ponged: () => {},
  askedForPeers: () => {},
  toldOfPeers: () => {},
  meshFrame: () => {},
  reachFrame: () => {},
  opened: () => {},
  datagram: () => {},
  moved: () => {},
  addresses: () => [],
  refusal: () => undefined,
  dialByName: async () => {},
  defect: (error) => process.stderr.write(`${String(error)}\n`),
})

/** A light node that is connected to the node at `hubPort`. */
const join = async (name: string, keys: ClusterKeys, hubPort: number, sink: SignalSink): Promise<Peers> => {
  const identity = await createIdentity({ wallNowMs: systemClock.wallNow() })
  const transport = await openQuicTransport({
    host: '127.0.0.1',
    port: 0,
    identity,
    gateKeys: [keys.gate],
    clock: systemClock,
    random: systemRandom,
    // Hundreds of ports that stay awake in one process would keep each other from working.
    busyPoll: false,
  })
  const self = new Origin(name, identity.nodeId, newIncarnation(systemClock, systemRandom))
  const dial = async (): Promise<void> => {
    for (let tries = 1; ; tries++) {
      const options = { expectedId: undefined, replace: tries > 1, timeoutMs: DIAL_TIMEOUT_MS }
      const outcome = await peers.dialOnce({ host: '127.0.0.1', port: hubPort }, options)
      if (outcome.type === 'up') return
      if (tries === DIAL_TRIES) throw new Error(`${name} is not connected: ${outcome.end.message}`)
    }
  }
  const peers = new Peers({
    self,
    publicKey: identity.publicKey,
    keys: new Keyring(keys),
    hidden: false,
    transport,
    clock: systemClock,
    random: systemRandom,
    wire: new Wire(new MessageCodec({ local: self })),
    maxFrameBytes: DEFAULT_MAX_MESSAGE_BYTES + FRAME_HEAD_BYTES,
    sink,
    observer: observer(() => void dial()),
  })
  peers.start()
  await dial()
  return peers
}

/** In a forked module: so many light nodes, connected to the node at that port, named from `far${first}@bench` on. */
await serve(async ({ cookie, hubPort, first, count }) => {
  const keys = deriveKeys(Buffer.from(cookie as string), CLUSTER)
  const sink = new Count()
  let next = first as number
  const end = next + (count as number)
  const nodes: Peers[] = []
  const joinAll = async (): Promise<void> => {
    while (next < end) nodes.push(await join(`far${next++}@bench`, keys, hubPort as number, sink))
  }
  await Promise.all(Array.from({ length: DIALS }, joinAll))
  return {
    ready: { pid: process.pid },
    stop: async () => process.exit(0),
  }
})

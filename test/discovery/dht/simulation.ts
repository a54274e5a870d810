/**
 * Thousands of DHT nodes in one process and in virtual time: real cores and real datagrams on a network of delays and
 * losses. The same seed gives the same run.
 */
import { Dht, type DhtOptions } from '../../../discovery/dht/dht.ts'
import { type Address, formatAddress } from '../../../transport/address.ts'
import { type Random, seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'

export interface SimulationOptions {
  readonly seed: number
  /** One way; a datagram takes up to `jitter` of it longer. */
  readonly delayMs: number
  readonly jitter?: number
  /** Part of the datagrams that are lost. */
  readonly loss?: number
  /** Where the next node is; random public addresses by default. */
  readonly address?: (index: number, random: Random) => Address
  readonly dht?: Partial<DhtOptions>
}

export interface SimulatedNode {
  readonly dht: Dht
  readonly address: Address
  /** Datagrams it sent. */
  sent: number
}

export class Simulation {
  readonly clock = new VirtualClock()
  readonly random: Random
  /** Those that are alive. */
  nodes: SimulatedNode[] = []
  readonly #options: SimulationOptions
  readonly #receivers = new Map<string, (bytes: Uint8Array, from: Address) => void>()
  #loss: number
  #made = 0
  #sent = 0

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#loss = options.loss ?? 0
    this.random = seededRandom(options.seed)
  }

  /** Datagrams sent by everybody. */
  get sent(): number {
    return this.#sent
  }

  setLoss(loss: number): void {
    this.#loss = loss
  }

  /** A node that knows nobody yet. */
  add(options: Partial<DhtOptions> = {}): SimulatedNode {
    const address = (this.#options.address ?? publicAddress)(this.#made++, this.random)
    const node: SimulatedNode = {
      address,
      sent: 0,
      dht: new Dht({
        clock: this.clock,
        random: this.random,
        send: (bytes, to) => {
          node.sent++
          this.send(bytes, address, to)
        },
        ...this.#options.dht,
        ...options,
      }),
    }
    this.nodes.push(node)
    this.attach(address, (bytes, from) => node.dht.receive(bytes, from))
    return node
  }

  /** Something other than an honest node at an address. */
  attach(address: Address, receive: (bytes: Uint8Array, from: Address) => void): void {
    this.#receivers.set(formatAddress(address), receive)
  }

  send(bytes: Uint8Array, from: Address, to: Address): void {
    const { delayMs, jitter = 0.2 } = this.#options
    this.#sent++
    if (this.random.float() < this.#loss) return
    const key = formatAddress(to)
    this.clock.after(delayMs * (1 + jitter * this.random.float()), () => this.#receivers.get(key)?.(bytes, from))
  }

  /** Adds nodes, one every `everyMs`; each joins by two that are there. Then the network settles for a while. */
  grow(count: number, { everyMs = 50, settleMs = 60_000 } = {}): void {
    for (let i = 0; i < count; i++) {
      this.join()
      this.clock.advance(everyMs)
    }
    this.clock.advance(settleMs)
  }

  /** Adds a node that joins by two that are there. */
  join(options: Partial<DhtOptions> = {}): SimulatedNode {
    const known = this.nodes.length === 0 ? [] : [this.any().address, this.any().address]
    const node = this.add(options)
    if (known.length > 0) void node.dht.bootstrap(known)
    return node
  }

  /** Nodes vanish without a word. */
  kill(nodes: readonly SimulatedNode[]): void {
    const gone = new Set(nodes)
    for (const { dht, address } of nodes) {
      this.#receivers.delete(formatAddress(address))
      dht.stop()
    }
    this.nodes = this.nodes.filter((node) => !gone.has(node))
  }

  /** A random part of the nodes; `spared` are not among them. */
  some(part: number, spared: readonly SimulatedNode[] = []): SimulatedNode[] {
    const pool = this.nodes.filter((node) => !spared.includes(node))
    const count = Math.round(pool.length * part)
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor(this.random.float() * (pool.length - i))
      const swapped = pool[i]!
      pool[i] = pool[j]!
      pool[j] = swapped
    }
    return pool.slice(0, count)
  }

  any(): SimulatedNode {
    return this.nodes[Math.floor(this.random.float() * this.nodes.length)]!
  }

  /** Lets virtual time pass until the promise has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    promise.then(settled, settled)
    await this.clock.run({ until: () => isSettled })
    return promise
  }

  /** How long something takes, in virtual milliseconds. */
  async timed<T>(work: () => Promise<T>): Promise<{ result: T; tookMs: number }> {
    const startMs = this.clock.now()
    let endMs = startMs
    const result = await this.until(
      work().finally(() => {
        endMs = this.clock.now()
      }),
    )
    return { result, tookMs: endMs - startMs }
  }

  stop(): void {
    this.kill(this.nodes)
  }
}

/** Every node on an address and most in a network of its own. */
const publicAddress = (_index: number, random: Random): Address => {
  const byte = (): number => Math.floor(random.float() * 256)
  return {
    host: `${20 + Math.floor(random.float() * 80)}.${byte()}.${byte()}.${1 + Math.floor(random.float() * 254)}`,
    port: 4433,
  }
}

export const loopbackAddress = (index: number): Address => ({ host: '127.0.0.1', port: 10_000 + index })

export const percentile = (samples: readonly number[], part: number): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

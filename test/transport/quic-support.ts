/**
 * What the tests of the QUIC port share: ports opened for one test, a UDP relay that stands for the network between two
 * nodes and may spoil what it carries, plain sockets for strangers, and child processes.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createIdentity, type Identity } from '../../certs/identity.ts'
import type { Address } from '../../transport/address.ts'
import { systemClock } from '../../transport/clock.ts'
import { openQuicTransport, type QuicTransport, type QuicTransportOptions } from '../../transport/quic-transport.ts'
import { systemRandom } from '../../transport/random.ts'
import type { Transport } from '../../transport/transport.ts'
import type { TestContext } from '../support/suite.ts'
import { addressOf, dial, type Party, serve } from './compliance.ts'

const PATIENCE_MS = 8000

/** Waits for what no event announces; the test's own deadline may be nearer. */
export const until = async (condition: () => boolean, what: string, patienceMs = PATIENCE_MS): Promise<void> => {
  const start = performance.now()
  while (!condition()) {
    if (performance.now() - start > patienceMs) throw new Error(`waited ${patienceMs} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

export const newIdentity = (): Promise<Identity> => createIdentity({ wallNowMs: Date.now() })

/** The gate key of all ports that do not ask for another. */
export const GATE_KEY = Buffer.alloc(32, 'members of the test')

/** A port on 127.0.0.1, closed after the test. */
export const openPort = async (t: TestContext, options: Partial<QuicTransportOptions> = {}): Promise<QuicTransport> => {
  const transport = await openQuicTransport({
    host: '127.0.0.1',
    port: 0,
    identity: options.identity ?? (await newIdentity()),
    gateKeys: [GATE_KEY],
    clock: systemClock,
    random: systemRandom,
    ...options,
  })
  t.defer(() => transport.close())
  return transport
}

export const count = (transport: Transport, name: string): number => {
  const value = transport.counters()[name]
  if (value === undefined) throw new Error(`there is no counter "${name}"`)
  return value
}

export interface Pair {
  readonly a: QuicTransport
  readonly b: QuicTransport
  readonly initiator: Party
  readonly acceptor: Party
  readonly acceptors: Party[]
}

/** Two ports and an open connection from a to b; with `via` it leads through there. */
export const openPair = async (
  t: TestContext,
  options: Partial<QuicTransportOptions> = {},
  via?: (b: Address) => Promise<Address>,
): Promise<Pair> => {
  const [a, b] = [await openPort(t, options), await openPort(t, options)]
  const acceptors = serve(b)
  const initiator = dial(a, via === undefined ? addressOf(b) : await via(addressOf(b)))
  await until(() => initiator.isOpen && acceptors[0]?.isOpen === true, 'the connection opens')
  return { a, b, initiator, acceptor: acceptors[0] as Party, acceptors }
}

/** Sends something and waits until all of it arrived; false if it was changed on the way. */
export const exchange = async (
  from: Party,
  to: Party,
  bytes: Uint8Array,
  patienceMs = PATIENCE_MS,
): Promise<boolean> => {
  const job = from.send(bytes)
  await until(() => to.finished.has(job.stream), `${bytes.length} bytes arrive`, patienceMs)
  return Buffer.compare(to.received(job.stream), bytes) === 0
}

/** A bare UDP socket, usually on 127.0.0.1, that keeps what it hears. */
export class Stranger {
  readonly socket: Socket
  readonly heard: Buffer[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('message', (bytes) => this.heard.push(bytes))
  }

  static async open(t: TestContext, host?: string): Promise<Stranger> {
    const socket = await boundSocket(host)
    t.defer(() => new Promise<void>((resolve) => socket.close(() => resolve())))
    return new Stranger(socket)
  }

  get address(): Address {
    const { address, port } = this.socket.address()
    return { host: address, port }
  }

  /** Resolves when the kernel has it. */
  send(bytes: Uint8Array, to: Address): Promise<void> {
    return new Promise((resolve, reject) =>
      this.socket.send(bytes, to.port, to.host, (error) => (error ? reject(error) : resolve())),
    )
  }
}

const boundSocket = async (host = '127.0.0.1'): Promise<Socket> => {
  const socket = createSocket('udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  socket.setRecvBufferSize(4 << 20)
  return socket
}

export type Direction = 'toServer' | 'toClient'

/**
 * A relay between clients and one server. Each client gets a socket of its own towards the server, so the server sees as
 * many source ports as there are clients.
 */
export class Relay {
  readonly #front: Socket
  readonly #server: Address
  readonly #backs = new Map<number, Socket>()
  readonly #retired: Socket[] = []
  #isClosed = false
  /** Sees every datagram; false drops it. */
  passes: (bytes: Buffer, direction: Direction) => boolean = () => true
  /** How long a datagram takes in each direction. */
  delayMs = 0

  private constructor(front: Socket, server: Address) {
    this.#front = front
    this.#server = server
    front.on('message', (bytes, client) => {
      if (!this.passes(bytes, 'toServer')) return
      const known = this.#backs.get(client.port)
      if (known !== undefined) this.#later(() => known.send(bytes, server.port, server.host))
      else void this.#newBack(client.port).then((back) => this.#later(() => back.send(bytes, server.port, server.host)))
    })
  }

  static async open(t: Pick<TestContext, 'defer'>, server: Address): Promise<Relay> {
    const relay = new Relay(await boundSocket(), server)
    t.defer(() => relay.#close())
    return relay
  }

  get address(): Address {
    return { host: '127.0.0.1', port: this.#front.address().port }
  }

  /** From now on the server sees other source ports, as after a NAT forgot its table. */
  async rebind(): Promise<void> {
    for (const [port, back] of [...this.#backs]) {
      // What the server still sends to the old port is lost, as with a NAT.
      back.removeAllListeners('message')
      this.#retired.push(back)
      await this.#newBack(port)
    }
  }

  /** Sends to the server from the port it knows the client by. */
  inject(bytes: Uint8Array): Promise<void> {
    const [back] = this.#backs.values()
    return new Promise((resolve, reject) => {
      if (back === undefined) return reject(new Error('no client came by yet'))
      back.send(bytes, this.#server.port, this.#server.host, (error) => (error ? reject(error) : resolve()))
    })
  }

  async #newBack(clientPort: number): Promise<Socket> {
    const back = await boundSocket()
    this.#backs.set(clientPort, back)
    back.on('message', (bytes) => {
      if (this.passes(bytes, 'toClient')) this.#later(() => this.#front.send(bytes, clientPort, '127.0.0.1'))
    })
    return back
  }

  /** In order, and not at all once the relay is closed. */
  #later(send: () => void): void {
    if (this.delayMs === 0) return send()
    setTimeout(() => {
      if (!this.#isClosed) send()
    }, this.delayMs)
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    const sockets = [this.#front, ...this.#backs.values(), ...this.#retired]
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))))
  }
}

/** First flights of `count` clients with the gate key of the tests, each of a connection of its own. */
export const firstFlights = async (t: TestContext, count: number): Promise<Buffer[]> => {
  const [ear, client] = [await Stranger.open(t), await openPort(t)]
  for (let i = 0; i < count; i++) dial(client, ear.address)
  const initials = new Map<string, Buffer>()
  await until(() => {
    // A repeated flight names the same connection id, which begins at the sixth byte.
    for (const bytes of ear.heard) initials.set(bytes.toString('hex', 5, 22), bytes)
    return initials.size === count
  }, `${count} first flights`)
  await client.close()
  return [...initials.values()]
}

/** A program of test/transport/fixtures, killed after the test if it is still there. */
export const startFixture = (t: TestContext, name: string, args: readonly string[] = []): ChildProcess => {
  const file = fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  })
  return child
}

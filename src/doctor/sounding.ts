/**
 * One small question to each address by UDP, and what came of it: a query of the DHT (BEP 5), which every Skein node and
 * every bootstrap node answers to anybody, whatever its cookie.
 *
 * Each address is asked twice: from a socket that is connected to it, because only there the system tells why nothing
 * comes back, and from one socket that all share, because comparing where they see it tells of the NAT on the way. Where
 * UDP is silent, TCP is knocked at: a host that refuses it is there, and is asked by UDP at a port that nobody has. Bounded
 * in addresses, packets and time.
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6, connect as tcpConnect } from 'node:net'
import { randomId } from '../../discovery/dht/dht-id.ts'
import { decodeMessage, encodeMessage } from '../../discovery/dht/krpc.ts'
import { type Address, formatAddress, sameAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { Observation } from './nat.ts'

/** When each address is asked, from the beginning; two may be lost. */
const ASK_AT_MS = [0, 300, 900]
const LISTEN_MS = 2000
const TCP_MS = 1000
const MAX_TARGETS = 32
/** Nodes that were not named to us, but by those that were. */
const MAX_OBSERVERS = 8
const TRANSACTION_BYTES = 4
/** Where traceroute begins, because nobody listens there. */
const UNUSED_PORT = 33_434
const CLOSED_CODES: readonly unknown[] = ['ECONNREFUSED', 'ECONNRESET']
const ROUTE_CODES: readonly unknown[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'ENETDOWN', 'EHOSTDOWN']
const FORBIDDEN_CODES: readonly unknown[] = ['EPERM', 'EACCES']

/**
 * `closed`: the host says that nobody listens there. `forbidden`: this machine does not let the packet out. `noRoute`: a
 * router, or this machine, knows no way.
 */
export type UdpOutcome = 'answered' | 'closed' | 'forbidden' | 'noRoute' | 'silent'

export interface Sounding {
  readonly address: Address
  readonly udp: UdpOutcome
  /** Of the first answer. */
  readonly tookMs: number | undefined
  /** Tried only where UDP was silent. `there`: the host answered, with or without a connection. */
  readonly tcp: 'there' | 'silent' | 'notTried'
  /** Another port of the host said, by ICMP, that nobody listens there: so UDP gets there, if not back. */
  readonly elsewhere: boolean
}

export interface SoundingParts {
  readonly clock: Clock
  readonly random: Random
}

export interface Soundings {
  readonly results: readonly Sounding[]
  /** Where others see the shared sockets: those asked, and some that they named. */
  readonly observations: readonly Observation[]
  /** Port of the shared IPv4 socket. */
  readonly localPort: number | undefined
}

/** Asks literal addresses. Never rejects; takes seven seconds at most. */
export const sound = async (parts: SoundingParts, addresses: readonly Address[]): Promise<Soundings> => {
  const targets = addresses.slice(0, MAX_TARGETS)
  if (targets.length === 0) return { results: [], observations: [], localPort: undefined }
  const shared = await SharedSockets.open(parts)
  try {
    const asked = await Promise.all(targets.map((address) => askBoth(parts, shared, address)))
    const known = new Set(targets.map(formatAddress))
    const named = asked.flatMap(({ contacts }) => contacts).filter((address) => !known.has(formatAddress(address)))
    const others = [...new Map(named.map((address) => [formatAddress(address), address])).values()]
    const more = others.slice(0, MAX_OBSERVERS).map(async (observer) => {
      const answer = await shared.ask(observer)
      return { observer, observed: answer?.observed }
    })
    const seen = [
      ...asked.map(({ address, observed }) => ({ observer: address, observed })),
      ...(await Promise.all(more)),
    ]
    const observations = seen.flatMap(({ observer, observed }) =>
      observed === undefined ? [] : [{ observer, observed }],
    )
    return { results: asked, observations, localPort: shared.localPort }
  } finally {
    shared.close()
  }
}

const askBoth = async (parts: SoundingParts, shared: SharedSockets, address: Address): Promise<Sounding & Answer> => {
  const asking = shared.ask(address)
  const alone = await askAlone(parts, address)
  // Where the system tells that nothing can come nobody waits for it.
  const mayCome = alone.udp === 'answered' || alone.udp === 'silent'
  const seen = mayCome ? await asking : undefined
  const udp = alone.udp === 'silent' && seen !== undefined ? 'answered' : alone.udp
  const tcp = udp === 'answered' || udp === 'closed' ? 'notTried' : await knock(parts.clock, address)
  const other = { ...address, port: UNUSED_PORT }
  const elsewhere = udp === 'silent' && tcp === 'there' && (await askAlone(parts, other)).udp === 'closed'
  const contacts = [...alone.contacts, ...(seen?.contacts ?? [])]
  return { address, udp, tookMs: alone.tookMs, observed: seen?.observed, contacts, tcp, elsewhere }
}

interface Answer {
  /** Where the asked node sees the socket. */
  readonly observed: Address | undefined
  /** Other nodes of the DHT. */
  readonly contacts: readonly Address[]
}

/** A query, and how to know its answer. */
class Query {
  readonly bytes: Uint8Array
  readonly #transaction: Uint8Array

  constructor(random: Random) {
    this.#transaction = Uint8Array.from(random.bytes(TRANSACTION_BYTES))
    const id = randomId(random)
    // Not a ping: the nodes it names are further observers.
    const query = { kind: 'query', method: 'find_node', id, target: id, want: [], readOnly: true } as const
    this.bytes = encodeMessage({ ...query, transaction: this.#transaction })
  }

  /** Undefined for whatever is not its answer. */
  answer(datagram: Uint8Array): Answer | undefined {
    const message = decodeMessage(datagram)
    if (message === undefined || message.kind === 'query' || message.kind === 'malformed') return undefined
    if (!Buffer.from(message.transaction).equals(this.#transaction)) return undefined
    const { observed } = message
    return { observed, contacts: message.kind === 'reply' ? message.nodes.map(({ address }) => address) : [] }
  }
}

interface Alone {
  readonly udp: UdpOutcome
  readonly tookMs: number | undefined
  readonly contacts: readonly Address[]
}

const askAlone = ({ clock, random }: SoundingParts, { host, port }: Address): Promise<Alone> =>
  new Promise((resolve) => {
    const query = new Query(random)
    const startMs = clock.now()
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    const timers: Timer[] = []
    let isOver = false
    const end = (udp: UdpOutcome, contacts: readonly Address[] = []): void => {
      if (isOver) return
      isOver = true
      for (const timer of timers) timer.cancel()
      socket.close()
      resolve({ udp, tookMs: udp === 'answered' ? clock.now() - startMs : undefined, contacts })
    }
    const failed = (error?: Error | null): void => {
      if (error) end(outcomeOf(error))
    }
    socket.on('error', failed)
    socket.on('message', (datagram) => {
      const answer = query.answer(datagram)
      if (answer !== undefined) end('answered', answer.contacts)
    })
    timers.push(clock.after(LISTEN_MS, () => end('silent')))
    socket.connect(port, host, (error?: Error | null) => {
      if (error || isOver) return failed(error)
      const ask = (): void => socket.send(query.bytes, failed)
      for (const atMs of ASK_AT_MS) timers.push(clock.after(atMs, ask))
    })
  })

const outcomeOf = (error: Error): UdpOutcome => {
  const code = 'code' in error ? error.code : undefined
  if (CLOSED_CODES.includes(code)) return 'closed'
  if (FORBIDDEN_CODES.includes(code)) return 'forbidden'
  return ROUTE_CODES.includes(code) ? 'noRoute' : 'silent'
}

/** One socket for each family, from which all addresses are asked. */
class SharedSockets {
  readonly #parts: SoundingParts
  readonly #v4: Socket | undefined
  readonly #v6: Socket | undefined
  readonly #pending = new Set<{
    readonly address: Address
    readonly query: Query
    readonly heard: (answer: Answer | undefined) => void
  }>()

  private constructor(parts: SoundingParts, v4: Socket | undefined, v6: Socket | undefined) {
    this.#parts = parts
    this.#v4 = v4
    this.#v6 = v6
    for (const socket of [v4, v6]) {
      socket?.on('message', (datagram, { address, port }) => this.#receive(datagram, { host: address, port }))
    }
  }

  static async open(parts: SoundingParts): Promise<SharedSockets> {
    const [v4, v6] = await Promise.all([bound('udp4'), bound('udp6')])
    return new SharedSockets(parts, v4, v6)
  }

  get localPort(): number | undefined {
    return this.#v4?.address().port
  }

  /** Undefined where no answer comes. What else went wrong shows at the connected sockets. */
  ask(address: Address): Promise<Answer | undefined> {
    const socket = isIPv6(address.host) ? this.#v6 : this.#v4
    if (socket === undefined) return Promise.resolve(undefined)
    const { clock, random } = this.#parts
    const query = new Query(random)
    return new Promise((resolve) => {
      const end = (answer: Answer | undefined): void => {
        for (const timer of timers) timer.cancel()
        this.#pending.delete(asked)
        resolve(answer)
      }
      const asked = { address, query, heard: end }
      this.#pending.add(asked)
      const send = (): void => socket.send(query.bytes, address.port, address.host, () => {})
      const timers = [...ASK_AT_MS.map((atMs) => clock.after(atMs, send)), clock.after(LISTEN_MS, () => end(undefined))]
    })
  }

  /** Whoever still waits has no answer. */
  close(): void {
    for (const { heard } of [...this.#pending]) heard(undefined)
    this.#v4?.close()
    this.#v6?.close()
  }

  #receive(datagram: Uint8Array, from: Address): void {
    for (const { address, query, heard } of this.#pending) {
      const answer = sameAddress(address, from) ? query.answer(datagram) : undefined
      if (answer !== undefined) heard(answer)
    }
  }
}

/** Undefined where the machine lacks the family. */
const bound = (type: 'udp4' | 'udp6'): Promise<Socket | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket(type)
    socket.once('error', () => {
      socket.close()
      resolve(undefined)
    })
    socket.bind(0, () => {
      socket.removeAllListeners('error')
      socket.on('error', () => {})
      resolve(socket)
    })
  })

/** Whether a host answers to TCP in whatever way. A refusal comes from the host itself. */
const knock = (clock: Clock, { host, port }: Address): Promise<'there' | 'silent'> =>
  new Promise((resolve) => {
    const socket = tcpConnect({ host, port })
    const end = (result: 'there' | 'silent'): void => {
      timer.cancel()
      socket.destroy()
      resolve(result)
    }
    const timer = clock.after(TCP_MS, () => end('silent'))
    socket.once('connect', () => end('there'))
    socket.on('error', (error) =>
      end(CLOSED_CODES.includes('code' in error ? error.code : undefined) ? 'there' : 'silent'),
    )
  })

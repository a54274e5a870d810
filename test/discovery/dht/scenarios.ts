/**
 * What a DHT has to stand, in the simulator: small in tests, large in `npm run bench -- dht`. Every scenario returns what it
 * saw and judges nothing. Times are virtual milliseconds.
 */
import { SEED_BYTES, signingKeyFromSeed } from '../../../certs/signing-key.ts'
import type { MutableKey } from '../../../discovery/dht/dht.ts'
import { compareDistance } from '../../../discovery/dht/dht-id.ts'
import { decodeMessage, encodeMessage } from '../../../discovery/dht/krpc.ts'
import type { Contact, DhtKey, Reply } from '../../../discovery/dht/message.ts'
import { mutableTarget } from '../../../discovery/dht/signed-item.ts'
import { loopbackAddress, type SimulatedNode, Simulation } from './simulation.ts'

const MINUTE_MS = 60_000

export interface Size {
  readonly seed: number
  readonly nodes: number
}

/** A record of somebody's: publishes its next version. */
export interface Publication {
  readonly key: MutableKey
  publish(by: SimulatedNode, sequence: number): Promise<number>
}

const newPublication = ({ random }: Simulation): Publication => {
  const { publicKey, sign } = signingKeyFromSeed(random.bytes(SEED_BYTES))
  return {
    key: { publicKey },
    publish: async ({ dht }, sequence) => {
      const value = Buffer.from(`i${sequence}e`)
      return (await dht.putMutable({ publicKey, sign, sequence, value })).stored
    },
  }
}

export interface Lookups {
  readonly timesMs: number[]
  /** Queries sent for each, repeated ones included. */
  readonly messages: number[]
  /** Those that found what they looked for. */
  found: number
}

const newLookups = (): Lookups => ({ timesMs: [], messages: [], found: 0 })

const queriesOf = ({ dht }: SimulatedNode): number => {
  const { queriesSent = 0, queriesRepeated = 0 } = dht.counters()
  return queriesSent + queriesRepeated
}

const look = async (
  simulation: Simulation,
  into: Lookups,
  by: SimulatedNode,
  work: () => Promise<boolean>,
): Promise<void> => {
  const before = queriesOf(by)
  const { result, tookMs } = await simulation.timed(work)
  into.timesMs.push(tookMs)
  into.messages.push(queriesOf(by) - before)
  if (result) into.found++
}

const findRandom = (simulation: Simulation, into: Lookups): Promise<void> => {
  const asker = simulation.any()
  const target = simulation.random.bytes(20)
  return look(simulation, into, asker, async () => (await asker.dht.findNode(target)).length === 8)
}

const getItem = (simulation: Simulation, into: Lookups, key: MutableKey, sequence = 1): Promise<void> => {
  const asker = simulation.any()
  const isRight = async () => ((await asker.dht.getItem(key))?.mutable?.sequence ?? 0) >= sequence
  return look(simulation, into, asker, isRight)
}

const publishAll = async (simulation: Simulation, count: number): Promise<MutableKey[]> => {
  const keys: MutableKey[] = []
  for (let i = 0; i < count; i++) {
    const { key, publish } = newPublication(simulation)
    await simulation.until(publish(simulation.any(), 1))
    keys.push(key)
  }
  return keys
}

/** Nodes of one machine, a quarter of which have just died. */
export const deadOnLoopback = async ({ seed, nodes }: Size, lookups: number): Promise<Lookups> => {
  const simulation = new Simulation({ seed, delayMs: 0.5, address: loopbackAddress })
  simulation.grow(nodes)
  simulation.kill(simulation.some(0.25))
  const found = newLookups()
  for (let i = 0; i < lookups; i++) await findRandom(simulation, found)
  simulation.stop()
  return found
}

export interface WideSize extends Size {
  /** One way. */
  readonly delayMs: number
  readonly lookups: number
}

/** Nodes all over the world: a fifth have just died, and one datagram in twenty is lost. */
export const deadAndLossy = async (size: WideSize): Promise<{ finds: Lookups; gets: Lookups }> => {
  const { seed, nodes, delayMs, lookups } = size
  const simulation = new Simulation({ seed, delayMs })
  simulation.grow(nodes)
  const keys = await publishAll(simulation, Math.min(lookups, 100))
  simulation.kill(simulation.some(0.2))
  simulation.setLoss(0.05)
  const [finds, gets] = [newLookups(), newLookups()]
  for (let i = 0; i < lookups; i++) {
    await findRandom(simulation, finds)
    await getItem(simulation, gets, keys[i % keys.length]!)
  }
  simulation.stop()
  return { finds, gets }
}

/** Half of the nodes vanish at one moment; every record is looked for by `gets` others right away. */
export const halfKilled = async ({ seed, nodes }: Size, records: number, gets: number): Promise<Lookups> => {
  const simulation = new Simulation({ seed, delayMs: 25 })
  simulation.grow(nodes)
  const keys = await publishAll(simulation, records)
  simulation.kill(simulation.some(0.5))
  const found = newLookups()
  for (const key of keys) for (let i = 0; i < gets; i++) await getItem(simulation, found, key)
  simulation.stop()
  return found
}

export interface ChurnSize extends Size {
  readonly records: number
  readonly minutes: number
  readonly halfLifeMs: number
  readonly gets: number
}

/**
 * Nodes die and others join, all the time. Publishers stay, and publish every 30 +-5 min, as discovery does; in between
 * their DHT looks after the records. At the end every record is looked for.
 */
export const churn = async (size: ChurnSize): Promise<Lookups & { died: number }> => {
  const { seed, nodes, records, minutes, halfLifeMs, gets } = size
  const simulation = new Simulation({ seed, delayMs: 25, loss: 0.01 })
  simulation.grow(nodes)
  const publishers = simulation.some(0.05)
  const published = Array.from({ length: records }, (_, i) => {
    const { key, publish } = newPublication(simulation)
    const record = { key, sequence: 0 }
    let next = 1
    const again = (): void => {
      const sequence = next++
      void publish(publishers[i % publishers.length]!, sequence).then(() => {
        record.sequence = sequence
      })
      simulation.clock.after((25 + 10 * simulation.random.float()) * MINUTE_MS, again)
    }
    again()
    return record
  })
  const part = 1 - 2 ** (-1000 / halfLifeMs)
  let died = 0
  for (let second = 0; second < minutes * 60; second++) {
    const gone = simulation.nodes.filter((node) => simulation.random.float() < part && !publishers.includes(node))
    died += gone.length
    simulation.kill(gone)
    for (let i = 0; i < gone.length; i++) simulation.join()
    simulation.clock.advance(1000)
    // Promises of what was sent go on.
    if (second % 10 === 0) await simulation.until(Promise.resolve())
  }
  const found = newLookups()
  for (const { key, sequence } of published)
    for (let i = 0; i < gets; i++) await getItem(simulation, found, key, sequence)
  simulation.stop()
  return { ...found, died }
}

const SYBILS = 64
const SYBIL_NETWORKS = 4

/**
 * Sybils sit closer to a record's key than anybody, on four /24s. They make themselves known to everybody, show the version
 * before the last or nothing, and name each other, or in half of the runs nodes that do not exist.
 */
export const sybils = async ({ seed, nodes }: Size, gets: number): Promise<Lookups> => {
  const simulation = new Simulation({ seed, delayMs: 25 })
  simulation.grow(nodes)
  const { key, publish } = newPublication(simulation)
  await simulation.until(publish(simulation.any(), 1))
  const old = await simulation.until(simulation.any().dht.getItem(key))
  settleSybils(simulation, mutableTarget(key.publicKey), seed % 2 === 0, ({ id }) =>
    old === undefined || id[19]! % 3 === 0 ? {} : { item: old },
  )
  simulation.clock.advance(30_000)
  await simulation.until(publish(simulation.any(), 2))
  const found = newLookups()
  for (let i = 0; i < gets; i++) await getItem(simulation, found, key, 2)
  simulation.stop()
  return found
}

const settleSybils = (
  simulation: Simulation,
  target: DhtKey,
  namesGhosts: boolean,
  shown: (self: Contact) => Partial<Reply>,
): void => {
  const { random } = simulation
  const beside = (number: number): DhtKey => {
    const id = Uint8Array.from(target)
    id[18] = random.float() * 256
    id[19] = number
    return id
  }
  const party = Array.from({ length: SYBILS }, (_, i): Contact => {
    return { id: beside(i), address: { host: `150.1.${i % SYBIL_NETWORKS}.${1 + i}`, port: 4433 } }
  })
  let ghosts = 0
  const ghost = (): Contact => {
    ghosts++
    return {
      id: beside(ghosts & 255),
      address: { host: `${120 + (ghosts % 20)}.${ghosts & 255}.${(ghosts >> 8) & 255}.9`, port: 1 },
    }
  }
  const named = (): Contact[] =>
    Array.from({ length: 8 }, () => (namesGhosts ? ghost() : party[Math.floor(random.float() * SYBILS)]!))
  for (const self of party) {
    simulation.attach(self.address, (bytes, from) => {
      const query = decodeMessage(bytes)
      if (query?.kind !== 'query') return
      const shows = query.method === 'get' ? shown(self) : {}
      const nodes = query.method === 'ping' ? [] : named()
      const { transaction } = query
      const token = new Uint8Array(8)
      const reply: Reply = { kind: 'reply', transaction, id: self.id, nodes, observed: from, token, ...shows }
      simulation.send(encodeMessage(reply), self.address, from)
    })
    const near = simulation.nodes.toSorted((a, b) => compareDistance(target, a.dht.id, b.dht.id)).slice(0, 60)
    for (const { address } of [...near, simulation.any(), simulation.any(), simulation.any(), simulation.any()]) {
      const transaction = Uint8Array.of(1)
      const query = { kind: 'query', method: 'ping', transaction, id: self.id, readOnly: false } as const
      simulation.send(encodeMessage(query), self.address, address)
    }
  }
}

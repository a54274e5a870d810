/** Multicast DNS: packets as they come from the network, to a browser and a responder that have been there for a while. */
import { Browser, MAX_SERVICES } from '../../../discovery/mdns/browser.ts'
import { Echoes } from '../../../discovery/mdns/echoes.ts'
import {
  MAX_PACKET_BYTES,
  type Packet,
  packetBytes,
  probes,
  queries,
  responses,
} from '../../../discovery/mdns/packet.ts'
import { compareProposals } from '../../../discovery/mdns/proposal.ts'
import { Responder } from '../../../discovery/mdns/responder.ts'
import {
  type LabelNumbers,
  type NodeService,
  recordsOf,
  SERVICE_TYPE,
  serviceOf,
  uniqueRecordsOf,
} from '../../../discovery/mdns/service.ts'
import { decode, encode } from '../../discovery/mdns/coding.ts'
import { nodeRecord } from '../../discovery/support.ts'
import { Chance } from '../chance.ts'
import { holds, isOneIn, joined, partsOf, type Target } from '../target.ts'

/** A responder gives way once for each of the parts. */
const MAX_KEPT_SERVICES = 100
/** In the first byte of the first part. */
const JUST_BEGUN = 64
const IDLE = 16
/** One input in so many is heard by a node, which takes ten times as long as to read it; of the others it is only seen whether they can be read. */
const HEARD = 4
/** It is polled once more when its announcements are out. */
const SETTLED_MS = 3000
const lan = { interfaceName: 'eth0', loopback: false }
const own = nodeRecord(1)
const other = serviceOf(nodeRecord(2, { registrations: [{ name: 'web', metadata: { port: '80' } }] }), lan)!
const service = serviceOf(own, lan)!
const records = recordsOf(other)
const packets: readonly Packet[] = [
  ...responses(records),
  ...responses(records.map((record) => ({ ...record, ttlSeconds: 0 }))),
  ...queries([{ name: SERVICE_TYPE, type: 'PTR' }], records.slice(0, 1)),
  ...queries(recordsOf(service).map(({ name, type }) => ({ name, type }))),
  ...probes(
    [service.service.name],
    uniqueRecordsOf({ ...other, service: { ...other.service, name: service.service.name } }),
  ),
  ...responses([{ ...other.service, name: service.service.name }, ...service.denials]),
]
/** As the responder has them made: each once, they do not change. */
const services = new Map<string, NodeService>()
const serviceWith = (numbers: LabelNumbers): NodeService => {
  const key = `${numbers.instance} ${numbers.host}`
  const made = services.get(key) ?? serviceOf(own, lan, numbers)!
  if (services.size < MAX_KEPT_SERVICES) services.set(key, made)
  return made
}
const samples: Buffer[] = []
for (const packet of packets) samples.push(await encode(packet))

export const target: Target = {
  name: 'mdns',
  about: 'the local network: packets of multicast DNS, to a browser and a responder',
  isSlow: true,
  dictionary: [
    '\x06_skein\x04_udp\x05local\x00',
    '\xc0\x0c',
    '\x00\x0c\x00\x01',
    '\x00\x21\x80\x01',
    '\x00\x10',
    '\x00\x2f',
    'v=1',
    'id=',
  ],
  maxBytes: 3000,
  neverThrows: true,
  sample: (chance) =>
    joined(
      Array.from({ length: 1 + chance.below(4) }, () =>
        Buffer.concat([Buffer.of(chance.below(8) | (chance.oneIn(2) ? JUST_BEGUN : 0)), chance.pick(samples)]),
      ),
    ),
  run: (bytes) => {
    // Where nothing can be read there is nothing to begin with; now and then the time alone goes by.
    let world = isOneIn(IDLE, bytes) ? new World(bytes) : undefined
    const isHeard = isOneIn(HEARD, bytes)
    let parts = 0
    for (const part of partsOf(bytes)) {
      if (part.length === 0 || ++parts > 8) break
      const packet = decode(part.subarray(1))
      if (!isHeard || (packet === undefined && world === undefined)) continue
      world ??= new World(bytes)
      world.hear(100 * (part[0]! & 63), packet)
    }
    holds((world?.browser.size.instances ?? 0) <= MAX_SERVICES, 'few are remembered')
  },
}

/** A node on the network: it has just begun to probe for its names, or has announced them and is done. */
class World {
  readonly browser: Browser
  readonly #responder: Responder
  #nowMs = 0

  constructor(bytes: Buffer) {
    const random = new Chance(1)
    this.browser = new Browser(0, own, lan, random)
    this.#responder = new Responder(random, new Echoes())
    this.#responder.publish(0, serviceWith)
    if (((bytes[2] ?? 0) & JUST_BEGUN) !== 0) return
    for (; this.#nowMs < SETTLED_MS; this.#nowMs = Math.min(SETTLED_MS, this.#responder.deadlineMs())) {
      this.#responder.poll(this.#nowMs)
    }
  }

  /** Undefined: what came could not be read. */
  hear(waitMs: number, packet: Packet | undefined): void {
    const browser = this.browser
    const responder = this.#responder
    this.#nowMs += waitMs
    if (packet !== undefined) {
      compareProposals(packet.authorities, packet.answers)
      responder.handle(this.#nowMs, packet, 'somebody')
      browser.handle(this.#nowMs, packet)
    }
    for (const sent of [...responder.poll(this.#nowMs), ...browser.poll(this.#nowMs)]) {
      holds(packetBytes(sent) <= MAX_PACKET_BYTES, 'what is sent fits a packet')
    }
    for (const { seen } of browser.takeChanges()) {
      holds(seen === undefined || seen.addresses.length > 0, 'who is seen has an address')
    }
  }
}

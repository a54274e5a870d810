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
import { recordsOf, SERVICE_TYPE, serviceOf, uniqueRecordsOf } from '../../../discovery/mdns/service.ts'
import { decode, encode } from '../../discovery/mdns/coding.ts'
import { nodeRecord } from '../../discovery/support.ts'
import { Chance } from '../chance.ts'
import { holds, joined, partsOf, type Target } from '../target.ts'

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
        Buffer.concat([Buffer.of(chance.below(8)), chance.pick(samples)]),
      ),
    ),
  run: (bytes) => {
    const random = new Chance(1)
    const browser = new Browser(0, own, lan, random)
    const responder = new Responder(random, new Echoes())
    responder.publish(0, (numbers) => serviceOf(own, lan, numbers)!)
    let nowMs = 0
    for (; nowMs < 3000; nowMs += 250) responder.poll(nowMs)
    let parts = 0
    for (const part of partsOf(bytes)) {
      if (part.length === 0 || ++parts > 8) break
      nowMs += 100 * (part[0]! & 63)
      const packet = decode(part.subarray(1))
      if (packet !== undefined) {
        compareProposals(packet.authorities, packet.answers)
        responder.handle(nowMs, packet, 'somebody')
        browser.handle(nowMs, packet)
      }
      for (const sent of [...responder.poll(nowMs), ...browser.poll(nowMs)]) {
        holds(packetBytes(sent) <= MAX_PACKET_BYTES, 'what is sent fits a packet')
      }
      for (const { seen } of browser.takeChanges())
        holds(seen === undefined || seen.addresses.length > 0, 'who is seen has an address')
    }
    holds(browser.size.instances <= MAX_SERVICES, 'few are remembered')
  },
}

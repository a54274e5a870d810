/** Texts by which others are found and traced: addresses, targets, names of nodes, seeds, traceparents, registrations. */
import { readRegistrations } from '../../../discovery/mdns/registration-text.ts'
import { readText } from '../../../discovery/mdns/service.ts'
import { seedSource } from '../../../discovery/seeds.ts'
import { fullNodeName, isNodeName } from '../../../src/cluster/node-name.ts'
import { parseTarget } from '../../../src/cluster/node-target.ts'
import { isKey } from '../../../src/services/board.ts'
import { placeOf } from '../../../src/services/groups/place.ts'
import { readTrace, TRACE_BYTES, traceparentOf, writeTrace } from '../../../src/wire/trace-context.ts'
import { formatAddress, parseHostPort } from '../../../transport/address.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { Chance } from '../chance.ts'
import { holds, type Target, tried } from '../target.ts'

const SAMPLES = [
  '10.0.0.1:4433',
  '[2001:db8::1]:4433',
  '[fe80::1%eth0]:1',
  'host.example:80',
  'name@host',
  'name',
  '::1',
  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  '17:4:mainlobby',
  'v=1\u0000id=abc\u0000name=a@b',
]
const clock = new VirtualClock()
const resolve = (host: string): Promise<string[]> => Promise.resolve(host.length > 8 ? ['10.0.0.3'] : [])

export const target: Target = {
  name: 'texts',
  about: 'programs, files and members: addresses, targets, names, seeds, traceparents, places',
  dictionary: ['[', ']', ':', '::', '%', '@', '65535', '65536', '0', '00-', 'ff-', '-', 'é', '\u0000', '\u2028', ' '],
  maxBytes: 700,
  sample: (chance) => Buffer.from(chance.pick(SAMPLES)),
  run: (bytes) => {
    const text = bytes.toString('utf8')
    const address = tried(() => parseHostPort(text))
    if (address !== undefined) {
      const again = tried(() => parseHostPort(formatAddress(address)))
      holds(again?.host === address.host && again.port === address.port, 'an address comes back')
    }
    const full = tried(() => fullNodeName(text, 'host'))
    holds(full === undefined || isNodeName(full), 'a full name is a name')
    tried(() => seedSource({ seeds: text.split('\u0000'), clock, random: new Chance(1) }))
    const trace = traceparentOf(text)
    if (trace !== undefined) {
      const room = Buffer.alloc(TRACE_BYTES)
      writeTrace(room, 0, trace)
      holds(readTrace(room, 0) === trace, 'a trace comes back')
    }
    if (isKey(text)) placeOf(text)
    const strings = text.split('\u0000')
    readText(strings)
    readRegistrations(new Map(strings.map((one) => [one.slice(0, 3), one])))
    return parseTarget(text, 'host', resolve)
  },
}

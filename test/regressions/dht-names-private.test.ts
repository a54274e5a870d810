/**
 * On the public network a node named contacts on private addresses, and they were asked: a stranger had us send datagrams
 * to any port of our own machine and LAN. Their ids are bound to nothing and nothing bounds how many there are of a
 * network, so they could fill a lookup as well.
 */
import * as assert from 'uvu/assert'
import { Dht } from '../../discovery/dht/dht.ts'
import { idForHost } from '../../discovery/dht/dht-id.ts'
import { decodeMessage, encodeMessage } from '../../discovery/dht/krpc.ts'
import type { Address } from '../../transport/address.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('private addresses in the public DHT')

/** Whom a node asks after one at this host has named another one. */
const askedOf = async (namer: Address, named: Address): Promise<Set<string>> => {
  const [clock, random] = [new VirtualClock(), seededRandom(1)]
  const asked = new Set<string>()
  const id = idForHost(namer.host, random)
  const send = (bytes: Uint8Array, to: Address): void => {
    asked.add(to.host)
    const query = decodeMessage(bytes)
    if (to.host !== namer.host || query?.kind !== 'query') return
    const nodes = [{ id: idForHost(named.host, random), address: named }]
    const reply = encodeMessage({ kind: 'reply', transaction: query.transaction, id, nodes })
    clock.after(1, () => dht.receive(reply, namer))
  }
  const dht = new Dht({ clock, random, send, network: 'public', families: ['ip4', 'ip6'] })
  const joined = dht.bootstrap([namer])
  clock.advance(20_000)
  await joined
  dht.stop()
  return asked
}

const PUBLIC = { host: '45.70.0.1', port: 6881 }
const LAN = { host: '192.168.0.1', port: 80 }

test('a public node cannot have us ask a private one', async () => {
  assert.equal([...(await askedOf(PUBLIC, LAN))], [PUBLIC.host])
  assert.equal([...(await askedOf(PUBLIC, { host: '::1', port: 80 }))], [PUBLIC.host])
})

test('a private one can, and a public one another public one', async () => {
  assert.ok((await askedOf({ host: '192.168.0.2', port: 6881 }, LAN)).has(LAN.host))
  assert.ok((await askedOf(PUBLIC, { host: '45.71.0.1', port: 6881 })).has('45.71.0.1'))
})

test.run()

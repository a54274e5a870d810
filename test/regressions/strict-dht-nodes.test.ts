/**
 * Nodes that enforce BEP 42 answer an id that does not fit its address with an error, which says what the address is
 * (libtorrent with dht_enforce_node_id). Errors told nothing, so a node whose first contacts were all strict stayed alone.
 */
import * as assert from 'uvu/assert'
import { idFitsHost, idForHost } from '../../discovery/dht/dht-id.ts'
import { decodeMessage, encodeMessage } from '../../discovery/dht/krpc.ts'
import { FAULT } from '../../discovery/dht/message.ts'
import type { Address } from '../../transport/address.ts'
import { Simulation } from '../discovery/dht/simulation.ts'
import { suite } from '../support/suite.ts'

const test = suite('strict DHT nodes')

const addressOf = (index: number): Address => ({ host: `45.${70 + index}.0.1`, port: 6881 })

test('a node joins through nodes that refuse it at first, because its id does not fit its address', async () => {
  const simulation = new Simulation({ seed: 1, delayMs: 10, address: addressOf, dht: { network: 'public' } })
  const gates = [0, 1, 2, 3].map(addressOf)
  let refusals = 0
  for (const gate of gates) {
    const { dht } = simulation.add({ id: idForHost(gate.host, simulation.random) })
    simulation.attach(gate, (bytes, from) => {
      const query = decodeMessage(bytes)
      if (query?.kind !== 'query' || idFitsHost(query.id, from.host)) return dht.receive(bytes, from)
      refusals++
      const { transaction } = query
      const fault = { kind: 'fault', transaction, code: FAULT.protocol, message: 'invalid id', observed: from } as const
      simulation.send(encodeMessage(fault), gate, from)
    })
  }
  const { dht, address } = simulation.add({ id: new Uint8Array(20) })
  const joined = dht.bootstrap(gates)
  simulation.clock.advance(1_000)
  assert.is(await joined, 4)
  assert.is(refusals, 4)
  assert.ok(idFitsHost(dht.id, address.host))
})

test.run()

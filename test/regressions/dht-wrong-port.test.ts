/**
 * A liar on one path of a lookup named the hosts of honest nodes with ports at which nobody is. Each host was asked there,
 * in vain, and then counted as asked on the other path too: one liar hid all who keep an item.
 */
import * as assert from 'uvu/assert'
import { Lookup } from '../../discovery/dht/lookup.ts'
import type { Contact } from '../../discovery/dht/message.ts'
import { Networks } from '../../discovery/dht/networks.ts'
import { suite } from '../support/suite.ts'

const test = suite('DHT nodes named with a wrong port')
const nodeOf = (distance: number, host: string, port = 6881): Contact => ({
  id: new Uint8Array(20).fill(distance),
  address: { host, port },
})
const open = (): Lookup =>
  new Lookup({
    target: new Uint8Array(20),
    contacts: [nodeOf(100, '45.1.0.1'), nodeOf(101, '45.2.0.1')],
    networks: new Networks(),
    accepts: () => true,
    paths: 2,
  })

test('they are asked where the other path knows them', () => {
  const lookup = open()
  const [liar, honest] = lookup.next()
  lookup.answered(liar!, liar!.id, [nodeOf(1, '45.3.0.1', 1)])
  const [nobody] = lookup.next()
  assert.is(nobody?.address.port, 1)
  lookup.answered(honest!, honest!.id, [nodeOf(2, '45.3.0.1')])
  assert.equal(lookup.next(), [], 'not both at once')
  lookup.late(nobody!)
  assert.equal(
    lookup.next().map(({ address }) => address.port),
    [6881],
  )
})

test('a host at which nobody answers is not asked without end', () => {
  const lookup = open()
  let asked = 0
  let distance = 90
  for (let next = lookup.next(); next.length > 0; next = lookup.next()) {
    asked += next.length
    for (const candidate of next) {
      if (candidate.address.host === '45.3.0.1') lookup.failed(candidate)
      else lookup.answered(candidate, candidate.id, [])
    }
    // Whoever is late in answering can still name others.
    const liar = next[0]!
    if (distance > 1) lookup.answered({ ...liar, state: 'late' }, liar.id, [nodeOf(--distance, '45.3.0.1', distance)])
  }
  assert.ok(asked <= 160, `${asked} asked`)
  assert.is(lookup.asked, asked)
})

test.run()

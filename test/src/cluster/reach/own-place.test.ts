/** What a node tells of its place: the members that introduce it, and that their connections are needed. */
import * as assert from 'uvu/assert'
import type { ConnectedNode } from '../../../../src/cluster/connected-node.ts'
import { OwnPlace } from '../../../../src/cluster/reach/own-place.ts'
import type { Address } from '../../../../transport/address.ts'
import { seededRandom } from '../../../../transport/random.ts'
import type { Transport } from '../../../../transport/transport.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import type { Ways } from '../../../../transport/way.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('own place')

const OUTSIDE: Address = { host: '203.0.113.9', port: 4433 }

const placeWith = (own: Address) => {
  const clock = new VirtualClock()
  const ways: Ways = { direct: () => undefined, receive: () => {}, gone: () => {} }
  const transport: Partial<Transport> = { ways, addresses: () => [own] }
  return new OwnPlace({
    clock,
    random: seededRandom(1),
    transport: transport as Transport,
    portMapping: false,
    dht: undefined,
    changed: () => {},
  })
}

const connected = (id: string, host: string, more: Partial<ConnectedNode> = {}): ConnectedNode =>
  ({
    id,
    address: { host, port: 4433 },
    way: 'port',
    reaches: true,
    listens: [],
    dialled: true,
    isDialledThere: true,
    ...more,
  }) as unknown as ConnectedNode

test('members that strangers can reach introduce a node: dialled where they are, by UDP or TCP, or there by their own account', () => {
  const place = placeWith({ host: '10.0.0.2', port: 4433 })
  place.met(connected('a', '21.0.0.1'))
  place.met(connected('b', '22.0.0.1', { way: 'tcp' }))
  const listens = [{ host: '23.0.0.1', port: 4433 }]
  place.met(connected('c', '23.0.0.1', { dialled: false, isDialledThere: false, listens }))
  assert.equal(
    place.told().introducers?.map(({ host }) => host),
    ['21.0.0.1', '22.0.0.1', '23.0.0.1'],
  )
})

test('one that was dialled through a relay and punched, or that is relayed now, introduces nobody', () => {
  const place = placeWith({ host: '10.0.0.2', port: 4433 })
  place.met(connected('a', '21.0.0.1', { isDialledThere: false }))
  place.met(connected('b', '22.0.0.1'))
  assert.is(place.needs('b'), true)
  place.met(connected('b', '24.0.0.1', { way: 'relay', isDialledThere: false }))
  assert.equal(place.told().introducers, [])
  assert.is(place.needs('b'), false)
})

test('the connections to those who introduce it are needed, unless everybody can dial it', () => {
  const inside = placeWith({ host: '10.0.0.2', port: 4433 })
  const outside = placeWith(OUTSIDE)
  for (const place of [inside, outside]) {
    for (const host of ['21.0.0.1', '22.0.0.1', '23.0.0.1', '24.0.0.1']) place.met(connected(host, host))
    for (const host of ['21.0.0.1', '22.0.0.1']) place.view.observed(host, { host, port: 4433 }, OUTSIDE)
  }
  const needed = (place: OwnPlace): boolean[] => ['21.0.0.1', '23.0.0.1', '24.0.0.1', 'x'].map((id) => place.needs(id))
  assert.equal(needed(inside), [true, true, false, false])
  assert.equal(needed(outside), [false, false, false, false])
  inside.gone('21.0.0.1')
  assert.equal(needed(inside), [false, true, true, false])
})

test.run()

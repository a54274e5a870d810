import * as assert from 'uvu/assert'
import { DialRace, type Place } from '../../../src/cluster/dial-race.ts'
import type { DialOutcome } from '../../../src/cluster/dialler.ts'
import type { Peer } from '../../../src/cluster/peer.ts'
import type { SessionEnd } from '../../../src/cluster/session.ts'
import { type Address, formatAddress } from '../../../transport/address.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('dial race')

/** Nothing of it is looked at. */
const PEER = { node: 'b@there' } as Peer

const address = (number: number): Address => ({ host: `10.0.0.${number}`, port: 1 })

const place = (number: number): Place => ({ id: 'b', address: address(number), by: 'udp' })

const relay = (atOnce: boolean): Place => ({ id: 'b', by: 'relay', atOnce })

const failed = (code: SessionEnd['code']): DialOutcome => ({
  type: 'failed',
  id: undefined,
  end: { code, message: code, byPeer: false, down: 'connection_closed' },
})

/** How an address behaves: after so long it is up, or fails with a code. */
type Manners = readonly [afterMs: number, how: 'up' | SessionEnd['code']]

const race = (manners: Record<string, Manners>, places: Place[], search?: (add: (place: Place) => void) => number) => {
  const clock = new VirtualClock()
  const begun: string[] = []
  let connected: Peer | undefined
  let result: Peer | undefined | 'running' = 'running'
  let searches = 0
  const running = new DialRace({
    clock,
    places: () => places,
    connected: () => connected,
    attempt: (place) => {
      const what = place.by === 'relay' ? 'relay' : place.address.host
      const [afterMs, how] = manners[what] ?? [3000, 'ERR_SKEIN_CONNECT_TIMEOUT']
      begun.push(`${what} at ${clock.now()}`)
      return new Promise((resolve) => {
        clock.after(afterMs, () => resolve(how === 'up' ? { type: 'up', peer: PEER } : failed(how)))
      })
    },
    search:
      search === undefined
        ? undefined
        : (onOver) => {
            searches++
            const lastsMs = search((found) => {
              places.push(found)
              running.goOn()
            })
            return clock.after(lastsMs, onOver)
          },
  })
  void running.result.then((peer) => {
    result = peer
  })
  return {
    clock,
    begun,
    running,
    connect: () => {
      connected = PEER
      running.goOn()
    },
    result: () => result,
    searches: () => searches,
  }
}

test('the next address is tried after 250 ms, without giving up the one before', async () => {
  const { clock, begun, result } = race({ '10.0.0.1': [600, 'up'] }, [place(1), place(2), place(3), place(4)])
  await clock.run({ untilMs: 650 })
  assert.equal(begun, ['10.0.0.1 at 0', '10.0.0.2 at 250', '10.0.0.3 at 500'])
  assert.is(result(), PEER)
  await clock.run({ untilMs: 10_000 })
  assert.is(begun.length, 3, 'nothing begins once it is over')
})

test('after a failure the next one begins at once', async () => {
  const refused: Manners = [10, 'ERR_SKEIN_CONNECTION_LOST']
  const { clock, begun, result } = race({ '10.0.0.1': refused, '10.0.0.2': refused, '10.0.0.3': [10, 'up'] }, [
    place(1),
    place(2),
    place(3),
  ])
  await clock.run({ untilMs: 40 })
  assert.equal(begun, ['10.0.0.1 at 0', '10.0.0.2 at 10', '10.0.0.3 at 20'])
  assert.is(result(), PEER)
})

test('when all have failed it ends, with what was tried in that order', async () => {
  const { clock, running, result } = race(
    { '10.0.0.1': [900, 'ERR_SKEIN_CONNECT_TIMEOUT'], '10.0.0.2': [10, 'closed'] },
    [place(1), place(2)],
  )
  await clock.run({ untilMs: 899 })
  assert.is(result(), 'running')
  await clock.run({ untilMs: 901 })
  assert.is(result(), undefined)
  assert.equal(
    running.failures.map(({ what, code }) => [what, code]),
    [
      [formatAddress(address(1)), 'ERR_SKEIN_CONNECT_TIMEOUT'],
      [formatAddress(address(2)), 'closed'],
    ],
  )
})

test('a relay that is wanted at once begins beside the first address', async () => {
  const { clock, begun, result } = race({ relay: [400, 'up'] }, [relay(true), place(1), place(2)])
  await clock.run({ untilMs: 500 })
  assert.equal(begun, ['relay at 0', '10.0.0.1 at 0', '10.0.0.2 at 250'])
  assert.is(result(), PEER)
})

test('otherwise it waits for its turn, and when it fails the others go on', async () => {
  const { clock, begun, result } = race({ relay: [20, 'ERR_SKEIN_NO_RELAY'], '10.0.0.2': [10, 'up'] }, [
    place(1),
    relay(false),
    place(2),
  ])
  await clock.run({ untilMs: 500 })
  assert.equal(begun, ['10.0.0.1 at 0', 'relay at 250', '10.0.0.2 at 270'])
  assert.is(result(), PEER)
})

test('a node that moved is found while its old address is still being tried', async () => {
  const { clock, begun, result, searches } = race({ '10.0.0.9': [50, 'up'] }, [place(1)], (add) => {
    add(place(9))
    return 3000
  })
  await clock.run({ untilMs: 400 })
  assert.equal(begun, ['10.0.0.1 at 0', '10.0.0.9 at 250'])
  assert.is(result(), PEER)
  assert.is(searches(), 1)
})

test('with nothing to try the search decides: it is waited for, and its end is the end', async () => {
  const { clock, result } = race({}, [], () => 700)
  await clock.run({ untilMs: 699 })
  assert.is(result(), 'running')
  await clock.run({ untilMs: 701 })
  assert.is(result(), undefined)
})

test('a refusal is final: nothing is searched for', async () => {
  const { clock, result, searches } = race({ '10.0.0.1': [20, 'ERR_SKEIN_NAME_TAKEN'] }, [place(1)], () => 3000)
  await clock.run({ untilMs: 30 })
  assert.is(result(), undefined)
  assert.is(searches(), 0)
})

test('connected by another way, it is over', async () => {
  const { clock, begun, connect, result } = race({}, [place(1), place(2)])
  await clock.run({ untilMs: 100 })
  connect()
  await clock.run({ untilMs: 1000 })
  assert.is(result(), PEER)
  assert.is(begun.length, 1)
})

test('at most sixteen addresses are tried, each once', async () => {
  const places = Array.from({ length: 40 }, (_, i) => place(i + 1))
  const { clock, begun, result } = race({}, [...places, ...places])
  await clock.run({ untilMs: 20_000 })
  assert.is(begun.length, 16)
  assert.is(new Set(begun.map((one) => one.split(' ')[0])).size, 16)
  assert.is(result(), undefined)
})

test('sixteen addresses that are silent over UDP leave room for TCP', async () => {
  const places: Place[] = Array.from({ length: 20 }, (_, i) => place(i + 1))
  places.push({ id: 'b', address: address(21), by: 'tcp' })
  const { clock, begun, running, result } = race({}, places)
  await clock.run({ untilMs: 20_000 })
  assert.is(begun.length, 17)
  assert.ok(begun.at(-1)?.startsWith('10.0.0.21'))
  assert.is(running.failures.at(-1)?.what, '10.0.0.21:1 over TCP')
  assert.is(result(), undefined)
})

test('stopped, it ends without a winner', async () => {
  const { clock, running, result } = race({}, [place(1)], () => 3000)
  await clock.run({ untilMs: 300 })
  running.stop()
  await clock.run({ untilMs: 301 })
  assert.is(result(), undefined)
})

test.run()

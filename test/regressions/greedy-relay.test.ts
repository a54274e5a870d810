/** A relay that told of enough peers held all the places for punches, and none by way of another relay began. */
import * as assert from 'uvu/assert'
import { at, Bench } from '../src/cluster/reach/punch-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('a relay that fills all punches')

const MAX_PUNCHES = 64

test('others take places from the one with the most, until it has no more than they', () => {
  const bench = new Bench()
  const over: string[] = []
  const begin = (relay: string, number: number): void => {
    const token = Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? number : relay.charCodeAt(0)))
    bench.puncher.begin({
      token,
      targets: [at(5000 + number)],
      relay,
      found: () => {},
      over: () => void over.push(relay),
    })
  }
  for (let i = 0; i < MAX_PUNCHES; i++) begin('liar', i)
  begin('liar', 100)
  bench.clock.advance(0)
  assert.equal(over, ['liar'], 'there is no room for one more of its own')
  over.length = 0
  for (let i = 0; i < MAX_PUNCHES; i++) begin('honest', i)
  bench.clock.advance(0)
  assert.is(over.filter((relay) => relay === 'liar').length, MAX_PUNCHES / 2)
  assert.is(bench.puncher.figures.punches, MAX_PUNCHES + MAX_PUNCHES / 2)
  bench.puncher.stop()
})

test.run()

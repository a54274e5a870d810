/** Which streams are told of as readable, and when quiche's list is walked for them. */
import * as assert from 'uvu/assert'
import { ReadableStreams } from '../../transport/readable-streams.ts'
import { suite } from '../support/suite.ts'

const test = suite('readable streams')

/** Streams with something to read, told one at a time; those that are stuck stay readable, as where nobody takes more. */
const streams = (stuck: readonly number[] = []) => {
  const waiting = new Set<number>()
  const told: number[] = []
  let walks = 0
  let most = Number.POSITIVE_INFINITY
  const session = {
    get anyReadable() {
      return waiting.size > 0
    },
    streamReadable: (stream: number) => waiting.has(stream),
    readable: () => {
      walks++
      return [...waiting]
    },
  }
  const readable = new ReadableStreams(session, (stream) => {
    told.push(stream)
    if (!stuck.includes(stream)) waiting.delete(stream)
    return told.length < most
  })
  return {
    /** These have something: who is told of, in order. */
    arrive: (...arrived: number[]): number[] => {
      for (const stream of arrived) waiting.add(stream)
      told.length = 0
      readable.tellAll()
      return [...told].sort((a, b) => a - b)
    },
    stopAfter: (count: number): void => {
      most = count
    },
    walks: () => walks,
  }
}

test('each stream is told of, and only new ones take a walk', () => {
  const { arrive, walks } = streams()
  assert.equal(arrive(), [])
  assert.is(walks(), 0)
  assert.equal(arrive(3, 7), [3, 7])
  assert.is(walks(), 1)
  for (const some of [[3], [7], [3, 7], [7]]) assert.equal(arrive(...some), some)
  assert.is(walks(), 1)
  assert.equal(arrive(3, 11), [3, 11])
  assert.is(walks(), 2)
})

test('more streams than are known are all told of, each once', () => {
  const { arrive } = streams()
  const many = Array.from({ length: 40 }, (_, i) => 3 + 4 * i)
  for (let round = 0; round < 5; round++) assert.equal(arrive(...many), many)
  assert.equal(arrive(159, 3), [3, 159])
})

test('one that nobody reads holds no other up', () => {
  const { arrive } = streams([3])
  assert.equal(arrive(3), [3])
  assert.equal(arrive(7), [3, 7])
  assert.equal(arrive(7, 11), [3, 7, 11])
})

test('nothing more is told once the connection carries no streams', () => {
  const { arrive, stopAfter } = streams()
  stopAfter(1)
  assert.is(arrive(3, 7, 11).length, 1)
  assert.is(arrive(15).length, 1)
})

test.run()

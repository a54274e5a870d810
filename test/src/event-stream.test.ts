/** Events: every reader gets them, a slow one loses the oldest and is told. */
import * as assert from 'uvu/assert'
import { EventStream, MAX_BUFFERED_EVENTS, MAX_EVENT_READERS, type NodeEvent } from '../../src/event-stream.ts'
import { suite } from '../support/suite.ts'

const test = suite('event-stream')

const down = (number: number): NodeEvent => ({
  type: 'nodedown',
  node: `n${number}@h`,
  id: String(number),
  reason: 'shutdown',
})

const numberOf = (event: NodeEvent | undefined): number => (event?.type === 'nodedown' ? Number(event.id) : -1)

test('each reader gets every event from its beginning on, in order', async () => {
  const stream = new EventStream()
  const early = stream[Symbol.asyncIterator]()
  stream.emit(down(1))
  const late = stream[Symbol.asyncIterator]()
  stream.emit(down(2))
  assert.is(numberOf((await early.next()).value), 1)
  assert.is(numberOf((await early.next()).value), 2)
  assert.is(numberOf((await late.next()).value), 2)
})

test('a reader that waits gets the next event', async () => {
  const stream = new EventStream()
  const reader = stream[Symbol.asyncIterator]()
  const first = reader.next()
  const second = reader.next()
  stream.emit(down(1))
  stream.emit(down(2))
  assert.is(numberOf((await first).value), 1)
  assert.is(numberOf((await second).value), 2)
})

test('a slow reader loses the oldest, is told how many, and nobody else notices', async () => {
  const stream = new EventStream()
  const slow = stream[Symbol.asyncIterator]()
  const quick = stream[Symbol.asyncIterator]()
  for (let i = 0; i < MAX_BUFFERED_EVENTS + 5; i++) {
    stream.emit(down(i))
    assert.is(numberOf((await quick.next()).value), i)
  }
  assert.equal((await slow.next()).value, { type: 'lagged', lost: 5 })
  for (let i = 5; i < MAX_BUFFERED_EVENTS + 5; i++) assert.is(numberOf((await slow.next()).value), i)
  stream.emit(down(9999))
  assert.is(numberOf((await slow.next()).value), 9999, 'and it is told once')
})

test('the end lets readers finish what waits', async () => {
  const stream = new EventStream()
  const seen: number[] = []
  const reader = stream[Symbol.asyncIterator]()
  stream.emit(down(1))
  stream.end()
  for await (const event of { [Symbol.asyncIterator]: () => reader }) seen.push(numberOf(event))
  assert.equal(seen, [1])
  assert.is((await stream[Symbol.asyncIterator]().next()).done, true, 'later readers end at once')
})

test('the end wakes readers that wait', async () => {
  const stream = new EventStream()
  const waiting = stream[Symbol.asyncIterator]().next()
  stream.end()
  assert.is((await waiting).done, true)
})

test('leaving the loop frees the reader', async () => {
  const stream = new EventStream()
  for (let i = 0; i < MAX_EVENT_READERS + 10; i++) {
    queueMicrotask(() => stream.emit(down(i)))
    for await (const event of stream) {
      assert.is(numberOf(event), i)
      break
    }
  }
})

test('readers beyond the limit end at once', async () => {
  const stream = new EventStream()
  for (let i = 0; i < MAX_EVENT_READERS; i++) stream[Symbol.asyncIterator]()
  assert.is((await stream[Symbol.asyncIterator]().next()).done, true)
})

test.run()

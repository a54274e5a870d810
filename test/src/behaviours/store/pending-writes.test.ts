/** Writes that wait: coalescing and bounds. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { PendingWrites } from '../../../../src/behaviours/store/pending-writes.ts'
import { suite } from '../../../support/suite.ts'
import { bytesOf } from './store-support.ts'

const test = suite('pending writes')
const MEBIBYTE = 1024 * 1024
const isLimit = (error: unknown): boolean => isSkeinError(error, 'ERR_SKEIN_LIMIT')

test('writes of one key become one, with the latest value, and all hear how it ended', async () => {
  const writes = new PendingWrites()
  const ends = [bytesOf('1'), undefined, bytesOf('3')].map((value) => writes.put('key', value))
  assert.is(writes.size, 1)
  const write = writes.take('key')
  assert.equal(write?.value, bytesOf('3'))
  const later = writes.put('key', bytesOf('4'))
  write?.fail(new Error('disk'))
  for (const end of ends) {
    const error = await end.catch((thrown: unknown) => thrown)
    assert.is(error instanceof Error && error.message, 'disk')
  }
  writes.take('key')?.succeed()
  await later
  assert.is(writes.take('key'), undefined)
})

test('writes of several keys are taken in the order of their first calls', () => {
  const writes = new PendingWrites()
  for (const key of ['b', 'a', 'b', 'c']) writes.put(key, undefined)
  assert.equal(
    writes.takeAll().map(({ key }) => key),
    ['b', 'a', 'c'],
  )
  assert.is(writes.size, 0)
})

test('bytes are bounded, and those being written count until they are', () => {
  const writes = new PendingWrites()
  const quarter = new Uint8Array(64 * MEBIBYTE)
  for (const key of ['a', 'b', 'c', 'd']) writes.put(key, quarter)
  assert.throws(() => writes.put('e', new Uint8Array(1)), isLimit)
  writes.put('a', quarter)
  const write = writes.take('a')
  assert.throws(() => writes.put('e', new Uint8Array(1)), isLimit)
  write?.succeed()
  writes.put('e', quarter)
  assert.throws(() => writes.put('b', new Uint8Array(64 * MEBIBYTE + 1)), isLimit)
  assert.is(writes.get('b')?.value, quarter, 'the refused write left the earlier one alone')
})

test('keys are bounded', () => {
  const writes = new PendingWrites()
  let count = 0
  assert.throws(() => {
    for (; count <= 1_000_000; count++) writes.put(`${count}`, undefined)
  }, isLimit)
  assert.is(count, 100_000)
  writes.put('0', bytesOf('a known key is still taken'))
})

test.run()

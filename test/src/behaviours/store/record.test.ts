/** The record: every cut and every changed byte is found. */
import * as assert from 'uvu/assert'
import { decodeRecord, encodeRecord } from '../../../../src/behaviours/store/record.ts'
import { suite } from '../../../support/suite.ts'
import { bytesOf } from './store-support.ts'

const test = suite('record')
const KEY = 'schlüssel'
const record = encodeRecord(KEY, bytesOf('the state'))

const whatIsWrong = (bytes: Uint8Array, key = KEY): string => {
  const decoded = decodeRecord(key, bytes)
  return decoded.kind === 'damaged' ? decoded.what : ''
}

test('round trip', () => {
  for (const state of [new Uint8Array(0), bytesOf('the state'), new Uint8Array(100_000).fill(7)]) {
    assert.equal(decodeRecord(KEY, encodeRecord(KEY, state)), { kind: 'state', state })
  }
})

test('the layout is the documented one', () => {
  assert.is(Buffer.from(record).subarray(0, 14).toString('latin1'), 'skeinst\x01\x00\x0a\x00\x00\x00\x09')
  assert.is(record.length, 8 + 2 + 4 + 32 + 10 + 9)
})

test('no beginning of a record is a record', () => {
  for (let length = 0; length < record.length; length++) assert.ok(whatIsWrong(record.subarray(0, length)), `${length}`)
})

test('a longer file is no record', () => {
  assert.match(whatIsWrong(Buffer.concat([record, Buffer.of(0)])), '66 bytes instead of 65')
})

test('every changed bit is found', () => {
  for (let index = 0; index < record.length * 8; index++) {
    const changed = Uint8Array.from(record)
    changed[index >> 3] = (changed[index >> 3] ?? 0) ^ (1 << (index & 7))
    assert.ok(whatIsWrong(changed), `bit ${index}`)
  }
})

test('what is wrong is told', () => {
  assert.match(whatIsWrong(bytesOf('x'.repeat(100))), 'does not hold a state')
  assert.match(whatIsWrong(Uint8Array.from(record).fill(2, 7, 8)), 'has version 2')
  assert.match(whatIsWrong(record, 'other'), 'another key')
})

test.run()

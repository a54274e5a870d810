/**
 * What could be read could not always be passed on: a pid of a third node whose name was no UTF-8, and so longer once it was
 * read, and a pattern whose source is longer than it was written. A process that answered with what it was sent crashed.
 */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { ALICE, BOB, codecOf } from '../src/wire/codec-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('values that are passed on')

/** An extension with its head. */
const extension = (type: number, body: Buffer): Buffer => {
  const head = Buffer.of(0xc8, 0, 0, type)
  head.writeUInt16BE(body.length, 1)
  return Buffer.concat([head, body])
}

const third = (name: Buffer): Buffer =>
  extension(
    1,
    Buffer.concat([Buffer.of(2, 5), Buffer.alloc(8, 7), Buffer.alloc(32, 'd'), Buffer.of(name.length), name]),
  )

const pattern = (source: string): Buffer => {
  const head = Buffer.of(0xda, 0, 0)
  head.writeUInt16BE(source.length, 1)
  return extension(8, Buffer.concat([head, Buffer.from(source), Buffer.of(0xa0)]))
}

/** Read by bob and sent back by him. */
const passedOn = (bytes: Buffer): string => {
  const bob = codecOf(BOB, ALICE)
  let value: unknown
  try {
    value = bob.decode(bytes, 0, bytes.length)
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_MESSAGE'), String(error))
    return 'refused'
  }
  bob.encode(value)
  return 'passed on'
}

test('a pid whose name is no UTF-8 is refused where it is read', () => {
  assert.is(passedOn(third(Buffer.from('x'.repeat(255)))), 'passed on')
  assert.is(passedOn(third(Buffer.from('é'.repeat(127)))), 'passed on')
  assert.is(passedOn(third(Buffer.alloc(200, 0xff))), 'refused')
})

test('a pattern that becomes too long is refused where it is read', () => {
  assert.is(passedOn(pattern('x'.repeat(4096))), 'passed on')
  assert.is(passedOn(pattern('/'.repeat(2048))), 'passed on')
  assert.is(passedOn(pattern('/'.repeat(2049))), 'refused')
})

test.run()

/** Datagrams that were read give their memory back at once; what others may still look at is left alone. */
import * as assert from 'uvu/assert'
import { SpentBuffers } from '../../transport/spent-buffers.ts'
import { suite } from '../support/suite.ts'

/** A buffer that shares its memory with nobody, as node:dgram makes them. */
const datagram = (sizeBytes: number): Buffer => Buffer.from(new ArrayBuffer(sizeBytes))

const test = suite('spent buffers')

test('are detached when released', () => {
  const spent = new SpentBuffers()
  const buffers = [datagram(1350), datagram(16_383)]
  for (const buffer of buffers) spent.add(buffer)
  assert.is(buffers[0]!.length, 1350)
  spent.release()
  for (const buffer of buffers) assert.is(buffer.length, 0)
  spent.release()
})

test('do not pile up when nobody releases them', () => {
  const spent = new SpentBuffers()
  const buffers = Array.from({ length: 1000 }, () => datagram(2000))
  for (const buffer of buffers) spent.add(buffer)
  assert.ok(buffers.filter((buffer) => buffer.length > 0).length < 16)
})

test('small ones, and ones that share their memory, stay as they are', () => {
  const spent = new SpentBuffers()
  const small = datagram(100)
  const part = Buffer.from(new ArrayBuffer(4096), 0, 2000)
  const pooled = Buffer.from('x'.repeat(2000))
  for (const buffer of [small, part, pooled]) spent.add(buffer)
  spent.release()
  assert.equal([small.length, part.length, pooled.length], [100, 2000, 2000])
})

test.run()

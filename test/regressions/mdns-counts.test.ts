/**
 * The header of a DNS packet counts what follows, and the package made room for all of it before it read on: a datagram of
 * twelve bytes took two megabytes, and anybody on the LAN can send as many as the link carries.
 */
import { getHeapStatistics } from 'node:v8'
import * as assert from 'uvu/assert'
import { queries } from '../../discovery/mdns/packet.ts'
import { SERVICE_TYPE } from '../../discovery/mdns/service.ts'
import { decode, encode } from '../discovery/mdns/coding.ts'
import { suite } from '../support/suite.ts'

const test = suite('counts of a multicast DNS packet')
const TRIES = 9
const MAX_BYTES = 256 * 1024

/** Bytes on the heap that reading it takes; the middle of some tries, since a collection may come between. */
const takes = (bytes: Uint8Array): number => {
  const taken = Array.from({ length: TRIES }, () => {
    const before = getHeapStatistics().used_heap_size
    decode(bytes)
    return getHeapStatistics().used_heap_size - before
  })
  return taken.sort((a, b) => a - b)[TRIES >> 1]!
}

test('a header that counts more than its packet can hold is malformed at once', async () => {
  const sound = await encode(queries([{ name: SERVICE_TYPE, type: 'PTR' }])[0]!)
  assert.equal(decode(sound)?.questions.length, 1)
  for (const at of [4, 6, 8, 10]) {
    const lying = Buffer.from(sound)
    lying.writeUInt16BE(0xffff, at)
    assert.is(decode(lying), undefined)
    const bytes = takes(lying)
    assert.ok(bytes < MAX_BYTES, `${lying.length} bytes that count 65535 at ${at} take ${bytes}`)
  }
  assert.is(decode(sound.subarray(0, 11)), undefined)
})

test('a packet as small as its counts allow is read', () => {
  const question = Buffer.of(0, 0, 1, 0, 1)
  const record = Buffer.of(0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
  const head = Buffer.of(0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)
  assert.ok(decode(Buffer.concat([head, question, record])) !== undefined)
})

test.run()

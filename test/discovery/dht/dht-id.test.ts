import * as assert from 'uvu/assert'
import {
  commonPrefixBits,
  compareDistance,
  DHT_ID_BITS,
  idFitsHost,
  idForHost,
  isExemptHost,
  keyText,
  randomId,
  sameKey,
} from '../../../discovery/dht/dht-id.ts'
import type { Random } from '../../../transport/random.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('dht ids')
const id = (hex: string): Uint8Array => Buffer.from(hex.padEnd(40, '0'), 'hex')
const xor = (a: Uint8Array, b: Uint8Array): bigint => BigInt(`0x${keyText(a)}`) ^ BigInt(`0x${keyText(b)}`)
/** Gives an id whose last byte is the seed of BEP 42. */
const withSeed = (seed: number): Random => ({ bytes: (count) => new Uint8Array(count).fill(seed), float: () => 0 })

test('distance is the XOR read as a number', () => {
  const random = seededRandom(7)
  for (let i = 0; i < 2000; i++) {
    const [target, a, b] = [randomId(random), randomId(random), randomId(random)]
    // Shared beginnings make later bytes decide.
    const shared = i % 21
    a.set(b.subarray(0, shared))
    const expected = xor(target, a) < xor(target, b) ? -1 : xor(target, a) > xor(target, b) ? 1 : 0
    assert.is(Math.sign(compareDistance(target, a, b)), expected)
    const bits = 160 - (xor(a, b) === 0n ? 0 : xor(a, b).toString(2).length)
    assert.is(commonPrefixBits(a, b), bits)
    assert.is(sameKey(a, b), shared === 20)
  }
  assert.is(commonPrefixBits(id('80'), id('00')), 0)
  assert.is(commonPrefixBits(id('01'), id('00')), 7)
  assert.is(commonPrefixBits(id('aa'), id('aa')), DHT_ID_BITS)
})

test('ids for addresses are those of BEP 42', () => {
  for (const [host, seed, expected] of [
    ['124.31.75.21', 1, '5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401'],
    ['21.75.31.124', 86, '5a3ce9c14e7a08645677bbd1cfe7d8f956d53256'],
    ['65.23.51.170', 22, 'a5d43220bc8f112a3d426c84764f8c2a1150e616'],
    ['84.124.73.14', 65, '1b0321dd1bb1fe518101ceef99462b947a01ff41'],
    ['43.213.53.83', 90, 'e56f6cbf5b7c4be0237986d5243b87aa6d51305a'],
  ] as const) {
    assert.ok(idFitsHost(id(expected), host), host)
    const own = idForHost(host, withSeed(seed))
    assert.ok(commonPrefixBits(own, id(expected)) >= 21, host)
    assert.ok(idFitsHost(id(expected), `::ffff:${host}`))
  }
})

test('21 bits and the seed bind an id to its address', () => {
  const expected = id('5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401')
  const host = '124.31.75.21'
  for (let bit = 0; bit < 160; bit++) {
    const changed = Uint8Array.from(expected)
    changed[bit >> 3]! ^= 0x80 >> (bit & 7)
    // The last three bits choose among eight ids.
    assert.is(idFitsHost(changed, host), bit >= 21 && bit < 157, `bit ${bit}`)
  }
  assert.not(idFitsHost(expected, '124.31.75.22'))
  assert.not(idFitsHost(expected, '2001:db8::1'))
})

test('made ids fit, of both families, and only their network counts for IPv6', () => {
  const random = seededRandom(11)
  for (let i = 0; i < 500; i++) {
    const [a, b, c] = random.bytes(3)
    const ipv4 = `${1 + (a! % 9)}.${b}.${c}.7`
    const ipv6 = `2001:${a!.toString(16)}:${b!.toString(16)}:${c!.toString(16)}::1`
    assert.ok(idFitsHost(idForHost(ipv4, random), ipv4))
    const id6 = idForHost(ipv6, random)
    assert.ok(idFitsHost(id6, ipv6))
    assert.ok(idFitsHost(id6, ipv6.replace('::1', ':9:8:7:6')))
  }
  const prefixes = Array.from({ length: 200 }, () => keyText(idForHost('192.0.2.1', random)).slice(0, 5))
  assert.is(new Set(prefixes).size, 8, 'an address has eight places')
})

test('private, loopback and link-local networks are exempt', () => {
  const random = seededRandom(3)
  for (const host of [
    '10.1.2.3',
    '127.0.0.1',
    '172.16.0.1',
    '172.31.255.1',
    '192.168.1.1',
    '169.254.9.9',
    '::1',
    'fd12::1',
    'fc00::1',
    'fe80::1',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
  ]) {
    assert.ok(isExemptHost(host), host)
    assert.ok(idFitsHost(randomId(random), host), host)
  }
  for (const host of [
    '9.1.2.3',
    '11.0.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.1.1',
    '169.253.1.1',
    '128.0.0.1',
    '::2',
    '2001:db8::1',
    'fec0::1',
  ]) {
    assert.not(isExemptHost(host), host)
    assert.not(idFitsHost(id('00'), host) && idFitsHost(id('ff'), host), host)
  }
})

test.run()

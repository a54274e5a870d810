import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import * as assert from 'uvu/assert'
import { addressOf, compactAddress, familyOf, hostBytes } from '../../../discovery/dht/compact-address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('compact addresses')
const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex')

test('addresses go to bytes and back', () => {
  for (const [host, expected] of [
    ['192.0.2.1', 'c0000201'],
    ['127.0.0.1', '7f000001'],
    ['223.255.255.255', 'dfffffff'],
    ['2001:db8::1', '20010db8000000000000000000000001'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001'],
    ['2001:0:0:1::1', '20010000000000010000000000000001'],
    ['2001:db8::1:0:0:1', '20010db8000000000001000000000001'],
    ['fd00::', 'fd000000000000000000000000000000'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ] as const) {
    const compact = compactAddress({ host, port: 0x1ae1 })
    assert.is(hex(compact), `${expected}1ae1`)
    assert.equal(addressOf(compact!), { host, port: 6881 })
  }
})

test('mapped addresses are their IPv4 selves', () => {
  assert.is(hex(compactAddress({ host: '::ffff:192.0.2.1', port: 1 })), 'c00002010001')
  const mapped = Buffer.from('00000000000000000000ffffc00002010001', 'hex')
  assert.equal(addressOf(mapped), { host: '192.0.2.1', port: 1 })
  assert.is(hex(hostBytes('::ffff:c000:201')), '00000000000000000000ffffc0000201')
  assert.is(hex(hostBytes('::ffff:192.0.2.1')), 'c0000201')
  assert.is(familyOf('::ffff:192.0.2.1'), 'ip4')
  assert.is(familyOf('2001:db8::1'), 'ip6')
})

test('what nobody can send to is no address', () => {
  // biome-ignore format: one kind a line
  const unusable = [
    '', 'c0000201', 'c000020100', 'c0000201000100', // another length
    'c00002010000', '20010db80000000000000000000000010000', // port 0
    '000000000001', '000102030001', 'e00000fb0001', 'ffffffff0001', 'f00000010001', // reserved
    '000000000000000000000000000000000001', '000000000000000000000000c00002010001', '000000000000000000000000000000020001',
    'ff0200000000000000000000000000fb0001', 'fe8000000000000000000000000000010001', 'febf00000000000000000000000000010001',
    '00000000000000000000ffff000000000001', '00000000000000000000ffffe00000fb0001',
  ]
  for (const compact of unusable) assert.is(addressOf(Buffer.from(compact, 'hex')), undefined, compact)
  for (const host of [
    'fe80::1%eth0',
    'fe80::1',
    '::',
    '0.0.0.0',
    '224.0.0.1',
    'example.org',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    '',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '12345::',
    'g::',
  ]) {
    assert.is(compactAddress({ host, port: 1 }), undefined, host)
  }
  assert.is(compactAddress({ host: '192.0.2.1', port: 0 }), undefined)
})

test('any IPv6 text agrees with another parser', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.bytes(18)
    // Runs of zeros make the notation interesting.
    for (let group = 0; group < 8; group++) if (random.float() < 0.5) bytes.fill(0, 2 * group, 2 * group + 2)
    bytes[17] = 1
    const address = addressOf(bytes)
    if (address === undefined) continue
    assert.ok(isIPv6(address.host), address.host)
    assert.equal(Array.from(bytes.subarray(0, 16)), ipaddr.IPv6.parse(address.host).toByteArray())
    assert.is(address.host, ipaddr.IPv6.parse(address.host).toRFC5952String())
    assert.equal(compactAddress(address), bytes)
    assert.equal(hostBytes(ipaddr.IPv6.parse(address.host).toNormalizedString()), bytes.subarray(0, 16))
  }
})

test.run()

import * as assert from 'uvu/assert'
import { type Encodable, encode, judge } from '../../../discovery/dht/bencode.ts'
import { decodeMessage, encodeMessage, MAX_AMPLIFICATION, MAX_REPLY_BYTES } from '../../../discovery/dht/krpc.ts'
import { FAULT, type KrpcMessage, type Query, type Reply } from '../../../discovery/dht/message.ts'
import { suite } from '../../support/suite.ts'

const test = suite('krpc')
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1')
const filled = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value)

const ID = bytes('abcdefghij0123456789')
const TARGET = bytes('mnopqrstuvwxyz123456')
const head = { kind: 'query', transaction: bytes('aa'), id: ID, readOnly: false } as const
const mutable = { publicKey: filled(32), signature: filled(64), sequence: 5 }

type Entries = { [key: string]: Encodable | undefined }

const query = (method: Encodable, args: Entries, rest: Entries = {}): Uint8Array =>
  encode({ a: { id: ID, ...args }, q: method, t: 'aa', y: 'q', ...rest })
const reply = (values: Entries, rest: Entries = {}): Uint8Array =>
  encode({ r: { id: ID, ...values }, t: 'aa', y: 'r', ...rest })

const decodeReply = (datagram: Uint8Array): Reply | undefined => {
  const message = decodeMessage(datagram)
  assert.ok(message === undefined || message.kind === 'reply')
  return message as Reply | undefined
}
/** The code with which a query is refused; undefined if it is served or met with silence. */
const codeOf = (datagram: Uint8Array): number | undefined => {
  const message = decodeMessage(datagram)
  if (message?.kind !== 'malformed') return undefined
  assert.equal(message.answer.transaction, bytes('aa'))
  assert.ok(message.answer.message.length > 0)
  return message.answer.code
}

const assertBothWays = (message: KrpcMessage, expected?: string): void => {
  const encoded = encodeMessage(message)
  if (expected !== undefined) assert.is(text(encoded), expected)
  assert.equal(decodeMessage(encoded), message)
}

test('the examples of BEP 5 read and write the same', () => {
  assertBothWays({ ...head, method: 'ping' }, 'd1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe')
  assertBothWays(
    { ...head, method: 'find_node', target: TARGET, want: [] },
    'd1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe',
  )
  assertBothWays(
    { ...head, method: 'get_peers', target: TARGET, want: [] },
    'd1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe',
  )
  const announce = { ...head, method: 'announce_peer', target: TARGET, token: bytes('aoeusnth') } as const
  assert.equal(
    decodeMessage(
      bytes(
        'd1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe',
      ),
    ),
    { ...announce, port: undefined },
  )
  assertBothWays({ ...announce, port: undefined })
  assertBothWays({ ...announce, port: 6881 })
  assertBothWays(
    { kind: 'fault', transaction: bytes('aa'), code: 201, message: 'A Generic Error Ocurred' },
    'd1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee',
  )
  assertBothWays(
    {
      kind: 'reply',
      transaction: bytes('aa'),
      id: ID,
      nodes: [],
      token: bytes('aoeusnth'),
      peers: [
        { host: '97.120.106.101', port: 11893 },
        { host: '105.100.104.116', port: 28269 },
      ],
    },
    'd1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re',
  )
})

test('everything a message can say goes both ways', () => {
  const queries: Query[] = [
    { ...head, method: 'ping', readOnly: true, version: bytes('SK01') },
    { ...head, method: 'find_node', target: TARGET, want: ['n4', 'n6'] },
    { ...head, method: 'get_peers', target: TARGET, want: ['n6'] },
    { ...head, method: 'get', target: TARGET, want: ['n4'], sequence: 0 },
    { ...head, method: 'get', target: TARGET, want: [] },
    { ...head, method: 'put', token: bytes('t'), item: { value: bytes('12:Hello World!') } },
    { ...head, method: 'put', token: filled(64), item: { value: bytes('d1:ai-9223372036854775808ee'), mutable } },
    {
      ...head,
      method: 'put',
      token: filled(8),
      item: { value: bytes('le'), mutable },
      salt: filled(64),
      compareAndSwap: 4,
    },
    { ...head, method: 'unknown', name: 'vote', target: TARGET },
    { ...head, method: 'unknown', name: 'sample_infohashes' },
  ]
  for (const one of queries) assertBothWays(one)
  const full: Reply = {
    kind: 'reply',
    transaction: filled(16),
    id: ID,
    observed: { host: '203.0.113.5', port: 4433 },
    nodes: [
      { id: TARGET, address: { host: '192.0.2.1', port: 1 } },
      { id: ID, address: { host: '2001:db8::1', port: 65535 } },
    ],
    token: filled(8),
    peers: [
      { host: '2001:db8::2', port: 2 },
      { host: '192.0.2.3', port: 3 },
    ],
    item: { value: bytes('i7e'), mutable },
    version: bytes('LT\x01\x02'),
  }
  assertBothWays(full)
  assertBothWays({ ...full, observed: { host: '2001:db8::5', port: 9 } })
  assertBothWays({ kind: 'reply', transaction: bytes('x'), id: ID, nodes: [], sequence: 12 })
})

test('a query for an item is long enough to be answered with the largest one', () => {
  for (const more of [{}, { sequence: 5 }, { want: ['n4', 'n6'] as const }]) {
    const encoded = encodeMessage({ ...head, method: 'get', target: TARGET, want: [], ...more })
    assert.is(encoded.length, MAX_REPLY_BYTES / MAX_AMPLIFICATION)
  }
  assert.ok(encodeMessage({ ...head, method: 'get_peers', target: TARGET, want: [] }).length < 100)
})

test('what is no message is met with silence', () => {
  const answerable = { a: { id: ID }, q: 'ping', t: 'aa', y: 'q' }
  assert.ok(decodeMessage(encode(answerable)))
  for (const datagram of [
    bytes(''),
    bytes('garbage'),
    bytes('i1e'),
    bytes('le'),
    bytes('de'),
    encode({ ...answerable, t: undefined }),
    encode({ ...answerable, t: '' }),
    encode({ ...answerable, t: filled(17) }),
    encode({ ...answerable, t: 5 }),
    encode({ ...answerable, y: undefined }),
    encode({ ...answerable, y: 'x' }),
    encode({ ...answerable, y: 'qq' }),
    encode({ ...answerable, y: 1 }),
    Buffer.concat([encode(answerable), bytes('e')]),
    bytes('d1:q4:ping1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe'), // not sorted
    bytes('d1:ad2:id20:abcdefghij01234567892:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe'), // id twice
  ]) {
    assert.is(decodeMessage(datagram), undefined, text(datagram))
  }
})

test('unknown keys are ignored, wherever they are', () => {
  const odd: Entries = { __proto__x: 1, constructor: [], zz: { zz: 'z' } }
  const expected = { ...head, method: 'ping' }
  assert.equal(decodeMessage(query('ping', odd, odd)), expected)
  assert.equal(
    decodeMessage(
      bytes(
        'd1:\x01i1e9:__proto__d1:ai1ee1:ad9:__proto__le2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:q1:\xff0:e',
      ),
    ),
    expected,
  )
})

test('a malformed query is answered with 203', () => {
  const put = { token: 'x', v: 'x' }
  const full = { ...put, k: filled(32), sig: filled(64), seq: 1 }
  const malformed: [string, Uint8Array][] = [
    ['no q', encode({ a: { id: ID }, t: 'aa', y: 'q' })],
    ['q no string', query(7, {})],
    ['q empty', query('', {})],
    ['q not printable', query('p\u00efng', {})],
    ['q too long', query('x'.repeat(33), {})],
    ['no a', encode({ q: 'ping', t: 'aa', y: 'q' })],
    ['a no dictionary', encode({ a: [], q: 'ping', t: 'aa', y: 'q' })],
    ['no id', query('ping', { id: undefined })],
    ['id short', query('ping', { id: filled(19) })],
    ['id long', query('ping', { id: filled(21) })],
    ['id no string', query('ping', { id: 20 })],
    ['unknown method without id', query('vote', { id: undefined })],
    ['ro no integer', query('ping', {}, { ro: 'yes' })],
    ['ro negative', query('ping', {}, { ro: -1 })],
    ['no target', query('find_node', {})],
    ['target short', query('find_node', { target: filled(19) })],
    ['info_hash for target', query('find_node', { info_hash: TARGET })],
    ['target for info_hash', query('get_peers', { target: TARGET })],
    ['want no list', query('find_node', { target: TARGET, want: 'n4' })],
    ['want with integers', query('get_peers', { info_hash: TARGET, want: [4] })],
    ['get: no target', query('get', {})],
    ['get: seq no integer', query('get', { target: TARGET, seq: 'x' })],
    ['get: seq negative', query('get', { target: TARGET, seq: -1 })],
    ['announce: no token', query('announce_peer', { info_hash: TARGET, port: 1 })],
    ['announce: token empty', query('announce_peer', { info_hash: TARGET, port: 1, token: '' })],
    ['announce: token long', query('announce_peer', { info_hash: TARGET, port: 1, token: filled(65) })],
    ['announce: no port', query('announce_peer', { info_hash: TARGET, token: 'x' })],
    ['announce: port 0', query('announce_peer', { info_hash: TARGET, token: 'x', port: 0 })],
    ['announce: port high', query('announce_peer', { info_hash: TARGET, token: 'x', port: 65536 })],
    ['announce: port negative', query('announce_peer', { info_hash: TARGET, token: 'x', port: -1 })],
    ['announce: port text', query('announce_peer', { info_hash: TARGET, token: 'x', port: '80' })],
    [
      'announce: implied_port text',
      query('announce_peer', { info_hash: TARGET, token: 'x', port: 1, implied_port: 'y' }),
    ],
    ['announce: info_hash long', query('announce_peer', { info_hash: filled(32), token: 'x', port: 1 })],
    ['put: no v', query('put', { token: 'x' })],
    ['put: no token', query('put', { v: 'x' })],
    ['put: k short', query('put', { ...full, k: filled(31) })],
    ['put: sig short', query('put', { ...full, sig: filled(63) })],
    ['put: sig no string', query('put', { ...full, sig: [] })],
    ['put: no sig', query('put', { ...full, sig: undefined })],
    ['put: no seq', query('put', { ...full, seq: undefined })],
    ['put: no k', query('put', { ...full, k: undefined })],
    ['put: seq negative', query('put', { ...full, seq: -1 })],
    ['put: seq text', query('put', { ...full, seq: '1' })],
    ['put: salt no string', query('put', { ...full, salt: 5 })],
    ['put: cas text', query('put', { ...full, cas: 'x' })],
  ]
  for (const [what, datagram] of malformed) assert.is(codeOf(datagram), FAULT.protocol, what)
  assert.is(codeOf(bytes(text(query('put', full)).replace('seqi1e', 'seqi9007199254740993e'))), FAULT.protocol)
  for (const args of [put, full, { ...full, salt: '', cas: 0 }]) assert.is(codeOf(query('put', args)), undefined)
})

test('a value too large is 205, a salt too long 207', () => {
  const full = { token: 'x', k: filled(32), sig: filled(64), seq: 1 }
  assert.is(codeOf(query('put', { ...full, v: filled(996) })), undefined, '1000 bytes with its length')
  assert.is(codeOf(query('put', { ...full, v: filled(997) })), FAULT.tooBig)
  assert.is(codeOf(query('put', { token: 'x', v: filled(3000) })), FAULT.tooBig)
  assert.is(codeOf(query('put', { token: 'x', v: ['x'.repeat(500), 'y'.repeat(500)] })), FAULT.tooBig)
  assert.is(codeOf(query('put', { ...full, v: 'x', salt: filled(64) })), undefined)
  assert.is(codeOf(query('put', { ...full, v: 'x', salt: filled(65) })), FAULT.saltTooBig)
  assert.is(codeOf(query('put', { ...full, v: filled(4096) })), undefined, 'beyond any bound: silence')
  assert.is(decodeMessage(query('put', { ...full, v: filled(4096) })), undefined)
})

test('the port of an announcement is not looked at when it is implied', () => {
  for (const args of [{ implied_port: 1 }, { implied_port: 1, port: 0 }, { implied_port: 2, port: 'x' }]) {
    const message = decodeMessage(query('announce_peer', { info_hash: TARGET, token: 'x', ...args }))
    assert.equal(message, { ...head, method: 'announce_peer', target: TARGET, token: bytes('x'), port: undefined })
  }
})

test('the value of an item keeps its bytes', () => {
  const value = 'd1:\x00i18446744073709551e9:__proto__d1:ali-1eeee'
  const message = decodeMessage(bytes(`d1:ad2:id20:${text(ID)}5:token1:x1:v${value}e1:q3:put1:t2:aa1:y1:qe`))
  assert.ok(message?.kind === 'query' && message.method === 'put')
  assert.is(text(message.item.value), value)
})

test('families that are not known are no error', () => {
  const message = decodeMessage(query('find_node', { target: TARGET, want: ['n9', 'n6', 'n6'] }))
  assert.equal(message, { ...head, method: 'find_node', target: TARGET, want: ['n6'] })
})

test('broken replies are met with silence', () => {
  const broken: [string, Uint8Array][] = [
    ['no r', encode({ t: 'aa', y: 'r' })],
    ['r no dictionary', encode({ r: 'x', t: 'aa', y: 'r' })],
    ['no id', reply({ id: undefined })],
    ['id long', reply({ id: filled(21) })],
    ['nodes odd', reply({ nodes: filled(27) })],
    ['nodes list', reply({ nodes: [filled(26)] })],
    ['nodes6 odd', reply({ nodes6: filled(26) })],
    ['token integer', reply({ token: 5 })],
    ['token empty', reply({ token: '' })],
    ['token long', reply({ token: filled(65) })],
    ['values string', reply({ values: filled(6) })],
    ['values odd', reply({ values: [filled(6), filled(7)] })],
    ['values integers', reply({ values: [1] })],
    ['v too large', reply({ v: filled(997) })],
    ['sig short', reply({ v: 'x', k: filled(32), sig: filled(63), seq: 1 })],
    ['no seq', reply({ v: 'x', k: filled(32), sig: filled(64) })],
    ['seq text', reply({ seq: 'x' })],
    ['seq negative', reply({ seq: -1 })],
  ]
  for (const [what, datagram] of broken) assert.is(decodeMessage(datagram), undefined, what)
  for (const e of [undefined, 'x', [], [203], ['x', 203], [[], 'x'], {}]) {
    assert.is(decodeMessage(encode({ e, t: 'aa', y: 'e' })), undefined)
  }
})

test('odd decorations do not spoil a reply', () => {
  const plain = decodeReply(reply({}))
  assert.ok(plain)
  for (const rest of [{ ip: filled(4) }, { ip: 7 }, { ip: filled(6, 0) }, { v: 7 }, { v: filled(40) }, { v: '' }]) {
    assert.equal(decodeReply(reply({}, rest)), plain)
  }
  const mapped = Buffer.from('00000000000000000000ffffcb0071051151', 'hex')
  assert.equal(decodeReply(reply({}, { ip: mapped }))?.observed, { host: '203.0.113.5', port: 4433 })
})

test('contacts and peers nobody can reach are left out', () => {
  const ipv4 = (hex: string): Uint8Array => Buffer.concat([TARGET, Buffer.from(hex, 'hex')])
  const nodes = Buffer.concat([ipv4('c00002010000'), ipv4('e00000010001'), ipv4('c00002010001'), ipv4('000000000001')])
  const nodes6 = Buffer.concat([
    ipv4('00000000000000000000ffffc00002090007'),
    ipv4('fe800000000000000000000000000001ffff'),
  ])
  const values = ['c00002010000', 'c00002020001', 'ff02000000000000000000000000000100ff'].map((hex) =>
    Buffer.from(hex, 'hex'),
  )
  const message = decodeReply(reply({ nodes, nodes6, values }))
  assert.equal(message?.nodes, [
    { id: TARGET, address: { host: '192.0.2.1', port: 1 } },
    { id: TARGET, address: { host: '192.0.2.9', port: 7 } },
  ])
  assert.equal(message?.peers, [{ host: '192.0.2.2', port: 1 }])
  const unusable = { host: 'fe80::1%eth0', port: 1 }
  const written = encodeMessage({
    kind: 'reply',
    transaction: bytes('aa'),
    id: ID,
    nodes: [{ id: TARGET, address: unusable }],
    peers: [unusable],
    observed: unusable,
  })
  assert.is(text(written), 'd1:rd2:id20:abcdefghij01234567896:valueslee1:t2:aa1:y1:re')
})

test('a reply keeps to its bound and leaves out what does not fit', () => {
  const contacts = (count: number, host: string) =>
    Array.from({ length: count }, (_, i) => ({ id: filled(20, i), address: { host, port: i + 1 } }))
  const base: Reply = { kind: 'reply', transaction: filled(16), id: ID, nodes: [], token: filled(8) }
  const nodes = [...contacts(8, '192.0.2.1'), ...contacts(8, '2001:db8::1')]
  const peers = Array.from({ length: 300 }, (_, i) => ({ host: `192.0.2.${i % 256}`, port: 1 + i }))

  const crowded = decodeReply(encodeMessage({ ...base, nodes, peers }))!
  assert.equal(crowded.nodes, nodes, 'the contacts had their turn')
  assert.ok(crowded.peers!.length > 60)
  assert.equal(crowded.peers, peers.slice(0, crowded.peers!.length), 'the first ones')
  const size = encodeMessage({ ...base, nodes, peers }).length
  assert.ok(size <= MAX_REPLY_BYTES && size > MAX_REPLY_BYTES - 60, `${size}`)

  // The largest item there is, with the longest of everything else.
  const largest: Reply = {
    ...base,
    nodes,
    peers,
    version: filled(16),
    observed: { host: '2001:db8::5', port: 1 },
    item: { value: Uint8Array.from(encode(filled(996))), mutable: { ...mutable, sequence: Number.MAX_SAFE_INTEGER } },
  }
  const encoded = encodeMessage(largest)
  assert.ok(encoded.length <= MAX_REPLY_BYTES, `${encoded.length}`)
  const fitted = decodeReply(encoded)!
  assert.equal(fitted.item, largest.item)
  assert.equal([fitted.version, fitted.observed, fitted.token], [undefined, undefined, undefined])
  const usual = {
    ...largest,
    transaction: filled(4),
    item: { ...largest.item!, mutable: { ...mutable, sequence: 2e12 } },
  }
  assert.equal(decodeReply(encodeMessage(usual))!.token, largest.token, 'one of our own has room for its token')

  for (let maxBytes = 90; maxBytes < 1300; maxBytes += 3) {
    const one = encodeMessage(largest, maxBytes)
    assert.ok(one.length <= maxBytes, `${one.length} of ${maxBytes}`)
    const read = decodeReply(one)!
    assert.is(read.item?.mutable?.sequence ?? read.sequence, Number.MAX_SAFE_INTEGER, 'what there is to be had is told')
    assert.ok(encodeMessage({ ...base, nodes, peers }, maxBytes).length <= maxBytes)
  }
  assert.ok(decodeReply(encodeMessage(largest, 0)), 'the bare form is always there')
})

test('a fault keeps to its bound', () => {
  const fault = { kind: 'fault', transaction: bytes('aa'), code: 203, message: 'x'.repeat(5000) } as const
  assert.ok(encodeMessage(fault).length < 150)
  assert.ok(encodeMessage(fault, 60).length <= 60)
  assert.ok(judge(encodeMessage(fault, 60)))
})

test.run()

/**
 * Hostile bytes: whatever arrives gives a message, a coded refusal or silence, never an exception and never a value that
 * breaks the contract of message.ts. What decodes can be written and read again as the same.
 */
import bencode from 'bencode'
import * as assert from 'uvu/assert'
import { type Encodable, encode, judge, MAX_BENCODE_BYTES } from '../../../discovery/dht/bencode.ts'
import { decodeMessage, encodeMessage, MAX_VALUE_BYTES, type Malformed } from '../../../discovery/dht/krpc.ts'
import { type Contact, FAULT, type KrpcMessage } from '../../../discovery/dht/message.ts'
import type { Address } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('krpc fuzz', { watchdogMs: 240_000 })
const INPUTS_PER_TEST = 100_000
const DEADLINE_MS = 120_000

/** Choices of one test, with the seed printed. */
const chance = () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random.float() * limit)
  return {
    below,
    oneIn: (n: number): boolean => below(n) === 0,
    pick: <T>(items: readonly T[]): T => items[below(items.length)]!,
    bytes: (length: number): Uint8Array => random.bytes(length),
  }
}
type Chance = ReturnType<typeof chance>

type Entries = { [key: string]: Encodable | undefined }

/** Any value, up to a depth. Keys are ASCII, or npm bencode would change them. */
const anyValue = (c: Chance, depth: number): Encodable => {
  const kind = c.below(depth > 0 ? 6 : 4)
  if (kind === 0) return c.pick([0, 1, -1, 6881, 65536, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1), c.below(1e9)])
  if (kind === 1) return c.pick(['', 'x', 'n4', 'q', '__proto__', 'get_peers'])
  if (kind === 2) return c.bytes(c.pick([0, 1, 2, 4, 6, 18, 19, 20, 21, 26, 32, 38, 64, 65]))
  if (kind === 3) return c.bytes(c.below(c.oneIn(50) ? 1200 : 40))
  if (kind === 4) return Array.from({ length: c.below(4) }, () => anyValue(c, depth - 1))
  const keys = ['', 'a', 'aa', 'b', 'id', 'z', '10', '9', 'constructor', '~']
  return Object.fromEntries(Array.from({ length: c.below(4) }, () => [c.pick(keys), anyValue(c, depth - 1)]))
}

const maybe = <T>(c: Chance, make: () => T): T | undefined => (c.oneIn(2) ? make() : undefined)
const compact = (c: Chance, size: number): Uint8Array => {
  const bytes = c.bytes(size)
  if (c.oneIn(4)) bytes.fill(0, 0, c.below(size))
  return bytes
}

/** A message in which every field is right. */
const anyMessage = (c: Chance): Entries => {
  const id = c.bytes(20)
  const head = { t: c.bytes(1 + c.below(16)), v: maybe(c, () => c.bytes(4)) }
  const want = maybe(c, () => ['n4', 'n6'].slice(c.below(2)))
  const mutable = c.oneIn(2) ? { k: c.bytes(32), sig: c.bytes(64), seq: c.below(2 ** 40) } : {}
  const kind = c.below(8)
  if (kind === 0) return { ...head, y: 'e', e: [c.pick(Object.values(FAULT)), 'something'] }
  if (kind === 1 || kind === 2) {
    const r = {
      id,
      nodes: maybe(c, () => compact(c, 26 * c.below(9))),
      nodes6: maybe(c, () => compact(c, 38 * c.below(9))),
      token: maybe(c, () => c.bytes(1 + c.below(20))),
      values: maybe(c, () => Array.from({ length: c.below(30) }, () => compact(c, c.pick([6, 18])))),
      ...(c.oneIn(3) ? { ...mutable, v: anyValue(c, 3) } : {}),
    }
    return { ...head, y: 'r', r, ip: maybe(c, () => compact(c, c.pick([6, 18]))) }
  }
  const [q, a] = c.pick<readonly [string, Entries]>([
    ['ping', {}],
    ['find_node', { target: c.bytes(20), want }],
    ['get_peers', { info_hash: c.bytes(20), want }],
    [
      'announce_peer',
      { info_hash: c.bytes(20), token: c.bytes(8), port: 1 + c.below(65535), implied_port: c.below(2) },
    ],
    ['get', { target: c.bytes(20), want, seq: maybe(c, () => c.below(1e6)) }],
    [
      'put',
      {
        token: c.bytes(8),
        v: anyValue(c, 3),
        ...mutable,
        salt: maybe(c, () => c.bytes(c.below(65))),
        cas: maybe(c, () => 4),
      },
    ],
    ['vote', { target: maybe(c, () => c.bytes(20)) }],
  ])
  return { ...head, y: 'q', q, a: { id, ...a }, ro: maybe(c, () => c.below(2)) }
}

/** Breaks the grammar of KRPC and not that of bencode: fields of other types, missing, unknown, or moved. */
const misbuilt = (c: Chance, message: Entries): Entries => {
  const names = Object.keys(message)
  const inner = names.filter((name) => typeof message[name] === 'object' && (name === 'a' || name === 'r'))
  const name = c.pick(inner.length > 0 && c.oneIn(2) ? inner : names)
  const value = message[name]
  if (inner.includes(name) && !c.oneIn(5)) return { ...message, [name]: misbuilt(c, value as Entries) }
  if (c.oneIn(4)) return { ...message, [name]: undefined }
  if (c.oneIn(4)) return { ...message, [c.pick(['a', 'r', 'e', 'id', 'zz', 'want', 'k'])]: anyValue(c, 2) }
  return { ...message, [name]: anyValue(c, 2) }
}

const INTERESTING = Buffer.from('0123456789:eidl-+.x\x00\xff', 'latin1')

/** Breaks the grammar of bencode: cut, flipped, with bytes put in or left out. */
const mangled = (c: Chance, bytes: Uint8Array): Buffer => {
  let text = Buffer.from(bytes)
  for (let changes = 1 + c.below(3); changes > 0; changes--) {
    const at = c.below(text.length + 1)
    const kind = c.below(6)
    if (kind === 0) text = text.subarray(0, at)
    else if (kind === 1) text = Buffer.concat([text.subarray(0, at), text.subarray(at + 1 + c.below(4))])
    else if (kind === 2)
      text = Buffer.concat([text.subarray(0, at), Buffer.of(c.pick([...INTERESTING])), text.subarray(at)])
    else if (kind === 3) text = Buffer.concat([text.subarray(0, at), text.subarray(c.below(at + 1))])
    else if (at < text.length) text[at] = kind === 4 ? c.pick([...INTERESTING]) : c.below(256)
  }
  return text.subarray(0, MAX_BENCODE_BYTES + 10)
}

const assertAddress = ({ host, port }: Address): void => {
  assert.ok(/^[0-9a-f:.]+$/.test(host) && !host.startsWith('0.') && host !== '::', host)
  assert.ok(port > 0 && port < 65536)
}

const assertContact = ({ id, address }: Contact): void => {
  assert.is(id.length, 20)
  assertAddress(address)
}

/** What message.ts promises. */
const assertContract = (message: KrpcMessage): void => {
  assert.ok(message.transaction.length >= 1 && message.transaction.length <= 16)
  if (message.kind === 'fault') {
    assert.ok(Number.isSafeInteger(message.code))
    assert.ok(message.message.length <= 100)
    return
  }
  assert.is(message.id.length, 20)
  if (message.kind === 'reply') {
    message.nodes.forEach(assertContact)
    message.peers?.forEach(assertAddress)
    if (message.observed) assertAddress(message.observed)
  } else if ('target' in message && message.target !== undefined) assert.is(message.target.length, 20)
  if ('token' in message && message.token) assert.ok(message.token.length >= 1 && message.token.length <= 64)
  if ('port' in message && message.port !== undefined) assert.ok(message.port >= 1 && message.port <= 65535)
  if ('salt' in message && message.salt) assert.ok(message.salt.length <= 64)
  if (!('item' in message) || message.item === undefined) return
  assert.ok(message.item.value.length <= MAX_VALUE_BYTES)
  assert.ok(judge(message.item.value), 'a value is bencoded')
  const { mutable } = message.item
  if (mutable === undefined) return
  assert.equal([mutable.publicKey.length, mutable.signature.length], [32, 64])
  assert.ok(Number.isSafeInteger(mutable.sequence) && mutable.sequence >= 0)
}

const CODES: readonly number[] = [FAULT.protocol, FAULT.tooBig, FAULT.saltTooBig]

/** Decodes, holds the result against the contract, and says what it was. */
const check = (bytes: Uint8Array, deeply: boolean): string => {
  let result: KrpcMessage | Malformed | undefined
  try {
    result = decodeMessage(bytes)
  } catch (error) {
    throw new Error(`${Buffer.from(bytes).toString('hex')}: ${error}`)
  }
  if (result === undefined) return 'silence'
  if (result.kind === 'malformed') {
    assert.ok(CODES.includes(result.answer.code))
    assertContract(result.answer)
    return `malformed ${result.answer.code}`
  }
  assertContract(result)
  const again = encodeMessage(result, MAX_BENCODE_BYTES * 2)
  const reread = again.length > MAX_BENCODE_BYTES ? result : decodeMessage(again)
  const hex = Buffer.from(bytes).toString('hex')
  assert.ok(reread !== undefined && reread.kind !== 'malformed', hex)
  assert.ok(Buffer.compare(encodeMessage(reread, MAX_BENCODE_BYTES * 2), again) === 0, hex)
  if (deeply) assert.equal(reread, result)
  return result.kind
}

const tally = (counts: Map<string, number>, what: string): void => {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

/** Runs one kind of input through `check`; gives how often each outcome was seen. */
const run = (make: (c: Chance) => Uint8Array): Map<string, number> => {
  const c = chance()
  const counts = new Map<string, number>()
  for (let i = 0; i < INPUTS_PER_TEST; i++) tally(counts, check(make(c), i % 50 === 0))
  return counts
}

test(
  'messages whose fields are right or wrong are read, refused with a code, or met with silence',
  () => {
    const counts = run((c) => {
      let message = anyMessage(c)
      for (let changes = c.below(3); changes > 0; changes--) message = misbuilt(c, message)
      return encode(message)
    })
    for (const what of ['query', 'reply', 'fault', 'silence', 'malformed 203', 'malformed 205', 'malformed 207']) {
      assert.ok((counts.get(what) ?? 0) > 0, `${what} was never seen`)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'messages cut, flipped and garbled are never more than that',
  () => {
    const counts = run((c) => mangled(c, encode(anyMessage(c))))
    for (const what of ['query', 'reply', 'silence']) assert.ok(counts.get(what)! > 100, what)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'noise and bombs are met with silence',
  () => {
    const counts = run((c) => {
      const unit = c.pick(['l', 'd1:a', 'd0:', 'li', '9', 'e', '0:', 'i0e', 'd1:y1:q1:t', '1:t2:aa1:y1:q'])
      if (c.oneIn(20)) return Buffer.from(unit.repeat(1 + c.below(Math.ceil(MAX_BENCODE_BYTES / unit.length))))
      const bytes = Uint8Array.from({ length: 1 + c.below(60) }, () => INTERESTING[c.below(INTERESTING.length)]!)
      return c.oneIn(2) ? c.bytes(c.below(200)) : Buffer.concat([Buffer.from('d1:'), bytes, Buffer.from('e')])
    })
    assert.is(counts.get('silence'), INPUTS_PER_TEST)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'what is judged canonical is what npm bencode writes',
  () => {
    const c = chance()
    let canonical = 0
    for (let i = 0; i < 40_000; i++) {
      const value = anyValue(c, 4)
      const whole = encode(value)
      if (whole.length > MAX_BENCODE_BYTES) continue
      assert.ok(judge(whole), Buffer.from(whole).toString('latin1'))
      assert.ok(isNpmCanonical(whole), 'both write the same')
      const text = mangled(c, whole)
      // npm bencode goes backwards over a negative length, and may never end.
      if (text.length > MAX_BENCODE_BYTES || text.length === 0 || text.includes(0x2d)) continue
      const judged = judge(text)
      if (isNpmCanonical(text) && !/\d{20}/.test(text.toString('latin1')))
        assert.ok(judged, `refused: ${text.toString()}`)
      // Keys that are no ASCII and integers that are rounded are changed by npm bencode, and not by us.
      const isFaithful = text.every((byte) => byte < 0x80) && !/\d{16}|__proto__/.test(text.toString('latin1'))
      if (judged && isFaithful) assert.ok(isNpmCanonical(text), `accepted: ${text.toString()}`)
      if (judged) canonical++
    }
    assert.ok(canonical > 1000, `${canonical} of the mangled were canonical still`)
  },
  { deadlineMs: DEADLINE_MS },
)

/** Whether npm bencode, lenient as it is, writes a text as it read it. */
const isNpmCanonical = (text: Uint8Array): boolean => {
  try {
    return Buffer.compare(bencode.encode(bencode.decode(text) as Uint8Array), text) === 0
  } catch {
    return false
  }
}

test.run()

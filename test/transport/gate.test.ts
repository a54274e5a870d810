/** The gate: members pass, strangers and bent datagrams do not, keys can be changed while everything runs. */
import { createHmac } from 'node:crypto'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { GATE_TAG_BYTES, Gate } from '../../transport/gate.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('gate')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)
const random = seededRandom(seed)

const key = (): Uint8Array => random.bytes(32)

const sealed = (gate: Gate, content: Uint8Array): Uint8Array => {
  const buffer = new Uint8Array(content.length + GATE_TAG_BYTES + 7)
  buffer.set(content)
  return buffer.subarray(0, gate.seal(buffer, content.length))
}

test('what a key sealed it opens, at any length', () => {
  const gate = new Gate([key()])
  for (const length of [1, 7, 63, 64, 65, 1200, 1350, 16_383]) {
    const content = random.bytes(length)
    const datagram = sealed(gate, content)
    assert.is(datagram.length, length + GATE_TAG_BYTES)
    assert.is(gate.open(datagram), length)
    assert.equal(datagram.subarray(0, length), content)
  }
})

test('the tag is the first 16 bytes of HMAC-SHA256, as docs/port.md says', () => {
  const secret = key()
  const content = random.bytes(1200)
  const expected = createHmac('sha256', secret).update(content).digest().subarray(0, 16)
  assert.equal(Buffer.from(sealed(new Gate([secret]), content).subarray(1200)), expected)
})

test('nothing is written outside the tag', () => {
  const buffer = new Uint8Array(100).fill(0xaa)
  assert.is(new Gate([key()]).seal(buffer, 40), 56)
  assert.ok(buffer.subarray(0, 40).every((byte) => byte === 0xaa))
  assert.ok(buffer.subarray(56).every((byte) => byte === 0xaa))
})

test('every flipped bit and every other length is refused', () => {
  const gate = new Gate([key()])
  const datagram = sealed(gate, random.bytes(60))
  for (let bit = 0; bit < datagram.length * 8; bit++) {
    const bent = Uint8Array.from(datagram)
    bent[bit >> 3] = bent[bit >> 3]! ^ (1 << (bit & 7))
    assert.is(gate.open(bent), -1, `bit ${bit}`)
  }
  for (let length = 0; length < datagram.length; length++) assert.is(gate.open(datagram.subarray(0, length)), -1)
  assert.is(gate.open(Uint8Array.of(...datagram, 0)), -1)
})

test('noise and datagrams of another cookie are refused', () => {
  const gate = new Gate([key(), key(), key(), key()])
  const stranger = new Gate([key()])
  for (let i = 0; i < 2000; i++) {
    assert.is(gate.open(random.bytes(i % 80)), -1)
    assert.is(gate.open(sealed(stranger, random.bytes(1 + (i % 80)))), -1)
  }
})

test('rotation: the first key seals, all open, a key taken away opens no more', () => {
  const [old, fresh] = [key(), key()]
  const content = random.bytes(200)
  const stages = [new Gate([old]), new Gate([old, fresh]), new Gate([fresh, old]), new Gate([fresh])]
  const opens = stages.map((receiver) => stages.map((sender) => receiver.open(sealed(sender, content)) === 200))
  assert.equal(opens, [
    [true, true, false, false],
    [true, true, true, true],
    [true, true, true, true],
    [false, false, true, true],
  ])
})

test('the fourth of four keys opens', () => {
  const keys = [key(), key(), key(), key()]
  for (const each of keys) assert.is(new Gate(keys).open(sealed(new Gate([each]), random.bytes(33))), 33)
})

test('mistakes of the caller are coded errors', () => {
  const refused = (make: () => unknown): void => {
    try {
      make()
    } catch (error) {
      assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_ARGUMENT'))
      return
    }
    assert.unreachable()
  }
  refused(() => new Gate([]))
  refused(() => new Gate([key(), key(), key(), key(), key()]))
  refused(() => new Gate([new Uint8Array(15)]))
  refused(() => new Gate([key()]).seal(new Uint8Array(50), 40))
})

test('keys change while the gate is in use; a refused change leaves it as it was', () => {
  const [old, fresh] = [key(), key()]
  const content = random.bytes(50)
  const gate = new Gate([old])
  gate.useKeys([fresh, old])
  assert.is(new Gate([fresh]).open(sealed(gate, content)), 50)
  assert.is(gate.open(sealed(new Gate([old]), content)), 50)
  gate.useKeys([fresh])
  assert.is(gate.open(sealed(new Gate([old]), content)), -1)
  assert.throws(() => gate.useKeys([old, new Uint8Array(3)]))
  assert.is(gate.open(sealed(new Gate([fresh]), content)), 50)
  assert.is(gate.open(sealed(new Gate([old]), content)), -1)
})

test.run()

import { createHash, createPublicKey } from 'node:crypto'
import * as assert from 'uvu/assert'
import { isNodeId, nodeIdBytes, nodeIdOf, rawPublicKey } from '../../certs/node-id.ts'
import { suite } from '../support/suite.ts'
import { rejects } from './support.ts'

const test = suite('certs/node-id')

/** RFC 8032 section 7.1, test 1. Its id was computed with Python's hashlib and base64. */
const PUBLIC_KEY = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex')
const NODE_ID = 'eh7ddx5bksrgcytl7bkai36se4nxx3kl'

test('the id of a known key', () => {
  assert.is(nodeIdOf(PUBLIC_KEY), NODE_ID)
  assert.ok(isNodeId(NODE_ID))
})

test('an id spells the start of the hash of its key', () => {
  for (let i = 0; i < 200; i++) {
    const key = createHash('sha256').update(`key ${i}`).digest()
    const expected = createHash('sha256').update(key).digest('hex').slice(0, 40)
    assert.is(Buffer.from(nodeIdBytes(nodeIdOf(key))).toString('hex'), expected)
  }
})

test('a key of another size has no id', async () => {
  for (const size of [0, 31, 33, 44]) {
    await rejects('ERR_SKEIN_BAD_ARGUMENT', () => nodeIdOf(new Uint8Array(size)))
  }
})

test('what is not an id is told apart', async () => {
  const others = ['', NODE_ID.slice(1), `${NODE_ID}a`, NODE_ID.toUpperCase(), NODE_ID.replace('e', '1'), `${NODE_ID}\n`]
  for (const text of others) {
    assert.not(isNodeId(text), JSON.stringify(text))
    await rejects('ERR_SKEIN_BAD_ARGUMENT', () => nodeIdBytes(text))
  }
  for (const value of [undefined, null, 7, [NODE_ID]]) assert.not(isNodeId(value))
})

test('the raw key is found in a key object', () => {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), PUBLIC_KEY])
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  assert.equal(rawPublicKey(key), new Uint8Array(PUBLIC_KEY))
})

test.run()

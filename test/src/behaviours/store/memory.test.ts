/** The store in memory: compliance, and its bounds. */
import * as assert from 'uvu/assert'
import { memoryStore } from '../../../../src/behaviours/store/memory.ts'
import { suite } from '../../../support/suite.ts'
import { storeCompliance } from './compliance.ts'
import { bytesOf, rejects } from './store-support.ts'

const test = suite('memory store')
storeCompliance(test, 'memory')

test('the bound of keys holds, and a removed key makes room', async () => {
  const store = memoryStore({ maxKeys: 2 })
  await store.save('a', bytesOf('1'))
  await store.save('b', bytesOf('1'))
  await rejects('ERR_SKEIN_LIMIT', () => store.save('c', bytesOf('1')))
  await store.save('a', bytesOf('2'))
  await store.remove('b')
  await store.save('c', bytesOf('1'))
  assert.is(await store.load('b'), undefined)
  assert.equal(await store.load('c'), bytesOf('1'))
})

test('the bound of bytes counts what is held, not what passed through', async () => {
  const store = memoryStore({ maxBytes: 10 })
  for (let round = 0; round < 5; round++) await store.save('a', new Uint8Array(10))
  await rejects('ERR_SKEIN_LIMIT', () => store.save('a', new Uint8Array(11)))
  await rejects('ERR_SKEIN_LIMIT', () => store.save('b', new Uint8Array(1)))
  await store.save('a', new Uint8Array(4))
  await store.save('b', new Uint8Array(6))
  await store.remove('a')
  await store.remove('a')
  await rejects('ERR_SKEIN_LIMIT', () => store.save('c', new Uint8Array(5)))
  await store.save('c', new Uint8Array(4))
})

test.run()

/**
 * Jest with `node --experimental-vm-modules`, which it needs for any package that is ESM.
 */
import { randomBytes } from 'node:crypto'
import { jest } from '@jest/globals'
import { genServer, isSkeinError, startNode } from 'skein'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
/** A busy machine takes longer than Jest's five seconds to load what a node is made of. */
jest.setTimeout(60_000)

let here
let there

beforeAll(async () => {
  here = await startNode({ ...options, name: 'here' })
  there = await startNode({ ...options, name: 'there' })
  await here.connect(`127.0.0.1:${there.addresses[0].port}`)
})
afterAll(() => Promise.all([here.stop(), there.stop()]))

test('a value goes to the other node and comes back as it was', async () => {
  const echo = genServer({ init: () => ({ state: 0 }), handleCall: (value) => ({ reply: value }) })
  const pid = await there.start(echo)
  const value = { text: 'hello', bytes: new Uint8Array([1, 2]), map: new Map([['a', 1n]]), at: new Date(0) }
  expect(await here.call(pid, value)).toEqual(value)
})

test('errors have codes', async () => {
  const error = await here.call({ name: 'nobody', node: there.name }, 0).catch((thrown) => thrown)
  expect(isSkeinError(error, 'ERR_SKEIN_NOPROC')).toBe(true)
})

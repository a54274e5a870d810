/** A GenServer called from another node over QUIC: typed, checked by schemas, its state kept over a restart. */
import * as assert from 'uvu/assert'
import { z } from 'zod'
import {
  genServer,
  isSkeinError,
  memoryStore,
  type NodeEvent,
  type PidOf,
  type SkeinNode,
  type StandardSchema,
  startNode,
} from '../../src/index.ts'
import { COOKIE } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('genServer across nodes')

/** By hand, as the standard describes it: no library needed. */
const positive: StandardSchema<unknown, { readonly remove: string }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      const { remove } = (typeof value === 'object' && value !== null ? value : {}) as { remove?: unknown }
      if (typeof remove === 'string') return { value: { remove } }
      return { issues: [{ message: 'it names no item', path: ['remove'] }] }
    },
  },
}

const Item = z.object({ item: z.string().max(20), price: z.number().positive() })

const store = memoryStore()
const basket = genServer({
  init: (_self, _id: string) => ({ state: new Map<string, number>() }),
  handleCall(request: z.infer<typeof Item> | 'total', _from, items) {
    if (request !== 'total') items.set(request.item, request.price)
    const total = [...items.values()].reduce((sum, price) => sum + price, 0)
    return request === 'total' ? { reply: total } : { reply: total, state: items }
  },
  handleCast(message: { readonly remove: string }, items) {
    items.delete(message.remove)
    return { state: items }
  },
  schema: { call: z.union([z.literal('total'), Item]), cast: positive },
  persist: { store, key: (id) => `basket/${id}` },
})

const startPair = async (t: TestContext): Promise<[SkeinNode, SkeinNode]> => {
  const options = { cookie: COOKIE, host: '127.0.0.1', port: 0, discovery: false } as const
  const a = await startNode({ ...options, name: 'a' })
  t.defer(() => a.stop())
  const b = await startNode({ ...options, name: 'b' })
  t.defer(() => b.stop())
  await a.connect(`127.0.0.1:${b.addresses[0]?.port}`)
  return [a, b]
}

/** The first event of this type from now on. */
const next = async (node: SkeinNode, type: NodeEvent['type']): Promise<NodeEvent | undefined> => {
  for await (const event of node.events) if (event.type === type) return event
  return undefined
}

/** Hands a pid from node to node as programs do: in a message. */
const knownTo = (node: SkeinNode, by: SkeinNode, pid: PidOf<typeof basket>): Promise<PidOf<typeof basket>> =>
  new Promise((resolve) => {
    node.spawnWith({ name: 'hears' }, async (self) => resolve((await self.receive()) as PidOf<typeof basket>))
    by.send({ name: 'hears', node: node.name }, pid)
  })

test('calls and casts that fit are served, others are refused with what is wrong, and the state survives', async (t) => {
  const [a, b] = await startPair(t)
  const pid = await knownTo(a, b, await b.start(basket, 'one'))
  assert.is(await a.call(pid, { item: 'tea', price: 3 }), 3)
  assert.is(await a.call(pid, { item: 'milk', price: 2 }), 5)
  a.cast(pid, { remove: 'tea' })
  assert.is(await a.call(pid, 'total'), 2)
  try {
    await a.call(pid, { item: 'gold', price: -1 })
    assert.unreachable()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_REQUEST'), String(error))
    assert.match(error.message, 'price')
  }
  const letter = next(b, 'deadLetter')
  a.cast(pid, { remove: 5 as never })
  const event = await letter
  assert.equal(event?.type === 'deadLetter' && [event.reason, event.issues], [
    'ERR_SKEIN_BAD_REQUEST',
    [{ path: 'remove', message: 'it names no item' }],
  ])
  b.exit(pid, 'kill')
  const again = await b.start(basket, 'one')
  assert.is(await b.call(again, 'total'), 2)
})

test.run()

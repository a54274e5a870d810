/**
 * A counter as a GenServer: typed calls and casts, checked where they come from another node, and a total that survives
 * the end of its process. Run it with: npx tsx examples/counter-server.ts
 */
import { randomBytes } from 'node:crypto'
import { genServer, isSkeinError, memoryStore, type Request, type StandardSchema, startNode } from 'skein'

type Read = Request<'read', number>
type Add = { readonly add: number }

// zod, valibot and arktype make such schemas.
const addSchema: StandardSchema<unknown, Add> = {
  '~standard': {
    version: 1,
    vendor: 'example',
    validate: (value) => {
      const { add } = (value ?? {}) as Partial<Add>
      return typeof add === 'number' ? { value: { add } } : { issues: [{ path: ['add'], message: 'must be a number' }] }
    },
  },
}

const counter = genServer({
  init: (_self, start: number) => ({ state: start }),
  handleCall: (_request: Read, _from, total) => ({ reply: total }),
  handleCast: (message: Add, total) => ({ state: total + message.add }),
  schema: { cast: addSchema },
  persist: { store: memoryStore(), key: 'total' },
})

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const server = await startNode({ ...options, name: 'server' })
const client = await startNode({ ...options, name: 'client' })
await client.connect(`127.0.0.1:${server.addresses[0]?.port}`)

const pid = await server.start(counter, 100)
server.register('counter', pid)
server.cast(pid, { add: 1 })
console.log('on its node, by pid:', await server.call(pid, 'read'))

const target = { name: 'counter', node: server.name }
for (let i = 0; i < 10; i++) client.cast(target, { add: 10 })
console.log('from another node, by name:', await client.call(target, 'read'))

const refused = (async () => {
  for await (const event of server.events) if (event.type === 'deadLetter') return event
  return undefined
})()
client.cast(target, { add: 'ten' })
const letter = await refused
console.log('a cast that does not fit:', letter?.reason, letter?.issues)

server.exit(pid, 'kill')
const again = await server.start(counter, 100)
console.log('after a restart:', await server.call(again, 'read'))

// There is no handler for this: the compiler would not allow it to a pid, a name takes anything.
server.register('counter', again)
const strange = genServer({ init: () => ({ state: undefined }) })
server.register('strange', await server.start(strange))
try {
  await client.call({ name: 'strange', node: server.name }, 'read')
} catch (error) {
  console.log('a call that nobody handles:', isSkeinError(error) ? error.code : error)
}
await Promise.all([client.stop(), server.stop()])

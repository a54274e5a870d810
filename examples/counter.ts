/**
 * A counter that others call by its name, and what its callers learn when it is gone.
 * Run it with: npx tsx examples/counter.ts
 */
import { randomBytes } from 'node:crypto'
import { type CallMessage, isSkeinError, type SystemMessage, startNode } from 'skein'

type Request = { readonly add: number } | 'read' | 'stop'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const server = await startNode({ ...options, name: 'server' })
const client = await startNode({ ...options, name: 'client' })
await client.connect(`127.0.0.1:${server.addresses[0]?.port}`)

// State is a variable of the function: nobody else can touch it, and messages come one at a time.
const counter = server.spawn<CallMessage<Request>, []>(async (self) => {
  let total = 0
  for await (const { from, request } of self) {
    if (request === 'stop') return
    if (request !== 'read') total += request.add
    self.reply(from, total)
  }
})
server.register('counter', counter)

// A name on a node is an address like a pid.
const target = { name: 'counter', node: server.name }
await Promise.all(Array.from({ length: 100 }, (_, i) => client.call(target, { add: i + 1 })))
console.log('the sum of 1 to 100 is', await client.call(target, 'read'))

// Whoever monitors a process is told once, with the reason, when it has ended.
const down = new Promise<SystemMessage>((resolve) => {
  client.spawn<SystemMessage, []>(async (self) => {
    self.monitor(target)
    resolve(await self.receive((message) => message.type === 'DOWN'))
  })
})

try {
  await client.call(target, 'stop')
} catch (error) {
  console.log('a call to a process that ends:', isSkeinError(error) ? error.code : error)
}
const message = await down
if (message.type === 'DOWN') console.log('the monitor says:', message.type, message.reason)

try {
  await client.call(target, 'read')
} catch (error) {
  console.log('a call to a process that is gone:', isSkeinError(error) ? error.code : error)
}
await Promise.all([client.stop(), server.stop()])

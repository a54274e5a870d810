/**
 * Plain ESM: two nodes, a call from one to a server on the other, and its reply. Prints the reply and which way it came.
 */
import { randomBytes } from 'node:crypto'
import { genServer, startNode } from 'skein'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false, tcp: true }
const here = await startNode({ ...options, name: 'here' })
const there = await startNode({ ...options, name: 'there' })

const greeter = genServer({
  init: () => ({ state: 'hello' }),
  handleCall: (name, _from, greeting) => ({ reply: `${greeting}, ${name}` }),
})
there.register('greeter', await there.start(greeter))

await here.connect(`127.0.0.1:${there.addresses[0].port}`)
const reply = await here.call({ name: 'greeter', node: there.name }, 'ESM')
const { nodes } = await here.observer.snapshot({ nodes: [here.name] })
console.log(`${reply}, by ${nodes[0].snapshot.connections.list[0].way}`)
await Promise.all([here.stop(), there.stop()])

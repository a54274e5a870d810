/** One node of the pool in a process of its own, started by main.ts. It may lead the pool, and runs some of its workers. */
import { startNode } from 'skein'
import { workerOn } from './worker.ts'

const WORKERS_IN_ALL = 6

const [name = '', cookie = '', ...seeds] = process.argv.slice(2)
const node = await startNode({
  name,
  cookie,
  host: '127.0.0.1',
  port: 0,
  discovery: { mdns: false, dht: false, seeds },
})
node.behaviour('worker', workerOn(node))
node.supervise('pool', {
  placement: 'leastLoaded',
  children: Array.from({ length: WORKERS_IN_ALL }, (_, i) => ({ id: `worker-${i + 1}`, behaviour: 'worker' })),
})
process.on('message', async () => {
  await node.drain({ timeoutMs: 5000 })
  process.disconnect()
})
process.on('disconnect', () => process.exit())
process.send?.(`127.0.0.1:${node.addresses[0]?.port}`)

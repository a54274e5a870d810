/** One node of the store in a process of its own, started by main.ts, which tells it what to do. */
import { startNode } from 'skein'
import type { Answer, Command } from './protocol.ts'
import { REPLICAS, replica } from './replica.ts'

const [name = '', cookie = '', ...seeds] = process.argv.slice(2)
const node = await startNode({
  name,
  cookie,
  host: '127.0.0.1',
  port: 0,
  discovery: { mdns: false, dht: false, seeds },
})
const store = await node.start(replica)

const introduce = async (): Promise<void> => {
  for await (const event of node.groups.watch(REPLICAS)) {
    // Whoever joins, also when a connection comes back: both sides tell each other what they have.
    const pids = event.type === 'join' ? event.pids : event.type === 'lagged' ? node.groups.members(REPLICAS) : []
    for (const other of pids) if (!other.equals(store)) node.send(store, { type: 'met', replica: other })
  }
}
void introduce()
node.groups.join(REPLICAS, store)

const answer = (message: Answer): void => {
  process.send?.(message)
}

process.on('message', async (command: Command) => {
  if (command === 'replicas') answer({ value: node.groups.members(REPLICAS).length })
  else if (command === 'stop') {
    await node.stop()
    process.disconnect()
  } else answer({ value: await node.call(store, command) })
})
process.on('disconnect', () => process.exit())
answer({ address: `127.0.0.1:${node.addresses[0]?.port}` })

/** One node in a process of its own, started by main.ts, which tells it what to do. */
import { type PidOf, startNode } from 'skein'
import { counterOn, NOTES, note } from './counter.ts'
import type { Command, Counted, Ready } from './protocol.ts'

const [name = '', cookie = '', ...seeds] = process.argv.slice(2)
const node = await startNode({
  name,
  cookie,
  host: '127.0.0.1',
  port: 0,
  discovery: { mdns: false, dht: false, seeds },
})
node.groups.join(NOTES, await node.start(note))

const counter = counterOn(node)
node.behaviour('counter', counter)
const supervisor = node.supervise('example', { children: [{ id: 'counter', behaviour: 'counter' }] })

/** As often as it takes: while the counter moves, nobody answers. */
const count = async (): Promise<Counted> => {
  for (;;) {
    const pid = supervisor.child('counter') as PidOf<typeof counter> | undefined
    try {
      if (pid !== undefined) return { total: await node.call(pid, 'count', { timeoutMs: 3000 }), node: pid.node }
    } catch {
      // It is gone; there will be another one.
    }
    await new Promise((go) => setTimeout(go, 50))
  }
}

process.on('message', async (command: Command) => {
  if (command === 'count') process.send?.(await count())
  else {
    await node.stop()
    process.disconnect()
  }
})
process.on('disconnect', () => process.exit())
const ready: Ready = { node: node.name, address: `127.0.0.1:${node.addresses[0]?.port}` }
process.send?.(ready)

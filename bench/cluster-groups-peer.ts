/** A node with members of a group: they count what they get, and the process `counter` answers when all of it has come. */
import { type CallMessage, type From, startNode } from 'skein'
import { serve } from './peer.ts'

await serve(async ({ name, cookie, members }) => {
  const node = await startNode({
    name: name as string,
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
  })
  let left = 0
  let asker: From | undefined
  const pids = Array.from({ length: members as number }, () =>
    node.spawn(async (self) => {
      for await (const _ of self) if (--left === 0 && asker !== undefined) self.reply(asker, undefined)
    }),
  )
  node.groups.join('all', pids)
  node.spawnWith({ name: 'counter' }, async (self) => {
    for await (const message of self) {
      const { from, request } = message as CallMessage<number | 'ready'>
      // Announced first, so that nothing comes before the count is set.
      if (request === 'ready') self.reply(from, undefined)
      else [left, asker] = [request, from]
    }
  })
  const address = node.addresses[0]!
  return { ready: { address: `${address.host}:${address.port}`, node: node.name }, stop: () => node.stop() }
})

/** In a forked process: so many whole nodes, connected to the node at that address and to no other. */
import { type SkeinNode, startNode } from 'skein'
import { serve } from './peer.ts'

await serve(async ({ cookie, hub, first, count }) => {
  const nodes: SkeinNode[] = []
  for (let i = 0; i < (count as number); i++) {
    const node = await startNode({
      name: `far${(first as number) + i}@bench`,
      cookie: cookie as string,
      host: '127.0.0.1',
      port: 0,
      discovery: false,
      mesh: 'none',
      logLevel: 'error',
    })
    await node.connect(hub as string)
    nodes.push(node)
  }
  return { ready: {}, stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))) }
})

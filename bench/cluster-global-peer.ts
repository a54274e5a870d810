/** A node with global names. */
import { startNode } from 'skein'
import { registerMany } from './cluster-global.ts'
import { serve } from './peer.ts'

await serve(async ({ cookie, names }) => {
  const node = await startNode({
    name: 'old@bench',
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
  })
  await registerMany(node, names as number)
  const address = node.addresses[0]!
  return { ready: { address: `${address.host}:${address.port}` }, stop: () => node.stop() }
})

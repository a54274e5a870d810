/**
 * TypeScript: what the compiler knows without any set-up (pids, replies, events), and the exchange at run time.
 */
import { randomBytes } from 'node:crypto'
import { genServer, isSkeinError, type NodeEvent, type SkeinNode, startNode } from 'skein'
import { createIdentity, type Identity } from 'skein/certs'
import type { DiscoverySource } from 'skein/discovery'
import { simulate } from 'skein/testing'
import type { Transport } from 'skein/transport'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false } as const
const here: SkeinNode = await startNode({ ...options, name: 'here' })
const there: SkeinNode = await startNode({ ...options, name: 'there' })

const counter = genServer({
  init: (_self, start: number) => ({ state: start }),
  handleCall: (request: { readonly add: number }, _from, total) => ({
    reply: total + request.add,
    state: total + request.add,
  }),
})
const pid = await there.start(counter, 40)
await here.connect(`127.0.0.1:${there.addresses[0]?.port}`)
const total: number = await here.call(pid, { add: 2 })

// @ts-expect-error: the server takes no text.
const refused = here.call(pid, 'two', { timeoutMs: 1 }).catch((error: unknown) => isSkeinError(error))
await refused
const kinds: NodeEvent['type'][] = ['nodeup', 'nodedown']
export type All = [Identity, DiscoverySource, Transport]

console.log(`${total}, ${kinds.join()}, ${typeof createIdentity}, ${typeof simulate}`)
await Promise.all([here.stop(), there.stop()])

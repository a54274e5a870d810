/**
 * A node as a service: settings from environment and file (docs/configuration.md), health on a TCP port, and a child that
 * runs once in the whole cluster. SIGTERM hands over what runs here, and then the program ends.
 */
import { genServer, startHealthServer, startNode } from 'skein'

/** Whoever kills must wait longer: stop_grace_period, terminationGracePeriodSeconds, TimeoutStopSec. */
const DRAIN_TIMEOUT_MS = 30_000
const { HEALTH_HOST = '127.0.0.1', HEALTH_PORT = '9090' } = process.env

const say = (what) => console.log(JSON.stringify(what))

const tally = genServer({
  init: (_self, total = 0) => ({ state: total }),
  handleCall: (request, _from, total) =>
    request === 'hand over' ? { reply: total, stop: 'shutdown' } : { reply: total + 1, state: total + 1 },
})

const node = await startNode()
process.once('SIGTERM', async () => say({ type: 'drained', ...(await node.drain({ timeoutMs: DRAIN_TIMEOUT_MS })) }))
process.once('SIGINT', () => void node.stop())

const { host, port } = await startHealthServer(node, { host: HEALTH_HOST, port: Number(HEALTH_PORT) })
node.behaviour('tally', tally, { handOver: 'hand over' })
node.supervise('app', { children: [{ id: 'tally', behaviour: 'tally' }] })
say({ type: 'started', node: node.name, health: `${host}:${port}` })

for await (const event of node.events) {
  if (['nodeup', 'nodedown', 'supervisorLeader'].includes(event.type)) say(event)
}

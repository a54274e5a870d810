/** One node of the example in a process of its own, started by main.ts: `hub`, `sensor` or `desk`. */
import { genServer, type PidOf, type SkeinNode, type SystemMessage, startNode } from 'skein'

const SENSORS = 'sensors'
const READINGS = 3

const [role = '', host = '', seed] = process.argv.slice(2)
const bind = host === '' ? {} : { host }
const seeds = seed === undefined ? [] : [seed]
// The cookie comes from SKEIN_COOKIE.
const node = await startNode({ name: role, ...bind, port: 0, discovery: { mdns: false, dht: false, seeds } })
// main.ts holds the other end: nothing is left when that one ends, however it does.
process.stdin.resume().once('end', () => void node.stop())

const thermometer = genServer({
  init: () => ({ state: 20 }),
  handleCall: (_request: 'read', _from, celsius) => ({ reply: celsius, state: celsius + 0.5 }),
})

/** How packets to a node go now, as the own node counts them. */
const wayTo = async (name: string): Promise<string> => {
  const { nodes } = await node.observer.snapshot({ nodes: [node.name] })
  const [own] = nodes
  if (own?.status !== 'ok') return 'unknown'
  return own.snapshot.connections.list.find((one) => one.node === name)?.way ?? 'unknown'
}

const firstSensor = async (of: SkeinNode): Promise<PidOf<typeof thermometer>> => {
  while (of.isAlive) {
    const [pid] = of.groups.members(SENSORS)
    if (pid !== undefined) return pid as PidOf<typeof thermometer>
    await new Promise((go) => setTimeout(go, 50))
  }
  throw new Error('the desk was stopped before it saw a sensor')
}

if (role === 'sensor') node.groups.join(SENSORS, await node.start(thermometer))
if (role === 'desk') {
  const sensor = await firstSensor(node)
  for (let i = 0; i < READINGS; i++) {
    const celsius = await node.call(sensor, 'read')
    console.log(`the desk reads ${celsius.toFixed(1)} degrees, by ${await wayTo(sensor.node)}`)
    await new Promise((go) => setTimeout(go, 1500))
  }
  node.spawn<SystemMessage, []>(async (self) => {
    self.monitor(sensor)
    console.log('the desk watches the sensor')
    const message = await self.receive()
    if (message.type === 'DOWN') console.log(`the desk was told that the sensor is gone: ${String(message.reason)}`)
  })
}
console.log(`ready ${node.addresses.find((one) => one.host.includes('.') || host.includes(':'))?.port}`)

/**
 * Publishing to a group of 1000 members on three other nodes, each in a process of its own, over QUIC on loopback, compared
 * with sending each of them a message, in the same run: messages that arrive per second.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Self, type SkeinNode, startNode } from 'skein'
import { startPeer } from './peer.ts'
import { alternate, type Measurement } from './report.ts'

const MEMBERS = [334, 333, 333] as const
const ALL = 1000
const ROUNDS = 200
const PAYLOAD = { type: 'tick', text: 'x'.repeat(80) } as const
const TIMEOUT_MS = 60_000

type Speak = (self: Self) => Promise<void>

const publish: Speak = async (self) => {
  if (!self.publish('all', PAYLOAD)) await self.drained({ group: 'all' })
}

const sendEach =
  (node: SkeinNode): Speak =>
  async (self) => {
    for (const pid of node.groups.members('all')) if (!self.send(pid, PAYLOAD)) await self.drained(pid)
  }

/** Messages that arrive per second. */
const rate = (node: SkeinNode, speak: Speak): Promise<number> =>
  new Promise((resolve, reject) => {
    node.spawn(async (self: Self) => {
      try {
        const counters = node.nodes().map((name) => ({ name: 'counter', node: name }))
        const members = (name: string): number => node.groups.members('all').filter((pid) => pid.node === name).length
        const all = counters.map((target) =>
          self.call(target, members(target.node) * ROUNDS, { timeoutMs: TIMEOUT_MS }),
        )
        for (const target of counters) await self.call(target, 'ready')
        const startMs = performance.now()
        for (let round = 0; round < ROUNDS; round++) await speak(self)
        await Promise.all(all)
        resolve((ALL * ROUNDS * 1000) / (performance.now() - startMs))
      } catch (error) {
        reject(error)
      }
    })
  })

export async function* groups(): AsyncGenerator<Measurement> {
  const cookie = randomBytes(16).toString('hex')
  const peers = await Promise.all(
    MEMBERS.map((members, i) =>
      startPeer(new URL('./cluster-groups-peer.ts', import.meta.url), { name: `g${i}@bench`, cookie, members }),
    ),
  )
  const node = await startNode({ name: 'publisher@bench', cookie, host: '127.0.0.1', port: 0, discovery: false })
  for (const { ready } of peers) await node.connect(ready.address as string)
  while (node.groups.members('all').length < ALL) await pause(10)
  yield await alternate({
    bench: 'cluster',
    metric: `publish-${ALL}-members`,
    unit: 'messages/s',
    measure: () => rate(node, publish),
    baseline: `${ALL}-sends`,
    measureBaseline: () => rate(node, sendEach(node)),
  })
  await node.stop()
  for (const peer of peers) await peer.stop()
}

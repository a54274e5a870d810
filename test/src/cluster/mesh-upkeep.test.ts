/** Which connections a node of a large cluster gives up. */
import * as assert from 'uvu/assert'
import { nodeIdOf } from '../../../certs/node-id.ts'
import type { SigningKey } from '../../../certs/signing-key.ts'
import { CONTROL } from '../../../src/cluster/control.ts'
import { IDLE_MS } from '../../../src/cluster/idle-connections.ts'
import { MeshUpkeep } from '../../../src/cluster/mesh-upkeep.ts'
import type { Peers } from '../../../src/cluster/peers.ts'
import type { Logger } from '../../../src/config.ts'
import { Origin } from '../../../src/pid.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('mesh upkeep')

const MEMBERS = Array.from({ length: 200 }, (_, i) => nodeIdOf(Buffer.alloc(32, `member ${i}`))).sort()
/** The greatest id: it is this one that asks. */
const OWN = MEMBERS.at(-1)!

test('an idle connection is given up, but not one that relays, or an introducer, needs', async (t) => {
  const clock = new VirtualClock()
  const asked: string[] = []
  const needed = new Set<string>()
  const sessions = new Map(
    MEMBERS.slice(0, -1).map((id) => {
      const peer = { version: 2, takeUsed: () => false, hold: () => true }
      const lanes = { flushed: async () => {}, lastHeardMs: 0 }
      const meshFrame = (type: number): void => {
        if (type === CONTROL.idle) asked.push(id)
      }
      return [id, { id, peer, lanes, meshFrame, end: () => {}, leaveIdle: () => {}, isOver: false }] as const
    }),
  )
  const peers = {
    connected: () => [...sessions.keys()].map((id) => ({ id, hidden: false })),
    sessionById: (id: string) => sessions.get(id),
    peerById: (id: string) => sessions.get(id)?.peer,
  }
  const upkeep = new MeshUpkeep({
    self: new Origin('own@test', OWN, '0000000000000001'),
    key: {} as SigningKey,
    clock,
    random: seededRandom(1),
    logger: {} as Logger,
    peers: peers as unknown as Peers,
    strategy: { mesh: 'full', fullMeshNodes: 10, preventOverlappingPartitions: false },
    known: () => sessions.keys(),
    uses: () => false,
    needs: (id) => needed.has(id),
    emit: () => {},
    comeBack: () => {},
    reconsider: () => {},
  })
  t.defer(() => upkeep.stop())
  const spare = MEMBERS.slice(0, -1).filter((id) => !upkeep.topology.wants(id))
  assert.ok(spare.length > 100)
  for (const id of spare.slice(0, 3)) needed.add(id)
  upkeep.start()
  await clock.run({ untilMs: IDLE_MS + 100 })
  assert.equal(asked.sort(), spare.slice(3))
})

test.run()

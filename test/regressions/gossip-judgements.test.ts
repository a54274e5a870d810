/** What gossip kept for too long, believed too early or counted twice. */
import * as assert from 'uvu/assert'
import { nodeIdOf } from '../../certs/node-id.ts'
import { signingKeyFromSeed } from '../../certs/signing-key.ts'
import { LAN_LIVENESS } from '../../src/cluster/liveness.ts'
import { encodeGossip, MEMBERSHIP_FRAMES } from '../../src/cluster/membership/frames.ts'
import { Membership } from '../../src/cluster/membership/membership.ts'
import { type Announcement, type Doubt, type GossipItem, Notary } from '../../src/cluster/membership/statements.ts'
import { Origin } from '../../src/pid.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('judgements of gossip')

const CLUSTER = 'test'
const INCARNATION = '0'.repeat(16)

class Other {
  readonly notary: Notary
  readonly origin: Origin
  /** The last sign of life; undefined: it is heard all the time. */
  heardMs: number | undefined

  constructor(name: string, seed: number) {
    const key = signingKeyFromSeed(Buffer.alloc(32, seed))
    this.notary = new Notary(key, CLUSTER)
    this.origin = new Origin(`${name}@test`, nodeIdOf(key.publicKey), INCARNATION)
  }

  says(refutation = 0, hasLeft = false): Announcement {
    const { name, incarnation } = this.origin
    return this.notary.announce({ name, incarnation, refutation, hasLeft, addresses: [] })
  }

  doubts({ origin: { id, incarnation } }: { readonly origin: Origin }, level: Doubt['level'], refutation = 0): Doubt {
    return this.notary.doubt({ level, subject: id, incarnation, refutation })
  }
}

/** One member that is looked at, and others that tell it something. */
class Stage {
  readonly clock = new VirtualClock()
  readonly self = new Other('self', 99)
  readonly events: string[] = []
  readonly refusals: string[] = []
  readonly neighbours = new Set<string>()
  readonly membership: Membership
  isFull = false
  checks = 0

  constructor(...neighbours: Other[]) {
    const { clock, self } = this
    for (const { origin } of neighbours) this.neighbours.add(origin.id)
    const stage = this
    const note = (type: string, name: string): void => void this.events.push(`${type} ${name}`)
    this.membership = new Membership({
      self: self.origin,
      notary: {
        announce: (said) => self.notary.announce(said),
        doubt: (said) => self.notary.doubt(said),
        isGenuine: (said) => {
          this.checks++
          return self.notary.isGenuine(said)
        },
      },
      clock,
      random: seededRandom(1),
      topology: {
        get full() {
          return stage.isFull
        },
        neighboursOf: () => this.neighbours,
      },
      listener: {
        joined: ({ name }) => note('up', name),
        suspected: ({ name }) => note('suspect', name),
        cleared: ({ name }) => note('clear', name),
        left: ({ name }, reason) => note(reason, name),
      },
      isHidden: false,
      takesPart: true,
      addresses: () => [],
      hint: () => {},
      forget: () => {},
      knownChanged: () => {},
      refused: (node, code) => void this.refusals.push(`${node} ${code}`),
    })
    this.membership.start()
  }

  connect(...others: Other[]): void {
    const { clock } = this
    for (const other of others) {
      const { name, id, incarnation } = other.origin
      const carrier = {
        id,
        version: 2,
        isHidden: false,
        get lastHeardMs() {
          return other.heardMs ?? clock.now()
        },
        rttMs: () => 1,
        tick: () => {},
        probe: () => {},
        tell: () => {},
        giveUp: () => {},
      }
      const address = { host: '10.0.0.1', port: 1 }
      this.membership.connected({
        name,
        incarnation,
        isLocal: false,
        seenAt: [address],
        listens: [],
        carrier,
        askForPeers: () => {},
      })
    }
  }

  tell(from: Other, ...items: GossipItem[]): void {
    for (const body of encodeGossip(items)) {
      this.membership.received(from.origin.id, MEMBERSHIP_FRAMES.gossip, body)
    }
  }

  /** Connected, and introduced by its own word. */
  join(...others: Other[]): void {
    this.connect(...others)
    for (const other of others) this.tell(other, other.says())
  }

  stateOf({ origin }: Other): string | undefined {
    return this.membership.view.get(origin.id)?.state
  }
}

const forged = (said: Announcement): Announcement => ({ ...said, signature: new Uint8Array(64) })

test('a mesh that becomes small enough to be full suspects nobody any more', () => {
  const [a, b] = [new Other('a', 1), new Other('b', 2)]
  const stage = new Stage(a, b)
  stage.join(a, b)
  stage.tell(a, a.doubts(b, 'suspect'))
  assert.is(stage.stateOf(b), 'suspect')
  stage.isFull = true
  stage.clock.advance(1000)
  assert.is(stage.stateOf(b), 'alive')
  assert.equal(stage.events, ['up a@test', 'up b@test', 'suspect b@test', 'clear b@test'])
})

test('the same doubt told again and again by others costs its author one mistake', () => {
  const [a, b, liar] = [new Other('a', 1), new Other('b', 2), new Other('liar', 3)]
  const stage = new Stage(a, b, liar)
  stage.join(a, b, liar)
  stage.tell(a, a.doubts(stage.self, 'suspect'))
  const { checks } = stage
  // It is refuted within a second, not at once.
  for (let i = 0; i < 100; i++) stage.tell(liar, a.doubts(stage.self, 'suspect', 1))
  assert.ok(stage.checks - checks <= 1, `${stage.checks - checks} signatures looked at`)
  stage.tell(a, a.doubts(b, 'suspect'))
  assert.equal(stage.refusals, [])
  assert.is(stage.stateOf(b), 'suspect')
})

test('a verdict that was refuted does not stand in the way of the next of the same member', () => {
  const [a, b] = [new Other('a', 1), new Other('b', 2)]
  const stage = new Stage(b)
  stage.join(a, b)
  // Not a neighbour yet: its verdict is passed on, and does not count.
  stage.tell(a, a.doubts(b, 'down'))
  assert.is(stage.stateOf(b), 'alive')
  stage.tell(b, b.says(1))
  stage.neighbours.add(a.origin.id)
  stage.tell(a, a.doubts(b, 'suspect', 1))
  assert.is(stage.stateOf(b), 'suspect')
})

test('who passes on a wrong signature is not listened to for a while: checks cost time', () => {
  const [a, liar] = [new Other('a', 1), new Other('liar', 2)]
  const stage = new Stage(a, liar)
  stage.join(a, liar)
  const { checks } = stage
  for (let i = 1; i <= 200; i++) stage.tell(liar, forged(a.says(i)), forged(a.says(i + 1000)))
  assert.ok(stage.checks - checks <= 1, `${stage.checks - checks} signatures looked at`)
  assert.equal(stage.refusals, ['liar@test ERR_SKEIN_GOSSIP_REFUSED'])
  stage.tell(a, a.says(1))
  assert.is(stage.stateOf(a), 'alive')
})

test('what was told of a member in a full mesh, unchecked, does not outlive its own word', () => {
  const [a, liar] = [new Other('a', 1), new Other('liar', 2)]
  const stage = new Stage(a, liar)
  stage.isFull = true
  stage.join(liar)
  stage.tell(liar, forged(a.says(2 ** 32 - 1)))
  stage.join(a)
  stage.isFull = false
  stage.clock.advance(1000)
  stage.membership.disconnected(a.origin.id, 'idle', false)
  assert.is(stage.stateOf(a), 'alive', 'it has said that it is there, and nobody doubts it')
})

test('a forged revival, told in a full mesh, is found out when the mesh grows', () => {
  const [a, b, liar] = [new Other('a', 1), new Other('b', 2), new Other('liar', 3)]
  const stage = new Stage(a, b, liar)
  stage.join(a, b, liar)
  stage.isFull = true
  stage.clock.advance(1000)
  stage.membership.disconnected(a.origin.id, 'net_tick_timeout', false)
  assert.is(stage.stateOf(a), undefined)
  stage.tell(liar, forged(a.says(7)))
  // Nor is a newer start believed that never was.
  const { name } = b.origin
  const future = { name, incarnation: 'f'.repeat(16), refutation: 0, hasLeft: false, addresses: [] }
  stage.membership.disconnected(b.origin.id, 'net_tick_timeout', false)
  stage.tell(liar, forged(b.notary.announce(future)))
  stage.isFull = false
  stage.clock.advance(1000)
  assert.is(stage.stateOf(a), undefined)
  assert.is(stage.stateOf(b), undefined)
  stage.tell(liar, b.says(1))
  assert.is(stage.stateOf(b), 'alive', 'its own word counts, whoever passes it on')
})

test('a suspect that is heard again is not declared down for want of a refutation', () => {
  const [a, b] = [new Other('a', 1), new Other('b', 2)]
  const stage = new Stage(a, b, new Other('self', 99))
  stage.join(a, b)
  stage.clock.advance(5000)
  b.heardMs = stage.clock.now()
  for (let i = 0; i < 200 && stage.stateOf(b) !== 'suspect'; i++) stage.clock.advance(50)
  assert.is(stage.stateOf(b), 'suspect')
  b.heardMs = undefined
  stage.clock.advance(LAN_LIVENESS.downAfterMs * 10)
  assert.is(stage.stateOf(b), 'alive')
  assert.not.ok(stage.events.includes('down b@test'))
})

test('an old doubt of one who had no say does not shorten the time to refute a new one', () => {
  const [a, b] = [new Other('a', 1), new Other('b', 2)]
  const stage = new Stage(a)
  stage.join(a, b)
  stage.membership.disconnected(b.origin.id, 'net_tick_timeout', false)
  stage.clock.advance(60_000)
  assert.is(stage.stateOf(b), 'alive', 'this node is no neighbour of it')
  stage.tell(a, a.doubts(b, 'suspect'))
  stage.clock.advance(3000)
  assert.is(stage.stateOf(b), 'suspect')
})

test.run()

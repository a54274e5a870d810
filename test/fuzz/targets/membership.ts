/**
 * What a member tells of the membership: gossip, digests, probes, ticks, as a conversation with three members, any of which
 * may lie. Signatures are taken for genuine, but for one conversation in CHECKED: what only their owners could have signed is
 * to be survived too.
 */

import { nodeIdOf } from '../../../certs/node-id.ts'
import { signingKeyFromSeed } from '../../../certs/signing-key.ts'
import {
  decodeDigest,
  decodeGossip,
  encodeDigest,
  encodeGossip,
  encodeProbe,
  encodeProbed,
  MEMBERSHIP_FRAMES,
} from '../../../src/cluster/membership/frames.ts'
import { Membership } from '../../../src/cluster/membership/membership.ts'
import { type GossipItem, Notary } from '../../../src/cluster/membership/statements.ts'
import { MeshTopology } from '../../../src/cluster/mesh-topology.ts'
import { Origin } from '../../../src/pid.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { Chance } from '../chance.ts'
import { holds, isOneIn, joined, partsOf, type Target, tried } from '../target.ts'

const INCARNATION = '0000000000000001'
const keys = [0, 1, 2, 3].map((seed) => signingKeyFromSeed(Buffer.alloc(32, seed + 1)))
const ids = keys.map(({ publicKey }) => nodeIdOf(publicKey))
const notaries = keys.map((key) => new Notary(key, 'tag'))
const addresses = [{ host: '10.0.0.1', port: 4433 }]
const self = new Origin('n0@host', ids[0]!, INCARNATION)
const announce = (i: number, refutation: number, hasLeft: boolean) =>
  notaries[i]!.announce({ name: `n${i}@host`, incarnation: INCARNATION, refutation, hasLeft, addresses })
const ITEMS: readonly GossipItem[] = [1, 2, 3].flatMap((i) => [
  announce(i, 0, false),
  announce(i, 1, true),
  ...([0, 1, 2, 3] as const).flatMap((subject) =>
    (['suspect', 'down'] as const).map((level) =>
      notaries[i]!.doubt({ level, subject: ids[subject]!, incarnation: INCARNATION, refutation: 0 }),
    ),
  ),
  { kind: 'hint', hint: { name: `n${i}@host`, id: ids[i]!, incarnation: INCARNATION, addresses } },
])

/** Signing takes far longer than all the rest. */
const said = announce(0, 0, false)
const doubted = notaries[0]!.doubt({ level: 'suspect', subject: ids[1]!, incarnation: INCARNATION, refutation: 0 })

/** One conversation in so many is also read as if it were one frame. */
const WHOLE = 16
/** One conversation in so many has its signatures checked, which takes far longer than all the rest. */
const CHECKED = 64
const TICK = 0
const TIME = 1

const member = (clock: VirtualClock, full: number, isChecked: boolean) => {
  const told: number[] = []
  const membership: Membership = new Membership({
    self,
    notary: {
      announce: (about) => ({ ...said, ...about }),
      doubt: (about) => ({ ...doubted, ...about }),
      isGenuine: (statement) => !isChecked || notaries[0]!.isGenuine(statement),
    },
    clock,
    random: new Chance(1),
    topology: new MeshTopology({ selfId: self.id, fullMeshNodes: full, known: () => membership.view.known() }),
    listener: { joined: () => {}, suspected: () => {}, cleared: () => {}, left: () => {} },
    isHidden: false,
    takesPart: true,
    addresses: () => addresses,
    hint: () => {},
    forget: () => {},
    knownChanged: () => {},
    refused: () => {},
    admits: () => true,
  })
  const connect = (i: number): void =>
    membership.connected({
      name: `n${i}@host`,
      incarnation: INCARNATION,
      isLocal: false,
      seenAt: addresses,
      listens: [],
      carrier: {
        id: ids[i]!,
        version: 2,
        isHidden: false,
        lastHeardMs: 0,
        rttMs: () => 1,
        tick: () => {},
        probe: () => {},
        tell: (frame) => told.push(frame),
        giveUp: () => {},
      },
      askForPeers: () => {},
    })
  return { membership, connect, told }
}

export const target: Target = {
  name: 'membership',
  about: 'members: gossip, digests, probes and ticks, also signed lies, as a conversation',
  isSlow: true,
  dictionary: [
    ...ids,
    INCARNATION,
    Buffer.of(MEMBERSHIP_FRAMES.gossip),
    Buffer.of(0, 32),
    '10.0.0.1',
    Buffer.of(1, 0xbb),
  ],
  maxBytes: 4096,
  sample: (chance) => {
    const parts: Uint8Array[] = [Buffer.of(chance.below(256))]
    for (let i = 1 + chance.below(4); i > 0; i--) {
      const { gossip, digest, probe, probed } = MEMBERSHIP_FRAMES
      const frame = chance.pick([gossip, gossip, gossip, digest, probe, probed, TICK, TIME])
      const some = Array.from({ length: 1 + chance.below(5) }, () => chance.pick(ITEMS))
      const body =
        frame === gossip
          ? encodeGossip(some)[0]!
          : frame === digest
            ? encodeDigest([chance.next(), 0, 1])
            : frame === probe
              ? encodeProbe({ nonce: 1, subject: chance.pick(ids) })
              : frame === probed
                ? encodeProbed({ nonce: 1, isAlive: chance.oneIn(2) })
                : chance.bytes(4)
      parts.push(Buffer.concat([Buffer.of(1 + chance.below(3), frame), body]))
    }
    return joined(parts)
  },
  run: (bytes) => {
    if (isOneIn(WHOLE, bytes)) {
      tried(() => decodeGossip(bytes))
      tried(() => decodeDigest(bytes))
    }
    const clock = new VirtualClock()
    // A full mesh, or one in which gossip decides.
    const { membership, connect } = member(clock, (bytes.at(2) ?? 0) < 128 ? 128 : 0, isOneIn(CHECKED, bytes))
    membership.start()
    connect(1)
    connect(2)
    let count = 0
    for (const part of partsOf(bytes)) {
      if (part.length < 2 || ++count > 12) continue
      const from = ids[1 + (part[0]! % 3)]!
      const body = part.subarray(2)
      tried(() => {
        if (part[1] === TICK) membership.ticked(from, body.length < 4 ? 0 : body.readUInt32BE())
        else if (part[1] === TIME) clock.advance(100 * (body[0] ?? 1))
        else membership.received(from, part[1]!, body)
      })
    }
    clock.advance(2000)
    holds(membership.view.size <= 600, 'a few frames make no crowd')
    membership.stop()
  },
}

/**
 * Packets that no honest peer sends, against a node in a process of its own, by a member and by somebody who has the cookie
 * and proves nothing: its memory stays, the calls of other members are answered, and whoever overdoes it is shown out with
 * a code. docs/quic.md has the table of what is tried here.
 */
import * as assert from 'uvu/assert'
import { deriveKeys } from '../../certs/keys.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import * as frames from '../support/crafted-frames.ts'
import { CraftedPeer } from '../support/crafted-peer.ts'
import { COOKIE, machineNowMs, NodeProcess } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { dial } from '../transport/compliance.ts'
import { openPort, until } from '../transport/quic-support.ts'
import { Rogue } from './support.ts'

const test = suite('crafted packets', { watchdogMs: 300_000 })

const PACKETS = 1500
const PACKET_BYTES = 8000
/** The node may have that much more after all attacks of a test: two fifths of what one alone took before there was a bound. */
const GROWTH_BYTES = 96 << 20
const APPLICATION_CLOSE = 0x1d

const EIGHT = Buffer.alloc(8, 7)
const SIXTEEN = Buffer.alloc(16, 9)

/** As many frames as fit into a packet; each is told a number of its own. */
const full = (packet: number, make: (number: number) => Buffer): Buffer => {
  const list: Buffer[] = []
  for (let number = packet * PACKET_BYTES, bytes = 0; ; number++) {
    const frame = make(number)
    bytes += frame.length
    if (bytes > PACKET_BYTES) return Buffer.concat(list)
    list.push(frame)
  }
}

const lowId = (number: number): Buffer => {
  const id = Buffer.alloc(16)
  id.writeUInt32BE(number)
  return frames.newConnectionId(number, 0, id, id)
}

/**
 * `ends`: it is a matter of bounds, and the peer is shown out. Silently: quiche ends it, and has no id left to say so; the
 * failure detector, or the deadline of the handshake, clears up.
 */
interface Attack {
  readonly what: string
  readonly ends: boolean | 'silently'
  readonly packet: (index: number) => Buffer
}

const ATTACKS: readonly Attack[] = [
  { what: 'PATH_CHALLENGE (CVE-2023-6193)', ends: true, packet: (i) => full(i, () => frames.pathChallenge(EIGHT)) },
  {
    what: 'CRYPTO after the handshake (CVE-2024-1765)',
    ends: true,
    packet: (i) => full(i, (number) => frames.crypto(1000 + number * 2, Buffer.of(1))),
  },
  {
    what: 'NEW_CONNECTION_ID below retire_prior_to, nothing acknowledged (CVE-2024-1410)',
    ends: true,
    packet: (i) => (i === 0 ? frames.newConnectionId(1 << 29, 1 << 29, SIXTEEN, SIXTEEN) : full(i, lowId)),
  },
  {
    what: 'NEW_CONNECTION_ID with growing retire_prior_to (CVE-2024-1410)',
    ends: true,
    packet: (i) =>
      full(i, (number) =>
        frames.newConnectionId(number + 9, number + 9, Buffer.from(lowId(number).subarray(-16)), SIXTEEN),
      ),
  },
  {
    what: 'RETIRE_CONNECTION_ID of all ids',
    ends: 'silently',
    packet: (i) => full(i, (number) => frames.retireConnectionId(number % 4)),
  },
  {
    what: 'stream bytes behind gaps',
    ends: true,
    packet: (i) => full(i, (number) => frames.stream(14, 100 + ((number * 2) % 4_000_000), Buffer.of(1))),
  },
  {
    what: 'acknowledgements of thousands of ranges, never sent',
    ends: true,
    packet: (i) =>
      frames.ack(
        1_000_000 + i,
        0,
        Array.from({ length: 7900 }, () => 0),
        2 ** 40,
      ),
  },
  { what: 'PING', ends: true, packet: () => Buffer.alloc(PACKET_BYTES, 1) },
  { what: 'PADDING', ends: false, packet: () => Buffer.alloc(PACKET_BYTES) },
  { what: 'MAX_DATA', ends: true, packet: (i) => full(i, (number) => frames.maxData(2 ** 40 + number)) },
  { what: 'DATA_BLOCKED', ends: true, packet: (i) => full(i, frames.dataBlocked) },
  { what: 'DATAGRAM', ends: true, packet: (i) => full(i, () => frames.datagram(Buffer.of(99))) },
  { what: 'NEW_TOKEN', ends: true, packet: () => frames.newToken(Buffer.alloc(PACKET_BYTES - 10)) },
]

/** Ended by quiche itself, for what the RFC forbids. */
const FORBIDDEN: readonly (readonly [what: string, packet: Buffer])[] = [
  ['more streams than allowed', frames.stream(2 + 4 * 100_000, 0, EIGHT)],
  ['a bidirectional stream', frames.stream(0, 0, EIGHT)],
  ['more bytes than the window of a stream', frames.stream(14, 5 << 20, EIGHT)],
  ['STOP_SENDING of a stream that is ours to read', frames.stopSending(14)],
  ['HANDSHAKE_DONE from a client', frames.handshakeDone],
  ['credit for a stream that is its own', frames.maxStreamData(14, 2 ** 40)],
  ['more streams than there are numbers', frames.maxStreams(2 ** 61)],
  ['an unknown frame', Buffer.from([0x3f, 1, 2, 3, 4])],
  ['an acknowledgement below zero', frames.ack(5, 9)],
  [
    'a stream that ends twice, elsewhere',
    Buffer.concat([frames.stream(14, 0, EIGHT, true), frames.stream(14, 0, SIXTEEN, true)]),
  ],
]

const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await Promise.all([a.up(b.name), b.up(a.name)])
  await a.do('load', 'echo', 'echo', [])
  await b.do('load', 'caller', 'caller', [{ name: 'echo', node: a.name }])
  return [a, b]
}

const address = (node: NodeProcess) => ({ host: '127.0.0.1', port: node.facts.port })

const member = (t: TestContext, node: NodeProcess): Promise<CraftedPeer> =>
  CraftedPeer.takeOver(t, address(node), async (relay) => {
    const rogue = await Rogue.dialAt(t, relay)
    await rogue.up
    await node.up('rogue@nowhere')
  })

const cookieHolder = (t: TestContext, node: NodeProcess): Promise<CraftedPeer> =>
  CraftedPeer.takeOver(t, address(node), async (relay) => {
    const { gate } = deriveKeys(Buffer.from(COOKIE), 'default')
    const party = dial(await openPort(t, { gateKeys: [gate] }), relay)
    await until(() => party.isOpen, 'the connection opens')
  })

const closeOf = (peer: CraftedPeer) => peer.frames.find(({ type }) => type === 0x1c || type === APPLICATION_CLOSE)

/** What the others saw of it. */
const judge = async (a: NodeProcess, b: NodeProcess): Promise<void> => {
  await b.do('release', 'caller')
  const calls = await b.do('whenDone', 'caller')
  assert.is(calls.failed, 0)
  assert.ok((calls.answered ?? 0) > 0)
  assert.not(b.events.all.some(({ value }) => value.type === 'nodedown'))
  assert.equal(await a.nodes(), [b.name])
}

for (const [who, connect] of [
  ['a member', member],
  ['who has the cookie only', cookieHolder],
] as const) {
  test(
    `${who} sends frames that cost memory or time`,
    async (t) => {
      const [a, b] = await startPair(t)
      const before = await a.do('memory')
      for (const { what, ends, packet } of ATTACKS) {
        const peer = await connect(t, a)
        const startMs = machineNowMs()
        const rss = await a.do('memory')
        const sent = await peer.flood(
          PACKETS,
          packet,
          () => closeOf(peer) === undefined && machineNowMs() - startMs < 2000,
        )
        if (ends === true) {
          await until(() => closeOf(peer) !== undefined, `${what}: the end`)
          const close = closeOf(peer)
          // Who proves nothing may be shown out by the deadline of the handshake as well.
          if (who === 'a member')
            assert.equal([close?.type, close?.numbers[0]], [APPLICATION_CLOSE, wireCodeOf('ERR_SKEIN_LIMIT')], what)
        } else if (ends === false) await peer.send(frames.applicationClose(0, Buffer.alloc(0)))
        if (who === 'a member') await a.down('rogue@nowhere')
        const grownMb = ((await a.do('memory')) - rss) / 2 ** 20
        console.log(
          `${what}: ${sent} packets, ${Math.round(machineNowMs() - startMs)} ms, RSS ${grownMb.toFixed(1)} MB`,
        )
      }
      const grown = (await a.do('memory')) - before
      assert.ok(grown < GROWTH_BYTES, `${grown >> 20} MB more`)
      await judge(a, b)
    },
    { deadlineMs: 120_000 },
  )
}

test(
  'what the RFC forbids ends the connection of whoever does it, and nothing else',
  async (t) => {
    const [a, b] = await startPair(t)
    for (const [what, packet] of FORBIDDEN) {
      const peer = await member(t, a)
      await peer.send(packet)
      await a.down('rogue@nowhere')
      assert.ok(closeOf(peer) !== undefined, what)
    }
    await judge(a, b)
  },
  { deadlineMs: 60_000 },
)

test.run()

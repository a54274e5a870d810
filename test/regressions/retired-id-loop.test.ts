/**
 * A peer that announces an id again that the node has given back could bring the engine to use it once more; when the
 * news of its giving back was lost then, the engine looked for a packet to tell it in for ever (CVE-2025-7054), and
 * with it the whole process stood still.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { ack, datagram, newConnectionId, PING, type ReadFrame } from '../support/crafted-frames.ts'
import { CraftedPeer } from '../support/crafted-peer.ts'
import { suite } from '../support/suite.ts'
import { dial } from '../transport/compliance.ts'
import { GATE_KEY, openPort, startFixture, until } from '../transport/quic-support.ts'

const RETIRE_CONNECTION_ID = 0x19
/** First bytes of the DATAGRAM frames that prove a way (docs/port.md). */
const CHALLENGE = 3
const ANSWER = 4

/** Acknowledges these packets and no other. */
const ackOf = (numbers: readonly number[]): Buffer => {
  const sorted = [...new Set(numbers)].sort((a, b) => b - a)
  const ranges: [number, number][] = []
  for (const number of sorted) {
    const range = ranges.at(-1)
    if (range !== undefined && range[1] === number + 1) range[1] = number
    else ranges.push([number, number])
  }
  const [first, ...rest] = ranges as [[number, number], ...[number, number][]]
  let lowest = first[1]
  const pairs = rest.flatMap(([from, to]) => {
    const gap = lowest - from - 2
    lowest = to
    return [gap, from - to]
  })
  return ack(first[0], first[0] - first[1], pairs)
}

const test = suite('regression: an id that was given back and comes again')

test(
  'a node that gave an id back twice goes on answering',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'skein-loop-'))
    t.defer(() => rm(folder, { recursive: true, force: true }))
    const child = startFixture(t, 'port.ts', [join(folder, 'identity.pem'), '0', GATE_KEY.toString('hex')])
    const [line] = await once(child.stdout!, 'data')
    const address = { host: '127.0.0.1', port: Number(String(line)) }
    const peer = await CraftedPeer.takeOver(t, address, async (relay) => {
      const party = dial(await openPort(t), relay)
      await until(() => party.isOpen, 'the connection opens')
      party.send(Buffer.from('anything'))
    })
    const heard: number[] = [peer.largestHeard]
    const retired: number[] = []
    let challenges = 0
    peer.onPacket = (frames: readonly ReadFrame[], number): void => {
      const ids = frames.filter(({ type }) => type === RETIRE_CONNECTION_ID).map(({ numbers }) => numbers[0]!)
      retired.push(...ids)
      // Whoever gave the first id back is never told that we know.
      if (!ids.includes(0)) heard.push(number)
      const challenge = frames.find(({ type, data }) => (type & 0xfe) === 0x30 && data[0] === CHALLENGE)
      if (challenge === undefined) return
      challenges++
      const answer = Buffer.from([ANSWER, ...challenge.data.subarray(1), 1])
      void peer.send(ackOf(heard), datagram(answer), PING)
    }
    const id = (fill: number): Buffer => Buffer.alloc(16, fill)
    const talkUntil = async (condition: () => boolean, what: string): Promise<void> => {
      const pings = setInterval(() => void peer.send(ackOf(heard), PING), 20)
      await until(condition, what).finally(() => clearInterval(pings))
    }
    await peer.relay.rebind()
    await talkUntil(() => retired.includes(0), 'the first id is given back')
    await peer.send(newConnectionId(0, 0, id(0xaa), id(1)), PING)
    await peer.relay.rebind()
    const challenged = challenges
    await talkUntil(() => challenges > challenged, 'the node proves the new way')
    // A second later it would change its id; an answer to each of these takes three.
    const before = peer.packets.length
    await talkUntil(() => peer.packets.length > before + 150, 'the node goes on answering')
    assert.is(child.exitCode, null)
  },
  { deadlineMs: 30_000 },
)

test.run()

/**
 * What services of another node say, after it was decoded: boards of entries, orders of supervision, registrations, places
 * in groups, and what a node tells of itself. The board is the real one, with listeners that check as the services do.
 */

import { checkSnapshot } from '../../../src/observe/check-snapshot.ts'
import { Pid } from '../../../src/pid.ts'
import { Board, type BoardListener, isKey } from '../../../src/services/board.ts'
import { type Channel, type ChannelPeer, nonsense } from '../../../src/services/channel.ts'
import { readEntry } from '../../../src/services/global/claim.ts'
import { Dialogue } from '../../../src/services/global/dialogue.ts'
import { HybridClock } from '../../../src/services/global/stamp.ts'
import { placeOf } from '../../../src/services/groups/place.ts'
import { keepSpec, readSpec } from '../../../src/services/supervision/child-spec.ts'
import { readMessage } from '../../../src/services/supervision/messages.ts'
import { readSlot } from '../../../src/services/supervision/slot.ts'
import { traceparentOf } from '../../../src/wire/trace-context.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import type { Chance } from '../chance.ts'
import { holds, joined, partsOf, type Target, tried } from '../target.ts'
import { anyValue, codecOf, HERE, THERE, twisted } from '../values.ts'

const there = codecOf(THERE, HERE)
const here = codecOf(HERE, THERE)
const STAMP = '00df8475800000ab'
const { spec } = keepSpec({ id: 'x', behaviour: 'counter', args: [1] }, there)
const slot = { run: '1', pid: new Pid(THERE, 3), status: 'running', orderly: true, reason: '' }
const about = { supervisor: 'sup', id: 'x', run: '1' }

const SAID: readonly unknown[] = [
  {
    type: 'board',
    number: 0,
    put: [
      ['17:5:skeinlobby', true],
      ['name', [1, STAMP, STAMP, false]],
    ],
    removed: ['a'],
    complete: true,
  },
  {
    type: 'board',
    number: 0,
    put: [
      ['slot sup/x', slot],
      ['member sup', true],
    ],
    removed: [],
    complete: false,
  },
  { type: 'board', number: 1, put: [['17:5:skeinlobby', true]], removed: ['name', '17:5:skeinlobby'], complete: true },
  { type: 'boardAgain' },
  { type: 'boardNumber', number: 1 },
  { type: 'boardHas', number: 0 },
  { type: 'ask', id: 1, question: { type: 'claim', name: 'name', stamp: STAMP } },
  { type: 'answer', id: 1, value: STAMP },
  { type: 'refusal', id: 1, code: 'ERR_SKEIN_LIMIT', message: 'no' },
  { type: 'start', ...about, spec, state: Buffer.of(1) },
  { type: 'stop', ...about, handOver: true },
  { type: 'failed', ...about, code: 'ERR_SKEIN_LIMIT', text: 'so' },
  { type: 'state', ...about },
  [1, STAMP, STAMP, true],
  slot,
  spec,
  {
    node: THERE.name,
    id: THERE.id,
    incarnation: THERE.incarnation,
    uptimeMs: 5,
    processes: {
      count: 1,
      byMessages: [{ pid: new Pid(THERE, 1), names: ['a'], messages: 1, bytes: 1 }],
      byBytes: [],
      byBonds: [],
    },
    mailboxes: { messages: 1, bytes: 2, longest: 3, pressed: 0, overflows: 0 },
    connections: { count: 1, list: [{ node: HERE.name }] },
    names: { count: 1, list: ['a'] },
    supervisors: [{ pid: new Pid(THERE, 2), children: [{ id: 'c', children: [] }] }],
    counters: { a: 1 },
  },
]

const saidBy = (chance: Chance): unknown =>
  chance.oneIn(3) ? chance.pick(SAID) : chance.oneIn(6) ? anyValue(chance) : twisted(chance, chance.pick(SAID))

const peer: ChannelPeer = { pid: new Pid(THERE, 1), node: THERE.name, id: THERE.id, incarnation: THERE.incarnation }
const channel = {
  has: () => true,
  send: () => 'sent',
  offer: () => 'sent',
  drained: () => Promise.resolve(),
} as unknown as Channel

const listener: BoardListener<unknown> = {
  accept: (value, key) => {
    if (placeOf(key) !== undefined && value === true) return value
    if (key.startsWith('slot ')) return readSlot(value) ?? readEntry(value)
    if (value === undefined) throw nonsense('nothing')
    return readEntry(value)
  },
}

export const target: Target = {
  name: 'services',
  about: 'members: what their services say, decoded: boards, orders, registrations, places, snapshots',
  isSlow: true,
  dictionary: [
    '\xa4type',
    '\xa5board',
    '\xa3put',
    '\xa7removed',
    '\xa6number',
    '\xa8complete',
    '\xa3ask',
    '\xa8question',
    STAMP,
    '\x90',
    '\x80',
    Buffer.of(0xc0),
    Buffer.of(0xd4, 0, 0),
    'constructor',
  ],
  maxBytes: 4096,
  sample: (chance) =>
    joined(
      Array.from({ length: 1 + chance.below(4) }, () =>
        Uint8Array.from(tried(() => there.encode(saidBy(chance))) ?? [0xc0]),
      ),
    ),
  run: (bytes) => {
    const clock = new VirtualClock()
    const board = new Board<unknown>(() => channel, clock, listener)
    const stamps = new HybridClock(clock, 0)
    const dialogue = new Dialogue(
      () => channel,
      clock,
      (_peer, { type, name, stamp }) => {
        if (type === 'claim' && typeof stamp === 'string') return readEntry(name)
        throw nonsense('what is no question')
      },
    )
    board.set('own', 1)
    board.peerUp(peer)
    let entries = 0
    for (const part of partsOf(bytes)) {
      const message = tried(() => here.decode(part, 0, part.length))
      const isTaken = tried(() => board.received(peer, message))
      if (isTaken !== true && typeof message === 'object' && message !== null) {
        tried(() => dialogue.received(peer, message as Record<string, unknown>))
      }
      tried(() => readMessage(message))
      const claim = tried(() => readEntry(message))
      if (claim !== undefined) tried(() => stamps.see(claim[2]))
      readSlot(message)
      readSpec(message)
      checkSnapshot(message, THERE.name)
      traceparentOf(message)
      if (isKey(message)) placeOf(message)
      entries = board.of(peer)?.size ?? 0
      holds(entries <= bytes.length, 'a peer has no more entries than it told')
      clock.advance(500)
    }
    stamps.tick()
    board.peerDown(peer)
    holds(board.of(peer) === undefined, 'what is of a peer goes with it')
  },
}

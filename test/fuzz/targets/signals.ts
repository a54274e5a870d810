/**
 * Frames of signals at a node with processes and services: decoded and delivered as if another node had sent them, and
 * what becomes of them runs until all is quiet. An error that a node calls its own is a crash.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Self } from '../../../src/process/self.ts'
import { GlobalService } from '../../../src/services/global/global-service.ts'
import { GroupService } from '../../../src/services/groups/group-service.ts'
import { RoomService } from '../../../src/services/rooms/room-service.ts'
import { channelHost } from '../../../src/services/services.ts'
import type { Signal } from '../../../src/signals.ts'
import { Wire } from '../../../src/wire/wire.ts'
import type { Chance } from '../chance.ts'
import { joined, partsOf, type Target, tried } from '../target.ts'
import { anyValue, codecOf, HERE, THERE, twisted } from '../values.ts'
import { closeDown, visit } from '../visited.ts'

const STAMP = '00df8475800000ab'
const SAID: readonly unknown[] = [
  { type: 'board', number: 0, put: [['17:5:skeinlobby', true]], removed: [], complete: true },
  { type: 'board', number: 0, put: [['name', [7, STAMP, STAMP, false]]], removed: [], complete: true },
  { type: 'board', number: 1, put: [], removed: ['name', '17:5:skeinlobby'], complete: true },
  { type: 'ask', id: 1, question: { type: 'claim', name: 'name', stamp: STAMP, registeredAt: STAMP } },
  { type: 'ask', id: 2, question: { type: 'register', name: 'name', number: 3 } },
  { type: 'ask', id: 3, question: { type: 'transfer', name: 'name', number: 3, token: STAMP } },
  { type: 'ask', id: 4, question: { type: 'notice', name: 'name', token: STAMP } },
  { type: 'now', stamp: STAMP },
  { type: 'verdict', name: 'name', winner: STAMP, loser: STAMP },
  { type: 'lost', name: 'name', token: STAMP },
  { type: 'transferCancelled', name: 'name' },
  { type: 'boardAgain' },
]
const SERVICES = ['skein.global', 'skein.groups', 'skein.rooms']
const FROM = 1

const there = new Wire(codecOf(THERE, HERE))
const here = new Wire(codecOf(HERE, THERE))

const signalOf = (chance: Chance): Signal => {
  const to = 1 + chance.below(9)
  const number = 1 + chance.below(4)
  const message = chance.oneIn(3)
    ? anyValue(chance, 1)
    : chance.oneIn(2)
      ? chance.pick(SAID)
      : twisted(chance, chance.pick(SAID))
  switch (chance.below(14)) {
    case 0:
      return { type: 'send', from: FROM, to, message }
    case 1:
      return { type: 'call', from: FROM, to: chance.pick(['echo', to]), call: number, request: message }
    case 2:
      return { type: chance.pick(['link', 'unlinkAck', 'unlink'] as const), from: FROM, to, id: number }
    case 3:
      return {
        type: chance.pick(['monitor', 'demonitor'] as const),
        from: FROM,
        to: chance.pick(['echo', to]),
        ref: number,
      }
    case 4:
      return { type: chance.pick(['exit', 'linkExit'] as const), from: FROM, to, reason: message }
    case 5:
      return { type: 'down', from: FROM, ref: number, reason: message }
    case 6:
      return { type: 'reply', from: FROM, call: number, value: message }
    case 7: {
      const spawn = { behaviour: 'echo', version: '', name: chance.pick(['', 'n']), args: [message] }
      return {
        type: 'spawn',
        from: FROM,
        request: number,
        link: chance.oneIn(2),
        start: true,
        ref: chance.below(2),
        ...spawn,
      }
    }
    case 8:
      return { type: chance.pick(['spawned', 'started'] as const), from: FROM, request: number }
    default:
      return { type: 'cast', from: FROM, to: chance.pick(SERVICES), message }
  }
}

const frameOf = (signal: Signal): Buffer => {
  const { type, head, headLength, body } = there.encode(signal, HERE)
  return Buffer.concat([Buffer.of(type), head.subarray(0, headLength), body ?? Buffer.alloc(0)])
}

const HELLOS = SERVICES.map((to): Signal => {
  const frame = frameOf({ type: 'cast', from: FROM, to, message: { type: 'hello' } })
  return here.decode(frame[0]!, frame, 1, frame.length, THERE)
})

const nodeOf = () => {
  const defects: unknown[] = []
  const visited = visit((error) => defects.push(error))
  const { host, processes } = visited
  const global = new GlobalService(host, channelHost(host))
  const groups = new GroupService(host, channelHost(host))
  const rooms = new RoomService(host, channelHost(host), groups)
  const echo = processes.spawn(async (self: Self) => {
    self.trapExit = true
    for await (const _ of self) await Promise.resolve()
  })
  processes.register('echo', echo)
  const stop = (): Promise<void> => {
    rooms.stop()
    groups.stop()
    global.stop()
    return closeDown(visited, defects)
  }
  return { ...visited, stop }
}

const delivered = async (signals: readonly Signal[]): Promise<void> => {
  const { processes, clock, route, stop } = nodeOf()
  processes.nodeUp(THERE.name)
  await nextTurn()
  for (const signal of [...HELLOS, ...signals]) {
    processes.deliver(route, signal)
    await Promise.resolve()
  }
  await nextTurn()
  clock.advance(1000)
  await nextTurn()
  processes.routeDown(route)
  await stop()
}

export const target: Target = {
  name: 'signals',
  about: 'members: signals of every kind, to processes and to the services for names, groups and rooms',
  isSlow: true,
  dictionary: [
    ...SERVICES,
    'echo',
    '\xa5board',
    '\xa3ask',
    '\xa8question',
    STAMP,
    Buffer.of(0x2e, 1, 12),
    Buffer.of(0x2e, 1, 10),
  ],
  sample: (chance) => joined(Array.from({ length: 1 + chance.below(4) }, () => frameOf(signalOf(chance)))),
  run: (bytes) => {
    const signals: Signal[] = []
    for (const frame of partsOf(bytes)) {
      if (frame.length === 0) continue
      const signal = tried(() => here.decode(frame[0]!, frame, 1, frame.length, THERE))
      if (signal !== undefined) signals.push(signal)
    }
    // What is refused reaches no node, so none is made.
    return signals.length === 0 ? undefined : delivered(signals)
  },
}

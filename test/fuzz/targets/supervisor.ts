/**
 * Requests of another node to supervisors: one with children of different kinds, and one that starts them on demand. A
 * supervisor may end as its rules say; one that ends by an error that is no refusal has crashed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import { Pid } from '../../../src/pid.ts'
import type { Self } from '../../../src/process/self.ts'
import type { Chance } from '../chance.ts'
import { isRefusal, joined, partsOf, type Target, tried } from '../target.ts'
import { anyValue, codecOf, HERE, THERE, twisted } from '../values.ts'
import { closeDown, visit } from '../visited.ts'

const FROM = 1
/** Which of the two is asked; or time passes. */
const TIME = 2
const OPS = 3
const MAX_PARTS = 16
/** Numbers of processes: the supervisors, and what the first of them starts with. */
const NUMBERS = 6

const there = codecOf(THERE, HERE)
const here = codecOf(HERE, THERE)
const spec = { id: 'more', start: 'counter', args: [1], restart: 'transient', shutdown: 10, type: 'worker' }

const requestOf = (chance: Chance): unknown => {
  const id = chance.pick(['a', 'b', 'more'])
  const pid = new Pid(HERE, 1 + chance.below(NUMBERS))
  switch (chance.below(9)) {
    case 0:
      return { type: 'startChild', spec }
    case 1:
      return { type: 'startChild', spec: { ...spec, start: chance.pick(['ending', 'none']), name: 'named' } }
    case 2:
      return { type: 'startChildWith', args: [1] }
    case 3:
      return { type: 'terminateChild', child: chance.oneIn(2) ? id : pid }
    case 4:
      return { type: 'restartChild', id }
    case 5:
      return { type: 'deleteChild', id }
    case 6:
      return { type: chance.pick(['whichChildren', 'countChildren']) }
    case 7:
      return { type: 'stop' }
    default:
      return anyValue(chance, 1)
  }
}

const partOf = (chance: Chance): Uint8Array => {
  const op = chance.below(OPS)
  if (op === TIME) return Buffer.of(op, chance.below(14))
  const request = requestOf(chance)
  const bytes = tried(() => there.encode(chance.oneIn(3) ? twisted(chance, request) : request))
  return Buffer.concat([Buffer.of(op), bytes ?? Buffer.of(0xc0)])
}

const counter = async (self: Self): Promise<void> => {
  for await (const _ of self) await Promise.resolve()
}
const several = supervisor({
  children: [
    { id: 'a', start: counter },
    { id: 'b', start: counter, restart: 'temporary', shutdown: 'brutalKill' },
  ],
})
const onDemand = supervisor({ strategy: 'simpleOneForOne', children: [{ id: 'a', start: 'counter' }] })

const asked = async (parts: readonly Buffer[]): Promise<void> => {
  const crashes: unknown[] = []
  const visited = visit(
    (error) => crashes.push(error),
    (event) => {
      if (event.type !== 'crashed' || !supervisors.some((pid) => pid.equals(event.pid))) return
      if (event.reason instanceof Error && !isRefusal(event.reason)) crashes.push(event.reason)
    },
  )
  const { processes, clock, route } = visited
  processes.catalogue.add('counter', counter)
  processes.catalogue.add('ending', () => {})
  const supervisors = [processes.spawn(several), processes.spawn(onDemand)]
  await nextTurn()
  let calls = 0
  for (const part of parts) {
    const op = part[0]! % OPS
    const to = supervisors[op]
    if (to === undefined) clock.advance(2 ** ((part[1] ?? 0) % 14))
    else {
      const request = tried(() => here.decode(part, 1, part.length))
      processes.deliver(route, { type: 'call', from: FROM, to: to.number, call: ++calls, request })
    }
    await nextTurn()
  }
  processes.routeDown(route)
  await closeDown(visited, crashes)
}

export const target: Target = {
  name: 'supervisor',
  about: 'members: requests to supervisors, with children of their own and on demand',
  isSlow: true,
  dictionary: [
    '\xa4type',
    '\xa4spec',
    '\xa5start',
    '\xa7counter',
    '\xa6ending',
    '\xa7restart',
    '\xa9transient',
    '\xabsignificant',
    '\xaestartTimeoutMs',
    '\xa8shutdown',
    '\xa4more',
    Buffer.of(0, 2, TIME, 12),
  ],
  sample: (chance) => joined(Array.from({ length: 1 + chance.below(5) }, () => partOf(chance))),
  run: (bytes) => {
    const parts = [...partsOf(bytes)].filter(({ length }) => length > 0).slice(0, MAX_PARTS)
    return parts.length === 0 ? undefined : asked(parts)
  },
}

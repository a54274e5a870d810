/**
 * Distributed supervision on a node that stands by, applies and leads: what the other node writes on its boards, its orders,
 * and its requests to the leader; the leader's name comes and goes. An error that a node calls its own is a crash.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SkeinError } from '../../../certs/errors.ts'
import { Pid } from '../../../src/pid.ts'
import type { Self } from '../../../src/process/self.ts'
import { keepSpec } from '../../../src/services/supervision/child-spec.ts'
import { type Names, nameOfLeader } from '../../../src/services/supervision/names.ts'
import { NodeBoard } from '../../../src/services/supervision/node-board.ts'
import { Supervision } from '../../../src/services/supervision/supervision.ts'
import type { Signal } from '../../../src/signals.ts'
import type { Chance } from '../chance.ts'
import { holds, joined, partsOf, type Target, tried } from '../target.ts'
import { anyValue, codecOf, HERE, THERE, twisted } from '../values.ts'
import { closeDown, visit } from '../visited.ts'

const SUPERVISION = 'skein.supervision'
const NODES = 'skein.nodes'
const SUPERVISOR = 'sup'
const LEADER = nameOfLeader(SUPERVISOR)
const FROM = 1
/** Of the other node's leader. */
const THERE_LEADING = new Pid(THERE, 2)

/** What a part of an input does: a message to a service or to whoever leads here; or the name of the leader, and time. */
const ORDER = 0
const BOARD = 1
const REQUEST = 2
const LED_THERE = 3
const TIME = 4
const OPS = 5
const MAX_PARTS = 24
/** Processes of the node itself: two services and a leader. */
const OWN_PROCESSES = 3

const there = codecOf(THERE, HERE)
const here = codecOf(HERE, THERE)
const specOf = (behaviour: string, restart: 'permanent' | 'temporary') =>
  keepSpec({ id: 'x', behaviour, args: [1], restart, shutdown: 100 }, there).spec
const spec = specOf('counter', 'permanent')
const ending = specOf('ending', 'temporary')
const slot = { run: '1', pid: new Pid(THERE, 3), status: 'running', orderly: true, reason: '' }
const plan = { wanted: 'running', spec, number: 1, by: THERE.key, request: 'r' }
const about = { supervisor: SUPERVISOR, id: 'x', run: '1' }
const board = (put: readonly (readonly [string, unknown])[], number = 0, removed: readonly string[] = []) => ({
  type: 'board',
  number,
  put,
  removed,
  complete: true,
})

const ORDERS: readonly unknown[] = [
  { type: 'start', ...about, spec },
  { type: 'start', ...about, spec: ending },
  { type: 'start', ...about, run: '2', spec, state: Buffer.of(1) },
  { type: 'stop', ...about, handOver: true },
  { type: 'stop', ...about, handOver: false },
  { type: 'fetch', ...about },
  { type: 'noted', ...about },
  { type: 'unmovable', ...about },
  { type: 'failed', ...about, code: 'ERR_SKEIN_LIMIT', text: 'so' },
  { type: 'state', ...about, state: Buffer.of(1) },
  board([['slot sup/x', slot]]),
  board([['slot sup/child', { ...slot, status: 'ended', orderly: false, reason: 'so' }]]),
  board([
    ['plan sup/x', plan],
    ['member sup', true],
  ]),
  board([['plan sup/child', { ...plan, wanted: 'stopped', number: 2 }]], 1),
  board([['plan sup/', { wanted: 'stopped', number: 3, by: THERE.key }]], 1, ['slot sup/x']),
  { type: 'boardAgain' },
]
const BOARDS: readonly unknown[] = [
  board([
    ['behaviour counter', { version: '1.0' }],
    ['load', { utilisation: 0.5, processes: 3, messages: 0 }],
  ]),
  board([
    ['behaviour counter', {}],
    ['behaviour ending', {}],
  ]),
  board([['draining', true]], 1, ['behaviour counter']),
]
const REQUESTS: readonly unknown[] = [
  { type: 'startChild', id: 'x', spec, request: 'r1' },
  { type: 'startChild', id: 'y', spec: ending, request: 'r2' },
  { type: 'terminateChild', id: 'x' },
  { type: 'terminateChild', id: 'child' },
  { type: 'restartChild', id: 'child', request: 'r3' },
  { type: 'deleteChild', id: 'child' },
  { type: 'whichChildren' },
  { type: 'countChildren' },
  { type: 'stop' },
]
const SAID = [ORDERS, BOARDS, REQUESTS]

const partOf = (chance: Chance): Uint8Array => {
  const op = chance.below(OPS)
  const said = SAID[op]
  if (said === undefined) return Buffer.of(op, chance.below(16))
  const message = chance.oneIn(8) ? anyValue(chance, 1) : chance.pick(said)
  const bytes = tried(() => there.encode(chance.oneIn(3) ? twisted(chance, message) : message))
  return Buffer.concat([Buffer.of(op), bytes ?? Buffer.of(0xc0)])
}

const counter = async (self: Self): Promise<void> => {
  for await (const _ of self) await Promise.resolve()
}
const HELLO = { type: 'hello' } as const

/** Names of the cluster, as far as supervision asks for them: the other node may take the leader's. */
class LeaderNames implements Names {
  readonly #pids = new Map<string, Pid>()

  async register(name: string, pid: Pid): Promise<{ readonly token: string }> {
    if (this.#pids.has(name)) throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', 'Another process has this name.')
    this.#pids.set(name, pid)
    return { token: '' }
  }

  whereis(name: string): Pid | undefined {
    return this.#pids.get(name)
  }

  token(name: string): string | undefined {
    return this.#pids.has(name) ? '' : undefined
  }

  claimants(name: string): readonly string[] {
    const pid = this.#pids.get(name)
    return pid === undefined ? [] : [pid.origin.key]
  }

  /** Taken by the other node, or free. */
  turn(name: string, isTaken: boolean): void {
    if (isTaken) this.#pids.set(name, THERE_LEADING)
    else this.#pids.delete(name)
  }

  /** Of processes that have ended; gives what was theirs. */
  clear(isAlive: (pid: Pid) => boolean): string[] {
    const freed = [...this.#pids]
      .filter(([, pid]) => pid.origin.key === HERE.key && !isAlive(pid))
      .map(([name]) => name)
    for (const name of freed) this.#pids.delete(name)
    return freed
  }
}

const lived = async (parts: readonly Buffer[]): Promise<void> => {
  const defects: unknown[] = []
  const visited = visit((error) => defects.push(error))
  const { host, processes, clock, route } = visited
  processes.catalogue.add('counter', counter)
  processes.catalogue.add('ending', () => {})
  const names = new LeaderNames()
  const nodes = new NodeBoard(host)
  const claimants = (name: string): string[] => [names.whereis(name) ?? []].flat().map(({ origin }) => origin.key)
  const supervision = new Supervision(host, nodes, names, claimants)
  supervision.supervise(SUPERVISOR, { children: [{ id: 'child', behaviour: 'counter' }], joinMs: 0 })
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await nextTurn()
    for (const name of names.clear((pid) => processes.isAlive(pid))) supervision.nameChanged(name)
  }
  const deliver = (signal: Signal): void => void processes.deliver(route, signal)
  processes.nodeUp(THERE.name)
  await nextTurn()
  for (const to of [NODES, SUPERVISION]) deliver({ type: 'cast', from: FROM, to, message: HELLO })
  let calls = 0
  for (const part of parts) {
    const op = part[0]! % OPS
    if (op === LED_THERE) {
      const held = names.whereis(LEADER)
      // Who held the name here is ended by the conflict.
      if (held !== undefined && held !== THERE_LEADING) processes.exit(held, 'killed')
      names.turn(LEADER, (part[1] ?? 0) % 4 > 0)
      supervision.nameChanged(LEADER)
    } else if (op === TIME) await pass(2 ** ((part[1] ?? 0) % 16))
    else {
      const message = tried(() => here.decode(part, 1, part.length))
      const leading = names.whereis(LEADER)
      if (op === ORDER) deliver({ type: 'cast', from: FROM, to: SUPERVISION, message })
      else if (op === BOARD) deliver({ type: 'cast', from: FROM, to: NODES, message })
      else if (op === REQUEST && leading?.origin.key === HERE.key) {
        deliver({ type: 'call', from: FROM, to: leading.number, call: ++calls, request: message })
      }
    }
    await Promise.resolve()
  }
  await pass(1000)
  holds(processes.count <= OWN_PROCESSES + 1 + parts.length, 'nothing starts that nobody asked for')
  processes.routeDown(route)
  processes.nodeDown(THERE.name, 'connection_closed')
  await pass(1000)
  supervision.rest()
  nodes.stop()
  await closeDown(visited, defects)
}

export const target: Target = {
  name: 'supervision',
  about: 'members: orders, boards and requests of distributed supervision, to a node that stands by or leads',
  isSlow: true,
  maxBytes: 4096,
  dictionary: [
    '\xa4type',
    '\xa3put',
    '\xa7removed',
    '\xa6number',
    '\xa6wanted',
    '\xa7running',
    '\xa7stopped',
    '\xa3sup',
    '\xa1x',
    'slot sup/x',
    'plan sup/x',
    'member sup',
    'behaviour counter',
    Buffer.of(0, 2, TIME, 10),
    Buffer.of(0, 2, LED_THERE, 1),
  ],
  sample: (chance) => joined(Array.from({ length: 1 + chance.below(6) }, () => partOf(chance))),
  run: (bytes) => {
    const parts = [...partsOf(bytes)].filter(({ length }) => length > 0).slice(0, MAX_PARTS)
    return parts.length === 0 ? undefined : lived(parts)
  },
}

/** What a review of distributed supervisors found: orders that get lost, and members that lie. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../src/index.ts'
import { Origin, Pid } from '../../src/pid.ts'
import { isId, keepSpec } from '../../src/services/supervision/child-spec.ts'
import { Leader } from '../../src/services/supervision/leader.ts'
import { IDLE } from '../../src/services/supervision/load.ts'
import { type Order, readMessage } from '../../src/services/supervision/messages.ts'
import { Plan } from '../../src/services/supervision/plan.ts'
import type { DistributedReport } from '../../src/services/supervision/report.ts'
import { readSlot, type SlotFacts, type SlotStatus } from '../../src/services/supervision/slot.ts'
import { MessageCodec } from '../../src/wire/codec.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('supervised children')

const ORIGIN = new Origin('b@b', 'b'.repeat(32), '0'.repeat(16))
const codec = new MessageCodec({ local: ORIGIN })
const kept = (restart = 'permanent') => keepSpec({ id: 'x', behaviour: 'counter', restart }, codec).spec

/** A leader on a@a, one child x, and b@b which does what the test says. */
const office = (restart = 'permanent') => {
  const clock = new VirtualClock()
  const view = new Map<string, Map<string, SlotFacts>>()
  const orders: Order[] = []
  const reports: DistributedReport[] = []
  let leader: Leader | undefined
  const plan = new Plan('a', [['x', kept(restart)]], (id) => leader?.touch(id))
  leader = new Leader(
    {
      node: 'a@a',
      clock,
      random: seededRandom(1),
      names: { register: () => Promise.reject(new Error('no')), whereis: () => undefined, token: () => undefined },
      nodes: {
        members: () => ['a@a', 'b@b'],
        drains: () => false,
        canStart: (node: string) => node === 'b@b',
        loadOf: () => IDLE,
      } as never,
      plan,
      view,
      isComplete: () => true,
      order: (_node, order) => orders.push(order),
      report: (report) => reports.push(report),
      defect: (error) => {
        throw error
      },
    },
    { name: 'sup', placement: 'leastLoaded', maxRestarts: 3, withinMs: 5000, term: 't' },
  )
  const see = (run: string, status: SlotStatus | 'gone', orderly = false): void => {
    const facts = { run, pid: new Pid(ORIGIN, 1), status: status as SlotStatus, orderly, reason: 'so' }
    if (status === 'gone') view.delete('x')
    else view.set('x', new Map([['b@b', facts]]))
    leader.touch('x')
    clock.advance(1)
  }
  clock.advance(1)
  const count = (type: Order['type']): number => orders.filter((order) => order.type === type).length
  const latest = (): Order => orders.at(-1) as Order
  return { clock, leader, plan, orders, reports, see, count, latest }
}

test('a child that is ended while its start got lost is gone after a while, and nothing spins', () => {
  const { clock, leader, plan } = office()
  plan.decide('x', 'stopped')
  let outcome: unknown
  leader.whenSettled('x', (told) => {
    outcome = told
  })
  clock.advance(6000)
  assert.is(outcome, 'gone')
  const before = clock.eventCount
  clock.advance(10_000)
  assert.ok(clock.eventCount - before < 500, `${clock.eventCount - before} events`)
})

test('a child that ended in order is judged once: started again at once by hand, it is started', () => {
  const { clock, plan, see, count, latest } = office('transient')
  const { run } = latest()
  see(run, 'running')
  see(run, 'ended', true)
  assert.is(plan.get('x')?.wanted, 'stopped')
  // Its entry is still on the board.
  plan.decide('x', 'running')
  clock.advance(1)
  assert.is(plan.get('x')?.wanted, 'running')
  assert.is(count('start'), 2)
})

test('what became of an order is believed of the node that had it, of no other', () => {
  const { clock, leader, plan, see, latest } = office()
  const { run } = latest()
  see(run, 'running')
  for (let i = 0; i < 10; i++) {
    const about = { supervisor: 'sup', id: 'x', run }
    leader.answered('c@c', { type: 'failed', ...about, code: 'ERR_SKEIN_START_FAILED', text: 'a lie' })
    clock.advance(1)
  }
  assert.is(plan.get('x')?.wanted, 'running')
  see(run, 'handed')
  assert.is(latest().type, 'fetch')
  leader.answered('c@c', { type: 'state', supervisor: 'sup', id: 'x', run, state: Uint8Array.of(6) })
  clock.advance(1)
  assert.is(latest().type, 'fetch')
  leader.answered('b@b', { type: 'state', supervisor: 'sup', id: 'x', run, state: Uint8Array.of(7) })
  clock.advance(1)
  const order = latest()
  assert.ok(order.type === 'start' && order.state?.[0] === 7)
})

test('a state is for the next run only, also when that one was never seen running', () => {
  const { clock, leader, see, latest } = office()
  const { run } = latest()
  see(run, 'handed')
  leader.answered('b@b', { type: 'state', supervisor: 'sup', id: 'x', run, state: Uint8Array.of(7) })
  clock.advance(1)
  const next = latest()
  assert.ok(next.type === 'start' && next.state !== undefined)
  see(next.run, 'ended')
  const last = latest()
  assert.ok(last.type === 'start' && last.run !== next.run && last.state === undefined)
})

test('that the leader knows of an end is said again until the entry is gone', () => {
  const { clock, plan, see, latest, count } = office()
  const { run } = latest()
  see(run, 'running')
  plan.decide('x', 'stopped')
  see(run, 'ended')
  const once = count('noted')
  clock.advance(5000)
  assert.ok(count('noted') > once)
  see(run, 'gone')
  const all = count('noted')
  clock.advance(5000)
  assert.is(count('noted'), all)
})

test('a child given in code that was deleted does not come back, however many are deleted after it', () => {
  const plan = new Plan('a', [['x', kept()]], () => {})
  plan.decide('x', 'deleted')
  for (let i = 0; i < 3000; i++) {
    plan.decide(`job ${i}`, 'running', { spec: kept() })
    plan.decide(`job ${i}`, 'deleted')
  }
  assert.is(plan.get('x'), undefined)
  assert.is(plan.size, 0)
})

test('a plan counts its children, and takes from others only so many', () => {
  const plan = new Plan('a', [['x', kept()]], () => {})
  plan.decide('x', 'stopped')
  assert.is(plan.size, 1)
  plan.decide('y', 'running', { spec: kept() })
  plan.decide('', 'stopped')
  assert.is(plan.size, 2)
  const spec = kept()
  let refused: unknown
  for (let i = 0; i < 100_000 && refused === undefined; i++) {
    try {
      plan.merge(`lie ${i}`, { wanted: i % 2 === 0 ? 'stopped' : 'running', number: 10, by: 'c', spec })
    } catch (error) {
      refused = error
    }
  }
  assert.ok(isSkeinError(refused, 'ERR_SKEIN_LIMIT'))
  plan.decide('y', 'deleted')
  assert.is(plan.get('y'), undefined)
})

test('names in orders and ids are such as can be registered', () => {
  const about = { type: 'noted', id: 'y', run: '1' }
  assert.ok(readMessage({ ...about, supervisor: 'sup' }))
  // Would be the child x/y of sup.
  for (const supervisor of ['sup/x', '', 'a'.repeat(65)]) assert.throws(() => readMessage({ ...about, supervisor }))
  assert.ok(isId('jobs/one'))
  for (const id of ['a\nb', '\u{d800}', '']) assert.not(isId(id))
})

test('an entry about a child is as short as honest ones', () => {
  const slot = { run: '1', pid: new Pid(ORIGIN, 1), status: 'ended', orderly: false, reason: 'so' }
  assert.ok(readSlot(slot))
  assert.is(readSlot({ ...slot, reason: 'a'.repeat(501) }), undefined)
  assert.is(readSlot({ ...slot, run: 'a'.repeat(65) }), undefined)
})

test.run()

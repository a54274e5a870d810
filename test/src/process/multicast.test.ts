/** One message to many processes: one signal per node, in the order of its sender, and for each receiver like a send. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { Pid } from '../../../src/pid.ts'
import type { Process } from '../../../src/process/process.ts'
import { INSIDE } from '../../../src/process/self.ts'
import { MAX_SEND_TARGETS } from '../../../src/wire/wire.ts'
import { suite } from '../../support/suite.ts'
import { type Actor, actor, pair, turns } from './process-support.ts'

const test = suite('multicast')

const processOf = ({ self }: Actor): Process => self[INSIDE].process

const numbersOf = (actors: readonly Actor[]): number[] =>
  actors.map(({ self }) => self.pid.number).sort((a, b) => a - b)

test('one signal goes to each node, among the other signals of its sender', async (t) => {
  const net = pair(t)
  const [near, sender] = [await actor(net.a), await actor(net.a)]
  const far = [await actor(net.b), await actor(net.b), await actor(net.b)]
  const all = [
    { origin: net.b.origin, numbers: numbersOf(far) },
    { origin: net.a.origin, numbers: [near.self.pid.number] },
  ]
  sender.self.send(far[1]!.self.pid, 'before')
  assert.ok(net.a.processes.multicast.send(processOf(sender), all, 'to all', 'topic'))
  sender.self.send(far[1]!.self.pid, 'after')
  assert.equal(
    net.toB.waiting.map(({ type, from }) => [type, from]),
    [
      ['send', sender.self.pid.number],
      ['sendMany', sender.self.pid.number],
      ['send', sender.self.pid.number],
    ],
  )
  await net.flow()
  assert.equal(far[1]!.log, ['before', 'to all', 'after'])
  assert.equal([far[0]!.log, far[2]!.log, near.log], [['to all'], ['to all'], ['to all']])
})

test('a node of version 1 gets a send for each, and so does one receiver alone', async (t) => {
  const net = pair(t)
  const far = [await actor(net.b), await actor(net.b)]
  const targets = { origin: net.b.origin, numbers: numbersOf(far) }
  net.toB.version = 1
  net.a.processes.multicast.send(undefined, [targets], 'old', 'topic')
  net.toB.version = 2
  net.a.processes.multicast.send(undefined, [{ ...targets, numbers: targets.numbers.slice(0, 1) }], 'one', 'topic')
  assert.equal(
    net.toB.waiting.map(({ type }) => type),
    ['send', 'send', 'send'],
  )
  await net.flow()
  assert.equal([far[0]!.log, far[1]!.log], [['old', 'one'], ['old']])
})

test('more receivers than a signal has room for', async (t) => {
  const net = pair(t)
  const numbers = Array.from({ length: 2 * MAX_SEND_TARGETS + 1 }, (_, i) => i + 1)
  net.a.processes.multicast.send(undefined, [{ origin: net.b.origin, numbers }], 'x', 'topic')
  const lengths = net.toB.waiting.map((signal) => signal.type === 'sendMany' && signal.to.length)
  assert.equal(lengths, [MAX_SEND_TARGETS, MAX_SEND_TARGETS, 1])
})

test('who is gone, or may not be reached, costs nobody else the message', async (t) => {
  const net = pair(t, { allow: [{ nodes: 'a', send: ['open'] }] })
  const [named, nameless] = [await actor(net.b), await actor(net.b)]
  net.b.processes.register('closed', named.self.pid)
  const gone = 9999
  const numbers = [...numbersOf([named, nameless]), gone]
  net.a.processes.multicast.send(undefined, [{ origin: net.b.origin, numbers }], 'x', 'topic')
  await net.flow()
  assert.equal([named.log, nameless.log], [[], ['x']])
  const reasons = net.b.reports.flatMap((report) =>
    report.type === 'deadLetter' ? [[`${report.to}`, report.reason]] : [],
  )
  assert.equal(reasons, [
    [`${named.self.pid}`, 'ERR_SKEIN_FORBIDDEN'],
    [`${new Pid(net.b.origin, gone)}`, 'noproc'],
  ])
})

test('what cannot be sent is an error and reaches nobody; what finds no room is a dead letter for each', async (t) => {
  const net = pair(t)
  const near = await actor(net.a)
  const far = [await actor(net.b), await actor(net.b)]
  const all = [
    { origin: net.a.origin, numbers: numbersOf([near]) },
    { origin: net.b.origin, numbers: numbersOf(far) },
  ]
  const { multicast } = net.a.processes
  const refused = (): boolean => multicast.send(undefined, all, () => 1, 'topic')
  assert.throws(refused, (error: unknown) => isSkeinError(error, 'ERR_SKEIN_UNSERIALISABLE'))
  await turns()
  assert.equal(near.log, [])
  net.toB.full = true
  assert.not(multicast.send(undefined, all, 'x', 'topic'))
  await turns()
  assert.equal(near.log, ['x'])
  const reasons = net.a.reports.map((report) => report.type === 'deadLetter' && report.reason)
  assert.equal(reasons, ['ERR_SKEIN_QUEUE_FULL', 'ERR_SKEIN_QUEUE_FULL'])
})

test('the lane is held until every mailbox with too much in it has less', async (t) => {
  const net = pair(t, { limits: { mailboxHighWater: 2, mailbox: 100 } })
  const gates: (() => void)[] = []
  const pids = [0, 1].map((i) =>
    net.b.processes.spawn(async (self) => {
      await new Promise<void>((resolve) => {
        gates[i] = resolve
      })
      for await (const _ of self);
    }),
  )
  await turns()
  const numbers = pids.map(({ number }) => number)
  for (let i = 0; i < 4; i++) net.a.processes.multicast.send(undefined, [{ origin: net.b.origin, numbers }], i, 'topic')
  await net.flow()
  let resumed = false
  const hold = net.holds.at(-1)
  assert.ok(hold !== undefined)
  hold?.onceRelieved(() => {
    resumed = true
  })
  gates[0]?.()
  await turns()
  assert.not(resumed, 'one of them still has too much')
  gates[1]?.()
  await turns()
  assert.ok(resumed)
})

test('a sender to nobody hears false before input waits for ever', async (t) => {
  const { a } = pair(t)
  let sent = 0
  while (a.processes.multicast.send(undefined, [], 'x', 'topic')) assert.ok(++sent < 1e6)
})

test.run()

/** Spawning by name, here and on another node: one outcome, bonds from the first instant, and every way to miss an answer (G23 to G25). */
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import type { Pid } from '../../../src/pid.ts'
import type { Behaviour } from '../../../src/process/behaviour.ts'
import type { Self } from '../../../src/process/self.ts'
import { announceStarted, serve } from '../../../src/process/serve.ts'
import { type Signal, Unreadable } from '../../../src/signals.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import {
  type Actor,
  actor,
  brief,
  codeOf,
  errorOf,
  loneNode,
  type NodeOptions,
  type Pair,
  pair,
  type TestNode,
  thrown,
  turns,
} from './process-support.ts'

const test = suite('spawns')

const B = 'b@test'

/** What was spawned, with what it was given and has received. */
interface Child extends Actor {
  readonly args: readonly unknown[]
}

/** Registers a behaviour that notes its arguments and messages, and sends the first argument, if that is a pid, a word at once. */
const offer = (node: TestNode, name = 'child', trapExit = true): Child[] => {
  const children: Child[] = []
  node.processes.catalogue.add(name, async (self: Self<unknown>, ...args: unknown[]) => {
    self.trapExit = trapExit
    const log: unknown[] = []
    children.push({ self, args, log })
    if (args[0] !== undefined) self.send(args[0] as Pid, 'from the first instant')
    for await (const message of self) log.push(message)
  })
  return children
}

/** A behaviour that starts when it is told to, or fails to. */
const starter = (node: TestNode): { start: () => void; fail: (reason: unknown) => void; self: Self<unknown> } => {
  const handle = { start: () => {}, fail: (_reason: unknown) => {}, self: undefined as unknown as Self<unknown> }
  const behaviour: Behaviour<unknown> = Object.assign(
    async (self: Self<unknown>) => {
      handle.self = self
      serve(self, () => {})
      await new Promise<void>((resolve, reject) => {
        handle.start = resolve
        handle.fail = reject
      })
      announceStarted(self)
    },
    { traits: { serves: true, announces: true } },
  )
  node.processes.catalogue.add('slow', behaviour)
  return handle
}

/** Nodes a and b, b with the behaviour `child`, and a process on a that traps exits. */
const scene = async (
  t: Parameters<typeof pair>[0],
  options: NodeOptions = {},
): Promise<{ net: Pair; children: Child[]; one: Actor }> => {
  const net = pair(t, options)
  return { net, children: offer(net.b), one: await actor(net.a) }
}

const types = (signals: readonly Signal[]): string[] => signals.map(({ type }) => type)

test('spawnOn, spawnLinkOn and spawnMonitorOn on another node', async (t) => {
  const { net, children, one } = await scene(t)
  const plain = one.self.spawnOn(B, 'child', [undefined, { n: 2 }], { name: 'total' })
  const linked = one.self.spawnLinkOn(B, 'child')
  const monitored = one.self.spawnMonitorOn('b', 'child')
  await net.flow()
  const pids = [await plain, await linked, (await monitored).pid]
  assert.equal(
    pids.map((pid) => pid.key),
    children.map(({ self }) => self.pid.key),
  )
  assert.equal(children[0]?.args, [undefined, { n: 2 }])
  assert.is(net.b.processes.whereis('total'), children[0]?.self.pid)
  for (const pid of pids) net.a.processes.exit(pid, 'kill')
  await net.flow()
  const { ref } = await monitored
  assert.equal(one.log, [
    { type: 'EXIT', pid: pids[1], reason: 'killed' },
    { type: 'DOWN', ref, pid: pids[2], reason: 'killed' },
  ])
  assert.equal([one.self.pid.number, net.b.reports], [1, []])
})

test('on the own node the same works without a wire', async (t) => {
  const node = loneNode(t)
  const children = offer(node)
  const one = await actor(node)
  const message = { kept: 'as it is' }
  await one.self.spawnOn('lone', 'child', [undefined, message], { name: 'first' })
  const linked = await one.self.spawnLinkOn(node.origin.name, 'child')
  const { pid, ref } = await one.self.spawnMonitorOn(node.origin.name, 'child', [], { start: true })
  await turns()
  assert.is(children[0]?.args[1], message)
  assert.is(node.processes.whereis('first'), children[0]?.self.pid)
  for (const each of [linked, pid]) node.processes.exit(each, 'kill')
  await turns()
  assert.equal(one.log, [
    { type: 'EXIT', pid: linked, reason: 'killed' },
    { type: 'DOWN', ref, pid, reason: 'killed' },
  ])
})

test('link and monitor are there before the process runs; its parent is who asked', async (t) => {
  const { net, one } = await scene(t)
  net.b.processes.catalogue.add('brief', (self: Self<unknown>) => self.exit({ last: 'words' }))
  const linked = one.self.spawnLinkOn(B, 'brief')
  const monitored = one.self.spawnMonitorOn(B, 'brief')
  await net.flow()
  assert.equal(one.log, [
    { type: 'EXIT', pid: await linked, reason: { last: 'words' } },
    { type: 'DOWN', ...(await monitored), reason: { last: 'words' } },
  ])
})

test('G24: the answer comes before everything else of the process, on its lane', async (t) => {
  const { net, one } = await scene(t)
  const order: unknown[] = []
  const asked = one.self.spawnLinkOn(B, 'child', [one.self.pid])
  void asked.then((pid) => order.push(['spawned', pid.number, one.log.length]))
  net.flowToB()
  await turns()
  const [answer, word] = net.toA.waiting
  assert.equal(types(net.toA.waiting), ['spawned', 'send'])
  assert.is(answer?.from, word?.from)
  await net.flow()
  assert.equal(one.log, ['from the first instant'])
  assert.equal(order, [['spawned', answer?.from, 0]])
})

test('G24: an answer that finds no room in the queue is still the first', async (t) => {
  const clock = new VirtualClock()
  const { net, one } = await scene(t, { clock })
  void one.self.spawnLinkOn(B, 'child', [one.self.pid])
  net.toA.full = true
  net.flowToB()
  await turns()
  net.toA.full = false
  clock.advance(100)
  await turns()
  assert.is(net.toA.waiting[0]?.type, 'spawned')
})

test('every refusal is a coded error, and nothing was spawned', async (t) => {
  const net = pair(t, { limits: { processes: 2 } })
  offer(net.b, 'counter')
  const taken = await actor(net.b)
  taken.self.register('taken')
  const ask = async (promise: Promise<unknown>): Promise<SkeinError> => {
    const failure = errorOf(promise)
    await net.flow()
    return failure
  }
  const { spawns } = net.a.processes
  const request = (...args: Parameters<typeof spawns.spawn> extends [unknown, ...infer R] ? R : never) =>
    ask(spawns.spawn(undefined, ...args))
  const unknown = await request(B, 'countre')
  assert.is(unknown.code, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
  assert.match(unknown.message, '"countre" on b@test; the nearest name is "counter"')
  assert.match(unknown.hint, 'node.behaviour(')
  assert.is((await request('a', 'other')).code, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
  assert.is((await request(B, 'counter', [], { name: 'taken' })).code, 'ERR_SKEIN_NAME_REGISTERED')
  assert.is((await request(B, 'counter', [() => {}])).code, 'ERR_SKEIN_UNSERIALISABLE')
  assert.is((await request('c@test', 'counter')).code, 'ERR_SKEIN_NOCONNECTION')
  assert.is((await request('b@', 'counter')).code, 'ERR_SKEIN_BAD_NAME')
  assert.is((await request(B, 'not a name')).code, 'ERR_SKEIN_BAD_NAME')
  assert.is((await request(B, 'counter', [], { name: '' })).code, 'ERR_SKEIN_BAD_NAME')
  assert.is((await request(B, 'counter', [], { timeoutMs: -1 })).code, 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is((await request(B, 'counter', 'args' as unknown as [])).code, 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is((await request(7 as unknown as string, 'counter')).code, 'ERR_SKEIN_BAD_ARGUMENT')
  const aborted = await request(B, 'counter', [], { signal: AbortSignal.abort('no') })
  assert.equal([aborted.code, aborted.cause], ['ERR_SKEIN_CALL_ABORTED', 'no'])
  assert.equal(net.b.processes.list(), [taken.self.pid])
  await actor(net.b)
  assert.is((await request(B, 'counter')).code, 'ERR_SKEIN_LIMIT')
  await net.b.processes.stop(0)
  assert.equal(net.b.processes.list(), [])
})

test('the tables are bounded: requests, links and monitors', async (t) => {
  const net = pair(t, { limits: { spawns: 2, links: 1, monitors: 1 } })
  offer(net.b)
  const one = await actor(net.a)
  const ask = (): Promise<unknown> => net.a.processes.spawns.spawn(undefined, B, 'child')
  const two = [ask(), ask()]
  assert.is(await codeOf(ask()), 'ERR_SKEIN_LIMIT')
  await net.flow()
  await Promise.all(two)
  for (const spawn of [
    () => one.self.spawnLinkOn(B, 'child'),
    () => one.self.spawnMonitorOn(B, 'child'),
  ] as (() => Promise<unknown>)[]) {
    const [first, second] = [spawn(), codeOf(spawn())]
    await net.flow()
    await first
    assert.is(await second, 'ERR_SKEIN_LIMIT')
  }
  assert.is(net.b.processes.list().length, 4)
})

test('one node has no more processes alive here than its share, nor links or monitors', async (t) => {
  const limits = { processesOfNode: 2, linksOfNode: 1, monitorsOfNode: 1 }
  const net = pair(t, { limits })
  offer(net.b)
  const one = await actor(net.a)
  const local = await actor(net.b)
  const ask = (): Promise<unknown> => net.a.processes.spawns.spawn(undefined, B, 'child')
  const [first, second, third] = [ask(), ask(), codeOf(ask())]
  await net.flow()
  const pid = await first
  await second
  assert.is(await third, 'ERR_SKEIN_LIMIT')
  net.b.processes.exit(pid as Pid, 'kill')
  await net.flow()
  const again = ask()
  await net.flow()
  await again
  for (let i = 0; i < 2; i++) one.self.monitor(local.self.pid)
  await net.flow()
  assert.equal(one.log.map(brief), ['DOWN system_limit'])
  one.self.link(local.self.pid)
  const other = await actor(net.a)
  other.self.link(local.self.pid)
  await net.flow()
  assert.equal(other.log.map(brief), ['EXIT system_limit'])
})

test('behaviours: names are checked, belong to one, and are few enough', (t) => {
  const { catalogue } = loneNode(t, { limits: { behaviours: 2 } }).processes
  catalogue.add('one', () => {})
  catalogue.add('two', () => {})
  assert.equal(catalogue.names(), ['one', 'two'])
  assert.is(
    thrown(() => catalogue.add('three', () => {})),
    'ERR_SKEIN_LIMIT',
  )
  assert.is(
    thrown(() => catalogue.add('two', () => {})),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  for (const name of ['', 'a b', 'x'.repeat(65), 7 as unknown as string]) {
    assert.is(
      thrown(() => catalogue.add(name, () => {})),
      'ERR_SKEIN_BAD_NAME',
    )
  }
  assert.is(
    thrown(() => catalogue.add('four', {} as unknown as Behaviour<unknown>)),
    'ERR_SKEIN_BAD_ARGUMENT',
  )
})

test('arguments of an unknown type cost only the request', async (t) => {
  const { net } = await scene(t)
  const asked = errorOf(net.a.processes.spawns.spawn(undefined, B, 'child'))
  const [spawn] = net.toB.waiting.splice(0)
  const args = new Unreadable(new SkeinError('ERR_SKEIN_UNKNOWN_TYPE', 'No type is registered as "x/Y"'))
  net.b.processes.deliver(net.toA, { ...spawn, args } as Signal)
  await net.flow()
  assert.is((await asked).code, 'ERR_SKEIN_UNKNOWN_TYPE')
})

test('without start the answer comes when it is spawned, with start when it has started', async (t) => {
  const { net, one } = await scene(t)
  const slow = starter(net.b)
  const spawned = await settledBy(net, one.self.spawnOn(B, 'slow'))
  assert.ok(spawned)
  let started = false
  const starting = one.self.spawnLinkOn(B, 'slow', [], { start: true }).then((pid) => {
    started = true
    return pid
  })
  await net.flow()
  assert.not(started)
  slow.start()
  await net.flow()
  assert.ok((await starting).equals(slow.self.pid))
  // One that announces nothing has started as soon as it is spawned.
  assert.ok(await settledBy(net, one.self.spawnOn(B, 'child', [], { start: true })))
})

test('G23: one that ends before it has started is an error; a link brings its exit, a monitor nothing', async (t) => {
  const { net, one } = await scene(t)
  const slow = starter(net.b)
  for (const bond of ['link', 'monitor'] as const) {
    const start = { start: true }
    const asked = errorOf(
      bond === 'link' ? one.self.spawnLinkOn(B, 'slow', [], start) : one.self.spawnMonitorOn(B, 'slow', [], start),
    )
    await net.flow()
    slow.fail(new RangeError('no start'))
    await net.flow()
    const error = await asked
    assert.is(error.code, 'ERR_SKEIN_START_FAILED')
    assert.is((error.cause as Error).message, 'no start')
  }
  assert.equal(one.log.map(brief), ['EXIT no start'])
})

test('the same on the own node', async (t) => {
  const node = loneNode(t)
  const slow = starter(node)
  const one = await actor(node)
  const failing = errorOf(one.self.spawnMonitorOn('lone', 'slow', [], { start: true }))
  await turns()
  slow.fail(new RangeError('no start'))
  assert.is((await failing).code, 'ERR_SKEIN_START_FAILED')
  const linked = errorOf(one.self.spawnLinkOn('lone', 'slow', [], { start: true, timeoutMs: 5 }))
  assert.is((await linked).code, 'ERR_SKEIN_CALL_TIMEOUT')
  assert.not(node.processes.isAlive(slow.self.pid))
  const plain = errorOf(one.self.spawnOn('lone', 'slow', [], { start: true, timeoutMs: 5 }))
  assert.is((await plain).code, 'ERR_SKEIN_CALL_TIMEOUT')
  assert.not(node.processes.isAlive(slow.self.pid))
  await turns()
  assert.equal(one.log, [])
  const starting = one.self.spawnOn('lone', 'slow', [], { start: true })
  await turns()
  slow.start()
  assert.ok((await starting).equals(slow.self.pid))
})

test('given up before the answer: a linked process is told "abandoned", a monitor is taken back, others live on', async (t) => {
  const clock = new VirtualClock()
  const { net, children, one } = await scene(t, { clock })
  const controller = new AbortController()
  const late = codeOf(one.self.spawnLinkOn(B, 'child', [], { timeoutMs: 100 }))
  const monitored = codeOf(one.self.spawnMonitorOn(B, 'child', [], { timeoutMs: 100 }))
  const aborted = errorOf(one.self.spawnOn(B, 'child', [], { signal: controller.signal }))
  clock.advance(100)
  controller.abort('changed my mind')
  assert.equal([await late, await monitored], ['ERR_SKEIN_CALL_TIMEOUT', 'ERR_SKEIN_CALL_TIMEOUT'])
  assert.equal([(await aborted).code, (await aborted).cause], ['ERR_SKEIN_CALL_ABORTED', 'changed my mind'])
  await net.flow()
  assert.equal(
    children.map(({ log }) => log),
    [[{ type: 'EXIT', pid: one.self.pid, reason: 'abandoned' }], [], []],
  )
  for (const { self } of children) {
    const { links, watchers } = (await net.b.processes.inspection.info(undefined, self.pid))!
    assert.equal([links, watchers], [0, 0])
    net.b.processes.exit(self.pid, 'kill')
  }
  await net.flow()
  assert.equal(one.log, [])
})

test('given up while it starts: linked or not, it is told', async (t) => {
  const clock = new VirtualClock()
  const { net, one } = await scene(t, { clock })
  const slow = starter(net.b)
  for (const bond of ['none', 'link', 'monitor'] as const) {
    const { spawns } = net.a.processes
    const options = { start: true, timeoutMs: 50 }
    const ask: Promise<unknown> =
      bond === 'none'
        ? spawns.spawn(undefined, B, 'slow', [], options)
        : bond === 'link'
          ? one.self.spawnLinkOn(B, 'slow', [], options)
          : one.self.spawnMonitorOn(B, 'slow', [], options)
    const asked = codeOf(ask)
    await net.flow()
    const { pid } = slow.self
    assert.ok(net.b.processes.isAlive(pid))
    clock.advance(50)
    assert.is(await asked, 'ERR_SKEIN_CALL_TIMEOUT')
    await net.flow()
    assert.not(net.b.processes.isAlive(pid), bond)
    slow.start()
  }
  assert.equal(one.log, [])
})

test('whoever asked ends before the answer: a linked process gets that reason', async (t) => {
  const { net, children, one } = await scene(t)
  const linked = codeOf(one.self.spawnLinkOn(B, 'child'))
  const monitored = codeOf(one.self.spawnMonitorOn(B, 'child'))
  const plain = codeOf(one.self.spawnOn(B, 'child'))
  net.flowToB()
  assert.throws(() => one.self.exit('gone'))
  for (const code of [linked, monitored, plain]) assert.is(await code, 'ERR_SKEIN_PROCESS_ENDED')
  await net.flow()
  assert.equal(
    children.map(({ log }) => log.map(brief)),
    [['EXIT gone'], [], []],
  )
  assert.is(await codeOf(one.self.spawnOn(B, 'child')), 'ERR_SKEIN_PROCESS_ENDED')
})

test('whoever asked ends while it starts: linked gets the reason, others are killed', async (t) => {
  const { net, one } = await scene(t)
  const slow = starter(net.b)
  const two = await actor(net.a)
  const linked = codeOf(one.self.spawnLinkOn(B, 'slow', [], { start: true }))
  await net.flow()
  const first = slow.self
  const plain = codeOf(two.self.spawnOn(B, 'slow', [], { start: true }))
  await net.flow()
  const second = slow.self
  assert.throws(() => one.self.exit('gone'))
  assert.throws(() => two.self.exit('gone'))
  await net.flow()
  assert.equal([await linked, await plain], ['ERR_SKEIN_PROCESS_ENDED', 'ERR_SKEIN_PROCESS_ENDED'])
  assert.equal([first.signal.reason.cause, second.signal.reason.cause], ['gone', 'killed'])
})

test('G25: the connection is lost before the request, or before the answer', async (t) => {
  const { net, children, one } = await scene(t)
  const before = [one.self.spawnOn(B, 'child'), one.self.spawnLinkOn(B, 'child')].map(codeOf)
  net.cut()
  assert.equal(await Promise.all(before), ['ERR_SKEIN_NOCONNECTION', 'ERR_SKEIN_NOCONNECTION'])
  await turns()
  assert.equal(children, [])

  net.reconnect()
  const after = [
    one.self.spawnLinkOn(B, 'child'),
    one.self.spawnMonitorOn(B, 'child') as Promise<unknown>,
    one.self.spawnOn(B, 'child'),
  ].map(codeOf)
  net.flowToB()
  await turns()
  net.cut()
  assert.equal(await Promise.all(after), Array(3).fill('ERR_SKEIN_NOCONNECTION'))
  await turns()
  assert.equal(
    children.map(({ log }) => log),
    [[{ type: 'EXIT', pid: one.self.pid, reason: 'noconnection' }], [], []],
  )
  assert.equal(one.log, [])
  // What the old connection still held means nothing over a new one.
  net.reconnect()
  for (const request of [1, 2, 3, 4, 5]) net.a.processes.deliver(net.toB, { type: 'spawned', from: 1, request })
  await net.flow()
  assert.equal(one.log, [])
})

test('the connection is lost while it starts: an error, and the exit of the link', async (t) => {
  const { net, one } = await scene(t)
  const slow = starter(net.b)
  const asked = codeOf(one.self.spawnLinkOn(B, 'slow', [], { start: true }))
  await net.flow()
  net.cut()
  assert.is(await asked, 'ERR_SKEIN_NOCONNECTION')
  await turns()
  assert.equal(one.log.map(brief), ['EXIT noconnection'])
  assert.is(slow.self.signal.reason.cause, 'noconnection')
})

test('the node stops before the answer', async (t) => {
  const { net, one } = await scene(t)
  const asked = codeOf(net.a.processes.spawns.spawn(undefined, B, 'child'))
  const byProcess = codeOf(one.self.spawnOn(B, 'child'))
  await net.a.processes.stop(0)
  assert.equal([await asked, await byProcess], ['ERR_SKEIN_STOPPED', 'ERR_SKEIN_PROCESS_ENDED'])
})

test('hostile: answers to what was not asked, twice, or about others have no effect', async (t) => {
  const { net, children, one } = await scene(t)
  const asked = one.self.spawnLinkOn(B, 'child')
  await net.flow()
  const pid = await asked
  const deliver = (signal: Signal): void => {
    net.a.processes.deliver(net.toB, signal)
  }
  for (const request of [0, 1, 2, 3]) {
    deliver({ type: 'spawned', from: 77, request })
    deliver({ type: 'spawned', from: 0, request })
    deliver({ type: 'started', from: pid.number, request })
    deliver({ type: 'spawnFailed', from: 0, request, reason: 'no' })
  }
  await net.flow()
  assert.equal(one.log, [])
  assert.is(children[0]?.log.length, 0)
  // A request with an answer from 0, then the true one.
  const again = one.self.spawnOn(B, 'child')
  deliver({ type: 'spawned', from: 0, request: 2 })
  deliver({ type: 'started', from: 5, request: 2 })
  deliver({ type: 'spawnFailed', from: 5, request: 2, reason: 'not its to say' })
  await net.flow()
  assert.ok((await again).equals(children[1]?.self.pid))
})

test('hostile: whatever stands in a refusal, it is one error', async (t) => {
  const { net, one } = await scene(t)
  const reasons = [
    'no',
    null,
    {},
    { refused: 'ERR_NO_SUCH' },
    { refused: 'toString', text: 'x' },
    { refused: 'ERR_SKEIN_LIMIT' },
  ]
  for (const reason of reasons) {
    const asked = errorOf(one.self.spawnLinkOn(B, 'child'))
    const [spawn] = net.toB.waiting.splice(0)
    const request = spawn?.type === 'spawn' ? spawn.request : 0
    net.a.processes.deliver(net.toB, { type: 'spawnFailed', from: 0, request, reason })
    const error = await asked
    assert.is(error.code, 'ERR_SKEIN_START_FAILED')
    assert.is(error.cause, reason)
  }
  assert.equal(one.log, [])
})

test('hostile: requests that make no sense are refused, and take nothing', async (t) => {
  const { net, one } = await scene(t)
  const spawn = {
    type: 'spawn' as const,
    from: one.self.pid.number,
    request: 1,
    behaviour: 'child',
    version: '',
    link: false,
    start: false,
    ref: 0,
    name: '',
    args: [] as unknown,
  }
  const refusals: Signal[] = [
    { ...spawn, args: { length: 1 } },
    { ...spawn, from: 0, link: true },
    { ...spawn, from: 0, ref: 9 },
    { ...spawn, behaviour: '\u0000__proto__' },
    { ...spawn, behaviour: 'constructor' },
    { ...spawn, name: 'a b' },
  ]
  for (const signal of refusals) net.b.processes.deliver(net.toA, signal)
  assert.equal(types(net.toA.waiting), Array(refusals.length).fill('spawnFailed'))
  assert.ok(net.toA.waiting.every((signal) => signal.from === 0))
  assert.equal(
    net.toA.waiting.map((signal) => 'reason' in signal && (signal.reason as { refused: string }).refused),
    [...Array(3).fill('ERR_SKEIN_BAD_ARGUMENT'), ...Array(2).fill('ERR_SKEIN_UNKNOWN_BEHAVIOUR'), 'ERR_SKEIN_BAD_NAME'],
  )
  net.toA.waiting.length = 0
  // A number of a monitor that is in use.
  net.b.processes.deliver(net.toA, { ...spawn, ref: 5 })
  net.b.processes.deliver(net.toA, { ...spawn, ref: 5 })
  assert.equal(types(net.toA.waiting), ['spawned', 'spawnFailed'])
  assert.is(net.b.processes.list().length, 1)
})

/** Lets everything through and gives what the promise resolved with. */
const settledBy = async <T>(net: Pair, promise: Promise<T>): Promise<T> => {
  await net.flow()
  return promise
}

test.run()

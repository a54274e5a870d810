/** GenServer: what its functions are given, what follows from their results, and in which order. */
import * as assert from 'uvu/assert'
import type { SkeinError } from '../../../certs/errors.ts'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import type { TimeoutMessage } from '../../../src/behaviours/gen-server-spec.ts'
import { TERMINATE_TIMEOUT_MS } from '../../../src/behaviours/housekeeping.ts'
import type { From } from '../../../src/process/calls.ts'
import type { Self } from '../../../src/process/self.ts'
import type { SystemMessage } from '../../../src/signals.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import {
  actor,
  brief,
  codeOf,
  errorOf,
  loneNode,
  pair,
  type TestNode,
  thrown,
  turns,
} from '../process/process-support.ts'

const test = suite('genServer')

const counter = genServer({
  init: (_self, start: number) => ({ state: start }),
  handleCall: (request: 'read' | 'next', _from, total) =>
    request === 'read' ? { reply: total } : { reply: total, state: total + 1 },
  handleCast: (message: { readonly add: number }, total) => ({ state: total + message.add }),
  handleInfo: (message: 'reset' | SystemMessage) => (message === 'reset' ? { state: 0 } : undefined),
  label: 'counter',
})

/** How it ended: the reason of its DOWN. */
const ended = async (node: TestNode, pid: Parameters<TestNode['processes']['isAlive']>[0]): Promise<unknown> => {
  let reason: Promise<unknown> = Promise.resolve()
  node.processes.spawn(async (self) => {
    self.monitor(pid)
    reason = self.receive().then((message) => (message as { reason: unknown }).reason)
    await reason
  })
  await turns()
  return reason
}

const crashes = (node: TestNode): unknown[] => node.reports.filter(({ type }) => type !== 'deadLetter')

test('calls, casts and messages reach their handlers in order, with the state', async (t) => {
  const { processes } = loneNode(t)
  const pid = await processes.start(counter, {}, 5)
  assert.is(await processes.call(pid, 'read'), 5)
  processes.cast(pid, { add: 2 })
  assert.is(await processes.call(pid, 'next'), 7)
  processes.send(pid, 'reset')
  processes.cast(pid, { add: 1 })
  assert.is(await processes.call(pid, 'read'), 1)
  assert.is(counter.traits?.label, 'counter')
})

test('messages wait until init is through, in order', async (t) => {
  const { processes } = loneNode(t)
  const order: unknown[] = []
  let begin = (): void => {}
  const slow = genServer({
    init: async () => {
      await new Promise<void>((resolve) => {
        begin = resolve
      })
      order.push('init')
      return { state: 0 }
    },
    handleCall: (request: number) => ({ reply: order.push(request) }),
    handleCast: (message: number) => void order.push(message),
    handleInfo: (message: number) => void order.push(message),
  })
  const starting = processes.start(slow, { name: 'slow' })
  await turns()
  processes.cast('slow', 1)
  const call = processes.call('slow', 2)
  processes.send('slow', 3)
  await turns()
  assert.equal(order, [])
  begin()
  await Promise.all([starting, call])
  await turns()
  assert.equal(order, ['init', 1, 2, 3])
})

test('a start fails with what init threw or stopped with, and the name is free', async (t) => {
  const node = loneNode(t)
  const { processes } = node
  const boom = new Error('boom')
  const throwing = genServer({
    init: (_self, later: boolean) => {
      if (!later) throw boom
      return Promise.reject(boom)
    },
  })
  for (const later of [false, true]) {
    const error = await errorOf(processes.start(throwing, { name: 'one' }, later))
    assert.is(error.code, 'ERR_SKEIN_START_FAILED')
    assert.is(error.cause, boom)
    assert.is(processes.whereis('one'), undefined)
  }
  assert.is(crashes(node).length, 2)
  const stopping = genServer({ init: () => ({ stop: 'normal' }) })
  assert.is((await errorOf(processes.start(stopping, { name: 'one' }))).cause, 'normal')
  assert.is(processes.whereis('one'), undefined)
  assert.is(crashes(node).length, 2, 'to stop in order is no crash')
})

test('an init that never returns is given up after initTimeoutMs', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const { processes } = node
  let finish = (_initial: { state: number }): void => {}
  const hanging = genServer({
    init: () =>
      new Promise<{ state: number }>((resolve) => {
        finish = resolve
      }),
    initTimeoutMs: 50,
  })
  const start = errorOf(processes.start(hanging, { name: 'hanging' }))
  await clock.run({ untilMs: 100 })
  const error = await start
  assert.is(error.code, 'ERR_SKEIN_START_FAILED')
  assert.is((error.cause as SkeinError).code, 'ERR_SKEIN_HANDLER_TIMEOUT')
  assert.is(processes.whereis('hanging'), undefined)
  finish({ state: 0 })
  await turns()
  assert.is(crashes(node).length, 1, 'what it gives in the end is of no interest')
})

test('what continues comes before any message, also after start, and as often as it asks', async (t) => {
  const { processes } = loneNode(t)
  const order: unknown[] = []
  const server = genServer({
    init: () => ({ state: 0, continue: 3 }),
    handleContinue(left: number) {
      order.push(left)
      return left > 1 ? { continue: left - 1 } : undefined
    },
    handleCast(message: string) {
      order.push(message)
      return { continue: 2 }
    },
    handleCall: () => ({ reply: order.length, continue: 1 }),
  })
  const pid = await processes.start(server)
  processes.cast(pid, 'a')
  processes.cast(pid, 'b')
  const call = processes.call(pid, undefined as never)
  processes.cast(pid, 'c')
  assert.is(await call, 9, 'the reply goes out before the continuation')
  await turns()
  assert.equal(order, [3, 2, 1, 'a', 2, 1, 'b', 2, 1, 1, 'c', 2, 1])
})

test('a continuation without end keeps others neither from running nor from ending it', async (t) => {
  const { processes } = loneNode(t)
  let rounds = 0
  const endless = genServer({
    init: () => ({ state: 0, continue: 'again' }),
    handleContinue: (again: string) => {
      rounds++
      return { continue: again }
    },
  })
  const pid = await processes.start(endless)
  await turns()
  assert.ok(rounds > 0)
  processes.exit(pid, 'enough')
  await turns()
  const then = rounds
  await turns()
  assert.is(rounds, then)
})

test('a handler that returns a promise holds the next message back', async (t) => {
  const { processes } = loneNode(t)
  const order: string[] = []
  const server = genServer({
    init: () => ({ state: '' }),
    async handleCast(message: string, state) {
      order.push(`begin ${message}`)
      await turns()
      order.push(`end ${message}`)
      return { state: state + message }
    },
    handleCall: (_request: 'read', _from, state) => ({ reply: state }),
  })
  const pid = await processes.start(server)
  processes.cast(pid, 'a')
  processes.cast(pid, 'b')
  assert.is(await processes.call(pid, 'read'), 'ab')
  assert.equal(order, ['begin a', 'end a', 'begin b', 'end b'])
})

test('a timeout comes once when no message does, and a message takes it back', async (t) => {
  const clock = new VirtualClock()
  const { processes } = loneNode(t, { clock })
  const seen: unknown[] = []
  const server = genServer({
    init: () => ({ state: 0, timeoutMs: 100 }),
    handleInfo(message: 'wait' | 'sleep' | TimeoutMessage) {
      seen.push([clock.now(), message])
      return message === 'wait' ? { timeoutMs: 100 } : undefined
    },
  })
  const pid = processes.spawn(server)
  await clock.run({ untilMs: 60 })
  processes.send(pid, 'wait')
  await clock.run({ untilMs: 120 })
  assert.equal(seen, [[60, 'wait']], 'the first timeout was taken back')
  await clock.run({ untilMs: 1000 })
  assert.equal(seen.splice(0), [
    [60, 'wait'],
    [160, { type: 'timeout' }],
  ])
  processes.send(pid, 'wait')
  processes.send(pid, 'sleep')
  await clock.run({ untilMs: 2000 })
  assert.equal(seen, [
    [1000, 'wait'],
    [1000, 'sleep'],
  ])
})

test('a timeout does not outlive the process', async (t) => {
  const clock = new VirtualClock()
  const { processes } = loneNode(t, { clock })
  const server = genServer({ init: () => ({ state: 0, timeoutMs: 1e6 }), handleInfo: () => ({ timeoutMs: 1e6 }) })
  const pid = processes.spawn(server)
  await clock.run({ untilMs: 10 })
  processes.exit(pid, 'kill')
  await clock.run()
  assert.ok(clock.now() < 1e6, 'nothing was left to wait for')
})

test('a reply can be given later, by anybody; a second one vanishes', async (t) => {
  const { processes } = loneNode(t)
  const server = genServer({
    init: () => ({ state: [] as From[] }),
    handleCall: (_request: 'wait', from, waiting) => ({ state: [...waiting, from] }),
    handleCast(answer: string, waiting, self) {
      for (const from of waiting) {
        self.reply(from, answer)
        self.reply(from, 'second')
      }
      return { state: [] }
    },
  })
  const pid = await processes.start(server)
  const calls = [processes.call(pid, 'wait'), processes.call(pid, 'wait')]
  processes.cast(pid, 'first')
  assert.equal(await Promise.all(calls), ['first', 'first'])
  const twice = genServer({
    init: () => ({ state: 0 }),
    handleCall(request: number, from, _state, self) {
      self.reply(from, request)
      return { reply: 'second' }
    },
  })
  const other = await processes.start(twice)
  assert.equal(await Promise.all([1, 2].map((n) => processes.call(other, n))), [1, 2])
  assert.is(await codeOf(processes.call(pid, 'wait', { timeoutMs: 1 })), 'ERR_SKEIN_CALL_TIMEOUT')
  assert.ok(processes.isAlive(pid))
})

test('stop runs terminate, then replies, then ends with the reason', async (t) => {
  const node = loneNode(t)
  const { processes } = node
  const order: unknown[] = []
  const server = genServer({
    init: () => ({ state: 1 }),
    handleCall: (request: string, _from, state) => ({ reply: 'bye', state: state + 1, stop: request }),
    terminate: async (reason, state) => {
      await turns()
      order.push(['terminate', reason, state])
    },
  })
  const quick = genServer({
    init: () => ({ state: 1 }),
    handleCall: (request: string) => ({ reply: 'bye', stop: request }),
  })
  for (const behaviour of [server, quick]) {
    for (const reason of ['normal', 'shutdown', 'enough']) {
      const pid = await processes.start(behaviour, { name: 'one' })
      const down = ended(node, pid)
      await turns()
      assert.is(await processes.call(pid, reason), 'bye')
      assert.is(await down, reason)
    }
  }
  assert.equal(
    order,
    ['normal', 'shutdown', 'enough'].map((reason) => ['terminate', reason, 2]),
  )
  assert.equal(
    crashes(node).map((report) => 'reason' in (report as object) && (report as { reason: unknown }).reason),
    ['enough', 'enough'],
  )
})

test('a handler that throws, at once or later: terminate, then the error is the reason and the callers learn it', async (t) => {
  const node = loneNode(t)
  const { processes } = node
  const seen: unknown[] = []
  const boom = new Error('boom')
  const server = genServer({
    init: () => ({ state: 'state' }),
    handleCall: (_request: 'now' | 'later', _from, _state) => {
      if (_request === 'now') throw boom
      return Promise.reject(boom)
    },
    terminate: (reason, state) => void seen.push(reason, state),
  })
  for (const when of ['now', 'later'] as const) {
    const error = await errorOf(processes.call(await processes.start(server), when))
    assert.is(error.code, 'ERR_SKEIN_CALL_EXIT')
    assert.is(error.cause, boom)
  }
  assert.equal(seen, [boom, 'state', boom, 'state'])
  assert.equal(
    crashes(node).map((report) => (report as { type: string }).type),
    ['crashed', 'crashed'],
  )
})

test('a terminate that throws gives the reason, one that hangs is given up', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const { processes } = node
  const server = genServer({
    init: () => ({ state: 0 }),
    handleCall: (request: 'throw' | 'hang') => ({ reply: 'bye', stop: request }),
    terminate: (reason) => {
      if (reason === 'throw') throw new Error('in terminate')
      return new Promise<void>(() => {})
    },
  })
  const throwing = processes.spawn(server)
  const reply = processes.call(throwing, 'throw')
  const reason = ended(node, throwing)
  await clock.run({ untilMs: 10 })
  assert.is(await reply, 'bye')
  assert.is(((await reason) as Error).message, 'in terminate')
  const hanging = processes.spawn(server)
  const late = processes.call(hanging, 'hang', { timeoutMs: 2 * TERMINATE_TIMEOUT_MS })
  const lateReason = ended(node, hanging)
  await clock.run({ untilMs: 3 * TERMINATE_TIMEOUT_MS })
  assert.is(await late, 'bye')
  assert.is(((await lateReason) as SkeinError).code, 'ERR_SKEIN_HANDLER_TIMEOUT')
})

test('the exit of its parent ends a server that traps exits, by way of terminate; other exits are messages', async (t) => {
  const node = loneNode(t)
  const seen: string[] = []
  const server = genServer({
    init: (self: Self, trap: boolean) => {
      self.trapExit = trap
      return { state: 0 }
    },
    handleInfo: (message: SystemMessage) => void seen.push(brief(message)),
    terminate: (reason) => void seen.push(`terminate ${reason}`),
  })
  const parent = await actor(node)
  const stranger = await actor(node)
  const trapping = await parent.self.startLink(server, true)
  stranger.self.exit(trapping, 'greetings')
  await turns()
  assert.equal(seen, ['EXIT greetings'])
  parent.self.exit(trapping, 'shutdown')
  await turns()
  assert.equal(seen, ['EXIT greetings', 'terminate shutdown'])
  assert.not(node.processes.isAlive(trapping))
  const other = await parent.self.startLink(server, false)
  parent.self.exit(other, 'shutdown')
  await turns()
  assert.not(node.processes.isAlive(other))
  assert.equal(seen.length, 2, 'without trapping there is no terminate')
  assert.equal(parent.log.map(brief), ['EXIT shutdown', 'EXIT shutdown'])
})

test('every wrong result ends the server with ERR_SKEIN_BAD_RETURN, naming the function', async (t) => {
  const { processes } = loneNode(t)
  class Strange {
    readonly total = 1
  }
  const wrong: unknown[] = [
    null,
    0,
    '',
    'text',
    true,
    [],
    [1],
    new Map(),
    new Strange(),
    { total: 1 },
    { reply: 1, extra: 2 },
    { state: 1, timeoutMs: -1 },
    { timeoutMs: '5' },
    { timeoutMs: Number.NaN },
    { continue: 1 },
    () => {},
    Symbol('no'),
  ]
  const server = genServer({
    init: (_self, first: unknown) => first as { state: unknown },
    handleCall: (request: unknown) => request as undefined,
    handleInfo: () => undefined,
  })
  for (const [index, value] of wrong.entries()) {
    const calling = await errorOf(processes.call(await processes.start(server, {}, { state: 0 }), value))
    assert.is(calling.code, 'ERR_SKEIN_CALL_EXIT', `handleCall ${index}`)
    assert.is((calling.cause as SkeinError).code, 'ERR_SKEIN_BAD_RETURN', `handleCall ${index}`)
    assert.match((calling.cause as SkeinError).message, /^handleCall returned .* it may return/)
    const starting = await errorOf(processes.start(server, {}, value))
    assert.is((starting.cause as SkeinError).code, 'ERR_SKEIN_BAD_RETURN', `init ${index}`)
    assert.match((starting.cause as SkeinError).message, /^init returned/)
  }
  for (const value of [undefined, {}, { reply: 1 }, { state: 0, reply: 1 }]) {
    assert.is((await errorOf(processes.start(server, {}, value))).code, 'ERR_SKEIN_START_FAILED')
  }
  // Nothing but an empty result is harmless.
  const pid = await processes.start(server, {}, { state: 0 })
  await codeOf(processes.call(pid, {}, { timeoutMs: 1 }))
  assert.ok(processes.isAlive(pid))
})

test('a reply where there is no call is a wrong result', async (t) => {
  const node = loneNode(t)
  const server = genServer({
    init: () => ({ state: 0 }),
    handleCast: () => ({ reply: 1 }) as object,
  })
  const pid = await node.processes.start(server)
  const reason = ended(node, pid)
  node.processes.cast(pid, undefined as never)
  assert.match(((await reason) as Error).message, /^handleCast returned a reply/)
})

test('what has no handler: a call is refused, the rest become dead letters, and the server lives on', async (t) => {
  const node = loneNode(t)
  const { processes } = node
  const pid = await processes.start(genServer({ init: () => ({ state: 0 }) }))
  const error = await errorOf(processes.call(pid, 1 as never))
  assert.is(error.code, 'ERR_SKEIN_NO_HANDLER')
  processes.cast(pid, 1 as never)
  processes.send(pid, 1 as never)
  await turns()
  assert.ok(processes.isAlive(pid))
  assert.equal(
    node.reports.map((report) => report.type === 'deadLetter' && [report.to, report.reason]),
    [
      [pid, 'ERR_SKEIN_NO_HANDLER'],
      [pid, 'ERR_SKEIN_NO_HANDLER'],
    ],
  )
})

test('between nodes: refusals and replies that cannot be sent reach the caller, and the server lives on', async (t) => {
  const net = pair(t)
  const silent = net.b.processes.spawn(genServer({ init: () => ({ state: 0 }) }), { name: 'silent' })
  const odd = net.b.processes.spawn(
    genServer({ init: () => ({ state: 0 }), handleCall: (_request: 'fn') => ({ reply: () => {} }) }),
  )
  const caller = await actor(net.a)
  const first = codeOf(caller.self.call(silent, 1 as never))
  const second = codeOf(caller.self.call(odd, 'fn'))
  await net.flow()
  assert.is(await first, 'ERR_SKEIN_NO_HANDLER')
  assert.is(await second, 'ERR_SKEIN_UNSERIALISABLE')
  assert.ok(net.b.processes.isAlive(silent) && net.b.processes.isAlive(odd))
})

test('a server that is killed while a handler waits: its result is dropped', async (t) => {
  const node = loneNode(t)
  let go = (): void => {}
  let terminated = false
  const server = genServer({
    init: () => ({ state: 0 }),
    async handleCall(_request: 'wait') {
      await new Promise<void>((resolve) => {
        go = resolve
      })
      return { reply: 1, state: 1, stop: 'late' }
    },
    terminate: () => {
      terminated = true
    },
  })
  const pid = await node.processes.start(server)
  const call = codeOf(node.processes.call(pid, 'wait'))
  await turns()
  node.processes.exit(pid, 'kill')
  assert.is(await call, 'ERR_SKEIN_CALL_EXIT')
  go()
  await turns()
  assert.not(terminated)
  assert.equal(node.reports, [])
})

test('exit within a handler ends the server at once', async (t) => {
  const node = loneNode(t)
  const server = genServer({
    init: () => ({ state: 0 }),
    handleCast: (reason: string, _state, self) => self.exit(reason),
    terminate: () => assert.unreachable('it is dead already'),
  })
  const pid = await node.processes.start(server)
  const reason = ended(node, pid)
  node.processes.cast(pid, 'gone')
  assert.is(await reason, 'gone')
  assert.equal(crashes(node), [])
})

test('a spec that cannot work is refused', () => {
  const init = () => ({ state: 0 })
  const bad = (spec: unknown): void =>
    assert.is(
      thrown(() => genServer(spec as { init: typeof init })),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
  bad(undefined)
  bad({})
  bad({ init: 1 })
  bad({ init, handleCall: {} })
  bad({ init, initTimeoutMs: -1 })
  bad({ init, schema: { call: {} } })
  bad({ init, schema: { cast: { '~standard': { version: 2, validate: () => {} } } } })
  bad({ init, persist: {} })
  bad({ init, persist: { store: { load: () => {} }, key: 1 } })
})

test.run()

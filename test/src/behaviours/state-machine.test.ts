/**
 * State machines, one action at a time, in virtual time; at the start the code lock of OTP's design principles
 * (gen_statem Behaviour), where it goes through states, timeouts, postponing and calls.
 */
import * as assert from 'uvu/assert'
import { MAX_TIMEOUT_MS } from '../../../src/behaviours/state-machine/definition.ts'
import { MAX_INSERTED_EVENTS } from '../../../src/behaviours/state-machine/result.ts'
import { MAX_POSTPONED_EVENTS } from '../../../src/behaviours/state-machine/run.ts'
import type { From, SystemMessage } from '../../../src/index.ts'
import { stateMachine } from '../../../src/index.ts'
import { suite } from '../../support/suite.ts'
import { timedNode } from './state-machine-support.ts'

const test = suite('state machine')

/** The code lock: buttons count as long as it is locked, those pressed while it is open wait. */
const codeLock = (log: string[]) =>
  stateMachine({
    label: 'code lock',
    data: (code: readonly number[]) => ({ code, typed: [] as readonly number[] }),
    initial: 'locked',
    common: { calls: { codeLength: ({ data }) => ({ reply: data.code.length }) } },
    states: {
      locked: {
        enter({ data }) {
          log.push('lock')
          return { data: { ...data, typed: [] } }
        },
        eventTimeout: ({ data }) => ({ data: { ...data, typed: [] } }),
        on: {
          button: {
            to: 'open',
            do({ data }, { digit }: { readonly digit: number }) {
              const typed = [...data.typed, digit].slice(-data.code.length)
              if (typed.join() === data.code.join()) return { next: 'open' }
              return { data: { ...data, typed }, eventTimeoutMs: 30_000 }
            },
          },
        },
      },
      open: {
        enter: () => void log.push('unlock'),
        stateTimeout: { afterMs: 10_000, to: 'locked' },
        on: { button: 'postpone' },
      },
    },
    terminate: ({ state }) => {
      log.push(`end in ${state}`)
    },
  })

test('the code lock opens, locks itself, and minds what was typed meanwhile', async (t) => {
  const { processes, pass, rest, ask } = timedNode(t)
  const log: string[] = []
  const lock = processes.spawn(codeLock(log), {}, [1, 2, 3])
  const type = (...digits: number[]): void => {
    for (const digit of digits) processes.cast(lock, { type: 'button', digit })
  }
  type(9, 1, 2)
  await rest()
  assert.equal(log, ['lock'])
  assert.is(await ask(lock, 'codeLength'), 3)
  type(3)
  await rest()
  assert.equal(log, ['lock', 'unlock'])
  type(1, 2, 3)
  assert.is(await ask(lock, { type: 'codeLength' }), 3)
  await pass(9_999)
  assert.equal(log, ['lock', 'unlock'])
  await pass(1)
  assert.equal(log, ['lock', 'unlock', 'lock', 'unlock'])
  await pass(10_000)
  type(1, 2)
  await pass(30_000)
  type(3)
  await rest()
  assert.equal(log.slice(4), ['lock'], 'what was typed is forgotten after 30 s')
})

test('the enter action runs at every change of state and at the start, with the state before', async (t) => {
  const { processes, rest } = timedNode(t)
  const seen: string[] = []
  const note = ({ state }: { readonly state: string }, previous: string | undefined): void => {
    seen.push(`${previous} > ${state}`)
  }
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    common: { enter: note },
    states: {
      a: { on: { go: { to: ['a', 'b'], do: () => ({ next: 'b' }) }, same: { to: 'a' } } },
      b: { on: { go: { to: 'a' }, keep: () => ({ data: 1 }), again: () => ({ repeat: true }) } },
    },
  })
  const pid = processes.spawn(machine)
  for (const event of ['same', 'go', 'keep', 'again', 'go'] as const) processes.send(pid, event)
  await rest()
  assert.equal(seen, ['undefined > a', 'a > b', 'b > b', 'b > a'])
})

test('a change of state cancels the timeout of the state, nothing else does', async (t) => {
  const { processes, pass, rest } = timedNode(t)
  const fired: string[] = []
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        stateTimeout: { afterMs: 100, to: 'b', do: () => void fired.push('a') },
        on: { go: { to: 'b' }, away: { to: 'c' } },
      },
      c: { stateTimeout: () => void fired.push('c') },
      b: {
        enter: () => ({ stateTimeoutMs: 50 }),
        stateTimeout: () => void fired.push('b'),
        on: {
          other() {},
          again: () => ({ repeat: true }),
          longer: () => ({ stateTimeoutMs: 100 }),
          never: () => ({ stateTimeoutMs: Number.POSITIVE_INFINITY }),
        },
      },
    },
  })
  const pid = processes.spawn(machine)
  await pass(60)
  processes.cast(pid, 'go')
  await pass(40)
  processes.cast(pid, 'other')
  await pass(10)
  assert.equal(fired, ['b'])
  const second = processes.spawn(machine)
  processes.cast(second, 'go')
  await pass(40)
  processes.cast(second, 'longer')
  await pass(99)
  assert.equal(fired, ['b'])
  await pass(1)
  assert.equal(fired, ['b', 'b'])
  processes.cast(processes.spawn(machine), 'away')
  const third = processes.spawn(machine)
  processes.cast(third, 'go')
  await rest()
  processes.cast(third, 'never')
  await pass(1_000)
  assert.equal(fired, ['b', 'b'])
})

test('any event cancels the event timeout; by name timeouts run on', async (t) => {
  const { processes, pass, deadLetters } = timedNode(t)
  const fired: string[] = []
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    common: {
      eventTimeout: () => void fired.push('event'),
      timeouts: { one: ({ state }) => void fired.push(`one in ${state}`), two: () => void fired.push('two') },
      on: {
        idle: () => ({ eventTimeoutMs: 50 }),
        soon: () => ({ eventTimeoutMs: 0, timeoutsMs: { two: 0 } }),
        busy: () => ({ eventTimeoutMs: 50, insert: 'quiet' }),
        quiet() {},
        set: () => ({ timeoutsMs: { one: 100, two: 100 } }),
        clear: () => ({ timeoutsMs: { two: Number.POSITIVE_INFINITY, one: 200 } }),
      },
    },
    states: { a: { on: { go: { to: 'b' } } }, b: {} },
  })
  const pid = processes.spawn(machine)
  processes.cast(pid, 'idle')
  await pass(50)
  assert.equal(fired, ['event'])
  processes.cast(pid, 'idle')
  await pass(49)
  processes.cast(pid, 'nobody handles this' as never)
  processes.cast(pid, 'busy')
  await pass(1_000)
  assert.equal(fired, ['event'], 'even an event that nobody handles cancels it, or one that was inserted')
  assert.equal(deadLetters(), ['ERR_SKEIN_NO_HANDLER'])
  processes.cast(pid, 'soon')
  await pass(1)
  assert.equal(fired.splice(1), ['two'], 'one of 0 ms is an event too')
  processes.cast(pid, 'set')
  processes.cast(pid, 'go')
  await pass(100)
  assert.equal(fired.slice(1), ['one in b', 'two'])
  processes.cast(pid, 'set')
  await pass(60)
  processes.cast(pid, 'clear')
  await pass(199)
  assert.is(fired.length, 3)
  await pass(1)
  assert.equal(fired.slice(3), ['one in b'])
})

test('a timeout of 0 ms comes after what waits within the machine and before the mailbox', async (t) => {
  const { processes, rest } = timedNode(t)
  const order: string[] = []
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    common: { on: { later: () => void order.push('later'), inserted: () => void order.push('inserted') } },
    states: {
      a: {
        on: {
          early: 'postpone',
          go: { to: 'b', do: () => ({ next: 'b', insert: 'inserted', timeoutsMs: { now: 0 }, stateTimeoutMs: 0 }) },
        },
      },
      b: {
        on: { early: () => void order.push('early') },
        timeouts: { now: () => void order.push('now') },
        stateTimeout: () => void order.push('state'),
      },
    },
  })
  const pid = processes.spawn(machine)
  for (const event of ['early', 'go', 'later'] as const) processes.send(pid, event)
  await rest()
  assert.equal(order, ['inserted', 'early', 'state', 'now', 'later'])
})

test('a timeout that has run out while a handler was at work is void when that handler sets it anew', async (t) => {
  const { processes, pass } = timedNode(t)
  const fired: string[] = []
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        stateTimeout: { afterMs: 10, to: 'b', do: () => void fired.push('a') },
        on: {
          async work() {
            await gate
            return { stateTimeoutMs: 20 }
          },
        },
      },
      b: {},
    },
  })
  const pid = processes.spawn(machine)
  processes.cast(pid, 'work')
  await pass(15)
  go()
  await pass(19)
  assert.equal(fired, [])
  await pass(1)
  assert.equal(fired, ['a'])
})

test('postponed events come again after a change of state, oldest first, and before newer ones', async (t) => {
  const { processes, rest, ask } = timedNode(t)
  const order: unknown[] = []
  const machine = stateMachine({
    data: () => 0,
    initial: 'closed',
    states: {
      closed: {
        calls: { take: 'postpone' },
        on: { put: 'postpone', keep: () => ({ data: 1 }), again: () => ({ repeat: true }), open: { to: 'open' } },
      },
      open: {
        calls: { take: (_machine, { what }: { readonly what: number }) => ({ reply: order.push(what) }) },
        on: {
          put: {
            to: 'closed',
            may: 'postpone',
            do: (_machine, { what }: { readonly what: number }) => {
              order.push(what)
              return what === 2 ? { next: 'closed', postpone: true } : undefined
            },
          },
        },
      },
    },
  })
  const pid = processes.spawn(machine)
  const replies = processes.call(pid, { type: 'take', what: 1 })
  processes.cast(pid, { type: 'put', what: 2 })
  processes.cast(pid, { type: 'put', what: 3 })
  processes.cast(pid, 'keep')
  processes.cast(pid, 'again')
  await rest()
  assert.equal(order, [], 'neither keeping nor repeating the state brings them back')
  processes.cast(pid, 'open')
  processes.cast(pid, { type: 'put', what: 4 })
  await rest()
  assert.is(await replies, 1)
  assert.equal(order, [1, 2])
  processes.cast(pid, 'open')
  await rest()
  assert.equal(order, [1, 2, 2], 'the one that closes it again keeps the others waiting')
  assert.is(
    (await ask(pid, 'nothing').catch((error: { code: string }) => error.code)) as string,
    'ERR_SKEIN_NO_HANDLER',
  )
})

test('inserted events come first, in order, also those of inserted ones', async (t) => {
  const { processes, rest } = timedNode(t)
  const order: string[] = []
  const note = (name: string, insert: readonly string[] = []) => ({
    may: [],
    do() {
      order.push(name)
      return { insert }
    },
  })
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        on: { first: note('first', ['x', 'y']), x: note('x', ['z']), y: note('y'), z: note('z'), last: note('last') },
      },
    },
  })
  const pid = processes.spawn(machine)
  processes.send(pid, 'first')
  processes.send(pid, 'last')
  await rest()
  assert.equal(order, ['first', 'x', 'z', 'y', 'last'])
})

test('a call is answered by the result, later by self.reply, or when it has been postponed', async (t) => {
  const { processes, ask, rest } = timedNode(t)
  const machine = stateMachine({
    data: () => ({ waiting: [] as readonly From[] }),
    initial: 'a',
    states: {
      a: {
        calls: {
          now: () => ({ reply: 'now' }),
          nothing: () => ({ reply: undefined }),
          later: ({ data }, _request, from) => ({ data: { waiting: [...data.waiting, from] } }),
          async slow() {
            await new Promise((resolve) => setImmediate(resolve))
            return { reply: 'slow' }
          },
        },
        on: {
          release({ data, self }) {
            for (const from of data.waiting) self.reply(from, 'late')
            return { data: { waiting: [] } }
          },
        },
      },
    },
  })
  const pid = processes.spawn(machine)
  assert.is(await ask(pid, 'now'), 'now')
  assert.is(await ask(pid, 'nothing'), undefined)
  assert.is(await processes.call(pid, 'slow'), 'slow')
  const both = [processes.call(pid, 'later'), processes.call(pid, 'later')]
  processes.cast(pid, 'release')
  await rest()
  assert.equal(await Promise.all(both), ['late', 'late'])
})

test('a stop answers, then runs terminate, and is the exit reason', async (t) => {
  const { processes, rest, endOf, crashes } = timedNode(t)
  const seen: unknown[] = []
  const machine = stateMachine({
    data: () => 'begun',
    initial: 'a',
    states: {
      a: {
        calls: { stop: { may: 'stop', do: () => ({ stop: 'normal', reply: 'bye', data: 'done' }) } },
        on: { fail: { may: 'stop', do: (_machine, { why }: { readonly why: string }) => ({ stop: why }) } },
      },
    },
    async terminate({ data }, reason) {
      await Promise.resolve()
      seen.push([data, reason])
    },
  })
  const first = processes.spawn(machine)
  const reply = processes.call(first, 'stop')
  await rest()
  assert.is(await reply, 'bye')
  assert.is(await endOf(first), 'noproc')
  const second = processes.spawn(machine)
  const third = processes.spawn(machine)
  processes.cast(second, { type: 'fail', why: 'shutdown' })
  processes.cast(third, { type: 'fail', why: 'broken' })
  await rest()
  assert.equal(seen, [
    ['done', 'normal'],
    ['begun', 'shutdown'],
    ['begun', 'broken'],
  ])
  assert.equal(crashes(), ['broken'])
})

test('an error of a handler runs terminate and is the exit reason; one of terminate takes its place', async (t) => {
  const { processes, rest, crashes } = timedNode(t)
  const seen: unknown[] = []
  const machine = stateMachine({
    data: (last: string) => last,
    initial: 'a',
    states: {
      a: {
        on: {
          now() {
            throw new Error('now')
          },
          async later() {
            await Promise.resolve()
            throw new Error('later')
          },
        },
      },
    },
    terminate({ data }, reason) {
      seen.push((reason as Error).message)
      if (data !== '') throw new Error(data)
    },
  })
  processes.cast(processes.spawn(machine, {}, ''), 'now')
  processes.cast(processes.spawn(machine, {}, ''), 'later')
  processes.cast(processes.spawn(machine, {}, 'terminate'), 'now')
  await rest()
  assert.equal(seen.sort(), ['later', 'now', 'now'])
  assert.equal(crashes().sort(), ['later', 'now', 'terminate'])
})

test('a terminate that never returns is given up', async (t) => {
  const { processes, pass, crashes, rest } = timedNode(t)
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: { a: { on: { stop: { may: 'stop', do: () => ({ stop: 'normal' }) } } } },
    terminate: () => new Promise(() => {}),
  })
  const pid = processes.spawn(machine)
  processes.cast(pid, 'stop')
  await pass(4_999)
  assert.ok(processes.isAlive(pid))
  await pass(1)
  await rest()
  assert.not(processes.isAlive(pid))
  assert.equal(crashes(), ['ERR_SKEIN_HANDLER_TIMEOUT'])
})

test('the start waits for the data, and fails with them', async (t) => {
  const { processes, rest, crashes } = timedNode(t)
  const machine = stateMachine({
    data: async (name: string) => {
      await Promise.resolve()
      if (name === '') throw new Error('no name')
      return name
    },
    initial: 'a',
    states: { a: { calls: { name: ({ data }) => ({ reply: data }) } } },
  })
  const starting = processes.start(machine, {}, 'anna')
  await rest()
  const name: string = await processes.call(await starting, 'name')
  assert.is(name, 'anna')
  const failing = processes.start(machine, {}, '').catch((error: { code: string }) => error.code)
  await rest()
  assert.is(await failing, 'ERR_SKEIN_START_FAILED')
  assert.equal(crashes(), ['no name'])
})

test('with trapped exits the end of the parent is an order, other exits are events', async (t) => {
  const { processes, rest } = timedNode(t)
  const seen: unknown[] = []
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        enter({ self }) {
          self.trapExit = true
        },
        on: { EXIT: (_machine, event: Extract<SystemMessage, { type: 'EXIT' }>) => void seen.push(event.reason) },
      },
    },
    terminate: (_machine, reason) => void seen.push(`order ${reason}`),
  })
  let end = (): void => {}
  const parent = processes.spawn<never>(async (self) => {
    self.spawnLink(machine)
    await new Promise<void>((resolve) => {
      end = resolve
    })
    self.exit('enough')
  })
  await rest()
  const child = processes.list().find((pid) => !pid.equals(parent))
  assert.ok(child)
  const stranger = processes.spawn<never>((self) => {
    self.link(child)
    self.exit('stranger')
  })
  await rest()
  assert.not(processes.isAlive(stranger))
  assert.equal(seen, ['stranger'])
  end()
  await rest()
  assert.equal(seen, ['stranger', 'order enough'])
})

test('a machine killed in the middle of a handler does nothing more, and leaves no timer behind', async (t) => {
  const { processes, pass, rest, reports } = timedNode(t)
  const seen: string[] = []
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        stateTimeout: { afterMs: 10, to: 'b' },
        on: {
          work: {
            to: 'b',
            async do() {
              await gate
              return { next: 'b' }
            },
          },
        },
      },
      b: { enter: () => void seen.push('b') },
    },
    terminate: () => void seen.push('terminate'),
  })
  const pid = processes.spawn(machine)
  processes.cast(pid, 'work')
  await rest()
  processes.exit(pid, 'kill')
  go()
  await pass(100)
  assert.equal(seen, [])
  assert.equal(reports, [])
})

test('a handler that never returns keeps its machine from everything but its end', async (t) => {
  const { processes, pass, rest, refusal } = timedNode(t)
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: { a: { on: { hang: () => new Promise<undefined>(() => {}) }, calls: { ping: () => ({ reply: 'pong' }) } } },
  })
  const pid = processes.spawn(machine)
  processes.cast(pid, 'hang')
  const call = processes.call(pid, 'ping', { timeoutMs: 100 }).catch((error: { code: string }) => error.code)
  await pass(100)
  assert.is(await call, 'ERR_SKEIN_CALL_TIMEOUT')
  processes.exit(pid, 'enough')
  await rest()
  assert.is((await refusal(pid, 'ping')).code, 'ERR_SKEIN_NOPROC')
})

test('events without a handler: a call is refused, a message is a dead letter, the machine lives on', async (t) => {
  const { processes, refusal, rest, ask, deadLetters } = timedNode(t)
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: { a: { calls: { ping: () => ({ reply: 'pong' }) } } },
  })
  const pid = processes.spawn(machine)
  for (const request of ['pong', { type: 'constructor' }, { type: 5 }, 7, null, undefined, ['ping'], '__proto__']) {
    const error = await refusal(pid, request)
    assert.is(error.code, 'ERR_SKEIN_NO_HANDLER')
    assert.ok(error.message.includes('State a has no handler for call'), error.message)
    processes.send(pid as never, request as never)
  }
  await rest()
  assert.is(deadLetters().length, 8)
  assert.is(await ask(pid, 'ping'), 'pong')
})

test('what a machine brings on itself and does not handle is its end', async (t) => {
  const { processes, rest, pass, crashes } = timedNode(t)
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        on: {
          insert: () => ({ insert: 'nobody' }),
          go: { to: 'b', do: () => ({ next: 'b', timeoutsMs: { one: 5 } }) },
        },
      },
      b: { on: { insert: () => ({ insert: 'nobody' }) } },
      c: { timeouts: { one() {} } },
    },
  })
  processes.cast(processes.spawn(machine), 'insert')
  processes.cast(processes.spawn(machine), 'go')
  await rest()
  assert.equal(crashes(), ['ERR_SKEIN_NO_HANDLER'])
  await pass(5)
  assert.equal(crashes(), ['ERR_SKEIN_NO_HANDLER', 'ERR_SKEIN_NO_HANDLER'])
})

test('what a step does not declare is a coded error', async (t) => {
  const { processes, rest, crashes } = timedNode(t)
  const results: unknown[] = [{ next: 'b' }, { next: 'nowhere' }, { stop: 'normal' }, { postpone: true }]
  for (const result of results) {
    const machine = stateMachine({
      data: () => 0,
      initial: 'a',
      states: { a: { on: { go: (() => result) as () => undefined } }, b: {} },
    })
    processes.cast(processes.spawn(machine), 'go')
  }
  const enter = stateMachine({
    data: () => 0,
    initial: 'a',
    states: { a: { enter: (() => ({ stop: 'early' })) as unknown as () => undefined } },
  })
  processes.spawn(enter)
  await rest()
  assert.equal(crashes(), new Array(5).fill('ERR_SKEIN_BAD_TRANSITION'))
})

test('results of the wrong shape are coded errors that say what is wrong', async (t) => {
  const { processes, rest, crashes } = timedNode(t)
  const shapes: unknown[] = [
    'b',
    5,
    null,
    new Map(),
    { nxet: 'b' },
    { next: 5 },
    { next: 'b', repeat: true },
    { repeat: 'yes' },
    { postpone: 'yes' },
    { stop: 'normal', next: 'b' },
    { stop: 'normal', insert: 'x' },
    { insert: 5 },
    { insert: [{ type: 5 }] },
    { reply: 'to nobody' },
    { stateTimeoutMs: -1 },
    { stateTimeoutMs: 'soon' },
    { stateTimeoutMs: MAX_TIMEOUT_MS + 1 },
    { eventTimeoutMs: 5 },
    { next: 'b', stateTimeoutMs: 5 },
    { timeoutsMs: { unknown: 5 } },
    { timeoutsMs: 5 },
  ]
  for (const shape of shapes) {
    const machine = stateMachine({
      data: () => 0,
      initial: 'a',
      states: {
        a: {
          on: { go: { to: 'b', may: ['stop', 'postpone'], do: (async () => shape) as () => Promise<undefined> } },
          stateTimeout() {},
        },
        b: {},
      },
    })
    processes.cast(processes.spawn(machine), 'go')
  }
  const enters = [{ next: 'a' }, { insert: 'x' }, { postpone: true }, { repeat: true }, { reply: 1 }, 7]
  for (const shape of enters) {
    const enter = (() => shape) as unknown as () => undefined
    processes.spawn(stateMachine({ data: () => 0, initial: 'a', states: { a: { enter } } }))
  }
  const both = (() => ({ reply: 1, postpone: true })) as unknown as () => undefined
  const calls = { go: { may: 'postpone', do: both } } as const
  processes.call(processes.spawn(stateMachine({ data: () => 0, initial: 'a', states: { a: { calls } } })), 'go')
  await rest()
  assert.equal(crashes(), new Array(shapes.length + enters.length + 1).fill('ERR_SKEIN_BAD_RETURN'))
})

test('what a machine may keep is bounded', async (t) => {
  const { processes, rest, crashes } = timedNode(t)
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        on: {
          keep: 'postpone',
          many: (_machine, { count }: { readonly count: number }) => ({ insert: new Array<string>(count).fill('one') }),
          one() {},
        },
      },
    },
  })
  const keeper = processes.spawn(machine)
  for (let i = 0; i < MAX_POSTPONED_EVENTS; i++) processes.cast(keeper, 'keep')
  const inserter = processes.spawn(machine)
  processes.cast(inserter, { type: 'many', count: MAX_INSERTED_EVENTS })
  await rest()
  assert.equal(crashes(), [])
  processes.cast(keeper, 'keep')
  processes.cast(inserter, { type: 'many', count: MAX_INSERTED_EVENTS + 1 })
  await rest()
  assert.equal(crashes(), ['ERR_SKEIN_LIMIT', 'ERR_SKEIN_LIMIT'])
})

test('a machine that inserts events for ever leaves others their turn, and can be ended', async (t) => {
  const { processes, clock } = timedNode(t)
  let count = 0
  const machine = stateMachine({
    data: () => 0,
    initial: 'a',
    states: {
      a: {
        on: {
          spin() {
            count++
            return { insert: 'spin' }
          },
        },
      },
    },
  })
  const pid = processes.spawn(machine)
  processes.cast(pid, 'spin')
  assert.is(await clock.run({ until: () => count > 1_000 }), 'condition')
  processes.exit(pid, 'enough')
  assert.is(await clock.run(), 'idle')
  const before = count
  await clock.run()
  assert.is(count, before)
})

test.run()

/** GenServer states that outlive their process: when they are loaded, when they are saved, and what a broken store does. */
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import { memoryStore } from '../../../src/behaviours/store/memory.ts'
import type { StateStore } from '../../../src/behaviours/store/store.ts'
import { Origin, Pid } from '../../../src/pid.ts'
import { MessageCodec } from '../../../src/wire/codec.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { codeOf, errorOf, loneNode, turns } from '../process/process-support.ts'

const test = suite('genServer states that are kept')

const codec = new MessageCodec({ local: new Origin('any@host', 'any', '00000000000000ff') }).forStorage()

/** A store that lets the test see and hold its writes, and break it. */
class TestStore implements StateStore {
  readonly log: [key: string, state: unknown][] = []
  readonly #bytes = new Map<string, Uint8Array>()
  broken: 'load' | 'save' | undefined
  /** Writes wait for `release`. */
  held = false
  #waiting: (() => void)[] = []

  async load(key: string): Promise<Uint8Array | undefined> {
    if (this.broken === 'load') throw new SkeinError('ERR_SKEIN_STORE', 'cannot load')
    return this.#bytes.get(key)
  }

  async save(key: string, bytes: Uint8Array): Promise<void> {
    if (this.broken === 'save') throw new SkeinError('ERR_SKEIN_STORE', 'cannot save')
    const copy = bytes.slice()
    assert.not(Buffer.isBuffer(bytes), 'slice has to copy')
    this.log.push([key, codec.decode(copy, 0, copy.length)])
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#bytes.set(key, copy)
  }

  release(): void {
    for (const go of this.#waiting.splice(0)) go()
  }

  async remove(): Promise<void> {}
  async close(): Promise<void> {}
}

const counter = (store: StateStore, intervalMs?: number) =>
  genServer({
    init: (_self, _id: string) => ({ state: 0 }),
    handleCall(request: 'read' | 'next' | 'stop' | 'crash', _from, total) {
      if (request === 'crash') throw new Error('crash')
      if (request === 'stop') return { reply: total, stop: 'normal' }
      return request === 'read' ? { reply: total } : { reply: total + 1, state: total + 1 }
    },
    persist: { store, key: (id) => `counter/${id}`, ...(intervalMs !== undefined && { intervalMs }) },
  })

test('a state comes back, each under its key, and only changes are saved', async (t) => {
  const { processes } = loneNode(t)
  const store = new TestStore()
  const behaviour = counter(store)
  const a = await processes.start(behaviour, {}, 'a')
  const b = await processes.start(behaviour, {}, 'b')
  for (let i = 1; i <= 3; i++) assert.is(await processes.call(a, 'next'), i)
  await processes.call(b, 'next')
  await processes.call(a, 'read')
  assert.equal(store.log, [
    ['counter/a', 1],
    ['counter/a', 2],
    ['counter/a', 3],
    ['counter/b', 1],
  ])
  processes.exit(a, 'kill')
  assert.is(await processes.call(await processes.start(behaviour, {}, 'a'), 'read'), 3)
  assert.is(await processes.call(await processes.start(behaviour, {}, 'c'), 'read'), 0)
})

test('nobody hears of a change before it is durable', async (t) => {
  const { processes } = loneNode(t)
  const store = new TestStore()
  const pid = await processes.start(counter(store), {}, 'a')
  store.held = true
  let replied = false
  const call = processes.call(pid, 'next').then((value) => {
    replied = true
    return value
  })
  const next = processes.call(pid, 'read')
  await turns()
  assert.equal(store.log, [['counter/a', 1]])
  assert.not(replied)
  store.release()
  assert.is(await call, 1)
  assert.is(await next, 1)
})

test('pids come back as they were, whichever incarnation reads them, and so do registered types', async (t) => {
  class Money {
    readonly cents: number
    constructor(cents: number) {
      this.cents = cents
    }
  }
  const money = {
    id: 'test/money',
    class: Money,
    encode: ({ cents }: Money) => cents,
    decode: (cents: unknown) => new Money(cents as number),
  }
  const id = 'ab'.repeat(16)
  const earlier = new Origin('lone@test', id, '0000000000000001')
  const later = new Origin('lone@test', id, '0000000000000002')
  const before = new MessageCodec({ local: earlier })
  const after = new MessageCodec({ local: later })
  const [writes, reads] = [before.forStorage(), after.forStorage()]
  for (const one of [before, after]) one.registerType(money)
  const pids = [earlier, later, new Origin('other@test', 'cd'.repeat(16), '0000000000000003')].map(
    (at) => new Pid(at, 7),
  )
  const bytes = Uint8Array.from(writes.encode({ pids, price: new Money(5) }))
  const state = reads.decode(bytes, 0, bytes.length) as { pids: Pid[]; price: Money }
  assert.equal(
    state.pids.map(({ key }) => key),
    pids.map(({ key }) => key),
  )
  assert.instance(state.price, Money)
  assert.is(state.price.cents, 5)
  // And through a server.
  const node = loneNode(t)
  const store = memoryStore()
  const server = genServer({
    init: () => ({ state: [] as Pid[] }),
    handleCall: (request: Pid | 'read', _from, known) =>
      request === 'read' ? { reply: known } : { reply: known, state: [...known, request] },
    persist: { store, key: 'pids' },
  })
  const first = await node.processes.start(server)
  for (const pid of pids) await node.processes.call(first, pid)
  const again = await node.processes.call(await node.processes.start(server), 'read')
  assert.ok(again.every((pid, index) => pid.equals(pids[index])))
  assert.is(again.length, pids.length)
})

test('restore makes the state of what was saved and what init gave', async (t) => {
  const { processes } = loneNode(t)
  const store = new TestStore()
  await store.save('config', Uint8Array.from(codec.encode({ version: 1, total: 5 })))
  const server = genServer({
    init: (_self, step: number) => ({ state: { total: 0, step } }),
    handleCall: (_request: 'read', _from, state) => ({ reply: state }),
    persist: {
      store,
      key: 'config',
      restore: (saved, initial) => ({ ...initial, total: (saved as { total: number }).total }),
    },
  })
  assert.equal(await processes.call(await processes.start(server, {}, 3), 'read'), { total: 5, step: 3 })
})

test('a store that cannot be read fails the start, before init; bytes that are no state do too', async (t) => {
  const { processes } = loneNode(t)
  const store = new TestStore()
  let inits = 0
  const server = genServer({
    init: () => ({ state: ++inits }),
    persist: { store, key: 'k' },
  })
  store.broken = 'load'
  assert.is(((await errorOf(processes.start(server))).cause as SkeinError).code, 'ERR_SKEIN_STORE')
  store.broken = undefined
  const rubbish: StateStore = { ...bare, load: async () => Uint8Array.of(0xc1, 0xc1) }
  const unreadable = genServer({ init: () => ({ state: ++inits }), persist: { store: rubbish, key: 'k' } })
  assert.is(((await errorOf(processes.start(unreadable))).cause as SkeinError).code, 'ERR_SKEIN_BAD_MESSAGE')
  const keyless = genServer({ init: () => ({ state: ++inits }), persist: { store, key: () => 5 as never } })
  assert.is(((await errorOf(processes.start(keyless))).cause as SkeinError).code, 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(inits, 0)
})

const bare: StateStore = {
  load: async () => undefined,
  save: async () => {},
  remove: async () => {},
  close: async () => {},
}

test('a change that cannot be saved ends the server, and its caller hears no reply', async (t) => {
  const node = loneNode(t)
  const store = new TestStore()
  const seen: unknown[] = []
  const server = genServer({
    init: () => ({ state: 0 as unknown }),
    handleCall: (request: unknown) => ({ reply: 'done', state: request }),
    terminate: (reason) => void seen.push((reason as SkeinError).code),
    persist: { store, key: 'k' },
  })
  const pid = await node.processes.start(server)
  const error = await errorOf(node.processes.call(pid, () => {}))
  assert.is((error.cause as SkeinError).code, 'ERR_SKEIN_UNSERIALISABLE')
  store.broken = 'save'
  const other = await errorOf(node.processes.call(await node.processes.start(server), 1))
  assert.is(other.code, 'ERR_SKEIN_CALL_EXIT')
  assert.is((other.cause as SkeinError).code, 'ERR_SKEIN_STORE')
  assert.equal(seen, ['ERR_SKEIN_UNSERIALISABLE', 'ERR_SKEIN_STORE'])
  assert.equal(store.log, [])
})

test('with an interval: the latest state at most so often, and the last one at an orderly end', async (t) => {
  const clock = new VirtualClock()
  const { processes } = loneNode(t, { clock })
  const store = new TestStore()
  const saved = (): unknown[] => store.log.map(([, state]) => state)
  const pid = processes.spawn(counter(store, 1000), {}, 'a')
  const next = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) void processes.call(pid, 'next')
    await clock.run({ untilMs: clock.now() + 1 })
  }
  await next(5)
  assert.equal(saved(), [], 'not yet')
  await clock.run({ untilMs: 1500 })
  assert.equal(saved(), [5])
  await clock.run({ untilMs: 5000 })
  assert.equal(saved(), [5], 'nothing has changed')
  await next(2)
  await clock.run({ untilMs: 6500 })
  assert.equal(saved(), [5, 7])
  await next(1)
  void processes.call(pid, 'stop')
  await clock.run({ untilMs: 6600 })
  assert.not(processes.isAlive(pid))
  assert.equal(saved(), [5, 7, 8])
})

test('with an interval: ended from outside the state is saved, after an error it is not', async (t) => {
  const { processes } = loneNode(t)
  for (const how of ['shutdown', 'kill', 'crash'] as const) {
    const store = new TestStore()
    const pid = await processes.start(counter(store, 60_000), {}, 'a')
    await processes.call(pid, 'next')
    if (how === 'crash') assert.is(await codeOf(processes.call(pid, 'crash')), 'ERR_SKEIN_CALL_EXIT')
    else processes.exit(pid, how)
    await turns()
    assert.not(processes.isAlive(pid))
    assert.is(store.log.length, how === 'crash' ? 0 : 1, how)
  }
})

test('with an interval: a write that fails ends the server', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const store = new TestStore()
  const pid = node.processes.spawn(counter(store, 100), {}, 'a')
  void node.processes.call(pid, 'next')
  store.broken = 'save'
  await clock.run({ untilMs: 500 })
  assert.not(node.processes.isAlive(pid))
  const [report] = node.reports as { type: string; reason: SkeinError }[]
  assert.is(report?.type, 'crashed')
  assert.is(report?.reason.code, 'ERR_SKEIN_STORE')
})

test.run()

/**
 * What the compiler must accept and refuse. Nothing here runs: `npm run test:types` is the test, and a line that says
 * @ts-expect-error fails it when the compiler has nothing against the next one.
 */
import {
  type CallMessage,
  type CastMessage,
  type From,
  genServer,
  type InfoMessage,
  type Pid,
  type PidOf,
  type Request,
  type Self,
  type SkeinNode,
  type StandardSchema,
  type SystemMessage,
  type TimeoutMessage,
  withSchema,
} from '../../src/index.ts'

/** Exactly the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const expect = <_T extends true>(): void => {}

declare const node: SkeinNode
declare const self: Self

const counter = genServer({
  init: (_self, start: number) => ({ state: start }),
  handleCall(request: 'read' | { readonly add: number }, _from, total) {
    expect<Same<typeof total, number>>()
    if (request === 'read') return { reply: total }
    return { reply: total + request.add, state: total + request.add }
  },
  handleCast(message: { readonly add: number }, total) {
    return { state: total + message.add }
  },
  handleInfo(message: 'tick' | SystemMessage | TimeoutMessage, total) {
    return message === 'tick' ? { state: total + 1, timeoutMs: 10 } : undefined
  },
  terminate(_reason, total) {
    expect<Same<typeof total, number>>()
  },
})

export const spawning = async (): Promise<void> => {
  const pid = node.spawn(counter, 5)
  expect<Same<typeof pid, PidOf<typeof counter>>>()
  const started = await node.start(counter, 5)
  expect<Same<typeof started, typeof pid>>()
  self.spawnLink(counter, 5)
  // @ts-expect-error the start is a number
  node.spawn(counter, '5')
  // @ts-expect-error there is a start
  node.spawn(counter)
  // @ts-expect-error there is one start
  await self.startLink(counter, 1, 2)
}

export const talking = async (pid: PidOf<typeof counter>): Promise<void> => {
  const total = await node.call(pid, 'read')
  expect<Same<typeof total, number>>()
  const same = await self.call(pid, { add: 1 }, { timeoutMs: 10 })
  expect<Same<typeof same, number>>()
  // @ts-expect-error no such request
  await node.call(pid, 'write')
  // @ts-expect-error no such request
  await self.call(pid, { add: 'one' })
  node.cast(pid, { add: 1 })
  // @ts-expect-error no such cast
  node.cast(pid, 'tick')
  // @ts-expect-error no such cast
  self.cast(pid, { subtract: 1 })
  self.send(pid, 'tick')
  // @ts-expect-error casts are not sent
  self.send(pid, { add: 1 })
  // @ts-expect-error nor are system messages
  node.send(pid, { type: 'nodeup', node: 'a@b' })
  self.sendAfter(10, pid, 'tick')
  // @ts-expect-error no such message
  self.sendAfter(10, pid, 'tock')
}

type Get = Request<{ readonly type: 'get'; readonly key: string }, string | undefined>
type Size = Request<'size', number>

const waiting: From<string | undefined | number>[] = []
const store = genServer({
  init: async () => ({ state: new Map<string, string>() }),
  async handleCall(request: Get | Size, from, entries) {
    expect<Same<typeof from, From<string | undefined | number>>>()
    if (request === 'size') return { reply: entries.size }
    waiting.push(from)
  },
})

export const replies = async (pid: PidOf<typeof store>): Promise<void> => {
  const size = await node.call(pid, 'size')
  expect<Same<typeof size, number>>()
  const value = await node.call(pid, { type: 'get', key: 'a' })
  expect<Same<typeof value, string | undefined>>()
  // @ts-expect-error it is a number
  const wrong: string = await node.call(pid, 'size')
  // @ts-expect-error the key is a text
  await node.call(pid, { type: 'get', key: 1 })
  // @ts-expect-error it takes no casts
  node.cast(pid, 'size')
  // @ts-expect-error nor plain messages
  node.send(pid, 'size')
  for (const from of waiting) {
    self.reply(from, 1)
    // @ts-expect-error no reply that anybody expects
    self.reply(from, true)
  }
  void wrong
}

// Without declared replies a call that may be answered later has a reply of unknown type.
const later = genServer({
  init: () => ({ state: 0 }),
  handleCall: (request: string, _from, state) => (request === 'now' ? { reply: state } : undefined),
})
export const unknownReply = async (): Promise<void> => {
  const reply = await node.call(node.spawn(later), 'now')
  expect<Same<typeof reply, unknown>>()
}

// One that stops without a reply has none.
const stopping = genServer({
  init: () => ({ state: 0 }),
  handleCall: (request: string, _from, state) => (request === 'stop' ? { stop: 'asked' } : { reply: state }),
})
export const stopReply = async (): Promise<void> => {
  const reply = await node.call(node.spawn(stopping), 'now')
  expect<Same<typeof reply, number>>()
}

// Results.
genServer({
  init: () => ({ state: 0, continue: 'load' as const }),
  handleContinue: (_value: 'load') => ({ state: 1 }),
  // @ts-expect-error the state is a number
  handleCast: (message: string) => ({ state: message }),
})
genServer({
  init: () => ({ state: 0 }),
  // @ts-expect-error the state is a number
  handleCall: (request: string) => ({ reply: 1, state: request }),
})
genServer({
  init: () => ({ state: 0 }),
  // @ts-expect-error no handleContinue takes this
  handleCast: (_message: string) => ({ continue: 1 }),
})
genServer({
  // @ts-expect-error the state has to be in a result
  init: () => 0,
})
genServer({
  init: () => ({ state: 0 }),
  // @ts-expect-error a state that is returned bare
  handleCall: (_request: string, _from, state) => state + 1,
})
genServer({
  init: () => ({ state: 0 }),
  // @ts-expect-error casts have no reply
  handleCast: (_message: string, state) => ({ reply: state }),
})

// Plain functions.
export const functions = async (): Promise<void> => {
  const echo = node.spawn<{ readonly say: string } | CallMessage<number, string>>(async (inner) => {
    for await (const message of inner) {
      if ('say' in message) continue
      inner.reply(message.from, 'text')
      // @ts-expect-error the caller expects a text
      inner.reply(message.from, 1)
    }
  })
  const text = await node.call(echo, 1)
  expect<Same<typeof text, string>>()
  node.send(echo, { say: 'a' })
  node.cast(echo, { say: 'a' })
  // @ts-expect-error not a number
  await node.call(echo, 'one')
  // @ts-expect-error say what
  node.send(echo, {})
  // @ts-expect-error say what
  node.cast(echo, 1)
  const loose = node.spawn(async (inner) => {
    inner.send(inner.pid, 'anything')
  })
  node.send(loose, 'anything')
  const reply = await node.call(loose, 'anything')
  expect<Same<typeof reply, unknown>>()
}

// Names are not typed.
export const names = async (): Promise<void> => {
  node.send('name', 1)
  node.cast({ name: 'name', node: 'a@b' }, 1)
  const reply = await node.call('name', 1)
  expect<Same<typeof reply, unknown>>()
  const cast = (await self.call({ name: 'name', node: 'a@b' }, 1)) as { readonly count: number }
  void cast
}

// A pid that understands more will do where one that understands less is asked for.
type Reader = Pid<CallMessage<'read', number>>
type Adder = Pid<CastMessage<{ readonly add: number }> | InfoMessage<'tick'>>
export const narrowing = (pid: PidOf<typeof counter>, plain: Pid<'a' | 'b'>): void => {
  const reader: Reader = pid
  const anyReply: Pid<CallMessage<'read'>> = pid
  const adder: Adder = pid
  const less: Pid<'a'> = plain
  // @ts-expect-error it does not understand c
  const more: Pid<'a' | 'c'> = plain
  // @ts-expect-error its reply is a number
  const wrong: Pid<CallMessage<'read', string>> = pid
  void [reader, anyReply, adder, less, more, wrong]
}

// Schemas.
declare const addSchema: StandardSchema<unknown, { readonly add: number }>
declare const textSchema: StandardSchema<unknown, string>
genServer({
  init: () => ({ state: 0 }),
  handleCast: (message: { readonly add: number }, total) => ({ state: total + message.add }),
  schema: { cast: addSchema },
})
genServer({
  init: () => ({ state: 0 }),
  handleCast: (message: { readonly add: number }, total) => ({ state: total + message.add }),
  // @ts-expect-error it lets through what the handler does not take
  schema: { cast: textSchema },
})
withSchema<string, []>(async () => {}, { message: textSchema })
// @ts-expect-error it lets through what the function does not take
withSchema<string, []>(async () => {}, { message: addSchema })

// Persistence.
genServer({
  init: (_self, id: string) => ({ state: { id, count: 0 } }),
  persist: {
    store: { load: async () => undefined, save: async () => {}, remove: async () => {}, close: async () => {} },
    key: (id) => `counter/${id}`,
    restore: (saved, initial) => (typeof saved === 'number' ? { ...initial, count: saved } : initial),
  },
})

/** A member that does not keep to the rules: it speaks over the channel of its own service, as any program on it could. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import type { NodeEvent, Self, SkeinNode } from '../../../../src/index.ts'
import { Channel, type ChannelPeer } from '../../../../src/services/channel.ts'
import { MAX_CLOCK_AHEAD_MS } from '../../../../src/services/global/stamp.ts'
import { simulate } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'
import { waiter } from '../support.ts'

const test = suite('global names and a liar')

/** Channels of global services, as they speak. */
const channels = new Set<Channel>()
const { send } = Channel.prototype
Channel.prototype.send = function (this: Channel, peer: ChannelPeer, message: unknown) {
  if (this.service === 'skein.global') channels.add(this)
  return send.call(this, peer, message)
}

const stampOf = (ms: number): string => `${Math.floor(ms).toString(16).padStart(12, '0')}0000`

const collect = (node: SkeinNode): NodeEvent[] => {
  const seen: NodeEvent[] = []
  void (async () => {
    for await (const event of node.events) seen.push(event)
  })()
  return seen
}

interface Scene {
  readonly honest: SkeinNode
  readonly third: SkeinNode
  readonly events: NodeEvent[]
  /** To the honest and the third node, as the liar's service. */
  lie(message: unknown): void
  /** An entry on the liar's board. */
  board(put: unknown[], removed?: string[]): void
  /** Asks both for a name. */
  ask(name: string): void
  readonly nowMs: number
  sleep(ms: number): Promise<void>
  readonly liar: SkeinNode
}

const scene = (title: string, play: (scene: Scene) => Promise<void>): void =>
  test(title, async () => {
    channels.clear()
    await simulate({ nodes: ['honest', 'third', 'liar'] }, async (sim) => {
      await sim.meshed()
      await sim.sleep(500)
      const { honest, third, liar } = sim.hosts
      const channel = [...channels].find((each) => {
        const nodes = each.peers().map(({ node }) => node)
        return nodes.length === 2 && !nodes.includes(liar.node.name)
      })
      if (channel === undefined) throw new Error('The liar has no channel.')
      let number = 1
      const lie = (message: unknown): void => {
        for (const peer of channel.peers()) channel.send(peer, message)
      }
      await play({
        honest: honest.node,
        third: third.node,
        liar: liar.node,
        events: collect(honest.node),
        lie,
        board: (put, removed = []) => lie({ type: 'board', number: number++, put, removed, complete: true }),
        ask: (name) => lie({ type: 'ask', id: 1, question: { type: 'claim', name, stamp: stampOf(0) } }),
        nowMs: honest.clock.wallNow(),
        sleep: (ms) => sim.sleep(ms),
      })
    })
  })

const refusals = (events: readonly NodeEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'memberRefused' ? [`${event.node.slice(0, 4)} ${event.code}`] : []))

scene('does not get a name that somebody has, however old it says its claim is', async (stage) => {
  const { honest, third, events, board, ask, nowMs, sleep } = stage
  const pid = waiter(honest)
  const { token } = await honest.global.register('x', pid)
  await sleep(100)
  // Younger, as old as its connection, older than its start, from the beginning of time.
  for (const ms of [nowMs + 10_000, nowMs - 400, nowMs - 3_600_000, 0]) {
    board([['x', [1, stampOf(ms), stampOf(nowMs + 20_000), false]]])
    await sleep(100)
    for (const node of [honest, third]) assert.ok(pid.equals(node.global.whereis('x')))
    board([], ['x'])
    await sleep(100)
  }
  assert.is(third.global.token('x'), token)
  assert.ok(await honest.isProcessAlive(pid))
  assert.equal(refusals(events), ['liar ERR_SKEIN_PROTOCOL'])
  // It asks, the third node agrees, the holder does not; it does not care.
  ask('x')
  await sleep(100)
  board([['x', [1, stampOf(nowMs + 10), stampOf(nowMs + 10), false]]])
  await sleep(100)
  assert.ok(pid.equals(third.global.whereis('x')))
  board([['x', [1, stampOf(nowMs + 60_000), stampOf(nowMs + 60_000), false]]])
  await sleep(100)
  assert.ok(pid.equals(third.global.whereis('x')))
  assert.ok(pid.equals(honest.global.whereis('x')))
  assert.is(honest.global.token('x'), token)
})

scene(
  'cannot give up, hand over or judge what is not its own',
  async ({ honest, third, liar, events, lie, board, sleep }) => {
    const pid = waiter(honest)
    await honest.global.register('x', pid, { resolve: (_name, a) => a.pid })
    await sleep(100)
    const info = honest.global.info('x')
    const stamp = info?.token.slice(0, 16)
    board([], ['x'])
    lie({ type: 'transferCancelled', name: 'x' })
    lie({ type: 'verdict', name: 'x', winner: waiter(liar), loser: pid })
    lie({ type: 'verdict', name: 'x', winner: stamp, loser: stamp })
    lie({ type: 'ask', id: 1, question: { type: 'transfer', name: 'x', number: 1, token: stamp, registeredAt: stamp } })
    lie({ type: 'ask', id: 2, question: { type: 'unregister', name: 'x' } })
    await sleep(500)
    assert.equal(honest.global.info('x'), info)
    assert.ok(pid.equals(third.global.whereis('x')))
    assert.ok(await honest.isProcessAlive(pid))
    assert.equal(refusals(events), ['liar ERR_SKEIN_PROTOCOL'])
  },
)

scene(
  'cannot register processes of other nodes as its own',
  async ({ honest, third, ask, board, nowMs, sleep, liar }) => {
    const pid = waiter(honest)
    ask('y')
    await sleep(100)
    board([['y', [pid.number, stampOf(nowMs + 1000), stampOf(nowMs + 1000), false]]])
    await sleep(100)
    // It is the liar's process of that number that it has registered.
    for (const node of [honest, third])
      assert.is(node.global.whereis('y')?.origin.key, `${liar.id}/${liar.incarnation}`)
  },
)

scene('cannot use up the clock', async ({ honest, events, board, lie, nowMs, sleep }) => {
  const far = stampOf(nowMs + MAX_CLOCK_AHEAD_MS + 60_000)
  board([['y', [1, far, far, false]]])
  lie({ type: 'ask', id: 1, question: { type: 'claim', name: 'z', stamp: 'ffffffffffffffff' } })
  await sleep(100)
  assert.is(honest.global.whereis('y'), undefined)
  const { token } = await honest.global.register('mine', waiter(honest))
  assert.ok(token.slice(0, 16) < stampOf(nowMs + 60_000))
  assert.equal(refusals(events), ['liar ERR_SKEIN_CLOCK'])
})

scene('talks nonsense, and nothing comes of it', async ({ honest, third, events, lie, board, sleep }) => {
  for (const message of [
    null,
    'text',
    {},
    { type: 'what', name: 'x' },
    { type: 'verdict' },
    { type: 'verdict', name: 'x', winner: 1 },
    { type: 'ask' },
    { type: 'ask', id: 1 },
    { type: 'ask', id: 1, question: { type: 'claim' } },
    { type: 'ask', id: 1, question: { type: 'claim', name: 'x' } },
    { type: 'ask', id: 1, question: { type: 'register', name: 'x', number: -1 } },
    { type: 'ask', id: 1, question: { type: 'register', name: 'x', number: 999_999 } },
    { type: 'ask', id: 1, question: { type: 'transfer', name: 'x', number: 1 } },
    { type: 'ask', id: 1, question: { type: 'notice', name: 'x', token: 5 } },
    { type: 'answer', id: 1 },
    { type: 'answer', id: 'one', value: 1 },
    { type: 'refusal', id: 99, code: 'NONE', message: 5 },
  ]) {
    lie(message)
  }
  board([
    ['a', 1],
    ['b', [1]],
    ['c', [0, stampOf(1), stampOf(1), false]],
    ['d\n', [1, stampOf(1), stampOf(1), false]],
  ])
  await sleep(200)
  assert.equal(third.global.names(), [])
  assert.ok(refusals(events).every((text) => text === 'liar ERR_SKEIN_PROTOCOL'))
  assert.ok(events.every((event) => event.type === 'memberRefused'))
  const { token } = await honest.global.register('x', waiter(honest))
  await sleep(100)
  assert.is(third.global.token('x'), token)
})

scene('asks a flood of questions that are never answered, and others go on', async ({ honest, third, lie, sleep }) => {
  for (let i = 0; i < 5000; i++) {
    lie({ type: 'ask', id: i + 10, question: { type: 'notice', name: `n${i}`, token: stampOf(5) } })
  }
  for (let i = 0; i < 5000; i++)
    lie({ type: 'ask', id: i, question: { type: 'claim', name: `n${i}`, stamp: stampOf(5) } })
  await sleep(1000)
  const { token } = await honest.global.register('x', waiter(honest))
  const pid = waiter(third)
  await honest.global.register('y', pid)
  await sleep(100)
  assert.is(third.global.token('x'), token)
  assert.ok(pid.equals(honest.global.whereis('y')))
})

scene('begins its board anew, and needs to have asked for what is new on it', async (stage) => {
  const { honest, third, events, lie, nowMs, sleep } = stage
  const entry = ['y', [1, stampOf(nowMs), stampOf(nowMs), false]]
  for (const complete of [false, true]) {
    lie({ type: 'board', number: 0, put: [entry], removed: [], complete })
    await sleep(100)
    for (const node of [honest, third]) assert.is(node.global.whereis('y'), undefined)
  }
  assert.equal(refusals(events), ['liar ERR_SKEIN_PROTOCOL'])
})

scene('what it waits for in vain is forgotten', async ({ honest, liar, lie, sleep }) => {
  for (let i = 0; i < 2000; i++) {
    lie({ type: 'ask', id: -1 - i, question: { type: 'notice', name: 'n', token: stampOf(5) } })
  }
  await sleep(500)
  const codeOf = (error: unknown): unknown => (isSkeinError(error) ? error.code : error)
  assert.is(await liar.global.register('x', waiter(honest)).catch(codeOf), 'ERR_SKEIN_LIMIT')
  await sleep(11_000)
  const pid = waiter(honest)
  await liar.global.register('x', pid)
  assert.ok(pid.equals(honest.global.whereis('x')))
})

scene('another process of its node is not heard at all', async ({ honest, liar, events, sleep, nowMs }) => {
  liar.spawn((self: Self) => {
    const entry = ['y', [1, stampOf(nowMs), stampOf(nowMs), false]]
    const target = { name: 'skein.global', node: honest.name }
    self.cast(target, { type: 'board', number: 1, put: [entry], removed: [], complete: true })
    self.cast(target, { type: 'hello' })
  })
  await sleep(200)
  assert.equal(honest.global.names(), [])
  assert.equal(events, [])
})

test('a node may not name processes that it may not reach', async () => {
  const allow = [{ nodes: 'a', send: ['open'] }]
  await simulate({ nodes: ['a', 'b'], allow }, async (sim) => {
    await sim.meshed()
    const { a, b } = sim.hosts
    const [open, secret] = [waiter(b.node), waiter(b.node)]
    b.node.register('open', open)
    b.node.register('secret', secret)
    await a.node.global.register('x', open)
    const failed = await a.node.global.register('y', secret).catch((error: unknown) => error)
    assert.ok(isSkeinError(failed, 'ERR_SKEIN_FORBIDDEN'))
    assert.is(b.node.global.whereis('y'), undefined)
  })
})

test.run()

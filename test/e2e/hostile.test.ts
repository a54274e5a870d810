/** Bad input between processes on real QUIC: whoever sends it pays for it, and nobody else notices. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import * as assert from 'uvu/assert'
import { CONTROL } from '../../src/cluster/control.ts'
import { type HostileValue, NodeProcess } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { failure, Rogue } from './support.ts'

const test = suite('hostile input')

const EMPTY = new Uint8Array()

const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await Promise.all([a.up(b.name), b.up(a.name)])
  return [a, b]
}

test('what cannot cross the wire is refused where it is sent; process and connection live on', async (t) => {
  const [a, b] = await startPair(t)
  const target = await b.puppet('target')
  const expected: Record<HostileValue, string> = {
    function: 'ERR_SKEIN_UNSERIALISABLE',
    symbol: 'ERR_SKEIN_UNSERIALISABLE',
    cyclic: 'ERR_SKEIN_UNSERIALISABLE',
    promise: 'ERR_SKEIN_UNSERIALISABLE',
    instance: 'ERR_SKEIN_UNSERIALISABLE',
    oversize: 'ERR_SKEIN_MESSAGE_TOO_LARGE',
  }
  for (const [what, code] of Object.entries(expected) as [HostileValue, string][]) {
    assert.is((await failure(a.do('sendHostile', target.pid, what))).code, code, what)
    assert.is((await failure(a.do('sendHostile', { name: 'target', node: b.name }, what))).code, code, what)
  }
  const sender = await a.puppet('sender')
  await sender.send(target.pid, 'still here')
  assert.is((await target.mailbox.next()).value, 'still here')
  assert.is(target.mailbox.all.length, 1)
  for (const { events } of [a, b]) assert.not(events.all.some(({ value }) => value.type === 'nodedown'))
})

test('the longest message that is allowed arrives', async (t) => {
  const [a, b] = await startPair(t)
  const target = await b.puppet('target')
  const sender = await a.puppet('sender')
  const bytes = new Uint8Array((16 << 20) - 64).fill(7)
  await sender.send(target.pid, bytes)
  const got = (await target.mailbox.next()).value as Uint8Array
  assert.is(got.length, bytes.length)
  assert.ok(Buffer.compare(got, bytes) === 0)
})

/** A relay before a node that keeps copies of what passes, and a way to send bytes to the node as anybody. */
class Tap {
  readonly seen: Buffer[] = []
  readonly #front: Socket
  readonly #back: Socket
  readonly #target: number
  #client = 0

  private constructor(front: Socket, back: Socket, target: number) {
    this.#front = front
    this.#back = back
    this.#target = target
    front.on('message', (bytes, from) => {
      this.#client = from.port
      this.seen.push(bytes)
      back.send(bytes, target, '127.0.0.1')
    })
    back.on('message', (bytes) => {
      this.seen.push(bytes)
      front.send(bytes, this.#client, '127.0.0.1')
    })
  }

  static async open(t: TestContext, target: number): Promise<Tap> {
    const [front, back] = [createSocket('udp4'), createSocket('udp4')]
    for (const socket of [front, back]) {
      socket.bind(0, '127.0.0.1')
      await once(socket, 'listening')
      t.defer(() => new Promise<void>((resolve) => socket.close(() => resolve())))
    }
    return new Tap(front, back, target)
  }

  get address(): string {
    return `127.0.0.1:${this.#front.address().port}`
  }

  /** From the address of the connection itself: the worst place. */
  inject(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#back.send(bytes, this.#target, '127.0.0.1', (error) => (error ? reject(error) : resolve()))
    })
  }

  /** The same to the other side. */
  injectBack(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#front.send(bytes, this.#client, '127.0.0.1', (error) => (error ? reject(error) : resolve()))
    })
  }
}

/** A linear congruential generator: the same datagrams at each run. */
const chances = (seed: number): ((below: number) => number) => {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const SEED = 20_240_501

/** Nonsense of every kind, some of it made from real datagrams. */
const garbage = (seen: readonly Buffer[], count: number): Buffer[] => {
  const below = chances(SEED)
  const random = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)))
  return Array.from({ length: count }, (_, i) => {
    const real = Buffer.from(seen[below(seen.length)] ?? [])
    switch (i % 6) {
      case 0:
        return random(1 + below(1500))
      case 1:
        return Buffer.alloc(4 + below(1400), 0xff)
      case 2:
        return real.subarray(0, below(real.length + 1))
      case 3: {
        const at = below(Math.max(1, real.length))
        if (real.length > 0) real[at] = real[at]! ^ (1 << below(8))
        return real
      }
      case 4:
        return Buffer.concat([real, random(1 + below(50))])
      default:
        return Buffer.concat([Buffer.of(0xc0 | below(16), 0, 0, 0, below(3)), random(below(1300))])
    }
  })
}

test(
  'garbage at the port of a node that works: nobody notices, and it is counted',
  async (t) => {
    console.log(`seed ${SEED}`)
    const a = await NodeProcess.start(t, { name: 'a', mesh: 'none' })
    const b = await NodeProcess.start(t, { name: 'b', mesh: 'none' })
    const tap = await Tap.open(t, a.facts.port)
    await b.do('connect', tap.address)
    const checker = await a.do('load', 'checker', 'checker', [1])
    const echo = await a.do('load', 'echo', 'echo', [])
    await b.do('load', 'caller', 'caller', [echo])
    await b.do('load', 'sender', 'sender', [checker, 20_000])
    while (tap.seen.length < 200) await b.do('ping', a.name)

    const stranger = createSocket('udp4')
    stranger.bind(0, '127.0.0.1')
    await once(stranger, 'listening')
    t.defer(() => new Promise<void>((resolve) => stranger.close(() => resolve())))
    const heard: Buffer[] = []
    stranger.on('message', (bytes) => heard.push(bytes))
    const before = await a.do('counters')
    const nonsense = garbage(tap.seen.slice(0, 2000), 3000)
    for (const [i, datagram] of nonsense.entries()) {
      await new Promise((resolve) => stranger.send(datagram, a.facts.port, '127.0.0.1', resolve))
      await (i % 2 === 0 ? tap.inject(datagram) : tap.injectBack(datagram))
      // In step with the nodes, so that no socket buffer overflows: garbage that is dropped there proves nothing.
      if (i % 100 === 0) await b.do('ping', a.name)
    }
    assert.equal(await a.do('whenDone', 'checker'), { received: 20_000, wrong: 0 })
    await b.do('release', 'caller')
    const calls = await b.do('whenDone', 'caller')
    assert.is(calls.failed, 0)
    assert.ok((calls.answered ?? 0) > 0)
    const after = await a.do('counters')
    const grown = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0)
    console.log(
      ['gated', 'unknown', 'unconnected', 'invalid', 'krpc'].map((name) => `${name} ${grown(name)}`).join(', '),
    )
    for (const name of ['gated', 'unknown', 'invalid']) assert.ok(grown(name) > 0, `${name} grew`)
    assert.is(grown('accepted'), 0, 'no stranger got as far as TLS')
    for (const { events } of [a, b]) assert.not(events.all.some(({ value }) => value.type === 'nodedown'))
    assert.ok(heard.length <= 100, `${heard.length} answers to a stranger`)
  },
  { deadlineMs: 60_000 },
)

const badFrames: readonly { what: string; code: string; send: (rogue: Rogue) => void }[] = [
  {
    what: 'a frame of no known type',
    code: 'ERR_SKEIN_BAD_MESSAGE',
    send: ({ lanes }) => lanes.sender().send(0, EMPTY, 0, EMPTY),
  },
  {
    what: 'a message that does not decode',
    code: 'ERR_SKEIN_BAD_MESSAGE',
    send: ({ lanes }) => lanes.sender().send(1, EMPTY, 0, Uint8Array.of(1, 1, 0xc1)),
  },
  {
    what: 'a message of ff',
    code: 'ERR_SKEIN_BAD_MESSAGE',
    send: ({ lanes }) => lanes.sender().send(1, EMPTY, 0, new Uint8Array(1000).fill(0xff)),
  },
  {
    what: 'a control frame out of place',
    code: 'ERR_SKEIN_PROTOCOL',
    send: ({ lanes }) => lanes.control(CONTROL.hello, EMPTY),
  },
  {
    what: 'a control frame of ff',
    code: 'ERR_SKEIN_PROTOCOL',
    send: ({ lanes }) => lanes.control(CONTROL.peers, new Uint8Array(5000).fill(0xff)),
  },
]

test('a member that breaks the rules is disconnected with a code, and the others notice nothing', async (t) => {
  const [a, b] = await startPair(t)
  await a.do('load', 'echo', 'echo', [])
  await b.do('load', 'caller', 'caller', [{ name: 'echo', node: a.name }])
  for (const { what, code, send } of badFrames) {
    const rogue = await Rogue.dial(t, a)
    await rogue.up
    send(rogue)
    const end = await rogue.closed
    assert.equal([end.code, end.byPeer], [code, true], what)
    await a.down('rogue@nowhere')
  }
  await b.do('release', 'caller')
  const calls = await b.do('whenDone', 'caller')
  assert.is(calls.failed, 0)
  assert.ok((calls.answered ?? 0) > 0)
  assert.not(
    b.events.all.some(({ value }) => value.type === 'nodedown'),
    'b has not even heard of it',
  )
  assert.equal(await a.nodes(), [b.name])
})

test('a frame that claims an absurd length: ERR_SKEIN_PROTOCOL, and no memory is taken for it', async (t) => {
  const [a, b] = await startPair(t)
  const before = await a.do('memory')
  for (const length of [0xffffffff, 0x7fffffff, 0, (16 << 20) + 8192]) {
    const rogue = await Rogue.dial(t, a)
    await rogue.up
    rogue.beginFrame(length)
    const end = await rogue.closed
    assert.equal([end.code, end.byPeer], ['ERR_SKEIN_PROTOCOL', true], String(length))
    assert.match(end.message, `claims ${length} bytes`)
  }
  assert.ok((await a.do('memory')) - before < 64 << 20)
  assert.equal(await a.nodes(), [b.name])
})

test('who says nothing in the handshake is thrown out', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const mute = await Rogue.dial(t, a, { mute: true })
  const end = await mute.closed
  assert.equal([end.code, end.byPeer], ['ERR_SKEIN_CONNECT_TIMEOUT', true])
  assert.equal(await a.nodes(), [])
})

test.run()

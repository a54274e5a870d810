/** The simulator's network: reproducible, faithful to what QUIC promises under loss, and light. */
import * as assert from 'uvu/assert'
import type { VerifiedPeer } from '../../certs/certificate.ts'
import { isSkeinError } from '../../certs/errors.ts'
import type { LinkConditions } from '../../transport/memory-link.ts'
import { MemoryNetwork, type MemoryNetworkOptions } from '../../transport/memory-network.ts'
import { seededRandom } from '../../transport/random.ts'
import type { Transport } from '../../transport/transport.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, Party, pattern, serve } from './compliance.ts'

const test = suite('memory network')

const identity = (name: string): VerifiedPeer => ({
  nodeId: name,
  publicKey: Buffer.from(name.padEnd(32)),
  certificate: Buffer.from(`certificate of ${name}`),
})

const STORM: Partial<LinkConditions> = { delayMs: 10, jitterMs: 20, loss: 0.2, reorder: 0.1, duplicate: 0.2 }

interface World {
  readonly clock: VirtualClock
  readonly network: MemoryNetwork
  port(host: string, port?: number): Transport
  until(condition: () => boolean, withinMs?: number): Promise<void>
  pass(ms: number): Promise<void>
}

const world = (seed = 1, options: Partial<MemoryNetworkOptions> = {}): World => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork({ clock, random: seededRandom(seed), ...options })
  return {
    clock,
    network,
    port: (host, port = 4433) => network.transport({ host, port, identity: identity(host) }),
    until: async (until, withinMs = 60_000) => {
      const outcome = await clock.run({ until, untilMs: clock.now() + withinMs })
      if (outcome !== 'condition') throw new Error(`waited in vain (seed ${seed}, virtual time ${clock.now()} ms)`)
    },
    pass: async (ms) => {
      await clock.run({ untilMs: clock.now() + ms })
    },
  }
}

const openPair = async (w: World): Promise<{ a: Transport; b: Transport; initiator: Party; acceptor: Party }> => {
  const [a, b] = [w.port('a'), w.port('b')]
  const acceptors = serve(b)
  const initiator = dial(a, addressOf(b))
  await w.until(() => initiator.isOpen && acceptors[0]?.isOpen === true)
  return { a, b, initiator, acceptor: acceptors[0]! }
}

/** A small life: streams both ways in bad weather, a partition, a crash. */
const life = async (seed: number): Promise<MemoryNetwork> => {
  const w = world(seed, { defaults: STORM, logLines: 1_000_000 })
  const { initiator, acceptor } = await openPair(w)
  const acceptors = serve(w.port('c'))
  const doomed = dial(w.port('d'), { host: 'c', port: 4433 })
  for (let i = 0; i < 20; i++) initiator.send(pattern(5000, i))
  acceptor.send(pattern(50_000, 99))
  await w.until(() => doomed.isOpen && acceptors[0]?.isOpen === true)
  w.network.partition(['a'], ['b'])
  doomed.send(pattern(20_000, 1))
  await w.pass(500)
  w.network.crash('c')
  doomed.send(pattern(20_000, 2))
  w.network.heal()
  await w.until(() => acceptor.finished.size === 20 && initiator.finished.size === 1 && doomed.closes.length === 1)
  return w.network
}

test('the same seed gives the same run, another seed another', async () => {
  const [first, second, other] = [await life(42), await life(42), await life(43)]
  assert.ok(first.log.length > 200, `${first.log.length} lines`)
  assert.equal(first.log, second.log)
  assert.is(first.fingerprint(), second.fingerprint())
  assert.is.not(first.fingerprint(), other.fingerprint())
  assert.not.equal(first.log, other.log)
})

test('keeps a bounded log, whose fingerprint covers the rest', async () => {
  const run = async (size: number, logLines: number): Promise<MemoryNetwork> => {
    const w = world(1, { logLines })
    const { initiator, acceptor } = await openPair(w)
    initiator.send(new Uint8Array(size))
    await w.until(() => acceptor.finished.size === 1)
    return w.network
  }
  const [short, long] = [await run(10, 5), await run(20, 5)]
  assert.is(short.log.length, 5)
  assert.equal(short.log, long.log)
  assert.is.not(short.fingerprint(), long.fingerprint())
  const silent = await run(10, 0)
  assert.is(silent.log.length, 0)
  assert.is(silent.fingerprint(), '')
})

for (const [name, conditions] of Object.entries({
  loss: { loss: 0.3 },
  jitter: { jitterMs: 50 },
  reordering: { reorder: 0.3 },
  duplication: { duplicate: 1 },
  'a narrow link': { bandwidth: 200_000 },
  everything: { ...STORM, bandwidth: 500_000 },
})) {
  test(`${name} only shows as delay within a stream`, async () => {
    for (const seed of [1, 2, 3]) {
      const w = world(seed, { defaults: { delayMs: 10, ...conditions } })
      const { initiator, acceptor } = await openPair(w)
      const jobs = Array.from({ length: 40 }, (_, i) => initiator.send(pattern(1 + 997 * i, seed + i)))
      const back = acceptor.send(pattern(150_000, seed))
      await w.until(() => acceptor.finished.size === jobs.length && initiator.finished.size === 1, 600_000)
      for (const job of jobs) {
        assert.ok(Buffer.compare(acceptor.received(job.stream), job.bytes) === 0, `seed ${seed}, stream ${job.stream}`)
      }
      assert.ok(Buffer.compare(initiator.received(back.stream), back.bytes) === 0, `seed ${seed}, way back`)
      assert.equal([...initiator.untimely, ...acceptor.untimely], [])
      if ('loss' in conditions) assert.ok(initiator.connection.stats().lostPackets > 0, `seed ${seed}`)
    }
  })
}

test('streams overtake each other when packets do', async () => {
  const w = world(5, { defaults: { delayMs: 10, jitterMs: 20 } })
  const { initiator, acceptor } = await openPair(w)
  const streams: number[] = []
  for (let i = 0; i < 30; i++) {
    streams.push(initiator.send(pattern(1000, i)).stream)
    await w.pass(1)
  }
  await w.until(() => acceptor.finished.size === 30)
  assert.not.equal(
    [...acceptor.finished],
    [...acceptor.finished].sort((x, y) => x - y),
  )
})

test('a handshake takes one round trip for the initiator, half of one more for the acceptor', async () => {
  const w = world(1, { defaults: { delayMs: 50 } })
  const [a, b] = [w.port('a'), w.port('b')]
  const acceptors = serve(b)
  const initiator = dial(a, addressOf(b))
  await w.until(() => initiator.isOpen)
  assert.is(w.clock.now(), 100)
  assert.is(acceptors[0]?.isOpen, false)
  await w.until(() => acceptors[0]?.isOpen === true)
  assert.is(w.clock.now(), 150)
  assert.is(initiator.connection.stats().rttMs, 100)
})

test('a narrow link takes its time', async () => {
  const w = world(1, { defaults: { bandwidth: 100_000 } })
  const { initiator, acceptor } = await openPair(w)
  const startMs = w.clock.now()
  initiator.send(new Uint8Array(500_000))
  await w.until(() => acceptor.finished.size === 1)
  const tookMs = w.clock.now() - startMs
  assert.ok(tookMs >= 5000 && tookMs < 30_000, `${tookMs} ms`)
})

test('an idle connection keeps nothing waiting', async () => {
  const w = world()
  const { initiator, acceptor } = await openPair(w)
  await w.pass(2000)
  assert.is(w.clock.pending, 0)
  await w.pass(24 * 3_600_000)
  assert.ok(initiator.isOpen && acceptor.isOpen)
  initiator.send(Uint8Array.of(1))
  await w.until(() => acceptor.finished.size === 1)
})

test('a short partition is no more than a delay', async () => {
  const w = world()
  const { initiator, acceptor } = await openPair(w)
  initiator.send(pattern(500_000, 1))
  await w.until(() => acceptor.receivedBytes > 50_000)
  w.network.partition(['a'], ['b'])
  const atMs = w.clock.now()
  const before = acceptor.receivedBytes
  await w.pass(8000)
  assert.is(acceptor.receivedBytes, before, 'nothing gets through, not even what was under way')
  w.network.heal()
  await w.until(() => acceptor.finished.size === 1)
  assert.ok(w.clock.now() - atMs < 10_500)
  assert.ok(Buffer.compare(acceptor.received(2), pattern(500_000, 1)) === 0)
})

test('a long partition ends the connection of whoever has something to say', async () => {
  const w = world()
  const { initiator, acceptor } = await openPair(w)
  await w.pass(1000)
  w.network.partition(['a'], ['b'])
  const atMs = w.clock.now()
  initiator.send(Uint8Array.of(1))
  await w.until(() => initiator.closes.length > 0)
  assert.is(initiator.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  assert.is(initiator.closes[0]?.byPeer, false)
  assert.is(w.clock.now() - atMs, 10_000)
  assert.is(acceptor.closes.length, 0)
  w.network.heal()
  // Who comes back late is told that the connection is gone.
  acceptor.send(Uint8Array.of(1))
  await w.until(() => acceptor.closes.length > 0)
  assert.is(acceptor.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  assert.is(acceptor.closes[0]?.byPeer, true)
})

test('nobody connects across a partition, and others do not notice it', async () => {
  const w = world()
  const [a, b, c] = [w.port('a'), w.port('b'), w.port('c')]
  const atB = serve(b)
  const atC = serve(c)
  w.network.partition(['a'], ['b', 'x'])
  const cut = dial(a, addressOf(b), 2000)
  const free = dial(a, addressOf(c), 2000)
  await w.until(() => cut.closes.length > 0)
  assert.is(cut.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  assert.is(w.clock.now(), 2000)
  assert.is(atB.length, 0)
  assert.ok(free.isOpen && atC[0]?.isOpen)
})

test('a one-way cut lets the other way through', async () => {
  const w = world()
  const { a, b, initiator, acceptor } = await openPair(w)
  w.network.cut(['b'], ['a'])
  const heard: string[] = []
  a.onDatagram('probe', () => heard.push('a'))
  b.onDatagram('probe', () => heard.push('b'))
  a.sendDatagram(addressOf(b), Uint8Array.of(1))
  b.sendDatagram(addressOf(a), Uint8Array.of(1))
  initiator.send(Uint8Array.of(1))
  await w.until(() => acceptor.finished.size === 1)
  assert.equal(heard, ['b'])
  // The message arrived, its acknowledgement never does.
  await w.until(() => initiator.closes.length > 0)
  assert.is(initiator.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
})

test('what is sent into a cut is lost, even if the cut heals at once', async () => {
  const w = world(1, { defaults: { delayMs: 10 } })
  const [a, b] = [w.port('a'), w.port('b')]
  const heard: number[] = []
  b.onDatagram('probe', (bytes) => heard.push(bytes[0]!))
  w.network.partition(['a'], ['b'])
  a.sendDatagram(addressOf(b), Uint8Array.of(1))
  w.network.heal()
  w.clock.advance(50)
  assert.equal(heard, [])
  a.sendDatagram(addressOf(b), Uint8Array.of(2))
  w.clock.advance(5)
  w.network.cut(['a'], ['b'])
  w.clock.advance(10)
  w.network.heal()
  a.sendDatagram(addressOf(b), Uint8Array.of(3))
  await w.pass(100)
  assert.equal(heard, [3], 'and what was under way is lost too')
})

test('closing a transport tells its handlers before it resolves, whether or not time goes on', async () => {
  const w = world()
  const { a, initiator } = await openPair(w)
  const dialling = dial(a, { host: 'b', port: 1 })
  await a.close()
  assert.is(initiator.closes.length, 1)
  assert.is(dialling.closes.length, 1)
  const late = dial(a, { host: 'b', port: 4433 })
  await w.pass(10)
  assert.is(late.closes[0]?.code, 'ERR_SKEIN_STOPPED')
  for (const party of [initiator, dialling, late]) assert.is(party.closes.length, 1)
})

test('a crash tells nobody, and nothing runs there any more', async () => {
  const w = world()
  const { b, initiator, acceptor } = await openPair(w)
  let ticks = 0
  const clock = w.network.clockOf('b')
  const tick = (): void => {
    ticks++
    clock.after(100, tick)
  }
  tick()
  await w.pass(1000)
  w.network.crash('b')
  const atCrash = ticks
  await w.pass(5000)
  assert.is(ticks, atCrash)
  assert.is(initiator.closes.length, 0)
  acceptor.connection.close(0, 'closed', 'from beyond')
  initiator.send(Uint8Array.of(1))
  await w.until(() => initiator.closes.length > 0)
  assert.is(initiator.closes[0]?.byPeer, false)
  assert.is(initiator.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  assert.is(acceptor.closes.length, 0)
  await b.close()
})

test('a port opened after a crash resets the connections of the one before', async () => {
  const w = world()
  const { initiator } = await openPair(w)
  w.network.crash('b')
  const again = w.port('b')
  const acceptors = serve(again)
  const atMs = w.clock.now()
  initiator.send(Uint8Array.of(1))
  await w.until(() => initiator.closes.length > 0)
  assert.is(initiator.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  assert.is(initiator.closes[0]?.byPeer, true)
  assert.ok(w.clock.now() - atMs < 100)
  assert.is(again.counters().resets, 1)
  assert.is(acceptors.length, 0)
})

test('a paused host goes on where it stood', async () => {
  const w = world()
  const { initiator, acceptor } = await openPair(w)
  const firedAt: number[] = []
  const clock = w.network.clockOf('b')
  await w.pass(100)
  const startMs = w.clock.now()
  const cancelled = clock.after(1000, () => firedAt.push(-1))
  clock.after(1000, () => {
    firedAt.push(w.clock.now() - startMs)
    cancelled.cancel()
  })
  const never = clock.after(2000, () => firedAt.push(-2))
  w.network.pause('b')
  initiator.send(pattern(10_000, 1))
  await w.pass(5000)
  assert.equal(firedAt, [])
  assert.is(acceptor.finished.size, 0)
  never.cancel()
  w.network.resume('b')
  await w.until(() => acceptor.finished.size === 1)
  assert.ok(Buffer.compare(acceptor.received(2), pattern(10_000, 1)) === 0)
  await w.pass(1)
  assert.equal(firedAt, [-1, 5000])
  assert.ok(initiator.isOpen && acceptor.isOpen)
})

test('a host paused for too long is taken for dead', async () => {
  const w = world()
  const { initiator, acceptor } = await openPair(w)
  w.network.pause('b')
  initiator.send(Uint8Array.of(1))
  await w.until(() => initiator.closes.length > 0)
  w.network.resume('b')
  // It answers the old packet, and learns that the connection is gone.
  await w.until(() => acceptor.closes.length > 0)
  assert.is(acceptor.closes[0]?.byPeer, true)
})

test('who closed goes on saying so when the goodbye was lost', async () => {
  const w = world()
  const { initiator, acceptor } = await openPair(w)
  w.network.partition(['a'], ['b'])
  initiator.connection.close(18, 'ERR_SKEIN_NAME_TAKEN', 'two of that name')
  await w.pass(1000)
  w.network.heal()
  assert.is(acceptor.closes.length, 0)
  acceptor.send(Uint8Array.of(1))
  await w.until(() => acceptor.closes.length > 0)
  assert.equal(acceptor.closes, [
    { code: 'ERR_SKEIN_NAME_TAKEN', message: 'two of that name', byPeer: true, wireCode: 18 },
  ])
})

test('gives ports out once, and dynamic ones on request', async () => {
  const w = world()
  const first = w.port('a', 0)
  const second = w.port('a', 0)
  assert.is.not(addressOf(first).port, addressOf(second).port)
  try {
    w.port('a', addressOf(first).port)
    assert.unreachable()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_PORT_BUSY'))
  }
  await first.close()
  w.port('a', addressOf(first).port)
})

test('shows peers the public part of an identity only', async () => {
  const w = world()
  const secretive = { ...identity('a'), privateKeyPem: 'secret' }
  const a = w.network.transport({ host: 'a', port: 1, identity: secretive })
  const b = w.port('b')
  const acceptors = serve(b)
  dial(a, addressOf(b))
  await w.until(() => acceptors[0]?.isOpen === true)
  assert.equal(Object.keys(acceptors[0]!.connection.peer!).sort(), ['certificate', 'nodeId', 'publicKey'])
})

test('a transport may dial itself, and two ports of a host each other', async () => {
  const w = world()
  const a = w.port('a')
  const acceptors = serve(a)
  const self = dial(a, addressOf(a))
  const neighbour = dial(w.port('a', 5000), addressOf(a))
  await w.until(() => acceptors.length === 2 && [self, neighbour, ...acceptors].every((party) => party.isOpen))
  const job = self.send(pattern(5000, 3))
  await w.until(() => acceptors[0]!.finished.has(job.stream))
  assert.is(self.finished.size, 0)
})

test('both old and new gate keys open during a rotation', async () => {
  const w = world()
  const [oldKey, newKey, foreignKey] = [1, 2, 3].map((byte) => new Uint8Array(16).fill(byte)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const port = (host: string, gate: Uint8Array[]): Transport => {
    return w.network.transport({ host, port: 1, identity: identity(host), gate })
  }
  const rotating = port('r', [newKey, oldKey])
  serve(rotating)
  const behind = dial(port('old', [oldKey, newKey]), addressOf(rotating), 500)
  const ahead = dial(port('new', [newKey]), addressOf(rotating), 500)
  const foreign = dial(port('x', [foreignKey]), addressOf(rotating), 500)
  const keyless = dial(port('y', []), addressOf(rotating), 500)
  await w.until(() => foreign.closes.length > 0 && keyless.closes.length > 0)
  assert.ok(behind.isOpen && ahead.isOpen)
  assert.ok((rotating.counters().gated ?? 0) >= 2)
})

test('drops datagrams of no known kind, and oversize ones, and counts them', async () => {
  const w = world()
  const [a, b] = [w.port('a'), w.port('b')]
  let heard = 0
  for (const kind of ['krpc', 'probe'] as const) {
    b.onDatagram(kind, () => {
      heard++
    })
  }
  a.sendDatagram(addressOf(b), Uint8Array.of(0x50, 1, 2))
  a.sendDatagram(addressOf(b), new Uint8Array(0))
  a.sendDatagram(addressOf(b), new Uint8Array(70_000))
  a.sendDatagram({ host: 'nobody', port: 1 }, Uint8Array.of(1))
  await w.pass(100)
  assert.is(heard, 0)
  assert.is(b.counters().unknown, 2)
  assert.is(a.counters().overflow, 1)
})

test(
  '200 nodes form a full mesh and exchange a message on every pair',
  async () => {
    const NODES = 200
    const startMs = performance.now()
    const heapBefore = process.memoryUsage().rss
    const w = world(200, { defaults: { delayMs: 5, jitterMs: 5 } })
    const transports = Array.from({ length: NODES }, (_, i) => w.port(`n${i}`))
    let opened = 0
    let finished = 0
    class Neighbour extends Party {
      override onOpen(): void {
        super.onOpen()
        opened++
        this.send(Uint8Array.of(1, 2, 3))
      }
      override onReadable(stream: number): void {
        super.onReadable(stream)
        finished += this.finished.has(stream) ? 1 : 0
      }
    }
    for (const transport of transports) {
      transport.listen((connection) => {
        const party = new Neighbour()
        party.connection = connection
        return party
      })
    }
    for (let i = 0; i < NODES; i++) {
      for (let j = i + 1; j < NODES; j++) {
        const party = new Neighbour()
        party.connection = transports[i]!.connect(addressOf(transports[j]!), party)
      }
    }
    const ends = NODES * (NODES - 1)
    await w.until(() => opened === ends && finished === ends)
    const tookS = (performance.now() - startMs) / 1000
    const grownMb = (process.memoryUsage().rss - heapBefore) / 2 ** 20
    console.log(
      `mesh of ${NODES}: ${ends / 2} connections, ${w.clock.eventCount} events, ${tookS.toFixed(1)} s, +${grownMb.toFixed(0)} MB`,
    )
    await Promise.all(transports.map((transport) => transport.close()))
  },
  { deadlineMs: 60_000 },
)

test('messages beside the streams arrive once or not at all, and are not repeated', async () => {
  const w = world(5, { defaults: STORM })
  const { initiator, acceptor } = await openPair(w)
  const heard: number[] = []
  Object.assign(acceptor, { onDatagram: (bytes: Uint8Array) => heard.push(Buffer.from(bytes).readUInt32BE()) })
  const sent = 500
  const bytes = Buffer.alloc(1280)
  for (let i = 0; i < sent; i++) {
    bytes.writeUInt32BE(i)
    assert.ok(initiator.connection.sendDatagram(bytes))
    await w.pass(1)
  }
  assert.not.ok(initiator.connection.sendDatagram(Buffer.alloc(1281)), 'too long')
  await w.pass(1000)
  assert.is(new Set(heard).size, heard.length, 'none came twice')
  assert.ok(heard.length > 0.6 * sent && heard.length < 0.95 * sent, `${heard.length} of ${sent} at 20 % loss`)
  initiator.connection.close(0, 'closed', '')
  assert.not.ok(initiator.connection.sendDatagram(bytes), 'no more after the end')
})

test.run()

/**
 * Processes of one node among themselves: casts, sends, calls, spawning, what an idle one costs, and whether others get
 * their turn beside a busy one. Rates compare with a plain async queue that does the same work in the same process.
 */
import { createSocket } from 'node:dgram'
import { type CallMessage, genServer, type Pid, type Self, type SkeinNode, startNode } from 'skein'
import { AsyncQueue } from './async-queue.ts'
import { startPeer } from './peer.ts'
import { alternate, type Measurement, percentile } from './report.ts'

const MESSAGES = 1_000_000
/** Messages sent in one go; then the sender waits until they have been handled. */
const BURST = 1000
const CALLS = 200_000
const CALLERS = 64
const SPAWNS = 200_000
const IDLE_ACTORS = 100_000
const ROUND_TRIPS = 2000
/** Long enough for V8 to have settled on its code. */
const WARM_UP_PART = 0.25

/** Resolves when so many have been counted. */
class Counter {
  #missing = 0
  #done = (): void => {}

  readonly count = (): void => {
    if (--this.#missing === 0) this.#done()
  }

  of(count: number): Promise<void> {
    this.#missing = count
    return new Promise((resolve) => {
      this.#done = resolve
    })
  }
}

const perSecond = async (count: number, work: (count: number) => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work(count)
  return (count / (performance.now() - start)) * 1000
}

const bursts = async (messages: number, counter: Counter, push: (message: number) => void): Promise<void> => {
  for (let sent = 0; sent < messages; sent += BURST) {
    const handled = counter.of(BURST)
    for (let i = 0; i < BURST; i++) push(i)
    await handled
  }
}

/** Runs `work` in a process of the node and waits for it. */
const inProcess = <T>(node: SkeinNode, work: (self: Self) => Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    node.spawn(async (self: Self) => {
      await work(self).then(resolve, reject)
    })
  })

const server = (count: () => void = () => {}) =>
  genServer({
    init: () => ({ state: undefined }),
    handleCall: (request: number) => ({ reply: request }),
    handleCast: (_message: number) => count(),
  })

const queueOf = <T>(handle: (item: T) => void): AsyncQueue<T> => {
  const queue = new AsyncQueue<T>()
  const consume = async (): Promise<void> => {
    for await (const item of queue) handle(item)
  }
  void consume()
  return queue
}

interface Rate {
  readonly metric: string
  readonly count: number
  readonly work: (count: number) => Promise<unknown>
  readonly baselineWork: (count: number) => Promise<unknown>
}

const rate = async ({ metric, count, work, baselineWork }: Rate): Promise<Measurement> => {
  await baselineWork(count * WARM_UP_PART)
  return alternate({
    bench: 'local',
    metric,
    unit: 'messages/s',
    baseline: 'async-queue',
    measure: () => perSecond(count, work),
    measureBaseline: () => perSecond(count, baselineWork),
  })
}

async function* rates(node: SkeinNode): AsyncGenerator<Measurement> {
  const counter = new Counter()
  const queue = queueOf<number>(counter.count)
  const pushAll = (count: number): Promise<void> => bursts(count, counter, (message) => queue.push(message))
  const counting = node.spawn(server(counter.count))
  yield await rate({
    metric: 'cast',
    count: MESSAGES,
    work: (count) => inProcess(node, (self) => bursts(count, counter, (message) => self.cast(counting, message))),
    baselineWork: pushAll,
  })
  const looping = node.spawn(async (self: Self<number>) => {
    for await (const _ of self) counter.count()
  })
  yield await rate({
    metric: 'send',
    count: MESSAGES,
    work: (count) => inProcess(node, (self) => bursts(count, counter, (message) => self.send(looping, message))),
    baselineWork: pushAll,
  })

  interface Asked {
    readonly request: number
    readonly resolve: (reply: number) => void
  }
  const asked = queueOf<Asked>(({ request, resolve }) => resolve(request))
  const ask = (request: number): Promise<number> => new Promise((resolve) => asked.push({ request, resolve }))
  const echo = node.spawn(server())
  const times = async (count: number, call: (request: number) => Promise<unknown>): Promise<void> => {
    for (let i = 0; i < count; i++) await call(i)
  }
  const together = (count: number, caller: (share: number) => Promise<void>): Promise<unknown> =>
    Promise.all(Array.from({ length: CALLERS }, () => caller(count / CALLERS)))
  const callTimes = (count: number): Promise<void> =>
    inProcess(node, (self) => times(count, (request) => self.call(echo, request)))
  yield await rate({ metric: 'call', count: CALLS, work: callTimes, baselineWork: (count) => times(count, ask) })
  yield await rate({
    metric: `call-${CALLERS}-callers`,
    count: CALLS,
    work: (count) => together(count, callTimes),
    baselineWork: (count) => together(count, (share) => times(share, ask)),
  })

  yield await rate({
    metric: 'spawn',
    count: SPAWNS,
    work: (count) =>
      bursts(count, counter, () => {
        node.spawn(async () => counter.count())
      }),
    baselineWork: (count) => bursts(count, counter, () => queueOf(counter.count).push(1)),
  })
}

async function* idle(): AsyncGenerator<Measurement> {
  const file = new URL('./local-idle.ts', import.meta.url)
  const flags = ['--expose-gc', '--max-old-space-size=2048']
  for (const kind of ['genServer', 'function']) {
    for (const count of [IDLE_ACTORS, undefined]) {
      const peer = await startPeer(file, { kind, count }, flags)
      const { heapBytes, residentBytes, actors } = peer.ready as Record<string, number>
      await peer.stop()
      if (count !== undefined) {
        const value = heapBytes! / actors!
        yield { bench: 'local', metric: `idle-${kind}-heap`, value, unit: 'bytes' }
      } else {
        yield { bench: 'local', metric: `million-${kind}-heap`, value: heapBytes!, unit: 'bytes' }
        yield { bench: 'local', metric: `million-${kind}-resident`, value: residentBytes!, unit: 'bytes' }
      }
    }
  }
}

/** Work without end, from which nobody else may suffer. Gives what ends it. */
const busy = (node: SkeinNode): (() => void) => {
  const partner = async (self: Self): Promise<void> => {
    for await (const other of self) self.send(other as Pid, self.pid)
  }
  const one = node.spawn(partner)
  const other = node.spawn(partner)
  node.send(one, other)
  const flooded = node.spawn(server())
  const flooding = node.spawn(async (self: Self) => {
    for (;;) if (!self.cast(flooded, 1)) await self.drained(flooded)
  })
  return () => {
    for (const pid of [one, other, flooded, flooding]) node.exit(pid, 'kill')
  }
}

/** Microseconds from asking to having, one after the other, each from a turn of its own. */
const delays = async (exchange: () => Promise<unknown>): Promise<number> => {
  const samples: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    const start = performance.now()
    await exchange()
    samples.push((performance.now() - start) * 1000)
  }
  return percentile(samples, 0.99)
}

async function* fairness(node: SkeinNode): AsyncGenerator<Measurement> {
  const echo = node.spawn(async (self: Self<CallMessage>) => {
    for await (const message of self) self.reply(message.from, 1)
  })
  const socket = createSocket('udp4')
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
  const { port } = socket.address()
  let arrived = (): void => {}
  socket.on('message', () => arrived())
  const exchanges: Readonly<Record<string, () => Promise<unknown>>> = {
    'light-actor': () => node.call(echo, 1),
    immediate: () => new Promise((resolve) => setImmediate(resolve)),
    socket: () =>
      new Promise<void>((resolve) => {
        arrived = resolve
        socket.send('x', port, '127.0.0.1')
      }),
  }
  for (const [name, exchange] of Object.entries(exchanges)) {
    const measure = async (): Promise<number> => {
      const stop = busy(node)
      const result = await delays(exchange)
      stop()
      return result
    }
    yield await alternate({
      bench: 'local',
      metric: `beside-busy-${name}`,
      unit: 'us',
      baseline: 'alone',
      measure,
      measureBaseline: () => delays(exchange),
    })
  }
  socket.close()
}

export async function* local(): AsyncGenerator<Measurement> {
  const node = await startNode({
    name: 'local@bench',
    cookie: 'local-bench',
    host: '127.0.0.1',
    port: 0,
    discovery: false,
  })
  yield* rates(node)
  yield* fairness(node)
  await node.stop()
  yield* idle()
}

/** Traces: what belongs to one stays together over processes and nodes, and what belongs to none stays apart. */
import * as assert from 'uvu/assert'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import { stateMachine } from '../../../src/behaviours/state-machine.ts'
import type { SkeinNode } from '../../../src/node.ts'
import type { Self } from '../../../src/process/self.ts'
import type { Tracer } from '../../../src/process/tracing.ts'
import { suite } from '../../support/suite.ts'
import { emptyCluster, meshed, settled, startCluster, until } from '../node-support.ts'
import { pair } from '../process/process-support.ts'
import { NotingTracer, spanIdOf } from './tracing-support.ts'

const test = suite('tracing')

/** Notes the trace under which each message was handled. */
const noting = (seen: (string | undefined)[], label = 'noting') =>
  genServer({
    init: () => ({ state: undefined }),
    handleCall: (_request: string, _from, _state, self) => {
      seen.push(self.traceparent)
      return { reply: self.traceparent }
    },
    handleCast: async (_message: string, _state, self) => {
      await Promise.resolve()
      seen.push(self.traceparent)
    },
    handleInfo: (_message: { hello: string } | { type: 'DOWN' }, _state, self) => {
      seen.push(self.traceparent)
    },
    label,
  })

const two = async (t: Parameters<typeof startCluster>[0]) => {
  const cluster = await startCluster(t, 2)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const [tracerA, tracerB] = [new NotingTracer(1), new NotingTracer(2)]
  a.observer.trace(tracerA)
  b.observer.trace(tracerB)
  await meshed(cluster)
  return { cluster, a, b, tracerA, tracerB }
}

test('a call over two nodes: client span here, server span there, one trace', async (t) => {
  const { cluster, a, b, tracerA, tracerB } = await two(t)
  const seen: (string | undefined)[] = []
  b.register('server', b.spawn(noting(seen)))
  const target = { name: 'server', node: b.name }
  const [root, reply] = await settled(
    cluster,
    tracerA.begin(async (trace) => [trace, await a.call(target, 'hello')] as const),
  )
  const [client, server] = [tracerA.spans[0], tracerB.spans[0]]
  assert.is(tracerA.spans.length, 1)
  assert.is(tracerB.spans.length, 1)
  assert.is(client?.parent, root)
  assert.is(server?.parent, client?.trace)
  assert.is(reply, server?.trace)
  assert.equal([client?.role, client?.kind, client?.node, client?.process], ['client', 'call', b.name, 'server'])
  assert.equal([server?.role, server?.kind, server?.node, server?.process], ['server', 'call', b.name, 'noting'])
  assert.ok(client?.ended && server?.ended)
})

test('casts and sends too, within a node and to another, at once and later', async (t) => {
  const { cluster, a, b, tracerA, tracerB } = await two(t)
  const [here, there]: (string | undefined)[][] = [[], []]
  const [pidA, pidB] = [a.spawn(noting(here!)), b.spawn(noting(there!))]
  tracerA.begin(() => {
    a.cast(pidA, 'x')
    a.send(pidA, { hello: 'x' })
    a.cast(pidB, 'x')
    a.send(pidB, { hello: 'x' })
  })
  await until(cluster, 'all of it', () => here?.length === 2 && there?.length === 2)
  assert.equal(
    tracerA.spans.map(({ role, kind }) => `${role} ${kind}`),
    ['producer cast', 'producer send', 'producer cast', 'producer send', 'consumer cast', 'consumer send'],
  )
  const producers = tracerA.spans.slice(0, 4).map(({ trace }) => trace)
  assert.equal(
    tracerA.spans.slice(4).map(({ parent }) => parent),
    producers.slice(0, 2),
  )
  assert.equal(
    tracerB.spans.map(({ parent }) => parent),
    producers.slice(2),
  )
  assert.equal(
    here,
    tracerA.spans.slice(4).map(({ trace }) => trace),
  )
  assert.equal(
    there,
    tracerB.spans.map(({ trace }) => trace),
  )
})

test('what is of no trace begins none, and does not get into that of another', async (t) => {
  const { cluster, a, b, tracerA, tracerB } = await two(t)
  const seen: (string | undefined)[] = []
  const pid = a.spawn(noting(seen))
  // The first wakes the process within the trace, the second comes from nowhere.
  tracerA.begin(() => a.cast(pid, 'traced'))
  a.cast(pid, 'untraced')
  await until(cluster, 'both', () => seen.length === 2)
  assert.is.not(seen[0], undefined)
  assert.is(seen[1], undefined)
  const spansBefore = tracerA.spans.length
  await settled(cluster, a.call({ name: 'skein', node: b.name }, { type: 'ping' }))
  assert.is(tracerA.spans.length, spansBefore)
  assert.is(tracerB.spans.length, 0)
  // A process that is spawned within a trace does not live in it.
  let inFunction: string | undefined = 'nothing'
  tracerA.begin(() => {
    a.spawn((self: Self) => {
      inFunction = self.traceparent
    })
  })
  await until(cluster, 'the function', () => inFunction !== 'nothing')
  assert.is(inFunction, undefined)
  // A DOWN is of no trace, whoever caused it.
  const watcher = a.spawn(
    genServer({
      init: (self) => {
        self.monitor(pid)
        return { state: undefined }
      },
      handleInfo: (_message: { type: 'DOWN' }, _state, self) => {
        seen.push(self.traceparent)
      },
    }),
  )
  await settled(cluster, Promise.resolve())
  tracerA.begin(() => a.exit(pid, 'kill'))
  await until(cluster, 'the DOWN', () => seen.length === 3)
  assert.is(seen[2], undefined)
  assert.ok(watcher)
})

test('a function process: the trace of the message it took last goes on with what it sends', async (t) => {
  const { cluster, a, b, tracerA, tracerB } = await two(t)
  const seen: (string | undefined)[] = []
  const last = b.spawn(noting(seen))
  const traces: (string | undefined)[] = []
  const relay = a.spawn(async (self: Self<string>) => {
    for await (const message of self) {
      traces.push(self.traceparent)
      self.cast(last, message)
    }
  })
  const root = tracerA.begin((trace) => {
    a.send(relay, 'traced')
    return trace
  })
  await until(cluster, 'the first', () => seen.length === 1)
  a.send(relay, 'untraced')
  await until(cluster, 'the second', () => seen.length === 2)
  const [first, relayed] = tracerA.spans
  assert.is(first?.parent, root)
  assert.equal(traces, [first?.trace, undefined])
  assert.is(relayed?.parent, first?.trace)
  assert.is(tracerB.spans[0]?.parent, relayed?.trace)
  assert.is(seen[0], tracerB.spans[0]?.trace)
  assert.is(seen[1], undefined)
})

test('a state machine handles events under their trace', async (t) => {
  const { cluster, a, tracerA } = await two(t)
  const seen: (string | undefined)[] = []
  const machine = stateMachine({
    data: () => 0,
    initial: 'on',
    states: {
      on: {
        on: {
          press: {
            do: ({ self }) => {
              seen.push(self.traceparent)
              return {}
            },
          },
        },
      },
    },
  })
  const pid = a.spawn(machine)
  tracerA.begin(() => a.cast(pid as never, { type: 'press' } as never))
  await until(cluster, 'the event', () => seen.length === 1)
  assert.is(spanIdOf(seen[0]), spanIdOf(tracerA.spans.at(-1)?.trace))
})

test('a timeout of a state machine belongs to no trace, whoever set it', async (t) => {
  // With the machine's own clock, whose timers carry the context of whoever set them.
  const { processes } = pair(t).a
  const tracer = new NotingTracer()
  processes.tracing.use(tracer)
  const seen = new Promise<string | undefined>((resolve) => {
    const machine = stateMachine({
      data: () => 0,
      initial: 'off',
      states: {
        off: { on: { press: { to: 'on' } } },
        on: {
          stateTimeout: {
            afterMs: 1,
            do: ({ self }) => {
              resolve(self.traceparent)
              return {}
            },
            to: 'off',
          },
        },
      },
    })
    const pid = processes.spawn(machine, {})
    tracer.begin(() => processes.cast(pid as never, { type: 'press' } as never))
  })
  assert.is(await seen, undefined)
  assert.is(tracer.spans.length, 2)
})

test('what a timer sends belongs to no trace, neither that of who set it nor that of what its process does', async (t) => {
  const { processes } = pair(t).a
  const tracer = new NotingTracer()
  processes.tracing.use(tracer)
  const seen: (string | undefined)[] = []
  const done = new Promise<void>((resolve) => {
    const pid = processes.spawn(async (self: Self<string>) => {
      for await (const message of self) {
        seen.push(self.traceparent)
        if (message === 'late') resolve()
        else self.sendAfter(1, self.pid, 'late')
      }
    }, {})
    tracer.begin(() => processes.send(pid, 'begin'))
  })
  await done
  assert.is(seen.length, 2)
  assert.is.not(seen[0], undefined)
  assert.is(seen[1], undefined)
})

test('a tracer that throws, lies or runs things twice costs the trace and not the message', async (t) => {
  const { cluster, a } = await two(t)
  const bad: Tracer[] = [
    {
      current: () => {
        throw new Error('current')
      },
      run: () => {
        throw new Error('run')
      },
    },
    { current: () => 'nonsense', run: () => undefined as never },
    {
      current: () => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      run: (_trace, _what, fn) => {
        fn()
        fn()
        throw new Error('afterwards')
      },
    },
  ]
  for (const tracer of bad) {
    a.observer.trace(tracer)
    let handled = 0
    const pid = a.spawn(
      genServer({
        init: () => ({ state: undefined }),
        handleCall: (request: number) => {
          handled++
          return { reply: request + 1 }
        },
      }),
    )
    assert.is(await settled(cluster, a.call(pid, 1)), 2)
    assert.is(handled, 1)
  }
})

test('calls in a full mailbox are refused with tracing as without', async (t) => {
  const { cluster, a, tracerA } = await two(t)
  const slow = genServer({
    init: () => ({ state: undefined }),
    handleCall: () => new Promise<never>(() => {}),
    mailbox: { limit: 1, onFull: 'dropOldest' },
  })
  const pid = a.spawn(slow)
  const codes: string[] = []
  tracerA.begin(() => {
    for (let i = 0; i < 3; i++) {
      a.call(pid, i as never, { timeoutMs: 1000 }).catch((error: { code: string }) => codes.push(error.code))
    }
  })
  await until(cluster, 'all calls over', () => codes.length === 3)
  assert.ok(codes.includes('ERR_SKEIN_MAILBOX_FULL'), codes.join())
})

test('a node of protocol version 1 is sent no trace, whether it is connected or still dialled', async (t) => {
  const cluster = emptyCluster(t, { mesh: 'none' })
  const a = await cluster.start(0)
  const b = await cluster.start(1, { protocolVersions: [1, 1] })
  const [tracerA, tracerB] = [new NotingTracer(1), new NotingTracer(2)]
  a.observer.trace(tracerA)
  b.observer.trace(tracerB)
  const seen: (string | undefined)[] = []
  b.register('server', b.spawn(noting(seen)))
  const target = { name: 'server', node: b.name }
  await settled(cluster, b.connect(`${a.addresses[0]?.host}:${a.addresses[0]?.port}`))
  await until(cluster, 'connected', () => a.nodes().length === 1)
  assert.is(
    await settled(
      cluster,
      tracerA.begin(() => a.call(target, 'hello')),
    ),
    undefined,
  )
  await settled(cluster, a.disconnect(b.name))
  await until(cluster, 'apart', () => a.nodes().length === 0)
  tracerA.begin(() => a.cast(target, 'hello'))
  await until(cluster, 'the cast', () => seen.length === 2)
  assert.equal(seen, [undefined, undefined])
  assert.is(tracerB.spans.length, 0)
  assert.is(tracerA.spans.length, 2)
})

test('what waits while a node is dialled keeps its trace', async (t) => {
  const cluster = emptyCluster(t, { mesh: 'none' })
  const a = await cluster.start(0)
  const b = await cluster.start(1)
  const [tracerA, tracerB] = [new NotingTracer(1), new NotingTracer(2)]
  a.observer.trace(tracerA)
  b.observer.trace(tracerB)
  const seen: (string | undefined)[] = []
  a.register('server', a.spawn(noting(seen)))
  await settled(cluster, b.connect(`${a.addresses[0]?.host}:${a.addresses[0]?.port}`))
  await settled(cluster, b.disconnect(a.name))
  await until(cluster, 'apart', () => a.nodes().length + b.nodes().length === 0)
  tracerB.begin(() => b.cast({ name: 'server', node: a.name }, 'hello'))
  await until(cluster, 'the cast', () => seen.length === 1)
  assert.is(tracerA.spans[0]?.parent, tracerB.spans[0]?.trace)
})

test.run()

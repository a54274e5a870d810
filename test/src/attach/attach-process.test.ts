/** The process `skein.attach` of a node: sessions of those who attach, what others cannot do, and who is told of it. */
import * as assert from 'uvu/assert'
import { type AttachHost, attachProcess } from '../../../src/attach/attach-process.ts'
import { ATTACH_PROCESS, type AttachReply, MAX_CODE_LENGTH } from '../../../src/attach/protocol.ts'
import { attachTo, type Remote } from '../../../src/cli/attach-remote.ts'
import type { NodeEvent } from '../../../src/event-stream.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { Ref } from '../../../src/pid.ts'
import type { Allow } from '../../../src/process/rights.ts'
import type { Self } from '../../../src/process/self.ts'
import type { SimulatedCluster } from '../../../src/testing/index.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { emptyCluster, failureOf, meshed, pass, settled, until } from '../node-support.ts'

const test = suite('attach process')

const TEXT = { format: 'text', columns: 80 } as const

/** Two nodes; others may attach to the first. */
const setUp = async (t: TestContext, allow?: Allow) => {
  const cluster = emptyCluster(t)
  const a = await cluster.start(0, allow === undefined ? {} : { allow })
  const b = await cluster.start(1)
  await meshed(cluster)
  const events: NodeEvent[] = []
  const log: object[] = []
  const note = (details: object, message: string): void => void log.push({ ...details, message })
  const logger: AttachHost['logger'] = { error: note, warn: note, info: note, debug: note }
  const host: AttachHost = { node: a, logger, emit: (event) => events.push(event) }
  a.spawnWith({ name: ATTACH_PROCESS }, attachProcess(host))
  const told = (): unknown[] =>
    events.map((event) => (event.type === 'attach' ? [event.action, event.code] : event.type))
  return { cluster, a, b, log, told }
}

/** What comes of `use`, attached from that node. */
const attached = async <T>(
  cluster: SimulatedCluster,
  from: SkeinNode,
  to: SkeinNode,
  use: (remote: Remote) => Promise<T>,
): Promise<{ result: T | undefined; printed: string }> => {
  let [result, printed]: [T | undefined, string] = [undefined, '']
  const print = (text: string): void => {
    printed += text
  }
  const work = async (remote: Remote): Promise<void> => {
    result = await use(remote)
  }
  await settled(cluster, attachTo(from, to.name, print, work))
  return { result, printed }
}

/** Asks as one process, all of these. */
const asked = (cluster: SimulatedCluster, from: SkeinNode, to: SkeinNode, requests: readonly unknown[]) =>
  settled(
    cluster,
    new Promise<AttachReply[]>((resolve, reject) => {
      from.spawn(async (self: Self) => {
        try {
          const replies: AttachReply[] = []
          for (const request of requests) {
            replies.push((await self.call({ name: ATTACH_PROCESS, node: to.name }, request)) as AttachReply)
          }
          resolve(replies)
        } catch (error) {
          reject(error)
        }
      })
    }),
  )

/** Where the clock runs already. */
const later = ({ clock }: SimulatedCluster, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve)
  })

test('code runs in the other node, what it prints comes back, and all of it is told and logged there', async (t) => {
  const { cluster, a, b, log, told } = await setUp(t)
  const { result, printed } = await attached(cluster, b, a, async (remote) => {
    assert.is(remote.engine, process.version)
    const name = await remote.evaluate('const here = node.name; console.log("from", here); here', TEXT)
    return [name, await remote.evaluate('here.length', { format: 'data' }), await remote.complete('node.na')]
  })
  assert.equal(result, [
    { type: 'text', text: `'${a.name}'` },
    { type: 'data', value: a.name.length },
    { type: 'completions', word: 'na', names: ['name'] },
  ])
  assert.is(printed, `from ${a.name}\n`)
  await until(cluster, 'the end of the session', () => told().length === 4)
  const code = 'const here = node.name; console.log("from", here); here'
  assert.equal(told(), [
    ['opened', undefined],
    ['evaluated', code],
    ['evaluated', 'here.length'],
    ['closed', undefined],
  ])
  const logged = log.map((line) => line as { peer: string; id: string; message: string })
  assert.equal(
    logged.map(({ peer, id, message }) => [peer, id, message]),
    ['opened', 'evaluated', 'evaluated', 'closed'].map((what) => [b.name, b.id, `attach: ${what}`]),
  )
})

test('a session belongs to one process: another one has names of its own', async (t) => {
  const { cluster, a, b } = await setUp(t)
  const evaluate = (code: string) => ({ type: 'evaluate', code, format: 'data' })
  const first = await asked(cluster, b, a, [{ type: 'open' }, evaluate('var mine = 1'), evaluate('mine')])
  assert.equal(first.at(-1), { type: 'data', value: 1 })
  const other = await asked(cluster, b, a, [{ type: 'open' }, evaluate('typeof mine')])
  assert.equal(other.at(-1), { type: 'data', value: 'undefined' })
})

test('what makes no sense is refused, and harms nobody', async (t) => {
  const { cluster, a, b, told } = await setUp(t)
  const hostile = [
    undefined,
    null,
    7,
    'open',
    {},
    { type: 'evaluate' },
    { type: 'evaluate', code: 1 },
    { type: 'evaluate', code: 'x'.repeat(MAX_CODE_LENGTH + 1) },
    { type: 'complete', line: {} },
    { type: 'complete', line: 'x'.repeat(5000) },
    { type: 'evaluate', code: '1', format: 'text' },
  ]
  const before = await asked(cluster, b, a, hostile)
  assert.equal(
    before.map(({ type }) => type),
    hostile.map(() => 'refused'),
  )
  const [opened, odd] = await asked(cluster, b, a, [
    { type: 'open' },
    { type: 'evaluate', code: '1', format: {}, columns: 1e9, colours: 'yes' },
  ])
  assert.equal([opened?.type, odd], ['opened', { type: 'text', text: '1' }])
  const nobody = (await settled(
    cluster,
    b.call({ name: ATTACH_PROCESS, node: a.name }, { type: 'open' }),
  )) as AttachReply
  assert.is(nobody.type, 'refused')
  assert.is(told().filter((one) => String(one).startsWith('opened')).length, 1)
})

test('what is sent and is no call harms nobody, also what looks like the end of a session', async (t) => {
  const { cluster, a, b, told } = await setUp(t)
  const c = await cluster.start(2)
  await meshed(cluster)
  const served = a.whereis(ATTACH_PROCESS)
  assert.ok(served)
  const { result } = await attached(cluster, b, a, async (remote) => {
    const guesses = Array.from({ length: 200 }, (_, number) => new Ref(served.origin, number))
    const downs = guesses.map((ref) => ({ type: 'DOWN', ref, pid: served, reason: 'normal' }))
    for (const message of [null, undefined, 5, 'DOWN', {}, { type: 'DOWN' }, { type: 'EXIT' }, ...downs]) {
      c.send({ name: ATTACH_PROCESS, node: a.name }, message)
      c.cast({ name: ATTACH_PROCESS, node: a.name }, message)
    }
    await later(cluster, 1000)
    return remote.evaluate('1', TEXT)
  })
  assert.equal(result, { type: 'text', text: '1' })
  await until(cluster, 'the end of the session', () => told().length === 3)
  assert.equal(a.whereis(ATTACH_PROCESS)?.key, served.key)
})

test('only the node itself is heard: others can guess the pid of who attached', async (t) => {
  const { cluster, a, b } = await setUp(t)
  const c = await cluster.start(2)
  await meshed(cluster)
  let isGone = false
  const { result, printed } = await attached(cluster, b, a, async (remote) => {
    void remote.gone.then(() => {
      isGone = true
    })
    const lies = [
      null,
      { type: 'output', text: 'lie' },
      { type: 'output', text: { toString: 1 } },
      { type: 'nodedown', node: a.name, reason: 'lie' },
      { type: 'DOWN', reason: 'lie' },
    ]
    for (const { pid } of (await b.observer.processes(b.name)).processes) {
      for (const lie of lies) {
        c.send(pid, lie)
        c.cast(pid, lie)
      }
    }
    await later(cluster, 1000)
    return remote.evaluate('console.log("true"); node.name', TEXT)
  })
  assert.equal([result, printed, isGone], [{ type: 'text', text: `'${a.name}'` }, 'true\n', false])
})

test('whoever reads slowly misses what is printed, is told how much, and has the reply', async (t) => {
  const { cluster, a, b } = await setUp(t)
  const { result, printed } = await attached(cluster, b, a, async (remote) => {
    const given = await remote.evaluate('for (let i = 0; i < 500; i++) console.log("x".repeat(60_000)); 7', TEXT)
    await later(cluster, 5000)
    return [given, await remote.evaluate('8', TEXT)]
  })
  assert.equal(result, [
    { type: 'text', text: '7' },
    { type: 'text', text: '8' },
  ])
  assert.match(printed.slice(-100), /x\n\.\.\. \d+ characters are left out\n$/)
})

test('code that goes on when nobody is attached any more tells nobody', async (t) => {
  const { cluster, a, b, told } = await setUp(t)
  const letters: NodeEvent[] = []
  void (async () => {
    for await (const event of a.events) if (event.type === 'deadLetter') letters.push(event)
  })()
  const code = 'globalThis.print = () => console.log("x"); node.late = print; 1'
  const { result } = await attached(cluster, b, a, (remote) => remote.evaluate(code, TEXT))
  assert.equal(result, { type: 'text', text: '1' })
  await until(cluster, 'the end of the session', () => told().length === 3)
  const { late } = a as unknown as { late: () => void }
  late()
  await pass(cluster, 100)
  assert.equal(letters, [])
})

test('one evaluation at a time; it can be given up, and ends with whoever asked for it', async (t) => {
  const { cluster, a, b, told } = await setUp(t)
  const { result } = await attached(cluster, b, a, async (remote) => {
    const endless = remote.evaluate('new Promise(() => {})', TEXT)
    const second = await remote.evaluate('1', TEXT)
    await remote.giveUp()
    return [second.type, await endless, await remote.evaluate('2', TEXT)]
  })
  assert.equal(result, ['refused', { type: 'givenUp' }, { type: 'text', text: '2' }])
  let isAsked = false
  b.spawn(async (self: Self) => {
    const target = { name: ATTACH_PROCESS, node: a.name }
    await self.call(target, { type: 'open' })
    void self.call(target, { type: 'evaluate', code: 'new Promise(() => {})' }).catch(() => {})
    isAsked = true
    await self.receive()
  })
  await until(cluster, 'it waits', () => isAsked)
  await settled(cluster, b.stop())
  await until(cluster, 'both have left', () => told().filter((one) => String(one).startsWith('closed')).length === 2)
})

test('there is room for sixteen', async (t) => {
  const { cluster, a, b } = await setUp(t)
  const types: string[] = []
  for (let index = 0; index < 17; index++) {
    b.spawn(async (self: Self) => {
      const reply = (await self.call({ name: ATTACH_PROCESS, node: a.name }, { type: 'open' })) as AttachReply
      types.push(reply.type)
      await self.receive()
    })
  }
  await until(cluster, 'all have an answer', () => types.length === 17)
  assert.equal(
    types.filter((type) => type !== 'opened'),
    ['refused'],
  )
})

test('rules forbid it, strict ones unless they allow it', async (t) => {
  for (const allow of [
    [{ nodes: 'n1', attach: 'none' }],
    'strict',
    { preset: 'strict', rules: [{ nodes: 'n7', attach: 'all' }] },
  ] as const) {
    const { cluster, a, b, told } = await setUp(t, allow)
    const error = await failureOf(
      cluster,
      attachTo(
        b,
        a.name,
        () => {},
        async () => {},
      ),
    )
    assert.is(error.code, 'ERR_SKEIN_FORBIDDEN')
    assert.match(error.hint, 'attach: "all"')
    assert.equal(told(), [])
  }
  const { cluster, a, b } = await setUp(t, { preset: 'strict', rules: [{ nodes: 'n1', attach: 'all' }] })
  const { result } = await attached(cluster, b, a, (remote) => remote.evaluate('6 * 7', TEXT))
  assert.equal(result, { type: 'text', text: '42' })
})

test('a node that does not allow it says so, with what to do', async (t) => {
  const cluster = emptyCluster(t)
  const [a, b] = [await cluster.start(0), await cluster.start(1)]
  await meshed(cluster)
  const error = await failureOf(
    cluster,
    attachTo(
      b,
      a.name,
      () => {},
      async () => {},
    ),
  )
  assert.equal([error.code, error.message], ['ERR_SKEIN_FORBIDDEN', `${a.name} lets nobody attach.`])
  assert.match(error.hint, 'skein start --attach')
})

test('what a node says reaches a terminal as text and colours only', async (t) => {
  const { cluster, a, b } = await setUp(t)
  const hostile = `({ [Symbol.for("nodejs.util.inspect.custom")]: () => "a\\u001b[2Jb\\u001b]0;t\\u0007c\\u202ed\\re\\u001b[31mred\\u001b[39m\\u001b[8mx\\nnew" })`
  const { result, printed } = await attached(cluster, b, a, async (remote) => {
    await remote.evaluate('console.log("\\u001b[2J\\u009b1m")', TEXT)
    return remote.evaluate(hostile, TEXT)
  })
  assert.equal(result, {
    type: 'text',
    text: 'a?[2Jb?]0;t?c?d?e\u001b[31mred\u001b[39m?[8mx\nnew\u001b[0m',
  })
  assert.is(printed, '?[2J?1m\n')
})

test.run()

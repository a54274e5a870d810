/** Worker threads as nodes of the cluster: real threads, each with its own port, beside a node in a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { createAuthority, createIdentity } from '../../certs/index.ts'
import {
  isSkeinError,
  joinFromWorker,
  type NodeEvent,
  type Pid,
  type Self,
  type SkeinError,
  type SkeinNode,
  startNode,
  type WorkerNode,
} from '../../src/index.ts'
import { simulatedNodes } from '../../src/testing/index.ts'
import { COOKIE, NodeProcess } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import type { WorkerRole } from './fixtures/worker-program.ts'

const test = suite('worker threads', { watchdogMs: 400_000 })

const FILE = new URL('./fixtures/worker.mjs', import.meta.url)
/** A thread loads everything anew; on a busy machine that takes seconds. */
const PATIENT = { deadlineMs: 120_000 }

const startParent = async (t: TestContext, name = 'main', seeds: string[] = []): Promise<SkeinNode> => {
  const node = await startNode({
    name,
    cookie: COOKIE,
    host: '127.0.0.1',
    port: 0,
    discovery: { mdns: false, dht: false, seeds },
    logLevel: 'silent',
  })
  t.defer(() => node.stop())
  return node
}

const startWorker = (node: SkeinNode, role: WorkerRole = 'member', name?: string): Promise<WorkerNode> =>
  node.workers.start(FILE, { workerData: { role }, ...(name && { name }) })

/** Waits for an event from now on. */
const eventOf = async <T extends NodeEvent['type']>(
  node: SkeinNode,
  type: T,
  fits: (event: Extract<NodeEvent, { type: T }>) => boolean = () => true,
): Promise<Extract<NodeEvent, { type: T }>> => {
  for await (const event of node.events) {
    if (event.type === type && fits(event as never)) return event as Extract<NodeEvent, { type: T }>
  }
  return assert.unreachable(`the node stopped without ${type}`) as never
}

const failureOf = async (promise: Promise<unknown>): Promise<SkeinError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(isSkeinError(error), String(error))
  return error as SkeinError
}

/** A process that notes what it gets, and its log. */
const listener = async (node: SkeinNode): Promise<{ self: Self<unknown>; next: () => Promise<unknown> }> => {
  const got: unknown[] = []
  let wake = (): void => {}
  const self = await new Promise<Self<unknown>>((resolve) => {
    node.spawn(async (own: Self<unknown>) => {
      own.trapExit = true
      resolve(own)
      for await (const message of own) {
        got.push(message)
        wake()
      }
    })
  })
  const next = async (): Promise<unknown> => {
    while (got.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return got.shift()
  }
  return { self, next }
}

test(
  'a worker is a member like any other: spawn, call, link and monitor, also for a node elsewhere',
  async (t) => {
    const elsewhere = await NodeProcess.start(t, { name: 'elsewhere' })
    const node = await startParent(t, 'main', [elsewhere.address])
    const [one, two] = await Promise.all([startWorker(node), startWorker(node, 'member', 'two')])
    assert.equal([one.name.split('@')[0], two.name.split('@')[0]], ['main-worker-1', 'two'])
    assert.ok([one, two].every(({ name }) => node.nodes().includes(name)))
    await Promise.all([elsewhere.up(node.name), elsewhere.up(one.name), elsewhere.up(two.name)])
    const { self, next } = await listener(node)

    const echo = await self.spawnLinkOn(one.name, 'echo', [self.pid])
    assert.is(await next(), `from ${one.name}`)
    const answer = (await self.call(echo as Pid<never>, { n: 1 } as never)) as { said: unknown; thread: number }
    assert.equal(answer.said, { n: 1 })
    assert.ok(answer.thread > 0)
    const monitored = await self.spawnMonitorOn(two.name, 'echo', [echo])
    node.exit(monitored.pid, 'enough')
    assert.equal(await next(), { type: 'DOWN', ref: monitored.ref, pid: monitored.pid, reason: 'enough' })
    node.exit(echo, 'kill')
    assert.equal(await next(), { type: 'EXIT', pid: echo, reason: 'killed' })
    // From another process to the thread, over the thread's own port.
    const pid = await elsewhere.do('spawnOn', two.name, 'echo', [], {})
    assert.equal(((await elsewhere.do('call', pid, 'hello')) as typeof answer).said, 'hello')
    assert.is(await node.ping(one.name).then((ms) => ms < 5000), true)
  },
  PATIENT,
)

test(
  'the cookie is not in arguments or environment of the thread, and joining works once',
  async (t) => {
    const node = await startParent(t)
    const [one, two] = await Promise.all([startWorker(node), startWorker(node, 'joinsTwice')])
    const secrets = await node.call(await node.spawnOn(one.name, 'secrets'), 'all')
    assert.type(secrets, 'string')
    assert.not((secrets as string).includes(COOKIE))
    const answer = await node.call(await node.spawnOn(two.name, 'answer'), 'what')
    assert.equal(answer, ['joinsTwice', 'ERR_SKEIN_WORKER_FAILED'])
  },
  PATIENT,
)

test(
  'the cookies of a node are those of its workers, also when they change',
  async (t) => {
    const node = await startParent(t)
    const elsewhere = await NodeProcess.start(t, { name: 'elsewhere', seeds: [`127.0.0.1:${node.addresses[0]?.port}`] })
    node.cookies.accept('accepted before the worker')
    const worker = await startWorker(node)
    await elsewhere.up(worker.name)
    const downs: string[] = []
    void (async () => {
      for await (const event of node.events) if (event.type === 'nodedown') downs.push(event.node)
    })()
    const cookiesOf = async (): Promise<string[]> => {
      const pid = await node.spawnOn(worker.name, 'cookies')
      const cookies = (await node.call(pid, 'which')) as { fingerprint: string }[]
      return cookies.map(({ fingerprint }) => fingerprint)
    }
    const own = (): string[] => node.cookies.list().map(({ fingerprint }) => fingerprint)
    assert.equal(await cookiesOf(), own())
    const next = 'the next cookie of the workers'
    await elsewhere.do('cookies', 'accept', next)
    node.cookies.accept(next)
    const dropped = eventOf(node, 'cookieDropped')
    node.cookies.use(next, { acceptOldMs: 1000 })
    await elsewhere.do('cookies', 'use', next, { acceptOldMs: 1000 })
    await dropped
    await elsewhere.events.next(({ type }) => type === 'cookieDropped')
    assert.equal(await cookiesOf(), own())
    assert.is(own().length, 2)
    assert.equal(downs, [])
    assert.equal(await elsewhere.nodes(), [node.name, worker.name].sort())
    const second = await startWorker(node)
    await elsewhere.up(second.name)
  },
  PATIENT,
)

test(
  'who is revoked when a worker starts, by option or since, does not get in there',
  async (t) => {
    const node = await startParent(t)
    const id = 'abcdefghijklmnopqrstuvwxyz234567'
    node.revoke(id)
    const worker = await startWorker(node)
    assert.equal(await node.call(await node.spawnOn(worker.name, 'revoked'), 'who'), [id])
  },
  PATIENT,
)

test(
  'where an authority has to sign, a worker joins with what it has signed; without it says so and ends',
  async (t) => {
    const wallNowMs = Date.now()
    const authority = await createAuthority({ wallNowMs, validForMs: 86_400_000 })
    const node = await startNode({
      identity: await createIdentity({ wallNowMs, authority }),
      ca: authority.certificatePem,
      cookie: COOKIE,
      host: '127.0.0.1',
      port: 0,
      discovery: false,
      logLevel: 'silent',
    })
    t.defer(() => node.stop())
    const { code, cause } = await failureOf(startWorker(node))
    assert.is(code, 'ERR_SKEIN_WORKER_FAILED')
    assert.ok(isSkeinError(cause, 'ERR_SKEIN_BAD_AUTHORITY'), String(cause))
    assert.equal(node.workers.list(), [])
    const identity = await createIdentity({ wallNowMs, authority })
    const worker = await node.workers.start(FILE, { workerData: { role: 'member' }, identity })
    assert.is(worker.id, identity.nodeId)
    assert.equal(node.nodes(), [worker.name])
    await worker.stop()
  },
  PATIENT,
)

test(
  'a crash under load costs the thread alone: an event, nodedown for all, DOWN and EXIT',
  async (t) => {
    const elsewhere = await NodeProcess.start(t, { name: 'elsewhere' })
    const node = await startParent(t, 'main', [elsewhere.address])
    for (const [how, exitCode] of [
      ['crash', 1],
      ['exit', 3],
    ] as const) {
      const worker = await startWorker(node, 'member', how)
      await elsewhere.up(worker.name)
      const { self, next } = await listener(node)
      const echo = await self.spawnLinkOn(worker.name, 'echo')
      const exited = eventOf(node, 'workerExited')
      const down = eventOf(node, 'nodedown', (event) => event.node === worker.name)
      let isOver = false
      const noise = (async () => {
        while (!isOver) {
          for (let i = 0; i < 50; i++) node.send(echo, 'noise')
          await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      await node.spawnOn(worker.name, how).catch(() => {})
      const event = await exited
      assert.equal([event.node, event.id, event.exitCode, event.asked], [worker.name, worker.id, exitCode, false])
      assert.is(
        event.reason instanceof Error ? event.reason.message : event.reason,
        how === 'crash' ? 'the worker crashes' : undefined,
      )
      await down
      assert.equal(await next(), { type: 'EXIT', pid: echo, reason: 'noconnection' })
      isOver = true
      await noise
      await elsewhere.down(worker.name)
      assert.equal([worker.isAlive, node.workers.list(), (await worker.over).exitCode], [false, [], exitCode])
    }
    assert.ok(node.nodes().includes(elsewhere.name))
  },
  PATIENT,
)

test(
  'stopping in order: others hear goodbye, and the node takes its workers along',
  async (t) => {
    const elsewhere = await NodeProcess.start(t, { name: 'elsewhere' })
    const node = await startParent(t, 'main', [elsewhere.address])
    const [one, two, three] = await Promise.all([startWorker(node), startWorker(node), startWorker(node)])
    await Promise.all([one, two, three].map(({ name }) => elsewhere.up(name)))
    const { self, next } = await listener(node)
    const linked = await self.spawnLinkOn(one.name, 'echo')
    const down = eventOf(node, 'nodedown')
    await one.stop()
    assert.equal(await next(), { type: 'EXIT', pid: linked, reason: 'noconnection' })
    assert.equal([(await down).node, (await down).reason], [one.name, 'shutdown'])
    assert.equal(await one.over, { exitCode: 0, asked: true, error: undefined })
    await one.stop()
    // One that stops its own node has ended by itself.
    const exited = eventOf(node, 'workerExited')
    await node.spawnOn(two.name, 'stop')
    assert.equal([(await exited).node, (await exited).exitCode, (await exited).asked], [two.name, 0, false])
    await node.stop()
    assert.equal([three.isAlive, node.workers.list()], [false, []])
    assert.is((await failureOf(startWorker(node))).code, 'ERR_SKEIN_STOPPED')
    for (const { name } of [one, two, three]) await elsewhere.down(name)
  },
  PATIENT,
)

test(
  'a thread that hangs is ended, though datagrams wait for it',
  async (t) => {
    const node = await startParent(t)
    const worker = await startWorker(node)
    const echo = await node.spawnOn(worker.name, 'echo')
    const gone = node.spawnOn(worker.name, 'hang').catch(() => {})
    for (let i = 0; i < 200; i++) node.send(echo, 'noise')
    await new Promise((resolve) => setImmediate(resolve))
    await worker.stop({ timeoutMs: 0 })
    assert.is(worker.isAlive, false)
    await node.disconnect(worker.name)
    await gone
    assert.equal(node.nodes(), [])
  },
  PATIENT,
)

test(
  'what does not become a node is an error with its cause, and leaves nothing behind',
  async (t) => {
    const node = await startParent(t)
    const cases: readonly (readonly [Promise<unknown>, RegExp])[] = [
      [node.workers.start(new URL('./fixtures/absent.mjs', import.meta.url)), /absent\.mjs/],
      [startWorker(node, 'ends'), /ended with code 0 before it was up/],
      [startWorker(node, 'throws'), /ended with code 1 before it was up: no program/],
      [startWorker(node, 'badSetUp'), /could not join: not set up/],
      [startWorker(node, 'stopsItself'), /could not join|stopped before it was up/],
      [node.workers.start(FILE, { workerData: { role: 'waits' }, timeoutMs: 3000 }), /not up within 3000 ms/],
      [node.workers.start(FILE, { workerData: { role: 'hangs' }, timeoutMs: 3000 }), /not up within 3000 ms/],
      [node.workers.start(FILE, { workerData: () => {} }), /could not be started/],
      [node.workers.start('relative-without-dot.mjs'), /could not be started/],
    ]
    const failures = await Promise.all(cases.map(([failing]) => failureOf(failing)))
    for (const [index, { code, message }] of failures.entries()) {
      assert.is(code, 'ERR_SKEIN_WORKER_FAILED', message)
      assert.match(message, cases[index]![1])
    }
    assert.ok(failures[0]!.cause instanceof Error)
    assert.is((await failureOf(startWorker(node, 'member', 'no name'))).code, 'ERR_SKEIN_BAD_NAME')
    assert.is((await failureOf(joinFromWorker())).code, 'ERR_SKEIN_WORKER_FAILED')
    assert.equal([node.workers.list(), node.nodes()], [[], []])
    const cluster = await simulatedNodes(1)
    t.defer(() => cluster.stop())
    assert.is((await failureOf(startWorker(cluster.nodes[0]!))).code, 'ERR_SKEIN_WORKER_FAILED')
  },
  PATIENT,
)

test(
  'a process that exits under load takes its threads along and does not abort, though one hangs',
  async () => {
    const file = fileURLToPath(new URL('./fixtures/abrupt-exit.mjs', import.meta.url))
    const child = spawn(process.execPath, [file, 'hang'], { stdio: ['ignore', 'ignore', 'pipe'] })
    const said: Buffer[] = []
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    assert.equal([code, signal], [7, null], Buffer.concat(said).toString())
  },
  PATIENT,
)

test(
  'starting and stopping again and again leaves nothing open',
  async (t) => {
    const node = await startParent(t)
    const open = (): unknown[] => [
      process.getActiveResourcesInfo().filter((what) => ['UDPWrap', 'MessagePort', 'Worker'].includes(what)),
      process.listenerCount('exit'),
    ]
    const before = open()
    for (let round = 0; round < 2; round++) {
      const workers = await Promise.all([startWorker(node), startWorker(node)])
      await Promise.all(workers.map((worker) => worker.stop()))
    }
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(open(), before)
    assert.equal(node.workers.list(), [])
  },
  PATIENT,
)

test.run()

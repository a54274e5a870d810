/**
 * Observation of real processes: one that is stopped costs its own entry of a snapshot, metrics are scraped over HTTP, and
 * one trace goes through three processes of two nodes with the real OpenTelemetry SDK.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { startNode } from '../../src/index.ts'
import { suite, type TestContext } from '../support/suite.ts'
import type { Facts, Told } from './fixtures/observed-node.ts'

const test = suite('observe', { watchdogMs: 120_000 })

const FIXTURE = fileURLToPath(new URL('fixtures/observed-node.ts', import.meta.url))
const COOKIE = 'a cookie of the end-to-end tests'
const [SERVER, CLIENT] = [1, 2]

class Observed {
  readonly facts: Facts
  readonly child: ChildProcess

  private constructor(facts: Facts, child: ChildProcess) {
    this.facts = facts
    this.child = child
  }

  static async start(t: TestContext, name: string, seed?: string): Promise<Observed> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('SKEIN_')))
    const args = [name, COOKIE, ...(seed === undefined ? [] : [seed])]
    const child = fork(FIXTURE, args, { execArgv: ['--import', 'tsx'], env })
    t.defer(async () => {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    })
    const [told] = (await once(child, 'message')) as [Told]
    assert.is(told.type, 'ready')
    return new Observed((told as Extract<Told, { type: 'ready' }>).facts, child)
  }

  async ask<T extends Told['type']>(request: object | string, type: T): Promise<Extract<Told, { type: T }>> {
    const answer = once(this.child, 'message')
    this.child.send(request)
    const [told] = (await answer) as [Told]
    assert.is(told.type, type)
    return told as Extract<Told, { type: T }>
  }
}

const three = async (t: TestContext): Promise<[Observed, Observed, Observed]> => {
  const a = await Observed.start(t, 'a@observe')
  const seed = `127.0.0.1:${a.facts.port}`
  return [a, ...(await Promise.all([Observed.start(t, 'b@observe', seed), Observed.start(t, 'c@observe', seed)]))]
}

const get = async (port: number, path: string): Promise<{ status: number; body: string }> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
  return { status: response.status, body: await response.text() }
}

/** The test's deadline is the patience. */
const until = async (holds: () => Promise<boolean> | boolean): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

test(
  'a process that is stopped costs its own entry, within the deadline; another that is killed too',
  async (t) => {
    const [a, b, c] = await three(t)
    const node = await startNode({
      name: 'test@observe',
      cookie: COOKIE,
      host: '127.0.0.1',
      port: 0,
      discovery: { mdns: false, dht: false, seeds: [`127.0.0.1:${a.facts.port}`] },
    })
    t.defer(() => node.stop())
    await until(() => node.nodes().length === 3)
    const all = await node.observer.snapshot()
    assert.equal(
      all.nodes.map(({ node: name, status }) => [name, status]),
      [
        [node.name, 'ok'],
        [a.facts.name, 'ok'],
        [b.facts.name, 'ok'],
        [c.facts.name, 'ok'],
      ],
    )
    for (const one of all.nodes) {
      assert.ok(one.status === 'ok' && one.snapshot.memory.residentBytes > 10_000_000, one.node)
    }
    b.child.kill('SIGSTOP')
    const timeoutMs = 1000
    const beganMs = performance.now()
    const partial = await node.observer.snapshot({ timeoutMs })
    const tookMs = performance.now() - beganMs
    b.child.kill('SIGCONT')
    assert.ok(tookMs >= timeoutMs - 50 && tookMs < timeoutMs + 1500, `${tookMs} ms`)
    const statuses = new Map(partial.nodes.map((one) => [one.node, one.status === 'ok' ? 'ok' : one.code]))
    assert.is(statuses.get(b.facts.name), 'ERR_SKEIN_CALL_TIMEOUT')
    assert.equal(
      [a, c].map(({ facts }) => statuses.get(facts.name)),
      ['ok', 'ok'],
    )
    c.child.kill('SIGKILL')
    const gone = await node.observer.snapshot({ timeoutMs: 20_000, nodes: [c.facts.name, a.facts.name] })
    assert.equal(
      gone.nodes.map(({ status }) => status),
      ['failed', 'ok'],
    )
    // The one that was stopped is asked again, and has been there all the time.
    await until(async () => {
      const again = await node.observer.snapshot({ nodes: [b.facts.name] })
      return again.nodes[0]?.status === 'ok'
    })
  },
  { deadlineMs: 60_000 },
)

test(
  'metrics are scraped, and a node says that it is ready',
  async (t) => {
    const [a, b, c] = await three(t)
    await until(async () => (await get(a.facts.healthPort, '/metrics')).body.includes('\nskein_connections 2\n'))
    const { body } = await get(a.facts.healthPort, '/metrics')
    for (const { facts } of [b, c]) {
      assert.match(body, new RegExp(`^skein_connection_sent_bytes_total\\{peer="${facts.name}"\\} [1-9]\\d*$`, 'm'))
    }
    assert.match(body, /^skein_processes [1-9]\d*$/m)
    for (const { facts } of [a, b, c]) {
      await until(async () => (await get(facts.healthPort, '/ready')).status === 200)
      assert.is((await get(facts.healthPort, '/live')).status, 200)
    }
  },
  { deadlineMs: 60_000 },
)

test(
  'one trace over two nodes, with the real SDK',
  async (t) => {
    const a = await Observed.start(t, 'a@observe')
    const b = await Observed.start(t, 'b@observe', `127.0.0.1:${a.facts.port}`)
    const here = (await a.ask({ buy: b.facts.name, what: 'count' }, 'spans')).spans
    const there = (await b.ask('spans', 'spans')).spans
    const root = here.find(({ name }) => name === 'buy')
    assert.ok(root !== undefined)
    const all = [...here, ...there]
    assert.is(new Set(all.map(({ traceId }) => traceId)).size, 1)
    const below = (parent: string | undefined, kind: number) =>
      all.find(({ parentSpanId, kind: its }) => parentSpanId === parent && its === kind)
    const toShop = below(root?.spanId, CLIENT)
    const inShop = below(toShop?.spanId, SERVER)
    const toStock = below(inShop?.spanId, CLIENT)
    const inStock = below(toStock?.spanId, SERVER)
    assert.equal(
      [toShop, inShop, toStock, inStock].map((span) => span?.name),
      ['call shop', 'call shop', 'call stock', 'call stock'],
    )
    assert.equal(there, [inStock])
    assert.is(inStock?.attributes['server.address'], b.facts.name)
    assert.is(all.length, 5)
    // A handler that throws fails its span, and the spans of all who waited for it.
    await a.ask({ buy: b.facts.name, what: 'fail' }, 'spans')
    const failed = (await b.ask('spans', 'spans')).spans.at(-1)
    assert.equal([failed?.name, failed?.status], ['call stock', 2])
    const names = (await a.ask('metrics', 'metrics')).names
    for (const name of ['skein_processes', 'skein_calls_total', 'skein_call_duration_seconds']) {
      assert.ok(names.includes(name), `${name} among ${names.join()}`)
    }
  },
  { deadlineMs: 60_000 },
)

test.run()

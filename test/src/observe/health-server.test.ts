/** The health server, over real HTTP: what it answers, whom it refuses, and that it closes with its node. */
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { type HealthServer, type SkeinNode, startHealthServer, startNode } from '../../../src/index.ts'
import type { HealthServerOptions } from '../../../src/observe/health-server.ts'
import { suite, type TestContext } from '../../support/suite.ts'

const test = suite('health server')

const COOKIE = 'a cookie for tests'

const start = async (
  t: TestContext,
  options: Partial<HealthServerOptions> = {},
  discovery: NonNullable<Parameters<typeof startNode>[0]>['discovery'] = false,
): Promise<{ node: SkeinNode; server: HealthServer }> => {
  const node = await startNode({ cookie: COOKIE, host: '127.0.0.1', port: 0, discovery, logLevel: 'silent' })
  t.defer(() => node.stop())
  const server = await startHealthServer(node, { port: 0, ...options })
  t.defer(() => server.close())
  return { node, server }
}

interface Got {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly allow: string | undefined
  readonly body: string
}

const get = ({ port }: HealthServer, path: string, method = 'GET', body?: string): Promise<Got> =>
  new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        const { 'content-type': type, allow } = response.headers
        resolve({ status: response.statusCode, type, allow, body: text })
      })
    })
    request.on('error', reject)
    request.end(body)
  })

/** Asks until the status is this; the test's deadline is the patience. */
const until = async (server: HealthServer, path: string, status: number): Promise<Got> => {
  for (;;) {
    const got = await get(server, path)
    if (got.status === status) return got
  }
}

test('/live, /ready and /metrics', async (t) => {
  const { node, server } = await start(t)
  assert.is(server.host, '127.0.0.1')
  const live = await get(server, '/live')
  assert.equal([live.status, live.type], [200, 'application/json'])
  assert.equal(JSON.parse(live.body), { status: 'live', node: node.name })
  assert.equal(JSON.parse((await until(server, '/ready?probe=1', 200)).body), { status: 'ready', node: node.name })
  node.observer.metrics.counter('shop_orders_total', 'Orders.').add(3)
  const { status, type, body } = await get(server, '/metrics')
  assert.equal([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8'])
  assert.match(body, /^# TYPE skein_processes gauge\nskein_processes \d+$/m)
  assert.match(body, /^shop_orders_total 3$/m)
  const head = await get(server, '/metrics', 'HEAD')
  assert.equal([head.status, head.body], [200, ''])
})

test('other methods, other paths and bodies are refused', async (t) => {
  const { server } = await start(t)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
    const { status, allow } = await get(server, '/metrics', method)
    assert.equal([status, allow], [405, 'GET, HEAD'], method)
  }
  assert.is((await get(server, '/')).status, 404)
  assert.is((await get(server, '/metrics/../live')).status, 404)
  assert.is((await get(server, '/live', 'GET', 'a body')).status, 413)
})

test('not ready: the program says so, or does not say in time, or fails', async (t) => {
  let answer: () => boolean | string | Promise<boolean | string> = () => true
  const { server } = await start(t, { ready: () => answer() })
  await until(server, '/ready', 200)
  const reasonOf = async (): Promise<string> => {
    const { status, body } = await get(server, '/ready')
    assert.is(status, 503)
    const { reasons } = JSON.parse(body) as { reasons: { what: string; text: string }[] }
    assert.equal(
      reasons.map(({ what }) => what),
      ['program'],
    )
    return reasons[0]?.text ?? ''
  }
  answer = () => false
  assert.is(await reasonOf(), 'it says so')
  answer = async () => 'the database is away'
  assert.is(await reasonOf(), 'the database is away')
  answer = () => {
    throw new Error('broken')
  }
  assert.is(await reasonOf(), 'broken')
  answer = () => new Promise(() => {})
  assert.is(await reasonOf(), 'it did not say in time')
  answer = () => 'x'.repeat(10_000)
  assert.is((await reasonOf()).length, 200)
})

test('not ready: a service is against it, a process skein that does not answer', async (t) => {
  const { node, server } = await start(t)
  await until(server, '/ready', 200)
  let draining = true
  node.observer.probes.addCheck('drain', () => (draining ? 'the node is being drained' : undefined))
  const { body } = await until(server, '/ready', 503)
  assert.equal(JSON.parse(body).reasons, [{ what: 'drain', text: 'the node is being drained' }])
  draining = false
  await until(server, '/ready', 200)
  node.unregister('skein')
  assert.match((await until(server, '/ready', 503)).body, 'system')
  assert.is((await get(server, '/live')).status, 200, 'it lives all the same')
})

test('not ready: no source of discovery works', async (t) => {
  const { node, server } = await start(t, {}, { mdns: false, dht: false, dns: ['nobody.invalid'], seeds: [] })
  node.discovery.status = () => [
    { source: 'dns', state: 'failed', detail: 'no such name', seen: 0 },
    { source: 'peers', state: 'working', detail: '', seen: 0 },
  ]
  assert.equal(JSON.parse((await until(server, '/ready', 503)).body).reasons, [
    { what: 'discovery', text: 'dns: no such name' },
  ])
})

test('it closes with its node, also with connections open, and by itself', async (t) => {
  const { node, server } = await start(t)
  const socket = connect({ host: '127.0.0.1', port: server.port })
  t.defer(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  await node.stop()
  await closed
  await server.close()
  assert.is(await get(server, '/live').catch((error: { code: string }) => error.code), 'ECONNREFUSED')
  const code = await startHealthServer(node, { port: 0 }).catch((error: unknown) => isSkeinError(error) && error.code)
  assert.is(code, 'ERR_SKEIN_STOPPED')
})

test('nonsense on the socket costs that connection, and many connections are bounded', async (t) => {
  const { server } = await start(t)
  /** Whether there was an answer before the end, or an answer at all. */
  const say = (text: string) => {
    const socket = connect({ host: '127.0.0.1', port: server.port })
    t.defer(() => socket.destroy())
    socket.on('error', () => {})
    socket.write(text)
    const answered = new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true))
      socket.once('close', () => resolve(false))
    })
    return { socket, answered }
  }
  const nonsense = Array.from({ length: 50 }, () => say('\0\x01 nonsense\r\n\r\n'))
  assert.ok((await Promise.all(nonsense.map(({ answered }) => answered))).every((one) => !one))
  // Each keeps its connection when it has its answer.
  const many = Array.from({ length: 100 }, () => say('GET /live HTTP/1.1\r\nhost: x\r\n\r\n'))
  const served = (await Promise.all(many.map(({ answered }) => answered))).filter((one) => one).length
  assert.ok(served >= 50 && served < 100, `${served} of 100 were served at once`)
  await Promise.all(
    many.map(
      ({ socket }) =>
        new Promise<void>((resolve) => {
          if (socket.closed) resolve()
          else socket.once('close', resolve).destroy()
        }),
    ),
  )
  // It may not know yet that they are gone.
  const isServed = () =>
    get(server, '/live').then(
      ({ status }) => status === 200,
      () => false,
    )
  while (!(await isServed()));
})

test('a port that is busy and options that make no sense', async (t) => {
  const { node, server } = await start(t)
  const codeOf = async (options: HealthServerOptions): Promise<unknown> =>
    startHealthServer(node, options).catch((error: unknown) => isSkeinError(error) && error.code)
  assert.is(await codeOf({ port: server.port }), 'ERR_SKEIN_PORT_BUSY')
  assert.is(await codeOf({ port: -1 }), 'ERR_SKEIN_BAD_OPTION')
  assert.is(await codeOf({ port: 0, host: '203.0.113.7' }), 'ERR_SKEIN_BIND')
  assert.is(await codeOf({ port: 0, ready: 'yes' as never }), 'ERR_SKEIN_BAD_OPTION')
})

test('a node that stops while the server begins to listen, and a host that would be the whole world', async (t) => {
  const { node } = await start(t)
  const codeOf = async (options: HealthServerOptions): Promise<string | undefined> => {
    try {
      await startHealthServer(node, options)
      return undefined
    } catch (error) {
      return isSkeinError(error) ? error.code : String(error)
    }
  }
  assert.is(await codeOf({ port: 0, host: '' }), 'ERR_SKEIN_BAD_OPTION')
  const starting = codeOf({ port: 0 })
  await node.stop()
  assert.is(await starting, 'ERR_SKEIN_STOPPED')
})

test.run()

/** `skein observer`: its server over real HTTP, whom it refuses, what its streams tell, and the command itself. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import type { ClusterWatch } from '../../../src/cli/observer/cluster-watch.ts'
import { type DhtView, dhtViewOf } from '../../../src/cli/observer/dht-view.ts'
import { isNews, toldEntryOf } from '../../../src/cli/observer/event-entry.ts'
import { cookieNamed, isOwnHost, isToken, RequestBudget } from '../../../src/cli/observer/guard.ts'
import { readPageFiles } from '../../../src/cli/observer/page-files.ts'
import { MAX_VIEWERS, PageServer } from '../../../src/cli/observer/page-server.ts'
import { lookOf, Viewer } from '../../../src/cli/observer/viewer.ts'
import type { Self } from '../../../src/index.ts'
import { suite } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'
import { EventReader, get, startObserved } from './observer-support.ts'

const test = suite('observer command', { watchdogMs: 900_000 })

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGE = fileURLToPath(new URL('../../../src/cli/observer/page/', import.meta.url))
/** Each command is a process that compiles itself first, and other tests want the processor too. */
const DEADLINE_MS = 180_000

test(
  'serves the files of the page, and no others',
  async (t) => {
    const { port } = await startObserved(t)
    const page = await get(port, '/')
    assert.equal([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8'])
    const policy = String(page.headers['content-security-policy'])
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"]) {
      assert.match(policy, part)
    }
    assert.not.match(policy, 'unsafe')
    assert.not.match(page.body, /https?:/)
    const files = await readPageFiles()
    assert.equal(
      [...files.keys()].map((path) => (path === '/' ? 'index.html' : path.slice(1))).sort(),
      readdirSync(PAGE).sort(),
    )
    for (const [path, { type, etag, body }] of files) {
      // The name of SVG's namespace is no address that anybody asks.
      assert.not.match(body.toString().replaceAll('http://www.w3.org/2000/svg', ''), /https?:/, path)
      const { status, headers } = await get(port, path, { headers: { 'if-none-match': etag } })
      assert.is(status, 304, path)
      assert.equal([(await get(port, path)).headers['content-type'], headers.etag], [type, etag])
    }
    for (const path of ['/nothing', '/..%2f..%2fmain.ts', '/../../main.ts', '//etc/passwd', '/page/main.js']) {
      assert.is((await get(port, path)).status, 404, path)
    }
    assert.is((await get(port, 'http://[')).status, 400)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'answers GET and HEAD without a body, and nothing else',
  async (t) => {
    const { port } = await startObserved(t)
    const head = await get(port, '/', { method: 'HEAD' })
    assert.equal([head.status, head.body], [200, ''])
    assert.is((await get(port, '/stream', { method: 'HEAD' })).status, 200)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) assert.is((await get(port, '/', { method })).status, 405)
    assert.is((await get(port, '/', { headers: { 'content-length': '3' } })).status, 413)
    assert.is(
      (await get(port, '/', { headers: { 'x-long': 'x'.repeat(20_000) } }).catch(() => undefined))?.status,
      undefined,
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'whoever asks by a name that is not of this machine is refused',
  async (t) => {
    const { port } = await startObserved(t)
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, `${hostname()}:${port}`]) {
      assert.is((await get(port, '/', { headers: { host } })).status, 200, host)
    }
    for (const host of [
      `evil.example:${port}`,
      '127.0.0.1',
      `127.0.0.1.evil.example:${port}`,
      `localhost:${port + 1}`,
    ]) {
      for (const path of ['/', '/stream']) {
        assert.is((await get(port, path, { headers: { host } })).status, 421, host)
      }
    }
    const names = ['localhost']
    for (const header of [undefined, '', ':', '[', 'a b:1', `localhost:${port}:1`, '[evil]:1', '256.1.1.1:1']) {
      assert.is(isOwnHost(header, 1, names), false, header)
    }
    assert.ok(isOwnHost('LocalHost:1', 1, names) && isOwnHost('10.1.2.3', 80, names))
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'with a token nobody sees anything without it, and it stays in no address',
  async (t) => {
    const token = 'a-token-of-this-test'
    const { port } = await startObserved(t, token)
    for (const path of ['/', '/main.js', '/stream', '/?token=wrong', `/main.js?token=${token}`]) {
      assert.is((await get(port, path)).status, 401, path)
    }
    const entry = await get(port, `/?token=${token}`)
    assert.equal([entry.status, entry.headers.location], [303, '/'])
    const [given = ''] = entry.headers['set-cookie'] ?? []
    for (const part of ['HttpOnly', 'SameSite=Lax', 'Path=/']) assert.match(given, part)
    const cookie = given.split(';')[0] ?? ''
    for (const path of ['/', '/main.js']) assert.is((await get(port, path, { headers: { cookie } })).status, 200)
    assert.is((await EventReader.open(t, port, '', { cookie })).status, 200)
    assert.is((await get(port, '/', { headers: { cookie: `${cookie}x` } })).status, 401)
    assert.equal([isToken(undefined, 'x'), isToken('', 'x'), isToken('x', 'x')], [false, false, true])
    assert.is(cookieNamed('a=1; b=2=3', 'b'), '2=3')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'requests have a rate, and open pages a number',
  async (t) => {
    const { port } = await startObserved(t)
    const readers: EventReader[] = []
    for (let n = 0; n < MAX_VIEWERS; n++) readers.push(await EventReader.open(t, port, ''))
    assert.equal(
      readers.map(({ status }) => status),
      Array(MAX_VIEWERS).fill(200),
    )
    assert.is((await EventReader.open(t, port, '')).status, 503)
    readers[0]?.close()
    for (;;) if ((await EventReader.open(t, port, '')).status === 200) break
    const refused = async (): Promise<boolean> => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => get(port, '/icon.svg')))
      return answers.some(({ status }) => status === 429)
    }
    while (!(await refused()));
    const budget = new RequestBudget()
    const taken = Array.from({ length: 300 }, () => budget.take(1_000_000))
    assert.is(taken.filter((one) => one).length, 200)
    assert.ok(budget.take(1_000_100))
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a port that is taken, or an address that is not of this machine, is a coded error',
  async (t) => {
    const { port, watch, log } = await startObserved(t)
    const codeOf = (host: string): Promise<unknown> =>
      PageServer.start({ watch, log, host, port, token: undefined }).then(
        (server) => server.close(),
        (error: unknown) => isSkeinError(error) && error.code,
      )
    assert.is(await codeOf('127.0.0.1'), 'ERR_SKEIN_PORT_BUSY')
    // Of the block for documentation, RFC 5737.
    assert.is(await codeOf('192.0.2.1'), 'ERR_SKEIN_BIND')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a stream tells of the cluster, and of what its page looks at',
  async (t) => {
    const { node, port } = await startObserved(t)
    const linked = node.spawnWith({ name: 'linked' }, async (self: Self) => void (await self.receive()))
    const shown = node.spawnWith({ name: 'shown' }, async (self: Self) => {
      self.label = '<b>bold</b>\u0000'
      self.link(linked)
      await new Promise((resolve) => self.signal.addEventListener('abort', resolve))
    })
    for (let n = 0; n < 4; n++) node.send(shown, n)
    const about = `node=${encodeURIComponent(node.name)}`
    const stream = await EventReader.open(t, port, `${about}&after=0&dht=1`)
    const { cluster, nodes } = await stream.next('cluster', ({ nodes }) => nodes[0]?.figures !== undefined)
    assert.equal([cluster, nodes.map(({ name, state }) => [name, state])], ['test', [[node.name, 'up']]])
    assert.type(nodes[0]?.pingMs, 'number')
    const told = await stream.next('node', ({ points }) => points.length > 0)
    assert.is(told.snapshot?.id, node.id)
    assert.is(told.points[0]?.length, 14)
    const { page } = await stream.next('processes')
    const row = page.processes.find(({ names }) => names.includes('shown'))
    assert.equal([row?.pid, row?.messages, row?.label], [String(shown), 4, '<b>bold</b>\u0000'])
    assert.is((await stream.next('dht')).dht, undefined)
    stream.close()

    const detail = await EventReader.open(t, port, `${about}&process=${encodeURIComponent(String(shown))}`)
    const { process } = await detail.next('process')
    assert.equal([process?.messages, process?.links.list.map(({ pid }) => pid)], [4, [String(linked)]])
    node.exit(shown, 'kill')
    assert.is((await detail.next('process', ({ process }) => process === undefined)).process, undefined)
    detail.close()

    // The same number in another incarnation is another process.
    const other = String(linked).replace(/#[0-9a-f]{6}\./, '#000000.')
    const stale = await EventReader.open(t, port, `${about}&process=${encodeURIComponent(other)}`)
    assert.is((await stale.next('process')).process, undefined)
    // Nonsense in the address is nothing to look at.
    const odd = await EventReader.open(t, port, 'node=%ff&process=x&after=-1&since=x')
    assert.ok((await odd.next('cluster')).nodes.length === 1)
  },
  { deadlineMs: DEADLINE_MS },
)

test('of what a node says of the DHT only what fits the shape is shown', () => {
  for (const said of [undefined, null, 'x', 7, [], new Uint8Array(3)]) assert.is(dhtViewOf(said), undefined)
  const nothing = { id: '', publicAddress: undefined, contacts: [], items: 0, announcements: 0 }
  assert.equal(dhtViewOf({}), nothing)
  assert.equal(dhtViewOf({ id: {}, publicAddress: 'x', contacts: 'x', items: Number.NaN, announcements: '1' }), nothing)
  const { contacts, ...rest } = dhtViewOf({
    id: 'a',
    publicAddress: { host: '2001:db8::1', port: 4 },
    contacts: Array(1000).fill({ id: 'b', address: 'c'.repeat(1000), more: true }),
    items: 1,
    announcements: 2,
  }) as DhtView
  assert.equal(rest, { id: 'a', publicAddress: '[2001:db8::1]:4', items: 1, announcements: 2 })
  assert.equal([contacts.length, contacts[0]], [256, { id: 'b', address: 'c'.repeat(512) }])
})

test('of an event that another node tells, whatever it is, a line is made, and of a bounded part of it', () => {
  const teller = 'a@test'
  for (const said of [
    undefined,
    null,
    5,
    'x',
    [],
    {},
    { type: 5 },
    { type: 'nodeup' },
    { type: 'draining', node: 'b' },
  ]) {
    assert.is(isNews(said, teller), false, JSON.stringify(said))
  }
  for (const said of [{ type: 'draining', node: teller }, { type: 'processCrashed' }, { type: 'new here' }]) {
    assert.ok(isNews(said, teller), said.type)
  }
  const crash = { type: 'processCrashed', pid: '<a@test#1.5>', reason: { code: 7, deep: [1n, undefined] } }
  assert.equal(toldEntryOf(crash, teller), {
    node: teller,
    type: 'processCrashed',
    level: 'bad',
    text: 'pid <a@test#1.5>, reason {"code":7,"deep":["1",null]}',
  })
  const { type, level } = toldEntryOf({ type: `constructor${'x'.repeat(1000)}` }, teller)
  assert.equal([type.length, level, toldEntryOf({ type: 'constructor' }, teller).level], [40, 'info', 'info'])
  const large = { type: 'x', lists: Array(100).fill(Array(200).fill('y'.repeat(2000))) }
  assert.ok(toldEntryOf(large, teller).text.length < 100_000)
})

test(
  'the first that a page hears of the log is all there is, and be it nothing; news of the log are no news of the cluster',
  async (t) => {
    const { port, log } = await startObserved(t)
    const stream = await EventReader.open(t, port, `since=${Number.MAX_SAFE_INTEGER}`)
    assert.equal(await stream.next('log'), [])
    const told: string[] = []
    const viewer = new Viewer({
      watch: { view: () => ({}) } as unknown as ClusterWatch,
      log,
      response: { write: (text: string) => told.push(text.split('\n', 1)[0] ?? ''), end: () => {} } as never,
      look: lookOf(new URLSearchParams()),
    })
    viewer.end()
    told.length = 0
    log.add({ node: 'a@b', type: 'test', level: 'info', text: 'news' })
    viewer.logged()
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(told, ['event: log'])
    viewer.changed()
    while (told.length === 1) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(told, ['event: log', 'event: cluster'])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'the log tells what happens on the nodes, floods cut short, and of a node that stops',
  async (t) => {
    const { node, port, log } = await startObserved(t)
    const state = await EventReader.open(t, port, '')
    await state.next('cluster', ({ nodes }) => nodes[0]?.figures !== undefined)
    const isCrash = ({ type, text }: { type: string; text: string }): boolean =>
      type === 'processCrashed' && text.includes('boom')
    // Until the observer follows the events of the node.
    while (!log.after(0).some(isCrash)) {
      node.spawn(async () => {
        throw new Error('boom')
      })
      await state.next('cluster')
    }
    state.close()
    const stream = await EventReader.open(t, port, '')
    const told = await stream.next('log', (entries) => entries.some(isCrash))
    const entry = told.find(isCrash)
    assert.equal([entry?.node, typeof entry?.at], [node.name, 'number'])
    for (let n = 0; n < 500; n++) node.send('nobody', n)
    await stream.next('log', (entries) => entries.some(({ type }) => type === 'more'))
    assert.ok(log.after(0).filter(({ type }) => type === 'deadLetter').length <= 100)
    // Only what is new, for a page that has the others.
    const last = log.after(0).at(-1)?.id ?? 0
    const later = await EventReader.open(t, port, `since=${last}`)
    await node.stop()
    const entries = await later.next('log', ({ length }) => length > 0)
    assert.ok(entries.every(({ id }) => id > last))
    assert.is((await later.next('cluster', ({ nodes }) => nodes[0]?.state === 'left')).nodes[0]?.why, 'it was stopped')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'the command serves its page and tells what happens, until it is stopped',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const args = ['observer', '--seed', a.address, '--page-port', '0']
    const observer = new Cli(t, [...args, '--json'], settings)
    const { url, cluster } = await observer.printed({ type: 'started' })
    assert.is(cluster, settings.SKEIN_CLUSTER)
    assert.match(String(url), /^http:\/\/127\.0\.0\.1:\d+\/$/)
    const { port } = new URL(String(url))
    assert.match((await get(Number(port), '/')).body, '<title>Skein observer</title>')
    const people = new Cli(t, [...args, '--page-host', '0.0.0.0'], settings)
    const line = await people.line((line) => line.includes('  page '))
    assert.match(line, /http:\/\/[\d.]+:\d+\/\?token=[\w-]{43}$/)
    await people.line((line) => line.includes('not encrypted'))
    a.cli.signal('SIGTERM')
    await observer.printed({ type: 'nodedown', node: `a@${hostname()}` })
    await people.line((line) => line.includes('has left'))
    observer.signal('SIGTERM')
    people.signal('SIGINT')
    const [ended, endedPeople] = [await observer.ended, await people.ended]
    assert.equal([ended.code, ended.stderr, endedPeople.code], [0, '', 0])
    assert.equal(jsonLines(ended.stdout).at(-1), { type: 'stopped', cluster: settings.SKEIN_CLUSTER })
    assert.not.match(endedPeople.stdout, '\u001b')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'help, wrong arguments, and nobody there',
  async (t) => {
    const help = await runCli(t, ['observer', '--help'])
    assert.equal([help.code, help.stderr], [0, ''])
    for (const word of ['--page-host', '--page-port', 'Examples:', 'token']) assert.match(help.stdout, word)
    const wrong = await Promise.all([
      runCli(t, ['observer', '--page-host', 'localhost']),
      runCli(t, ['observer', '--page-port', '70000']),
    ])
    assert.equal(
      wrong.map(({ code, stdout }) => [code, stdout]),
      [
        [2, ''],
        [2, ''],
      ],
    )
    assert.match(wrong[0]?.stderr ?? '', 'must be an IP address')
    assert.match(wrong[1]?.stderr ?? '', '0 to 65535')
    const nobody = await runCli(t, ['observer', '--json'])
    assert.equal([nobody.code, nobody.stdout], [1, ''])
    assert.is(jsonLines(nobody.stderr)[0]?.code, 'ERR_SKEIN_CONNECT_FAILED')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'the scripts of the page compile',
  async () => {
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const args = [compiler, '-p', 'tsconfig.page.json', '--listFiles']
    const lines = await new Promise<string[]>((resolve) => {
      execFile(process.execPath, args, { cwd: ROOT }, (_error, stdout) => resolve(stdout.split('\n')))
    })
    const scripts = readdirSync(PAGE).filter((name) => name.endsWith('.js'))
    assert.ok(scripts.every((name) => lines.includes(join(PAGE, name))))
    // The rest, which is not written for a browser, has a check of its own.
    assert.equal(
      lines.filter((line) => line.startsWith('src/cli/observer/')),
      [],
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

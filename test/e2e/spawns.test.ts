/** Processes started from afar, looked at from afar, and timers to them: between processes of the machine, over QUIC. */
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { Pid, type Ref } from '../../src/index.ts'
import { machineNowMs, NodeProcess, type Puppet } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { failure, temporaryFolder } from './support.ts'

const test = suite('spawns across nodes')

/** Starting processes takes seconds on a busy machine, and so does noticing that a node is gone. */
const PATIENT = { deadlineMs: 40_000 }

interface System {
  readonly type: string
  readonly ref: Ref
  readonly pid: Pid
  readonly reason: unknown
}

/** b offers puppets under the name `puppet`. */
const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await Promise.all([a.up(b.name), b.up(a.name), b.do('offer', 'puppet')])
  return [a, b]
}

const system = async (puppet: Puppet): Promise<System> => (await puppet.mailbox.next()).value as System

const spawnLinkOn = async (asking: Puppet, on: NodeProcess, name: string): Promise<Pid> =>
  (await asking.node.do('self', asking.name, 'spawnLinkOn', [on.name, 'puppet', [name]])) as Pid

const spawnMonitorOn = async (asking: Puppet, on: NodeProcess, name: string): Promise<{ pid: Pid; ref: Ref }> =>
  (await asking.node.do('self', asking.name, 'spawnMonitorOn', [on.name, 'puppet', [name]])) as { pid: Pid; ref: Ref }

test(
  'spawnOn gives a pid to work with; what cannot be is a coded error',
  async (t) => {
    const [a, b] = await startPair(t)
    assert.equal(await b.do('behaviours'), ['puppet'])
    const pid = await a.do('spawnOn', b.name, 'puppet', ['one'], { name: 'first', start: true })
    assert.ok(pid instanceof Pid && pid.node === b.name)
    await a.do('send', { name: 'first', node: b.name }, 'hello')
    assert.is((await b.mailbox('one').next()).value, 'hello')
    const unknown = await failure(a.do('spawnOn', b.name, 'pupet', [], {}))
    assert.is(unknown.code, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
    assert.match(unknown.message, 'the nearest name is "puppet"')
    assert.is(
      (await failure(a.do('spawnOn', b.name, 'puppet', ['x'], { name: 'first' }))).code,
      'ERR_SKEIN_NAME_REGISTERED',
    )
    assert.is((await failure(a.do('spawnOn', 'x@nowhere', 'puppet', [], {}))).code, 'ERR_SKEIN_NOCONNECTION')
    // The same on the own node, and without a connection at first.
    await a.do('offer', 'puppet')
    assert.is((await a.do('spawnOn', a.name, 'puppet', ['here'], {})).node, a.name)
    await a.do('disconnect', b.name)
    assert.is((await a.do('spawnOn', b.name, 'puppet', ['again'], {})).node, b.name)
  },
  PATIENT,
)

test(
  'linked and monitored from the start: each hears of the end of the other',
  async (t) => {
    const [a, b] = await startPair(t)
    const asking = await a.puppet('asking')
    await asking.trapExit(true)
    const linked = await spawnLinkOn(asking, b, 'linked')
    const monitored = await spawnMonitorOn(asking, b, 'monitored')
    await b.do('exit', linked, { boom: 1 })
    const exit = await system(asking)
    assert.equal([exit.type, exit.reason], ['EXIT', { boom: 1 }])
    assert.ok(exit.pid.equals(linked))
    await b.do('exit', monitored.pid, 'over')
    const down = await system(asking)
    assert.equal([down.type, down.reason], ['DOWN', 'over'])
    assert.ok(down.ref.equals(monitored.ref))
    const second = await spawnLinkOn(asking, b, 'second')
    await a.do('exit', asking.pid, 'kill')
    const watcher = await b.puppet('watcher')
    await watcher.monitor(second)
    assert.ok(['killed', 'noproc'].includes((await system(watcher)).reason as string))
  },
  PATIENT,
)

test(
  'kill -9 of the spawning node: exit, DOWN and every open request say noconnection',
  async (t) => {
    const [a, b] = await startPair(t)
    const asking = await a.puppet('asking')
    await asking.trapExit(true)
    await spawnLinkOn(asking, b, 'linked')
    await spawnMonitorOn(asking, b, 'monitored')
    await b.kill()
    // Not answered: the node is gone, though nobody has noticed yet.
    const options = { timeoutMs: 60_000 }
    const open = failure(a.do('self', 'asking', 'spawnLinkOn', [b.name, 'puppet', ['late'], options]))
    assert.is((await open).code, 'ERR_SKEIN_NOCONNECTION')
    const both = [await system(asking), await system(asking)]
    assert.equal(both.map(({ type, reason }) => `${type} ${reason}`).sort(), ['DOWN noconnection', 'EXIT noconnection'])
  },
  PATIENT,
)

test(
  'kill -9 of the asking node: a linked process goes down with the connection, another lives on',
  async (t) => {
    const [a, b] = await startPair(t)
    const asking = await a.puppet('asking')
    const linked = await spawnLinkOn(asking, b, 'linked')
    const monitored = await spawnMonitorOn(asking, b, 'monitored')
    const watcher = await b.puppet('watcher')
    await watcher.monitor(linked)
    await a.kill()
    assert.is((await system(watcher)).reason, 'noconnection')
    assert.is(await b.do('isProcessAlive', monitored.pid), true)
    assert.is((await b.do('processInfo', monitored.pid))?.watchers, 0)
  },
  PATIENT,
)

test(
  'is it alive: in order, after an exit signal, of an earlier start, out of reach',
  async (t) => {
    const [a, b] = await startPair(t)
    const asking = await a.puppet('asking')
    const { pid } = await b.puppet('one')
    const ask = (): Promise<unknown> => a.do('self', 'asking', 'isProcessAlive', [pid])
    assert.is(await ask(), true)
    const info = await a.do('processInfo', pid)
    assert.equal([info?.names, info?.state, info?.watchers], [['one'], 'waiting', 0])
    await asking.exit(pid, 'over')
    assert.is(await ask(), false)
    assert.is(await a.do('processInfo', pid), undefined)
    const two = await b.puppet('two')
    await b.kill()
    assert.is((await failure(a.do('isProcessAlive', two.pid))).code, 'ERR_SKEIN_NOCONNECTION')
  },
  PATIENT,
)

test(
  'a process of an earlier start of its node is not alive',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const options = { name: 'b', seeds: [a.address], identity: join(await temporaryFolder(t), 'identity') }
    const b = await NodeProcess.start(t, options)
    await a.up(b.name)
    const { pid } = await b.puppet('one')
    await b.do('stop')
    await a.down(b.name)
    await b.start(options)
    await a.up(b.name)
    assert.is(await a.do('isProcessAlive', pid), false)
  },
  PATIENT,
)

test(
  'timers to a pid and a name on another node, not before their time',
  async (t) => {
    const [a, b] = await startPair(t)
    const target = await b.puppet('target')
    const asking = await a.puppet('asking')
    const setMs = machineNowMs()
    await a.do('sendAfter', 300, { name: 'target', node: b.name }, 'by name')
    const cancelled = await a.do('self', 'asking', 'sendAfter', [100, target.pid, 'never'])
    await a.do('self', 'asking', 'sendAfter', [200, target.pid, 'by pid'])
    assert.is(await a.do('self', 'asking', 'cancelTimer', [cancelled]), true)
    await a.do('exit', asking.pid, 'kill')
    const first = await target.mailbox.next()
    const second = await target.mailbox.next()
    assert.equal([first.value, second.value], ['by pid', 'by name'])
    assert.ok(first.atMs - setMs >= 200 && second.atMs - setMs >= 300, `${first.atMs - setMs}, ${second.atMs - setMs}`)
  },
  PATIENT,
)

test(
  'a registered type that the other node does not know costs the message and nothing else',
  async (t) => {
    const [a, b] = await startPair(t)
    const target = await b.puppet('target')
    const mine = await a.puppet('mine')
    await target.monitor(mine.pid)
    await target.caughtUp(mine)
    await a.do('coin', 'send', target.pid)
    const letter = await b.events.next((event) => event.type === 'deadLetter')
    assert.is(letter.value.type === 'deadLetter' && letter.value.reason, 'ERR_SKEIN_UNKNOWN_TYPE')
    const refused = await failure(a.do('coin', 'call', target.pid) as Promise<unknown>)
    assert.is(refused.code, 'ERR_SKEIN_UNKNOWN_TYPE')
    assert.match(refused.message, '"test/Coin"')
    await a.do('coin', 'exit', mine.pid)
    const down = await system(target)
    assert.equal([down.type, (down.reason as { code: string }).code], ['DOWN', 'ERR_SKEIN_UNKNOWN_TYPE'])
    assert.ok(down.pid.equals(mine.pid))
    for (const { events } of [a, b]) assert.not(events.all.some(({ value }) => value.type === 'nodedown'))
    assert.is(target.mailbox.all.length, 1)
  },
  PATIENT,
)

test.run()

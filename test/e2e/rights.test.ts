/** What a node allows another one, and versions of behaviours: between processes of the machine, over QUIC. */
import * as assert from 'uvu/assert'
import { Pid } from '../../src/index.ts'
import { NodeProcess } from '../support/node-process.ts'
import { suite } from '../support/suite.ts'
import { failure } from './support.ts'

const test = suite('rights between nodes')

/** Starting processes takes seconds on a busy machine. */
const PATIENT = { deadlineMs: 40_000 }

test(
  'a node that may start one behaviour and address one name can do no more',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const guest = await NodeProcess.start(t, { name: 'guest', seeds: [a.address] })
    const rules = [
      { nodes: a.facts.id, spawn: 'all' as const, send: 'all' as const },
      { nodes: '*', spawn: ['page'], send: ['orders'] },
    ]
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address, guest.address], allow: rules })
    await Promise.all([b.up(a.name), b.up(guest.name), a.up(b.name), guest.up(b.name)])
    await b.do('offer', 'page')
    await b.do('offer', 'root')
    const [orders, db] = [await b.puppet('orders'), await b.puppet('db')]
    const at = (name: string) => ({ name, node: b.name })

    await guest.do('send', at('db'), 'for db')
    await guest.do('send', db.pid, 'for db')
    for (let i = 0; i < 2; i++) {
      const { value } = await b.events.next(({ type }) => type === 'deadLetter')
      assert.is('reason' in value && value.reason, 'ERR_SKEIN_FORBIDDEN')
    }
    await guest.do('exit', db.pid, 'kill')
    await guest.do('send', at('orders'), 'for orders')
    assert.is((await orders.mailbox.next()).value, 'for orders')
    for (const target of [at('db'), db.pid]) {
      assert.is((await failure(guest.do('call', target, 'what'))).code, 'ERR_SKEIN_FORBIDDEN')
    }
    assert.is((await failure(guest.do('spawnOn', b.name, 'root', ['r'], {}))).code, 'ERR_SKEIN_FORBIDDEN')
    assert.is((await failure(guest.do('spawnOn', b.name, 'page', ['r'], { name: 'x' }))).code, 'ERR_SKEIN_FORBIDDEN')
    assert.ok((await guest.do('spawnOn', b.name, 'page', ['p'], {})) instanceof Pid)
    assert.equal(await guest.do('call', at('skein'), { type: 'ping' }), { type: 'pong', node: b.name })

    await a.do('send', at('db'), 'from a')
    assert.is((await db.mailbox.next()).value, 'from a')
    assert.ok((await a.do('spawnOn', b.name, 'root', ['r'], { name: 'x' })) instanceof Pid)
  },
  PATIENT,
)

test(
  'a behaviour is asked for in a version, also of a node that is still to be dialled',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
    await Promise.all([a.up(b.name), b.up(a.name)])
    await b.do('offer', 'puppet', { version: '2.1.0' })
    const wrong = await failure(a.do('spawnOn', b.name, 'puppet', ['one'], { version: '2.0.0' }))
    assert.is(wrong.code, 'ERR_SKEIN_BEHAVIOUR_VERSION')
    assert.match(wrong.message, 'has version 2.1.0, not 2.0.0')
    assert.ok((await a.do('spawnOn', b.name, 'puppet', ['two'], { version: '2.1.0', name: 'two' })) instanceof Pid)
    await a.do('disconnect', b.name)
    assert.ok((await a.do('spawnOn', b.name, 'puppet', ['three'], { version: '2.1.0' })) instanceof Pid)
    const elsewhere = a.do('spawnOn', 'x@nowhere', 'puppet', [], { version: '1' })
    assert.is((await failure(elsewhere)).code, 'ERR_SKEIN_NOCONNECTION')
  },
  PATIENT,
)

test(
  'a revoked node is told so and stays out, until it is taken back',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
    await Promise.all([a.up(b.name), b.up(a.name)])
    assert.ok(await a.do('revoke', b.facts.id))
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const { value } = await node.down(other.name)
      assert.is('reason' in value && value.reason, 'revoked')
    }
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const refused = await failure(from.do('connect', to.address))
      assert.ok([refused.code, ...refused.attempts.map(({ code }) => code)].includes('ERR_SKEIN_REVOKED'), refused.code)
    }
    const told = (await b.events.next((event) => event.type === 'refused')).value
    assert.ok('code' in told && told.code === 'ERR_SKEIN_REVOKED' && 'byPeer' in told && told.byPeer)
    assert.equal(await a.nodes(), [])
    assert.ok(await a.do('unrevoke', b.facts.id))
    assert.is(await b.do('connect', a.address), a.name)
    await a.up(b.name)
  },
  PATIENT,
)

test.run()

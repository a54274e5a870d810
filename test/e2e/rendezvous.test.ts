/** The DHT between processes on real QUIC, with multicast off: one bootstrap address is all that they know. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { startBootstrap, startNode } from '../../src/index.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import { NodeProcess } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { temporaryFolder } from './support.ts'

const test = suite('rendezvous')

const bootstrapNode = async (t: TestContext) => {
  const node = await startBootstrap({ host: '127.0.0.1', port: 0 })
  t.defer(() => node.stop())
  return { node, address: formatAddress(node.addresses[0]!) }
}

const throughDht = (bootstrap: string) => ({ discovery: { mdns: false, dht: { bootstrap: [bootstrap] }, seeds: [] } })

const connected = async (...nodes: NodeProcess[]): Promise<void> => {
  await Promise.all(
    nodes.map(async (node) => {
      while ((await node.nodes()).length < nodes.length - 1) {
        await node.events.next((event) => event.type === 'nodeup')
      }
    }),
  )
}

test('two processes that know one bootstrap address are connected in less than 3 s, cold', async (t) => {
  const { node, address } = await bootstrapNode(t)
  const [a, b] = await Promise.all([NodeProcess.spawn(t, 'a'), NodeProcess.spawn(t, 'b')])
  const startMs = performance.now()
  await Promise.all([a.start({ name: 'a', ...throughDht(address) }), b.start({ name: 'b', ...throughDht(address) })])
  await connected(a, b)
  const tookMs = performance.now() - startMs
  console.log(`connected after ${Math.round(tookMs)} ms`)
  assert.ok(tookMs < 3000, `${tookMs} ms`)
  const { contacts, announcements } = node.report()
  assert.is(contacts.length, 2)
  assert.ok(announcements >= 1)
})

test('a node connects to another one by name, without a mesh, and again when that has moved to another port', async (t) => {
  const { address } = await bootstrapNode(t)
  const options = { mesh: 'none', ...throughDht(address) } as const
  const [a, b] = await Promise.all([
    NodeProcess.start(t, { name: 'a@one', ...options }),
    NodeProcess.start(t, { name: 'b@two', ...options }),
  ])
  assert.is(await a.do('connect', 'b@two'), 'b@two')
  await b.do('stop')
  await a.events.next((event) => event.type === 'nodedown')
  await b.start({ name: 'b@two', ...options })
  assert.is(await a.do('connect', 'b@two'), 'b@two')
})

test('contacts that were saved are enough to come back, without the bootstrap node', async (t) => {
  const { node, address } = await bootstrapNode(t)
  const contactsFile = join(await temporaryFolder(t), 'contacts')
  const [a, b] = await Promise.all([NodeProcess.spawn(t, 'a'), NodeProcess.spawn(t, 'b')])
  const dht = { bootstrap: [address], contactsFile }
  await Promise.all([
    a.start({ name: 'a', discovery: { mdns: false, dht } }),
    b.start({ name: 'b', ...throughDht(address) }),
  ])
  await connected(a, b)
  await a.do('stop')
  await node.stop()
  await a.start({ name: 'a', discovery: { mdns: false, dht: { contactsFile } } })
  await connected(a, b)
})

test('a bootstrap node answers DHT messages and nothing else', async (t) => {
  const { node } = await bootstrapNode(t)
  const socket = createSocket('udp4')
  t.defer(() => socket.close())
  const to = node.addresses[0]!
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  let answers = 0
  socket.on('message', () => answers++)
  for (let i = 0; i < 100; i++) socket.send(Buffer.concat([Buffer.of(0xc0 | i), randomBytes(1199)]), to.port, to.host)
  const ping = Buffer.concat([Buffer.from('d1:ad2:id20:'), randomBytes(20), Buffer.from('e1:q4:ping1:t2:aa1:y1:qe')])
  socket.send(ping, to.port, to.host)
  const [answer] = await once(socket, 'message')
  assert.match(String(answer), /1:t2:aa/)
  assert.is(answers, 1)
})

test('a bootstrap node, and whoever listens on the way to it, learns no name and no id', async (t) => {
  const { node } = await bootstrapNode(t)
  const tap = await wiretap(t, node.addresses[0]!)
  const secretive = await startNode({
    name: 'hush@secret',
    cookie: 'a cookie that nobody knows',
    host: '127.0.0.1',
    port: 0,
    logLevel: 'silent',
    ...throughDht(formatAddress(tap.address)),
  })
  t.defer(() => secretive.stop())
  secretive.discovery.register('whisper', { low: 'voice' })
  // Its id, its name and the registered name.
  await tap.heard('1:q3:put', 3)
  for (const text of ['hush', 'secret', secretive.id, 'whisper', 'voice', 'skein']) {
    assert.is(tap.bytes().indexOf(text), -1, text)
  }
})

/** Passes datagrams on to an address and back, through a socket for each that comes, and keeps them all. */
const wiretap = async (t: TestContext, to: Address) => {
  const heard: Buffer[] = []
  const news = new EventEmitter()
  const note = (datagram: Buffer): void => {
    heard.push(datagram)
    news.emit('datagram')
  }
  const relays = new Map<number, ReturnType<typeof createSocket>>()
  const tap = createSocket('udp4')
  tap.bind(0, '127.0.0.1')
  await once(tap, 'listening')
  const relayFor = (port: number): ReturnType<typeof createSocket> => {
    const known = relays.get(port)
    if (known !== undefined) return known
    const relay = createSocket('udp4')
    relays.set(port, relay)
    relay.on('message', (answer) => {
      note(answer)
      tap.send(answer, port, '127.0.0.1')
    })
    return relay
  }
  tap.on('message', (datagram, from) => {
    note(datagram)
    relayFor(from.port).send(datagram, to.port, to.host)
  })
  t.defer(() => {
    for (const relay of relays.values()) relay.close()
    tap.close()
  })
  return {
    address: { host: '127.0.0.1', port: tap.address().port },
    bytes: () => Buffer.concat(heard),
    /** Resolves when so many datagrams hold this text. */
    heard: async (text: string, count: number) => {
      while (heard.filter((datagram) => datagram.includes(text)).length < count) await once(news, 'datagram')
    },
  }
}

test.run()

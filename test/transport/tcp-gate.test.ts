/** The TCP port towards strangers, and towards members who break the rules: silent to the first, bounded for both. */
import { createServer } from 'node:net'
import { createSecureContext, connect as tlsConnect } from 'node:tls'
import * as assert from 'uvu/assert'
import type { Address } from '../../transport/address.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import { MAX_PEER_STREAMS, STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { seededRandom, systemRandom } from '../../transport/random.ts'
import { FRAME, MAX_DATA_BYTES } from '../../transport/tcp-frames.ts'
import { PREAMBLE_BYTES, TcpGate } from '../../transport/tcp-gate.ts'
import { bindingOf, TcpTls } from '../../transport/tcp-tls.ts'
import { MAX_DATAGRAM_BYTES } from '../../transport/transport.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, serve } from './compliance.ts'
import {
  GATE_KEY,
  newIdentity,
  openTcpPort,
  preamble,
  RawMember,
  rawFrame,
  sixes,
  TcpStranger,
  until,
} from './tcp-support.ts'

const SEED = 20261123
const MINUTE_MS = 60_000
const NOW_MS = Date.UTC(2026, 10, 21)

const cores = suite('TCP gate')

cores('a preamble opens once, for whoever has the key', () => {
  const random = seededRandom(SEED)
  const [old, present, other] = [random.bytes(32), random.bytes(32), random.bytes(32)]
  const gate = new TcpGate([present, old], random)
  for (const key of [present, old]) {
    const knock = new TcpGate([key], random).seal(NOW_MS)
    assert.is(knock.length, PREAMBLE_BYTES)
    assert.is(gate.open(knock, NOW_MS), 'member')
    assert.is(gate.open(knock, NOW_MS), 'replayed')
  }
  assert.is(gate.open(new TcpGate([other], random).seal(NOW_MS), NOW_MS), 'stranger')
  assert.is(gate.open(new Uint8Array(PREAMBLE_BYTES), NOW_MS), 'stranger')
  const good = gate.seal(NOW_MS)
  assert.is(gate.open(good.subarray(1), NOW_MS), 'stranger')
  for (let at = 0; at < PREAMBLE_BYTES; at++) {
    const bent = Uint8Array.from(good)
    bent[at] = (bent[at] as number) ^ 1
    assert.is(gate.open(bent, NOW_MS), 'stranger', `byte ${at}`)
  }
  assert.is(gate.open(good, NOW_MS), 'member')
})

cores('a preamble is good for five minutes either way, and never twice in that time', () => {
  const random = seededRandom(SEED)
  const gate = new TcpGate([GATE_KEY], random)
  assert.is(gate.open(gate.seal(NOW_MS - 5.1 * MINUTE_MS), NOW_MS), 'stale')
  assert.is(gate.open(gate.seal(NOW_MS + 5.1 * MINUTE_MS), NOW_MS), 'stale')
  // Of a clock that is ahead: it is in time for almost ten minutes.
  const ahead = gate.seal(NOW_MS + 4.9 * MINUTE_MS)
  assert.is(gate.open(ahead, NOW_MS), 'member')
  for (let minute = 0; minute < 9.8; minute += 0.7) {
    assert.is(gate.open(gate.seal(NOW_MS + minute * MINUTE_MS), NOW_MS + minute * MINUTE_MS), 'member')
    assert.is(gate.open(ahead, NOW_MS + minute * MINUTE_MS), 'replayed', `${minute} minutes later`)
  }
  assert.is(gate.open(ahead, NOW_MS + 10 * MINUTE_MS), 'stale')
})

cores('a word is of use to one side of one connection', () => {
  const random = seededRandom(SEED)
  const [old, present, binding] = [random.bytes(32), random.bytes(32), random.bytes(32)]
  const gate = new TcpGate([present, old], random)
  const word = gate.word('initiator', binding)
  assert.ok(gate.isWord('initiator', binding, word))
  assert.ok(gate.isWord('initiator', binding, new TcpGate([old], random).word('initiator', binding)))
  assert.not(gate.isWord('acceptor', binding, word))
  assert.not(gate.isWord('initiator', random.bytes(32), word))
  assert.not(gate.isWord('initiator', binding, new TcpGate([random.bytes(32)], random).word('initiator', binding)))
  assert.not(gate.isWord('initiator', binding, word.subarray(1)))
})

cores('the keys of a gate change; a nonce that it has seen stays known', () => {
  const random = seededRandom(5)
  const [old, fresh] = [random.bytes(32), random.bytes(32)]
  const gate = new TcpGate([old], random)
  const knock = new TcpGate([old], random).seal(NOW_MS)
  assert.is(gate.open(knock, NOW_MS), 'member')
  gate.useKeys([fresh, old])
  assert.is(gate.open(knock, NOW_MS), 'replayed')
  assert.is(gate.open(new TcpGate([fresh], random).seal(NOW_MS), NOW_MS), 'member')
  assert.is(new TcpGate([fresh], random).open(gate.seal(NOW_MS), NOW_MS), 'member')
  gate.useKeys([fresh])
  assert.is(gate.open(new TcpGate([old], random).seal(NOW_MS), NOW_MS), 'stranger')
})

cores.run()

const strangers = suite('TCP port and strangers')

const closes = async (stranger: TcpStranger): Promise<void> => {
  await until(() => stranger.isClosed, 'the port closes')
  assert.equal(stranger.heard, [])
}

strangers(`whatever a stranger sends, it gets no byte, and a member is let in (seed ${SEED})`, async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const random = seededRandom(SEED)
  const sent = [
    random.bytes(PREAMBLE_BYTES),
    random.bytes(100_000),
    preamble(systemRandom.bytes(32)),
    Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.padEnd(64)),
    Buffer.concat([Buffer.from([0x16, 0x03, 0x01]), random.bytes(300)]),
  ]
  for (const bytes of sent) {
    const stranger = await TcpStranger.open(t, addressOf(port))
    stranger.socket.write(bytes)
    await closes(stranger)
  }
  assert.is(port.counters().gated, sent.length)
  assert.equal([port.counters().accepted, parties.length], [0, 0])
  const member = dial(await openTcpPort(t), addressOf(port))
  await until(() => member.isOpen && parties[0]?.isOpen === true, 'a member is let in')
  assert.equal([port.counters().awaited, port.counters().connections], [0, 1])
})

strangers('a preamble that comes too slowly, or not at all, ends in silence', async (t) => {
  const port = await openTcpPort(t)
  serve(port)
  const [mute, slow] = [await TcpStranger.open(t, addressOf(port)), await TcpStranger.open(t, addressOf(port))]
  const knock = preamble()
  let at = 0
  const timer = setInterval(() => slow.socket.write(knock.subarray(at, ++at)), 100)
  t.defer(() => clearInterval(timer))
  await until(() => port.counters().awaited === 2, 'both are waited for')
  await Promise.all([closes(mute), closes(slow)])
  assert.ok(at < PREAMBLE_BYTES, 'it was still sending')
  assert.is(port.counters().awaited, 0)
})

strangers('a preamble in single bytes is as good as any other, and opens nothing again', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const knock = preamble()
  const first = await TcpStranger.open(t, addressOf(port))
  first.socket.setNoDelay(true)
  for (let at = 0; at < PREAMBLE_BYTES; at++)
    await new Promise((resolve) => first.socket.write(knock.subarray(at, at + 1), resolve))
  await until(() => port.counters().accepted === 1, 'it is accepted')
  const again = await TcpStranger.open(t, addressOf(port))
  again.socket.write(knock)
  await closes(again)
  const late = await TcpStranger.open(t, addressOf(port))
  late.socket.write(preamble(GATE_KEY, Date.now() - 6 * MINUTE_MS))
  await closes(late)
  assert.equal([port.counters().replayed, port.counters().stale, parties.length], [1, 1, 1])
  assert.is(parties[0]?.opened, 0)
})

strangers('garbage behind a good preamble ends the connection and nothing else', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const stranger = await TcpStranger.open(t, addressOf(port))
  stranger.socket.write(Buffer.concat([preamble(), seededRandom(SEED).bytes(5000)]))
  await until(() => stranger.isClosed && parties[0]?.closes.length === 1, 'it is over')
  assert.is(parties[0]?.opened, 0)
  const halfway = await TcpStranger.open(t, addressOf(port))
  halfway.socket.write(preamble())
  await until(() => parties.length === 2, 'it is accepted')
  halfway.socket.destroy()
  await until(() => parties[1]?.closes.length === 1, 'it is over')
  await until(() => port.counters().connections === 0, 'nothing is left')
})

strangers('silent sockets make way for the next ones, and members get in among them', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const member = await openTcpPort(t)
  const flood: TcpStranger[] = []
  for (let i = 0; i < 300; i++) flood.push(await TcpStranger.open(t, addressOf(port)))
  await until(() => (port.counters().overflow ?? 0) > 0, 'the oldest make way')
  assert.ok((port.counters().awaited ?? 0) <= 256)
  const party = dial(member, addressOf(port))
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'the member is let in')
  await until(() => flood[0]?.isClosed === true, 'the oldest heard it')
})

strangers('half-open connections of one address are bounded, and their places come back', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const knocks: TcpStranger[] = []
  for (let i = 0; i < 40; i++) {
    const knock = await TcpStranger.open(t, addressOf(port))
    knock.socket.write(preamble())
    knocks.push(knock)
  }
  await until(() => port.counters().refused === 8, 'those beyond 32 are refused')
  assert.is(parties.length, 32)
  for (const knock of knocks) knock.socket.destroy()
  await until(() => port.counters().connections === 0, 'their places are free')
  const party = dial(await openTcpPort(t), addressOf(port))
  await until(() => party.isOpen, 'a member gets in')
})

strangers('an accepted connection without TLS is given up', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const knock = await TcpStranger.open(t, addressOf(port))
  knock.socket.write(preamble())
  await until(() => parties[0]?.closes.length === 1, 'its time is over')
  assert.is(parties[0]?.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  await closes(knock)
})

strangers.run()

const data = (stream: number, sizeBytes: number): Buffer =>
  rawFrame(FRAME.data, Buffer.concat([sixes(stream), Buffer.alloc(sizeBytes, 1)]))

const certificates = suite('TCP port and certificates')

/** TLS behind a good preamble, with options of its own; what became of it. */
const handshake = async (t: TestContext, to: Address, options: object): Promise<string> => {
  const { socket } = await TcpStranger.open(t, to)
  socket.removeAllListeners('data')
  socket.write(preamble())
  return new Promise((resolve) => {
    const tls = tlsConnect({ socket, rejectUnauthorized: false, ...options })
    tls.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    tls.once('close', () => resolve('closed'))
    tls.on('data', (bytes: Buffer) => resolve(`code ${bytes.readUInt32BE(4)}`))
  })
}

certificates('only our kind of certificate, TLS 1.3 and our protocol', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const { privateKeyPem: key, certificatePem: cert } = await newIdentity()
  const ALPNProtocols = ['skein/1']
  const to = addressOf(port)
  assert.is(await handshake(t, to, { ALPNProtocols }), `code ${wireCodeOf('ERR_SKEIN_CERT_MISSING')}`)
  assert.is(await handshake(t, to, { key, cert }), `code ${wireCodeOf('ERR_SKEIN_VERSION')}`)
  assert.ok((await handshake(t, to, { key, cert, ALPNProtocols: ['h2'] })).includes('NO_APPLICATION_PROTOCOL'))
  const secureContext = createSecureContext({ key, cert, maxVersion: 'TLSv1.2' })
  assert.not((await handshake(t, to, { secureContext, ALPNProtocols })).startsWith('code'))
  await until(() => parties.length === 4 && parties.every((party) => party.closes.length === 1), 'all are over')
  for (const party of parties) assert.is(party.opened, 0)
})

certificates('a dialler that meets something else than a member of its cluster says so', async (t) => {
  const port = await openTcpPort(t)
  const speaks = async (greeting: string): Promise<Address> => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.resume().end(greeting)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.defer(() => new Promise((resolve) => server.close(resolve)))
    return { host: '127.0.0.1', port: (server.address() as { port: number }).port }
  }
  for (const greeting of ['', 'SSH-2.0-OpenSSH_9.6\r\n', 'x'.repeat(50_000)]) {
    const party = dial(port, await speaks(greeting), 2000)
    await until(() => party.closes.length > 0, 'it gives up')
    assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  }
  for (const address of [
    { host: '::1', port: 4433 },
    { host: 'somewhere', port: 4433 },
    { host: '127.0.0.1', port: 0 },
  ]) {
    const party = dial(port, address)
    await until(() => party.closes.length > 0, 'it fails')
    assert.is(party.closes[0]?.code, 'ERR_SKEIN_BAD_ADDRESS')
    assert.is(party.connection.carrier, 'tcp')
  }
})

certificates('who passed with a preamble of somebody else is heard no further', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const gate = new TcpGate([GATE_KEY], systemRandom)
  const strange = (): Uint8Array => systemRandom.bytes(32)
  const attempts: [string, string, (member: RawMember) => Uint8Array][] = [
    ['data', 'ERR_SKEIN_PROTOCOL', () => data(2, 1000)],
    ['a ping', 'ERR_SKEIN_PROTOCOL', () => rawFrame(FRAME.ping, Buffer.alloc(4))],
    ['a datagram', 'ERR_SKEIN_PROTOCOL', () => rawFrame(FRAME.datagram, Buffer.alloc(4))],
    ['a guess', 'ERR_SKEIN_WRONG_COOKIE', () => rawFrame(FRAME.word, systemRandom.bytes(16))],
    [
      'a word of another connection',
      'ERR_SKEIN_WRONG_COOKIE',
      () => rawFrame(FRAME.word, gate.word('initiator', strange())),
    ],
    ['an echo', 'ERR_SKEIN_WRONG_COOKIE', ({ tls }) => rawFrame(FRAME.word, gate.word('acceptor', bindingOf(tls)))],
  ]
  for (const [name, code, frame] of attempts) {
    const member = await RawMember.open(t, addressOf(port), false)
    member.put(frame(member), data(2, 1000))
    await until(() => member.farewell !== undefined && parties.at(-1)?.closes.length === 1, name)
    assert.is(member.farewell?.wireCode, wireCodeOf(code as 'ERR_SKEIN_PROTOCOL'), name)
    assert.equal([member.frames.length, parties.at(-1)?.opened], [1, 0], name)
  }
  const mute = await RawMember.open(t, addressOf(port), false)
  await until(() => mute.isClosed && parties.at(-1)?.closes.length === 1, 'silence')
  assert.equal([mute.frames.length, parties.at(-1)?.closes[0]?.code], [0, 'ERR_SKEIN_CONNECT_TIMEOUT'])
  assert.is(port.counters().connections, 0)
})

certificates('a dialler hears nothing of who does not know the cookie', async (t) => {
  const identity = new TcpTls(await newIdentity())
  for (const frame of [data(3, 10), rawFrame(FRAME.word, systemRandom.bytes(16))]) {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('readable', () => {
        socket.read(PREAMBLE_BYTES)
        const tls = identity.accept(socket, () => tls.resume().write(frame))
        tls.on('error', () => {})
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.defer(() => new Promise((resolve) => server.close(resolve)))
    const party = dial(await openTcpPort(t), { host: '127.0.0.1', port: (server.address() as { port: number }).port })
    await until(() => party.closes.length === 1, 'it is over')
    assert.is(party.closes[0]?.code, frame[0] === FRAME.word ? 'ERR_SKEIN_WRONG_COOKIE' : 'ERR_SKEIN_PROTOCOL')
    assert.equal([party.receivedBytes, party.untimely], [0, []])
  }
})

certificates.run()

const rules = suite('TCP port and rules')

const end = (stream: number, sizeBytes = 0): Buffer =>
  rawFrame(FRAME.end, Buffer.concat([sixes(stream), Buffer.alloc(sizeBytes)]))
const window = (stream: number): Buffer[] =>
  Array.from({ length: STREAM_WINDOW_BYTES / MAX_DATA_BYTES }, () => data(stream, MAX_DATA_BYTES))

/** What a member must not do, by name. */
const OFFENCES: readonly [string, readonly Uint8Array[]][] = [
  ['a frame of an unknown type', [rawFrame(10, Buffer.alloc(4))]],
  ['a frame of type 255 and greatest length', [Buffer.alloc(4, 255)]],
  ['a data frame that is too long', [rawFrame(FRAME.data, sixes(2), 6 + MAX_DATA_BYTES + 1)]],
  ['a data frame without data', [rawFrame(FRAME.data, sixes(2))]],
  ['a frame that is too short for its stream', [rawFrame(FRAME.end, Buffer.alloc(5))]],
  ['a datagram that is too long', [rawFrame(FRAME.datagram, Buffer.alloc(0), MAX_DATAGRAM_BYTES + 1)]],
  ['a close that is too long', [rawFrame(FRAME.close, Buffer.alloc(0), 205)]],
  ['a word behind the word', [rawFrame(FRAME.word, Buffer.alloc(16))]],
  ['an answer to no ping', [rawFrame(FRAME.pong, Buffer.from([9, 9, 9, 9]))]],
  ['data on a stream of the other side', [data(3, 1)]],
  ['data on a stream of a kind that is not used', [data(4, 1)]],
  ['an end of such a stream', [end(0)]],
  ['a reset of a stream of the other side', [rawFrame(FRAME.reset, sixes(7))]],
  ['more streams than allowed', [data(4 * MAX_PEER_STREAMS + 2, 1)]],
  ['the last number there is', [rawFrame(FRAME.reset, Buffer.alloc(6, 255))]],
  ['data behind the end', [end(2, 1), data(2, 1)]],
  ['an end behind the end', [end(2, 1), end(2)]],
  ['data behind a reset', [rawFrame(FRAME.reset, sixes(2)), data(2, 1)]],
  ['a byte more than the credit', [...window(2), data(2, 1)]],
]

rules('a peer that breaks the rules is closed, and told why', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  for (const [name, frames] of OFFENCES) {
    const member = await RawMember.open(t, addressOf(port))
    await until(() => parties.at(-1)?.isOpen === true, name)
    const party = parties.at(-1)!
    party.holdsAll = true
    member.put(...frames)
    await until(() => member.farewell !== undefined && party.closes.length > 0, name)
    assert.is(member.farewell?.wireCode, wireCodeOf('ERR_SKEIN_PROTOCOL'), name)
    assert.equal([party.closes[0]?.code, party.closes[0]?.byPeer], ['ERR_SKEIN_PROTOCOL', false], name)
    assert.equal(party.untimely, [], name)
  }
  await until(() => port.counters().connections === 0, 'nothing is left')
})

rules('the whole credit, all streams, and frames in single bytes are within the rules', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const member = await RawMember.open(t, addressOf(port))
  await until(() => parties[0]?.isOpen === true, 'it is open')
  const party = parties[0]!
  party.held.add(2)
  member.put(...window(2), data(4 * (MAX_PEER_STREAMS - 1) + 2, 5), rawFrame(FRAME.credit, sixes(3, 2 ** 48 - 1)))
  for (const byte of Buffer.concat([data(6, 20), end(6, 3), rawFrame(FRAME.ping, Buffer.from([1, 2, 3, 4]))]))
    member.tls.write(Uint8Array.of(byte))
  await until(() => party.finished.has(6), 'the slow stream ends')
  assert.is(party.received(6).length, 23)
  await until(() => member.frames.some(({ type, body }) => type === FRAME.pong && body.readUInt32BE() === 0x01020304))
  party.release([2])
  assert.is(party.received(2).length, STREAM_WINDOW_BYTES)
  await until(() => member.frames.some(({ type }) => type === FRAME.credit), 'more credit')
  assert.is(party.closes.length, 0)
})

rules('pings without number, and resets of streams that never began, cost nothing that stays', async (t) => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const member = await RawMember.open(t, addressOf(port))
  await until(() => parties[0]?.isOpen === true, 'it is open')
  const pings = Buffer.concat(Array.from({ length: 20_000 }, () => rawFrame(FRAME.ping, Buffer.from([0, 0, 0, 7]))))
  const resets = Buffer.concat(
    Array.from({ length: MAX_PEER_STREAMS }, (_, i) => rawFrame(FRAME.reset, sixes(4 * i + 2))),
  )
  member.put(pings, resets, rawFrame(FRAME.ping, Buffer.from([0, 0, 0, 8])))
  await until(() => member.frames.some(({ type, body }) => type === FRAME.pong && body.readUInt32BE() === 8))
  assert.is(parties[0]?.reset.size, MAX_PEER_STREAMS)
  assert.ok(member.frames.filter(({ type }) => type === FRAME.pong).length < 1000, 'one answer for many')
  await until(() => member.frames.some(({ type }) => type === FRAME.streams), 'room for new streams')
})

rules.run()

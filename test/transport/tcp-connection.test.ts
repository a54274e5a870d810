/** One connection over TCP: silence, what may be under way, datagrams, and an end without a goodbye. */
import * as assert from 'uvu/assert'
import { type Clock, systemClock } from '../../transport/clock.ts'
import { FRAME } from '../../transport/tcp-frames.ts'
import { MAX_DATAGRAM_BYTES } from '../../transport/transport.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, type Party, pattern, serve } from './compliance.ts'
import { openTcpPort, RawMember, rawFrame, sixes, until } from './tcp-support.ts'

const KEEPALIVE_MS = 5000
const MIB = 1 << 20

const test = suite('TCP connection')

/** A clock of which the test can take away some time: background timers fire when it does, if they are due. */
class Skipping implements Clock {
  #skippedMs = 0
  #waiting: { dueMs: number; fn: () => void }[] = []
  readonly endOfTurn = systemClock.endOfTurn
  readonly afterInput = systemClock.afterInput
  readonly wallNow = systemClock.wallNow

  now(): number {
    return systemClock.now() + this.#skippedMs
  }

  after(ms: number, fn: () => void, background = false): { cancel(): void } {
    if (!background) return systemClock.after(ms, fn)
    const one = { dueMs: this.now() + ms, fn }
    this.#waiting.push(one)
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((other) => other !== one)
      },
    }
  }

  skip(ms: number): void {
    this.#skippedMs += ms
    const isDue = ({ dueMs }: { dueMs: number }): boolean => dueMs <= this.now()
    const due = this.#waiting.filter(isDue)
    this.#waiting = this.#waiting.filter((one) => !isDue(one))
    for (const { fn } of due) fn()
  }
}

const openRaw = async (t: TestContext, clock: Clock = systemClock): Promise<{ member: RawMember; party: Party }> => {
  const port = await openTcpPort(t, { clock })
  const parties = serve(port)
  const member = await RawMember.open(t, addressOf(port))
  await until(() => parties[0]?.isOpen === true, 'it is open')
  return { member, party: parties[0]! }
}

const openPair = async (t: TestContext): Promise<{ initiator: Party; acceptor: Party }> => {
  const port = await openTcpPort(t)
  const parties = serve(port)
  const initiator = dial(await openTcpPort(t), addressOf(port))
  await until(() => initiator.isOpen && parties[0]?.isOpen === true, 'it is open')
  return { initiator, acceptor: parties[0]! }
}

const pingsOf = (member: RawMember): number[] =>
  member.frames.filter(({ type }) => type === FRAME.ping).map(({ body }) => body.readUInt32BE())

const pong = (number: number): Buffer => {
  const body = Buffer.alloc(4)
  body.writeUInt32BE(number)
  return rawFrame(FRAME.pong, body)
}

test('a silent peer is asked whether it is there, and lost after 30 s', async (t) => {
  const clock = new Skipping()
  const { member, party } = await openRaw(t, clock)
  await until(() => pingsOf(member).length === 1, 'the first ping')
  clock.skip(KEEPALIVE_MS)
  await until(() => pingsOf(member).length === 2, 'a ping after 5 s')
  const heardMs = party.connection.lastHeardMs
  member.put(pong(pingsOf(member)[1]!))
  await until(() => party.connection.lastHeardMs > heardMs, 'its answer counts')
  for (let i = 0; i < 5; i++) clock.skip(KEEPALIVE_MS)
  await until(() => pingsOf(member).length === 7, 'five more')
  assert.is(party.closes.length, 0)
  clock.skip(KEEPALIVE_MS)
  await until(() => party.closes.length === 1, 'it is lost')
  const { code, byPeer } = party.closes[0]!
  assert.equal([code, byPeer], ['ERR_SKEIN_CONNECTION_LOST', false])
  await until(() => member.isClosed, 'the socket is closed')
})

test('silence is counted from the last word, not from the last look', async (t) => {
  const clock = new Skipping()
  const { member, party } = await openRaw(t, clock)
  await until(() => pingsOf(member).length === 1, 'the first ping')
  clock.skip(KEEPALIVE_MS - 1000)
  const heardMs = party.connection.lastHeardMs
  member.put(pong(pingsOf(member)[0]!))
  await until(() => party.connection.lastHeardMs > heardMs, 'it is heard')
  clock.skip(2000)
  clock.skip(KEEPALIVE_MS - 2000)
  await until(() => pingsOf(member).length === 2, 'a ping 5 s after the last word')
  for (let i = 0; i < 5; i++) clock.skip(KEEPALIVE_MS)
  await until(() => party.closes.length === 1, 'it is lost after 30 s')
})

test('a record that cannot be read ends the connection at once', async (t) => {
  const { member, party } = await openRaw(t)
  const record = Buffer.concat([Buffer.from([0x17, 3, 3, 0, 40]), Buffer.alloc(40, 9)])
  member.socket.write(record)
  await until(() => party.closes.length === 1, 'it ends')
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECTION_LOST')
  assert.ok(performance.now() - party.connection.lastHeardMs < KEEPALIVE_MS)
})

test('only so much is under way as was answered for, whatever the kernel would take', async (t) => {
  const { member, party } = await openRaw(t)
  const credit = (stream: number): Buffer => rawFrame(FRAME.credit, sixes(stream, 2 ** 40))
  const job = party.send(pattern(30 * MIB, 1))
  await until(() => job.stream >= 0, 'it begins')
  member.put(credit(job.stream))
  await until(() => job.sentBytes >= MIB, 'the first window')
  // Later than any flush that was under way.
  member.put(rawFrame(FRAME.ping, Buffer.from([1, 1, 1, 1])))
  await until(() => member.frames.some(({ type, body }) => type === FRAME.pong && body[0] === 1), 'a round trip')
  assert.is(job.sentBytes, MIB)
  assert.ok(party.connection.blocked())
  await until(
    () => member.frames.reduce((sum, { type, body }) => sum + (type === FRAME.data ? body.length : 0), 0) >= MIB,
  )
  member.put(pong(pingsOf(member).at(-1)!))
  await until(() => job.sentBytes > MIB, 'the answer makes room')
  assert.ok(!job.isDone)
})

test('messages arrive once and in order, beside bulk; too long or too many are refused', async (t) => {
  const { initiator, acceptor } = await openPair(t)
  const heard: Buffer[] = []
  Object.assign(acceptor, { onDatagram: (bytes: Uint8Array) => heard.push(Buffer.from(bytes)) })
  assert.not(initiator.connection.sendDatagram(new Uint8Array(MAX_DATAGRAM_BYTES + 1)))
  const job = initiator.send(pattern(8 * MIB, 1))
  const lent = new Uint8Array(MAX_DATAGRAM_BYTES)
  let taken = 0
  for (let i = 0; i < 200; i++) {
    lent.fill(i)
    if (initiator.connection.sendDatagram(lent.subarray(0, i % 2 === 0 ? MAX_DATAGRAM_BYTES : 0))) taken++
  }
  assert.ok(taken >= 16 && taken <= 64, `${taken} of 200 in one turn`)
  await until(() => heard.length === taken, 'they arrive')
  assert.ok(!acceptor.finished.has(job.stream), 'before the bulk')
  for (const [i, bytes] of heard.entries())
    assert.ok(bytes.equals(Buffer.alloc(i % 2 === 0 ? MAX_DATAGRAM_BYTES : 0, i)), `message ${i}`)
  await until(() => acceptor.finished.has(job.stream), 'and so does the bulk')
  acceptor.connection.close(0, 'closed', 'enough')
  assert.not(acceptor.connection.sendDatagram(Uint8Array.of(1)))
})

test('a message is heard after what was sent on streams before it', async (t) => {
  const { member, party } = await openRaw(t)
  const streamBytes: number[] = []
  Object.assign(party, { onDatagram: () => streamBytes.push(party.receivedBytes) })
  const data = (text: string): Buffer => rawFrame(FRAME.data, Buffer.concat([sixes(2), Buffer.from(text)]))
  const message = rawFrame(FRAME.datagram, Buffer.from('relayed'))
  member.put(data('first'), message, data(', second'), message)
  await until(() => streamBytes.length === 2, 'both are heard')
  assert.equal(streamBytes, ['first'.length, 'first, second'.length])
})

test('an end without a goodbye is a lost connection, at once', async (t) => {
  const { member, party } = await openRaw(t)
  member.put(rawFrame(FRAME.end, Buffer.concat([sixes(2), Buffer.from('last words')])))
  await until(() => party.finished.has(2), 'they arrive')
  member.tls.destroy()
  await until(() => party.closes.length === 1, 'it ends')
  assert.equal([party.closes[0]?.code, party.closes[0]?.byPeer], ['ERR_SKEIN_CONNECTION_LOST', true])
})

test('what was sent before a goodbye is delivered before it is told', async (t) => {
  const { initiator, acceptor } = await openPair(t)
  const job = initiator.send(pattern(100_000, 3))
  await until(() => job.isDone, 'it is written')
  initiator.connection.close(0, 'closed', 'that was it')
  await until(() => acceptor.closes.length === 1, 'it ends')
  assert.ok(acceptor.finished.has(job.stream))
  assert.equal(acceptor.untimely, [])
})

test('an IPv4 address that is written as an IPv6 one is dialled as what it is', async (t) => {
  const port = await openTcpPort(t)
  serve(port)
  const { host, port: number } = addressOf(port)
  const initiator = dial(await openTcpPort(t), { host: `::ffff:${host}`, port: number })
  await until(() => initiator.opened > 0 || initiator.closes.length > 0)
  assert.equal(initiator.closes, [])
})

test('a write outside of a flush is an error of the caller', async (t) => {
  const { initiator } = await openPair(t)
  const stream = initiator.connection.openStream(false)
  assert.throws(() => initiator.connection.write(stream, Uint8Array.of(1), false), /outside onFlush/)
})

test.run()

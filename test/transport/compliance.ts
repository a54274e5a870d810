/**
 * What every carrier must do, whichever it is. The suite knows only transport.ts; the harness brings two transports and
 * a way to wait: on the memory network that runs virtual time, on QUIC it waits for the real thing.
 */
import * as assert from 'uvu/assert'
import type { VerifiedPeer } from '../../certs/certificate.ts'
import type { Address } from '../../transport/address.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import type { CloseReason, Connection, ConnectionHandler, Transport } from '../../transport/transport.ts'
import type { Suite, TestContext } from '../support/suite.ts'

export interface Harness {
  readonly a: Transport
  readonly b: Transport
  readonly identityA: VerifiedPeer
  readonly identityB: VerifiedPeer
  /** Nobody listens here. */
  readonly nowhere: Address
  /** How many unfinished streams a peer may have. */
  readonly maxStreams: number
  /** How far a writer may be ahead of a reader on one stream. */
  readonly streamWindowBytes: number
  /** A third transport, whose gate key differs from that of `a` and `b`. */
  stranger(): Promise<Transport>
  /** Waits until the condition holds; rejects after a while. */
  until(condition: () => boolean): Promise<void>
}

/** What is read passes through here. */
const target = new Uint8Array(16 * 1024)

const NOTHING = { bytes: 0, finished: false, reset: false }

interface Job {
  stream: number
  readonly bytes: Uint8Array
  readonly finish: boolean
  sentBytes: number
  isDone: boolean
}

/** A handler that writes what it is given, each on a stream of its own, and keeps what it reads. */
export class Party implements ConnectionHandler {
  connection!: Connection
  opened = 0
  flushes = 0
  /** Writes that took less than they were given. */
  refusals = 0
  readonly closes: CloseReason[] = []
  /** What was called before onOpen or after onClosed, which must be nothing. */
  readonly untimely: string[] = []
  readonly finished = new Set<number>()
  /** Streams that the other side cut off. */
  readonly reset = new Set<number>()
  /** Streams not read for now. */
  readonly held = new Set<number>()
  holdsAll = false
  /** The connection took no more at the end of the last flush. */
  wasBlocked = false
  readonly #chunks = new Map<number, Buffer[]>()
  readonly #jobs: Job[] = []

  get isOpen(): boolean {
    return this.opened === 1 && this.closes.length === 0
  }

  onOpen(): void {
    if (this.opened > 0 || this.closes.length > 0) this.untimely.push('onOpen')
    this.opened++
  }

  onReadable(stream: number): void {
    if (!this.isOpen) this.untimely.push('onReadable')
    if (!this.holdsAll && !this.held.has(stream)) this.read(stream)
  }

  onFlush(): void {
    if (!this.isOpen) this.untimely.push('onFlush')
    this.flushes++
    for (const job of this.#jobs) {
      if (job.stream < 0) job.stream = this.connection.openStream(false)
      if (job.stream < 0) break
      const rest = job.bytes.subarray(job.sentBytes)
      const taken = this.connection.write(job.stream, rest, job.finish)
      job.sentBytes += taken
      if (taken < rest.length) this.refusals++
      else job.isDone = true
    }
    const waiting = this.#jobs.filter((job) => !job.isDone)
    this.#jobs.splice(0, this.#jobs.length, ...waiting)
    this.wasBlocked = this.connection.blocked()
  }

  onClosed(reason: CloseReason): void {
    if (this.closes.length > 0) this.untimely.push('onClosed')
    this.closes.push(reason)
  }

  /** Cuts off the stream of a job, which had begun. */
  cut(job: Job): void {
    if (!job.isDone) this.#jobs.splice(this.#jobs.indexOf(job), 1)
    job.isDone = true
    this.connection.reset(job.stream)
  }

  /** Sends bytes on a stream of their own, which then ends unless `finish` is false. */
  send(bytes: Uint8Array, finish = true): Job {
    const job: Job = { stream: -1, bytes, finish, sentBytes: 0, isDone: false }
    this.#jobs.push(job)
    this.connection.requestFlush()
    return job
  }

  read(stream: number): void {
    for (;;) {
      const { bytes, finished, reset } = this.connection.read(stream, target)
      if (bytes > 0) this.#keep(stream, Buffer.from(target.subarray(0, bytes)))
      if (finished) this.finished.add(stream)
      if (reset) this.reset.add(stream)
      if (bytes === 0 || finished) return
    }
  }

  /** Reads what was held back, from now on. */
  release(streams: Iterable<number>): void {
    this.holdsAll = false
    this.held.clear()
    for (const stream of streams) this.read(stream)
  }

  received(stream: number): Buffer {
    return Buffer.concat(this.#chunks.get(stream) ?? [])
  }

  get receivedBytes(): number {
    let sum = 0
    for (const chunks of this.#chunks.values()) for (const chunk of chunks) sum += chunk.length
    return sum
  }

  #keep(stream: number, chunk: Buffer): void {
    const chunks = this.#chunks.get(stream)
    if (chunks === undefined) this.#chunks.set(stream, [chunk])
    else chunks.push(chunk)
  }
}

/** Accepts everything; the parties come in the order of their connections. */
export const serve = (transport: Transport): Party[] => {
  const parties: Party[] = []
  transport.listen((connection) => {
    const party = new Party()
    party.connection = connection
    parties.push(party)
    return party
  })
  return parties
}

export const dial = (from: Transport, to: Address, timeoutMs?: number): Party => {
  const party = new Party()
  party.connection = from.connect(to, party, timeoutMs === undefined ? {} : { timeoutMs })
  return party
}

export const addressOf = (transport: Transport): Address => transport.addresses()[0]!

/** Bytes that tell position and sender apart. */
export const pattern = (sizeBytes: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(sizeBytes)
  for (let i = 0, value = seed; i < sizeBytes; i++) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0
    bytes[i] = value >>> 24
  }
  return bytes
}

const sameBytes = (actual: Uint8Array, expected: Uint8Array, what: string): void =>
  assert.ok(Buffer.compare(actual, expected) === 0, `${what}: ${actual.length} of ${expected.length} bytes, or others`)

interface Pair {
  readonly initiator: Party
  readonly acceptor: Party
  readonly acceptors: Party[]
}

const open = async (h: Harness): Promise<Pair> => {
  const acceptors = serve(h.b)
  const initiator = dial(h.a, addressOf(h.b))
  await h.until(() => initiator.isOpen && acceptors[0]?.isOpen === true)
  return { initiator, acceptor: acceptors[0]!, acceptors }
}

/** Everything that was under way between the two ports has arrived when a later connection has been there and back. */
const barrier = async (h: Harness, acceptors: Party[]): Promise<void> => {
  const count = acceptors.length
  const initiator = dial(h.a, addressOf(h.b))
  await h.until(() => initiator.isOpen && acceptors[count]?.isOpen === true)
  const acceptor = acceptors[count]!
  initiator.send(Uint8Array.of(1))
  await h.until(() => acceptor.finished.size === 1)
  acceptor.send(Uint8Array.of(2))
  await h.until(() => initiator.finished.size === 1)
}

/** Adds the tests to a suite; `makePair` registers its own clean-ups. */
export const carrierCompliance = (test: Suite, makePair: (t: TestContext) => Promise<Harness>): void => {
  test('opens with both identities proven', async (t) => {
    const h = await makePair(t)
    const acceptors = serve(h.b)
    const initiator = dial(h.a, addressOf(h.b))
    assert.is(initiator.connection.peer, undefined)
    assert.is(initiator.opened, 0, 'nothing is called before connect returns')
    await h.until(() => initiator.isOpen && acceptors[0]?.isOpen === true)
    const acceptor = acceptors[0]!
    assert.is(initiator.connection.role, 'initiator')
    assert.is(acceptor.connection.role, 'acceptor')
    assert.is(initiator.connection.peer?.nodeId, h.identityB.nodeId)
    assert.is(acceptor.connection.peer?.nodeId, h.identityA.nodeId)
    sameBytes(initiator.connection.peer!.publicKey, h.identityB.publicKey, 'public key of b')
    sameBytes(acceptor.connection.peer!.publicKey, h.identityA.publicKey, 'public key of a')
    assert.equal(initiator.connection.remote, addressOf(h.b))
    // A dial over TCP has a port of its own.
    const { port } = h.a.kind === 'tcp' ? acceptor.connection.remote : addressOf(h.a)
    assert.equal(acceptor.connection.remote, { host: addressOf(h.a).host, port })
    assert.equal([initiator.connection.carrier, acceptor.connection.carrier], [h.a.kind, h.b.kind])
  })

  test('numbers streams as QUIC does', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const open3 = (party: Party): number[] => [0, 1, 2].map(() => party.connection.openStream(false))
    assert.equal(open3(initiator), [2, 6, 10])
    assert.equal(open3(acceptor), [3, 7, 11])
  })

  test('keeps the order of bytes and ends a stream behind the last', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const heardBeforeMs = acceptor.connection.lastHeardMs
    const sent = pattern(100_000, 1)
    const job = initiator.send(sent)
    await h.until(() => acceptor.finished.size === 1)
    sameBytes(acceptor.received(job.stream), sent, 'stream')
    assert.ok(acceptor.connection.lastHeardMs > heardBeforeMs)
    assert.equal({ ...acceptor.connection.read(job.stream, new Uint8Array(10)) }, NOTHING)
    assert.is(acceptor.untimely.length, 0)
  })

  test('ends a stream that never had a byte', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const job = initiator.send(new Uint8Array(0))
    await h.until(() => acceptor.finished.has(job.stream))
    assert.is(acceptor.received(job.stream).length, 0)
  })

  test('carries many streams side by side', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const count = Math.min(200, h.maxStreams)
    const jobs = Array.from({ length: count }, (_, i) => initiator.send(pattern(500 + 37 * i, i)))
    await h.until(() => acceptor.finished.size === count)
    for (const job of jobs) sameBytes(acceptor.received(job.stream), job.bytes, `stream ${job.stream}`)
  })

  test('a reader that does not read stops its stream and no other', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const heldStream = 2
    acceptor.held.add(heldStream)
    const parked = initiator.send(pattern(2 * h.streamWindowBytes + 12_345, 1))
    const other = initiator.send(pattern(2 * h.streamWindowBytes, 2))
    await h.until(() => acceptor.finished.has(other.stream))
    sameBytes(acceptor.received(other.stream), other.bytes, 'the other stream')
    assert.is(parked.stream, heldStream)
    await h.until(() => parked.sentBytes === h.streamWindowBytes)
    assert.is(acceptor.received(heldStream).length, 0)
    // The writer may try again as often as it likes, and the connection has room for others.
    const flushes = initiator.flushes
    initiator.wasBlocked = true
    await h.until(() => {
      initiator.connection.requestFlush()
      return initiator.flushes > flushes + 2 && !initiator.wasBlocked
    })
    assert.is(parked.sentBytes, h.streamWindowBytes)
    acceptor.release([heldStream])
    await h.until(() => acceptor.finished.has(heldStream))
    sameBytes(acceptor.received(heldStream), parked.bytes, 'the parked stream')
  })

  test('refuses more streams than the peer allows, until some have ended', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    acceptor.holdsAll = true
    const jobs = Array.from({ length: h.maxStreams + 10 }, (_, i) => initiator.send(Uint8Array.of(i)))
    const last = jobs[jobs.length - 1]!
    await h.until(() => jobs[h.maxStreams - 1]!.isDone)
    assert.is(initiator.connection.openStream(false), -1)
    assert.is(last.stream, -1)
    acceptor.release(jobs.slice(0, h.maxStreams).map((job) => job.stream))
    await h.until(() => acceptor.finished.size === jobs.length)
    assert.equal([...acceptor.received(last.stream)], [(jobs.length - 1) & 0xff])
  })

  test('cuts a stream off: the other side is told once, and other streams go on', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor, acceptors } = await open(h)
    acceptor.held.add(2)
    const cut = initiator.send(pattern(2 * h.streamWindowBytes, 1))
    const other = initiator.send(pattern(2 * h.streamWindowBytes, 2))
    await h.until(() => cut.sentBytes === h.streamWindowBytes)
    initiator.cut(cut)
    await h.until(() => acceptor.finished.has(other.stream))
    sameBytes(acceptor.received(other.stream), other.bytes, 'the other stream')
    await barrier(h, acceptors)
    acceptor.release([cut.stream])
    await h.until(() => acceptor.reset.has(cut.stream))
    assert.is(acceptor.received(cut.stream).length, 0, 'what was not read is gone')
    assert.equal({ ...acceptor.connection.read(cut.stream, new Uint8Array(10)) }, NOTHING)
    // For one that never began, and one that ended, there is nothing to do.
    initiator.connection.reset(other.stream)
    initiator.connection.reset(initiator.connection.openStream(false))
    await barrier(h, acceptors)
    assert.ok(initiator.isOpen && acceptor.isOpen)
  })

  test('streams that were cut off make room for others', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const count = h.maxStreams
    for (let round = 1; round <= 3; round++) {
      const jobs = Array.from({ length: count }, (_, i) => initiator.send(pattern(100, i), false))
      await h.until(() => jobs.every((job) => job.isDone))
      for (const job of jobs) initiator.cut(job)
      await h.until(() => acceptor.reset.size === round * count)
    }
    const last = initiator.send(pattern(100_000, 7))
    await h.until(() => acceptor.finished.has(last.stream))
    sameBytes(acceptor.received(last.stream), last.bytes, 'the last stream')
  })

  test('moves megabytes both ways at once', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    const there = initiator.send(pattern(4_000_000, 1))
    const back = acceptor.send(pattern(3_000_000, 2))
    await h.until(() => acceptor.finished.has(there.stream) && initiator.finished.has(back.stream))
    sameBytes(acceptor.received(there.stream), there.bytes, 'there')
    sameBytes(initiator.received(back.stream), back.bytes, 'back')
    // It was too much for one write: what was refused got its chance later, without anyone asking.
    assert.ok(initiator.refusals > 0 && acceptor.refusals > 0)
    const stats = initiator.connection.stats()
    assert.ok(stats.sentBytes >= 4_000_000 && stats.receivedBytes >= 3_000_000 && stats.rttMs > 0)
    assert.ok(stats.pathSizeBytes >= 1200)
  })

  test('makes one flush of many requests', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptors } = await open(h)
    await barrier(h, acceptors)
    const before = initiator.flushes
    for (let i = 0; i < 1000; i++) initiator.connection.requestFlush()
    assert.is(initiator.flushes, before, 'never at once')
    await h.until(() => initiator.flushes > before)
    await barrier(h, acceptors)
    // A carrier may flush for reasons of its own, though not for each request.
    assert.ok(initiator.flushes < before + 50, `${initiator.flushes - before} flushes`)
  })

  for (const closer of ['initiator', 'acceptor'] as const) {
    test(`tells both sides when the ${closer} closes, once`, async (t) => {
      const h = await makePair(t)
      const pair = await open(h)
      const own = pair[closer]
      const other = closer === 'initiator' ? pair.acceptor : pair.initiator
      const wireCode = wireCodeOf('ERR_SKEIN_NAME_TAKEN')
      own.connection.close(wireCode, 'ERR_SKEIN_NAME_TAKEN', 'two of that name')
      own.connection.close(0, 'closed', 'a second time')
      await h.until(() => own.closes.length > 0 && other.closes.length > 0)
      const reason = { code: 'ERR_SKEIN_NAME_TAKEN', message: 'two of that name', wireCode }
      assert.equal(own.closes, [{ ...reason, byPeer: false }])
      assert.equal(other.closes, [{ ...reason, byPeer: true }])
      // Calls on a closed connection are harmless and nothing follows.
      for (const party of [own, other]) {
        party.connection.requestFlush()
        party.connection.close(0, 'closed', 'again')
        assert.is(party.connection.openStream(true), -1)
        assert.equal({ ...party.connection.read(2, new Uint8Array(10)) }, NOTHING)
        assert.ok(party.connection.blocked())
      }
      await barrier(h, pair.acceptors)
      for (const party of [own, other]) {
        assert.is(party.closes.length, 1)
        assert.equal(party.untimely, [])
      }
    })
  }

  test('closes in the middle of a transfer, and then nothing more is heard', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor, acceptors } = await open(h)
    initiator.send(pattern(5_000_000, 1))
    await h.until(() => acceptor.receivedBytes > 100_000)
    acceptor.connection.close(0, 'closed', 'enough')
    const receivedBytes = acceptor.receivedBytes
    await h.until(() => acceptor.closes.length > 0 && initiator.closes.length > 0)
    await barrier(h, acceptors)
    assert.is(acceptor.receivedBytes, receivedBytes)
    assert.equal(initiator.closes, [{ code: 'closed', message: 'enough', byPeer: true, wireCode: 0 }])
    for (const party of [initiator, acceptor]) assert.equal(party.untimely, [])
  })

  test('takes an unknown close code for a lost connection and bounds the message', async (t) => {
    const h = await makePair(t)
    const { initiator, acceptor } = await open(h)
    initiator.connection.close(987_654, 'ERR_SKEIN_PROTOCOL', `${'ä'.repeat(90)}${'x'.repeat(1000)}`)
    await h.until(() => acceptor.closes.length > 0)
    const [reason] = acceptor.closes
    assert.is(reason?.code, 'ERR_SKEIN_CONNECTION_LOST')
    assert.is(reason?.wireCode, 987_654)
    assert.is(reason?.message, `${'ä'.repeat(90)}${'x'.repeat(20)}`)
  })

  test('gives up on an address where nobody is', async (t) => {
    const h = await makePair(t)
    const lost = dial(h.a, h.nowhere, 300)
    await h.until(() => lost.closes.length > 0)
    assert.is(lost.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
    assert.is(lost.closes[0]?.byPeer, false)
    assert.is(lost.opened, 0)
    assert.is(lost.connection.peer, undefined)
  })

  test('stays silent to a stranger at the gate', async (t) => {
    const h = await makePair(t)
    const acceptors = serve(h.b)
    const stranger = await h.stranger()
    const knocking = dial(stranger, addressOf(h.b), 300)
    await h.until(() => knocking.closes.length > 0)
    assert.is(knocking.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
    assert.is(acceptors.length, 0)
    assert.ok((h.b.counters().gated ?? 0) > 0)
    // And a member is let in all the same.
    const member = dial(h.a, addressOf(h.b))
    await h.until(() => member.isOpen && acceptors.length === 1)
  })

  test('ends every connection with the transport', async (t) => {
    const h = await makePair(t)
    const acceptors = serve(h.b)
    const initiators = [1, 2, 3].map(() => dial(h.a, addressOf(h.b)))
    await h.until(() => acceptors.length === 3 && [...initiators, ...acceptors].every((party) => party.isOpen))
    await h.a.close()
    await h.a.close()
    await h.until(() => [...initiators, ...acceptors].every((party) => party.closes.length > 0))
    for (const party of initiators) assert.is(party.closes[0]?.byPeer, false)
    for (const party of acceptors) {
      assert.is(party.closes[0]?.byPeer, true)
      assert.is(party.closes[0]?.code, 'closed')
    }
    const late = dial(h.b, acceptors[0]!.connection.remote, 300)
    await h.until(() => late.closes.length > 0)
    assert.is(late.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
    for (const party of [...initiators, ...acceptors]) {
      assert.is(party.closes.length, 1)
      assert.equal(party.untimely, [])
    }
  })

  test('carries datagrams of other kinds past the connections', async (t) => {
    const h = await makePair(t)
    const heard = new Map<string, { bytes: Buffer; from: Address }>()
    for (const kind of ['krpc', 'probe'] as const) {
      h.b.onDatagram(kind, (bytes, from) => heard.set(kind, { bytes: Buffer.from(bytes), from }))
    }
    const question = Buffer.from('d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe')
    const probe = Buffer.from([0x01, 0xff, 0x64])
    // Datagrams may get lost, as ever.
    for (let i = 0; i < 20; i++) {
      h.a.sendDatagram(addressOf(h.b), question)
      h.a.sendDatagram(addressOf(h.b), probe)
    }
    if (h.a.kind === 'tcp') {
      // Nothing of the kind on TCP: it is lost, and counted.
      await barrier(h, serve(h.b))
      assert.is(heard.size, 0)
      assert.is(h.a.counters().unreachable, 40)
      return
    }
    await h.until(() => heard.size === 2)
    assert.equal(heard.get('krpc'), { bytes: question, from: addressOf(h.a) })
    assert.equal(heard.get('probe'), { bytes: probe, from: addressOf(h.a) })
  })
}

/** What strangers send: datagrams that look like something and are nothing, for benchmarks and tests. */
import { randomBytes, randomInt } from 'node:crypto'
import { createIdentity } from '../certs/identity.ts'
import { GATE_TAG_BYTES } from '../transport/gate.ts'
import { loadQuicEngine, MIN_INITIAL_BYTES, TICKET_KEY_BYTES } from '../transport/quiche.ts'

const LARGEST_BYTES = 1400
const KRPC_EACH = 8
const CONNECTION_ID_BYTES = 20

const text = (value: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${value.length}:`), typeof value === 'string' ? Buffer.from(value) : value])
const join = (...parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))

/** One of each: questions beyond the rate, answers nobody asked for, broken and deep bencode, a put without leave. */
const KRPC = [
  () => join('d1:ad2:id', text(randomBytes(20)), 'e1:q4:ping1:t', text(randomBytes(4)), '1:y1:qe'),
  () => join('d1:ad2:id', text(randomBytes(20)), '6:target', text(randomBytes(20)), 'e1:q9:find_node1:t2:aa1:y1:qe'),
  () =>
    join(
      'd1:rd2:id',
      text(randomBytes(20)),
      '5:nodes',
      text(randomBytes(208)),
      'e1:t',
      text(randomBytes(4)),
      '1:y1:re',
    ),
  () => join('d1:', randomBytes(100), 'e'),
  () => join('d1:a', 'l'.repeat(200), 'e'.repeat(200), 'e'),
  () =>
    join(
      ...['d1:ad2:id', text(randomBytes(20)), '1:k', text(randomBytes(32)), '3:seqi1e3:sig', text(randomBytes(64))],
      ...['5:token', text(randomBytes(8)), '1:v', text(randomBytes(200)), 'e1:q3:put1:t2:aa1:y1:qe'],
    ),
]

/** So many datagrams that look like KRPC, all kinds in turn. */
export const krpcJunk = (count: number): Buffer[] => Array.from({ length: count }, (_, i) => KRPC[i % KRPC.length]!())

const startingWith = (first: readonly number[], lengthBytes: number): Buffer =>
  Buffer.concat([Buffer.from(first), randomBytes(Math.max(0, lengthBytes - first.length))])

/** Everything but whole handshakes: noise, KRPC, probes of punches, short headers of unknown ids, pieces of Initials, other versions. */
export const mixedJunk = (count: number, initials: readonly Buffer[]): Buffer[] => {
  const kinds: readonly ((i: number) => Buffer)[] = [
    () => randomBytes(randomInt(1, LARGEST_BYTES)),
    (i) => KRPC[Math.floor(i / KRPC_EACH) % KRPC.length]!(),
    () => startingWith([1, randomInt(0, 3)], 26),
    () => startingWith([randomInt(0, 0x40)], randomInt(1, 200)),
    () => startingWith([0x40 | randomInt(0, 0x40), 0x80 | randomInt(0, 0x80)], randomInt(21, 1200)),
    (i) => initials[i % initials.length]!.subarray(0, randomInt(1, MIN_INITIAL_BYTES)),
    () => startingWith([0xc0 | randomInt(0, 0x40), ...randomBytes(4), CONNECTION_ID_BYTES], MIN_INITIAL_BYTES),
    () => startingWith([0xe0, 0, 0, 0, 1, CONNECTION_ID_BYTES], randomInt(30, 200)),
  ]
  return Array.from({ length: count }, (_, i) => kinds[i % kinds.length]!(i))
}

/** First flights as a client of QUIC makes them that knows nothing of the gate; every other one has a tag, by no key of ours. */
export const strangeInitials = async (count: number): Promise<Buffer[]> => {
  const [engine, identity] = [await loadQuicEngine(), await createIdentity({ wallNowMs: Date.now() })]
  const config = engine.config({
    ...identity,
    maxPacketBytes: MIN_INITIAL_BYTES,
    idleTimeoutMs: 10_000,
    streamWindowBytes: 1 << 20,
    connectionWindowBytes: 1 << 20,
    maxStreams: 100,
    ticketKey: randomBytes(TICKET_KEY_BYTES),
  })
  return Array.from({ length: count }, (_, i) => {
    const packet = Buffer.alloc(MIN_INITIAL_BYTES)
    const length = engine.connect(randomBytes(CONNECTION_ID_BYTES), config).nextPacket(packet)
    const initial = packet.subarray(0, length)
    return i % 2 === 0 ? initial : Buffer.concat([initial, randomBytes(GATE_TAG_BYTES)])
  })
}

/**
 * As long as `datagram`, and dropped by the first look at a port: the first byte says that it is a long header without the
 * fixed bit, which only version negotiation may leave out, and the next that it is none. No hash, no table, no parser.
 */
export const plainlyDropped = (datagram: Buffer): Buffer => {
  const plain = Buffer.from(datagram)
  plain.set([0x80, 0x21].slice(0, plain.length))
  return plain
}

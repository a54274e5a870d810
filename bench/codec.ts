/**
 * Messages to bytes and back, in this process alone: what the codec costs for the messages people send. The baselines do
 * the same with what Node brings: JSON (which knows neither bytes nor Maps nor pids) and the structured clone of node:v8.
 * By processor time, the collector's included, so that a busy machine changes little.
 */
import { randomBytes } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { Origin } from '../src/pid.ts'
import { MessageCodec } from '../src/wire/codec.ts'
import { Packer, unpack } from '../src/wire/packing.ts'
import { alternate, type Measurement } from './report.ts'

const MESSAGES = 512
/** Long enough for the clock of processor time, bytes of messages. */
const ROUND_BYTES = 4 * 1024 * 1024

const words = 'user said something about an order that has to be shipped so'

const KINDS: Readonly<Record<string, (sequence: number) => unknown>> = {
  // As in messages.ts: 100 bytes.
  '100B': (sequence) => ({ type: 'tick', sequence, text: `${sequence}`.padStart(8, '0') + words }),
  short: (sequence) => ({ op: 'get', key: `user:${sequence}`, region: 'eu-west' }),
  '1KiB-object': (sequence) => ({
    id: sequence,
    user: { name: 'Ada Lovelace', mail: 'ada@example.org', age: 36, tags: ['math', 'engine', 'poetry'] },
    lines: Array.from({ length: 9 }, (_, line) => ({
      article: `article-${(sequence * 9 + line) % 5000}`,
      count: line + 1,
      price: 9.99 * (line + 1),
      note: 'to the back door, ring twice please',
    })),
    paid: true,
    total: 359.64,
  }),
  '100-numbers': (sequence) => Array.from({ length: 100 }, (_, place) => (place * sequence) % 100_000),
}
/** JSON has no bytes. */
const BYTES: Readonly<Record<string, (sequence: number) => unknown>> = {
  '64B-buffer': (sequence) => Buffer.alloc(64, sequence),
  '64KiB-buffer': (sequence) => Buffer.alloc(64 * 1024, sequence),
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Runs `work` on all items often enough; returns items a second. */
const rate = async <T>(items: readonly T[], rounds: number, work: (item: T) => unknown): Promise<number> => {
  const start = cpuSeconds()
  for (let round = 0; round < rounds; round++) for (const item of items) work(item)
  return (rounds * items.length) / (cpuSeconds() - start)
}

/** Large bodies with the option `compression`, and what deflate at its fastest would do instead. */
async function* packing(): AsyncGenerator<Measurement> {
  const packer = new Packer({ aboveBytes: 1024 })
  const rows = Array.from({ length: 900 }, (_, row) => ({
    id: (row * 7919) % 100_000,
    user: ['ada', 'grace', 'edsger', 'barbara'][(row * 31) % 4],
    mail: `user${(row * 104_729) % 9999}@example.org`,
    at: 1_700_000_000_000 + row * 1337,
  }))
  const body = Buffer.from(
    new MessageCodec({ local: new Origin('alice@bench', 'a'.repeat(32), '0'.repeat(16)) }).encode(rows),
  )
  const pack = (): Uint8Array => packer.pack(1, body, 0, body.length) ?? body
  const packed = Buffer.from(pack())
  const deflated = deflateRawSync(body, { level: 1 })
  const bytesPerSecond = async (work: () => unknown): Promise<number> =>
    body.length * (await rate(Array.from({ length: 32 }), 4, work))
  const plan = { bench: 'codec', unit: 'bytes/s', baseline: 'deflate-1' } as const
  const name = `${Math.round(body.length / 1024)}KiB`
  yield await alternate({
    ...plan,
    metric: `pack-${name}`,
    measure: () => bytesPerSecond(pack),
    measureBaseline: () => bytesPerSecond(() => deflateRawSync(body, { level: 1 })),
  })
  yield await alternate({
    ...plan,
    metric: `unpack-${name}`,
    measure: () => bytesPerSecond(() => unpack(packed, 0, packed.length, body.length)),
    measureBaseline: () => bytesPerSecond(() => inflateRawSync(deflated)),
  })
  yield {
    ...plan,
    metric: `packed-size-${name}`,
    value: packed.length / body.length,
    unit: 'part',
    baselineValue: deflated.length / body.length,
    ratio: packed.length / deflated.length,
  }
  const noise = randomBytes(body.length)
  yield await alternate({
    ...plan,
    metric: `pack-noise-${name}`,
    measure: () => bytesPerSecond(() => packer.pack(2, noise, 0, noise.length)),
    measureBaseline: () => bytesPerSecond(() => deflateRawSync(noise, { level: 1 })),
  })
}

export async function* codec(): AsyncGenerator<Measurement> {
  const alice = new Origin('alice@bench', 'a'.repeat(32), '00000000000000a1')
  const bob = new Origin('bob@bench', 'b'.repeat(32), '00000000000000b2')
  const sender = new MessageCodec({ local: alice })
  const receiver = new MessageCodec({ local: bob })
  sender.peer = bob
  receiver.peer = alice
  const encode = (value: unknown): Uint8Array => sender.encode(value)
  const decode = (bytes: Uint8Array): unknown => receiver.decode(bytes, 0, bytes.length)
  for (const [kind, make] of Object.entries({ ...KINDS, ...BYTES })) {
    const messages = Array.from({ length: MESSAGES }, (_, sequence) => make(sequence))
    const encoded = messages.map((message) => Buffer.from(encode(message)))
    const cloned = messages.map((message) => serialize(message))
    const rounds = Math.ceil(ROUND_BYTES / encoded.reduce((sum, bytes) => sum + bytes.length, 0))
    const compared = (metric: string, baseline: string, work: () => Promise<number>, base: () => Promise<number>) =>
      alternate({ bench: 'codec', metric, unit: 'messages/s', baseline, measure: work, measureBaseline: base })
    const encoding = () => rate(messages, rounds, encode)
    const decoding = () => rate(encoded, rounds, decode)
    if (kind in KINDS) {
      const texts = messages.map((message) => Buffer.from(JSON.stringify(message)))
      yield await compared(`encode-${kind}`, 'JSON', encoding, () =>
        rate(messages, rounds, (message) => Buffer.from(JSON.stringify(message))),
      )
      yield await compared(`decode-${kind}`, 'JSON', decoding, () =>
        rate(texts, rounds, (text) => JSON.parse(text.toString())),
      )
    }
    yield await compared(`encode-${kind}`, 'v8', encoding, () => rate(messages, rounds, serialize))
    yield await compared(`decode-${kind}`, 'v8', decoding, () => rate(cloned, rounds, deserialize))
  }
  yield* packing()
}

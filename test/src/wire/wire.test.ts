/** Signals as frames: there and back, and what a peer may do to them. */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { type Origin, Pid } from '../../../src/pid.ts'
import { type Signal, Unreadable } from '../../../src/signals.ts'
import { FRAME_TYPES, MAX_SEND_TARGETS, NAMED, Wire } from '../../../src/wire/wire.ts'
import { FIRST_LANE_FRAME_TYPE } from '../../../transport/lane.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, CAROL, codecOf, codeOf } from './codec-support.ts'

const test = suite('wire')
const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

interface Frame {
  readonly type: number
  readonly bytes: Buffer
}

/** As a lane does: both parts copied. */
const frameOf = (wire: Wire, signal: Signal, peer: Origin = BOB): Frame => {
  const { type, head, headLength, body } = wire.encode(signal, peer)
  return { type, bytes: Buffer.concat([head.subarray(0, headLength), body ?? Buffer.alloc(0)]) }
}

const read = (wire: Wire, { type, bytes }: Frame, peer: Origin = ALICE): Signal => {
  const buffer = Buffer.alloc(bytes.length + 9, 0x7f)
  buffer.set(bytes, 4)
  return wire.decode(type, buffer, 4, 4 + bytes.length, peer)
}

const alice = (): Wire => new Wire(codecOf(ALICE, BOB))
const bob = (): Wire => new Wire(codecOf(BOB, ALICE))

const MOST = Number.MAX_SAFE_INTEGER
const SIGNALS: readonly Signal[] = [
  { type: 'send', from: 0, to: 1, message: { a: 1 } },
  { type: 'send', from: MOST, to: 'counter', message: undefined },
  { type: 'send', from: 1, to: MOST, message: 'x'.repeat(100_000) },
  { type: 'sendMany', from: 1, to: [7, 8, 300], message: ['m'] },
  { type: 'sendMany', from: 0, to: [MOST], message: 'x'.repeat(1000) },
  { type: 'cast', from: 1, to: 2, message: ['m'] },
  { type: 'cast', from: 1, to: 'name', message: 7 },
  { type: 'call', from: 127, to: 128, call: MOST, request: [1] },
  { type: 'call', from: 127, to: 'é'.repeat(127), call: 0, request: Buffer.alloc(300) },
  { type: 'reply', from: 3, call: 4, value: null },
  { type: 'callFailed', from: 3, call: 4, reason: 'noproc' },
  { type: 'callEnded', from: 3, call: 4 },
  { type: 'link', from: 1, to: 2 },
  { type: 'unlink', from: 1, to: 2, id: 16384 },
  { type: 'unlinkAck', from: 1, to: 2, id: 3 },
  { type: 'monitor', from: 1, to: 2, ref: 3 },
  { type: 'monitor', from: 1, to: 'name', ref: 3 },
  { type: 'demonitor', from: 1, to: 2, ref: 3 },
  { type: 'demonitor', from: 1, to: 'x'.repeat(255), ref: MOST },
  { type: 'linkExit', from: 1, to: 2, reason: 'shutdown' },
  {
    type: 'spawn',
    from: 0,
    request: 1,
    behaviour: 'a',
    version: '',
    link: false,
    start: false,
    ref: 0,
    name: '',
    args: [],
  },
  {
    type: 'spawn',
    from: 0,
    request: 1,
    behaviour: 'a',
    version: '2.0.0-rc.1',
    link: false,
    start: true,
    ref: 0,
    name: '',
    args: [],
  },
  {
    type: 'spawn',
    from: MOST,
    request: MOST,
    behaviour: 'counter',
    version: '1.0',
    link: true,
    start: true,
    ref: MOST,
    name: 'total',
    args: [1, { a: Buffer.alloc(300) }],
  },
  { type: 'spawned', from: 1, request: 2 },
  { type: 'started', from: 1, request: MOST },
  { type: 'spawnFailed', from: 0, request: 2, reason: 'why' },
  { type: 'inspect', from: 1, to: 2, call: 3 },
  { type: 'stream', from: 1, to: 2, call: 3, stream: 1, duplex: false, meta: undefined },
  { type: 'stream', from: 0, to: 2 ** 40, call: 2 ** 50, stream: 2 ** 31 - 1, duplex: true, meta: { name: 'x' } },
  { type: 'exit', from: 1, to: 2, reason: 'kill' },
  { type: 'exit', from: 1, to: 'name', reason: { why: [1] } },
  { type: 'down', from: 1, ref: 2, reason: undefined },
]

test('every signal arrives as it was sent', () => {
  const [sender, receiver] = [alice(), bob()]
  for (const signal of SIGNALS) {
    const got = read(receiver, frameOf(sender, signal))
    assert.ok(isDeepStrictEqual(got, signal), JSON.stringify(signal).slice(0, 100))
  }
  const kinds = new Set(SIGNALS.map(({ type }) => type))
  assert.equal([...kinds].sort(), Object.keys(FRAME_TYPES).sort())
})

test('frame types are distinct and leave the lanes theirs', () => {
  const types = Object.values(FRAME_TYPES)
  assert.is(new Set(types).size, types.length)
  for (const type of types) assert.ok(type > 0 && type < NAMED && (type | NAMED) < FIRST_LANE_FRAME_TYPE)
})

test('docs/wire.md lists exactly these types, and its example holds', () => {
  const page = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8')
  const all = [...page.matchAll(/^\| 0x([0-9a-f]{2}) (\* )?\| (\w+) \|/gm)]
  const rows = all.filter(([, type]) => Number.parseInt(type!, 16) < FIRST_LANE_FRAME_TYPE)
  const documented = Object.fromEntries(rows.map(([, type, , name]) => [name, Number.parseInt(type!, 16)]))
  assert.equal(documented, { ...FRAME_TYPES })
  for (const [, type, star, name] of rows) {
    const named = SIGNALS.some((signal) => signal.type === name && 'to' in signal && typeof signal.to === 'string')
    assert.is(star !== undefined, named, `0x${type}`)
  }
  const { type, bytes } = frameOf(alice(), { type: 'send', from: 12, to: 345, message: { ok: true } })
  const example = /09 00 00 00 [\s\S]*?```/.exec(page)![0]
  const hex = [...example.matchAll(/^((?:[0-9a-f]{2} ?)+)(?: |$)/gm)]
    .map(([, run]) => run!.replaceAll(' ', ''))
    .join('')
  assert.is(hex, `09000000${Buffer.of(type).toString('hex')}${bytes.toString('hex')}`)
})

test('property: any numbers, names and messages', () => {
  const [sender, receiver] = [alice(), bob()]
  const number = fc.oneof(fc.nat(300), fc.maxSafeNat())
  const name = fc.string({ minLength: 1, maxLength: 60, unit: 'binary' })
  const call = fc.record(
    {
      type: fc.constant('call' as const),
      from: number,
      to: fc.oneof(number, name),
      call: number,
      request: fc
        .jsonValue({ maxDepth: 2, stringUnit: 'binary' })
        .filter((value) => !JSON.stringify(value).includes('__proto__')),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(call, (signal) => isDeepStrictEqual(read(receiver, frameOf(sender, signal)), signal)),
    { numRuns: 2000 },
  )
})

test('a short frame is one piece, a long one is not copied twice', () => {
  const wire = alice()
  assert.is(wire.encode({ type: 'send', from: 1, to: 2, message: 'x'.repeat(100) }, BOB).body, undefined)
  const { headLength, body } = wire.encode({ type: 'send', from: 1, to: 2, message: 'x'.repeat(10_000) }, BOB)
  assert.is(headLength, 2)
  assert.is(body?.length, 10_003)
})

test('pids are written for whoever the frame goes to', () => {
  const [wire, pid] = [alice(), new Pid(ALICE, 9)]
  for (const peer of [BOB, CAROL]) {
    const frame = frameOf(
      wire,
      { type: 'send', from: 1, to: 2, message: [pid, new Pid(BOB, 1), new Pid(CAROL, 1)] },
      peer,
    )
    const got = read(new Wire(codecOf(peer, ALICE)), frame)
    assert.equal(got, { type: 'send', from: 1, to: 2, message: [pid, new Pid(BOB, 1), new Pid(CAROL, 1)] })
  }
})

test('what cannot be sent is refused, and the next signal goes its way', () => {
  const [sender, receiver] = [alice(), bob()]
  const refusals: readonly [Signal, string][] = [
    [{ type: 'send', from: 1, to: 2, message: () => 1 }, 'ERR_SKEIN_UNSERIALISABLE'],
    [{ type: 'exit', from: 1, to: 2, reason: Symbol('x') }, 'ERR_SKEIN_UNSERIALISABLE'],
    [{ type: 'send', from: 1, to: 2, message: 'x'.repeat(17 << 20) }, 'ERR_SKEIN_MESSAGE_TOO_LARGE'],
    [{ type: 'send', from: 1, to: '', message: 1 }, 'ERR_SKEIN_BAD_ARGUMENT'],
    [{ type: 'monitor', from: 1, to: 'é'.repeat(128), ref: 1 }, 'ERR_SKEIN_BAD_ARGUMENT'],
  ]
  for (const [signal, code] of refusals) {
    assert.is(
      codeOf(() => sender.encode(signal, BOB)),
      code,
    )
    for (const next of SIGNALS.slice(0, 4)) assert.ok(isDeepStrictEqual(read(receiver, frameOf(sender, next)), next))
  }
})

test('a getter that sends while its message is being encoded', () => {
  const [sender, receiver] = [alice(), bob()]
  const frames: Frame[] = []
  const message = {
    before: 'b'.repeat(50),
    get during(): string {
      frames.push(frameOf(sender, { type: 'link', from: MOST, to: MOST }))
      frames.push(frameOf(sender, { type: 'monitor', from: 1, to: 'n'.repeat(255), ref: 1 }))
      frames.push(frameOf(sender, { type: 'send', from: 5, to: 6, message: 'inner' }))
      return 'd'
    },
    after: 'a',
  }
  // Something was encoded before, so that the codec has a finished buffer.
  frameOf(sender, { type: 'send', from: 1, to: 2, message: 'x'.repeat(300) })
  frames.push(frameOf(sender, { type: 'send', from: 1, to: 'outer', message }))
  const got = frames.map((frame) => read(receiver, frame))
  assert.equal(got[0], { type: 'link', from: MOST, to: MOST })
  assert.equal(got[1], { type: 'monitor', from: 1, to: 'n'.repeat(255), ref: 1 })
  assert.equal(got[2], { type: 'send', from: 5, to: 6, message: 'inner' })
  const outer = { before: 'b'.repeat(50), during: 'd', after: 'a' }
  assert.equal(got[3], { type: 'send', from: 1, to: 'outer', message: outer })
})

test('a registered type that the receiver does not know costs only the content', () => {
  class Money {}
  const codec = codecOf(ALICE, BOB)
  codec.registerType({ id: 'shop/Money', class: Money, encode: () => 1, decode: () => new Money() })
  const [sender, receiver] = [new Wire(codec), bob()]
  const content: Partial<Record<Signal['type'], string>> = {
    send: 'message',
    sendMany: 'message',
    cast: 'message',
    call: 'request',
    reply: 'value',
    spawn: 'args',
  }
  for (const signal of SIGNALS) {
    const key = content[signal.type] ?? ('reason' in signal ? 'reason' : undefined)
    if (key === undefined) continue
    const frame = frameOf(sender, { ...signal, [key]: [new Money()] } as Signal)
    const got = read(receiver, frame) as unknown as Record<string, unknown>
    const error = got[key] instanceof Unreadable ? (got[key] as Unreadable).error : got[key]
    assert.is(got[key] instanceof Unreadable, key !== 'reason', signal.type)
    assert.ok(isSkeinError(error, 'ERR_SKEIN_UNKNOWN_TYPE') && error.message.includes('"shop/Money"'), signal.type)
    const { [key]: _, ...head } = signal as unknown as Record<string, unknown>
    const { [key]: __, ...gotHead } = got
    assert.equal(gotHead, head)
  }
})

test('a message to several processes: what docs/wire.md shows, at most 500, rising, none twice', () => {
  const receiver = bob()
  const { bytes } = frameOf(alice(), { type: 'sendMany', from: 1, to: [7, 8, 300], message: null })
  assert.is(bytes.toString('hex'), '01' + '030701a402' + 'c0')
  const code = (hex: string, type: number = FRAME_TYPES.sendMany): string =>
    codeOf(() => read(receiver, { type, bytes: Buffer.from(hex, 'hex') }))
  const beyond = 'ffffffffffffff0f'
  for (const hex of ['', '01', '0100c0', '0101', '010200', '01020100c0', '01020701', `0102${beyond}01c0`, '018004']) {
    assert.is(code(hex), hex === '01020701' ? 'ERR_SKEIN_BAD_MESSAGE' : 'ERR_SKEIN_PROTOCOL', hex)
  }
  assert.is(code('0101016ec0', FRAME_TYPES.sendMany | NAMED), 'ERR_SKEIN_PROTOCOL')
  const most = Array.from({ length: MAX_SEND_TARGETS }, (_, i) => MOST - (MAX_SEND_TARGETS - 1 - i) * 2 ** 44)
  const frame = frameOf(alice(), { type: 'sendMany', from: MOST, to: most, message: 1 })
  assert.ok(isDeepStrictEqual(read(receiver, frame), { type: 'sendMany', from: MOST, to: most, message: 1 }))
  // What a frame may have beside the longest message: docs/wire.md.
  assert.ok(frame.bytes.length < 4096 - 64, `${frame.bytes.length} bytes`)
  const one = frameOf(alice(), { type: 'sendMany', from: 1, to: most.concat(most.map(() => MOST)), message: 1 })
  assert.is(code(one.bytes.toString('hex')), 'ERR_SKEIN_PROTOCOL')
})

test('a spawn with options, names or numbers that cannot be', () => {
  const receiver = bob()
  const code = (hex: string): string =>
    codeOf(() => read(receiver, { type: FRAME_TYPES.spawn, bytes: Buffer.from(hex, 'hex') }))
  for (const hex of [
    '',
    '0101',
    '010108',
    '01010800016190',
    '010100',
    '01010000',
    '0101000000',
    '01010000036190',
    '010104000161',
    '01010400016190',
    '0101040001610090',
    'ff80',
  ]) {
    assert.is(code(hex), 'ERR_SKEIN_PROTOCOL', hex)
  }
  assert.is(code('010100000161'), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(code('01010000016190c0'), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(
    codeOf(() => receiver.decode(FRAME_TYPES.spawn | NAMED, Buffer.from('01010000016190', 'hex'), 0, 7, ALICE)),
    'ERR_SKEIN_PROTOCOL',
  )
})

test('broken heads are ERR_SKEIN_PROTOCOL, broken bodies ERR_SKEIN_BAD_MESSAGE', () => {
  const receiver = bob()
  const code = (type: number, hex: string): string =>
    codeOf(() => read(receiver, { type, bytes: Buffer.from(hex, 'hex') }))
  const { send, reply, link, unlink, linkExit, down, callEnded } = FRAME_TYPES
  const heads: readonly [number, string][] = [
    [0, '0101'],
    [0x1f, '0101'],
    [0x40 | send, '010101'],
    [0xf0, '010101'],
    [send, ''],
    [send, '01'],
    [send, '0180'],
    [send, '8000'],
    [send, 'ffffffffffffffff01'],
    [send, 'ffffffffffffff7f01'],
    [send | NAMED, '01'],
    [send | NAMED, '0100c0'],
    [send | NAMED, '010561'],
    [reply | NAMED, '010161c0'],
    [link | NAMED, '010161'],
    [unlink | NAMED, '01016101'],
    [linkExit | NAMED, '010161c0'],
    [down | NAMED, '010161c0'],
    [link, '010203'],
    [unlink, '0102'],
    [callEnded, '010203'],
  ]
  for (const [type, hex] of heads) assert.is(code(type, hex), 'ERR_SKEIN_PROTOCOL', `${type} ${hex}`)
  for (const hex of ['0102', '0102c1', '0102c0c0', '0102a361']) assert.is(code(send, hex), 'ERR_SKEIN_BAD_MESSAGE', hex)
})

test(
  '100 000 damaged frames end in a signal or a code',
  () => {
    const random = seededRandom(seed)
    const below = (limit: number): number => Math.floor(random.float() * limit)
    const [sender, receiver] = [alice(), bob()]
    const frames = SIGNALS.map((signal) => frameOf(sender, signal)).filter(({ bytes }) => bytes.length < 1000)
    const codes = new Map<string, number>()
    for (let run = 0; run < 100_000; run++) {
      const frame = frames[below(frames.length)]!
      const bytes = Buffer.from(frame.bytes)
      const kind = below(4)
      if (kind > 0) for (let i = 0; i < kind; i++) bytes[below(bytes.length)]! ^= 1 << below(8)
      const end = below(3) === 0 ? below(bytes.length + 1) : bytes.length
      const type = below(4) === 0 ? below(256) : frame.type
      let code = 'decoded'
      try {
        receiver.decode(type, bytes, 0, end, ALICE)
      } catch (error) {
        if (!isSkeinError(error)) throw error
        code = error.code
      }
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
    assert.equal([...codes.keys()].sort(), ['ERR_SKEIN_BAD_MESSAGE', 'ERR_SKEIN_PROTOCOL', 'decoded'])
    for (const signal of SIGNALS) assert.ok(isDeepStrictEqual(read(receiver, frameOf(sender, signal)), signal))
  },
  { deadlineMs: 60_000 },
)

test.run()

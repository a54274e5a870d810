/** Probes from those who have no part in a punch: forged, replayed, flooded, malformed. */
import * as assert from 'uvu/assert'
import { decodeProbe, encodeProbe, PROBE_BYTES, type Probe } from '../../../../src/cluster/reach/probe-frames.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { suite } from '../../../support/suite.ts'
import { at, Bench, TOKEN } from './punch-support.ts'

const test = suite('probes of strangers')

test('a probe is what was encoded', () => {
  const random = seededRandom(1)
  const number = (): number => Math.floor(random.float() * 2 ** 32)
  for (const kind of ['ask', 'answer', 'both'] as const)
    for (let i = 0; i < 200; i++) {
      const probe: Probe = { kind, token: Buffer.from(random.bytes(16)), number: number(), echo: number() }
      const bytes = encodeProbe(probe)
      assert.is(bytes.length, PROBE_BYTES)
      assert.ok(bytes[0]! < 0x40 && bytes.length <= 32)
      // Within a larger buffer, too.
      const inside = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(2)]).subarray(3, 3 + PROBE_BYTES)
      const decoded = decodeProbe(inside)!
      assert.equal({ ...decoded, token: Buffer.from(decoded.token) }, probe)
    }
})

test('anything else is none (seed 2)', () => {
  const random = seededRandom(2)
  const probe = encodeProbe({ kind: 'ask', token: TOKEN, number: 1, echo: 0 })
  for (let length = 0; length < 100; length++) {
    assert.is(decodeProbe(Buffer.alloc(length, 1)) === undefined, length !== PROBE_BYTES)
    assert.is(decodeProbe(Buffer.alloc(length)), undefined)
  }
  for (let kind = 3; kind < 256; kind++)
    assert.is(decodeProbe(probe.map((byte, i) => (i === 1 ? kind : byte))), undefined)
  const bench = new Bench()
  bench.begin([])
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.bytes(Math.floor(random.float() * 60))
    if (random.float() < 0.5) bytes.set([1, Math.floor(random.float() * 4)].slice(0, bytes.length))
    decodeProbe(bytes)
    bench.puncher.receive(bytes, at(1 + (i % 65_535)))
  }
  assert.is(bench.sent.length, 0)
  assert.is(bench.puncher.figures.refused, 20_000)
})

test('mutated probes: never more than one datagram out, none longer than what came in (seed 3)', () => {
  const random = seededRandom(3)
  const bench = new Bench()
  bench.begin([at(1), at(2)])
  const known = bench.take()
  for (let i = 0; i < 20_000; i++) {
    const one = known[i % known.length]!
    const kind = (['ask', 'answer', 'both'] as const)[Math.floor(random.float() * 3)]!
    const bytes = encodeProbe({ kind, token: TOKEN, number: Math.floor(random.float() * 2 ** 32), echo: one.number })
    if (random.float() < 0.7) bytes[Math.floor(random.float() * bytes.length)]! ^= 1 << Math.floor(random.float() * 8)
    bench.clock.advance(20)
    bench.sent.length = 0
    bench.puncher.receive(bytes, random.float() < 0.5 ? one.to : at(3 + (i % 1000)))
    assert.ok(bench.sent.length <= 1)
    assert.ok(bench.sent.every((sent) => sent.bytes.length <= bytes.length))
  }
})

test('without the token nobody hears anything, however much is sent', async () => {
  const bench = new Bench()
  bench.begin([at(1)])
  bench.take()
  const random = seededRandom(4)
  for (let i = 0; i < 50_000; i++) bench.hear(at(1 + (i % 60_000)), 'ask', { token: random.bytes(16), number: i })
  assert.is(bench.sent.length, 0)
  assert.is(bench.puncher.figures.refused, 50_000)
  assert.is(bench.puncher.figures.answered, 0)
})

test('what was overheard and is sent again, from anywhere, moves no more than it costs', async () => {
  const bench = new Bench()
  bench.begin([])
  let count = 0
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 5000; i++) {
      const host = `192.0.${i % 200}.${1 + (i % 250)}`
      bench.hear(at(1024 + i, host), 'ask', { number: 99 })
      count++
    }
    await bench.pass(1000)
  }
  assert.ok(bench.sent.length <= count)
  assert.is(bench.sent.length, bench.puncher.figures.answered, 'nothing but answers')
  // The punch was over after 2 s and answered for 10 s: a burst, and 1000 a second.
  assert.ok(bench.sent.length <= 2000 + 12 * 1000, `${bench.sent.length}`)
  assert.is(bench.found.length, 0)
  assert.is(bench.clock.pending, 0, 'and nothing is remembered')
})

test('a flood from one address is answered within limits, and others are still heard', async () => {
  const bench = new Bench()
  bench.begin([])
  for (let i = 0; i < 5000; i++) bench.hear(at(7, '192.0.2.1'), 'ask', { number: i })
  assert.is(bench.take().length, 400)
  bench.hear(at(7, '198.51.100.1'), 'ask', { number: 1 })
  assert.is(bench.take().length, 1)
})

test('a flood on side sockets keeps a bounded number of them', async () => {
  const bench = new Bench()
  const punch = bench.begin([])
  const target = at(4433)
  punch.spread(target)
  await bench.pass(4300)
  bench.take()
  // Whoever overheard the token forges the address of the target.
  for (const port of [...bench.open.keys()]) bench.hearAside(port, target, 'ask', { number: 1 })
  assert.ok(bench.sent.length <= 256)
  punch.end()
  assert.is(bench.open.size, 64)
  bench
    .begin(
      [],
      TOKEN.map((byte) => byte ^ 1),
    )
    .spread(target)
  await bench.pass(1000)
  assert.is(bench.open.size, 64, 'no spread while so many are kept')
  await bench.pass(200_000)
  assert.is(bench.open.size, 0, 'silent ones are closed')
  assert.is(bench.clock.pending, 0)
})

test.run()

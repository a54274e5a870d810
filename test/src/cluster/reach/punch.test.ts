/** One end of a punch: what it sends and when, what counts as an answer, and what is bounded. */
import * as assert from 'uvu/assert'
import { suite } from '../../../support/suite.ts'
import { at, Bench, TOKEN } from './punch-support.ts'

const test = suite('punch')

const token = (n: number): Uint8Array => TOKEN.map((byte) => byte ^ n)

test('each target gets an opener, is asked at 40, 100, 250, 500 and 1000 ms, and then the punch is over', async () => {
  const bench = new Bench()
  const punch = bench.begin([at(1)])
  assert.is(bench.sent.length, 1, 'the first at once')
  await bench.pass(300)
  punch.addTargets([at(2, '2001:db8::1'), at(1), at(2, '2001:DB8:0::1')])
  await bench.pass(20_000)
  const sent = bench.take()
  const times = (port: number): number[] => sent.filter(({ to }) => to.port === port).map(({ atMs }) => atMs)
  assert.equal(times(1), [0, 40, 100, 250, 500, 1000])
  assert.equal(times(2), [300, 340, 400, 550, 800, 1300], 'once, however it is written')
  for (const { hops, atMs } of sent) assert.is(hops, atMs === 0 || atMs === 300 ? 2 : undefined, `at ${atMs} ms`)
  assert.ok(
    sent.every(({ kind, token, bytes }) => kind === 'ask' && Buffer.from(token).equals(TOKEN) && bytes.length <= 32),
  )
  assert.is(bench.over, 1)
  assert.is(bench.clock.pending, 0, 'nothing is left to happen')
  assert.is(bench.puncher.figures.probesSent, 12)
})

test('targets are bounded, and what nobody can send to is none', () => {
  const bench = new Bench()
  bench.unreachable = ({ host }) => host.includes(':')
  bench.begin([
    at(0),
    at(9, '224.0.0.1'),
    at(9, '255.255.255.255'),
    at(9, '0.0.0.0'),
    at(9, 'fe80::1%eth0'),
    at(9, '2001:db8::1'),
    at(9, 'nobody'),
  ])
  assert.is(bench.sent.length, 0)
  bench.begin(
    Array.from({ length: 40 }, (_, i) => at(1000 + i)),
    token(1),
  )
  assert.is(bench.sent.length, 17)
})

test('a way is found when the answer comes from where we asked, with the number we asked with', () => {
  const bench = new Bench()
  bench.begin([at(1), at(2)])
  const [first, second] = bench.take()
  assert.is.not(first!.number, second!.number)
  bench.hear(at(1), 'answer', { echo: first!.number ^ 1 })
  bench.hear(at(2), 'answer', { echo: first!.number })
  bench.hear(at(3), 'answer', { echo: first!.number })
  bench.hear(at(1), 'answer', { echo: first!.number, token: token(1) })
  assert.is(bench.found.length, 0)
  assert.is(bench.puncher.figures.refused, 4)
  bench.hear(at(2), 'answer', { echo: second!.number })
  bench.hear(at(2), 'answer', { echo: second!.number })
  bench.hear(at(1), 'both', { echo: first!.number, number: 77 })
  assert.equal(
    bench.found.map(({ address }) => address.port),
    [2, 1],
    'the quickest first, each once',
  )
  const [answer, ...more] = bench.take()
  assert.equal([answer!.kind, answer!.echo, answer!.to.port, more.length], ['answer', 77, 1, 0])
})

test('a question from an unexpected address is answered with a question, and its answer finds the way', () => {
  const bench = new Bench()
  bench.begin([])
  bench.hear(at(5), 'ask', { number: 123 })
  const [both] = bench.take()
  assert.equal([both!.kind, both!.echo, both!.to], ['both', 123, at(5)])
  bench.hear(at(5), 'answer', { echo: both!.number })
  assert.equal(
    bench.found.map(({ address }) => address),
    [at(5)],
  )
  bench.hear(at(5), 'ask', { number: 124 })
  assert.equal(
    bench.take().map(({ kind, echo }) => [kind, echo]),
    [['answer', 124]],
    'no more questions are needed',
  )
})

test('a way that was found is asked again a few times, for the other end', async () => {
  const bench = new Bench()
  bench.begin([])
  bench.hear(at(5), 'ask', { number: 123 })
  bench.hear(at(5), 'answer', { echo: bench.take()[0]!.number })
  await bench.pass(20_000)
  assert.equal(
    bench.take().map(({ kind, to, atMs }) => [kind, to.port, atMs]),
    [40, 100, 250, 500, 1000].map((ms) => ['ask', 5, ms]),
  )
})

test('no more than a few ways are found', () => {
  const bench = new Bench()
  bench.begin(Array.from({ length: 16 }, (_, i) => at(1 + i)))
  for (const { to, number } of bench.take()) bench.hear(to, 'answer', { echo: number })
  assert.is(bench.found.length, 4)
})

test('our own questions find nothing, whoever sends them back', () => {
  const bench = new Bench()
  bench.begin([at(1)])
  const [question] = bench.take()
  // Our own host has the address that the other's has on its LAN, or somebody is a mirror.
  bench.hear(at(1), 'ask', { number: question!.number })
  assert.is(bench.sent.length, 0)
  // From elsewhere it looks like any other.
  bench.hear(at(2), 'ask', { number: question!.number })
  const [both] = bench.take()
  bench.hear(at(2), 'both', { number: both!.number, echo: both!.echo })
  bench.hear(at(2), 'ask', { number: both!.number })
  assert.is(bench.found.length, 0)
  assert.is(bench.sent.length, 0)
})

test('an ended punch answers for ten more seconds and finds nothing', async () => {
  const bench = new Bench()
  const punch = bench.begin([at(1)])
  const [question] = bench.take()
  punch.end()
  punch.end()
  punch.addTargets([at(2)])
  punch.sweep('203.0.113.7')
  punch.spread(at(2))
  await bench.pass(9_000)
  assert.is(bench.sent.length, 0)
  bench.hear(at(1), 'ask', { number: 5 })
  assert.equal(
    bench.take().map(({ kind, echo }) => [kind, echo]),
    [['answer', 5]],
  )
  bench.hear(at(1), 'both', { number: 6, echo: question!.number })
  assert.equal(
    bench.take().map(({ kind, echo }) => [kind, echo]),
    [['answer', 6]],
  )
  assert.is(bench.found.length, 0)
  await bench.pass(1_500)
  bench.hear(at(1), 'ask', { number: 7 })
  assert.is(bench.sent.length, 0)
  assert.is(bench.over, 0, 'whoever ends it need not be told')
  assert.is(bench.clock.pending, 0)
})

test('a sweep asks 2048 different ports, at most 5 in 10 ms, and stops when a way is found', async () => {
  const bench = new Bench()
  const punch = bench.begin([])
  punch.sweep('203.0.113.7')
  punch.sweep('203.0.113.8')
  await bench.pass(15_000)
  const sent = bench.take()
  assert.is(sent.length, 2048)
  assert.is(new Set(sent.map(({ to }) => to.port)).size, 2048)
  assert.ok(sent.every(({ to }) => to.host === '203.0.113.7' && to.port >= 1024 && to.port <= 65_535))
  const perTick = new Map<number, number>()
  for (const { atMs } of sent) perTick.set(atMs, (perTick.get(atMs) ?? 0) + 1)
  assert.is(Math.max(...perTick.values()), 5)
  assert.ok(sent.at(-1)!.atMs - sent[0]!.atMs >= 4000)
  assert.is(bench.over, 1)

  const second = bench.begin([], token(1))
  second.sweep('203.0.113.7')
  await bench.pass(100)
  const { to, number } = bench.take()[3]!
  bench.hear(to, 'answer', { echo: number, token: token(1) })
  await bench.pass(10_000)
  assert.equal(
    bench.found.map(({ address }) => address),
    [to],
  )
  assert.ok(
    bench.take().every((one) => one.to.port === to.port),
    'only what was found is asked again',
  )
})

test('a spread opens sockets at once and late ones, 256 of them at a time, repeats their questions, and closes them', async () => {
  const bench = new Bench()
  bench.begin([]).spread(at(4433))
  await bench.pass(1000)
  assert.is(bench.open.size, 224)
  let most = 0
  for (let ms = 0; ms < 3500; ms += 10) {
    await bench.pass(10)
    most = Math.max(most, bench.open.size)
  }
  assert.equal([most, bench.open.size], [256, 256])
  assert.is(bench.puncher.figures.sideSockets, 256)
  const perSide = new Map<number, number[]>()
  for (const { side, atMs, to, hops } of bench.take()) {
    assert.equal(to, at(4433))
    assert.is(hops, side! < 40_224 ? 2 : undefined, 'the early ones send openers alone')
    perSide.set(side!, [...(perSide.get(side!) ?? []), atMs])
  }
  assert.is(perSide.size, 448)
  assert.not(bench.open.has(40_000), 'an early one made way')
  for (const times of perSide.values())
    for (let i = 1; i < times.length; i++) assert.ok(times[i]! - times[i - 1]! >= 2000)
  assert.is(perSide.get(40_200)?.length, 3)
  await bench.pass(3000)
  assert.is(bench.open.size, 0)
  assert.is(bench.over, 1)
})

test('the socket on which the other end answers is kept, the others close at once', async () => {
  const bench = new Bench()
  const punch = bench.begin([])
  const target = at(4433)
  punch.spread(target)
  await bench.pass(500)
  const quic = Uint8Array.from({ length: 40 }, () => 0x55)
  const another = bench.begin([], token(1))
  bench.open.get(40_005)!(quic, target)
  assert.is(bench.received.length, 0, 'nothing was heard there yet')
  const { number } = bench.take().find(({ side }) => side === 40_005)!
  bench.hearAside(40_005, at(9), 'ask', { number: 1 })
  bench.hearAside(40_005, target, 'ask', { number: 1, token: token(1) })
  assert.is(bench.sent.length, 0, 'not the target, or not its punch')
  another.end()
  bench.hearAside(40_007, target, 'ask', { number: 9 })
  bench.hearAside(40_005, target, 'both', { number: 8, echo: number })
  assert.equal(
    bench.take().map(({ kind, side }) => [kind, side]),
    [
      ['both', 40_007],
      ['answer', 40_005],
    ],
  )
  assert.equal([...bench.open.keys()], [40_005, 40_007], 'those that heard the other end')
  const [way] = bench.found
  assert.equal([way!.kind, way!.key, way!.address], ['socket', 'socket 40005 203.0.113.7 4433', target])
  way!.send(quic, 30)
  assert.equal(
    bench.sent.map(({ to, bytes, side }) => [to, bytes.length, side]),
    [[target, 30, 40_005]],
  )
  bench.open.get(40_005)!(quic, target)
  bench.open.get(40_005)!(quic, at(9))
  bench.open.get(40_007)!(quic, target)
  assert.equal(
    bench.received.map((one) => one.way.key),
    [way!.key, 'socket 40007 203.0.113.7 4433'],
  )
  punch.end()
  assert.is(bench.open.size, 2, 'the way outlives the punch')

  // The one in use is released by its user, or falls silent; the other one falls silent.
  for (let i = 0; i < 10; i++) {
    await bench.pass(30_000)
    bench.open.get(40_005)!(quic, target)
  }
  assert.equal([...bench.open.keys()], [40_005])
  assert.equal(
    bench.gone.map(({ key }) => key),
    ['socket 40007 203.0.113.7 4433'],
  )
  bench.puncher.release({ ...way!, key: 'another' })
  assert.is(bench.open.size, 1)
  bench.puncher.release(way!)
  bench.puncher.release(way!)
  assert.is(bench.open.size, 0)
  assert.is(bench.gone.length, 2)
  await bench.pass(60_000)
  assert.is(bench.clock.pending, 0)
})

test('one spread at a time; the next begins when the first is over, if its punch still is', async () => {
  const bench = new Bench()
  const [first, second, third] = [0, 1, 2].map((n) => bench.begin([at(n + 1)], token(n)))
  first!.spread(at(11))
  second!.spread(at(12))
  third!.spread(at(13))
  await bench.pass(1000)
  third!.end()
  assert.ok(bench.take().every(({ side, to }) => side === undefined || to.port === 11))
  first!.end()
  assert.is(bench.open.size, 0)
  await bench.pass(1000)
  assert.ok(bench.open.size > 0)
  assert.ok(bench.take().every(({ side, to }) => side === undefined || to.port === 12))
  await bench.pass(10_000)
  assert.is(bench.over, 1)
  assert.is(bench.open.size, 0)
})

test('sockets that are opened too late are closed again', async () => {
  for (const finish of ['end', 'stop'] as const) {
    const bench = new Bench()
    let open = (): void => {}
    bench.opening = new Promise((resolve) => {
      open = resolve
    })
    const punch = bench.begin([])
    punch.spread(at(4433))
    await bench.pass(100)
    if (finish === 'end') punch.end()
    else bench.puncher.stop()
    open()
    await bench.pass(100)
    assert.is(bench.open.size, 0)
    assert.is(bench.puncher.figures.sideSockets, 0)
    assert.is(bench.sent.length, 0)
  }
})

test('a machine without descriptors has a smaller spread, or none', async () => {
  for (const descriptors of [0, 5]) {
    const bench = new Bench()
    bench.descriptors = descriptors
    bench.begin([]).spread(at(4433))
    await bench.pass(4500)
    assert.is(bench.open.size, descriptors)
    await bench.pass(5000)
    assert.is(bench.over, 1)
    assert.is(bench.open.size, 0)
  }
})

test('spread and sweep are for IPv4', async () => {
  const bench = new Bench()
  const punch = bench.begin([])
  punch.spread(at(4433, '2001:db8::1'))
  punch.sweep('2001:db8::1')
  punch.sweep('no host')
  await bench.pass(500)
  assert.is(bench.sent.length + bench.open.size, 0)
  punch.spread(at(4433, '::ffff:203.0.113.7'))
  await bench.pass(50)
  assert.equal(bench.take()[0]?.to, at(4433))
})

test('punches are bounded: one too many is over at once', async () => {
  const bench = new Bench()
  const punches = Array.from({ length: 64 }, (_, n) => bench.begin([at(1)], token(n)))
  const late = bench.begin([at(2)], token(64))
  late.addTargets([at(3)])
  assert.is(bench.sent.length, 64)
  await bench.pass(1)
  assert.is(bench.over, 1)
  assert.is(bench.puncher.figures.refused, 1)
  punches[0]!.end()
  bench.begin([at(4)], token(64))
  assert.is(bench.sent.length, 65)
})

test('stop ends everything at once', async () => {
  const bench = new Bench()
  bench.begin([at(1)]).spread(at(2))
  bench.begin([at(1)], token(1)).sweep('203.0.113.7')
  await bench.pass(500)
  assert.ok(bench.open.size > 10)
  bench.puncher.stop()
  bench.take()
  assert.is(bench.open.size, 0)
  bench.hear(at(1), 'ask', { number: 1 })
  bench.begin([at(5)], token(2))
  await bench.pass(60_000)
  assert.is(bench.sent.length, 0)
  assert.is(bench.open.size, 0)
  assert.is(bench.clock.pending, 0)
})

test.run()

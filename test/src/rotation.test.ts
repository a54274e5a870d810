/** Cookies change in whole clusters of the simulator: no order of steps cuts anybody off, and the old cookie ends. */
import * as assert from 'uvu/assert'
import { fingerprintOf } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import type { SkeinNode } from '../../src/node.ts'
import type { Self } from '../../src/process/self.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { emptyCluster, failureOf, meshed, ofType, pass, startCluster, until, watch } from './node-support.ts'

const test = suite('rotation')

const OLD = 'a cookie for tests'
const NEXT = 'the next cookie for tests'
const fingerprint = (cookie: string): string => fingerprintOf(deriveKeys(Buffer.from(cookie), 'test'))

/** Counts numbers that come from each node, in order and without gaps, or notes what is wrong. */
const counter =
  (wrong: string[], received: number[]) =>
  async (self: Self<{ from: string; number: number }>): Promise<void> => {
    const next = new Map<string, number>()
    for await (const { from, number } of self) {
      if (number !== (next.get(from) ?? 0)) wrong.push(`${from} sent ${number} instead of ${next.get(from) ?? 0}`)
      next.set(from, number + 1)
      received.push(number)
    }
  }

for (const seed of [1, 2, 3]) {
  test(`seed ${seed}: five nodes change cookies in any order under traffic, newcomers between the steps included`, async (t) => {
    const cluster = await startCluster(t, 5, { seed, network: { defaults: { delayMs: 5, jitterMs: 3, loss: 0.01 } } })
    await meshed(cluster)
    const random = seededRandom(seed)
    const events = cluster.nodes.map(watch)
    const [wrong, received]: [string[], number[]] = [[], []]
    const pids = cluster.nodes.map((node) => node.spawn(counter(wrong, received)))
    let sent = 0
    let running = true
    cluster.nodes.forEach((node, index) => {
      node.spawn(async (self) => {
        for (let number = 0; running; number++) {
          for (const pid of pids) {
            self.send(pid, { from: String(index), number })
            sent++
          }
          await new Promise<void>((resolve) => cluster.clock.after(20, resolve))
        }
      })
    })
    const order = (): SkeinNode[] =>
      cluster.nodes
        .map((node) => ({ node, place: random.float() }))
        .sort((a, b) => a.place - b.place)
        .map(({ node }) => node)
    for (const node of order()) {
      assert.is(node.cookies.accept(NEXT), fingerprint(NEXT))
      await pass(cluster, 200 * random.float())
    }
    for (const node of order()) {
      node.cookies.use(NEXT, { acceptOldMs: 5000 })
      await pass(cluster, 200 * random.float())
    }
    await pass(cluster, 6000)
    running = false
    await pass(cluster, 1000)
    assert.equal(wrong, [])
    assert.is(received.length, sent)
    assert.ok(sent > 5000, `${sent} messages`)
    for (const [index, node] of cluster.nodes.entries()) {
      assert.equal(ofType(events[index]!, 'nodedown'), [])
      assert.equal(ofType(events[index]!, 'memberdown'), [])
      assert.equal(node.cookies.list(), [
        { fingerprint: fingerprint(NEXT), primary: true, endsInMs: undefined, nodes: 4 },
      ])
      const told = ['cookieAccepted', 'cookieUsed', 'cookieDropped'] as const
      assert.equal(
        told.map((type) => ofType(events[index]!, type).map((event) => event.fingerprint)),
        [[fingerprint(NEXT)], [fingerprint(NEXT)], [fingerprint(OLD)]],
      )
    }
  })
}

test('any two nodes that are one step apart connect anew, whoever dials', async (t) => {
  // Each stage is what a node looks like after so many steps, started like that, as in a rolling restart.
  const stages = [
    { cookie: OLD },
    { cookie: OLD, acceptCookies: [NEXT] },
    { cookie: NEXT, acceptCookies: [OLD] },
    { cookie: NEXT },
  ]
  for (const [one, other] of [
    [0, 1],
    [1, 0],
    [1, 1],
    [1, 2],
    [2, 1],
    [2, 3],
    [3, 2],
  ] as const) {
    const cluster = emptyCluster(t)
    const a = await cluster.start(0, stages[one]!)
    const b = await cluster.start(1, { ...stages[other]!, seeded: false })
    void b.connect('10.0.0.1:4433').catch(() => {})
    await until(cluster, `stages ${one} and ${other}`, () => a.nodes().length === 1 && b.nodes().length === 1)
  }
})

test('who stays behind is let go at the end of the window and gets in no more; who comes with the new cookie does', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b, laggard] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  const events = [watch(a), watch(b)]
  for (const node of [a, b]) node.cookies.accept(NEXT)
  for (const node of [a, b]) node.cookies.use(NEXT, { acceptOldMs: 3000 })
  const fromMs = cluster.clock.now()
  await pass(cluster, 2990)
  assert.is(laggard.nodes().length, 2)
  assert.equal(
    a.cookies.list().map(({ fingerprint: one, nodes }) => [one, nodes]),
    [
      [fingerprint(NEXT), 1],
      [fingerprint(OLD), 1],
    ],
  )
  await until(cluster, 'the laggard is out', () => laggard.nodes().length === 0)
  assert.ok(cluster.clock.now() - fromMs < 3100)
  await pass(cluster, 20_000)
  assert.equal(laggard.nodes(), [])
  for (const seen of events)
    assert.equal(
      ofType(seen, 'nodedown').map(({ node }) => node),
      [laggard.name],
    )
  assert.is((await failureOf(cluster, laggard.connect('10.0.0.1:4433'))).code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  const newcomer = await cluster.start(3, { cookie: NEXT })
  await until(cluster, 'the newcomer is in', () => newcomer.nodes().length === 2)
})

test('a laggard that accepts in time stays', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, late] = cluster.nodes as [SkeinNode, SkeinNode]
  const events = watch(a)
  a.cookies.use(NEXT, { acceptOldMs: 3000 })
  await pass(cluster, 2900)
  late.cookies.accept(NEXT)
  await pass(cluster, 10_000)
  assert.equal(late.nodes(), [a.name])
  assert.equal(ofType(events, 'nodedown'), [])
})

test('an accepted cookie ends by itself or when it is dropped; who has shown the other one too stays', async (t) => {
  const cluster = emptyCluster(t)
  const a = await cluster.start(0)
  const events = watch(a)
  a.cookies.accept(NEXT, { forMs: 2000 })
  const both = await cluster.start(1, { cookie: NEXT, acceptCookies: [OLD] })
  await until(cluster, 'it is in', () => a.nodes().length === 1)
  assert.is(a.cookies.list()[1]?.endsInMs, 2000 - cluster.clock.now())
  await until(cluster, 'the end', () => ofType(events, 'cookieDropped').length === 1)
  assert.ok(cluster.clock.now() >= 2000 && cluster.clock.now() < 2100)
  await pass(cluster, 5000)
  assert.equal(both.nodes(), [a.name])
  assert.equal(ofType(events, 'nodedown'), [])
  a.cookies.accept(NEXT)
  assert.is(a.cookies.list().length, 2)
  assert.is(a.cookies.drop(NEXT), true)
  assert.is(a.cookies.drop(NEXT), false)
  assert.equal(both.nodes(), [a.name])
  assert.throws(() => a.cookies.drop(OLD))
  assert.throws(() => a.cookies.accept('short'))
  assert.throws(() => a.cookies.use(NEXT, { acceptOldMs: -1 }))
  assert.throws(() => a.cookies.accept(NEXT, { forMs: 1e12 }))
})

test.run()

/** Punches through simulated NATs of all types, in virtual time. */
import * as assert from 'uvu/assert'
import { suite } from '../../../support/suite.ts'
import { meet, NAT_TYPES, type NatType, type Outcome, punch, type SiteOptions, World } from './nat-world.ts'

const test = suite('punch through NATs')

const LATENCIES_MS = [0, 20, 100]
const INDEPENDENT: readonly NatType[] = ['none', 'full', 'addr', 'port']

interface Pair {
  readonly types: readonly [NatType, NatType]
  readonly accepts?: readonly [boolean, boolean]
  readonly latencyMs: number
  readonly seed: number
  readonly loss?: number
  readonly limitMs?: number
  /** Between the NATs; default 1. */
  readonly routers?: number
}

/** Where the relay stands is drawn, but no detour over it is a shortcut. */
const relayDelays = (latencyMs: number, seed: number): [number, number] => {
  const share = (1 + ((seed * 7) % 9)) / 10
  const detourMs = 1 + ((seed * 13) % 40)
  return [latencyMs * share + detourMs, latencyMs * (1 - share) + detourMs]
}

const run = async (pair: Pair): Promise<{ world: World; outcome: Outcome }> => {
  const { types, accepts = [false, false], latencyMs, seed, loss, routers = 1, limitMs = 15_000 } = pair
  const delays = relayDelays(latencyMs, seed)
  const site = (i: 0 | 1): SiteOptions => ({ type: types[i], accepts: accepts[i], relayMs: delays[i] })
  const sites = [site(0), site(1)] as const
  const world = new World({ seed, latencyMs, routers, sites, ...(loss !== undefined && { loss }) })
  return { world, outcome: await punch(world, limitMs) }
}

const describe = (pair: Pair): string => JSON.stringify(pair)

const check = async (pair: Pair): Promise<Outcome> => {
  const { world, outcome } = await run(pair)
  if (outcome.openMs !== undefined) assert.ok(meet(world, [outcome.ways[0][0]!, outcome.ways[1][0]!]), describe(pair))
  return outcome
}

test('pairs of endpoint-independent NATs all find each other, in less than three round trips and 100 ms', async () => {
  let count = 0
  for (const a of INDEPENDENT)
    for (const b of INDEPENDENT)
      for (const latencyMs of LATENCIES_MS)
        for (const accepts of [
          [false, false],
          [true, false],
          [false, true],
          [true, true],
        ] as const)
          for (let seed = 1; seed <= 10; seed++) {
            const pair: Pair = { types: [a, b], accepts, latencyMs, seed, routers: seed % 2 }
            const { openMs } = await check(pair)
            assert.ok(openMs !== undefined, `not found: ${describe(pair)}`)
            const toldMs = Math.max(...relayDelays(latencyMs, seed))
            assert.ok(openMs - toldMs < 6 * latencyMs + 100, `${openMs} ms: ${describe(pair)}`)
            count++
          }
  console.log(`${count} pairs, all found`)
})

test('a symmetric NAT and one that lets in any port of a host it knows find each other without many ports', async () => {
  for (const other of ['none', 'full', 'addr'] as const)
    for (const latencyMs of LATENCIES_MS)
      for (let seed = 1; seed <= 10; seed++) {
        const pair: Pair = { types: seed % 2 === 0 ? ['sym', other] : [other, 'sym'], latencyMs, seed }
        const { openMs, packets } = await check(pair)
        assert.ok(openMs !== undefined && openMs < 700, `${openMs} ms: ${describe(pair)}`)
        assert.ok(packets < 40, `${packets} packets`)
      }
})

/** Prints how many of many pairs were open in time, and how quick. */
const share = async (title: string, seeds: number, pairOf: (seed: number) => Pair, limitMs = 5000): Promise<number> => {
  const times: number[] = []
  for (let seed = 1; seed <= seeds; seed++) {
    const { openMs } = await check({ ...pairOf(seed), limitMs: limitMs + 300 })
    if (openMs !== undefined && openMs < limitMs) times.push(openMs)
  }
  times.sort((a, b) => a - b)
  const at = (part: number): string => `${Math.round(times[Math.floor(times.length * part)] ?? Number.NaN)}`
  const opened = times.length / seeds
  console.log(`${title}: ${(100 * opened).toFixed(1)} % of ${seeds}, ms p50 ${at(0.5)} p90 ${at(0.9)} p99 ${at(0.99)}`)
  return opened
}

for (const latencyMs of LATENCIES_MS)
  test(
    `port-restricted and symmetric, ${latencyMs} ms one way: at least 97 % are open within 5 s`,
    async () => {
      const opened = await share(`port x sym, ${latencyMs} ms`, 100, (seed) => ({
        types: seed % 2 === 0 ? ['sym', 'port'] : ['port', 'sym'],
        latencyMs,
        seed,
      }))
      assert.ok(opened >= 0.97)
    },
    { deadlineMs: 60_000 },
  )

const acceptedBy = (side: string): [boolean, boolean] => [side !== 'sym', side !== 'port']

for (const side of ['port', 'sym', 'both'] as const)
  test(
    `port-restricted and symmetric, ${side} of them accepting UDP to itself: at least 97 %`,
    async () => {
      for (const latencyMs of LATENCIES_MS) {
        const opened = await share(`port x sym, ${side} accepts, ${latencyMs} ms`, 100, (seed) => ({
          types: ['port', 'sym'],
          accepts: acceptedBy(side),
          latencyMs,
          seed,
        }))
        assert.ok(opened >= 0.97)
      }
    },
    { deadlineMs: 60_000 },
  )

for (const [side, least] of [
  ['port', 0.5],
  ['sym', 0.95],
] as const)
  test(
    `without a router between them, ${side} accepting UDP to itself: at least ${100 * least} %`,
    async () => {
      const opened = await share(`port x sym, ${side} accepts, no router`, 150, (seed) => ({
        types: ['port', 'sym'],
        accepts: acceptedBy(side),
        latencyMs: 20,
        seed,
        routers: 0,
      }))
      assert.ok(opened >= least)
    },
    { deadlineMs: 60_000 },
  )

test(
  'without a router between them, both accepting UDP to themselves: few are open, none without a distance',
  async () => {
    for (const latencyMs of LATENCIES_MS) {
      const opened = await share(`port x sym, both accept, no router, ${latencyMs} ms`, 50, (seed) => ({
        types: ['port', 'sym'],
        accepts: [true, true],
        latencyMs,
        seed,
        routers: 0,
      }))
      assert.ok(latencyMs === 0 ? opened === 0 : opened < 0.7, 'the simulated NATs spoil what real ones would')
    }
  },
  { deadlineMs: 60_000 },
)

test('two symmetric NATs, or a blocked one, find nothing, and the punch ends by itself', async () => {
  for (const types of [['sym', 'sym'], ...NAT_TYPES.map((type) => ['blocked', type])] as [NatType, NatType][])
    for (const seed of [1, 2]) {
      const { world, outcome } = await run({ types, latencyMs: 20, seed })
      assert.equal(outcome.ways, [[], []], types.join())
      assert.equal(outcome.over, [true, true], types.join())
      for (const site of world.sites) assert.is(site.openSockets, 0)
    }
})

test(
  'a lost packet in five is no hindrance',
  async () => {
    const opened = await share(
      'port x port, 20 % loss',
      200,
      (seed) => ({ types: ['port', 'port'], latencyMs: 20, seed, loss: 0.2 }),
      2000,
    )
    assert.ok(opened >= 0.97)
    const many = await share('port x sym, 5 % loss', 50, (seed) => ({
      types: ['port', 'sym'],
      latencyMs: 20,
      seed,
      loss: 0.05,
    }))
    assert.ok(many >= 0.96)
  },
  { deadlineMs: 60_000 },
)

test.run()

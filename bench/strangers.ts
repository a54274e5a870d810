/**
 * `npm run bench -- strangers [--rounds N]`: what a stranger's flood costs the calls between three members, of whom it floods one.
 *
 * 100 thousand handshakes and a million junk datagrams come in about 20 s, against as many of the same lengths that the port
 * drops at first sight, in turn: what is left is what Skein does with them beyond taking them from the kernel. The
 * members call each other all that time. Once without, and once with a DHT node on the members' ports.
 *
 * Memory is resident memory, and peaks count. First the members call each other until it is steady, which no flood has touched.
 * Then plain floods and strangers' take turns, plain first. A flood's growth is a member's peak while it lasts, less what that
 * member had when it was steady; and what is left of it after some seconds of calls alone.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { Flooded, JunkKind } from './junk-peer.ts'
import { type Peer, startPeer } from './peer.ts'
import { type Measurement, median, percentile } from './report.ts'
import type { Resident } from './resident.ts'
import type { Calls, MemberFigures, MemberRequest } from './strangers-member.ts'
import { kernelDrops } from './udp-drops.ts'

const DEFAULT_ROUNDS = 3
const MEMBERS = ['flooded@bench', 'second@bench', 'third@bench']
const CALLS_PER_SECOND = 100

interface FloodPlan {
  readonly datagrams: number
  readonly perSecond: number
}
const FLOOD: FloodPlan = { datagrams: 1_100_000, perSecond: 55_000 }
const WARM_UP: FloodPlan = { datagrams: 220_000, perSecond: 55_000 }
/** Calls alone, before and after each flood. */
const REST: FloodPlan = WARM_UP
/** Memory is steady when it grew by no more than this in each of so many rests in a row; after so many we take it as it is. */
const STEADY_BYTES = 1 << 20
const STEADY_RESTS = 3
const MOST_RESTS = 15

/** One flood, and what the members saw meanwhile. */
interface Seen {
  readonly us: readonly number[]
  readonly failed: number
  readonly flooded: Flooded
  /** Of the flooded member: what its counters grew by, and what the kernel dropped before it. */
  readonly grown: Readonly<Record<string, number>>
  readonly kernelDropped: number
  /** Processor time of the flooded member for each datagram that it received, us; its calls are in it, the same in all. */
  readonly usPerDatagram: number
  /** Of all members, at its end, with the peak while it lasted. */
  readonly memory: readonly Resident[]
}

/** What a flood made each member grow by, bytes: at most while it lasted, and still after a rest. */
interface Growth {
  readonly peak: readonly number[]
  readonly left: readonly number[]
}

interface Cluster {
  readonly members: readonly Peer[]
  flood(kind: JunkKind | 'none', plan: FloodPlan): Promise<Seen>
  figures(): Promise<readonly MemberFigures[]>
  stop(): Promise<void>
}

const ask = (member: Peer, request: MemberRequest): Promise<unknown> => member.ask(request)

const startMembers = async (dht: boolean): Promise<Cluster> => {
  const cookie = randomBytes(16).toString('hex')
  const members = await Promise.all(
    MEMBERS.map((name) => startPeer(new URL('./strangers-member.ts', import.meta.url), { name, cookie, dht })),
  )
  for (const [i, member] of members.entries())
    for (const earlier of members.slice(0, i))
      await ask(member, { type: 'connect', address: earlier.ready.address as string })
  const port = members[0]!.ready.port as number
  const figures = (): Promise<MemberFigures[]> =>
    Promise.all(members.map(async (member) => (await ask(member, { type: 'figures' })) as MemberFigures))

  const flood = async (kind: JunkKind | 'none', plan: FloodPlan): Promise<Seen> => {
    const { datagrams: total, perSecond } = plan
    const flooder =
      kind === 'none'
        ? undefined
        : await startPeer(new URL('./junk-peer.ts', import.meta.url), { port, kind, perSecond, total })
    const [before] = await figures()
    const dropsBefore = kernelDrops(port)
    const forMs = (total / perSecond) * 1000
    const [flooded, ...calls] = await Promise.all([
      flooder?.ask({}) as Promise<Flooded> | undefined,
      ...members.map(async (member) => {
        const nodes = MEMBERS.filter((name) => name !== member.ready.name)
        return (await ask(member, { type: 'call', nodes, perSecond: CALLS_PER_SECOND, forMs })) as Calls
      }),
    ])
    await flooder?.stop()
    const atEnd = await figures()
    const [after] = atEnd
    const received = after!.counters.received! - before!.counters.received!
    return {
      us: calls.flatMap(({ us }) => us),
      failed: calls.reduce((sum, { failed }) => sum + failed, 0),
      flooded: flooded ?? { sent: 0, seconds: forMs / 1000, heard: 0 },
      grown: Object.fromEntries(
        Object.entries(after!.counters).map(([name, value]) => [name, value - (before!.counters[name] ?? 0)]),
      ),
      kernelDropped: kernelDrops(port) - dropsBefore,
      usPerDatagram: (after!.processorUs - before!.processorUs) / received,
      memory: atEnd.map(({ memory }) => memory),
    }
  }
  return {
    members,
    flood,
    figures,
    stop: async () => void (await Promise.all(members.map((member) => member.stop()))),
  }
}

/** Reads `--rounds N`. */
export const strangersRounds = (args: readonly string[]): number => {
  const { rounds } = parseArgs({ args: [...args], options: { rounds: { type: 'string' } }, strict: false }).values
  const count = typeof rounds === 'string' ? Number(rounds) : DEFAULT_ROUNDS
  if (!Number.isInteger(count) || count < 1) throw new Error('--rounds takes a number from 1 on')
  return count
}

export async function* strangers(rounds: number): AsyncGenerator<Measurement> {
  yield* measured('strangers', false, rounds)
  yield* measured('strangers-dht', true, rounds)
}

const KINDS = ['plain-strangers', 'strangers'] as const
const COUNTED = ['gated', 'unknown', 'unconnected', 'invalid', 'krpc', 'probes', 'accepted', 'refused', 'resets']

async function* measured(bench: string, dht: boolean, rounds: number): AsyncGenerator<Measurement> {
  const cluster = await startMembers(dht)
  const seen: Record<(typeof KINDS)[number] | 'none', Seen[]> = { strangers: [], 'plain-strangers': [], none: [] }
  const growth: Record<(typeof KINDS)[number], Growth[]> = { strangers: [], 'plain-strangers': [] }
  const rest = async (): Promise<readonly Resident[]> => (await cluster.flood('none', REST)).memory
  const steady = await untilSteady(rest)
  // Compiled for plain floods, it is the strangers' that come unexpected.
  await cluster.flood('plain-strangers', WARM_UP)
  seen.none.push(await cluster.flood('none', WARM_UP))
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
      const flood = await cluster.flood(kind, FLOOD)
      const after = await rest()
      seen[kind].push(flood)
      growth[kind].push({
        peak: flood.memory.map(({ peakBytes }, i) => Math.max(peakBytes, after[i]!.peakBytes) - steady[i]!.nowBytes),
        left: after.map(({ nowBytes }, i) => nowBytes - steady[i]!.nowBytes),
      })
      tell(bench, kind, flood)
      tellMemory(bench, kind, steady, flood.memory, after)
    }
  }
  const after = await cluster.figures()
  await cluster.stop()

  const compared = (metric: string, of: (flood: Seen) => number): Measurement => {
    const [ours, plain] = [seen.strangers.map(of), seen['plain-strangers'].map(of)]
    return {
      bench,
      metric,
      value: median(ours),
      unit: 'us',
      baseline: 'plainly dropped',
      baselineValue: median(plain),
      ratio: median(ours.map((us, round) => us / plain[round]!)),
    }
  }
  for (const [metric, part] of [
    ['call-p50', 0.5],
    ['call-p99', 0.99],
  ] as const) {
    yield compared(metric, ({ us }) => percentile(us, part))
    yield { bench, metric: `${metric}-quiet`, value: percentile(seen.none[0]!.us, part), unit: 'us' }
  }
  yield compared('processor-per-datagram', ({ usPerDatagram }) => usPerDatagram)
  const most = (kind: (typeof KINDS)[number], of: keyof Growth): number =>
    Math.max(...growth[kind].flatMap((one) => one[of]))
  for (const [metric, of] of [
    ['memory-peak', 'peak'],
    ['memory-left', 'left'],
  ] as const) {
    yield { bench, metric, value: most('strangers', of), unit: 'bytes' }
    yield { bench, metric: `plain-${metric}`, value: most('plain-strangers', of), unit: 'bytes' }
  }
  const nodedowns = after.reduce((sum, figures) => sum + figures.nodedowns, 0)
  const failed = Object.values(seen)
    .flat()
    .reduce((sum, flood) => sum + flood.failed, 0)
  yield { bench, metric: 'connections-lost', value: nodedowns, unit: 'messages' }
  yield { bench, metric: 'calls-failed', value: failed, unit: 'messages' }
}

/** Rests until memory is what it will be without floods. */
const untilSteady = async (rest: () => Promise<readonly Resident[]>): Promise<readonly Resident[]> => {
  let last = await rest()
  let still = 0
  for (let rests = 1; rests < MOST_RESTS && still < STEADY_RESTS; rests++) {
    const now = await rest()
    still = now.every(({ peakBytes }, i) => peakBytes - last[i]!.peakBytes <= STEADY_BYTES) ? still + 1 : 0
    last = now
  }
  if (still < STEADY_RESTS) process.stderr.write('memory still grows with calls alone\n')
  return last
}

/** What became of one flood, on stderr. */
const tell = (bench: string, kind: string, { us, flooded, grown, kernelDropped, usPerDatagram }: Seen): void => {
  const counters = COUNTED.map((name) => `${name} ${grown[name] ?? 0}`).join(', ')
  const calls = `${us.length} calls, p50 ${percentile(us, 0.5).toFixed(0)} us, p99 ${percentile(us, 0.99).toFixed(0)} us; ${usPerDatagram.toFixed(2)} us of processor per datagram`
  const sent = `${flooded.sent} in ${flooded.seconds.toFixed(1)} s, ${kernelDropped} dropped by the kernel, ${flooded.heard} answers`
  process.stderr.write(`${bench} ${kind}: ${sent}; ${calls}; ${counters}\n`)
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

/** Each member's memory, and V8's part of it, on stderr. */
const tellMemory = (
  bench: string,
  kind: string,
  steady: readonly Resident[],
  during: readonly Resident[],
  after: readonly Resident[],
): void => {
  const members = steady.map(({ nowBytes, heapBytes }, i) => {
    const [flood, end] = [during[i]!, after[i]!]
    const heap = [heapBytes, flood.heapBytes, end.heapBytes].map(mebibytes).join(', ')
    return `${mebibytes(nowBytes)}, ${mebibytes(flood.peakBytes)}, ${mebibytes(end.nowBytes)} (heap ${heap})`
  })
  process.stderr.write(`${bench} ${kind}: MiB when steady, at the peak and after: ${members.join('; ')}\n`)
}

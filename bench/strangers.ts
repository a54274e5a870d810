/**
 * `npm run bench -- strangers [--rounds N]`: what a stranger's flood costs the calls between three members, of whom it floods one.
 *
 * 100 thousand handshakes and a million junk datagrams come in about 20 s, against as many of the same lengths that the port
 * drops at first sight, in turn: what is left is what Skein does with them beyond taking them from the kernel. The
 * members call each other all that time. Once without, and once with a DHT node on the members' ports.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { Flooded, JunkKind } from './junk-peer.ts'
import { type Peer, startPeer } from './peer.ts'
import { type Measurement, median, percentile } from './report.ts'
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
    const [after] = await figures()
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

const KINDS = ['strangers', 'plain-strangers'] as const
const COUNTED = ['gated', 'unknown', 'unconnected', 'invalid', 'krpc', 'probes', 'accepted', 'refused', 'resets']

async function* measured(bench: string, dht: boolean, rounds: number): AsyncGenerator<Measurement> {
  const cluster = await startMembers(dht)
  const seen: Record<(typeof KINDS)[number] | 'none', Seen[]> = { strangers: [], 'plain-strangers': [], none: [] }
  // Compiled and at its usual size, memory is what it will be without strangers.
  for (const kind of KINDS) await cluster.flood(kind, WARM_UP)
  const before = await cluster.figures()
  seen.none.push(await cluster.flood('none', WARM_UP))
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
      const flood = await cluster.flood(kind, FLOOD)
      seen[kind].push(flood)
      tell(bench, kind, flood)
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
  const grown = after.map(({ residentBytes }, i) => residentBytes - before[i]!.residentBytes)
  yield { bench, metric: 'member-memory', value: Math.max(...grown), unit: 'bytes' }
  const nodedowns = after.reduce((sum, figures) => sum + figures.nodedowns, 0)
  const failed = Object.values(seen)
    .flat()
    .reduce((sum, flood) => sum + flood.failed, 0)
  yield { bench, metric: 'connections-lost', value: nodedowns, unit: 'messages' }
  yield { bench, metric: 'calls-failed', value: failed, unit: 'messages' }
}

/** What became of one flood, on stderr. */
const tell = (bench: string, kind: string, { us, flooded, grown, kernelDropped, usPerDatagram }: Seen): void => {
  const counters = COUNTED.map((name) => `${name} ${grown[name] ?? 0}`).join(', ')
  const calls = `${us.length} calls, p50 ${percentile(us, 0.5).toFixed(0)} us, p99 ${percentile(us, 0.99).toFixed(0)} us; ${usPerDatagram.toFixed(2)} us of processor per datagram`
  const sent = `${flooded.sent} in ${flooded.seconds.toFixed(1)} s, ${kernelDropped} dropped by the kernel, ${flooded.heard} answers`
  process.stderr.write(`${bench} ${kind}: ${sent}; ${calls}; ${counters}\n`)
}

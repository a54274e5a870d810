/**
 * A light sender beside a bulk sender on a wire of 20 ms round trip that loses packets, between two network namespaces: ours
 * and Erlang's distribution over TCP and over TLS, in turn on the same wire. The light one sends to an echo, waits, and
 * pauses for 5 ms; the bulk one sends 256 KiB messages as fast as backpressure lets it (lossy-peer.ts, peers/bench_lossy.erl).
 *
 * Erlang's figures depend on how the kernel's TCP answers loss (BBR or CUBIC), so the system's choice is told.
 * Needs Linux, root, iproute2 and a C compiler; elsewhere it says so and measures nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { HostChild } from '../test/nat/child.ts'
import { LabHost } from '../test/nat/lab.ts'
import { openWire } from '../test/nat/wire.ts'
import type { LossyCommand, LossyWork, SideBySide } from './lossy-work.ts'
import { type Carrier, ErlangNode, hasErlang, prepareErlang } from './peers/erlang-node.ts'
import { type Measurement, median, percentile } from './report.ts'

const BENCH = 'lossy'
const OURS = 'skein'
/** One way. */
const DELAY_MS = 10
const DEFAULT_ROUNDS = 5
/** Beyond its time, for what is still on its way. */
const PATIENCE_MS = 20_000
const WORK = { bulkBytes: 256 * 1024, warmUpMs: 1500, durationMs: 10_000, pauseMs: 5 } as const satisfies LossyWork
/** Of each direction, in percent. What is looked at beside the first is measured shorter. */
const LOSSES = [
  { lossPercent: 1, suffix: '', part: 1, rounds: 1 },
  { lossPercent: 0.1, suffix: '-loss-0.1', part: 0.4, rounds: 0.6 },
  { lossPercent: 0, suffix: '-loss-0', part: 0.4, rounds: 0.6 },
] as const
/** What is wanted: at 1 % loss the light sender's p99, and our factors over Erlang's. */
const WANTED = { 'light-p99': 1 / 4, bulk: 3 } as const
const PEER = fileURLToPath(new URL('./lossy-peer.ts', import.meta.url))
const ERLANG_MODULE = new URL('./peers/bench_lossy.erl', import.meta.url)
const CONGESTION_CONTROL = 'net.ipv4.tcp_congestion_control'

/** The bench cannot run here. */
class Missing extends Error {}

interface Context {
  defer(cleanUp: () => unknown): void
  skip(reason: string): never
  missing(what: string): never
}

type Ends = readonly [sender: LabHost, receiver: LabHost]

interface System {
  readonly name: string
  readonly measure: (work: LossyWork) => Promise<SideBySide>
}

interface Figures {
  readonly 'light-p50': number
  readonly 'light-p99': number
  readonly bulk: number
}

const tell = (text: string): void => void process.stderr.write(`${text}\n`)

/** `--rounds N`. */
export const lossyRounds = (args: readonly string[]): number => {
  const { rounds } = parseArgs({ args: [...args], options: { rounds: { type: 'string' } }, strict: false }).values
  const count = rounds === undefined ? DEFAULT_ROUNDS : Number(rounds)
  if (!Number.isInteger(count) || count < 1) throw new Error('--rounds takes a number from 1 on')
  return count
}

export async function* lossy(rounds: number): AsyncGenerator<Measurement> {
  const cleanUps: (() => unknown)[] = []
  const missing = (what: string): never => {
    throw new Missing(what)
  }
  const context: Context = { defer: (cleanUp) => cleanUps.push(cleanUp), skip: missing, missing }
  try {
    if (process.platform !== 'linux') missing('Linux')
    if (process.getuid?.() !== 0) missing('root')
    const ends = makeEnds(context)
    const wire = await openWire(context, [ends[0].namespace, 'eth0'], [ends[1].namespace, 'eth0'], wireOf(0))
    for (const end of ends) {
      end.ip('addr', 'add', `${end.address}/24`, 'dev', 'eth0')
      end.ip('link', 'set', 'eth0', 'up')
    }
    const systems = [await skein(context, ends), ...(await erlangs(context, ends))]
    for (const { lossPercent, suffix, part, rounds: roundsPart } of LOSSES) {
      await wire.set(wireOf(lossPercent))
      const work = { ...WORK, durationMs: WORK.durationMs * part }
      const figures = await inTurn(systems, work, Math.ceil(rounds * roundsPart), `${lossPercent} % loss`)
      yield* compared(suffix, figures)
    }
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    tell(`lossy: not measured here, for want of ${error.message}`)
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp()
  }
}

const wireOf = (lossPercent: number) => ({ delayMs: DELAY_MS, jitterMs: 0, lossPercent })

const makeEnds = (context: Context): Ends => {
  const make = (number: number): LabHost => {
    const end = new LabHost(`skein-lossy-${process.pid}-${number}`, `10.9.0.${number}`)
    const made = spawnSync('ip', ['netns', 'add', end.namespace], { stdio: 'ignore' })
    if (made.status !== 0) context.missing('iproute2 and the right to make network namespaces')
    context.defer(() => execFileSync('ip', ['netns', 'del', end.namespace]))
    end.ip('link', 'set', 'lo', 'up')
    return end
  }
  return [make(1), make(2)]
}

const skein = async (context: Context, ends: Ends): Promise<System> => {
  const start = (end: LabHost) => HostChild.start<LossyCommand, never>(context, end, PEER, () => {})
  const [sender, receiver] = [await start(ends[0]), await start(ends[1])]
  const cookie = randomBytes(16).toString('hex')
  const address = await receiver.tell({ type: 'start', name: 'receiver@bench', host: ends[1].address, cookie })
  await sender.tell({ type: 'start', name: 'sender@bench', host: ends[0].address, cookie })
  await sender.tell({ type: 'connect', address: address as string })
  return { name: OURS, measure: async (work) => (await sender.tell({ type: 'measure', work })) as SideBySide }
}

/** Each with nodes of its own, as far as this machine has what it needs. */
const erlangs = async (context: Context, ends: Ends): Promise<System[]> => {
  const systems: System[] = []
  tell(`lossy: the system's TCP answers loss as ${ends[0].run('sysctl', ['-n', CONGESTION_CONTROL]).trim()} does`)
  for (const carrier of ['tcp', 'tls'] as const) {
    if (hasErlang(carrier)) systems.push(await erlang(context, ends, `erlang-${carrier}`, carrier))
    else tell(`lossy: skipped erlang-${carrier}: it is not installed`)
  }
  return systems
}

const erlang = async (context: Context, ends: Ends, name: string, carrier: Carrier): Promise<System> => {
  const group = await prepareErlang(carrier, [ERLANG_MODULE])
  context.defer(() => group.remove())
  const start = async (end: LabHost, nodeName: string): Promise<ErlangNode> => {
    const prefix = ['ip', 'netns', 'exec', end.namespace]
    const node = await ErlangNode.start({ group, name: nodeName, address: end.address, prefix })
    context.defer(() => node.stop())
    return node
  }
  const [sender, receiver] = [await start(ends[0], 'sender'), await start(ends[1], 'receiver')]
  await receiver.ask('bench_lossy', 'receiver')
  if ((await sender.ask('net_kernel', 'connect_node', receiver.atom)) !== true)
    throw new Error(`${name}: no connection`)
  const measure = async ({ bulkBytes, warmUpMs, durationMs, pauseMs }: LossyWork): Promise<SideBySide> => {
    const args = [receiver.atom, bulkBytes, warmUpMs, durationMs, pauseMs]
    const [samplesUs, bytes, tookUs] = (await sender.ask('bench_lossy', 'measure', ...args)) as [
      number[],
      number,
      number,
    ]
    return { lightMs: samplesUs.map((us) => us / 1000), bytesPerSecond: (bytes * 1e6) / tookUs }
  }
  return { name, measure }
}

/** Every system once a round, another one first each time. */
const inTurn = async (
  systems: System[],
  work: LossyWork,
  rounds: number,
  what: string,
): Promise<Map<string, Figures[]>> => {
  const figures = new Map<string, Figures[]>(systems.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    tell(`lossy: ${what}, round ${round + 1} of ${rounds}`)
    const first = round % systems.length
    for (const system of [...systems.slice(first), ...systems.slice(0, first)]) {
      const result = await inTime(system, work)
      if (result === undefined) {
        if (system.name === OURS) throw new Error('our light sender or the count of bulk was not answered')
        tell(`lossy: left out ${system.name}: it did not answer`)
        systems.splice(systems.indexOf(system), 1)
        figures.delete(system.name)
        continue
      }
      const { lightMs, bytesPerSecond } = result
      const p99Ms = percentile(lightMs, 0.99)
      figures.get(system.name)!.push({ 'light-p50': median(lightMs), 'light-p99': p99Ms, bulk: bytesPerSecond })
    }
  }
  return figures
}

/** Undefined for Erlang's distribution over TLS when it stands still, as it was seen to do under such load. */
const inTime = async ({ measure }: System, work: LossyWork): Promise<SideBySide | undefined> => {
  const limit = new AbortController()
  const tooLong = sleep(work.warmUpMs + work.durationMs + PATIENCE_MS, undefined, { signal: limit.signal })
  try {
    const measured = measure(work)
    return await Promise.race([measured, tooLong])
  } finally {
    limit.abort()
  }
}

function* compared(suffix: string, all: ReadonlyMap<string, readonly Figures[]>): Generator<Measurement> {
  const [ours, ...others] = [...all]
  for (const metric of ['light-p50', 'light-p99', 'bulk'] as const) {
    const values = ours![1].map((figures) => figures[metric])
    const unit = metric === 'bulk' ? 'bytes/s' : 'ms'
    const own = { bench: BENCH, metric: `${metric}${suffix}`, value: median(values), unit } as const
    const wanted = suffix === '' && metric !== 'light-p50' ? { wanted: WANTED[metric] } : {}
    if (others.length === 0) yield own
    for (const [baseline, figures] of others) {
      const theirs = figures.map((each) => each[metric])
      const ratio = median(values.map((value, round) => value / theirs[round]!))
      yield { ...own, baseline, baselineValue: median(theirs), ratio, ...wanted }
    }
  }
}

/**
 * How soon two nodes on different hosts of a LAN find each other by multicast DNS and are connected, in network
 * namespaces: cold, when both start at once, and warm, when one starts while the other is up. From the call of `startNode`;
 * what Node.js itself takes to start is left out. Needs Linux, root and iproute2; elsewhere it says so and measures nothing.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type LanHost, lan } from '../test/support/lan.ts'
import { type Measurement, median, percentile } from './report.ts'

const COLD_ROUNDS = 20
const WARM_ROUNDS = 60
/** Longer than a record must not be repeated for, and not always the same. */
const PAUSE_MS = { min: 1200, max: 2000 }
const PEER = fileURLToPath(new URL('./mdns-peer.ts', import.meta.url))

/** The bench cannot run here. */
class Missing extends Error {}

interface Report {
  readonly type: 'ready' | 'seen' | 'up' | 'stopped'
  readonly startedMs: number
  readonly atMs: number
}

class Peer {
  readonly #child: ChildProcess
  readonly #name: string
  #reports: Report[] = []
  #wake = (): void => {}

  constructor(host: LanHost, name: string) {
    this.#name = name
    this.#child = host.spawn(process.execPath, [...process.execArgv, PEER], { stdio: ['ignore', 2, 2, 'ipc'] })
    this.#child.on('message', (report: Report) => {
      this.#reports.push(report)
      this.#wake()
    })
  }

  start(cookie: string): void {
    this.#reports = []
    this.#child.send({ command: 'start', name: this.#name, cookie })
  }

  async stop(): Promise<void> {
    this.#child.send({ command: 'stop' })
    await this.report('stopped')
  }

  async report(type: Report['type']): Promise<Report> {
    for (;;) {
      const report = this.#reports.find((one) => one.type === type)
      if (report !== undefined) return report
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async end(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

/** From the later start until both say that they are connected, milliseconds. */
const untilUp = async (one: Peer, other: Peer): Promise<number> => {
  const ups = await Promise.all([one.report('up'), other.report('up')])
  return Math.max(...ups.map(({ atMs }) => atMs)) - Math.max(...ups.map(({ startedMs }) => startedMs))
}

const pause = (): Promise<void> => sleep(PAUSE_MS.min + Math.random() * (PAUSE_MS.max - PAUSE_MS.min))

export async function* mdns(): AsyncGenerator<Measurement> {
  const cleanUps: (() => unknown)[] = []
  const missing = (what: string): never => {
    throw new Missing(what)
  }
  try {
    const context = { defer: (cleanUp: () => unknown) => cleanUps.push(cleanUp), skip: missing, missing }
    const [one, two] = lan(context, 2).map((host, index) => {
      const peer = new Peer(host, `node${index + 1}@bench`)
      cleanUps.push(() => peer.end())
      return peer
    }) as [Peer, Peer]
    await Promise.all([one.report('ready'), two.report('ready')])
    yield* measure(one, two)
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    process.stderr.write(`mdns: not measured here, for want of ${error.message}\n`)
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp()
  }
}

async function* measure(one: Peer, two: Peer): AsyncGenerator<Measurement> {
  const result = (metric: string, ms: number): Measurement => ({ bench: 'mdns', metric, value: ms * 1000, unit: 'us' })
  const cold: number[] = []
  // The first round, which pays for loading and compiling, is among them.
  for (let round = 0; round < COLD_ROUNDS; round++) {
    for (const peer of [one, two]) peer.start(`cold cookie ${round}`)
    cold.push(await untilUp(one, two))
    await Promise.all([one.stop(), two.stop()])
  }
  yield result('cold-p50', median(cold))
  yield result('cold-max', Math.max(...cold))

  const seen: number[] = []
  const warm: number[] = []
  for (let round = 0; round < WARM_ROUNDS; round++) {
    one.start(`warm cookie ${round}`)
    // Until its names are its own and both announcements are out.
    await sleep(2500)
    await pause()
    two.start(`warm cookie ${round}`)
    warm.push(await untilUp(one, two))
    const { startedMs, atMs } = await two.report('seen')
    seen.push(atMs - startedMs)
    await Promise.all([one.stop(), two.stop()])
  }
  yield result('warm-seen-p50', median(seen))
  yield result('warm-seen-p95', percentile(seen, 0.95))
  yield result('warm-p50', median(warm))
  yield result('warm-p95', percentile(warm, 0.95))
}

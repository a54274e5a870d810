/**
 * Static seeds as a source of discovery: addresses that somebody wrote down, as "host:port".
 *
 * Literal addresses are found at once. Names are resolved, again after a while since they may move, and sooner if they
 * have no address: an unknown host is a status with its reason, never an error. A name that resolved once keeps its last
 * addresses while the name service fails. Seeds know nothing of nodes, so a sighting has only addresses, and a seed that is
 * this node itself is left out.
 */
import { isIP } from 'node:net'
import { SkeinError } from '../certs/errors.ts'
import { type Address, formatAddress, parseHostPort, sameAddress } from '../transport/address.ts'
import type { Clock, Timer } from '../transport/clock.ts'
import type { Random } from '../transport/random.ts'
import { MAX_ADDRESSES_PER_NAME, type ResolveAddress, resolveBySystem } from './resolve.ts'
import { Sightings } from './sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, SourceStatus } from './source.ts'
import { within } from './within.ts'

const SOURCE = 'seeds'
/** A list longer than this is no list of seeds: the first few members tell of all others. */
export const MAX_SEEDS = 256
const DEFAULT_RETRY_MS = 1000
const MAX_RETRY_MS = 30_000
/** Pauses are up to this part shorter or longer, so that nodes started together do not ask together. */
const JITTER = 0.25
/** How long an answer of the name service is taken for true; node:dns does not tell its time to live. */
const RESOLVED_MS = 60_000
/** `start` waits no longer for slow name services; their answers are welcome later. */
const START_DEADLINE_MS = 2000
/** So many failures are spelled out in the status. */
const MAX_FAILURES_TOLD = 5

/** What `seedSource` takes. */
export interface SeedOptions {
  /** "host:port", "ip:port" or "[ipv6]:port" each. */
  readonly seeds: readonly string[]
  readonly clock: Clock
  readonly random: Random
  /** All addresses of a host name; may reject. The system's name service by default. */
  readonly resolve?: ResolveAddress
  /** The first pause after a failure; it doubles up to 30 s. */
  readonly retryMs?: number
}

type Outcome =
  | { readonly type: 'asking' }
  | { readonly type: 'resolved' }
  | { readonly type: 'unknown'; readonly reason: string; readonly failures: number }

class Seed {
  readonly key: string
  readonly host: string
  readonly port: number
  outcome: Outcome = { type: 'asking' }
  timer: Timer | undefined
  /** A question to the name service is under way. */
  asking = false

  constructor(address: Address) {
    this.key = formatAddress(address)
    this.host = address.host
    this.port = address.port
  }
}

/** A source over a fixed list of addresses. Throws ERR_SKEIN_BAD_ADDRESS for what is none, ERR_SKEIN_BAD_OPTION for too many. */
export const seedSource = (options: SeedOptions): DiscoverySource => new SeedSource(options)

class SeedSource implements DiscoverySource {
  readonly source = SOURCE
  readonly #clock: Clock
  readonly #random: Random
  readonly #resolve: ResolveAddress
  readonly #retryMs: number
  readonly #seeds: readonly Seed[]
  #state: 'idle' | 'running' | 'stopped' = 'idle'
  #own: readonly Address[] = []
  #sightings = new Sightings(SOURCE, () => {})

  constructor(options: SeedOptions) {
    if (options.seeds.length > MAX_SEEDS) {
      throw new SkeinError('ERR_SKEIN_BAD_OPTION', `${options.seeds.length} seeds are more than ${MAX_SEEDS}`)
    }
    const addresses = options.seeds.map((text) => parseHostPort(text))
    this.#seeds = [...new Map(addresses.map((address) => [formatAddress(address), new Seed(address)])).values()]
    this.#clock = options.clock
    this.#random = options.random
    this.#resolve = options.resolve ?? resolveBySystem
    this.#retryMs = options.retryMs ?? DEFAULT_RETRY_MS
  }

  async start(record: NodeRecord, emit: (event: DiscoveryEvent) => void): Promise<void> {
    if (this.#state !== 'idle') return
    this.#state = 'running'
    this.#own = record.addresses
    this.#sightings = new Sightings(SOURCE, emit)
    const asked = Promise.all(this.#seeds.map((seed) => this.#ask(seed)))
    await within(this.#clock, START_DEADLINE_MS, asked)
  }

  update(record: NodeRecord): void {
    this.#own = record.addresses
  }

  refresh(): void {
    if (this.#state !== 'running') return
    for (const seed of this.#seeds) if (seed.outcome.type === 'unknown') void this.#ask(seed)
  }

  async stop(): Promise<void> {
    this.#state = 'stopped'
    for (const seed of this.#seeds) seed.timer?.cancel()
  }

  status(): SourceStatus {
    const unknown = this.#seeds.filter((seed) => seed.outcome.type === 'unknown')
    const asking = this.#seeds.filter((seed) => seed.outcome.type === 'asking')
    const seen = this.#state === 'running' ? this.#sightings.size : 0
    const say = (state: SourceStatus['state'], detail: string): SourceStatus => ({
      source: SOURCE,
      state,
      detail,
      seen,
    })
    if (this.#state === 'stopped') return say('stopped', 'stopped')
    if (this.#seeds.length === 0) return say('working', 'no seeds are given')
    if (asking.length === this.#seeds.length) return say('starting', `looking up ${asking.length} seeds`)
    if (unknown.length === 0)
      return say('working', `${seen} of ${this.#seeds.length} seeds have an address that is not our own`)
    const failures = unknown
      .slice(0, MAX_FAILURES_TOLD)
      .map((seed) => `${seed.key} (${seed.outcome.type === 'unknown' ? seed.outcome.reason : ''})`)
    const more = unknown.length > MAX_FAILURES_TOLD ? ` and ${unknown.length - MAX_FAILURES_TOLD} more` : ''
    const detail = `ERR_SKEIN_UNKNOWN_HOST: no address for ${failures.join(', ')}${more}; trying again`
    return say(unknown.length === this.#seeds.length && seen === 0 ? 'failed' : 'degraded', detail)
  }

  /** Looks a seed up and plans the next time. Never rejects. */
  async #ask(seed: Seed): Promise<void> {
    if (seed.asking) return
    seed.timer?.cancel()
    if (isIP(seed.host) !== 0) {
      this.#found(seed, [seed.host])
      return
    }
    seed.asking = true
    let hosts: readonly string[] = []
    let reason = 'the name service knows no address'
    try {
      hosts = (await this.#resolve(seed.host)).filter((host) => isIP(host) !== 0)
    } catch (error) {
      reason = (error as NodeJS.ErrnoException | undefined)?.code ?? String(error)
    }
    seed.asking = false
    if (this.#state !== 'running') return
    if (hosts.length > 0) this.#found(seed, hosts)
    else seed.outcome = { type: 'unknown', reason, failures: failuresOf(seed) + 1 }
    seed.timer = this.#clock.after(this.#pauseMs(seed), () => void this.#ask(seed), true)
  }

  #found(seed: Seed, hosts: readonly string[]): void {
    seed.outcome = { type: 'resolved' }
    const addresses = [...new Set(hosts)]
      .slice(0, MAX_ADDRESSES_PER_NAME)
      .map((host): Address => ({ host, port: seed.port }))
      .filter((address) => !this.#own.some((own) => sameAddress(own, address)))
    if (addresses.length === 0) this.#sightings.delete(seed.key)
    else this.#sightings.put({ key: seed.key, addresses })
  }

  #pauseMs(seed: Seed): number {
    const failures = failuresOf(seed)
    const pauseMs = failures === 0 ? RESOLVED_MS : Math.min(this.#retryMs * 2 ** (failures - 1), MAX_RETRY_MS)
    return pauseMs * (1 + (this.#random.float() * 2 - 1) * JITTER)
  }
}

const failuresOf = (seed: Seed): number => (seed.outcome.type === 'unknown' ? seed.outcome.failures : 0)

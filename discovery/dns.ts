/**
 * Names in DNS as a source of discovery: each address behind them is a node to try.
 *
 *   _skein._udp.nodes.example     SRV records: hosts and ports (RFC 2782); what begins with "_" is asked for these
 *   nodes.example, nodes.example:4433    A and AAAA records, as a headless service of Kubernetes has them
 *
 * Names are asked at an interval, some time sooner or later by chance. What the last answer no longer holds is lost; while
 * the name service fails, what it said last stands, and the status says why. Sightings have an address and nothing more.
 */
import { resolveSrv } from 'node:dns/promises'
import { SkeinError } from '../certs/errors.ts'
import { type Address, formatAddress, parseHostPort, sameAddress } from '../transport/address.ts'
import type { Clock } from '../transport/clock.ts'
import type { Random } from '../transport/random.ts'
import { Chore, jittered } from './chore.ts'
import { type ResolveAddress, resolveAll, resolveBySystem, resolveOne } from './resolve.ts'
import { Sightings } from './sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, SourceStatus } from './source.ts'
import { within } from './within.ts'

const SOURCE = 'dns'
export const MAX_DNS_NAMES = 16
/** Of all names together. A larger cluster finds the others through these. */
const MAX_FOUND = 256
const DEFAULT_POLL_INTERVAL_MS = 60_000
const MIN_RETRY_MS = 1000
const JITTER = 0.25
const START_DEADLINE_MS = 2000

/** What a name service answers about services; may reject. */
export type ResolveServices = (name: string) => Promise<readonly { readonly name: string; readonly port: number }[]>

/** What `dnsSource` takes. */
export interface DnsOptions {
  readonly names: readonly string[]
  /** Of names that are no services and give none. */
  readonly defaultPort: number
  readonly clock: Clock
  readonly random: Random
  readonly pollIntervalMs?: number
  /** The system's name service by default. */
  readonly resolve?: ResolveAddress
  readonly resolveServices?: ResolveServices
}

/** A source over names in DNS. Throws ERR_SKEIN_BAD_ADDRESS for what is no name, ERR_SKEIN_BAD_OPTION for too many. */
export const dnsSource = (options: DnsOptions): DiscoverySource => new DnsSource(options)

type Question =
  | { readonly type: 'service'; readonly name: string }
  | { readonly type: 'host'; readonly name: string; readonly address: Address }

const questionOf = (name: string, defaultPort: number): Question => {
  const address = parseHostPort(name, defaultPort)
  return name.startsWith('_') ? { type: 'service', name } : { type: 'host', name, address }
}

class DnsSource implements DiscoverySource {
  readonly source = SOURCE
  readonly #options: DnsOptions
  readonly #questions: readonly Question[]
  readonly #poll: Chore
  /** What each name stands for, by its last answer. */
  readonly #answers = new Map<string, readonly Address[]>()
  /** Why names have no answer now. */
  readonly #failures = new Map<string, string>()
  #failedPolls = 0
  #asked = false
  #record: NodeRecord | undefined
  #stopped = false
  /** Addresses that were sighted, by their text. */
  #found: ReadonlySet<string> = new Set()
  #sightings = new Sightings(SOURCE, () => {})

  constructor(options: DnsOptions) {
    const { clock, random, names, defaultPort, pollIntervalMs = DEFAULT_POLL_INTERVAL_MS } = options
    if (names.length > MAX_DNS_NAMES) {
      throw new SkeinError('ERR_SKEIN_BAD_OPTION', `${names.length} names are more than ${MAX_DNS_NAMES}`)
    }
    this.#options = options
    this.#questions = names.map((name) => questionOf(name, defaultPort))
    this.#poll = new Chore({
      clock,
      work: () => this.#ask(),
      pauseMs: () => {
        const retryMs = MIN_RETRY_MS * 2 ** Math.max(0, this.#failedPolls - 1)
        const pauseMs = this.#failedPolls === 0 ? pollIntervalMs : Math.min(retryMs, pollIntervalMs)
        return jittered(pauseMs, JITTER, random.float())
      },
    })
  }

  async start(record: NodeRecord, emit: (event: DiscoveryEvent) => void): Promise<void> {
    if (this.#record !== undefined || this.#stopped) return
    this.#record = record
    this.#sightings = new Sightings(SOURCE, emit)
    await within(this.#options.clock, START_DEADLINE_MS, this.#poll.run())
  }

  update(record: NodeRecord): void {
    this.#record = record
  }

  refresh(): void {
    if (this.#record !== undefined) this.#poll.soon()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#poll.stop()
  }

  status(): SourceStatus {
    const seen = this.#sightings.size
    const say = (state: SourceStatus['state'], detail: string): SourceStatus => ({
      source: SOURCE,
      state,
      detail,
      seen,
    })
    if (this.#stopped) return say('stopped', 'stopped')
    if (!this.#asked) return say('starting', `asking for ${this.#questions.length} names`)
    const failures = [...this.#failures].map(([name, reason]) => `${name} (${reason})`)
    if (failures.length === 0) return say('working', `${seen} addresses behind ${this.#questions.length} names`)
    const detail = `ERR_SKEIN_UNKNOWN_HOST: no answer for ${failures.join(', ')}; trying again`
    return say(failures.length === this.#questions.length && seen === 0 ? 'failed' : 'degraded', detail)
  }

  async #ask(): Promise<void> {
    await Promise.all(this.#questions.map((question) => this.#askFor(question)))
    if (this.#stopped) return
    this.#asked = true
    this.#failedPolls = this.#failures.size === 0 ? 0 : this.#failedPolls + 1
    const own = this.#record?.addresses ?? []
    const all = [...this.#answers.values()].flat().filter((address) => !own.some((one) => sameAddress(one, address)))
    const found = new Map(all.slice(0, MAX_FOUND).map((address) => [formatAddress(address), address]))
    for (const key of this.#found) if (!found.has(key)) this.#sightings.delete(key)
    for (const [key, address] of found) this.#sightings.put({ key, addresses: [address] })
    this.#found = new Set(found.keys())
  }

  async #askFor(question: Question): Promise<void> {
    const { resolve = resolveBySystem, resolveServices = resolveSrv } = this.#options
    try {
      const addresses =
        question.type === 'host'
          ? await resolveOne(question.address, resolve)
          : await resolveAll((await resolveServices(question.name)).slice(0, MAX_FOUND).map(toAddress), resolve)
      if (addresses.length === 0) throw new Error('no address')
      this.#answers.set(question.name, addresses)
      this.#failures.delete(question.name)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      this.#failures.set(question.name, code ?? message ?? String(error))
    }
  }
}

const toAddress = ({ name, port }: { readonly name: string; readonly port: number }): Address => ({ host: name, port })

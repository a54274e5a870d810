/**
 * A port of the router that leads to this node, asked for by whatever the router speaks: PCP, NAT-PMP or UPnP.
 *
 * Only where it is needed: as long as `isNeeded` says so (there is a NAT). What the router gives lasts for a while, so it
 * is renewed well before, which also finds a router that was restarted; what it does not give is asked for again later,
 * ever more seldom. All of it takes place beside the node's work: nothing waits for it, failures are a status.
 *
 * Written here and not taken from a package: the kept ones listen on a fixed port, on which two nodes of one machine take
 * each other's answers and a single short datagram from anybody ends the process; see docs/nat.md.
 */
import ipaddr from 'ipaddr.js'
import { Chore, jittered } from '../../../discovery/chore.ts'
import { within } from '../../../discovery/within.ts'
import { type Address, formatAddress, sameAddress } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import type { Asking } from './gateway-wire.ts'
import type { MappingProtocol, MapRequest } from './mapping-protocol.ts'
import { PcpMapping } from './pcp-mapping.ts'
import { UpnpMapping } from './upnp-mapping.ts'

const LIFETIME_SECONDS = 3600
/** A router that was restarted has forgotten all; RFC 6886 and 6887 renew at half the lifetime, which is the other bound. */
const RENEW_MS = 10 * 60_000
const MIN_RENEW_MS = 15_000
/** Whether it is needed is looked at as often. */
const IDLE_MS = 30_000
const MIN_RETRY_MS = 60_000
const MAX_RETRY_MS = 30 * 60_000
const JITTER = 0.1
/** `stop` waits no longer for the router: for what it is asked just now, which can be taken back only once it is given ... */
const LAST_ANSWER_MS = 250
/** ... and for the taking back. */
const FAREWELL_MS = 500

export interface PortMapper {
  /** Begins to look whether it is needed. */
  start(): void
  /** Looks now: something changed. */
  soon(): void
  /** Where the router lets the world in, if it does. */
  readonly address: Address | undefined
  /** For people: what works, or why it does not. */
  readonly status: string
  /** Takes the mapping back. Bounded, idempotent, never rejects. */
  stop(): Promise<void>
}

export interface PortMapperOptions {
  readonly clock: Clock
  readonly random: Random
  /** The node's own port. */
  readonly port: number
  /** There is a NAT between this node and the world. */
  readonly isNeeded: () => boolean
  /** `address` is another one now. */
  readonly changed: () => void
  /** In the order to try. */
  readonly protocols?: readonly MappingProtocol[]
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'asking' }
  | {
      readonly kind: 'mapped'
      readonly by: MappingProtocol
      readonly address: Address
      readonly lifetimeMs: number
      readonly untilMs: number
    }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'stopped' }

export const portMapper = (options: PortMapperOptions): PortMapper => new GatewayMapper(options)

class GatewayMapper implements PortMapper {
  readonly #options: PortMapperOptions
  readonly #protocols: readonly MappingProtocol[]
  readonly #chore: Chore
  readonly #ending = new AbortController()
  #state: State = { kind: 'idle' }
  /** What `changed` was called for last. */
  #told: Address | undefined
  #failures = 0
  #working: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(options: PortMapperOptions) {
    const { clock, random } = options
    this.#options = options
    this.#protocols = options.protocols ?? [new PcpMapping({ random }), new UpnpMapping({ random })]
    const pauseMs = (): number => jittered(this.#pauseMs(), JITTER, random.float())
    const work = (): Promise<void> => {
      this.#working = this.#work()
      return this.#working
    }
    this.#chore = new Chore({ clock, work, pauseMs })
  }

  start(): void {
    this.#chore.soon()
  }

  soon(): void {
    if (this.#state.kind === 'idle') this.#chore.soon()
  }

  get address(): Address | undefined {
    const state = this.#state
    return state.kind === 'mapped' && state.untilMs > this.#options.clock.now() ? state.address : undefined
  }

  get status(): string {
    const state = this.#state
    if (state.kind === 'idle') return 'not needed: no NAT is known of'
    if (state.kind === 'asking') return 'asking the router'
    if (state.kind === 'mapped') return `the router leads ${formatAddress(state.address)} here, by ${state.by.name}`
    return state.kind === 'failed' ? `the router maps no port: ${state.why}` : 'stopped'
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#chore.stop()
    if (this.#working !== undefined) await within(this.#options.clock, LAST_ANSWER_MS, this.#working)
    this.#ending.abort()
    const state = this.#state
    this.#state = { kind: 'stopped' }
    if (state.kind === 'mapped') await this.#takeBack(state.by)
  }

  async #work(): Promise<void> {
    const { clock, isNeeded } = this.#options
    const before = this.#state
    if (!isNeeded()) {
      this.#become({ kind: 'idle' })
      this.#failures = 0
      if (before.kind === 'mapped') await this.#takeBack(before.by)
      return
    }
    if (before.kind !== 'mapped') this.#become({ kind: 'asking' })
    const reasons: string[] = []
    // Whoever has it renews it.
    const first = before.kind === 'mapped' ? before.by : this.#protocols[0]
    for (const by of [...this.#protocols].sort((a, b) => Number(b === first) - Number(a === first))) {
      try {
        const { address, lifetimeMs } = await by.map(this.#request(LIFETIME_SECONDS), this.#asking())
        if (this.#ending.signal.aborted) return void (await this.#takeBack(by))
        if (!isPublic(address.host)) {
          await this.#takeBack(by)
          throw new Error(`there is another NAT beyond it, its own address being ${address.host}`)
        }
        this.#failures = 0
        return this.#become({ kind: 'mapped', by, address, lifetimeMs, untilMs: clock.now() + lifetimeMs })
      } catch (error) {
        reasons.push(`${by.name}: ${(error as Error).message}`)
      }
      if (this.#stopping !== undefined) return
    }
    this.#failures++
    // What was given holds until it is over.
    if (this.address === undefined) this.#become({ kind: 'failed', why: reasons.join('; ') })
  }

  #become(state: State): void {
    if (this.#state.kind === 'stopped') return
    const before = this.#told
    this.#state = state
    if (this.#stopping !== undefined) return
    const now = this.address
    this.#told = now
    const isSame = before === undefined || now === undefined ? before === now : sameAddress(before, now)
    if (!isSame) this.#options.changed()
  }

  async #takeBack(by: MappingProtocol): Promise<void> {
    const { clock } = this.#options
    const ending = new AbortController()
    await within(
      clock,
      FAREWELL_MS,
      by.unmap(this.#request(0), { clock, signal: ending.signal }).catch(() => {}),
    )
    ending.abort()
  }

  #request(lifetimeSeconds: number): MapRequest {
    const { port } = this.#options
    return { internalPort: port, wantedPort: port, lifetimeSeconds }
  }

  #asking(): Asking {
    return { clock: this.#options.clock, signal: this.#ending.signal }
  }

  #pauseMs(): number {
    const state = this.#state
    if (state.kind === 'idle') return IDLE_MS
    const retryMs = Math.min(MIN_RETRY_MS * 2 ** Math.max(0, this.#failures - 1), MAX_RETRY_MS)
    if (state.kind !== 'mapped') return retryMs
    const renewMs = this.#failures > 0 ? retryMs : Math.min(state.lifetimeMs / 2, RENEW_MS)
    // Also when it is over: others are to hear of it.
    return Math.max(MIN_RENEW_MS, Math.min(renewMs, state.untilMs - this.#options.clock.now()))
  }
}

/** Ranges that lead nowhere beyond the networks of a provider or a house (RFC 6598 for the first). */
const NOT_PUBLIC: readonly string[] = [
  'carrierGradeNat',
  'private',
  'loopback',
  'linkLocal',
  'unspecified',
  'multicast',
  'broadcast',
]

export const isPublic = (host: string): boolean =>
  ipaddr.isValid(host) && !NOT_PUBLIC.includes(ipaddr.parse(host).range())

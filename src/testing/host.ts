/**
 * One machine of a simulation, with the node that runs on it: what can happen to a machine.
 *
 * The machine stays, its nodes come and go: `node` is the latest one. What it does not do: the network between machines,
 * see simulation.ts.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Identity } from '../../certs/identity.ts'
import type { Clock } from '../../transport/clock.ts'
import type { ClockSkew } from '../../transport/memory-host.ts'
import type { SkeinNode } from '../node.ts'
import { type SimulatedCluster, simulatedHost } from './cluster.ts'
import { describeEvent, type Journal } from './journal.ts'

/** What a host needs of its simulation. */
export interface HostParts {
  readonly index: number
  readonly name: string
  readonly cluster: SimulatedCluster
  readonly journal: Journal
  readonly identity: Identity
  /** Makes another identity while time stands still. */
  newIdentity(): Promise<Identity>
  /** The run has ended, and whatever a scenario does yet has no effect. */
  isOver(): boolean
  /** Called with each node that was started here. */
  boot(host: SimulatedHost): void
}

export class SimulatedHost {
  readonly name: string
  /** The address that its node listens on. */
  readonly address: string
  readonly #parts: HostParts
  #identity: Identity
  #node: SkeinNode | undefined
  #crashed = false

  /** @internal Made by `simulate`. */
  constructor(parts: HostParts) {
    this.#parts = parts
    this.name = parts.name
    this.address = simulatedHost(parts.index)
    this.#identity = parts.identity
  }

  /** The node that runs here, or ran here last. */
  get node(): SkeinNode {
    if (this.#node === undefined) throw new SkeinError('ERR_SKEIN_STOPPED', `No node was started on ${this.name}.`)
    return this.#node
  }

  /** True from a start to a crash or to the node's stop, also while paused. */
  get isUp(): boolean {
    return this.state !== 'crashed' && this.#node?.isAlive === true
  }

  get state(): 'running' | 'paused' | 'crashed' {
    return this.#crashed ? 'crashed' : this.#parts.cluster.network.stateOf(this.address)
  }

  /** Time as this machine sees it. */
  get clock(): Clock {
    return this.#parts.cluster.network.clockOf(this.address)
  }

  /** kill -9: the node is gone and nobody is told. */
  crash(): void {
    if (this.#parts.isOver() || this.state === 'crashed') return
    this.#note('crashes')
    this.#crashed = true
    this.#parts.cluster.crash(this.#parts.index)
  }

  /**
   * Starts a node again, after a crash or a stop: a new incarnation, of the same identity unless said otherwise. The clock
   * is right again. Rejects with ERR_SKEIN_BAD_ARGUMENT while a node runs here.
   */
  async restart(options: { readonly identity?: 'same' | 'new' | Identity } = {}): Promise<SkeinNode> {
    if (this.isUp) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `A node is still running on ${this.name}.`)
    const { identity = 'same' } = options
    if (identity === 'new') this.#identity = await this.#parts.newIdentity()
    else if (identity !== 'same') this.#identity = identity
    if (this.#parts.isOver()) throw new SkeinError('ERR_SKEIN_STOPPED', 'The simulation is over.')
    this.#note('starts again')
    return this.start()
  }

  /** The machine stands still, as under a debugger or a closed lid: timers do not run, packets wait. */
  pause(): void {
    if (this.#parts.isOver()) return
    this.#note('pauses')
    this.#parts.cluster.network.pause(this.address)
  }

  resume(): void {
    this.#note('goes on')
    this.#parts.cluster.network.resume(this.address)
  }

  /** From now on the clock gains or loses (`rate`), or its calendar is wrong (`wallOffsetMs`). Until the next crash. */
  skewClock(skew: Partial<ClockSkew>): void {
    this.#note(`clock ${JSON.stringify(skew)}`)
    this.#parts.cluster.network.skewClock(this.address, skew)
  }

  /** @internal The first start; later ones are called `restart`. */
  async start(): Promise<SkeinNode> {
    const { cluster, index, boot } = this.#parts
    this.#crashed = false
    this.#node = await cluster.start(index, { name: `${this.name}@${this.address}`, identity: this.#identity })
    void this.#listen(this.#node)
    boot(this)
    return this.#node
  }

  async #listen(node: SkeinNode): Promise<void> {
    for await (const event of node.events) {
      const text = describeEvent(event)
      if (text !== undefined) this.#note(text)
    }
  }

  #note(text: string): void {
    this.#parts.journal.add(this.name, text)
  }
}

/**
 * Where this node is, as far as it knows, and what it tells of that: how others see it, which port a router opened for it,
 * and who introduces it to those who cannot dial it.
 *
 * Members that are connected tell how they see it (self-view.ts); now and then the DHT is asked too, and the machine
 * whether its interfaces changed. What comes of it goes into the node's record. Where the carrier has but one way
 * (memory, TCP alone) nothing is looked at: the interfaces are all there is.
 */
import { Chore } from '../../../discovery/chore.ts'
import type { PortMapping } from '../../../discovery/dht/votes.ts'
import type { NatClass } from '../../../discovery/source.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import type { Transport } from '../../../transport/transport.ts'
import { type ConnectedNode, seenAt } from '../connected-node.ts'
import { Introducers } from './introducers.ts'
import { type PortMapper, portMapper } from './port-mapping.ts'
import { SelfView } from './self-view.ts'

/** How often the DHT and the machine are asked. */
const LOOK_MS = 30_000

export interface OwnPlaceOptions {
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  /** Routers are asked for a port. */
  readonly portMapping: boolean
  /** What the DHT sees of this node, where it takes part in one. */
  readonly dht: (() => { readonly publicAddress: Address | undefined; readonly portMapping: PortMapping }) | undefined
  /** What the node tells of itself is out of date. */
  changed(): void
}

/** What a node's record says of where it is. */
export interface Told {
  readonly addresses: readonly Address[]
  readonly nat: NatClass
  readonly introducers?: readonly Address[]
}

export class OwnPlace {
  readonly view: SelfView
  readonly #introducers: Introducers
  readonly #mapper: PortMapper | undefined
  readonly #looks: Chore | undefined

  constructor({ clock, random, transport, portMapping, dht, changed }: OwnPlaceOptions) {
    this.view = new SelfView({
      clock,
      local: () => transport.addresses(),
      changed: () => {
        this.#mapper?.soon()
        changed()
      },
    })
    this.#introducers = new Introducers(changed)
    const port = transport.addresses()[0]?.port
    if (transport.ways === undefined || port === undefined) return
    const work = async (): Promise<void> => {
      this.view.localChanged()
      if (dht === undefined) return
      const { publicAddress, portMapping: mapping } = dht()
      this.view.dhtSaw(publicAddress, mapping)
    }
    this.#looks = new Chore({ clock, work, pauseMs: () => LOOK_MS })
    if (!portMapping) return
    this.#mapper = portMapper({
      clock,
      random,
      port,
      isNeeded: () => this.view.mayHaveNat,
      changed: () => this.view.mapped(this.#mapper?.address),
    })
  }

  start(): void {
    this.#looks?.soon(LOOK_MS)
    this.#mapper?.start()
  }

  /** A member is connected, or its connection took another way. */
  met(node: ConnectedNode): void {
    const { id, address, reaches, isDialledThere } = node
    const nat = seenAt(node).length > 0 ? 'open' : undefined
    if (reaches) this.#introducers.met({ id, address, dialled: isDialledThere, nat })
    else this.#introducers.gone(id)
  }

  /** This node needs the connection to that member, though no process may: it introduces it to others. */
  needs(id: string): boolean {
    return this.view.publishedNat !== 'open' && this.#introducers.ids().includes(id)
  }

  /** A member is connected no more. */
  gone(id: string): void {
    this.#introducers.gone(id)
  }

  told(): Told {
    const nat = this.view.publishedNat
    const addresses = this.view.advertised()
    return nat === 'open' ? { addresses, nat } : { addresses, nat, introducers: this.#introducers.addresses() }
  }

  /** What the router says to our wish for a port; undefined: it is not asked. */
  get mapping(): string | undefined {
    return this.#mapper?.status
  }

  /** Takes back what the router opened. Bounded, never rejects. */
  async stop(): Promise<void> {
    this.#looks?.stop()
    await this.#mapper?.stop()
  }
}

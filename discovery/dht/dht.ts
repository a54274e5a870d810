/** Skeleton, bodies follow. What the responder is given, and the public face. */
import type { Address } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { Family } from './compact-address.ts'
import type { Contact, DhtKey, ItemBody } from './message.ts'

export interface DhtOptions {
  readonly clock: Clock
  readonly random: Random
  readonly send: (bytes: Uint8Array, to: Address) => void
  /** ip4 alone by default. */
  readonly families?: readonly Family[]
  /** 'public' is the mainline network, where ids must fit addresses (BEP 42). */
  readonly network?: 'private' | 'public'
  readonly id?: DhtKey
  /** Contacts of an earlier run, asked before they are believed. */
  readonly contacts?: readonly Contact[]
  readonly readOnly?: boolean
}

export interface MutableKey {
  readonly publicKey: Uint8Array
  readonly salt?: Uint8Array
}

export interface MutablePut extends MutableKey {
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly sequence: number
  /** In bencoded form. */
  readonly value: Uint8Array
  readonly compareAndSwap?: number
}

/** The DHT calls `responder.answer(query or malformed, from, requestBytes)` and sends the bytes it gives, if any. */
export interface DhtFace {
  readonly id: DhtKey
  readonly publicAddress: Address | undefined
  receive(bytes: Uint8Array, from: Address): void
  bootstrap(addresses: readonly Address[]): Promise<number>
  findNode(target: DhtKey): Promise<Contact[]>
  getPeers(key: DhtKey, onPeers?: (peers: readonly Address[]) => void): Promise<Address[]>
  /** How many nodes stored it. */
  announce(key: DhtKey, port?: number): Promise<number>
  getItem(target: DhtKey | MutableKey, options?: { readonly sequence?: number }): Promise<ItemBody | undefined>
  /** How many nodes stored it. */
  putImmutable(value: Uint8Array): Promise<number>
  putMutable(put: MutablePut): Promise<number>
  contacts(): Contact[]
  counters(): Readonly<Record<string, number>>
  stop(): void
}

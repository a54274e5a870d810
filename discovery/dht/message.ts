/**
 * What DHT nodes say to each other (KRPC), as values: queries, replies and errors of BEP 5, 32, 42, 43, 44.
 *
 * Only what is well-formed becomes one of these (krpc.ts decides); what is merely odd, such as a token of somebody else's,
 * is the business of whoever handles it. Ids and targets have 20 bytes. Byte strings are the receiver's own copies.
 */
import type { Address } from '../../transport/address.ts'

/** 160 bits: a node's id, the key of an item, or an info-hash. */
export type DhtKey = Uint8Array

/** A node of the DHT as others name it. */
export interface Contact {
  readonly id: DhtKey
  readonly address: Address
}

/** Families of nodes a querier wants (BEP 32). */
export type Want = 'n4' | 'n6'

/** An item as it travels (BEP 44). `value` is the bencoded form, exactly as it came: signatures cover these bytes. */
export interface ItemBody {
  readonly value: Uint8Array
  /** Of a mutable item only. */
  readonly mutable?: {
    readonly publicKey: Uint8Array
    readonly signature: Uint8Array
    readonly sequence: number
  }
}

interface QueryBase {
  readonly kind: 'query'
  /** Chosen by the querier, 1 to 16 bytes; comes back in the answer. */
  readonly transaction: Uint8Array
  readonly id: DhtKey
  /** BEP 43: answers no queries, and is not to enter any table. */
  readonly readOnly: boolean
  /** 'v' of the message: client and version, if it says so. */
  readonly version?: Uint8Array
}

export type Query =
  | (QueryBase & { readonly method: 'ping' })
  | (QueryBase & { readonly method: 'find_node'; readonly target: DhtKey; readonly want: readonly Want[] })
  | (QueryBase & { readonly method: 'get_peers'; readonly target: DhtKey; readonly want: readonly Want[] })
  | (QueryBase & {
      readonly method: 'announce_peer'
      readonly target: DhtKey
      readonly token: Uint8Array
      /** Undefined: the port the query came from (implied_port). */
      readonly port: number | undefined
    })
  | (QueryBase & {
      readonly method: 'get'
      readonly target: DhtKey
      /** The value is wanted only if its sequence number is greater. */
      readonly sequence?: number
      readonly want: readonly Want[]
    })
  | (QueryBase & {
      readonly method: 'put'
      readonly token: Uint8Array
      readonly item: ItemBody
      readonly salt?: Uint8Array
      /** Store only if what is stored has this sequence number. */
      readonly compareAndSwap?: number
    })
  /** A method that is not known. With a target it is answered like find_node, without with an error. */
  | (QueryBase & { readonly method: 'unknown'; readonly name: string; readonly target?: DhtKey })

export interface Reply {
  readonly kind: 'reply'
  readonly transaction: Uint8Array
  readonly id: DhtKey
  /** Where the answering node sees the querier (BEP 42). */
  readonly observed?: Address
  /** Of both families, in the order given. */
  readonly nodes: readonly Contact[]
  readonly token?: Uint8Array
  /** Peers of get_peers. */
  readonly peers?: readonly Address[]
  readonly item?: ItemBody
  /** The sequence number where the value itself was not wanted. */
  readonly sequence?: number
  readonly version?: Uint8Array
}

export interface Fault {
  readonly kind: 'fault'
  readonly transaction: Uint8Array
  readonly code: number
  readonly message: string
  /** As in a reply: those who refuse a node because its id does not fit its address tell it the address, too. */
  readonly observed?: Address
}

export type KrpcMessage = Query | Reply | Fault

/** Error codes of BEP 5 and BEP 44. */
export const FAULT = {
  generic: 201,
  server: 202,
  protocol: 203,
  unknownMethod: 204,
  tooBig: 205,
  badSignature: 206,
  saltTooBig: 207,
  compareAndSwapMismatch: 301,
  sequenceTooSmall: 302,
} as const

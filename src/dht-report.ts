/**
 * What a node of the DHT tells of itself to people and programs: `skein dht` prints it.
 */
import type { Dht } from '../discovery/dht/dht.ts'
import { keyText } from '../discovery/dht/dht-id.ts'
import type { PortMapping } from '../discovery/dht/votes.ts'
import { type Address, formatAddress } from '../transport/address.ts'

/** Contacts listed at most. */
const MAX_LISTED = 256

/** What a node knows of the DHT that it takes part in: `report()` of a bootstrap node, `skein dht`. */
export interface DhtReport {
  /** 40 hex digits. */
  readonly id: string
  /** Where others see this node, once enough of them agree. */
  readonly publicAddress: Address | undefined
  /** What the ports tell at which others see it. */
  readonly portMapping: PortMapping
  readonly contacts: readonly { readonly id: string; readonly address: string }[]
  /** Of others, kept here. */
  readonly items: number
  readonly announcements: number
  readonly counters: Readonly<Record<string, number>>
  /** Of a bootstrap node: code and text of the error, if its contacts could not be saved last. */
  readonly unsaved?: string
}

export const reportOf = (dht: Dht): DhtReport => {
  const { publicAddress, portMapping, items, peers } = dht.status()
  const contacts = dht.contacts().slice(0, MAX_LISTED)
  return {
    id: keyText(dht.id),
    publicAddress,
    portMapping,
    contacts: contacts.map(({ id, address }) => ({ id: keyText(id), address: formatAddress(address) })),
    items,
    announcements: peers,
    counters: dht.counters(),
  }
}

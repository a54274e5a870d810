/**
 * What a node tells of its part in the DHT, as the page shows it. Only what fits the shape is taken over: whatever a node
 * answers, the page can show it. Sans-io.
 */
import { formatAddress } from '../../../transport/address.ts'
import { isSaid, list, number, saidOf, text } from '../../observe/check-snapshot.ts'

/** Contacts that are shown. */
const MAX_CONTACTS = 256

export interface DhtView {
  readonly id: string
  /** Undefined: not known yet. */
  readonly publicAddress: string | undefined
  readonly contacts: readonly { readonly id: string; readonly address: string }[]
  /** Of others, kept there. */
  readonly items: number
  readonly announcements: number
}

/** Undefined for a node without a DHT, and for what is no report. */
export const dhtViewOf = (said: unknown): DhtView | undefined => {
  if (!isSaid(said)) return undefined
  const { id, publicAddress, contacts, items, announcements } = said
  return {
    id: text(id),
    publicAddress: isSaid(publicAddress)
      ? formatAddress({ host: text(publicAddress.host), port: number(publicAddress.port) })
      : undefined,
    contacts: list(contacts, MAX_CONTACTS, (one) => {
      const { id, address } = saidOf(one)
      return { id: text(id), address: text(address) }
    }),
    items: number(items),
    announcements: number(announcements),
  }
}

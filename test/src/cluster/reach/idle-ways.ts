/** Ways of datagrams that lead nowhere, for tests of what chooses between them. */
import type { RelayedWay } from '../../../../src/cluster/reach/relay-client.ts'
import type { Address } from '../../../../transport/address.ts'
import type { Way, WayKind } from '../../../../transport/way.ts'

const SEEN: Address = { host: '198.51.100.2', port: 7000 }

export const wayOf = (kind: WayKind, key: string): Way => ({ kind, key, address: SEEN, maxBytes: 1472, send: () => {} })

export const relayedOf = (token: number): RelayedWay => ({
  way: wayOf('relay', 'relay r 1'),
  peerId: 'b',
  relayId: 'r',
  token: new Uint8Array(16).fill(token),
  observed: SEEN,
  isIncoming: false,
  isOpen: true,
  close: () => {},
})

/**
 * Lists of connected nodes for a peer of protocol version 1, which asks for them.
 */

import { type ConnectedNode, seenAt } from './connected-node.ts'
import { encodePeers, MAX_PEERS_IN_FRAME, type PeerHint } from './control.ts'
import { isLoopback } from './membership/member-record.ts'

/** As frames. Loopback addresses are of use only to who is on this machine too. */
export const peerLists = (nodes: readonly ConnectedNode[], isLocal: boolean): Uint8Array[] => {
  const hints: PeerHint[] = nodes.map((node) => {
    const { name, id, incarnation } = node
    const addresses = [...seenAt(node), ...node.listens].filter((one) => isLocal || !isLoopback(one))
    return { name, id, incarnation, addresses }
  })
  const lists: Uint8Array[] = []
  for (let i = 0; i < hints.length; i += MAX_PEERS_IN_FRAME) {
    lists.push(encodePeers(hints.slice(i, i + MAX_PEERS_IN_FRAME)))
  }
  return lists
}

/**
 * A session as membership needs it.
 */

import { type ConnectedNode, isOnThisMachine, seenAt } from '../connected-node.ts'
import { CONTROL } from '../control.ts'
import type { Session } from '../session.ts'
import type { GossipPeer } from './grapevine.ts'

export const gossipPeerOf = (node: ConnectedNode, session: Session): GossipPeer => ({
  name: node.name,
  incarnation: node.incarnation,
  isLocal: isOnThisMachine(node),
  seenAt: seenAt(node),
  listens: node.listens,
  carrier: {
    id: node.id,
    version: node.version,
    isHidden: node.hidden,
    acknowledgesTicks: !node.dialled && session.lanes.connection.carrier !== 'tcp',
    get lastHeardMs() {
      return session.lanes.lastHeardMs
    },
    rttMs: () => session.lanes.connection.stats().rttMs,
    tick: (checksum) => session.tick(checksum),
    probe: (number) => session.probe(number),
    tell: (frame, body) => session.meshFrame(frame, body),
    giveUp: () => session.end('ERR_SKEIN_CONNECTION_LOST', 'The peer was silent for too long.', 'net_tick_timeout'),
  },
  askForPeers: () => session.askForPeers(),
})

/** Frames that are membership's, among those of the control lane. */
export const isMembershipFrame = (type: number): boolean => type > CONTROL.pong && type < CONTROL.sight

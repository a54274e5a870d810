/**
 * Signals of other nodes: each goes to the part of the process layer that knows its kind. Nothing here throws because of
 * what a peer sent.
 */
import type { Hold } from '../../transport/lane.ts'
import type { Signal } from '../signals.ts'
import type { Bridge } from './bridge.ts'
import type { Services } from './self.ts'

type Parts = Pick<
  Services,
  'post' | 'multicast' | 'calls' | 'links' | 'monitors' | 'exits' | 'births' | 'spawns' | 'inspection' | 'streams'
>

/** One signal that came over `bridge`, as so many bytes; a Hold asks to stop reading that lane until relieved. */
export const receive = (parts: Parts, bridge: Bridge, signal: Signal, sizeBytes: number): Hold | undefined => {
  switch (signal.type) {
    case 'send':
    case 'cast':
      return parts.post.receive(bridge, signal, sizeBytes)
    case 'sendMany':
      return parts.multicast.receive(bridge, signal, sizeBytes)
    case 'call':
      return parts.calls.onCall(bridge, signal, sizeBytes)
    case 'reply':
      parts.calls.onReply(bridge, signal)
      break
    case 'callFailed':
      parts.calls.onCallFailed(bridge, signal)
      break
    case 'callEnded':
      parts.calls.onCallEnded(bridge, signal)
      parts.streams.onCallEnded(bridge, signal.call)
      break
    case 'link':
      parts.links.onLink(bridge, signal)
      break
    case 'unlink':
      parts.links.onUnlink(bridge, signal)
      break
    case 'unlinkAck':
      parts.links.onUnlinkAck(bridge, signal)
      break
    case 'linkExit':
      parts.links.onLinkExit(bridge, signal)
      break
    case 'monitor':
      parts.monitors.onMonitor(bridge, signal)
      break
    case 'demonitor':
      parts.monitors.onDemonitor(bridge, signal)
      break
    case 'down':
      parts.monitors.onDown(bridge, signal)
      break
    case 'exit':
      parts.exits.onExit(bridge, signal)
      break
    case 'spawn':
      parts.births.onSpawn(bridge, signal)
      break
    case 'spawned':
      parts.spawns.onSpawned(bridge, signal)
      break
    case 'started':
      parts.spawns.onStarted(bridge, signal)
      break
    case 'spawnFailed':
      parts.spawns.onSpawnFailed(bridge, signal)
      break
    case 'stream':
      parts.streams.onStream(bridge, signal, sizeBytes)
      break
    case 'inspect':
      parts.inspection.onInspect(bridge, signal)
      break
  }
  return undefined
}

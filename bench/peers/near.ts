/**
 * The near end of a system written for Node, in a process of its own, so that none of them shares a heap or compiled code
 * with another. Forked with the name of the system; does the work it is asked for.
 */
import { serve } from '../peer.ts'
import { startLibp2pPair } from './libp2p.ts'
import { startPlatform } from './platform.ts'
import type { PeerSystem, Work } from './system.ts'

const STARTS: Readonly<Record<string, () => Promise<PeerSystem>>> = {
  // Only here: it needs the built package.
  skein: async () => (await import('./skein.ts')).startSkein(),
  'libp2p-quic': () => startLibp2pPair('quic'),
  'libp2p-tcp': () => startLibp2pPair('tcp'),
  'node-tls': () => startPlatform('node-tls'),
  dgram: () => startPlatform('dgram'),
}

await serve(async ({ name }) => {
  const system = await STARTS[String(name)]!()
  return {
    ready: {},
    answer: (request) => {
      const { work, part } = request as { work: Work; part: number }
      return system.measure(work, part)
    },
    stop: () => system.stop(),
  }
})

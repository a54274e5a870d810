/** Every system of the comparison: what it does, whether this machine has it, and how to start it. */
import { existsSync } from 'node:fs'
import { startPeer } from '../peer.ts'
import { startErlang } from './erlang.ts'
import { hasErlang } from './erlang-node.ts'
import { hasLibp2p } from './libp2p-node.ts'
import type { PeerSystem, Result, Work } from './system.ts'

export interface SystemEntry {
  readonly name: string
  readonly works: readonly Work[]
  /** What this machine lacks for it, if anything. */
  readonly missing: () => string | undefined
  readonly start: () => Promise<PeerSystem>
}

const ACTORS = ['ping-pong', 'call', '100B-1-sender', '100B-64-senders', '100B-1000-senders'] as const

const startNear = async (name: string): Promise<PeerSystem> => {
  const near = await startPeer(new URL('near.ts', import.meta.url), { name })
  return {
    measure: async (work, part) => (await near.ask({ work, part })) as Result,
    stop: () => near.stop(),
  }
}

export const SKEIN: SystemEntry = {
  name: 'skein',
  works: [...ACTORS, '64KiB-1350', '64KiB-path'],
  missing: () => (existsSync(new URL('../../dist', import.meta.url)) ? undefined : 'the built package (npm run build)'),
  start: () => startNear('skein'),
}

const erlang = (carrier: 'tcp' | 'tls'): SystemEntry => ({
  name: `erlang-${carrier}`,
  works: [...ACTORS, '64KiB'],
  missing: () =>
    hasErlang(carrier) ? undefined : `Erlang (Debian: erlang-base${carrier === 'tls' ? ' erlang-ssl' : ''}, on Linux)`,
  start: () => startErlang(carrier),
})

/** One stream of messages: many senders are what actors are for. */
const libp2p = (name: string): SystemEntry => ({
  name,
  works: ['ping-pong', '100B-1-sender', '64KiB'],
  missing: () => (hasLibp2p() ? undefined : 'js-libp2p (npm ci --prefix bench/peers)'),
  start: () => startNear(name),
})

const platform = (name: string): SystemEntry => ({
  name,
  works: ['ping-pong', '64KiB'],
  missing: () => undefined,
  start: () => startNear(name),
})

export const PEERS: readonly SystemEntry[] = [
  erlang('tls'),
  erlang('tcp'),
  libp2p('libp2p-quic'),
  libp2p('libp2p-tcp'),
  platform('node-tls'),
  platform('dgram'),
]

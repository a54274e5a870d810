/**
 * What is wanted of us beside each peer, by metric: of times at most so much of theirs, of rates at least so much.
 * The comparison shows it and marks what is missed; it fails nothing.
 */
export const WANTED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'ping-pong': { 'erlang-tls': 1, 'erlang-tcp': 1.3, 'libp2p-quic': 0.8 },
  call: { 'noex-in-proportion': 0.8 },
  '100B-1-sender': { 'erlang-tls': 2, 'libp2p-quic': 20, 'noex-in-proportion': 7 },
  '100B-64-senders': { 'erlang-tls': 2.5, 'erlang-tcp': 1 },
  '100B-1000-senders': { 'erlang-tls': 2 },
  '64KiB-1350': { 'erlang-tls': 1.5, 'libp2p-quic': 1.8, dgram: 0.45 },
  '64KiB-path': { 'erlang-tls': 5, 'node-tls': 0.45 },
}

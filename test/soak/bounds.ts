/** What may be more at the end than after the warm-up, up to a bound that the code enforces. */
import type { Bound } from './verdict.ts'

/** Kept of each member that went, for a time that is longer than the run, or than what is left of it. */
const GONE = 'told of by others, found by the DHT, or looked for, for up to an hour'
const IN_DHT = 'records and announcements of a node stay in the DHT for up to two hours'
const OF_CONNECTION = 'bounded for each of five connections'

export const BOUNDS: readonly Bound[] = [
  { kind: 'figure dead letters', most: Number.POSITIVE_INFINITY, why: 'a sum since the start' },
  { kind: 'figure crashes', most: Number.POSITIVE_INFINITY, why: 'a sum since the start' },
  { kind: 'figure queued bytes', most: 16_384, why: 'ticks and gossip under way' },
  { kind: 'resource Timeout', most: 48, why: 'dials to members that went, tries of the DHT' },
  { kind: 'resource ConnectWrap', most: 4, why: 'dials over TCP to members that went' },
  { kind: 'resource TCPSocketWrap', most: 4, why: 'dials over TCP to members that went' },
  { kind: 'resource Immediate', most: 48, why: 'of the look itself' },
  { kind: 'object DirectWay', perGone: 2, why: 'kept for each address heard from, 4096 at most' },
  { kind: 'table DirectWays.#ways', perGone: 2, why: 'kept for each address heard from, 4096 at most' },
  { kind: 'table DiscoveryTable.#entries', perGone: 1, why: GONE },
  { kind: 'table DiscoveryTable.#entryOf', perGone: 3, why: `${GONE}, by three sources` },
  { kind: 'table Sightings.#byKey', perGone: 3, why: `${GONE}, by three sources` },
  { kind: 'figure seen by dht', perGone: 2, why: GONE },
  { kind: 'table Mesh.#candidates', perGone: 1, why: GONE },
  { kind: 'table Mesh.#silent', perGone: 1, why: GONE },
  { kind: 'table Roster.#records', perGone: 1, why: 'of who went, for ten minutes' },
  { kind: 'table Roster.#tombstones', perGone: 1, why: 'of who went, for ten minutes' },
  { kind: 'table Overlap.#served', perGone: 2, why: 'questions about who went, for an hour' },
  { kind: 'table Overlap.#conflicts', perGone: 1, why: 'questions about who went, for ten minutes' },
  { kind: 'table Parted.#keys', perGone: 1, why: 'of who went, 4096 at most' },
  { kind: 'table Peers.#failures', perGone: 1, why: 'dials to who went' },
  { kind: 'table CallKeys.#strays', perGone: 1, why: 'calls that who went left open, 4096 at most' },
  { kind: 'table RecordFinder.#kept', perGone: 1, why: 'records of who went, 1024 at most' },
  { kind: 'table IndirectProbes.#errands', most: 64, perGone: 4, why: 'questions about who went, for 10 s' },
  { kind: 'table RoutingTable.#counts', most: 160, why: 'one for each bit of an id' },
  { kind: 'figure dht announcements', perGone: 4, why: IN_DHT },
  { kind: 'figure dht items', perGone: 8, why: IN_DHT },
  { kind: 'table NearestMap.#entries', perGone: 12, why: IN_DHT },
  { kind: 'table SourceCounts.#counts', perGone: 4, why: IN_DHT },
  {
    kind: 'table NumberTable.#numbers',
    most: 4096,
    why: 'room that doubles with the most processes there were at once',
  },
  {
    kind: 'table NumberTable.#values',
    most: 4096,
    why: 'room that doubles with the most processes there were at once',
  },
  { kind: 'table Ring.#notes', most: 2048, why: 'room of mailboxes, which doubles and stays' },
  { kind: 'table Ring.#slots', most: 2048, why: 'room of mailboxes, which doubles and stays' },
  { kind: 'table OnePunch.#timers', most: 128, why: 'tries to reach members that went, for some seconds' },
  { kind: 'object Allowance', perGone: 4, why: 'of sessions, and of who told of others' },
  { kind: 'table Deadlines.#lines', most: 64, why: 'sixteen durations are kept, for each of a few tables' },
  { kind: 'table PacketBuffer.#views', most: 1024, why: 'views of packets by length' },
  { kind: 'table WayKeeper.#gone', most: 10 * 64, why: 'bounded for each connection, of which dials make some more' },
  { kind: 'table Decoder.#known', most: 128, why: 'keys of the connection that was read from last' },
  { kind: 'table Wire.#known', most: 128, why: 'keys of the connection that was read from last' },
  { kind: 'object Sender', most: 160, why: 'of each process that has written to one of five nodes' },
  { kind: 'table Bridge.senders', most: 160, why: 'each process that has written to one of five nodes' },
  { kind: 'table Process.bridges', most: 160, why: 'each process that has written to one of five nodes' },
  { kind: 'table EarlyDatagrams.#kept', most: 5 * 4, why: OF_CONNECTION },
  {
    kind: 'table ReadableStreams.#known',
    most: 8 * 8,
    why: 'eight for each connection, of which dials make some more',
  },
]

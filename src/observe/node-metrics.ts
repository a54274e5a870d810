/**
 * The metrics that Skein has of a node. The table in docs/metrics.md is checked against this list.
 *
 * Names follow Prometheus' conventions: base units, `_total` for counters. The only labels are the names of connected
 * nodes, of sources of discovery, of counters of the port.
 */
import type { ConnectionFigures } from '../cluster/connection-figures.ts'
import type { Census } from '../process/census.ts'
import type { EventLoopMeter } from './event-loop.ts'
import type { ObservedParts } from './local-snapshot.ts'
import type { Metrics, Sample } from './metrics.ts'

const MS_PER_SECOND = 1000

export const addNodeMetrics = (
  metrics: Metrics,
  { clock, processes, connections, traffic, discovery, counters }: ObservedParts,
  eventLoop: EventLoopMeter,
  uptimeMs: () => number,
): void => {
  const { tally, inspection } = processes
  const perPeer = (read: (one: ConnectionFigures) => number) => (): Sample[] =>
    connections().map((one) => ({ labels: { peer: one.node }, value: read(one) }))
  let counted: Census | undefined
  /** One look at all processes for the metrics that are read in one turn. */
  const census = (): Census => {
    if (counted === undefined) {
      counted = inspection.census(0, 0)
      clock.endOfTurn(() => {
        counted = undefined
      })
    }
    return counted
  }

  metrics.gauge('skein_uptime_seconds', 'Time since the node was started.', () => uptimeMs() / MS_PER_SECOND)
  metrics.gauge('skein_processes', 'Processes alive.', () => processes.count)
  metrics.counter('skein_processes_spawned_total', 'Processes begun.', () => tally.spawned)
  metrics.counter('skein_processes_ended_total', 'Processes that have ended.', () => tally.ended)
  metrics.counter('skein_processes_crashed_total', 'Processes whose function threw.', () => tally.crashed)
  metrics.counter('skein_child_restarts_total', 'Children started again by a supervisor.', () => tally.childRestarts)
  metrics.gauge('skein_names', 'Registered names.', () => processes.registered().length)
  metrics.gauge('skein_mailbox_messages', 'Messages in all mailboxes.', () => census().messages)
  metrics.gauge('skein_mailbox_longest_messages', 'Messages in the longest mailbox.', () => census().longest)
  metrics.gauge('skein_mailboxes_pressed', 'Mailboxes that hold their senders back.', () => census().pressed)
  metrics.counter('skein_mailbox_overflows_total', 'Times a mailbox began to overflow.', () => tally.mailboxOverflows)
  metrics.counter(
    'skein_local_messages_total',
    'Messages sent within the node, calls aside.',
    () => tally.localMessages,
  )
  metrics.counter('skein_dead_letters_total', 'Messages that found nobody.', () => tally.deadLetters)
  metrics.counter('skein_calls_total', 'Calls begun here.', () => tally.calls)
  metrics.counter('skein_call_timeouts_total', 'Calls that were not answered in time.', () => tally.callTimeouts)
  const durations = metrics.histogram(
    'skein_call_duration_seconds',
    'How long calls to other nodes took to be answered; those that can be aborted aside.',
  )
  tally.onAnswered = (durationMs) => durations.observe(durationMs / MS_PER_SECOND)
  metrics.gauge('skein_calls_pending', 'Calls that wait for an answer.', () => inspection.callCount)
  metrics.counter('skein_signals_sent_total', 'Signals sent to other nodes.', () => traffic.sent)
  metrics.counter('skein_signals_received_total', 'Signals of other nodes.', () => traffic.received)
  metrics.gauge('skein_connections', 'Connected nodes, hidden ones included.', () => connections().length)
  metrics.gauge(
    'skein_connection_round_trip_seconds',
    'Smoothed round trip to a node.',
    perPeer((one) => one.rttMs / MS_PER_SECOND),
  )
  metrics.gauge(
    'skein_connection_queued_bytes',
    'Bytes that wait to be sent to a node.',
    perPeer((one) => one.queuedBytes),
  )
  metrics.gauge(
    'skein_connection_dedicated_lanes',
    'Lanes of heavy senders to a node.',
    perPeer((one) => one.dedicatedLanes),
  )
  metrics.gauge(
    'skein_connection_held_lanes',
    'Lanes of a node that wait for a full mailbox here.',
    perPeer((one) => one.heldLanes),
  )
  metrics.counter(
    'skein_connection_sent_bytes_total',
    'Bytes sent to a node over the present connection.',
    perPeer((one) => one.sentBytes),
  )
  metrics.counter(
    'skein_connection_received_bytes_total',
    'Bytes of a node over the present connection.',
    perPeer((one) => one.receivedBytes),
  )
  metrics.counter(
    'skein_connection_lost_packets_total',
    'Packets to a node that were lost on the present connection.',
    perPeer((one) => one.lostPackets),
  )
  metrics.counter('skein_port_total', 'Counts of the UDP port, by kind.', () =>
    Object.entries(counters()).map(([kind, value]) => ({ labels: { kind }, value })),
  )
  metrics.gauge('skein_discovery_working', 'Whether a source of discovery works: 1, or 0.', () =>
    discovery().map(({ source, state }) => ({ labels: { source }, value: state === 'working' ? 1 : 0 })),
  )
  metrics.gauge('skein_discovery_seen', 'Nodes that a source of discovery sees.', () =>
    discovery().map(({ source, seen }) => ({ labels: { source }, value: seen })),
  )
  metrics.gauge(
    'skein_event_loop_utilisation_ratio',
    'Share of time in which the event loop worked.',
    () => eventLoop.read().utilisation,
  )
  metrics.gauge(
    'skein_event_loop_lag_seconds',
    'Greatest delay of a timer in the last ten seconds.',
    () => eventLoop.read().maxLagMs / MS_PER_SECOND,
  )
}

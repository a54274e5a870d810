/** What a QUIC port counts since it was opened; docs for operators name the same counters. */
export const newCounters = () => ({
  received: 0,
  sent: 0,
  receivedBytes: 0,
  sentBytes: 0,
  /** Long headers without a valid tag: strangers, or members with another cookie; and those of no use (long-form.ts). */
  gated: 0,
  /** First bytes that no protocol on this port uses. */
  unknown: 0,
  /** Short headers that name no connection. */
  unconnected: 0,
  /** For connection ids that were given back: they were under way for long. */
  late: 0,
  /** Long headers that are none, and datagrams in which a connection found nothing: damaged, forged or repeated. */
  invalid: 0,
  /** TLS handshakes begun as acceptor. */
  accepted: 0,
  /** Connections, of either side, whose TLS went on where an earlier one had ended. */
  resumed: 0,
  /** Turned away by the limits of admission. */
  refused: 0,
  retries: 0,
  negotiations: 0,
  resets: 0,
  /** Of `Connection.sendDatagram`: too many waited, or the path became too narrow for them. */
  droppedMessages: 0,
  krpc: 0,
  probes: 0,
  /** Datagrams of other kinds not sent, because this port cannot reach their address. */
  unreachable: 0,
})

export type QuicCounters = ReturnType<typeof newCounters>

/**
 * How the process layer sees other nodes: as routes. A route takes signals for one incarnation of one node, in order per
 * sender. The node layer makes routes (peer.ts) and says when one is gone; then every monitor, link and call that ran
 * over it fires exactly once, and nothing of it is delivered afterwards.
 */
import type { ByteStreams } from '../transport/byte-stream.ts'
import type { Hold } from '../transport/lane.ts'
import type { Origin } from './pid.ts'
import type { Signal } from './signals.ts'

export interface Route {
  /** name@host of the node. */
  readonly node: string
  /** Known once connected; while dialling by name it is undefined and signals wait in order (bounded). */
  readonly origin: Origin | undefined
  /** Of the protocol: the newest that both nodes speak; undefined while dialling. */
  readonly version: number | undefined
  /** What is sent waits: the node is dialled, or its connection may be given up and replaced. */
  readonly waits: boolean
  /** Streams of bytes beside the signals, of the connection there is; undefined while dialling and when it is over. */
  readonly streams?: ByteStreams | undefined
  /** Queues a signal of process `signal.from`. False: above the high-water mark. Throws coded errors for what cannot be sent (too large, unserialisable, queue full). */
  send(signal: Signal): boolean
  drained(from: number): Promise<void>
  /** Process `from` ended: its lane may end. */
  senderGone(from: number): void
  /** The node does not take what it is owed: its connection has to end. */
  giveUp(): void
}

/** Made by the node, used by the process layer. */
export interface Router {
  /** The way to this incarnation. 'noproc': the node is connected as a later incarnation. 'noconnection': no way now. */
  toOrigin(origin: Origin): Route | 'noproc' | 'noconnection'
  /** The way to the node of this name, dialling if it must. */
  toNode(name: string): Route | 'noconnection'
}

/** Made by the process layer, used by the node. */
export interface SignalSink {
  /**
   * Handles one signal that arrived over `route`, as so many bytes; a Hold asks to stop reading that lane until relieved.
   */
  deliver(route: Route, signal: Signal, sizeBytes: number): Hold | undefined
  /** Something hangs on this route that its end would end: a monitor, a link, a call, a stream. */
  uses(route: Route): boolean
  /** The route is gone for good: fires monitors, links and calls with noconnection, exactly once. */
  routeDown(route: Route): void
}

/**
 * What the narrator of the demo and its node processes say to each other, as JSON over the IPC channel.
 *
 * The narrator asks, a node answers each question once; between answers it reports events on its own.
 */
import type { NodeEvent } from '../event-stream.ts'

/** What a node process is told to be. */
export interface DemoSettings {
  readonly name: string
  readonly cluster: string
  readonly cookie: string
  /** A file, so that a restarted node has the key of its predecessor. */
  readonly identity: string
  readonly seeds: readonly string[]
}

export interface DemoStarted {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly port: number
}

export interface FloodResult {
  readonly messages: number
  /** From the first to the last message, on the clock of the receiver. */
  readonly tookMs: number
}

export interface RoundTrips {
  readonly medianMs: number
  readonly p99Ms: number
}

/** Questions with their arguments and answers. */
export interface DemoQuestions {
  start: { readonly ask: DemoSettings; readonly answer: DemoStarted }
  /** Sends 100-byte messages to the counter of another node. */
  flood: { readonly ask: { readonly to: string; readonly durationMs: number }; readonly answer: FloodResult }
  /** Calls the echo of another node, one call after the other. */
  roundTrips: { readonly ask: { readonly to: string; readonly count: number }; readonly answer: RoundTrips }
  /** Monitors the echo of another node and remembers its pid, which is the answer. */
  monitor: { readonly ask: { readonly to: string }; readonly answer: string }
  /** Sends to the remembered pid; the answer is why nobody got it. */
  sendToOldPid: { readonly ask: null; readonly answer: string }
  /** Dials an address; the answer is a code, or 'connected'. */
  knock: { readonly ask: { readonly address: string }; readonly answer: string }
  /** Datagrams dropped at the gate so far. */
  gated: { readonly ask: null; readonly answer: number }
  stop: { readonly ask: null; readonly answer: null }
}

/** A node event as far as the narrator needs it, and the DOWN of the monitor. */
export type DemoEvent =
  | {
      readonly type: 'nodeup'
      readonly node: string
      readonly id: string
      readonly incarnation: string
      readonly port: number
      readonly dialled: boolean
      /** The source of discovery that saw the node first. */
      readonly through: string
    }
  | { readonly type: 'DOWN'; readonly reason: string }
  | Extract<NodeEvent, { type: 'nodedown' | 'discoveryStatus' }>

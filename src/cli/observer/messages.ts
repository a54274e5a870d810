/**
 * What the observer tells its page, one JSON value for each server-sent event: the types that server and page share.
 *
 * Whatever other nodes said of themselves stands here as they said it, cut to size; the page never takes it for markup.
 */
import type { NodeSnapshot } from '../../observe/snapshot.ts'
import type { ProcessDetail, ProcessPage } from '../../process/process-page.ts'
import type { DhtView } from './dht-view.ts'

/**
 * joining: known, not connected yet. up: it answers. silent: it is connected and does not answer. down: the connection is
 * lost. left: it said goodbye.
 */
export type NodeState = 'joining' | 'up' | 'silent' | 'down' | 'left'

/** The way from one node to another, as the first sees it. */
export interface LinkView {
  readonly to: string
  readonly rttMs: number
  /** Packets lost within the last minute or so. */
  readonly lost: number
  readonly way: string
}

export interface NodeView {
  /** name@host */
  readonly name: string
  readonly id: string
  readonly state: NodeState
  /** Since when, milliseconds since 1970. */
  readonly since: number
  /** Why it is not up; empty where it is. */
  readonly why: string
  /** From the observer there and back, the last that was measured. */
  readonly pingMs: number | undefined
  /** Of its last snapshot; undefined as long as there is none. */
  readonly figures: NodeFigures | undefined
  readonly links: readonly LinkView[]
  /** Messages per second of the last minute, oldest first. */
  readonly trend: readonly number[]
}

export interface NodeFigures {
  readonly uptimeMs: number
  readonly processes: number
  /** Messages in all mailboxes. */
  readonly waiting: number
  /** Mailboxes that hold their senders back. */
  readonly pressed: number
  /** 0 to 1. */
  readonly utilisation: number
  readonly residentBytes: number
  readonly messagesPerS: number
  readonly bytesPerS: number
}

export interface ClusterView {
  readonly cluster: string
  readonly at: number
  readonly nodes: readonly NodeView[]
  /** Nodes that are not shown, since there are too many. */
  readonly leftOut: number
}

/** What is plotted of a node at one moment. */
export type Point = readonly [
  atMs: number,
  sentPerS: number,
  receivedPerS: number,
  localPerS: number,
  bytesOutPerS: number,
  bytesInPerS: number,
  /** Of the event loop, 0 to 1. */
  utilisation: number,
  lagMs: number,
  residentBytes: number,
  heapUsedBytes: number,
  /** Messages in all mailboxes. */
  waiting: number,
  /** Of heavy senders. */
  dedicatedLanes: number,
  heldLanes: number,
  /** That wait to be sent. */
  queuedBytes: number,
]

/** A value as JSON carries it: a pid is its text. */
export type Json<T> = T extends { toJSON(): infer J }
  ? J
  : T extends object
    ? { readonly [K in keyof T]: Json<T[K]> }
    : T

export interface LogEntry {
  readonly id: number
  readonly at: number
  /** The node that it is about. */
  readonly node: string
  readonly type: string
  readonly level: 'good' | 'bad' | 'warning' | 'info'
  readonly text: string
}

/** By the name of the server-sent event. */
export interface Messages {
  readonly cluster: ClusterView
  /** The node that is looked at: its snapshot, and the points after those that were sent before. */
  readonly node: {
    readonly name: string
    readonly snapshot: Json<NodeSnapshot> | undefined
    readonly points: readonly Point[]
    /** These are all there are. */
    readonly whole: boolean
  }
  readonly processes: { readonly node: string; readonly after: number; readonly page: Json<ProcessPage> }
  readonly process: {
    readonly node: string
    readonly pid: string
    /** Undefined: it has ended. */
    readonly process: Json<ProcessDetail> | undefined
  }
  readonly dht: { readonly node: string; readonly dht: DhtView | undefined }
  /** What was asked for and could not be had. */
  readonly failed: { readonly what: string; readonly text: string }
  readonly log: readonly LogEntry[]
}

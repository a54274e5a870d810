/**
 * What `npm run bench -- peers` asks of each system: the same work between two operating system processes on loopback,
 * done once more each time it is asked.
 */

/** Messages of 64 KiB are asked of ours at 1350-byte datagrams and at the path's size; the others know one way. */
export type Work =
  | 'ping-pong'
  | 'call'
  | '100B-1-sender'
  | '100B-64-senders'
  | '100B-1000-senders'
  | '64KiB'
  | '64KiB-1350'
  | '64KiB-path'

/** Times of round trips, us, or how much went through in a second: messages or payload bytes. */
export type Result = { readonly roundTripsUs: readonly number[] } | { readonly perSecond: number }

export interface PeerSystem {
  /** Does `part` of the usual amount, which takes about a second. */
  measure(work: Work, part: number): Promise<Result>
  stop(): Promise<void>
}

/** How many processes send in each of the floods of small messages. */
export const SENDERS = { '100B-1-sender': 1, '100B-64-senders': 64, '100B-1000-senders': 1000 } as const

export const isSmall = (work: Work): work is keyof typeof SENDERS => work in SENDERS

/** Light senders let everybody else have a turn after each message. */
export const isLight = (work: Work): boolean => work === '100B-1000-senders'

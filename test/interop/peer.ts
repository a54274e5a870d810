/**
 * Programs with DHT nodes in them, each on addresses of one network namespace, driven over stdin and stdout: a line of JSON
 * in, a line of JSON out. What is ours and what is other people's understands the same commands, so a flow is written
 * once and runs in both directions.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LanHost } from '../support/lan.ts'
import { type LineAnswer, LineProgram } from '../support/line-program.ts'
import type { TestContext } from '../support/suite.ts'

/** A BEP 44 key. Byte strings travel in hex everywhere. */
export interface Key {
  readonly publicKey: string
  readonly seed: string
}

export interface Version {
  readonly sequence: number
  readonly value: string
}

/**
 * What every program can be told. `node` is the address, host:port, of one of its nodes. `strict` nodes believe only in ids
 * that fit their addresses (ours and libtorrent); `routers` are what libtorrent calls those it asks and never keeps.
 */
export interface PeerCommands {
  open(args: { host: string; port: number; strict?: boolean; routers?: readonly string[] }): void
  /** Joins through those nodes. Ours gives the number of its contacts then. */
  bootstrap(args: { node: string; through: readonly string[] }): number | null
  /** Looks for something or other, and gets to know nodes on the way; may go on for a while after. */
  explore(args: { node: string }): void
  /** How many nodes it believes in. */
  contacts(args: { node: string }): number
  /** Announces a key on the node's own port. */
  announce(args: { node: string; key: string }): void
  getPeers(args: { node: string; key: string }): string[]
  /** Gives the target. Values are byte strings. */
  putImmutable(args: { node: string; value: string }): string
  getImmutable(args: { node: string; target: string }): string | null
  /** Stores the version after the newest one that is stored, and gives its number. */
  putMutable(args: { node: string; salt: string; value: string } & Key): number
  getMutable(args: { node: string; salt: string; publicKey: string }): Version | null
}

/** What only ours can be told as well. */
export interface OwnCommands extends PeerCommands {
  /** The id, and the host that others say it has. */
  self(args: { node: string }): { readonly id: string; readonly host: string | null }
  counters(args: { node: string }): Record<string, number>
  /** Waits on this TCP port until somebody dials it, and gives the dialler's host. */
  awaitDial(args: { host: string; port: number }): string
}

/** What the process with the busy node can be told. */
export interface BusyCommands {
  /** A node with a DHT, and another one which sends to it without end. */
  open(args: { host: string; port: number; senderHost: string }): void
  /** Ends the transfer, not before 100 MB, and gives the number of bytes that were confirmed. */
  finish(args: object): number
}

type Commands<T> = { [K in keyof T]: T[K] extends (args: infer A) => infer R ? (args: A) => R : never }

/** A running program. */
export class Peer<C extends Commands<C> = PeerCommands> {
  readonly #program: LineProgram

  constructor(t: TestContext, host: LanHost, command: string, args: readonly string[]) {
    const child = host.spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#program = new LineProgram(command, child, (line) => JSON.parse(line) as LineAnswer)
    t.defer(() => this.#program.kill())
  }

  async do<K extends keyof C & string>(command: K, args: Parameters<C[K]>[0]): Promise<ReturnType<C[K]>> {
    const value = await this.#program.ask((id) => JSON.stringify({ id, command, arguments: args }))
    return value as ReturnType<C[K]>
  }
}

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))

export const startOurs = (t: TestContext, host: LanHost): Peer<OwnCommands> =>
  new Peer(t, host, process.execPath, ['--import', 'tsx', fixture('own-nodes.ts')])

/** Where the node of `startBusyNode` is, and who sends to it. */
export const BUSY_HOST = '10.77.0.1'
const SENDER_HOST = '10.77.0.9'
export const BUSY_PORT = 6881

/**
 * A Skein node to join through, while its one port also carries a transfer of 100 MB and more. To be called on a host that
 * has 10.77.0.1. Gives a function that waits for the end of the transfer and fails if it failed.
 */
export const startBusyNode = async (t: TestContext, host: LanHost): Promise<() => Promise<number>> => {
  const peer = new Peer<BusyCommands>(t, host, process.execPath, ['--import', 'tsx', fixture('busy-node.ts')])
  host.ip('addr', 'add', `${SENDER_HOST}/8`, 'dev', 'lo')
  await peer.do('open', { host: BUSY_HOST, port: BUSY_PORT, senderHost: SENDER_HOST })
  return () => peer.do('finish', {})
}

export const startBittorrentDht = (t: TestContext, host: LanHost): Peer =>
  new Peer(t, host, process.execPath, ['--import', 'tsx', fixture('bittorrent-dht-nodes.ts')])

/** Debian's own Python: its packages are not those of any other one. */
export const PYTHON = '/usr/bin/python3'

export const startLibtorrent = (t: TestContext, host: LanHost): Peer =>
  new Peer(t, host, PYTHON, [fixture('libtorrent-nodes.py')])

const RETRY_MS = 200

/** Tries until it gives something to believe in; what a DHT does in passing nobody can await. The test's deadline bounds it. */
export const eventually = async <T>(attempt: () => Promise<T | null | undefined | false>): Promise<T> => {
  for (;;) {
    const found = await attempt()
    if (found !== null && found !== undefined && found !== false) return found
    await sleep(RETRY_MS)
  }
}

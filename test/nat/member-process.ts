/** A node on a host of the laboratory as a test sees it: told what to do, asked how it fares. */
import { fileURLToPath } from 'node:url'
import type { ConnectedNode, StartOptions } from '../../src/index.ts'
import type { TestContext } from '../support/suite.ts'
import { HostChild } from './child.ts'
import type { LabHost } from './lab.ts'

const PROGRAM = fileURLToPath(new URL('./member.ts', import.meta.url))

/**
 * What crosses the channel of what `startNode` takes. The node connects by itself to those whose name begins with s, the
 * servers, and to nobody else, but hears of everybody.
 */
export type MemberOptions = Pick<StartOptions, 'name' | 'port' | 'tcp' | 'logLevel'>

/** So many processes send so many messages a second, all together, to that node. */
export interface Talk {
  readonly peer: string
  readonly speakers: number
  readonly perSecond: number
}

export type MemberCommand =
  | { readonly do: 'start'; readonly options: MemberOptions }
  | { readonly do: 'connect'; readonly target: string; readonly directWithinMs: number }
  | { readonly do: 'connection'; readonly peer: string }
  | { readonly do: 'talk'; readonly talk: Talk }
  | { readonly do: 'guard'; readonly peer: string }
  | { readonly do: 'nodes' | 'known' | 'hush' | 'mark' | 'tally' | 'stop' }

/** How connecting went. Times are from the call of `connect`. */
export interface Connected {
  readonly name: string
  readonly upMs: number
  readonly wayAtUp: ConnectedNode['way'] | undefined
  /** Undefined: it was not direct in the time. */
  readonly directMs: number | undefined
}

/** What has been heard from the speakers of other nodes since the node was started. */
export interface Tally {
  readonly sent: number
  readonly received: number
  /** Numbers that were skipped. */
  readonly lost: number
  /** Numbers below one that came before: doubled, or out of order. */
  readonly again: number
  /** DOWNs of guards. */
  readonly down: number
  readonly nodedown: number
  /** Of any speaker, since `mark`, the time since its last message included. */
  readonly longestSilenceMs: number
}

export class Member {
  readonly host: LabHost
  readonly #child: HostChild<MemberCommand, never>

  private constructor(host: LabHost, child: HostChild<MemberCommand, never>) {
    this.host = host
    this.#child = child
  }

  /** A process without a node yet; gone after the test. */
  static async spawn(t: TestContext, host: LabHost): Promise<Member> {
    const child = await HostChild.start<MemberCommand, never>(t, host, PROGRAM, () => {})
    return new Member(host, child)
  }

  /** Starts a node, the first or one after `stop`; gives its id. */
  async start(options: MemberOptions): Promise<string> {
    return (await this.#child.tell({ do: 'start', options })) as string
  }

  /** Rejects when it cannot. `directWithinMs` is how long to wait for a direct way at most, from the call. */
  async connect(target: string, directWithinMs = 0): Promise<Connected> {
    return (await this.#child.tell({ do: 'connect', target, directWithinMs })) as Connected
  }

  async connection(peer: string): Promise<ConnectedNode | undefined> {
    return (await this.#child.tell({ do: 'connection', peer })) as ConnectedNode | undefined
  }

  async nodes(): Promise<readonly string[]> {
    return (await this.#child.tell({ do: 'nodes' })) as string[]
  }

  /** Names of the nodes it has heard of, connected or not. */
  async known(): Promise<readonly string[]> {
    return (await this.#child.tell({ do: 'known' })) as string[]
  }

  async talk(talk: Talk): Promise<void> {
    await this.#child.tell({ do: 'talk', talk })
  }

  async guard(peer: string): Promise<void> {
    await this.#child.tell({ do: 'guard', peer })
  }

  async hush(): Promise<void> {
    await this.#child.tell({ do: 'hush' })
  }

  async mark(): Promise<void> {
    await this.#child.tell({ do: 'mark' })
  }

  async tally(): Promise<Tally> {
    return (await this.#child.tell({ do: 'tally' })) as Tally
  }

  async stop(): Promise<void> {
    await this.#child.tell({ do: 'stop' })
  }

  end(): Promise<void> {
    return this.#child.end()
  }

  /** What its node logged, the end of it. */
  log(): string {
    return this.#child.log()
  }

  forgetLog(): void {
    this.#child.forgetLog()
  }
}

/**
 * One node on a host of the laboratory, in a process of its own, that does what it is told (member-process.ts has the
 * commands): starts and stops a node, connects and says when that was done and by which way, and talks.
 *
 * Talking is processes that send numbered messages at a rate and processes that check those of the other side, one of each
 * for every pair of speaker and checker. What arrives is judged here, where the time is that of one clock.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectedNode, type Self, type SkeinNode, startNode } from '../../src/index.ts'
import { COOKIE } from '../support/node-process.ts'
import { serve } from './child.ts'
import type { Connected, MemberCommand, MemberOptions, Talk, Tally } from './member-process.ts'

/** How exact the times until a connection is direct are. */
const LOOK_INTERVAL_MS = 3
/** A burst of messages is due so often. */
const BURST_INTERVAL_MS = 2
const CHECKER = 'checker'

interface Numbered {
  readonly from: string
  readonly number: number
}

interface Heard {
  next: number
  lastMs: number
}

class Member {
  readonly node: SkeinNode
  readonly #heard = new Map<string, Heard>()
  readonly #tally = { received: 0, lost: 0, again: 0, down: 0, nodedown: 0 }
  #sent = 0
  #longestSilenceMs = 0
  #speaking = new AbortController()

  constructor(node: SkeinNode) {
    this.node = node
    void this.#watch()
    node.register(
      CHECKER,
      node.spawn((self: Self<unknown>) => this.#check(self)),
    )
  }

  /** Connects by name, or by address, and looks at the connection until it is direct, or the time is over. */
  async connect(target: string, directWithinMs: number): Promise<Connected> {
    const { node } = this
    const startMs = performance.now()
    const name = await node.connect(target)
    const upMs = performance.now() - startMs
    const wayAtUp = this.connection(name)?.way
    for (;;) {
      const now = this.connection(name)
      const atMs = performance.now() - startMs
      const isDirect = now !== undefined && now.way !== 'relay'
      if (isDirect || atMs > directWithinMs) return { name, upMs, wayAtUp, directMs: isDirect ? atMs : undefined }
      await sleep(LOOK_INTERVAL_MS)
    }
  }

  connection(name: string): ConnectedNode | undefined {
    return this.node.connectedNodes().find((node) => node.name === name)
  }

  /** Starts speakers that send to the checker of the other node. */
  talk({ peer, speakers, perSecond }: Talk): void {
    this.#speaking = new AbortController()
    const { signal } = this.#speaking
    for (let index = 0; index < speakers; index++) {
      this.node.spawn((self: Self<unknown>) => this.#speak(self, peer, perSecond / speakers, signal))
    }
  }

  /** Watches the checker of the other node, by a monitor. */
  guard(peer: string): void {
    this.node.spawn(async (self: Self<unknown>) => {
      self.monitor({ node: peer, name: CHECKER })
      for await (const message of self) if (isType(message, 'DOWN')) this.#tally.down++
    })
  }

  hush(): void {
    this.#speaking.abort()
  }

  tally(): Tally {
    const silentMs = Math.max(0, ...[...this.#heard.values()].map(({ lastMs }) => performance.now() - lastMs))
    return { ...this.#tally, sent: this.#sent, longestSilenceMs: Math.max(this.#longestSilenceMs, silentMs) }
  }

  /** The longest silence is counted from now on. */
  mark(): void {
    for (const heard of this.#heard.values()) heard.lastMs = performance.now()
    this.#longestSilenceMs = 0
  }

  async #speak(self: Self<unknown>, peer: string, perSecond: number, signal: AbortSignal): Promise<void> {
    const target = { node: peer, name: CHECKER }
    const from = self.pid.key
    let number = 0
    let dueFromMs = performance.now()
    while (!signal.aborted) {
      await sleep(BURST_INTERVAL_MS)
      const due = Math.floor(((performance.now() - dueFromMs) * perSecond) / 1000)
      dueFromMs += (due * 1000) / perSecond
      for (let count = 0; count < due; count++) {
        this.#sent++
        const isFree = self.send(target, { from, number: number++ } satisfies Numbered)
        if (isFree) continue
        await self.drained(target)
        // What could not be said meanwhile is not made up for.
        dueFromMs = performance.now()
        break
      }
    }
  }

  async #check(self: Self<unknown>): Promise<void> {
    for await (const message of self) {
      const { from, number } = message as Numbered
      const nowMs = performance.now()
      const heard = this.#heard.get(from) ?? { next: 0, lastMs: nowMs }
      this.#heard.set(from, heard)
      this.#longestSilenceMs = Math.max(this.#longestSilenceMs, nowMs - heard.lastMs)
      heard.lastMs = nowMs
      this.#tally.received++
      if (number < heard.next) this.#tally.again++
      else {
        this.#tally.lost += number - heard.next
        heard.next = number + 1
      }
    }
  }

  async #watch(): Promise<void> {
    for await (const event of this.node.events) if (event.type === 'nodedown') this.#tally.nodedown++
  }
}

const isType = (message: unknown, type: string): boolean =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type

const state: { member: Member | undefined } = { member: undefined }

const start = async (options: MemberOptions): Promise<string> => {
  const node = await startNode({
    cookie: COOKIE,
    discovery: { mdns: false, dht: false },
    mesh: ({ name }) => name?.startsWith('s') ?? false,
    ...options,
  })
  state.member = new Member(node)
  return node.id
}

serve<MemberCommand, never>(async (command): Promise<unknown> => {
  if (command.do === 'start') return start(command.options)
  const { member } = state
  if (member === undefined) throw new Error('The node has not been started.')
  switch (command.do) {
    case 'connect':
      return member.connect(command.target, command.directWithinMs)
    case 'connection':
      return member.connection(command.peer)
    case 'nodes':
      return member.node.nodes()
    case 'known':
      return member.node.discovery.list().map(({ name }) => name)
    case 'talk':
      return member.talk(command.talk)
    case 'guard':
      return member.guard(command.peer)
    case 'hush':
      return member.hush()
    case 'mark':
      return member.mark()
    case 'tally':
      return member.tally()
    case 'stop':
      return member.node.stop()
  }
})

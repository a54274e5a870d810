/**
 * How a service of this node speaks with the same service on the other nodes: one guarded process per service, under a
 * name that begins with `skein.`, which finds its like on every connected node.
 *
 * Whom a message is from is certain: it is the node at the other end of the connection, so a member speaks for itself
 * alone. Nothing of a peer comes before `peerUp` or after `peerDown`, in between it comes in the order sent, and a node
 * that restarts or reconnects is a new peer. What a handler throws costs that one message. Hidden nodes take no part. What
 * it does not do: queue; `send` says when a peer has enough to read.
 */
import { type ErrorCode, isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import type { Pid } from '../pid.ts'
import { type Behaviour, CastEntry, type Traits } from '../process/behaviour.ts'
import type { StandardSchema } from '../process/schema.ts'
import { INSIDE, type Self, type SpawnWithOptions } from '../process/self.ts'
import { serve } from '../process/serve.ts'

/** The first protocol version whose nodes have services. */
export const SERVICES_VERSION = 2
/** Senders of nonsense that are remembered, so that each is told of once; the oldest is forgotten first. */
const MAX_REMEMBERED_REFUSALS = 256

/** The same service on another node, for as long as the connection to it lasts. */
export interface ChannelPeer {
  /** Its process. */
  readonly pid: Pid
  /** name@host */
  readonly node: string
  readonly id: string
  readonly incarnation: string
}

/** What a service does with what its peers say. */
export interface ChannelHandler {
  peerUp(peer: ChannelPeer): void
  /** May throw a SkeinError: the message is refused, and the operator is told. */
  received(peer: ChannelPeer, message: unknown): void
  peerDown(peer: ChannelPeer): void
}

/** What a channel needs of its node. */
export interface ChannelHost {
  readonly hidden: boolean
  spawn(behaviour: Behaviour<unknown>, options: SpawnWithOptions): Pid
  /** A connected node. */
  connected(node: string): ConnectedNode | undefined
  /** A member sent what makes no sense; told once per peer and code. */
  refused(refusal: { node: string; service: string; code: ErrorCode; message: string }): void
  /** An error of this node itself. */
  defect(error: unknown): void
}

/** pressed: it was sent, and now the peer has enough to read; wait for `drained`. refused: it was not sent. */
export type SendOutcome = 'sent' | 'pressed' | 'refused'

/** What is merely sent could pass for a system message, such as a DOWN: from other nodes only casts are taken. */
export const NOTHING: StandardSchema<never> = {
  '~standard': {
    version: 1,
    vendor: 'skein',
    validate: () => ({ issues: [{ message: 'It takes nothing of this kind from other nodes.' }] }),
  },
}

const HELLO = { type: 'hello' } as const

export class Channel {
  readonly service: string
  readonly #host: ChannelHost
  readonly #handler: ChannelHandler
  #self: Self<unknown> | undefined
  /** By the key of the node's incarnation. */
  readonly #peers = new Map<string, ChannelPeer>()
  readonly #refusals = new Set<string>()

  constructor(service: string, host: ChannelHost, handler: ChannelHandler) {
    this.service = service
    this.#host = host
    this.#handler = handler
    const run = (self: Self<unknown>): void => {
      this.#self = self
      if (!host.hidden) self.monitorNodes(true)
      serve(self, (entry) => this.#take(self, entry))
    }
    const label = `service ${service}`
    const traits: Traits = { serves: true, guarded: true, senders: true, schema: { info: NOTHING }, label }
    host.spawn(Object.assign(run, { traits }), { name: service })
  }

  peers(): readonly ChannelPeer[] {
    return [...this.#peers.values()]
  }

  /** Still connected; of a node that has stopped no peer is. */
  has(peer: ChannelPeer): boolean {
    const isAlive = this.#self !== undefined && this.#self[INSIDE].process.ended === undefined
    return isAlive && this.#peers.get(peer.pid.origin.key) === peer
  }

  /** The peer on the node of this name. */
  peerOn(node: string): ChannelPeer | undefined {
    for (const peer of this.#peers.values()) if (peer.node === node) return peer
    return undefined
  }

  send(peer: ChannelPeer, message: unknown): SendOutcome {
    const outcome = this.offer(peer, message)
    if (outcome !== 'tooLarge') return outcome
    this.#host.defect(
      new SkeinError('ERR_SKEIN_MESSAGE_TOO_LARGE', `What ${this.service} says to ${peer.node} is too long.`),
    )
    return 'refused'
  }

  /** As `send`, for who can say it in smaller pieces. */
  offer(peer: ChannelPeer, message: unknown): SendOutcome | 'tooLarge' {
    if (this.#self === undefined || !this.has(peer)) return 'refused'
    try {
      return this.#self.cast(peer.pid, message) ? 'sent' : 'pressed'
    } catch (error) {
      if (isSkeinError(error, 'ERR_SKEIN_MESSAGE_TOO_LARGE')) return 'tooLarge'
      if (!isSkeinError(error, 'ERR_SKEIN_QUEUE_FULL')) this.#host.defect(error)
      return 'refused'
    }
  }

  /** To all peers; what one of them cannot take is not sent to it. Gives the peers it was sent to. */
  broadcast(message: unknown): ChannelPeer[] {
    return this.peers().filter((peer) => this.send(peer, message) !== 'refused')
  }

  /** Resolves when the peer takes more, or is gone. */
  async drained(peer: ChannelPeer): Promise<void> {
    if (this.#self !== undefined && this.has(peer)) await this.#self.drained(peer.pid)
  }

  /** The operator is told, once per peer and code. */
  blame(peer: ChannelPeer, { code, message }: SkeinError): void {
    const key = `${peer.pid.origin.key} ${code}`
    if (this.#refusals.has(key)) return
    for (const oldest of this.#refusals) {
      if (this.#refusals.size < MAX_REMEMBERED_REFUSALS) break
      this.#refusals.delete(oldest)
    }
    this.#refusals.add(key)
    this.#host.refused({ node: peer.node, service: this.service, code, message })
  }

  #take(self: Self<unknown>, entry: unknown): void {
    if (entry instanceof CastEntry) {
      const { from, message } = entry
      if (from !== undefined && from.node !== self.node) this.#received(from, message)
    } else if (isNews(entry, 'nodeup')) this.#greet(self, entry.node)
    else if (isNews(entry, 'nodedown')) this.#down(entry.node)
  }

  #greet(self: Self<unknown>, node: string): void {
    const connected = this.#host.connected(node)
    if (connected === undefined || connected.hidden || connected.version < SERVICES_VERSION) return
    try {
      self.cast({ name: this.service, node }, HELLO)
    } catch (error) {
      this.#host.defect(error)
    }
  }

  #received(from: Pid, message: unknown): void {
    const known = this.#peers.get(from.origin.key)
    if (known === undefined) {
      if (isHello(message)) this.#up(from)
      return
    }
    // Another process of its node does not speak for the service.
    if (!known.pid.equals(from) || isHello(message)) return
    this.#guard(known, () => this.#handler.received(known, message))
  }

  #up(pid: Pid): void {
    const { name: node, id, incarnation, key } = pid.origin
    const connected = this.#host.connected(node)
    if (this.#host.hidden || connected === undefined || connected.hidden || connected.incarnation !== incarnation)
      return
    const peer: ChannelPeer = { pid, node, id, incarnation }
    this.#peers.set(key, peer)
    this.#guard(peer, () => this.#handler.peerUp(peer))
  }

  /**
   * Its services end with its connection and never before, so this is all there is to watch. A hello of a connection that is
   * gone already may be read when the next one is up; the nodedown behind it undoes that.
   */
  #down(node: string): void {
    const peer = this.peerOn(node)
    if (peer === undefined) return
    this.#peers.delete(peer.pid.origin.key)
    this.#guard(peer, () => this.#handler.peerDown(peer))
  }

  #guard(peer: ChannelPeer, work: () => void): void {
    try {
      work()
    } catch (error) {
      if (isSkeinError(error)) this.blame(peer, error)
      else this.#host.defect(error)
    }
  }
}

/** For handlers: what a peer sent makes no sense. */
export const nonsense = (what: string): SkeinError =>
  new SkeinError('ERR_SKEIN_PROTOCOL', `A service of another node sent ${what}.`)

const isTyped = (value: unknown): value is { readonly type: unknown } =>
  typeof value === 'object' && value !== null && 'type' in value

const isHello = (message: unknown): boolean => isTyped(message) && message.type === HELLO.type

const isNews = (entry: unknown, type: 'nodeup' | 'nodedown'): entry is { readonly node: string } =>
  isTyped(entry) && entry.type === type

/**
 * The two ends of relayed channels: asks connected members for channels to others, and makes a way (transport/way.ts) of
 * each, on which QUIC then speaks with the other end.
 *
 * A relay is trusted with nothing: who the other end is, QUIC finds out by its certificate, and where a relay claims to see
 * it is only good for a few probes. What a relay sends can at worst end the session to it; what it makes this node
 * remember, and how often it announces somebody, is bounded. A channel is one way as long as it lives, however often it is
 * asked for again; each time both ends get a fresh token, to try anew to meet directly. What it does not do: choose relays
 * (reach.ts), punch, or relay for others (relay-service.ts).
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Way, Ways } from '../../../transport/way.ts'
import { malformed } from '../../wire/bytes.ts'
import { CONTROL } from '../control.ts'
import { Allowance } from '../membership/allowance.ts'
import { EarlyDatagrams } from './early-datagrams.ts'
import type { ReachPeer } from './reach-peer.ts'
import {
  channelOfDatagram,
  decodeRelayClose,
  decodeRelayIncoming,
  decodeRelayOpened,
  decodeRelayRefused,
  encodeRelayAsk,
  encodeRelayClose,
  FIRST_GIVEN_NUMBER,
  MAX_RELAYED_BYTES,
  RELAY_HEAD_BYTES,
  type RelayReason,
  writeHead,
} from './relay-frames.ts'

const DEFAULT_ASK_TIMEOUT_MS = 3000
/** Asks that one relay has not answered yet; late answers are still expected, so that what they open can be closed. */
const MAX_UNANSWERED_ASKS = 64
/** Channels that one relay may have with this node, and all of them together. */
const MAX_CHANNELS_OF_RELAY = 64
const MAX_CHANNELS = 1024
/** Members that one relay may announce: each makes this node send probes to where the relay says. */
const ANNOUNCEMENTS = { burst: 128, perSecond: 32 }

const REASONS: Readonly<Record<RelayReason, string>> = {
  unknown: 'it is not connected to that node',
  forbidden: 'it does not relay',
  full: 'it has no room for more channels',
  rate: 'it was asked too often',
}

/** A way through a relay, as it stands after a request for it, ours or the other end's. */
export interface RelayedWay {
  /** The same for all requests while the channel lives. */
  readonly way: Way
  /** Whom the relay says it leads to. */
  readonly peerId: string
  readonly relayId: string
  readonly token: Uint8Array
  /** Where the relay sees the other end. */
  readonly observed: Address
  /** The other end asked for it. */
  readonly isIncoming: boolean
  /** The channel was not closed since. */
  readonly isOpen: boolean
  /** Closes the channel; the other end is told. */
  close(): void
}

export interface RelayClientOptions {
  readonly clock: Clock
  readonly ways: Ways
  /** False: that node is not let in, and gets no probes. Default: all are. */
  readonly admits?: (id: string) => boolean
  /** Another member asked a relay for a channel to this node: for the first time, or once more. */
  incoming(relayed: RelayedWay): void
  /** A channel was closed by the relay or by the other end, or the session to the relay ended. */
  gone(relayed: RelayedWay): void
}

interface Relay {
  readonly via: ReachPeer
  readonly channels: Map<number, Channel>
  readonly asks: Map<number, Ask>
  readonly announcements: Allowance
  /** For a channel that is still to be announced. */
  readonly early: EarlyDatagrams
}

interface Waiting {
  readonly timer: Timer
  resolve(relayed: RelayedWay): void
  reject(error: SkeinError): void
}

interface Ask {
  readonly targetId: string
  /** Undefined once nobody waits any more; the answer may still come. */
  waiting: Waiting | undefined
}

interface Channel {
  readonly peerId: string
  readonly way: RelayWay
  /** As of the last request. */
  relayed: RelayedWay | undefined
}

/** What each request brings anew. */
type News = Pick<RelayedWay, 'token' | 'observed' | 'isIncoming'>

export class RelayClient {
  readonly #options: RelayClientOptions
  readonly #relays = new Map<string, Relay>()
  #channelCount = 0
  /** No two relays, and no two sessions of one, get the same numbers: what is still said of an old one shall mean nothing. */
  #nextRequest = 1
  #isStopped = false

  constructor(options: RelayClientOptions) {
    this.#options = options
  }

  /** Asks for a channel. Rejects with ERR_SKEIN_NO_RELAY or ERR_SKEIN_STOPPED. */
  ask(via: ReachPeer, targetId: string, timeoutMs = DEFAULT_ASK_TIMEOUT_MS): Promise<RelayedWay> {
    return this.#ask(via, targetId, this.#newRequest(), timeoutMs)
  }

  /**
   * Asks for a channel, and gives its way at once: what is sent by it goes with the request. If the relay refuses, or has
   * another channel to that member, `opened` tells, and the way is gone. Undefined where there is no room for a channel.
   */
  dial(via: ReachPeer, targetId: string): { readonly way: Way; readonly opened: Promise<RelayedWay> } | undefined {
    if (this.#isStopped) return undefined
    const { channels } = this.#relay(via)
    for (const { peerId, way } of channels.values())
      if (peerId === targetId) return { way, opened: this.ask(via, targetId) }
    if (!this.#hasRoom(channels)) return undefined
    const request = this.#newRequest()
    const way = new RelayWay(via, request)
    this.#add(channels, request, { peerId: targetId, way, relayed: undefined })
    const opened = this.#ask(via, targetId, request, DEFAULT_ASK_TIMEOUT_MS)
    const retire = (relayed?: RelayedWay): void => {
      if (relayed?.way !== way) this.#retire(channels, request, way)
    }
    opened.then(retire, () => retire())
    return { way, opened }
  }

  #newRequest(): number {
    const request = this.#nextRequest
    this.#nextRequest = (this.#nextRequest + 1) % FIRST_GIVEN_NUMBER
    return request
  }

  #ask(via: ReachPeer, targetId: string, request: number, timeoutMs: number): Promise<RelayedWay> {
    if (this.#isStopped) return Promise.reject(stopped())
    const relay = this.#relay(via)
    if (!hasRoomToAsk(relay)) return Promise.reject(noRelay(via, targetId, 'it has too many requests to answer'))
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(timeoutMs, () => {
        ask.waiting = undefined
        reject(noRelay(via, targetId, `it did not answer within ${timeoutMs} ms`))
      })
      const ask: Ask = { targetId, waiting: { timer, resolve, reject } }
      relay.asks.set(request, ask)
      via.sendFrame(CONTROL.relayAsk, encodeRelayAsk({ request, target: targetId }))
    })
  }

  /** A frame of a relay: relayOpened, relayRefused, relayIncoming or relayClose. Throws ERR_SKEIN_PROTOCOL. */
  frame(from: ReachPeer, type: number, body: Uint8Array): void {
    if (this.#isStopped) return
    if (type === CONTROL.relayOpened) this.#opened(from, body)
    else if (type === CONTROL.relayRefused) this.#refused(from, body)
    else if (type === CONTROL.relayIncoming) this.#incoming(from, body)
    else if (type === CONTROL.relayClose) this.#closed(from, body)
    else throw malformed(`a frame of type ${type} where one of a relay belongs`)
  }

  /** A datagram of a relay. The bytes are ours. */
  datagram(from: ReachPeer, bytes: Uint8Array): void {
    const number = channelOfDatagram(bytes, 'fromRelay')
    if (number === undefined || this.#isStopped) return
    const { channels, early } = this.#relay(from)
    const channel = channels.get(number)
    if (channel !== undefined) this.#options.ways.receive(channel.way, bytes.subarray(RELAY_HEAD_BYTES))
    else if (number >= FIRST_GIVEN_NUMBER) early.keep(number, bytes, this.#options.clock.now())
  }

  /** The session to that member ended: what went through it is gone, and it answers nothing any more. */
  gone(id: string): void {
    const relay = this.#relays.get(id)
    if (relay === undefined) return
    this.#relays.delete(id)
    for (const ask of relay.asks.values())
      settle(ask)?.reject(noRelay(relay.via, ask.targetId, 'the connection to it ended'))
    for (const number of [...relay.channels.keys()]) this.#lose(relay, number)
  }

  /** A channel goes through that member. */
  uses(id: string): boolean {
    return (this.#relays.get(id)?.channels.size ?? 0) > 0
  }

  /** Ends all, without a word: the sessions end too. */
  stop(): void {
    this.#isStopped = true
    for (const { asks, channels } of [...this.#relays.values()]) {
      for (const ask of asks.values()) settle(ask)?.reject(stopped())
      for (const [number, { way }] of [...channels]) this.#retire(channels, number, way)
    }
    this.#relays.clear()
  }

  #opened(from: ReachPeer, body: Uint8Array): void {
    const { request, channel, token, observed } = decodeRelayOpened(body)
    const relay = this.#relays.get(from.id)
    const ask = relay?.asks.get(request)
    // Of a session before this one, or made up: there is nothing to remember.
    if (relay === undefined || ask === undefined) return
    const { targetId, waiting } = ask
    const relayed = waiting && this.#adopt(relay, channel, targetId, { token, observed, isIncoming: false })
    relay.asks.delete(request)
    settle(ask)
    if (relayed !== undefined) return waiting?.resolve(relayed)
    waiting?.reject(noRelay(from, targetId, 'this node has no room for more relayed channels'))
    // It came too late for this request, but another one may be about to use the same channel.
    if (!relay.channels.has(channel) && !isAskedFor(relay, targetId)) sendClose(from, channel)
  }

  #refused(from: ReachPeer, body: Uint8Array): void {
    const { request, reason } = decodeRelayRefused(body)
    const asks = this.#relays.get(from.id)?.asks
    const ask = asks?.get(request)
    if (ask === undefined) return
    asks?.delete(request)
    settle(ask)?.reject(noRelay(from, ask.targetId, REASONS[reason]))
  }

  #incoming(from: ReachPeer, body: Uint8Array): void {
    const { channel, id, token, observed } = decodeRelayIncoming(body)
    if (id === from.id) throw malformed('itself as the other end of a relayed channel')
    const relay = this.#relay(from)
    const isTaken = relay.announcements.take(this.#options.clock.now()) && this.#options.admits?.(id) !== false
    const relayed = isTaken ? this.#adopt(relay, channel, id, { token, observed, isIncoming: true }) : undefined
    if (relayed !== undefined) {
      this.#options.incoming(relayed)
      for (const bytes of relay.early.take(channel, this.#options.clock.now())) this.datagram(from, bytes)
    } else if (!relay.channels.has(channel)) sendClose(from, channel)
  }

  #closed(from: ReachPeer, body: Uint8Array): void {
    const { direction, channel } = decodeRelayClose(body)
    const relay = this.#relays.get(from.id)
    // The relay also confirms what was closed here.
    if (relay !== undefined && direction === 'fromRelay') this.#lose(relay, channel)
  }

  /**
   * The channel of this number, made if there is none, with what is new of it; undefined where there is no room for it.
   * Throws ERR_SKEIN_PROTOCOL.
   */
  #adopt(relay: Relay, number: number, peerId: string, news: News): RelayedWay | undefined {
    const { via, channels } = relay
    const known = channels.get(number)
    if (known !== undefined && known.peerId !== peerId) throw malformed('one number for two relayed channels')
    if (known === undefined && !this.#hasRoom(channels)) return undefined
    const channel = known ?? { peerId, way: new RelayWay(via, number), relayed: undefined }
    if (known === undefined) this.#add(channels, number, channel)
    const { way } = channel
    const close = (): void => {
      if (this.#retire(channels, number, way)) sendClose(via, number)
    }
    channel.relayed = {
      ...news,
      way,
      peerId,
      relayId: via.id,
      get isOpen() {
        return way.isOpen
      },
      close,
    }
    return channel.relayed
  }

  #hasRoom(channels: ReadonlyMap<number, Channel>): boolean {
    return channels.size < MAX_CHANNELS_OF_RELAY && this.#channelCount < MAX_CHANNELS
  }

  #add(channels: Map<number, Channel>, number: number, channel: Channel): void {
    channels.set(number, channel)
    this.#channelCount++
  }

  /** Somebody else closed it. */
  #lose({ channels }: Relay, number: number): void {
    const channel = channels.get(number)
    if (channel === undefined || !this.#retire(channels, number, channel.way)) return
    if (channel.relayed !== undefined) this.#options.gone(channel.relayed)
  }

  /** False: it was retired before. */
  #retire(channels: Map<number, Channel>, number: number, way: RelayWay): boolean {
    if (channels.get(number)?.way !== way) return false
    channels.delete(number)
    this.#channelCount--
    way.isOpen = false
    this.#options.ways.gone(way)
    return true
  }

  #relay(via: ReachPeer): Relay {
    const known = this.#relays.get(via.id)
    if (known !== undefined) return known
    const announcements = new Allowance(ANNOUNCEMENTS, this.#options.clock.now())
    const early = new EarlyDatagrams()
    const relay: Relay = { via, channels: new Map(), asks: new Map(), announcements, early }
    this.#relays.set(via.id, relay)
    return relay
  }
}

class RelayWay implements Way {
  readonly kind = 'relay'
  readonly key: string
  readonly maxBytes = MAX_RELAYED_BYTES
  isOpen = true
  readonly #via: ReachPeer
  readonly #number: number

  constructor(via: ReachPeer, number: number) {
    this.#via = via
    this.#number = number
    this.key = `relay ${via.id} ${number}`
  }

  get address(): Address {
    return this.#via.address
  }

  send(bytes: Uint8Array, length: number): void {
    if (!this.isOpen || length > this.maxBytes) return
    const datagram = Buffer.allocUnsafe(RELAY_HEAD_BYTES + length)
    writeHead(datagram, 'toRelay', this.#number)
    datagram.set(bytes.subarray(0, length), RELAY_HEAD_BYTES)
    this.#via.sendDatagram(datagram)
  }
}

/** Whoever waits for it is to be told now. */
const settle = (ask: Ask): Waiting | undefined => {
  const { waiting } = ask
  waiting?.timer.cancel()
  ask.waiting = undefined
  return waiting
}

/** What a relay has not answered in time makes room for new requests, the oldest first. */
const hasRoomToAsk = ({ asks }: Relay): boolean => {
  if (asks.size < MAX_UNANSWERED_ASKS) return true
  for (const [request, { waiting }] of asks) if (waiting === undefined) return asks.delete(request)
  return false
}

const isAskedFor = ({ asks }: Relay, targetId: string): boolean =>
  [...asks.values()].some((ask) => ask.targetId === targetId && ask.waiting !== undefined)

const sendClose = (via: ReachPeer, channel: number): void =>
  via.sendFrame(CONTROL.relayClose, encodeRelayClose({ direction: 'toRelay', channel }))

const noRelay = (via: ReachPeer, targetId: string, why: string): SkeinError =>
  new SkeinError('ERR_SKEIN_NO_RELAY', `${via.name} relays nothing to ${targetId}: ${why}.`)

const stopped = (): SkeinError => new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')

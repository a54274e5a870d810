/**
 * The one in the middle: carries datagrams between two members that are both connected to this node.
 *
 * Only members ask, over their sessions, so there is nothing here for strangers. A channel joins two members; each knows it
 * by a number of its own, and only by its own numbers can it send or close. For each datagram that comes in at most one
 * goes out, of the same length, and nobody looks inside: it is QUIC between the ends. On opening, each end is told where
 * this node sees the other, and both the same token, in the same turn, so that they can try to meet directly.
 *
 * Everything is bounded (RelayLimits): channels, asks, bytes; and each member has its part of the bytes, whatever the
 * others do. What it does not do: choose relays (reach.ts), or punch.
 */
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import { malformed } from '../../wire/bytes.ts'
import { CONTROL } from '../control.ts'
import { Allowance } from '../membership/allowance.ts'
import { EarlyDatagrams } from './early-datagrams.ts'
import { Share, SharedRate } from './quota.ts'
import type { ReachPeer } from './reach-peer.ts'
import {
  channelOfDatagram,
  decodeRelayAsk,
  decodeRelayClose,
  encodeRelayClose,
  encodeRelayIncoming,
  encodeRelayOpened,
  encodeRelayRefused,
  FIRST_GIVEN_NUMBER,
  RELAY_TOKEN_BYTES,
  type RelayReason,
  writeHead,
} from './relay-frames.ts'

/** What a node that relays for others grants them. */
export interface RelayLimits {
  /** Channels that one member may be an end of. */
  readonly channelsPerMember: number
  readonly channels: number
  /** Asks of one member: so many at once, and so many each second. */
  readonly askBurst: number
  readonly asksPerSecond: number
  /** Of both directions of a channel together. */
  readonly channelBytesPerSecond: number
  readonly channelBurstBytes: number
  /** Of all channels together. */
  readonly bytesPerSecond: number
  /** A channel that carries nothing for so long is closed. */
  readonly idleMs: number
}

/** Whether a node relays for others, perhaps with a rate of its own for all of them together. */
export type RelaySetting = boolean | Pick<RelayLimits, 'bytesPerSecond'>

const RELAY_LIMITS: RelayLimits = {
  channelsPerMember: 64,
  channels: 1024,
  askBurst: 32,
  asksPerSecond: 8,
  channelBytesPerSecond: 4 << 20,
  channelBurstBytes: 1 << 20,
  bytesPerSecond: 32 << 20,
  idleMs: 120_000,
}

/** All channels together may carry at once what this time allows them. */
const BURST_MS = 250
/** For the least rate, at which a burst still is some of the longest datagrams; the most is more than a node can do. */
export const RELAY_BYTES_PER_SECOND_RANGE: readonly [number, number] = [64 << 10, 1 << 30]
/** Looks for idle channels in the time after which they are idle. */
const LOOKS_IN_IDLE = 4

export interface RelayServiceOptions {
  readonly clock: Clock
  readonly random: Random
  /** A member to which a session is up, straight and not by another relay. */
  peer(id: string): ReachPeer | undefined
  readonly limits?: Partial<RelayLimits>
  /** False: all asks are refused. */
  readonly isEnabled: boolean
}

export interface RelayFigures {
  readonly channels: number
  readonly forwardedBytes: number
  readonly refused: number
  readonly dropped: number
}

/** A member that asked for a channel, or is the end of one. */
interface Member {
  readonly id: string
  readonly asks: Allowance
  /** Refusals for too many asks, which need an allowance too: beyond it there is silence. */
  readonly refusals: Allowance
  readonly share: Share
  readonly channels: Map<number, End>
  /** For a channel whose ask is still to come: a network may turn round what was sent together. */
  readonly early: EarlyDatagrams
  nextNumber: number
}

/** One of the two ends of a channel. */
interface End {
  readonly member: Member
  readonly number: number
  readonly channel: Channel
}

interface Channel {
  readonly key: string
  readonly allowance: Allowance
  /** Two of them. */
  readonly ends: End[]
  usedMs: number
}

export class RelayService {
  readonly #options: RelayServiceOptions
  readonly #limits: RelayLimits
  readonly #members = new Map<string, Member>()
  /** By the ids of both ends. */
  readonly #channels = new Map<string, Channel>()
  readonly #rate: SharedRate
  #timer: Timer | undefined
  #isStopped = false
  #forwardedBytes = 0
  #refused = 0
  #dropped = 0

  constructor(options: RelayServiceOptions) {
    this.#options = options
    this.#limits = { ...RELAY_LIMITS, ...options.limits }
    const { bytesPerSecond } = this.#limits
    this.#rate = new SharedRate(bytesPerSecond, (bytesPerSecond * BURST_MS) / 1000, options.clock.now())
  }

  get figures(): RelayFigures {
    return {
      channels: this.#channels.size,
      forwardedBytes: this.#forwardedBytes,
      refused: this.#refused,
      dropped: this.#dropped,
    }
  }

  /** A member asks for a channel to another one. Throws ERR_SKEIN_PROTOCOL for what cannot be read. */
  ask(from: ReachPeer, body: Uint8Array): void {
    const { request, target: targetId } = decodeRelayAsk(body)
    const nowMs = this.#options.clock.now()
    const asker = this.#member(from.id)
    const isInTime = asker.asks.take(nowMs)
    // Who asks through a relay itself is not seen where it is, and what comes for it would not get there.
    const isDirect = targetId !== from.id && this.#options.peer(from.id) !== undefined
    const target = isInTime && isDirect ? this.#options.peer(targetId) : undefined
    const reason = !isInTime ? 'rate' : this.#isOff ? 'forbidden' : target === undefined ? 'unknown' : undefined
    if (reason !== undefined || target === undefined) return this.#refuse(from, asker, request, reason ?? 'unknown')
    const own = this.#endOf(asker, this.#member(target.id), request)
    const other = own && otherEnd(own)
    if (own === undefined || other === undefined) return this.#refuse(from, asker, request, 'full')
    own.channel.usedMs = nowMs
    this.#look()
    const token = this.#options.random.bytes(RELAY_TOKEN_BYTES)
    const { id, name, address } = from
    const opened = { request, channel: own.number, token, observed: target.address }
    const incoming = { channel: other.number, id, name, token, observed: address }
    from.sendFrame(CONTROL.relayOpened, encodeRelayOpened(opened))
    // A session that is full of frames nobody reads ends on the next one, and the channel with it.
    if (this.#channels.get(own.channel.key) !== own.channel) return
    target.sendFrame(CONTROL.relayIncoming, encodeRelayIncoming(incoming))
    for (const bytes of asker.early.take(own.number, nowMs)) this.datagram(from, bytes)
  }

  /** An end of a channel closes it. A channel that is not there was closed by the other end just now. Throws ERR_SKEIN_PROTOCOL. */
  close(from: ReachPeer, body: Uint8Array): void {
    const { direction, channel } = decodeRelayClose(body)
    const end = direction === 'toRelay' ? this.#members.get(from.id)?.channels.get(channel) : undefined
    if (end !== undefined) this.#close(end.channel)
  }

  /** A datagram of a member for the other end of one of its channels. The bytes are ours. */
  datagram(from: ReachPeer, bytes: Uint8Array): void {
    const number = channelOfDatagram(bytes, 'toRelay')
    if (number === undefined || this.#isOff) return
    const member = this.#member(from.id)
    const end = member.channels.get(number)
    if (end === undefined && number < FIRST_GIVEN_NUMBER) member.early.keep(number, bytes, this.#options.clock.now())
    else if (end === undefined || !this.#forward(end, bytes)) this.#dropped++
  }

  /** The connection to that member ended: its channels end with it. */
  gone(id: string): void {
    const member = this.#members.get(id)
    if (member === undefined) return
    this.#members.delete(id)
    for (const { channel } of [...member.channels.values()]) this.#close(channel)
  }

  /** That member is an end of a channel. */
  serves(id: string): boolean {
    return (this.#members.get(id)?.channels.size ?? 0) > 0
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#members.clear()
    this.#channels.clear()
  }

  get #isOff(): boolean {
    return this.#isStopped || !this.#options.isEnabled
  }

  #forward(end: End, bytes: Uint8Array): boolean {
    const { channel, member } = end
    const other = otherEnd(end)
    const peer = other && this.#options.peer(other.member.id)
    const nowMs = this.#options.clock.now()
    if (other === undefined || peer === undefined || !channel.allowance.has(nowMs, bytes.length)) return false
    if (!this.#rate.take(member.share, nowMs, bytes.length)) return false
    channel.allowance.take(nowMs, bytes.length)
    channel.usedMs = nowMs
    writeHead(bytes, 'fromRelay', other.number)
    if (!peer.sendDatagram(bytes)) return false
    this.#forwardedBytes += bytes.length
    return true
  }

  #refuse(from: ReachPeer, asker: Member, request: number, reason: RelayReason): void {
    this.#refused++
    if (reason === 'rate' && !asker.refusals.take(this.#options.clock.now())) return
    from.sendFrame(CONTROL.relayRefused, encodeRelayRefused({ request, reason }))
  }

  /** The asker's end of the channel between these two; undefined where there is no room for one. */
  #endOf(asker: Member, target: Member, request: number): End | undefined {
    const key = asker.id < target.id ? `${asker.id} ${target.id}` : `${target.id} ${asker.id}`
    const known = this.#channels.get(key)
    if (known !== undefined) return known.ends.find(({ member }) => member === asker)
    const { channels, channelsPerMember, channelBurstBytes, channelBytesPerSecond } = this.#limits
    if (asker.channels.has(request)) throw malformed('one number for two relayed channels')
    const isFull = [asker, target].some((member) => member.channels.size >= channelsPerMember)
    if (isFull || this.#channels.size >= channels) return undefined
    const nowMs = this.#options.clock.now()
    const rate = { burst: channelBurstBytes, perSecond: channelBytesPerSecond }
    const channel: Channel = { key, allowance: new Allowance(rate, nowMs), ends: [], usedMs: nowMs }
    this.#channels.set(key, channel)
    const own = newEnd(asker, request, channel)
    newEnd(target, givenNumber(target), channel)
    return own
  }

  #member(id: string): Member {
    const known = this.#members.get(id)
    if (known !== undefined) return known
    const { clock, random } = this.#options
    const { askBurst, asksPerSecond } = this.#limits
    const rate = { burst: askBurst, perSecond: asksPerSecond }
    const member: Member = {
      id,
      asks: new Allowance(rate, clock.now()),
      refusals: new Allowance(rate, clock.now()),
      share: new Share(clock.now()),
      channels: new Map(),
      early: new EarlyDatagrams(),
      // Not those of an earlier session: what is still said of them shall mean nothing.
      nextNumber: FIRST_GIVEN_NUMBER + Math.floor(random.float() * FIRST_GIVEN_NUMBER),
    }
    this.#members.set(id, member)
    return member
  }

  /** Both ends are told, the one that closed it too: what it was told of the channel meanwhile is void with it. */
  #close(channel: Channel): void {
    if (!this.#channels.delete(channel.key)) return
    for (const { member, number } of channel.ends) member.channels.delete(number)
    for (const { member, number } of channel.ends) {
      const body = encodeRelayClose({ direction: 'fromRelay', channel: number })
      if (this.#members.has(member.id)) this.#options.peer(member.id)?.sendFrame(CONTROL.relayClose, body)
    }
  }

  /** Looks for idle channels from time to time, as long as there are any. */
  #look(): void {
    const { idleMs } = this.#limits
    const { clock } = this.#options
    if (this.#timer !== undefined || this.#channels.size === 0 || this.#isStopped) return
    const closeIdle = (): void => {
      this.#timer = undefined
      const beforeMs = clock.now() - idleMs
      for (const channel of [...this.#channels.values()]) if (channel.usedMs <= beforeMs) this.#close(channel)
      this.#look()
    }
    this.#timer = clock.after(idleMs / LOOKS_IN_IDLE, closeIdle, true)
  }
}

/** One that this member does not use yet. */
const givenNumber = (member: Member): number => {
  for (;;) {
    const number = member.nextNumber
    member.nextNumber = number + 1 === 2 * FIRST_GIVEN_NUMBER ? FIRST_GIVEN_NUMBER : number + 1
    if (!member.channels.has(number)) return number
  }
}

const newEnd = (member: Member, number: number, channel: Channel): End => {
  const end = { member, number, channel }
  member.channels.set(number, end)
  channel.ends.push(end)
  return end
}

const otherEnd = (end: End): End | undefined => end.channel.ends.find((other) => other !== end)

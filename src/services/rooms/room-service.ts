/**
 * Rooms of sockets over all nodes: whatever is broadcast to a room on one node is written to its sockets on every node.
 *
 * A node with sockets in a room has one process for it, in a group; a broadcast is published to that group, by one process
 * for all rooms of a node, so that broadcasts of one node arrive in order. Who is where is a board: each node tells of its
 * own sockets, and all see the same when they can hear each other. A socket that is behind is dropped or skipped.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import { EventStream } from '../../event-stream.ts'
import type { Pid } from '../../pid.ts'
import type { Process } from '../../process/process.ts'
import { ROOMS_SCOPE } from '../../process/rights.ts'
import type { Self } from '../../process/self.ts'
import { serve } from '../../process/serve.ts'
import { Board } from '../board.ts'
import { Channel, type ChannelHost, type ChannelPeer, nonsense } from '../channel.ts'
import type { GroupService } from '../groups/group-service.ts'
import { checkName, MAX_GROUP_LENGTH } from '../groups/place.ts'
import type { ServicesHost } from '../services.ts'
import { type Arrival, Arrivals } from './arrivals.ts'
import { Presence, type RoomMember } from './presence.ts'
import { type Broadcast, BroadcastHere, isData, RoomProcess } from './room-process.ts'
import { DEFAULT_MAX_BUFFERED_BYTES, drop, OPEN, type RoomSocket, type WhenSlow, write } from './socket.ts'

const SCOPE = ROOMS_SCOPE
/** Characters of what others see of a member. */
const MAX_MEMBER_NAME_LENGTH = 255
/** Sockets whose `authorize` has not answered. */
const MAX_PENDING_JOINS = 10_000
/** An `authorize` that takes longer has said no. */
const AUTHORIZE_WITHIN_MS = 30_000

/** A socket that wants to enter. */
export interface RoomClaim {
  readonly room: string
  readonly socket: RoomSocket
  readonly as: string
}

/** What the first call of `node.rooms` takes. */
export interface RoomsOptions {
  /** Who may enter; without it everybody. False, a throw, or no answer within 30 s keeps the socket out. */
  readonly authorize?: (claim: RoomClaim) => boolean | Promise<boolean>
  /** Unsent bytes above which a socket is slow. Default: 1 MiB. */
  readonly maxBufferedBytes?: number
  /** What becomes of a slow socket. Default: drop. */
  readonly whenSlow?: WhenSlow
}

/** What `rooms.watch` gives: who comes and goes on any node, and slow sockets of this one. */
export type RoomEvent =
  | { readonly type: 'join' | 'leave'; readonly room: string; readonly member: RoomMember }
  /** A socket of this node is behind: it was dropped, or misses what comes until it has caught up. */
  | {
      readonly type: 'slow'
      readonly room: string
      readonly member: RoomMember
      readonly bufferedBytes: number
      readonly action: WhenSlow
    }

/** A socket of this node in a room. */
interface Seat {
  readonly key: string
  readonly member: RoomMember
  /** It misses what comes: told already. */
  isBehind: boolean
}

interface LocalRoom {
  readonly process: RoomProcess
  readonly seats: Map<RoomSocket, Seat>
}

export class RoomService {
  readonly events = new EventStream<RoomEvent>()
  readonly presence: Presence
  readonly #host: ServicesHost
  readonly #groups: GroupService
  readonly #channel: Channel
  readonly #board: Board<string>
  readonly #speaker: Process
  readonly #rooms = new Map<string, LocalRoom>()
  /** Rooms of each socket of this node. */
  readonly #sockets = new Map<RoomSocket, Set<string>>()
  /** Those whose end this node hears of. */
  readonly #heard = new WeakSet<RoomSocket>()
  readonly #arrivals = new Arrivals()
  #options: RoomsOptions | undefined
  #lastSeat = 0
  #pendingJoins = 0

  constructor(host: ServicesHost, channelHost: ChannelHost, groups: GroupService) {
    this.#host = host
    this.#groups = groups
    this.presence = new Presence((event) => this.events.emit(event))
    this.#board = new Board<string>(() => this.#channel, host.clock, {
      accept: (value, key, owner) => {
        const room = roomOf(key)
        if (!isMemberName(value) || room === undefined) throw nonsense('a seat in a room that is none')
        host.processes.rights.checkGroup(owner.pid.origin, SCOPE, room)
        return value
      },
      put: ({ pid: { origin } }, seat, name) => this.#arrived({ origin, seat, room: roomOf(seat) ?? '', name }),
      removed: ({ pid: { origin } }, seat) => {
        const room = roomOf(seat) ?? ''
        this.#arrivals.remove(room, origin, seat)
        this.presence.remove(origin, seat, room)
      },
    })
    this.#channel = new Channel('skein.rooms', channelHost, {
      peerUp: (peer) => this.#board.peerUp(peer),
      received: (peer, message) => this.#received(peer, message),
      peerDown: (peer) => this.#board.peerDown(peer),
    })
    const speaker = (self: Self<unknown>): void => serve(self, () => {})
    const traits = { serves: true, guarded: true, label: 'speaker of the rooms' }
    this.#speaker = host.processes.local(host.processes.spawn(Object.assign(speaker, { traits })))
    void this.#follow()
  }

  /** Throws ERR_SKEIN_BAD_OPTION. */
  configure(options: RoomsOptions): void {
    const { maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES, whenSlow = 'drop' } = options
    if (!(maxBufferedBytes > 0)) throw badOption('maxBufferedBytes is a number of bytes.')
    if (whenSlow !== 'drop' && whenSlow !== 'skip') throw badOption('whenSlow is drop or skip.')
    if (this.#options !== undefined) throw badOption('The options of the rooms of a node are given once.')
    this.#options = options
  }

  async join(room: string, socket: RoomSocket, as: string): Promise<RoomMember> {
    checkName('group', room)
    if (!isMemberName(as)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `A member has a name of 1 to ${MAX_MEMBER_NAME_LENGTH} characters.`)
    }
    await this.#authorize({ room, socket, as })
    const there = this.#rooms.get(room)?.seats.get(socket)
    return there === undefined ? this.#sit(room, socket, as) : there.member
  }

  has(room: string, socket: RoomSocket): boolean {
    return this.#rooms.get(room)?.seats.has(socket) === true
  }

  leave(room: string, socket: RoomSocket): boolean {
    const local = this.#rooms.get(room)
    const seat = local?.seats.get(socket)
    if (local === undefined || seat === undefined) return false
    local.seats.delete(socket)
    this.#board.delete(seat.key)
    this.presence.remove(this.#host.self, seat.key, room)
    const rooms = this.#sockets.get(socket)
    rooms?.delete(room)
    if (rooms?.size === 0) this.#sockets.delete(socket)
    if (local.seats.size === 0) {
      this.#rooms.delete(room)
      local.process.end()
    }
    return true
  }

  leaveAll(socket: RoomSocket): void {
    for (const room of [...(this.#sockets.get(socket) ?? [])]) this.leave(room, socket)
  }

  broadcast(room: string, data: string | Uint8Array, except: readonly RoomSocket[]): boolean {
    if (!isData(data)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'What is broadcast is a string or a Uint8Array.')
    const message: Broadcast = { type: 'broadcast', data }
    const here = this.#rooms.get(room)?.process.pid
    if (except.length === 0 || here === undefined) {
      return this.#groups.publish(this.#speaker, room, message, { scope: SCOPE })
    }
    const isFreeElsewhere = this.#groups.publish(this.#speaker, room, message, { scope: SCOPE, exclude: here })
    return this.#broadcastHere(here, new BroadcastHere(data, new Set(except))) && isFreeElsewhere
  }

  /** As published: what finds no room is a dead letter, and no error, because other nodes have it. */
  #broadcastHere(here: Pid, message: BroadcastHere): boolean {
    try {
      return this.#host.processes.send(here, message, this.#speaker.pid)
    } catch (error) {
      if (!isSkeinError(error, 'ERR_SKEIN_QUEUE_FULL')) throw error
      this.#host.emit({ type: 'deadLetter', to: here, from: this.#speaker.pid, reason: error.code })
      return false
    }
  }

  drained(room: string): Promise<void> {
    return this.#groups.drained(this.#speaker, { group: room, scope: SCOPE })
  }

  stop(): void {
    this.events.end()
  }

  /** Shows a socket of another node as soon as something would reach it. */
  #arrived(arrival: Arrival): void {
    const { origin, seat, room, name } = arrival
    if (this.#groups.isOn(origin, SCOPE, room)) this.presence.add(origin, seat, room, name)
    else this.#arrivals.add(arrival)
  }

  async #follow(): Promise<void> {
    for await (const event of this.#groups.watch(SCOPE, undefined)) {
      if (event.type === 'lagged') {
        for (const arrival of this.#arrivals.takeAll()) this.#arrived(arrival)
      } else if (event.type === 'join') {
        for (const { origin } of event.pids) {
          for (const arrival of this.#arrivals.take(event.group, origin)) this.#arrived(arrival)
        }
      }
    }
  }

  async #authorize(claim: RoomClaim): Promise<void> {
    const { authorize } = this.#options ?? {}
    if (authorize !== undefined && this.#pendingJoins >= MAX_PENDING_JOINS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_PENDING_JOINS} sockets wait to be authorized.`)
    }
    this.#pendingJoins++
    try {
      if (authorize !== undefined && (await this.#inTime(authorize, claim)) !== true)
        throw refused(`"${claim.as}" may not enter "${claim.room}".`)
    } catch (cause) {
      if (isSkeinError(cause, 'ERR_SKEIN_ROOM_REFUSED')) throw cause
      throw refused(`"${claim.as}" may not enter "${claim.room}": authorize threw.`, cause)
    } finally {
      this.#pendingJoins--
    }
    if (claim.socket.readyState !== OPEN) throw refused('The socket is not open.')
  }

  /** Its answer; an error once it is late, as the place among those who wait is to be free again. */
  #inTime(authorize: NonNullable<RoomsOptions['authorize']>, claim: RoomClaim): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(refused(`authorize did not answer within ${AUTHORIZE_WITHIN_MS} ms.`))
      const timer = this.#host.clock.after(AUTHORIZE_WITHIN_MS, late)
      const answer = new Promise<boolean>((answered) => answered(authorize(claim)))
      void answer.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #sit(room: string, socket: RoomSocket, as: string): RoomMember {
    const key = `${++this.#lastSeat}:${room}`
    if (!this.#heard.has(socket)) socket.addEventListener('close', () => this.leaveAll(socket))
    this.#heard.add(socket)
    this.#board.set(key, as)
    let local = this.#rooms.get(room)
    if (local === undefined) {
      local = this.#open(room, key)
      this.#rooms.set(room, local)
    }
    const member = this.presence.add(this.#host.self, key, room, as)
    local.seats.set(socket, { key, member, isBehind: false })
    const rooms = this.#sockets.get(socket)
    if (rooms === undefined) this.#sockets.set(socket, new Set([room]))
    else rooms.add(room)
    return member
  }

  /** The room's process on this node. `key`: of the first seat, which is taken back if there can be no process. */
  #open(room: string, key: string): LocalRoom {
    let process: RoomProcess | undefined
    try {
      const { processes } = this.#host
      process = new RoomProcess(
        room,
        (behaviour, options) => processes.spawn(behaviour, options),
        (data, except) => this.#write(room, data, except),
      )
      this.#groups.join(SCOPE, room, [process.pid])
      return { process, seats: new Map() }
    } catch (error) {
      process?.end()
      this.#board.delete(key)
      throw error
    }
  }

  #write(room: string, data: string | Uint8Array, except: ReadonlySet<RoomSocket>): void {
    const { maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES, whenSlow = 'drop' } = this.#options ?? {}
    for (const [socket, seat] of [...(this.#rooms.get(room)?.seats ?? [])]) {
      if (except.has(socket)) continue
      const written = write(socket, data, maxBufferedBytes)
      if (written === 'written') {
        seat.isBehind = false
        continue
      }
      if (written === 'slow') {
        const { member } = seat
        if (!seat.isBehind) {
          const { bufferedAmount: bufferedBytes } = socket
          this.events.emit({ type: 'slow', room, member, bufferedBytes, action: whenSlow })
        }
        seat.isBehind = true
        if (whenSlow === 'skip') continue
        drop(socket)
      }
      this.leaveAll(socket)
    }
  }

  #received(peer: ChannelPeer, message: unknown): void {
    if (!this.#board.received(peer, message)) throw nonsense('to the rooms what they do not know')
  }
}

const isMemberName = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= MAX_MEMBER_NAME_LENGTH

const SEAT = /^[1-9]\d{0,15}:/

/** The room of a seat; undefined for what is no seat. */
const roomOf = (key: string): string | undefined => {
  const [head] = SEAT.exec(key) ?? []
  const room = head === undefined ? '' : key.slice(head.length)
  return room.length > 0 && room.length <= MAX_GROUP_LENGTH ? room : undefined
}

const refused = (message: string, cause?: unknown): SkeinError =>
  new SkeinError('ERR_SKEIN_ROOM_REFUSED', message, cause === undefined ? {} : { cause })

const badOption = (message: string): SkeinError => new SkeinError('ERR_SKEIN_BAD_OPTION', message)

/**
 * Groups and rooms: processes join and leave groups that every member publishes to in numbers, and sockets enter and leave
 * rooms with broadcasts in numbers. Who is in gets the numbers of each publisher without a gap.
 */
import type { Pid, RoomSocket, Self } from '../../../src/index.ts'
import { Sequences } from './sequence.ts'
import { isType, type Work, type Workplace } from './work.ts'

const GROUPS = ['g1', 'g2', 'g3', 'g4'] as const
const ROOMS = ['r1', 'r2'] as const
const STAY_MS_RANGE = [500, 5000] as const
/** Of the ticks. */
const JOIN_CHANCE = 0.1
const ENTER_CHANCE = 0.05
const PUBLISH_CHANCE = 0.3

interface Published {
  readonly type: 'published'
  readonly from: Pid
  readonly group: string
  readonly number: number
}

/** A socket that keeps nothing; closing it tells who listens, as a WebSocket does. */
class MemorySocket implements RoomSocket {
  readyState = 1
  readonly bufferedAmount = 0
  readonly #take: (data: string) => void
  readonly #listeners: (() => void)[] = []

  constructor(take: (data: string) => void) {
    this.#take = take
  }

  send(data: string | Uint8Array): void {
    this.#take(String(data))
  }

  close(): void {
    if (this.readyState !== 1) return
    this.readyState = 3
    for (const listener of this.#listeners) listener()
  }

  addEventListener(_type: 'close', listener: () => void): void {
    this.#listeners.push(listener)
  }
}

export class GroupsWork implements Work {
  readonly name = 'groups'
  readonly #place: Workplace
  readonly #numbers = new Map<string, number>()
  #publisher: Self<unknown> | undefined
  #open = 0
  #sockets = 0

  constructor(place: Workplace) {
    this.#place = place
    place.node.spawn(async (self: Self<unknown>) => {
      this.#publisher = self
      for await (const message of self) place.violation(`a publisher got ${JSON.stringify(message)}`)
    })
  }

  tick(): void {
    if (this.#place.chance(JOIN_CHANCE)) this.#join(this.#place.pick(GROUPS) ?? 'g1')
    if (this.#place.chance(ENTER_CHANCE)) void this.#enter(this.#place.pick(ROOMS) ?? 'r1')
    const self = this.#publisher
    if (self === undefined || !this.#place.chance(PUBLISH_CHANCE)) return
    const group = this.#place.pick(GROUPS) ?? 'g1'
    const message: Published = { type: 'published', from: self.pid as Pid, group, number: this.#next(group) }
    self.publish(group, message)
    const room = this.#place.pick(ROOMS) ?? 'r1'
    this.#place.node.rooms().broadcast(room, `${this.#place.node.name} ${this.#next(room)}`)
    this.#place.count('published')
  }

  outstanding(): number {
    return this.#open
  }

  #next(what: string): number {
    const number = (this.#numbers.get(what) ?? 0) + 1
    this.#numbers.set(what, number)
    return number
  }

  #join(group: string): void {
    const { node } = this.#place
    const stayMs = this.#stayMs()
    const leaves = this.#place.chance(0.5)
    this.#open++
    const pid = node.spawn(async (self: Self<unknown>) => {
      const heard = new Sequences({ published: true })
      self.monitorNodes(true)
      self.signal.addEventListener('abort', () => this.#open--)
      self.sendAfter(stayMs, self.pid, { type: 'over' })
      for await (const message of self) {
        if (isType(message, 'over')) break
        if (isType(message, 'nodedown')) heard.cut((message as unknown as { node: string }).node)
        if (isType(message, 'published')) this.#check(heard, group, message as unknown as Published)
      }
      if (leaves) node.groups.leave(group, self.pid)
    })
    node.groups.join(group, pid)
    this.#place.count('groups joined')
  }

  #check(heard: Sequences, group: string, { from, number, group: of }: Published): void {
    this.#place.count('publications received')
    const wrong = heard.next(from.key, from.node, number, 0)
    if (wrong !== '' || of !== group) this.#place.violation(`group ${group}: ${wrong} (${of})`)
  }

  async #enter(room: string): Promise<void> {
    const rooms = this.#place.node.rooms()
    const last = new Map<string, number>()
    const socket = new MemorySocket((data) => {
      this.#place.count('broadcasts received')
      const [node, number] = data.split(' ') as [string, string]
      const before = last.get(node) ?? 0
      // A member that was restarted begins anew.
      if (Number(number) <= before && Number(number) > 20)
        this.#place.violation(`room ${room}: ${data} after ${before}`)
      last.set(node, Number(number))
    })
    this.#open++
    try {
      await rooms.join(room, socket, { as: `${this.#place.node.name} ${++this.#sockets}` })
      this.#place.count('rooms entered')
      await new Promise((resolve) => setTimeout(resolve, this.#stayMs()))
      if (this.#place.chance(0.5)) rooms.leave(room, socket)
    } catch (error) {
      this.#place.violation(`room ${room}: ${String(error)}`)
    } finally {
      socket.close()
      this.#open--
    }
  }

  #stayMs(): number {
    const [short, long] = STAY_MS_RANGE
    return short + this.#place.below(long - short)
  }
}

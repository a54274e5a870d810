/**
 * Conversations: every member has light senders, which send small messages to every other member all the time, by name, by
 * pid and as casts, and a heavy one whose messages fill lanes. All are numbered, by sender and receiving node.
 */
import type { Pid, Self, Target } from '../../../src/index.ts'
import { Sequences } from './sequence.ts'
import { codeOf, isType, TICKS_PER_SECOND, type Work, type Workplace } from './work.ts'

const SINK = 'sink'
const SINKS = 'sinks'
const LIGHT_SENDERS = 3
const LIGHT_SIZES = [0, 30, 100, 300, 1500] as const
const HEAVY_SIZES = [4096, 16_384, 65_536] as const
/** Of the ticks of the heavy sender. */
const HEAVY_CHANCE = 0.25
/** A connection that churn cuts is back, or the node is gone for good, long before this. */
const FORGET_AFTER_MS = 60_000

interface Numbered {
  readonly type: 'numbered'
  readonly from: Pid
  readonly number: number
  readonly size: number
  readonly load: string | Uint8Array
}

type How = 'name' | 'pid' | 'cast' | 'heavy'

interface Sender {
  readonly how: How
  self: Self<unknown> | undefined
  /** By node: the last number. */
  readonly sent: Map<string, number>
}

export class Conversations implements Work {
  readonly name = 'conversations'
  readonly #place: Workplace
  readonly #heard = new Sequences()
  readonly #senders: Sender[]
  readonly #texts = new Map(LIGHT_SIZES.map((size) => [size, 'abcdefghij'.repeat(size / 10)]))

  constructor(place: Workplace) {
    this.#place = place
    const { node } = place
    const sink = node.spawnWith({ name: SINK }, (self: Self<unknown>) => this.#sink(self))
    node.groups.join(SINKS, sink)
    const hows: How[] = ['name', 'pid', 'cast', 'heavy']
    this.#senders = hows.map((how) => {
      const sender: Sender = { how, self: undefined, sent: new Map() }
      node.spawn(async (self: Self<unknown>) => {
        sender.self = self
        for await (const message of self) place.violation(`a sender got ${JSON.stringify(message)}`)
      })
      return sender
    })
  }

  tick(): void {
    const nodes = this.#place.node.nodes()
    const perTick = this.#place.rate / TICKS_PER_SECOND / LIGHT_SENDERS / Math.max(1, nodes.length)
    for (const sender of this.#senders) {
      if (sender.how === 'heavy') {
        const node = this.#place.peer()
        if (node !== undefined && this.#place.chance(HEAVY_CHANCE)) this.#send(sender, node)
        continue
      }
      for (const node of nodes) {
        const count = Math.floor(perTick) + (this.#place.chance(perTick % 1) ? 1 : 0)
        for (let i = 0; i < count; i++) this.#send(sender, node)
      }
    }
    this.#forget(nodes)
  }

  /** A last message of each sender to everybody: behind it nothing is under way. */
  farewell(): void {
    for (const sender of this.#senders) for (const node of this.#place.node.nodes()) this.#send(sender, node)
  }

  outstanding(): number {
    return 0
  }

  sent(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      this.#senders.flatMap(({ self, sent }) => {
        return self === undefined ? [] : [[self.pid.key, Object.fromEntries(sent)] as const]
      }),
    )
  }

  heard(): Record<string, number> {
    return this.#heard.last()
  }

  #send({ how, self, sent }: Sender, node: string): void {
    if (self === undefined) return
    const sinks = this.#place.node.groups.members(SINKS)
    const target: Target | undefined =
      how === 'name' || how === 'heavy' ? { name: SINK, node } : sinks.find((pid) => pid.node === node)
    if (target === undefined) return
    const size = this.#place.pick<number>(how === 'heavy' ? HEAVY_SIZES : LIGHT_SIZES) ?? 0
    const load = how === 'heavy' ? new Uint8Array(size).fill(size & 0xff) : (this.#texts.get(size as 0) ?? '')
    const number = (sent.get(node) ?? 0) + 1
    const message: Numbered = { type: 'numbered', from: self.pid as Pid, number, size, load }
    try {
      if (how === 'cast') self.cast(target, message)
      else self.send(target, message)
      sent.set(node, number)
      this.#place.count(how === 'heavy' ? 'heavy messages sent' : 'light messages sent')
    } catch (error) {
      if (codeOf(error) === 'ERR_SKEIN_QUEUE_FULL') this.#place.count('refused: queue full')
      else this.#place.violation(`send threw ${String(error)}`)
    }
  }

  async #sink(self: Self<unknown>): Promise<void> {
    self.monitorNodes(true)
    for await (const message of self) {
      if (isType(message, 'numbered')) this.#check(message as unknown as Numbered)
      else if (isType(message, 'nodedown')) this.#heard.cut((message as unknown as { node: string }).node)
    }
  }

  #check({ from, number, size, load }: Numbered): void {
    this.#place.count('messages received')
    const wrong = this.#heard.next(from.key, from.node, number, performance.now())
    if (wrong !== '') this.#place.violation(`sink: ${wrong}`)
    const isWhole = load.length === size && (typeof load === 'string' || load[size - 1] === (size & 0xff))
    if (!isWhole) this.#place.violation(`sink: a message of ${from.node} with ${load.length} of ${size}`)
  }

  /** Of receivers numbers are never forgotten: who comes back has to be told where they stand. */
  #forget(nodes: readonly string[]): void {
    this.#heard.forget((node) => nodes.includes(node), performance.now() - FORGET_AFTER_MS)
  }
}

/**
 * Children whose every run is noted from outside: what runs where at a moment, and what was written to a resource that
 * heeds tokens.
 */
import { type CallMessage, Fence, type Pid, type Self, type SkeinNode } from '../../src/index.ts'

export type CounterMessage = { readonly add: number } | CallMessage<'total' | 'hand over' | 'crash', number>

export interface Run {
  readonly name: string
  readonly pid: Pid
  readonly node: string
  readonly args: readonly unknown[]
  readonly self: Self<CounterMessage>
}

/** What runs in a simulated cluster, as nobody in it can see it. */
export class Runs {
  readonly all: Run[] = []
  readonly now = new Set<Run>()
  /** Children that began without a token. */
  readonly tokenless: string[] = []
  /** One resource for each child. */
  readonly fences = new Map<string, Fence>()

  /** The node can start counters. */
  offer(node: SkeinNode, behaviour = 'counter', version?: string): void {
    const run = (self: Self<CounterMessage>, ...args: unknown[]) => this.#count(self, node.name, args)
    node.behaviour(behaviour, run, { handOver: 'hand over', ...(version === undefined ? {} : { version }) })
  }

  /** A node that crashed runs nothing, though nobody tells its processes. */
  crashed(node: string): void {
    for (const run of this.now) if (run.node === node) this.now.delete(run)
  }

  of(name: string): Run[] {
    return [...this.now].filter((run) => run.name === name)
  }

  /** The resource takes what this run writes. */
  admits({ name, self }: Run): boolean {
    let fence = this.fences.get(name)
    if (fence === undefined) {
      fence = new Fence()
      this.fences.set(name, fence)
    }
    const token = self.supervised?.token ?? ''
    return token !== '' && fence.admits(token)
  }

  async #count(self: Self<CounterMessage>, node: string, args: unknown[]): Promise<void> {
    const run: Run = { name: self.supervised?.name ?? '', pid: self.pid as Pid, node, args, self }
    this.all.push(run)
    if (self.supervised?.token === '') this.tokenless.push(`${run.name} on ${node}`)
    this.now.add(run)
    self.signal.addEventListener('abort', () => this.now.delete(run))
    let total = Number(args.at(-1) ?? 0)
    for await (const message of self) {
      if ('add' in message) total += message.add
      else if (message.request === 'crash') throw new Error('told to')
      else {
        self.reply(message.from, total)
        if (message.request === 'hand over') return
      }
    }
  }
}

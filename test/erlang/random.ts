/**
 * Random lives of four processes on two nodes: links, monitors, names, traps, exits and ends in any order, given by a
 * seed.
 *
 * The generator keeps account of who is alive and linked, only to know whom it can still ask and for what to wait: after
 * each step everything that it caused has arrived, so that both worlds go through the same states. What the processes
 * find in their mailboxes is left to the worlds to tell.
 */
import { anywhere, type NodeName, type Scenario, type Step, type To, type Value } from './scenario.ts'

const ACTORS = ['a', 'b', 'c', 'd']
const NODES: Readonly<Record<string, NodeName>> = { a: 'n1', b: 'n1', c: 'n2', d: 'n2' }
/** One for each node, so that it is the same with all on one node. Erlang gives a process one name only. */
const NAMES: Readonly<Record<NodeName, string>> = { n1: 'desk', n2: 'counter' }
const STEPS = 20
const REASONS: readonly Value[] = ['normal', 'shutdown', 'kill', 'killed', 'boom', ['list', 7]]

/** The mulberry32 generator. */
const chances = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

class Life {
  readonly steps: Step[] = []
  readonly #below: (below: number) => number
  readonly #alive = new Set(ACTORS)
  readonly #trapping = new Set<string>()
  readonly #links = new Set<string>()
  readonly #owners = new Map<NodeName, string>()
  readonly #monitors: { readonly of: string; readonly ref: string }[] = []
  #refs = 0

  constructor(seed: number) {
    this.#below = chances(seed)
    for (let i = 0; i < STEPS && this.#alive.size > 1; i++) this.#next()
    for (const actor of this.#alive) this.steps.push([actor, 'restSet'])
  }

  #next(): void {
    const who = this.#one([...this.#alive])
    // Now and then one that is dead already.
    const to = this.#one(ACTORS)
    const isAlive = this.#alive.has(to)
    switch (this.#below(12)) {
      case 0:
      case 1:
        // A link to the dead of the same node is a difference of its own.
        if (isAlive || this.#trapping.has(who)) this.#link(who, to)
        break
      case 2:
        this.steps.push([who, 'unlink', to])
        this.#links.delete(pair(who, to))
        this.#settle(who, to)
        break
      case 3:
        this.#monitor(who, to)
        break
      case 4:
        this.#demonitor()
        break
      case 5:
        this.steps.push([who, 'trap', !this.#trapping.has(who)])
        if (!this.#trapping.delete(who)) this.#trapping.add(who)
        break
      case 6:
        this.steps.push([who, 'send', to, `word ${this.steps.length}`])
        this.#settle(who, to)
        break
      case 7:
        this.#exit(who, to, this.#one(REASONS))
        break
      case 8:
        if (this.#below(3) === 0) this.#end(who)
        break
      case 9:
        this.#rename(who)
        break
      default:
        this.#toName(who, this.#one(['n1', 'n2']))
    }
  }

  #link(who: string, to: string): void {
    this.steps.push([who, 'link', to])
    if (who !== to && this.#alive.has(to)) this.#links.add(pair(who, to))
    this.#settle(who, to)
  }

  #monitor(who: string, to: string): void {
    const ref = `m${++this.#refs}`
    this.steps.push([who, 'monitor', to, ref])
    this.#monitors.push({ of: who, ref })
    this.#settle(who, to)
  }

  /** Takes the name of its node, finds it taken, or gives it up. */
  #rename(who: string): void {
    const node = NODES[who] as NodeName
    const name = NAMES[node]
    if (this.#owners.get(node) === who) {
      this.steps.push([who, 'unregister', name])
      this.#owners.delete(node)
      return
    }
    this.steps.push([who, 'register', name])
    if (!this.#owners.has(node)) this.#owners.set(node, who)
  }

  #toName(who: string, node: NodeName): void {
    const to: To = { name: NAMES[node], node }
    const owner = this.#owners.get(node)
    if (this.#below(2) === 0) {
      this.steps.push([who, 'send', to, `word ${this.steps.length}`])
      // Without an owner it is dropped there, but before somebody takes the name.
      const there = owner ?? [...this.#alive].find((one) => NODES[one] === node)
      if (there !== undefined) this.#settle(who, there)
      return
    }
    const ref = `m${++this.#refs}`
    this.steps.push([who, 'monitor', to, ref])
    if (owner === undefined) this.steps.push([who, 'awaitDown', ref])
    else {
      this.#monitors.push({ of: who, ref })
      this.#settle(who, owner)
    }
  }

  #demonitor(): void {
    const mine = this.#monitors.filter(({ of }) => this.#alive.has(of))
    if (mine.length === 0) return
    const { of, ref } = this.#one(mine)
    this.steps.push([of, this.#below(2) === 0 ? 'demonitor' : 'demonitorFlush', ref])
    for (const other of this.#alive) this.#settle(of, other)
  }

  #exit(who: string, to: string, reason: Value): void {
    this.steps.push([who, 'exit', to, reason])
    if (!this.#alive.has(to)) return
    const traps = this.#trapping.has(to)
    if (reason === 'kill') this.#died(to, 'killed')
    else if (!traps && (reason !== 'normal' || who === to)) this.#died(to, reason)
    else this.#settle(who, to)
  }

  #end(who: string): void {
    const reason = this.#one(REASONS)
    this.steps.push([who, 'end', 'exit', reason])
    this.#died(who, reason)
  }

  /** Whoever goes with it; then everybody who is left waits until the news has arrived. */
  #died(first: string, reason: Value): void {
    const dead = [first]
    for (const one of dead) {
      this.#alive.delete(one)
      for (const [node, owner] of this.#owners) if (owner === one) this.#owners.delete(node)
      for (const other of ACTORS) {
        const linked = this.#links.delete(pair(one, other))
        if (linked && this.#alive.has(other) && !this.#trapping.has(other) && reason !== 'normal') {
          if (!dead.includes(other)) dead.push(other)
        }
      }
    }
    for (const one of dead) this.steps.push([one, 'ended'])
    for (const one of this.#alive) {
      for (const gone of dead) {
        const ref = `end ${++this.#refs}`
        this.steps.push([one, 'monitor', gone, ref], [one, 'awaitDown', ref])
      }
    }
  }

  /** There and back: what was sent has arrived, and what it brought about too. */
  #settle(who: string, to: string): void {
    if (this.#alive.has(to)) {
      this.steps.push([who, 'fence', to], [to, 'fence', who])
      return
    }
    const ref = `end ${++this.#refs}`
    this.steps.push([who, 'monitor', to, ref], [who, 'awaitDown', ref])
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T
  }
}

const pair = (one: string, other: string): string => [one, other].sort().join('-')

export const randomScenario = (seed: number): Scenario =>
  anywhere(
    `a random life, seed ${seed}`,
    [7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 19, 27],
    'a b | c d',
    new Life(seed).steps,
  )

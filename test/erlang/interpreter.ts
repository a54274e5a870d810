/** Runs a scenario on a world and writes down what is seen. Names of the scenario stand for pids and references. */
import type { NodeName, Place, Scenario, Step } from './scenario.ts'
import { Handle, type Term, type World } from './world.ts'

/** One line of what was seen: who, by which operation, what. */
export type Seen = string

type ActorStep = readonly [actor: string, operation: string, ...args: unknown[]]

/** Operations whose result is the world's own business. */
const SILENT = new Set(['send', 'sendMany', 'trap', 'link', 'unlink', 'exit', 'end', 'reply', 'watchNodes', 'hold'])

class Run {
  readonly seen: Seen[] = []
  readonly #world: World
  readonly #place: Place
  readonly #nodes = new Map<string, NodeName>()
  readonly #handles = new Map<string, Term>()
  readonly #names = new Map<string, string>()
  readonly #calls = new Map<string, Promise<Term>>()
  #fences = 0

  constructor(world: World, place: Place) {
    this.#world = world
    this.#place = place
  }

  async begin(actors: Scenario['actors']): Promise<void> {
    for (const [actor, node] of Object.entries(actors)) {
      const at = this.#at(node)
      this.#nodes.set(actor, at)
      this.#learn(actor, await this.#world.spawn(at, actor))
    }
  }

  async step(step: Step): Promise<void> {
    const [who, ...rest] = step
    if (who === 'together') {
      const steps = rest as ActorStep[]
      const seen = await Promise.all(steps.map((one) => this.#act(one)))
      this.seen.push(...seen.flat())
    } else if (who === 'n1' || who === 'n2') await this.#node(who, rest as [string, string?])
    else this.seen.push(...(await this.#act(step as ActorStep)))
  }

  #node(node: NodeName, [operation, actor = '']: readonly [string, string?]): Promise<void> {
    if (operation === 'start') return this.begin({ [actor]: node })
    if (operation === 'connect') return this.#world.connect()
    if (operation === 'disconnect') return this.#world.disconnect()
    return operation === 'kill' ? this.#world.kill() : this.#world.restart()
  }

  async #act(step: ActorStep): Promise<Seen[]> {
    const [actor, operation, ...args] = step
    const result = await this.#carryOut(actor, operation, args)
    if (result === undefined || SILENT.has(operation)) return []
    return [`${actor} ${operation}: ${this.#show(result)}`]
  }

  async #carryOut(actor: string, operation: string, args: readonly unknown[]): Promise<Term | undefined> {
    switch (operation) {
      case 'fence':
        return this.#fence(actor, args[0] as string)
      case 'ended':
        return this.#world.ended(this.#nodeOf(actor), actor)
      case 'call':
        this.#calls.set(actor, this.#ask(actor, 'call', args))
        return undefined
      case 'outcome':
        return this.#calls.get(actor)
      case 'takeSet':
        return this.#sorted(await this.#ask(actor, 'take', args))
      case 'restSet':
        return this.#sorted(await this.#ask(actor, 'rest', args))
      case 'monitor':
      case 'sendAfter': {
        const result = await this.#ask(actor, operation, args.slice(0, -1))
        this.#learn(args.at(-1) as string, result)
        return undefined
      }
      case 'serve': {
        const call = (await this.#ask(actor, 'take', [1])) as readonly [readonly [string, Term, Term, Term]]
        const [[type, caller, request, from]] = call
        this.#learn(args[0] as string, from)
        return [type, caller, request]
      }
      case 'spawn':
      case 'spawnLink':
      case 'spawnMonitor':
        return this.#spawn(actor, operation, args as [string, NodeName, unknown])
      default:
        return this.#ask(actor, operation, args)
    }
  }

  async #spawn(
    actor: string,
    kind: string,
    [child, node, first]: [string, NodeName, unknown],
  ): Promise<Term | undefined> {
    const at = this.#at(node)
    const remote = at !== this.#nodeOf(actor)
    this.#nodes.set(child, at)
    const result = await this.#ask(actor, remote ? `${kind}On` : kind, [child, at, first])
    const [pid, ref] = result as readonly Term[]
    // An error; or the new process has taken this one along already.
    if (!(pid instanceof Handle)) return result === 'ended' ? undefined : result
    this.#learn(child, pid)
    if (ref !== undefined) this.#learn(`monitor of ${child}`, ref)
    return undefined
  }

  async #fence(actor: string, to: string): Promise<undefined> {
    const fence = `fence ${++this.#fences}`
    await this.#ask(actor, 'send', [to, fence])
    const got = await this.#ask(to, 'pick', [fence])
    if (got !== fence) throw new Error(`the fence did not arrive: ${this.#show(got)}`)
    return undefined
  }

  #ask(actor: string, operation: string, args: readonly unknown[]): Promise<Term> {
    return this.#world.act(
      this.#nodeOf(actor),
      actor,
      operation,
      args.map((arg, i) => this.#resolve(operation, arg, i)),
    )
  }

  /** Puts pids and references where the scenario has names. */
  #resolve(operation: string, arg: unknown, index: number): Term {
    if (index === 0 && typeof arg === 'string' && NAMED.has(operation)) return this.#handle(arg)
    if (index === 1 && typeof arg === 'string' && operation === 'sendAfter') return this.#handle(arg)
    if (index === 2 && operation.startsWith('spawn')) {
      return (arg as (readonly [string, ...unknown[]])[]).map(([first, ...rest]) => [
        first,
        ...rest.map((one, i) => this.#resolve(first, one, i)),
      ])
    }
    return this.#value(arg)
  }

  #value(value: unknown): Term {
    if (Array.isArray(value)) return value.map((one) => this.#value(one))
    if (typeof value !== 'object' || value === null) return value as Term
    if ('pid' in value) return this.#handle(String(value.pid))
    if ('from' in value) return this.#handle(String(value.from))
    if ('name' in value && 'node' in value) return { name: String(value.name), node: this.#at(value.node as NodeName) }
    throw new Error(`no value: ${JSON.stringify(value)}`)
  }

  #handle(name: string): Term {
    const handle = this.#handles.get(name)
    if (handle === undefined) throw new Error(`nothing is called ${name} yet`)
    return handle
  }

  #learn(name: string, handle: Term): void {
    this.#handles.set(name, handle)
    if (handle instanceof Handle) this.#names.set(handle.key, name)
  }

  #nodeOf(actor: string): NodeName {
    const node = this.#nodes.get(actor)
    if (node === undefined) throw new Error(`there is no process ${actor}`)
    return node
  }

  #at(node: NodeName): NodeName {
    return this.#place === 'one node' ? 'n1' : node
  }

  #sorted(term: Term): Term {
    return Array.isArray(term) ? [...term].sort((a, b) => (this.#show(a) < this.#show(b) ? -1 : 1)) : term
  }

  #show(term: Term): string {
    if (term instanceof Handle) return `<${this.#names.get(term.key) ?? 'a stranger'}>`
    if (Array.isArray(term)) return `[${term.map((one) => this.#show(one)).join(', ')}]`
    if (typeof term === 'object' && 'error' in term) return `error ${this.#show(term.error)}`
    if (typeof term === 'object' && 'name' in term) return `${term.name} on ${term.node}`
    return String(term)
  }
}

/** Operations whose first argument names a process, a reference or a `from`. */
const NAMED = new Set([
  ...['send', 'sendMany', 'link', 'unlink', 'monitor', 'demonitor', 'demonitorFlush', 'awaitDown', 'exit', 'call'],
  ...['reply', 'cancel', 'isAlive'],
])

/** What is seen of this scenario in this world. */
export const runScenario = async (world: World, { actors, steps }: Scenario, place: Place): Promise<Seen[]> => {
  const run = new Run(world, place)
  try {
    await run.begin(actors)
    for (const step of steps) {
      try {
        await run.step(step)
      } catch (error) {
        run.seen.push(`failed at ${JSON.stringify(step)}: ${String(error)}`)
        break
      }
    }
    return run.seen
  } finally {
    await Promise.all([world.clear('n1'), world.clear('n2')]).catch((error: unknown) => {
      throw new Error(`${world.name} cannot go on after: ${run.seen.at(-1)}`, { cause: error })
    })
  }
}

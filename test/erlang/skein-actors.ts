/**
 * Actors of scenarios on a Skein node: the counterpart of oracle.erl, on the public API alone.
 *
 * A conductor process starts the actors and monitors them, so that it can tell how they ended. An actor carries out what
 * it is asked within its own function, and leaves its mailbox alone until an operation asks for a message.
 */
import { isSkeinError } from '../../certs/errors.ts'
import { type From, Pid, type Ref, type Self, type SkeinNode, type Target } from '../../src/index.ts'
import { WORDS } from './differences.ts'
import { PATIENCE_MS } from './world.ts'

/** What an actor is asked, by name: see scenario.ts. */
type Operation = (self: Self<unknown>, ...args: never[]) => unknown

interface Job {
  readonly operation: string
  readonly args: readonly unknown[]
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How an actor wants its function to end. */
class Ending {
  readonly how: string
  readonly reason: unknown

  constructor(how: string, reason: unknown) {
    this.how = how
    this.reason = reason
  }
}

/** An operation and its arguments. */
type FirstStep = readonly [operation: string, ...args: unknown[]]

/** Work for one actor, in order, and what waits for its end. */
class Actor {
  readonly jobs: Job[] = []
  readonly awaited: ((reason: unknown) => void)[] = []
  pid: Pid | undefined
  end: { readonly reason: unknown } | undefined
  wake: () => void = () => {}
}

export class Actors {
  readonly #node: SkeinNode
  readonly #conductor: Promise<Self<unknown>>
  #actors = new Map<string, Actor>()

  constructor(node: SkeinNode) {
    this.#node = node
    this.#conductor = new Promise((resolve) => {
      node.spawn(async (self: Self<unknown>) => {
        resolve(self)
        for await (const message of self) this.#heard(message as { type: string; pid: Pid; reason: unknown })
      })
    })
    node.behaviour('actor', (self: Self<unknown>, name: string, first: FirstStep[]) => this.#run(self, name, first))
  }

  async spawn(name: string): Promise<Pid> {
    const conductor = await this.#conductor
    return conductor.spawn((self: Self<unknown>) => this.#run(self, name, []))
  }

  /** Carries out an operation within the actor; `ended` if it ends before it is done. */
  act(name: string, operation: string, args: readonly unknown[]): Promise<unknown> {
    const actor = this.#actor(name)
    if (actor.end !== undefined) return Promise.resolve('ended')
    return new Promise((resolve, reject) => {
      actor.jobs.push({ operation, args, resolve, reject })
      actor.awaited.push(() => resolve('ended'))
      actor.wake()
    })
  }

  ended(name: string): Promise<unknown> {
    const actor = this.#actor(name)
    if (actor.end !== undefined) return Promise.resolve(reasonOf(actor.end.reason))
    return new Promise((resolve) => actor.awaited.push((reason) => resolve(reasonOf(reason))))
  }

  /** Kills all actors and forgets them. */
  async clear(): Promise<void> {
    const actors = [...this.#actors.values()]
    const ends = actors.map((actor) => actor.end ?? new Promise((resolve) => actor.awaited.push(resolve)))
    for (const { pid } of actors) if (pid !== undefined) this.#node.exit(pid, 'kill')
    await Promise.all(ends)
    this.#actors = new Map()
  }

  #actor(name: string): Actor {
    let actor = this.#actors.get(name)
    if (actor === undefined) {
      actor = new Actor()
      this.#actors.set(name, actor)
    }
    return actor
  }

  #heard({ type, pid, reason }: { type: string; pid: Pid; reason: unknown }): void {
    const actor = [...this.#actors.values()].find((one) => one.pid?.equals(pid) === true)
    if (type !== 'DOWN' || actor === undefined) return
    actor.end = { reason }
    for (const tell of actor.awaited) tell(reason)
  }

  /** The function of every actor. */
  async #run(self: Self<unknown>, name: string, first: readonly FirstStep[]): Promise<void> {
    const actor = this.#actor(name)
    actor.pid = self.pid
    ;(await this.#conductor).monitor(self.pid)
    try {
      for (const [operation, ...args] of first) await this.#carryOut(self, operation, args)
      for (;;) {
        const job = await this.#next(self, actor)
        await this.#carryOut(self, job.operation, job.args).then(job.resolve, (error: unknown) => {
          if (error instanceof Ending || isSkeinError(error, 'ERR_SKEIN_PROCESS_ENDED')) throw error
          job.reject(error)
        })
      }
    } catch (error) {
      if (!(error instanceof Ending)) throw error
      if (error.how === 'error') throw new Error(String(error.reason))
      if (error.how === 'exit') self.exit(error.reason)
    }
  }

  async #carryOut(self: Self<unknown>, operation: string, args: readonly unknown[]): Promise<unknown> {
    if (operation === 'unregister') return guarded(() => this.#node.unregister(args[0] as string))
    if (operation === 'whereis') return this.#node.whereis(args[0] as string) ?? 'nobody'
    if (operation.startsWith('spawn')) return this.#spawnChild(self, operation, args as [string, string, FirstStep[]])
    const known = OPERATIONS[operation]
    if (known === undefined) throw new Error(`no operation ${operation}`)
    return Reflect.apply(known, undefined, [self, ...args]) as unknown
  }

  async #spawnChild(
    self: Self<unknown>,
    kind: string,
    [name, node, first]: [string, string, FirstStep[]],
  ): Promise<unknown> {
    const child = (of: Self<unknown>): Promise<void> => this.#run(of, name, first)
    switch (kind) {
      case 'spawn':
        return [self.spawn(child)]
      case 'spawnLink':
        return [self.spawnLink(child)]
      case 'spawnMonitor': {
        const { pid, ref } = self.spawnMonitor(child)
        return [pid, ref]
      }
      case 'spawnOn':
        return outcomeOf(self.spawnOn(node, 'actor', [name, first]))
      case 'spawnLinkOn':
        return outcomeOf(self.spawnLinkOn(node, 'actor', [name, first]))
      default:
        return outcomeOf(self.spawnMonitorOn(node, 'actor', [name, first]))
    }
  }

  async #next(self: Self<unknown>, actor: Actor): Promise<Job> {
    for (;;) {
      const job = actor.jobs.shift()
      if (job !== undefined) return job
      await new Promise<void>((resolve) => {
        actor.wake = resolve
        if (self.signal.aborted) resolve()
        else self.signal.addEventListener('abort', () => resolve(), { once: true })
      })
      self.signal.throwIfAborted()
    }
  }
}

/** When a process last set a timer. */
const asked = new WeakMap<object, number>()

const OPERATIONS: Readonly<Record<string, Operation>> = {
  send: (self, to: Target, value: unknown) => self.send(to, value),
  sendMany: (self, to: Target, count: number) => {
    for (let i = 1; i <= count; i++) self.send(to, i)
  },
  take: async (self, count: number) => {
    const messages: unknown[] = []
    while (messages.length < count) messages.push(await receive(self, undefined, PATIENCE_MS, 'nothing'))
    return messages.map(messageOf)
  },
  pick: (self, value: unknown) => receive(self, (message) => message === value, PATIENCE_MS, 'nothing'),
  pickWithin: (self, value: unknown, timeoutMs: number) =>
    receive(self, (message) => message === value, timeoutMs, 'timeout'),
  awaitDown: async (self, ref: Ref) => {
    const isIt = (message: unknown): boolean => ref.equals((message as { ref?: unknown } | null)?.ref)
    const down = (await receive(self, isIt, PATIENCE_MS, { reason: 'nothing' })) as { reason: unknown }
    return reasonOf(down.reason)
  },
  hold: async (self) => {
    self.send(self.pid, await receive(self, undefined, PATIENCE_MS, 'nothing'))
  },
  rest: async (self) => {
    const messages: unknown[] = []
    const nothing = {}
    for (;;) {
      const message = await receive(self, undefined, 0, nothing)
      if (message === nothing) return messages.map(messageOf)
      messages.push(message)
    }
  },
  trap: (self, on: boolean) => {
    self.trapExit = on
  },
  link: (self, pid: Pid) => self.link(pid),
  unlink: (self, pid: Pid) => self.unlink(pid),
  monitor: (self, to: Target) => self.monitor(to),
  demonitor: (self, ref: Ref) => self.demonitor(ref),
  demonitorFlush: (self, ref: Ref) => self.demonitor(ref, { flush: true }),
  exit: (self, pid: Pid, reason: unknown) => self.exit(pid, reason),
  end: (_self, how: string, reason: unknown) => {
    throw new Ending(how, reason)
  },
  register: (self, name: string) => guarded(() => self.register(name)),
  call: (self, to: Target, request: unknown, timeoutMs: number) =>
    self.call(to, request, { timeoutMs }).then(
      (value) => ['reply', value],
      (error: unknown) => {
        if (isSkeinError(error, 'ERR_SKEIN_CALL_EXIT')) return ['ended', reasonOf(error.cause)]
        return ['error', wordOf(error)]
      },
    ),
  reply: (self, from: From, value: unknown) => self.reply(from, value),
  sendAfter: (self, ms: number, to: Target, value: unknown) => {
    asked.set(self, performance.now())
    return self.sendAfter(ms, to, value)
  },
  cancel: (self, ref: Ref) => self.cancelTimer(ref),
  passed: (self, ms: number) => performance.now() - (asked.get(self) ?? 0) >= ms,
  isAlive: (self, pid: Pid) => self.isProcessAlive(pid).catch((error: unknown) => ['error', wordOf(error)]),
  watchNodes: (self, on: boolean) => self.monitorNodes(on),
}

const receive = async <T>(
  self: Self<unknown>,
  match: ((message: unknown) => boolean) | undefined,
  timeoutMs: number,
  otherwise: T,
): Promise<unknown> => {
  try {
    return await self.receive(match, { timeoutMs })
  } catch (error) {
    if (isSkeinError(error, 'ERR_SKEIN_RECEIVE_TIMEOUT')) return otherwise
    throw error
  }
}

/** What a spawn on another node gave: the pid, perhaps a reference; or the error. */
const outcomeOf = (asked: Promise<Pid | { pid: Pid; ref: Ref }>): Promise<unknown> =>
  asked.then(
    (spawned) => (spawned instanceof Pid ? [spawned] : [spawned.pid, spawned.ref]),
    (error: unknown) => ['error', wordOf(error)],
  )

const guarded = (run: () => void): string => {
  try {
    run()
    return 'ok'
  } catch (error) {
    return wordOf(error)
  }
}

const wordOf = (error: unknown): string => (isSkeinError(error) ? (WORDS[error.code] ?? error.code) : String(error))

/** An end by an error is told apart from one by a word; see differences.ts. */
const reasonOf = (reason: unknown): unknown => (reason instanceof Error ? { error: reason.message } : reason)

/** Messages of the system as the lists that world.ts speaks of. */
const messageOf = (message: unknown): unknown => {
  if (typeof message !== 'object' || message === null || !('type' in message)) return message
  const { type, ref, pid, reason, node, from, request } = message as Record<string, unknown>
  if (type === 'DOWN') return ['DOWN', ref, pid, reasonOf(reason)]
  if (type === 'EXIT') return ['EXIT', pid, reasonOf(reason)]
  if (type === 'call') return ['call', (from as From).pid, request, from]
  return [type, { node }]
}

/**
 * One member of the chaos run, in a process of its own: a node with everything on it that the run watches.
 *
 * It talks to every other member all the time, in numbered messages, and checks those it gets; takes part in a group; tries
 * to hold names when it is told to; and starts children of the run's supervisor. What happens it reports over IPC. What it
 * does not do: judge what needs the view of all members; the director does.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isSkeinError, type NodeEvent, type Pid, type Self, type SkeinNode, startNode } from '../../src/index.ts'
import type { Answer } from '../support/commanded-process.ts'
import {
  CHILDREN,
  type MemberCommand,
  type MemberOptions,
  type MemberReport,
  type MemberState,
  type Role,
} from './protocol.ts'

const TALK_INTERVAL_MS = 50
const WRITE_INTERVAL_MS = 100
const GROUP = 'everybody'
const SUPERVISOR = 'chaos'

interface Numbered {
  readonly type: 'numbered'
  readonly from: Pid
  readonly number: number
}

/** Time passes, or a message does; throws when the process is over. */
const pause = async (self: Self<unknown>): Promise<void> => {
  try {
    await self.receive(() => true, { timeoutMs: WRITE_INTERVAL_MS })
  } catch (error) {
    if (!isSkeinError(error, 'ERR_SKEIN_RECEIVE_TIMEOUT')) throw error
  }
}

const report = (message: MemberReport | Answer): void => {
  // The director may be gone.
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}

/** What one sender has sent so far, as seen here. */
interface Heard {
  readonly node: string
  number: number
  /** The connection to its node was lost since: numbers may be missing. */
  gapAllowed: boolean
}

class Member {
  readonly node: SkeinNode
  readonly #heard = new Map<string, Heard>()
  readonly #holders = new Map<string, Pid>()
  readonly #running = new Map<string, Pid>()
  #received = 0
  #shed = 0

  constructor(node: SkeinNode) {
    this.node = node
    node.behaviour('counter', (self: Self<unknown>, id: unknown) => this.#child(self, String(id)))
    node.spawnWith({ name: 'talker' }, (self: Self<unknown>) => this.#talk(self))
    void this.#watch()
    node.supervise(SUPERVISOR, {
      placement: 'roundRobin',
      children: CHILDREN.map((id) => ({ id, behaviour: 'counter', args: [id] })),
    })
  }

  state(): MemberState {
    const { global, groups } = this.node
    return {
      nodes: this.node.nodes().sort(),
      names: Object.fromEntries(
        global.names().map((name) => [name, `${global.whereis(name)?.key} ${global.token(name)}`]),
      ),
      group: groups
        .members(GROUP)
        .map((pid) => pid.key)
        .sort(),
      running: [...this.#running.keys()].sort(),
      received: this.#received,
      shed: this.#shed,
    }
  }

  /** Tries to get the name, and writes to the director's resource for as long as it holds it. */
  async grab(name: string): Promise<void> {
    const { node } = this
    if (this.#holders.has(name)) return
    const pid = node.spawn(async (self) => {
      for (;;) {
        await pause(self)
        const token = node.global.token(name)
        if (node.global.whereis(name)?.equals(self.pid) === true && token !== undefined) {
          report({ type: 'write', name, token, holder: self.pid.key })
        }
      }
    })
    this.#holders.set(name, pid)
    try {
      const { token } = await node.global.register(name, pid)
      report({ type: 'registered', name, token, holder: pid.key })
      node.spawn(async (self) => {
        self.monitor(pid)
        await self.receive()
        this.#holders.delete(name)
      })
    } catch (error) {
      this.#holders.delete(name)
      node.exit(pid, 'kill')
      report({ type: 'refusedName', name, code: codeOf(error) })
    }
  }

  async drop(name: string): Promise<void> {
    const pid = this.#holders.get(name)
    if (pid !== undefined) this.node.exit(pid, 'kill')
  }

  /** A child of the supervisor: says that it runs, and writes to the resource with its token. */
  async #child(self: Self<unknown>, id: string): Promise<void> {
    const key = `${id} ${self.pid.key}`
    this.#running.set(key, self.pid)
    report({ type: 'childRuns', id, pid: self.pid.key })
    self.signal.addEventListener('abort', () => {
      this.#running.delete(key)
      report({ type: 'childEnded', id, pid: self.pid.key })
    })
    const name = `${SUPERVISOR}/${id}`
    for (;;) {
      await pause(self)
      const token = this.node.global.token(name)
      if (this.node.global.whereis(name)?.equals(self.pid) === true && token !== undefined) {
        report({ type: 'write', name, token, holder: self.pid.key })
      }
    }
  }

  async #talk(self: Self<unknown>): Promise<void> {
    this.node.groups.join(GROUP, self.pid)
    const numbers = new Map<string, number>()
    self.monitorNodes(true)
    self.sendInterval(TALK_INTERVAL_MS, self.pid, { type: 'tick' })
    for await (const message of self) {
      if (isType(message, 'tick')) {
        for (const pid of this.node.groups.members(GROUP)) {
          if (pid.equals(self.pid)) continue
          const number = numbers.get(pid.key) ?? 0
          try {
            self.send(pid, { type: 'numbered', from: self.pid, number } satisfies Numbered)
            numbers.set(pid.key, number + 1)
          } catch (error) {
            if (codeOf(error) === 'ERR_SKEIN_QUEUE_FULL') this.#shed++
            else report({ type: 'violation', text: `send threw ${String(error)}` })
          }
        }
      } else if (isType(message, 'numbered')) this.#check(message as unknown as Numbered)
      else if (isType(message, 'nodedown')) this.#down((message as unknown as { node: string }).node)
    }
  }

  #check({ from, number }: Numbered): void {
    this.#received++
    const heard = this.#heard.get(from.key)
    if (heard === undefined) {
      this.#heard.set(from.key, { node: from.node, number, gapAllowed: false })
      return
    }
    const isNext = number === heard.number + 1
    if (!isNext && (number <= heard.number || !heard.gapAllowed)) {
      report({ type: 'violation', text: `${from.key}: ${number} after ${heard.number}` })
    }
    heard.number = number
    heard.gapAllowed = false
  }

  #down(node: string): void {
    for (const heard of this.#heard.values()) if (heard.node === node) heard.gapAllowed = true
  }

  async #watch(): Promise<void> {
    for await (const event of this.node.events) {
      if (isTold(event)) report({ type: 'event', event: plain(event) })
    }
  }
}

const isType = (message: unknown, type: string): message is { readonly type: string } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

const isTold = ({ type }: NodeEvent): boolean =>
  !['discovered', 'undiscovered', 'discoveryStatus', 'deadLetter'].includes(type)

const plain = (event: NodeEvent): { readonly type: string } =>
  JSON.parse(JSON.stringify(event, (_key, value: unknown) => (value instanceof Error ? value.message : value)))

let member: Member | undefined
/** Burns so much of the time, in slices, until told otherwise. */
let burning: NodeJS.Timeout | undefined

const burn = (share: number): void => {
  clearInterval(burning)
  if (share === 0) return
  burning = setInterval(() => {
    const endMs = performance.now() + 100 * share
    while (performance.now() < endMs);
  }, 100)
}

const start = async (options: MemberOptions): Promise<string> => {
  const { seeds, before = [], ...rest } = options
  for (const module of before) ((await import(module)) as { readonly default: () => void }).default()
  const node = await startNode({ ...rest, logLevel: 'silent', discovery: { mdns: false, dht: false, seeds } })
  member = new Member(node)
  return node.incarnation
}

const obey = async (command: MemberCommand): Promise<unknown> => {
  if (command.do === 'start') return start(command.options)
  if (command.do === 'burn') return burn(command.share)
  if (member === undefined) throw new Error('The node has not been started.')
  switch (command.do) {
    case 'role':
      return ((await import(command.module)) as { readonly default: Role }).default(
        member.node,
        ...(command.args as never[]),
      )
    case 'state':
      return member.state()
    case 'grab':
      return void member.grab(command.name)
    case 'drop':
      return member.drop(command.name)
    case 'drain':
      return member.node.drain({ timeoutMs: command.timeoutMs })
    case 'stop':
      return member.node.stop()
  }
}

const delay = monitorEventLoopDelay({ resolution: 20 })
delay.enable()
for (const kind of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(kind, (error: unknown) => {
    report({ type: 'violation', text: `${kind}: ${error instanceof Error ? error.stack : String(error)}` })
  })
}
process.on('message', ({ id, command }: { id: number; command: MemberCommand }) => {
  obey(command).then(
    (value) => report({ type: 'done', id, value }),
    (error: unknown) =>
      report({ type: 'failed', id, text: `${codeOf(error)} ${error instanceof Error ? error.stack : String(error)}` }),
  )
})
process.on('disconnect', () => process.exit(0))
report({ type: 'ready' })

/**
 * All that a member can try with a node, for strict.test.ts: each attempt says what came of it, as the member sees it.
 */
import { isSkeinError } from '../../certs/errors.ts'
import type { Pid, RoomSocket, Self, SkeinNode } from '../../src/index.ts'
import { keepSpec } from '../../src/services/supervision/child-spec.ts'
import { MessageCodec } from '../../src/wire/codec.ts'

/** What a member may know or guess of the host. */
export interface HostFacts {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly port: number
  readonly numbers: {
    readonly quiet: number
    readonly orders: number
    readonly doomed: number
    readonly members: readonly number[]
    readonly ledger: number
    readonly leader: number
  }
}

export interface AttemptContext {
  readonly node: SkeinNode
  /** Of a process that traps exits. */
  readonly self: Self<unknown>
  readonly host: HostFacts
  readonly isAllowed: boolean
  /** A process of the host. */
  pid(number: number): Pid<never>
  /** Over the channel of a service. */
  tell(service: string, message: unknown): void
  /** What comes for the process next. */
  next(): Promise<unknown>
}

export interface Attempt {
  readonly what: string
  /** The rule that allows it. */
  readonly rule: string
  /** Refusals that a strict node counts. Default: 1. */
  readonly counts?: number
  /** What comes of it on the host when it is allowed. Default: 0. */
  readonly gets?: number
  run(context: AttemptContext): Promise<string | undefined> | string | undefined
}

/** How it ended, as a code. */
const outcome = async (promise: Promise<unknown>, good: (value: unknown) => string): Promise<string> => {
  try {
    return good(await promise)
  } catch (error) {
    if (isSkeinError(error)) return error.code
    throw error
  }
}

const answered = (promise: Promise<unknown>): Promise<string> => outcome(promise, () => 'an answer')

const notice = (message: unknown): string => {
  const { type, reason } = message as { type?: unknown; reason?: unknown }
  return `${String(type)} ${String(reason)}`
}

/** A bond that holds says nothing by itself: its process is ended, by whoever may. */
const bond = async ({ self, pid, host, isAllowed, next }: AttemptContext, hold: (target: Pid<never>) => void) => {
  const target = isAllowed ? await self.spawnOn(host.name, 'page') : pid(host.numbers.orders)
  hold(target as Pid<never>)
  if (isAllowed) self.exit(target, 'shutdown')
  return notice(await next())
}

const skein = (type: string) => ({
  run: ({ self, host }: AttemptContext) => answered(self.call({ name: 'skein', node: host.name }, { type })),
})

const socket: RoomSocket = {
  readyState: 1,
  bufferedAmount: 0,
  send: () => {},
  close: () => {},
  addEventListener: () => {},
}

export const ATTEMPTS: readonly Attempt[] = [
  {
    what: 'send to a registered name',
    rule: "`send: ['orders']`",
    gets: 1,
    run: ({ self, host }) => void self.send({ name: 'orders', node: host.name }, 'hello'),
  },
  {
    what: 'the same by a timer (`sendAfter`)',
    rule: "`send: ['orders']`",
    gets: 1,
    run: ({ self, host }) => void self.sendAfter(1, { name: 'orders', node: host.name }, 'hello'),
  },
  {
    what: 'cast to a registered name',
    rule: "`send: ['orders']`",
    gets: 1,
    run: ({ self, host }) => void self.cast({ name: 'orders', node: host.name }, 'hello'),
  },
  {
    what: 'call a registered name',
    rule: "`send: ['orders']`",
    gets: 1,
    run: ({ self, host }) => answered(self.call({ name: 'orders', node: host.name }, 'what')),
  },
  {
    what: 'call a name that nobody has',
    rule: '`send`, a name that fits',
    run: ({ self, host, isAllowed }) =>
      answered(self.call({ name: isAllowed ? 'page-9' : 'absent', node: host.name }, 'what')),
  },
  {
    what: 'send to a named process by its pid',
    rule: "`send: ['orders']`",
    gets: 1,
    run: ({ self, host, pid }) => void self.send(pid(host.numbers.orders), 'hello' as never),
  },
  {
    what: 'send to an unnamed process by its pid',
    rule: "`unnamed: 'all'`",
    gets: 1,
    run: ({ self, host, pid }) => void self.send(pid(host.numbers.quiet), 'hello' as never),
  },
  {
    what: 'call an unnamed process by its pid',
    rule: "`unnamed: 'all'`",
    gets: 1,
    run: ({ self, host, pid }) => answered(self.call(pid(host.numbers.quiet), 'what')),
  },
  {
    what: 'exit signal to a named process by its pid',
    rule: "`send: ['doomed-*']`",
    gets: 1,
    run: ({ self, host, pid }) => void self.exit(pid(host.numbers.doomed), 'kill'),
  },
  {
    what: 'exit signal to a registered name',
    rule: "`send: ['doomed-*']`",
    gets: 1,
    run: ({ node, host }) => void node.exit({ name: 'doomed-2', node: host.name }, 'kill'),
  },
  {
    what: 'exit signal to the process `skein`',
    rule: 'nothing',
    run: ({ node, host }) => void node.exit({ name: 'skein', node: host.name }, 'kill'),
  },
  {
    what: 'link',
    rule: '`send`, `unnamed`, or it had it started',
    gets: 2,
    run: (context) => bond(context, (target) => context.self.link(target)),
  },
  {
    what: 'monitor',
    rule: '`send`, `unnamed`, or it had it started',
    gets: 2,
    run: (context) => bond(context, (target) => void context.self.monitor(target)),
  },
  {
    what: '`processInfo`',
    rule: "`send: ['orders']`",
    run: ({ self, host, pid }) => answered(self.processInfo(pid(host.numbers.orders))),
  },
  {
    what: 'open a stream',
    rule: "`send: ['orders']`",
    gets: 1,
    run: ({ self, host, pid }) =>
      outcome(self.openStream(pid(host.numbers.orders)), (value) => {
        const { writable } = value as { writable: WritableStream }
        void writable.close().catch(() => {})
        return 'an open stream'
      }),
  },
  {
    what: 'publish to a group (multicast)',
    rule: "`groups: ['chat']`",
    counts: 2,
    gets: 2,
    run: ({ self }) => void self.publish('chat', 'hello'),
  },
  {
    what: 'send to the holder of a global name',
    rule: "`send: ['ledger']`",
    gets: 1,
    run: ({ self, node }) => void self.send(node.global.whereis('ledger') as Pid<never>, 'hello' as never),
  },
  {
    what: 'spawn a behaviour',
    rule: "`spawn: ['page']`",
    gets: 1,
    run: ({ self, host }) => outcome(self.spawnOn(host.name, 'page'), () => 'a pid'),
  },
  {
    what: 'spawn under a name',
    rule: "`spawn: ['page'], send: ['page-*']`",
    gets: 1,
    run: ({ self, host }) => outcome(self.spawnOn(host.name, 'page', [], { name: 'page-1' }), () => 'a pid'),
  },
  {
    what: 'spawn under a name of Skein',
    rule: 'nothing',
    run: ({ self, host }) => outcome(self.spawnOn(host.name, 'page', [], { name: 'skein.x' }), () => 'a pid'),
  },
  {
    what: 'register a global name',
    rule: "`register: ['till']`",
    gets: 1,
    run: ({ self, node }) => outcome(node.global.register('till', self.pid as Pid<never>), () => 'it has it'),
  },
  {
    what: 'have a process of this node registered',
    rule: "`register: ['till-2']`, and it may reach the process",
    run: ({ node, host, pid }) =>
      outcome(node.global.register('till-2', pid(host.numbers.orders)), () => 'the process has it'),
  },
  {
    what: 'claim a global name without asking',
    rule: '`register` lets it ask; unasked: nothing',
    run: ({ tell, isAllowed }) => {
      if (isAllowed) return 'not tried'
      const entry = [1, 'z'.repeat(11), 'z'.repeat(11), false]
      tell('skein.global', { type: 'board', number: 0, put: [['forged', entry]], removed: [], complete: true })
      return undefined
    },
  },
  {
    what: 'join a group',
    rule: "`groups: ['chat']`",
    gets: 1,
    run: ({ self, node }) => void node.groups.join('chat', self.pid as Pid<never>),
  },
  {
    what: 'bring a socket into a room',
    rule: "`rooms: ['lobby']`",
    counts: 2,
    gets: 1,
    run: async ({ node }) => void (await node.rooms().join('lobby', socket, { as: 'member' })),
  },
  {
    what: 'broadcast to a room',
    rule: "`rooms: ['lobby']`",
    gets: 1,
    run: ({ node }) => void node.rooms().broadcast('lobby', 'hello'),
  },
  { what: 'ask `skein` for a ping', rule: "`observe: 'nodes'` or `'all'`", ...skein('ping') },
  { what: 'ask `skein` who is connected', rule: "`observe: 'nodes'` or `'all'`", ...skein('nodes') },
  { what: 'ask `skein` for a snapshot', rule: "`observe: 'all'`", ...skein('snapshot') },
  { what: 'ask `skein` for its processes', rule: "`observe: 'all'`", ...skein('processes') },
  { what: 'ask `skein` for one process', rule: "`observe: 'all'`", ...skein('process') },
  { what: 'ask `skein` to reach another node', rule: "`observe: 'all'`", ...skein('reach') },
  {
    what: 'observe (`observer.snapshot`)',
    rule: "`observe: 'all'`",
    run: async ({ node, host }) => {
      const { nodes } = await node.observer.snapshot({ nodes: [host.name] })
      return nodes[0]?.status === 'failed' ? nodes[0].code : 'a snapshot'
    },
  },
  {
    what: '`processInfo` of a process of Skein',
    rule: "`observe: 'all'`",
    run: ({ self, pid }) => answered(self.processInfo(pid(1))),
  },
  {
    what: 'have a supervisor start a child',
    rule: "`supervise: ['sup'], spawn: ['page']`",
    gets: 1,
    run: ({ node, self, host, pid, isAllowed }) => {
      const child = { id: 'c', behaviour: 'page' }
      if (isAllowed) return outcome(node.supervise('sup', { lead: false }).startChild(child), () => 'a pid')
      return answered(self.call(pid(host.numbers.leader), { type: 'startChild', ...child }))
    },
  },
  {
    what: 'give an order to the agent that runs children',
    rule: "`supervise: ['theirs'], spawn: ['page']`, and it leads",
    gets: 1,
    run: async ({ node, host, tell, isAllowed }) => {
      if (isAllowed) {
        const options = { joinMs: 0, placement: { node: host.name }, children: [] }
        const theirs = node.supervise('theirs', options)
        return outcome(theirs.startChild({ id: 'c', behaviour: 'page' }), () => 'a pid')
      }
      const { spec } = keepSpec(
        { id: 'c', behaviour: 'page' },
        new MessageCodec({ local: node.whereis('skein')!.origin }),
      )
      tell('skein.supervision', { type: 'start', supervisor: 'theirs', id: 'c', run: 'r', spec })
      return undefined
    },
  },
  {
    what: "change a supervisor's plan",
    rule: "`supervise: ['sup']`",
    run: ({ tell, isAllowed }) => {
      if (isAllowed) return 'its plan counts'
      const entry = { wanted: 'stopped', number: 1, by: 'z' }
      tell('skein.supervision', { type: 'board', number: 0, put: [['plan sup/', entry]], removed: [], complete: true })
      return undefined
    },
  },
  {
    what: 'say that it drains (of another node nobody can)',
    rule: 'always allowed',
    counts: 0,
    gets: 1,
    run: ({ tell }) =>
      tell('skein.nodes', { type: 'board', number: 0, put: [['draining', true]], removed: [], complete: true }) ??
      undefined,
  },
]

/**
 * What the compiler must accept and refuse in state machines. Nothing here runs: see gen-server.ts beside it.
 */
import { type From, type PidOf, type Self, type SkeinNode, type SystemMessage, stateMachine } from '../../src/index.ts'

/** Exactly the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const expect = <_T extends true>(): void => {}

declare const node: SkeinNode
declare const self: Self

const lock = stateMachine({
  data: async (code: string, tries?: number) => ({ code, tries: tries ?? 3 }),
  initial: 'locked',
  common: {
    calls: { tries: ({ data }) => ({ reply: data.tries }) },
    timeouts: { reminder() {} },
  },
  states: {
    locked: {
      enter({ state, data }, previous) {
        expect<Same<typeof state, 'locked' | 'open' | 'blocked'>>()
        expect<Same<typeof previous, 'locked' | 'open' | 'blocked' | undefined>>()
        expect<Same<typeof data, { code: string; tries: number }>>()
        return { timeoutsMs: { reminder: 5, patience: 10 } }
      },
      on: {
        type: {
          to: ['open', 'blocked'],
          do({ data }, { code }: { readonly code: string }) {
            if (code === data.code) return { next: 'open' }
            return data.tries === 1 ? { next: 'blocked' } : { data: { ...data, tries: data.tries - 1 } }
          },
        },
        knock: async () => ({ insert: 'bell' }),
        bell() {},
        DOWN(_machine, { ref }: Extract<SystemMessage, { type: 'DOWN' }>) {
          void ref
        },
      },
      calls: {
        open: 'postpone',
        wait: { may: 'postpone', do: ({ data }) => (data.tries > 1 ? { postpone: true } : { reply: 'no' as const }) },
        later(_machine, _request: { readonly why: string }, from) {
          expect<Same<typeof from, From>>()
        },
      },
      timeouts: { patience: { to: 'blocked' } },
    },
    open: {
      stateTimeout: { afterMs: 10_000, to: 'locked' },
      on: { type: 'postpone', close: { to: 'locked' } },
      calls: { open: (_machine, { who }: { readonly who: string }) => ({ reply: `welcome ${who}` }) },
    },
    blocked: { enter: { may: 'stop', do: () => ({ stop: 'blocked' }) } },
  },
  terminate({ data }, reason) {
    expect<Same<typeof data, { code: string; tries: number }>>()
    expect<Same<typeof reason, unknown>>()
  },
})

export const spawning = async (): Promise<void> => {
  const pid = node.spawn(lock, '1234')
  expect<Same<typeof pid, PidOf<typeof lock>>>()
  await node.start(lock, '1234', 5)
  // @ts-expect-error the code is a text
  node.spawn(lock, 1234)
  // @ts-expect-error there is a code
  self.spawnLink(lock)
}

export const talking = async (pid: PidOf<typeof lock>): Promise<void> => {
  node.cast(pid, { type: 'type', code: '1234' })
  node.send(pid, 'close')
  self.cast(pid, { type: 'knock' })
  // @ts-expect-error it holds a code
  node.cast(pid, 'type')
  // @ts-expect-error its code is a text
  node.cast(pid, { type: 'type', code: 5 })
  // @ts-expect-error no such event
  node.send(pid, 'clse')
  // @ts-expect-error system messages are not sent
  node.send(pid, 'DOWN')
  const tries = await node.call(pid, 'tries')
  expect<Same<typeof tries, number>>()
  const answer = await node.call(pid, { type: 'wait' })
  expect<Same<typeof answer, 'no'>>()
  const welcome = await self.call(pid, { type: 'open', who: 'me' })
  expect<Same<typeof welcome, string>>()
  const later = await self.call(pid, { type: 'later', why: 'so' })
  expect<Same<typeof later, unknown>>()
  // @ts-expect-error no such request
  await node.call(pid, 'close')
  // @ts-expect-error it says why
  await node.call(pid, 'later')
}

const data = (): number => 0

// @ts-expect-error no such state
stateMachine({ data, initial: 'b', states: { a: {} } })

// @ts-expect-error no such state
stateMachine({ data, initial: 'a', states: { a: { on: { one: { to: 'c' } } }, b: {} } })
// @ts-expect-error not declared
stateMachine({ data, initial: 'a', states: { a: { on: { one: () => ({ next: 'b' }) } }, b: {} } })
// @ts-expect-error declared is another one
stateMachine({ data, initial: 'a', states: { a: { on: { one: { to: 'a', do: () => ({ next: 'b' }) } } }, b: {} } })
// @ts-expect-error postponing is not declared
stateMachine({ data, initial: 'a', states: { a: { on: { one: async () => ({ postpone: true }) } }, b: {} } })
// @ts-expect-error stopping is not declared
stateMachine({ data, initial: 'a', states: { a: { on: { one: () => ({ stop: 'normal' }) } }, b: {} } })
// @ts-expect-error misspelt
stateMachine({ data, initial: 'a', states: { a: { on: { one: () => ({ repeet: true }) } }, b: {} } })
// @ts-expect-error no result
stateMachine({ data, initial: 'a', states: { a: { on: { one: () => 7 } }, b: {} } })
// @ts-expect-error the data are a number
stateMachine({ data, initial: 'a', states: { a: { on: { one: () => ({ data: 'eight' }) } }, b: {} } })
// @ts-expect-error no such act
stateMachine({ data, initial: 'a', states: { a: { on: { one: { may: 'sleep', do: () => ({}) } } }, b: {} } })
// @ts-expect-error nothing says where to
stateMachine({ data, initial: 'a', states: { a: { on: { one: { to: ['a', 'b'] } } }, b: {} } })
// @ts-expect-error no such word
stateMachine({ data, initial: 'a', states: { a: { on: { one: 'ignore' } }, b: {} } })
// @ts-expect-error an enter action goes nowhere
stateMachine({ data, initial: 'a', states: { a: { enter: () => ({ next: 'b' }) }, b: {} } })
// @ts-expect-error stopping is not declared
stateMachine({ data, initial: 'a', states: { a: { enter: () => ({ stop: 'normal' }) }, b: {} } })
// @ts-expect-error not declared
stateMachine({ data, initial: 'a', states: { a: { stateTimeout: () => ({ next: 'b' }) }, b: {} } })
// @ts-expect-error not declared
stateMachine({ data, initial: 'a', states: { a: { eventTimeout: () => ({ next: 'b' }) }, b: {} } })
// @ts-expect-error not declared
stateMachine({ data, initial: 'a', states: { a: { timeouts: { one: () => ({ next: 'b' }) } }, b: {} } })
// @ts-expect-error no such timeout
stateMachine({ data, initial: 'a', states: { a: { timeouts: { one: () => ({ timeoutsMs: { two: 5 } }) } }, b: {} } })
// @ts-expect-error no result
stateMachine({ data, initial: 'a', states: { a: { timeouts: { one: () => 5 } }, b: {} } })
// @ts-expect-error the data are a number
stateMachine({ data, initial: 'a', states: { a: { timeouts: { one: () => ({ data: '5' }) } }, b: {} } })
// @ts-expect-error no delay
stateMachine({ data, initial: 'a', states: { a: { timeouts: { one: async () => ({ timeoutsMs: { one: '5' } }) } } } })
// @ts-expect-error no delay
stateMachine({ data, initial: 'a', states: { a: { timeouts: { one: () => ({ timeoutsMs: 5 }) } }, b: {} } })
// @ts-expect-error not declared
stateMachine({ data, initial: 'a', states: { a: { calls: { one: () => ({ next: 'b' }) } }, b: {} } })
// @ts-expect-error misspelt
stateMachine({ data, initial: 'a', states: { a: { onn: { one: 'postpone' } }, b: {} } })
// @ts-expect-error misspelt
stateMachine({ data, initial: 'a', states: { a: {} }, comon: {} })

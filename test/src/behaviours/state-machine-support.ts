/** What the tests of state machines share: a node in virtual time, and what it reports. */
import type { SkeinError } from '../../../certs/errors.ts'
import type { AnyPid } from '../../../src/process/directory.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import type { TestContext } from '../../support/suite.ts'
import { errorOf, loneNode, type TestNode } from '../process/process-support.ts'

/** A node whose time passes only when the test says so. */
export interface TimedNode extends TestNode {
  readonly clock: VirtualClock
  pass(ms: number): Promise<void>
  /** Lets everything happen that is due now. */
  rest(): Promise<void>
  /** The reply, as far as it needs no time. */
  ask(pid: AnyPid, request: unknown): Promise<unknown>
  /** The error of a call. */
  refusal(pid: AnyPid, request: unknown): Promise<SkeinError>
  /** The reason, when the process has ended. */
  endOf(pid: AnyPid): Promise<unknown>
  /** Reasons of crashes, as codes where they have one, else as texts. */
  crashes(): string[]
  deadLetters(): string[]
}

export const timedNode = (t: TestContext): TimedNode => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const { processes, reports } = node
  const pass = async (ms: number): Promise<void> => {
    await clock.run({ untilMs: clock.now() + ms })
  }
  const rest = (): Promise<void> => pass(0)
  return {
    ...node,
    clock,
    pass,
    rest,
    ask: async (pid, request) => {
      const reply = processes.call(pid, request)
      await rest()
      return reply
    },
    refusal: async (pid, request) => {
      const error = errorOf(processes.call(pid, request))
      await rest()
      return error
    },
    endOf: async (pid) => {
      const reasons: unknown[] = []
      processes.spawn<{ readonly reason: unknown }>(async (self) => {
        self.monitor(pid)
        reasons.push((await self.receive()).reason)
      })
      await rest()
      if (reasons.length === 0) throw new Error('the process lives')
      return reasons[0]
    },
    crashes: () => reports.filter((report) => report.type === 'crashed').map(({ reason }) => wordOf(reason)),
    deadLetters: () => reports.filter((report) => report.type === 'deadLetter').map(({ reason }) => String(reason)),
  }
}

const wordOf = (reason: unknown): string => {
  if (!(reason instanceof Error)) return String(reason)
  return 'code' in reason ? String(reason.code) : reason.message
}

/** G1 and G22 for a GenServer: whatever mixture one sender sends, and however the handlers take their time. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import { suite } from '../../support/suite.ts'
import { actor, Pair } from '../process/process-support.ts'

const test = suite('genServer order', { watchdogMs: 60_000 })

const RUNS = 300

interface Numbered {
  readonly n: number
  /** The handler returns a promise. */
  readonly later: boolean
  /** What follows before the next message. */
  readonly continues: number
}

type Step = Omit<Numbered, 'n'> & { readonly kind: 'call' | 'cast' | 'send' }

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('call' as const, 'cast' as const, 'send' as const),
  later: fc.boolean(),
  continues: fc.nat(2),
})

const taking = (log: unknown[], kind: string, message: Numbered, reply: object) => {
  log.push(`${kind} ${message.n}`)
  const result = { ...reply, ...(message.continues > 0 && { continue: message }) }
  return message.later ? new Promise<typeof result>((resolve) => setImmediate(resolve, result)) : result
}

const recorder = genServer({
  init: (_self, log: unknown[]) => ({ state: log }),
  handleCall: (message: Numbered, _from, log) => taking(log, 'call', message, { reply: message.n }),
  handleCast: (message: Numbered, log) => taking(log, 'cast', message, {}),
  handleInfo: (message: Numbered, log) => taking(log, 'send', message, {}),
  handleContinue(message: Numbered, log) {
    log.push(`continue ${message.n}`)
    const left = message.continues - 1
    return left > 0 ? { continue: { ...message, continues: left } } : undefined
  },
})

const expected = (steps: readonly Step[]): string[] =>
  steps.flatMap(({ kind, continues }, n) => [`${kind} ${n}`, ...Array<string>(continues).fill(`continue ${n}`)])

test('[G1] [G22] one sender is heard in the order it spoke, here and from another node', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.boolean(), async (steps, remote) => {
      const net = new Pair()
      try {
        const log: unknown[] = []
        const pid = net.b.processes.spawn(recorder, {}, log)
        const { self } = await actor(remote ? net.a : net.b)
        const replies: Promise<number>[] = []
        for (const [n, { kind, later, continues }] of steps.entries()) {
          const message = { n, later, continues }
          if (kind === 'call') replies.push(self.call(pid, message) as Promise<number>)
          else if (kind === 'cast') self.cast(pid, message)
          else self.send(pid, message)
        }
        while (log.length < expected(steps).length) await net.flow()
        await net.flow()
        assert.equal(log, expected(steps))
        assert.equal(
          await Promise.all(replies),
          steps.flatMap(({ kind }, n) => (kind === 'call' ? [n] : [])),
        )
      } finally {
        await Promise.all([net.a.processes.stop(0), net.b.processes.stop(0)])
      }
    }),
    { numRuns: RUNS, verbose: true },
  )
})

test.run()

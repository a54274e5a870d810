/**
 * One seed of the guarantee fuzzer: a random setting and a random program, run in virtual time under the eyes of all
 * rules; when a guarantee does not hold, the program is shrunk. The same seed always does the same.
 */
import fc from 'fast-check'
import { createIdentity, type Identity } from '../../certs/identity.ts'
import { type ScenarioFailure, seededRandom, simulate } from '../../src/testing/index.ts'
import { type Rule, Violation } from './facts.ts'
import { program, type Setting, type Stage, setting } from './program.ts'
import { CallRule } from './rules/calls.ts'
import { EndRule } from './rules/ends.ts'
import { LinkRule } from './rules/links.ts'
import { MonitorRule } from './rules/monitors.ts'
import { NameRule } from './rules/names.ts'
import { NodeRule } from './rules/nodes.ts'
import { OrderRule } from './rules/order.ts'
import { SpawnRule } from './rules/spawns.ts'
import { TimerRule } from './rules/timers.ts'
import { Director } from './stage.ts'
import { World } from './world.ts'

const HOST_NAMES = ['a', 'b', 'c', 'd'] as const
/** One for each host, and as many for restarts. */
const IDENTITIES = 8
const IDENTITY_SEED = 7
/** The calendar of the simulator begins here; certificates must be valid then. */
const EPOCH_MS = 1_893_456_000_000
/** Quicker than on a network, so that little time is spent on waiting for silence to be noticed. */
const LIVENESS = { tickIntervalMs: 300, downAfterMs: 1200 }
/** Shrinking ends then, with what it has. */
const SHRINK_LIMIT_MS = 45_000

const rules = (): Rule[] => [
  new NodeRule(),
  new OrderRule(),
  new MonitorRule(),
  new LinkRule(),
  new EndRule(),
  new CallRule(),
  new TimerRule(),
  new SpawnRule(),
  new NameRule(),
]

/** Identities are dear, and which they are makes no difference: all seeds share them. */
export const makeIdentities = async (): Promise<readonly Identity[]> => {
  const random = seededRandom(IDENTITY_SEED)
  const identities: Identity[] = []
  for (let i = 0; i < IDENTITIES; i++) {
    identities.push(await createIdentity({ wallNowMs: EPOCH_MS, random: (count) => random.bytes(count) }))
  }
  return identities
}

export interface Finding {
  readonly seed: number
  readonly violation: string
  /** Setting and shrunk program. */
  readonly program: string
  readonly log: string
}

export interface FuzzOptions {
  /** False: what is found is reported as it is. */
  readonly shrink: boolean
  /** Told what happened in each run, shrinking included. */
  readonly ran?: (report: string) => void
}

/** Runs one seed; gives what it found, if anything. */
export const fuzz = async (
  seed: number,
  identities: readonly Identity[],
  { shrink, ran }: FuzzOptions,
): Promise<Finding | undefined> => {
  let last: { readonly violation: string; readonly log: string } | undefined
  const property = fc.asyncProperty(setting, program, async (where, commands) => {
    const { violation, log } = await runProgram(where, commands, identities)
    ran?.(log())
    if (violation === undefined) return
    last = { violation, log: log() }
    throw new Error(violation)
  })
  const details = await fc.check(property, {
    seed,
    numRuns: 1,
    unbiased: true,
    endOnFailure: !shrink,
    interruptAfterTimeLimit: SHRINK_LIMIT_MS,
  })
  if (!details.failed || details.counterexample === null || last === undefined) return undefined
  const [where, commands] = details.counterexample
  // The last failure was the smallest.
  return { seed, ...last, program: `${JSON.stringify(where)}\n${String(commands)}` }
}

const runProgram = async (
  where: Setting,
  commands: Iterable<fc.AsyncCommand<Stage, Stage>>,
  identities: readonly Identity[],
): Promise<{ violation: string | undefined; log: () => string }> => {
  const nodes = HOST_NAMES.slice(0, where.hosts)
  let world: World | undefined
  const log = (): string => world?.report() ?? ''
  try {
    await simulate({ nodes, seed: where.seed, identities, liveness: LIVENESS }, async (sim) => {
      world = new World(sim, rules())
      const director = new Director(world, sim, where, identities.slice(nodes.length))
      await director.begin()
      await fc.asyncModelRun(() => ({ model: director, real: director }), commands)
      await director.settle()
      await director.finish()
    })
    return { violation: undefined, log }
  } catch (error) {
    const { cause } = error as ScenarioFailure
    const violation = cause instanceof Violation ? cause.message : `${(cause as Error)?.stack ?? error}`
    return { violation, log }
  }
}

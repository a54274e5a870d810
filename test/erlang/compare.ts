/** Runs scenarios on both worlds and compares what was seen. */
import { DIFFERENCES } from './differences.ts'
import { runScenario, type Seen } from './interpreter.ts'
import type { Place, Scenario } from './scenario.ts'
import type { World } from './world.ts'

export interface Compared {
  readonly scenario: Scenario
  readonly place: Place
  readonly verdict: 'same' | 'different' | 'different on purpose' | 'same, but should differ'
  readonly skein: readonly Seen[]
  readonly erlang: readonly Seen[]
}

export const isFine = ({ verdict }: Compared): boolean => verdict === 'same' || verdict === 'different on purpose'

/** Every scenario in every place, one after the other, on both worlds at once. */
export const compareAll = async (
  scenarios: readonly Scenario[],
  skein: World,
  erlang: World,
  tell: (compared: Compared) => void,
): Promise<Compared[]> => {
  const all: Compared[] = []
  for (const scenario of scenarios) {
    for (const place of scenario.places) {
      const [ours, theirs] = await Promise.all([
        runScenario(skein, scenario, place),
        runScenario(erlang, scenario, place),
      ])
      const compared = { scenario, place, verdict: verdict(scenario, ours, theirs), skein: ours, erlang: theirs }
      all.push(compared)
      tell(compared)
    }
  }
  return all
}

const verdict = ({ differs }: Scenario, ours: readonly Seen[], theirs: readonly Seen[]): Compared['verdict'] => {
  // What did not run through proves nothing.
  const ran = [...ours, ...theirs].every((line) => !line.startsWith('failed at') && !line.includes('nothing'))
  const same = ran && ours.join('\n') === theirs.join('\n')
  if (differs === undefined) return same ? 'same' : 'different'
  if (DIFFERENCES[differs] === undefined || !ran) return 'different'
  return same ? 'same, but should differ' : 'different on purpose'
}

/** The two views side by side, where they part. */
export const explain = ({ scenario, place, verdict: how, skein, erlang }: Compared): string => {
  const count = Math.max(skein.length, erlang.length)
  const lines = Array.from({ length: count }, (_, i) =>
    skein[i] === erlang[i]
      ? `      ${skein[i]}`
      : `  !   Skein   ${skein[i] ?? '-'}\n      Erlang  ${erlang[i] ?? '-'}`,
  )
  return [`${how}: ${scenario.title} (${place})`, ...lines].join('\n')
}

/** One path of the guard, measured in a process of its own. */
import { GUARD_PATHS } from './guard-paths.ts'
import { serve } from './peer.ts'
import { median } from './report.ts'

const WARM_UP_ROUNDS = 4
const ROUNDS = 9

/** Processor time, us, with that of the threads that compile and collect for it. */
const cost = async (work: () => Promise<void>): Promise<number> => {
  globalThis.gc?.()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

await serve(async ({ name }) => {
  const { open } = GUARD_PATHS[name as string]!
  const path = await open()
  const costs: number[] = []
  const ratios: number[] = []
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const baseline = (await cost(path.baseline)) / path.baselineUnits
    const work = (await cost(path.work)) / path.units
    if (round < WARM_UP_ROUNDS) continue
    costs.push(work)
    ratios.push(work / baseline)
  }
  await path.stop()
  return { ready: { ratio: median(ratios), us: median(costs) }, stop: async () => {} }
})

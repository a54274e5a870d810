/**
 * Members die (kill -9) and are started again, many times and quickly: one after another, two at once, some as who they
 * were, some as somebody new at the same address. Meanwhile, on the members that stay, supervisors give up because their
 * children crash in a loop.
 */
import type { MemberProcess } from '../chaos/process.ts'
import type { CrashLoop } from './fixtures/crash-loop.ts'
import type { Stage } from './stage.ts'
import type { Storm } from './storm.ts'

/** Members that live through it, and have the crash loops. */
const STAYING = 2
/** Every third comes back as somebody new. */
const NEW_EVERY = 3
/** Processes are started in advance, so that so many restarts can follow each other quickly. */
const RESTARTS_IN_BURST = 3
/** Between a start and the next kill, from 0 to this; now and then it has not even joined yet. */
const LIFE_MS = 600

/** Kills the member of one place again and again. */
const churn = async (stage: Stage, place: number, endMs: number): Promise<void> => {
  let count = 0
  do {
    const next: MemberProcess[] = []
    let last = stage.members[place]!
    for (let i = 0; i < RESTARTS_IN_BURST; i++) {
      last = ++count % NEW_EVERY === 0 ? stage.newMember(place) : stage.newMember(place, last)
      next.push(last)
    }
    await Promise.all(next.map((member) => member.prepare()))
    stage.options.say(`${next.length} restarts of ${last.name} follow`)
    for (const member of next) {
      const before = stage.members[place]!
      await before.kill()
      stage.tally('members killed')
      stage.members[place] = member
      await member.start()
      const isSame = member.options.identity === before.options.identity
      stage.tally(`started again as ${isSame ? 'who they were' : 'somebody new'}`)
      await stage.sleep(stage.random.float() * LIFE_MS)
    }
  } while (performance.now() < endMs)
}

const endCrashLoop = async (stage: Stage, member: MemberProcess): Promise<void> => {
  const { crashes, gaveUp, wrong } = await stage.role<CrashLoop>(member, 'crash-loop')
  stage.tally('children that crashed', crashes)
  stage.tally('supervisors that gave up', gaveUp)
  if (gaveUp === 0) stage.violation(`${member.name}: no supervisor gave up`)
  if (wrong > 0) stage.violation(`${member.name}: ${wrong} supervisors gave up after another number of crashes`)
}

export const restarts: Storm = {
  name: 'restarts',
  what: 'Members are killed and started again quickly, as who they were or as somebody new; supervisors give up meanwhile.',
  proof: [
    'members killed',
    'started again as who they were',
    'started again as somebody new',
    'supervisors that gave up',
  ],
  run: async (stage) => {
    await stage.open()
    const places = stage.members.map((_, place) => place)
    const [staying, churned] = [places.slice(0, STAYING), places.slice(STAYING)]
    stage.cause({ touches: churned })
    for (const place of staying) await stage.role(stage.members[place]!, 'crash-loop')
    const endMs = performance.now() + stage.seconds * 1000
    await Promise.all(churned.map((place) => churn(stage, place, endMs)))
    for (const place of staying) await endCrashLoop(stage, stage.members[place]!)
    return stage.close()
  },
}

/**
 * The promise of lanes: every frame of a sender arrives once, unharmed and in the order sent, whatever mix of senders,
 * whatever the network does. Two canaries break the rules that keep order and must be caught by the same check.
 */
import * as assert from 'uvu/assert'
import type { DedicatedLane } from '../../transport/lane-out.ts'
import { Lanes } from '../../transport/lanes.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { Audience, Full, type LaneEnd, openPair, type PairOptions, Speaker } from './lanes-harness.ts'
import { type MemoryPair, memoryPair } from './lanes-memory.ts'

const FIRST_SEED = 20261121
const SEEDS = 400
const CANARY_SEEDS = 200

type Dice = (below: number) => number

const diceOf = (seed: number): Dice => {
  const random = seededRandom(seed)
  return (below) => Math.floor(random.float() * below)
}

/** Counts what happens to lanes, so that the test knows that it met every case. */
interface Deeds {
  promotions: number
  ends: number
  /** Lanes opened behind an end that was not acknowledged yet. */
  successors: number
  holds: number
  closings: number
}

const watched = (deeds: Deeds): NonNullable<PairOptions['make']> => {
  class Watched extends Lanes {
    override promote(shared: Parameters<Lanes['promote']>[0]): DedicatedLane | undefined {
      const lane = super.promote(shared)
      if (lane !== undefined) deeds.promotions++
      return lane
    }
    override succeed(): DedicatedLane {
      deeds.successors++
      return super.succeed()
    }
    override finish(lane: DedicatedLane): void {
      if (!lane.finishing) deeds.ends++
      super.finish(lane)
    }
  }
  return (listener, options) => new Watched(listener, options)
}

/** Opens dedicated lanes without a mark: their frames may overtake what is still on the shared lane. */
class WithoutMarks extends Lanes {
  override promote(_shared: Parameters<Lanes['promote']>[0]): DedicatedLane | undefined {
    return this.dedicate(0)
  }
}

/** Does not wait for the acknowledgement of an end: the next lane may overtake the one before. */
class WithoutWaiting extends Lanes {
  override succeed(): DedicatedLane {
    return this.dedicate(0)
  }
}

const bodyBytes = (dice: Dice): number => {
  const kind = dice(20)
  if (kind < 10) return 1 + dice(200)
  if (kind < 16) return 1 + dice(5000)
  if (kind < 19) return 1 + dice(40_000)
  return 1 + dice(300_000)
}

/** Bursts and pauses, long enough that lanes fall idle, are ended, and are wanted again at about that time. */
const talk = (h: MemoryPair, speaker: Speaker, dice: Dice, deeds: Deeds, done: () => void): void => {
  const isHeavy = dice(2) === 0
  let bursts = 2 + dice(5)
  const burst = (): void => {
    if (bursts-- === 0) {
      if (dice(2) === 0) {
        speaker.sender.close()
        deeds.closings++
      }
      done()
      return
    }
    for (let frames = 1 + dice(isHeavy ? 20 : 4); frames > 0; frames--)
      speaker.say(isHeavy ? bodyBytes(dice) : dice(300))
    const pauses = [0, dice(30), dice(500), 2000 + dice(100), 4000 + dice(150), dice(7000)]
    h.clock.after(pauses[dice(pauses.length)]!, burst)
  }
  h.clock.after(dice(200), burst)
}

/** Attends to an end with a slow ear: now and then a sender is held. */
const attendSlowly = (h: MemoryPair, end: LaneEnd, dice: Dice, deeds: Deeds): Audience => {
  const audience = new Audience()
  end.listener.take = (type, bytes) => {
    audience.hear(type, bytes)
    if (dice(12) > 0) return undefined
    deeds.holds++
    const full = new Full()
    h.clock.after(dice(4) === 0 ? dice(6000) : dice(40), () => full.relieve())
    return full
  }
  return audience
}

const newDeeds = (): Deeds => ({ promotions: 0, ends: 0, successors: 0, holds: 0, closings: 0 })

/** Runs one story, both ways at once; the audiences know what went wrong. */
const runStory = async (seed: number, deeds: Deeds, make = watched(deeds)): Promise<Audience[]> => {
  const dice = diceOf(seed)
  const isBad = dice(4) > 0
  const conditions = {
    delayMs: 1 + dice(40),
    jitterMs: isBad ? dice(20) : 0,
    loss: isBad ? dice(8) / 100 : 0,
    reorder: isBad ? dice(10) / 100 : 0,
    duplicate: isBad ? dice(10) / 100 : 0,
  }
  const h = memoryPair(seed, conditions, {
    pathSizeBytes: [1350, 9000, 16_000][dice(3)]!,
    streamWindowBytes: [16, 64, 256][dice(3)]! * 1024,
    congestionWindowBytes: [32, 64, 512][dice(3)]! * 1024,
  })
  const { a, b } = await openPair(h, { make })
  const ways = [
    { from: a, audience: attendSlowly(h, b, dice, deeds) },
    { from: b, audience: attendSlowly(h, a, dice, deeds) },
  ]
  let talking = 0
  const told = ways.map(({ from, audience }) => {
    const speakers = Array.from({ length: 1 + dice(6) }, (_, id) => new Speaker(id, from.lanes))
    for (const speaker of speakers) {
      talking++
      talk(h, speaker, dice, deeds, () => talking--)
    }
    return { speakers, audience }
  })
  const isOver = (): boolean =>
    a.listener.closes.length > 0 ||
    told.some(({ audience }) => audience.faults.length > 0) ||
    (talking === 0 && told.every(({ speakers, audience }) => audience.heardAll(speakers)))
  await h.until(isOver)
  // Long enough for a frame that would come twice.
  await h.pass(10_000)
  assert.equal([a.listener.closes, b.listener.closes], [[], []], `seed ${seed}`)
  for (const { speakers, audience } of told) {
    if (audience.faults.length === 0) assert.ok(audience.heardAll(speakers), `seed ${seed}: more than was said`)
  }
  // Both: a goodbye may get lost.
  for (const { lanes } of [a, b]) lanes.close(0, 'closed', 'over')
  return told.map(({ audience }) => audience)
}

const test = suite('lanes keep order')

test(
  `every frame arrives once, unharmed, in the order of its sender (seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1})`,
  async () => {
    const deeds = newDeeds()
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      for (const audience of await runStory(seed, deeds)) audience.assertFaultless(`seed ${seed}`)
    }
    // The stories must have met every case, or they prove nothing about it.
    for (const [deed, count] of Object.entries(deeds)) assert.ok(count >= SEEDS / 5, `${deed}: only ${count}`)
  },
  { deadlineMs: 90_000 },
)

/** The first seed at which the check finds a fault. */
const findFault = async (make: NonNullable<PairOptions['make']>): Promise<number | undefined> => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + CANARY_SEEDS; seed++) {
    const audiences = await runStory(seed, newDeeds(), make)
    if (audiences.some((audience) => audience.faults.some((fault) => fault.includes('was due')))) return seed
  }
  return undefined
}

test(
  'canary: a lane that opens without a mark is seen to overtake',
  async () => {
    assert.type(await findFault((listener, options) => new WithoutMarks(listener, options)), 'number')
  },
  { deadlineMs: 30_000 },
)

test(
  'canary: a lane that does not wait for the end of the one before is seen to overtake',
  async () => {
    assert.type(await findFault((listener, options) => new WithoutWaiting(listener, options)), 'number')
  },
  { deadlineMs: 30_000 },
)

test.run()

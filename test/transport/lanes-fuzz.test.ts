/** Random bytes from a hand-made peer: each string is borne or costs that connection, and nothing else ever happens. */
import * as assert from 'uvu/assert'
import { type Random, seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import {
  CONTROL,
  DATA,
  doneFrame,
  frame,
  KIND,
  type LaneEnd,
  markFrame,
  NO_HEAD,
  openFrame,
  openRaw,
  type RawPeer,
  Speaker,
} from './lanes-harness.ts'
import { type MemoryPair, memoryPair } from './lanes-memory.ts'

const SEED = 20261121
const STRINGS = 10_000
const MAX_FRAME_BYTES = 100_000

const diceOf =
  (random: Random) =>
  (below: number): number =>
    Math.floor(random.float() * below)

/** Bytes from nowhere, or good frames in a bad order with some bytes changed. */
const fuzzOf = (random: Random): Buffer => {
  const dice = diceOf(random)
  if (dice(4) === 0) return Buffer.from(random.bytes(dice(300)))
  const makers = [
    () => openFrame(dice(4), dice(3)),
    () => markFrame(dice(5)),
    () => doneFrame(dice(40)),
    () => frame(DATA, random.bytes(dice(40))),
    () => frame(dice(256), random.bytes(dice(9))),
    () => frame(DATA, Buffer.alloc(dice(40_000))),
  ]
  const frames = [openFrame([KIND.control, KIND.shared, KIND.dedicated][dice(3)]!, dice(3))]
  for (let count = dice(6); count > 0; count--) frames.push(makers[dice(makers.length)]!())
  const bytes = Buffer.concat(frames)
  if (dice(2) === 0) for (let flips = dice(4); flips > 0; flips--) bytes[dice(bytes.length)]! ^= 1 << dice(8)
  return dice(3) === 0 ? bytes.subarray(0, dice(bytes.length + 1)) : bytes
}

/** A peer that has begun well, or not, and lanes with a speaker on either kind of lane. */
const begin = async (h: MemoryPair, opensControl: boolean): Promise<{ raw: RawPeer; b: LaneEnd }> => {
  const { raw, b } = await openRaw(h, { maxFrameBytes: MAX_FRAME_BYTES })
  if (opensControl) raw.put(0, openFrame(KIND.control))
  for (let i = 0; i < 4; i++) new Speaker(i, b.lanes).say(i * 3000)
  return { raw, b }
}

const test = suite('lanes and random bytes')

test(
  `${STRINGS} strings (seed ${SEED})`,
  async () => {
    const random = seededRandom(SEED)
    const dice = diceOf(random)
    const h = memoryPair(SEED)
    let opensControl = true
    let { raw, b } = await begin(h, opensControl)
    let cutOff = 0
    let borne = 0
    for (let i = 0; i < STRINGS; i++) {
      const index = opensControl ? dice(raw.opened + 1) : 0
      raw.put(index, fuzzOf(random), dice(3) === 0)
      await h.pass(5)
      const [closed] = b.listener.closes
      if (closed === undefined) {
        borne++
        if (raw.opened < 20) continue
        // Still good for those who keep to the rules: a control frame leaves, and the connection is open.
        b.lanes.control(CONTROL, NO_HEAD)
        b.lanes.close(0, 'closed', 'next')
        await h.pass(5)
      } else {
        cutOff++
        assert.equal([closed.code, closed.byPeer], ['ERR_SKEIN_PROTOCOL', false], `string ${i}`)
        assert.is(raw.closes[0]?.code, 'ERR_SKEIN_PROTOCOL', `string ${i}`)
      }
      assert.is(b.listener.closes.length, 1, `string ${i}`)
      assert.equal(b.listener.untimely, [], `string ${i}`)
      opensControl = dice(4) > 0
      ;({ raw, b } = await begin(h, opensControl))
    }
    // Both must have happened often, or the strings are too tame or too wild.
    assert.ok(cutOff > STRINGS / 10 && borne > STRINGS / 10, `${cutOff} cut off, ${borne} borne`)
  },
  { deadlineMs: 60_000 },
)

test.run()

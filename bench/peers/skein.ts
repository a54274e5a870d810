/** Ours, as messages-pair.ts has it: one pair of nodes at 1350-byte datagrams, one at the size that the path carries. */
import { LARGE_BYTES, PINGS, WARM_UP } from '../baselines.ts'
import {
  calls,
  flood,
  LARGE_MESSAGES_NARROW,
  LARGE_MESSAGES_PATH,
  NARROW_BYTES,
  type Pair,
  pingPong,
  SMALL_MESSAGES,
  sendAll,
  sendLightly,
  smallMessage,
  startPair,
} from '../messages-pair.ts'
import { isLight, isSmall, type PeerSystem, type Result, SENDERS, type Work } from './system.ts'

const sentOften = Buffer.alloc(LARGE_BYTES, 7)
const large = sendAll(() => sentOften)
const small = sendAll(smallMessage)

const bulk = async ({ node }: Pair, messages: number): Promise<Result> => {
  const count = Math.ceil(messages)
  return { perSecond: (count * LARGE_BYTES) / (await flood(node, 1, count, large)) }
}

export const startSkein = async (): Promise<PeerSystem> => {
  const [narrow, wide] = [await startPair(NARROW_BYTES), await startPair()]
  const { node } = wide
  const measure = async (work: Work, part: number): Promise<Result> => {
    if (work === 'ping-pong') return { roundTripsUs: await pingPong(node, part) }
    if (work === 'call') return { roundTripsUs: await calls(node, PINGS * part, WARM_UP * part) }
    if (work === '64KiB-1350') return bulk(narrow, LARGE_MESSAGES_NARROW * part)
    if (work === '64KiB-path') return bulk(wide, LARGE_MESSAGES_PATH * part)
    if (!isSmall(work)) throw new Error(`ours has two kinds of ${work}`)
    const senders = SENDERS[work]
    const count = senders * Math.ceil((SMALL_MESSAGES * part) / senders)
    return { perSecond: count / (await flood(node, senders, count, isLight(work) ? sendLightly : small)) }
  }
  return {
    measure,
    stop: async () => {
      await wide.stop()
      await narrow.stop()
    },
  }
}

/**
 * Incarnations: what tells one start of a node from another.
 */
import type { Clock } from '../transport/clock.ts'
import type { Random } from '../transport/random.ts'

const TIME_BYTES = 6
const CHANCE_BYTES = 2

/** 48 bits of calendar time in milliseconds, so that a later start has the greater one, and 16 of chance. */
export const newIncarnation = (clock: Clock, random: Random): string => {
  const bytes = Buffer.alloc(TIME_BYTES + CHANCE_BYTES)
  bytes.writeUIntBE(Math.floor(clock.wallNow()), 0, TIME_BYTES)
  bytes.set(random.bytes(CHANCE_BYTES), TIME_BYTES)
  return bytes.toString('hex')
}

/**
 * Members stand still for a time, by SIGSTOP or by a loop of their own that yields to nobody, several at once.
 *
 * A stall that is shorter than what liveness waits for must cost nobody the connection; after a longer one a member may
 * have been given up, and has to come back by itself.
 */
import { LAN_LIVENESS } from '../../src/cluster/liveness.ts'
import type { Storm } from './storm.ts'

/** Milliseconds, from and to. In a short one nobody may be given up. */
const SHORT_MS = [500, 0.7 * LAN_LIVENESS.downAfterMs] as const
const LONG_MS = [4000, 8000] as const
const PAUSE_MS = 500

/** Short, short, long. */
const ROUNDS = 3

export const stalls: Storm = {
  name: 'stalls',
  what: 'Event loops stand still for 0.5 to 8 s (SIGSTOP, and busy loops), on several members at once.',
  proof: ['short stalls by SIGSTOP', 'long stalls by busy loop'],
  run: async (stage) => {
    await stage.open()
    const { members, random } = stage
    const endMs = performance.now() + stage.seconds * 1000
    // Each kind of round at least once.
    for (let round = 0; round < ROUNDS || performance.now() < endMs; round++) {
      const isLong = round % ROUNDS === ROUNDS - 1
      const first = Math.floor(random.float() * members.length)
      const places = [first, (first + 1) % members.length]
      stage.cause({ touches: isLong ? places : [] })
      await Promise.all(
        places.map(async (place, i) => {
          const member = members[place]!
          const [least, most] = isLong ? LONG_MS : SHORT_MS
          const ms = least + random.float() * (most - least)
          stage.tally(`${isLong ? 'long' : 'short'} stalls by ${i === 0 ? 'SIGSTOP' : 'busy loop'}`)
          stage.tallyMost('longest stall, ms', Math.round(ms))
          if (i === 0) {
            member.pause()
            await stage.sleep(ms)
            member.resume()
          } else {
            await stage.role(member, 'busy', ms)
            await stage.sleep(ms)
          }
        }),
      )
      await stage.sleep(PAUSE_MS)
      if (isLong) await stage.whole()
    }
    return stage.close()
  },
}

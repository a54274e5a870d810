/**
 * The calendar of some members jumps: an hour forth and back, 400 days forth; and runs fast on others. Connections that exist do
 * not look at the calendar, so nobody may go down; certificates are looked at when somebody dials, so a node 400 days ahead
 * is refused, and refuses, with a code. When the calendar is right again all is whole.
 */
import type { MemberProcess } from '../chaos/process.ts'
import type { Storm } from './storm.ts'

const HOUR_MS = 3_600_000
/**
 * Certificates are valid from when the members started, for a year: who is behind sees them begin in the future.
 *
 * Lasting: its hybrid clock (src/services/global/stamp.ts) never goes back, and others refuse stamps more than a day ahead. So who was
 * that far ahead has to be started again, as its operator would; and what has seen its tokens has to forget them.
 */
const JUMPS = [
  { name: '+1 h', aheadMs: HOUR_MS, isRefused: false, isLasting: false },
  { name: '-1 h', aheadMs: -HOUR_MS, isRefused: true, isLasting: false },
  { name: '+400 days', aheadMs: 400 * 24 * HOUR_MS, isRefused: true, isLasting: true },
] as const
/** A clock that gains so much each second: far worse than any crystal. */
const DRIFT_MS = 50
/** In which a member that starts tries all others. */
const JOIN_MS = 2000

const addressOf = ({ options: { host, port } }: MemberProcess): string => `${host}:${port}`

export const clocks: Storm = {
  name: 'clocks',
  what: 'Calendars jump by +1 h, -1 h and +400 days on one member after the other, and gain 50 ms each second on another.',
  proof: ['+1 h: dials by the one that jumped: connected', '-1 h: calls answered', '+400 days: calls answered'],
  run: async (stage) => {
    await stage.open()
    const { members } = stage
    await stage.role(members.at(-1)!, 'calendar', 0, DRIFT_MS)
    for (const [i, { name, aheadMs, isRefused, isLasting }] of JUMPS.entries()) {
      const place = i % (members.length - 1)
      const [jumped, other] = [members[place]!, members[(place + 1) % (members.length - 1)]!]
      stage.options.say(`${jumped.name} is ${name} ahead`)
      stage.cause({})
      await stage.role(jumped, 'calendar', aheadMs, 0)
      const restarted = stage.newMember(members.length - 1, members.at(-1)!)
      const successor = isLasting ? stage.newMember(place, jumped) : undefined
      const prepared = [restarted.prepare(), successor?.prepare()]
      const time = Promise.all([stage.sleep((stage.seconds * 1000) / JUMPS.length), ...prepared])
      const took = await stage.calls(time)
      stage.options.say('it dials anew')
      stage.tally(`${name}: calls answered`, took.length)
      // Whoever is refused is not whole, and others may go for it.
      stage.cause({ touches: members.map((_, index) => index) })
      for (const [from, to] of [
        [jumped, other],
        [other, jumped],
      ] as const) {
        const outcome = await stage.role<string>(from, 'redial', to.name, addressOf(to))
        stage.tally(`${name}: dials ${from === jumped ? 'by' : 'to'} the one that jumped: ${outcome}`)
        if ((outcome !== 'connected') !== isRefused) stage.violation(`${name}: a dial anew ended with ${outcome}`)
        if (isRefused && !outcome.includes('ERR_SKEIN_CERT_')) stage.violation(`${name}: the code is ${outcome}`)
      }
      // The last one comes anew; it has to find the one that jumped by itself as soon as the calendar is right.
      await members.at(-1)!.kill()
      members[members.length - 1] = restarted
      await restarted.start()
      await stage.sleep(JOIN_MS)
      await stage.role(jumped, 'calendar', 0, 0)
      if (successor === undefined) {
        // Who said goodbye is left alone until somebody asks for it (docs/membership.md).
        const outcome = await stage.role<string>(jumped, 'redial', other.name, addressOf(other))
        stage.tally(`${name}: dials by it afterwards: ${outcome}`)
        if (outcome !== 'connected') stage.violation(`${name}: afterwards a dial ended with ${outcome}`)
      } else {
        await jumped.kill()
        stage.forgetTokens()
        members[place] = successor
        await successor.start()
        stage.tally(`${name}: started again afterwards`)
      }
      stage.options.say('the calendar is right again')
      await stage.whole()
      await stage.role(restarted, 'calendar', 0, DRIFT_MS)
    }
    await stage.role(members.at(-1)!, 'calendar', 0, 0)
    return stage.close()
  },
}

/**
 * Whether the calendar of this machine is right: compared with that of members, and with the time before which this
 * program did not exist.
 *
 * A clock that is off by more than five minutes keeps nodes apart: fresh certificates then look as if they came from the
 * future. Smaller errors harm what compares times of two machines, such as logs and expiry.
 */
import { CLOCK_SKEW_TOLERANCE_MS } from '../../certs/certificate.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'
import type { MemberFacts } from './visit.ts'

const NOTICEABLE_MS = 5000
/** Whatever a clock shows before this is not the present. */
const EARLIEST_MS = Date.UTC(2025, 0)

export const checkClock = (
  wallNowMs: number,
  members: readonly Pick<MemberFacts, 'name' | 'clock'>[],
): readonly Finding[] => {
  if (wallNowMs < EARLIEST_MS) {
    const shown = new Date(wallNowMs).toISOString()
    return [
      failed(
        'clock',
        `Clock off: it shows ${shown}.`,
        'Certificates of other nodes are not valid yet at that time.',
        SET,
      ),
    ]
  }
  const compared = members.flatMap(({ name, clock }) => (clock === undefined ? [] : [{ name, ...clock }]))
  const [first] = compared
  if (first === undefined) {
    return [
      skipped('clock', `It shows ${new Date(wallNowMs).toISOString()}; no member was reached to compare it with.`),
    ]
  }
  const off = compared.filter(({ aheadMs, uncertainMs }) => Math.abs(aheadMs) - uncertainMs > NOTICEABLE_MS)
  if (off.length === 0) {
    const worst = Math.max(...compared.map(({ aheadMs }) => Math.abs(aheadMs)))
    return [ok('clock', `Within ${span(worst)} of ${count(compared.length, 'member')}`)]
  }
  // More than one other clock, and all of them off in the same way: then it is this one.
  const directions = new Set(off.map(({ aheadMs }) => aheadMs > 0))
  const isOurs = compared.length > 1 && off.length === compared.length && directions.size === 1
  return off.map(({ name, aheadMs }) => {
    const far = Math.abs(aheadMs) > CLOCK_SKEW_TOLERANCE_MS
    const what = `Clock off: this machine is ${span(Math.abs(aheadMs))} ${aheadMs > 0 ? 'behind' : 'ahead of'} ${name}.`
    const whose = isOurs ? ' All members differ from this machine, so its clock is the wrong one.' : ''
    return far
      ? failed('clock', what, `Beyond five minutes nodes refuse each other's certificates.${whose}`, SET)
      : warning('clock', what, `Times in logs and records do not compare.${whose}`, SET)
  })
}

const SET =
  'Set the clock of whichever machine is wrong and keep it right: sudo timedatectl set-ntp true, or sudo chronyc makestep.'

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

const span = (ms: number): string => {
  if (ms < SECOND_MS) return `${Math.ceil(ms)} ms`
  if (ms < 2 * MINUTE_MS) return `${(ms / SECOND_MS).toFixed(1)} s`
  if (ms < 2 * HOUR_MS) return `${(ms / MINUTE_MS).toFixed(1)} minutes`
  return `${(ms / HOUR_MS).toFixed(1)} hours`
}

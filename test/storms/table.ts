/** The report of a storm for people. */
import type { StormReport } from './storm.ts'

const number = (value: number): string =>
  (Number.isInteger(value) ? String(value) : value.toFixed(1)).replace(/\B(?=(\d{3})+(?!\d))/g, ' ').padStart(12)

export const tableOf = ({ storm, tallies, memory, wholeAfterSeconds, violations }: StormReport): string => {
  const whole = wholeAfterSeconds === undefined ? 'not whole again' : `whole after ${wholeAfterSeconds.toFixed(1)} s`
  return [
    `${storm}: ${whole}, ${violations.length} violations`,
    ...Object.entries(tallies).map(([what, count]) => `${number(count)}  ${what}`),
    ...memory.map(
      ({ member, before, peak, after }) => `${member}: ${before} MiB before, ${peak} at most, ${after} after`,
    ),
    ...violations.map((text) => `VIOLATION ${text}`),
  ].join('\n')
}

/**
 * Spans of time as people type them: 30s, 10m, 2h.
 */
import { InvalidArgumentError } from 'commander'

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }
const MAX_SPAN_MS = 24 * 3_600_000

/** For commander: milliseconds, from one second to a day. */
export const parseSpan = (text: string): number => {
  const [, count, unit] = /^(\d{1,6}(?:\.\d{1,3})?)([smh])$/.exec(text) ?? []
  const ms = Math.round(Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN))
  if (ms >= 1000 && ms <= MAX_SPAN_MS) return ms
  throw new InvalidArgumentError('It must be a time from 1s to 24h, such as 30s, 10m or 2h.')
}

/** 30 seconds, 10 minutes, 1 hour. */
export const spanInWords = (ms: number): string => {
  const [size, unit] =
    ms % 3_600_000 === 0 ? [3_600_000, 'hour'] : ms % 60_000 === 0 ? [60_000, 'minute'] : [1000, 'second']
  const count = ms / size
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

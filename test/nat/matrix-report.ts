/** The results of a NAT matrix as a table for people, and how many of them count as misses. */
import { NAT_TYPES, type NatType } from './box-rules.ts'
import type { Result } from './matrix.ts'

const COLUMN_WIDTH = 16

/** Rows are the types of A, who connects, columns those of B. Of several runs each figure is the worst. */
export const table = (types: readonly NatType[], results: readonly Result[]): string[] => {
  const sorted = NAT_TYPES.filter((type) => types.includes(type))
  const row = (first: string, cells: readonly string[]): string =>
    [first.padEnd(8), ...cells.map((cell) => cell.padEnd(COLUMN_WIDTH))].join('').trimEnd()
  const cellText = (a: NatType, b: NatType): string =>
    summary(results.filter(({ cell }) => cell.a === a && cell.b === b))
  return [
    row('', sorted),
    ...sorted.map((a) =>
      row(
        a,
        sorted.map((b) => cellText(a, b)),
      ),
    ),
  ]
}

/** `D 21/48`: connected after 21 ms and direct after 48 ms; `R 30`: relayed; the share of direct ones where they differ. */
const summary = (results: readonly Result[]): string => {
  if (results.length === 0) return ''
  const mark = results.every(({ met }) => met) ? '' : ' !'
  if (results.some(({ connected }) => connected === undefined)) return `failed${mark}`
  const worst = (figures: readonly number[]): string => Math.max(...figures).toFixed(0)
  const upMs = worst(results.map(({ connected }) => connected!.upMs))
  const direct = results.flatMap(({ connected }) => connected?.directMs ?? [])
  if (direct.length === 0) return `R ${upMs}${mark}`
  const share = direct.length === results.length ? '' : `${direct.length}/${results.length}`
  return `D${share} ${upMs}/${worst(direct)}${mark}`
}

/** Goals that hold for a share of the runs are judged over all of them together. */
export const misses = (results: readonly Result[]): number => {
  let count = 0
  for (const share of new Set(results.map(({ goal }) => goal.share))) {
    const same = results.filter(({ goal }) => goal.share === share)
    const missed = same.filter(({ met }) => !met).length
    if (missed > same.length * (1 - share)) count += missed
  }
  return count
}

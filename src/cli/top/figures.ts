/**
 * Figures as they fit a narrow column, and text as it fits a terminal. Sans-io.
 */

const STEPS = ['', 'k', 'M', 'G', 'T'] as const
const STEP = 1000

/** 7, 999, 1.2k, 34M: four characters at most, up to a thousand million million. */
export const count = (value: number): string => {
  let [rest, step] = [Math.max(0, value), 0]
  while (Math.round(rest) >= STEP && step < STEPS.length - 1) {
    rest /= STEP
    step++
  }
  const digits = step > 0 && rest < 9.95 ? 1 : 0
  return `${rest.toFixed(digits)}${STEPS[step]}`
}

/** As `count`, undefined where there are no two snapshots to compare yet. */
export const rate = (perSecond: number | undefined): string => (perSecond === undefined ? '-' : count(perSecond))

export const percent = (part: number): string => `${Math.round(part * 100)}%`

/** 12s, 3m, 5h, 9d. */
export const age = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** Two columns on a terminal: East Asian wide and fullwidth (Unicode Annex 11), and emoji shown as pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u

const widthOf = (character: string): number => {
  if (/\p{M}/u.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

/** What others said, as a terminal may show it: in one line, without anything that it would obey. */
export const safe = (text: string): string => text.replaceAll(/\p{C}|\p{Zl}|\p{Zp}/gu, '?')

/** Safe, and exactly so many columns wide: filled with spaces, or cut, with a plus sign in place of what is missing. */
export const fit = (text: string, columns: number, align: 'left' | 'right' = 'left'): string => {
  if (/^[ -~]*$/.test(text) && text.length <= columns)
    return align === 'left' ? text.padEnd(columns) : text.padStart(columns)
  const characters = [...safe(text)]
  const widths = characters.map(widthOf)
  const whole = widths.reduce((sum, width) => sum + width, 0)
  if (whole <= columns) {
    const fill = ' '.repeat(columns - whole)
    return align === 'left' ? characters.join('') + fill : fill + characters.join('')
  }
  let [kept, width] = ['', 0]
  for (const [index, character] of characters.entries()) {
    width += widths[index] ?? 1
    if (width > columns - 1) break
    kept += character
  }
  return columns < 1 ? '' : fit(`${kept}+`, columns, 'left')
}

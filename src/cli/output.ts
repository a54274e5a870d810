/**
 * Output on stdout: lines for people, one JSON value per line for programs.
 *
 * Colours only where the terminal shows them; NO_COLOR and TERM are heeded.
 */
import { basename, dirname, join, relative } from 'node:path'

/** How to run this command again, as it was run now: installed, by npx, or from a clone. */
export const invocation = (): string => {
  const script = process.argv[1] ?? ''
  if (basename(script) !== 'skein') return `node ${relative(process.cwd(), script)}`
  return dirname(script).endsWith(join('node_modules', '.bin')) ? 'npx skein' : 'skein'
}

export const printLine = (text = ''): void => {
  process.stdout.write(`${text}\n`)
}

export const printJson = (value: unknown): void => printLine(toJson(value))

/** JSON of any value that can cross the wire; `indent` spaces make it readable. */
export const toJson = (value: unknown, indent = 0): string =>
  JSON.stringify(value === undefined ? null : value, plain, indent).replaceAll(UNESCAPED_CONTROLS, escaped)

/** Terminals obey them as well, and JSON leaves them as they are (DEL and C1: ECMA-48 section 5.3). */
const UNESCAPED_CONTROLS = /[\u007f-\u009f]/g

const escaped = (control: string): string => `\\u00${control.charCodeAt(0).toString(16)}`

/** What JSON has no form for. Pids, references and dates bring their own. */
const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint' || value instanceof RegExp) return String(value)
  if (value instanceof Map) return [...value]
  if (value instanceof Set) return [...value]
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as Uint8Array)
  if (value instanceof Error) {
    return { name: value.name, message: value.message, ...('code' in value ? { code: value.code } : {}) }
  }
  return value
}

type Paint = (text: string) => string

export interface Palette {
  readonly bold: Paint
  readonly dim: Paint
  readonly good: Paint
  readonly bad: Paint
}

export const palette = (): Palette => {
  const shows = process.stdout.isTTY && process.stdout.hasColors()
  // SGR codes, ECMA-48 section 8.3.117: what switches an attribute on, and what switches it off again.
  const paint =
    (on: number, off: number): Paint =>
    (text) =>
      shows ? `\u001b[${on}m${text}\u001b[${off}m` : text
  return { bold: paint(1, 22), dim: paint(2, 22), good: paint(32, 39), bad: paint(31, 39) }
}

/** What others have said: what a terminal would obey is shown as a question mark. */
export const visible = (text: string): string => text.replaceAll(/\p{C}/gu, '?')

/** Columns as wide as what stands in them; the first row is the heading. Others may have said what stands there. */
export const table = (said: readonly (readonly string[])[]): string[] => {
  const rows = said.map((row) => row.map(visible))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** The details of a status begin with what matters most. */
export const firstSentence = (text: string): string => text.split(/[.;] /, 1)[0] ?? text

/** 0.57 ms, 142 ms, 4.21 s. */
export const duration = (ms: number): string => {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
}

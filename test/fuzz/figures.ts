/** What runs of the fuzzer came to: as lines, as a file to go on with, and as the table of docs/fuzzing.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Figures {
  readonly about: string
  readonly inputs: number
  readonly seconds: number
  /** Of the processor: what the rate is of, whatever else the machine does. */
  readonly cpuSeconds: number
  readonly rate: number
  readonly corpus: number
  /** Blocks that ran, and those of all functions that were entered. */
  readonly blocks: number
  readonly known: number
  readonly crashes: number
  readonly hangs: number
  readonly growth: number
}

export type FiguresByTarget = Readonly<Record<string, Figures>>

const page = fileURLToPath(new URL('../../docs/fuzzing.md', import.meta.url))
const BEGIN = '<!-- figures -->'
const END = '<!-- end of figures -->'

export const readFigures = (file: string): FiguresByTarget =>
  existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as FiguresByTarget) : {}

export const writeFigures = (file: string, figures: FiguresByTarget): void =>
  writeFileSync(file, `${JSON.stringify(figures, undefined, 2)}\n`)

export const lineOf = (target: string, figures: Figures): string => {
  const { inputs, rate, corpus, blocks, known, crashes, hangs, growth } = figures
  const found = `${crashes} crashes, ${hangs} hangs, ${growth} growth`
  return `${target}: ${inputs} inputs, ${rate} inputs/s, corpus ${corpus}, ${blocks} of ${known} blocks, ${found}`
}

/** Puts the table between its marks. */
export const writeTable = (figures: FiguresByTarget): void => {
  const text = readFileSync(page, 'utf8')
  const [head, rest] = text.split(BEGIN)
  const tail = rest?.split(END)[1]
  if (head === undefined || tail === undefined) throw new Error(`${page} has no place for the figures`)
  const rows = Object.entries(figures)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([target, { about, inputs, rate, blocks, known, crashes, hangs, growth }]) =>
      row([`\`${target}\``, about, inputs, rate, `${blocks} of ${known}`, crashes, hangs, growth]),
    )
  const titles = [
    'Target',
    'Whose bytes, and what reads them',
    'Inputs',
    'Inputs/s',
    'Blocks',
    'Crashes',
    'Hangs',
    'Growth',
  ]
  const table = [row(titles), '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |', ...rows].join('\n')
  writeFileSync(page, `${head}${BEGIN}\n\n${table}\n\n${END}${tail}`)
}

const row = (cells: readonly (string | number)[]): string =>
  `| ${cells.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : cell)).join(' | ')} |`

/**
 * Writes the figures of a soak run into the docs: `npx tsx test/soak/docs.ts DIR`, where DIR is what `npm run soak` wrote to.
 * Replaces what stands between the marks in docs/soak.md, and docs/plots/soak.svg.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { factsList, failuresOf, plotOf, type RunFacts, reportOf, slopeTable } from './report.ts'
import type { SoakRun } from './run.ts'

const MARKS = ['<!-- figures -->', '<!-- end of figures -->'] as const

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  console.error('npx tsx test/soak/docs.ts DIR')
  process.exit(2)
}
const { facts, run } = JSON.parse(await readFile(join(folder, 'soak.json'), 'utf8')) as {
  readonly facts: RunFacts
  readonly run: SoakRun
}
const report = reportOf(facts, run)
const failures = failuresOf(report, { slopes: true })
const outcome =
  failures.length === 0 ? 'It passed.' : ['It did not pass:', '', ...failures.map((text) => `- ${text}`)].join('\n')
const figures = [outcome, slopeTable(report), factsList(report)].join('\n\n')

const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const page = join(docs, 'soak.md')
const text = await readFile(page, 'utf8')
const [begin, end] = MARKS.map((mark) => text.indexOf(mark)) as [number, number]
if (begin < 0 || end < begin) throw new Error(`${page} has no marks for the figures`)
await writeFile(page, `${text.slice(0, begin)}${MARKS[0]}\n\n${figures}\n\n${text.slice(end)}`)
await writeFile(join(docs, 'plots', 'soak.svg'), plotOf(report))

/**
 * docs/comparison.md: every row is there once, and says yes with something that shows it, or what is missing. The figures of
 * README.md are those of docs/performance.md.
 */
import * as assert from 'uvu/assert'
import { linksOf, readPage } from './support/links.ts'
import { suite } from './support/suite.ts'

const test = suite('comparison')

/** Capabilities that were found elsewhere. */
const ROWS = 71

test('every capability has its row, shown by a test or an example', () => {
  const rows = readPage('docs/comparison.md')
    .split('\n')
    .filter((line) => /^\| \d+ \|/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    )
  assert.equal(
    rows.map(([number]) => Number(number)),
    Array.from({ length: ROWS }, (_, index) => index + 1),
  )
  for (const [number, capability = '', others = '', state = '', docs = '', shown = ''] of rows) {
    assert.ok(capability.length > 10 && others !== '', number)
    // Yes, and how; or what part of it, and what is missing.
    assert.match(state, /^(yes\b|by mDNS$|(partly|no): .{20,})/, number)
    assert.ok(linksOf(docs).length > 0, number)
    const proofs = linksOf(shown)
    assert.ok(
      proofs.some((target) => /^\.\.\/(test|examples)\//.test(target)),
      `${number} is shown by nothing`,
    )
  }
})

test('the figures of README.md are those of docs/performance.md', () => {
  const measured = readPage('docs/performance.md').split('\n')
  const rows = Array.from(readPage('README.md').matchAll(/^\| (`[\w-]+`)(.*) \|$/gm), ([, name = '', cells = '']) => ({
    name,
    figures: cells
      .split('|')
      .slice(1)
      .map((cell) => cell.trim()),
  }))
  assert.ok(rows.length >= 5)
  for (const { name, figures } of rows) {
    const source = measured.find((line) => line.startsWith(`| ${name}`)) ?? ''
    for (const figure of figures) assert.ok(source.includes(figure), `${name}: ${figure} is not in "${source}"`)
  }
})

test.run()

/**
 * docs/comparison.md: every row is there once, each says yes with something that shows it or says what is missing, and what
 * it links to exists. README.md and docs/production.md link to what exists, too.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite } from './support/suite.ts'

const test = suite('comparison')

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ROWS = 71

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

/** Targets of links, without those to elsewhere. */
const linksOf = (text: string): string[] =>
  Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target).filter(
    (target) => !/^[a-z]+:/.test(target),
  )

/** As GitHub makes them of headings. */
const anchorsOf = (text: string): string[] =>
  Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

/** What a link of a page does not lead to; undefined where all is well. */
const brokenLink = (page: string, target: string): string | undefined => {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? page : join(dirname(page), file)
  if (!existsSync(join(ROOT, path))) return `${page}: ${target} is not there`
  if (anchor === undefined || !path.endsWith('.md') || anchorsOf(read(path)).includes(anchor)) return undefined
  return `${page}: ${path} has no heading #${anchor}`
}

const brokenLinks = (page: string): string[] => linksOf(read(page)).flatMap((target) => brokenLink(page, target) ?? [])

test('every capability has its row, shown by a test or an example', () => {
  const rows = read('docs/comparison.md')
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

for (const page of [
  'docs/comparison.md',
  'docs/production.md',
  'docs/metrics.md',
  'docs/configuration.md',
  'README.md',
]) {
  test(`links of ${page}`, () => {
    assert.ok(linksOf(read(page)).length > 5)
    assert.equal(brokenLinks(page), [])
  })
}

test('the figures of README.md are those of docs/performance.md', () => {
  const measured = read('docs/performance.md').split('\n')
  const rows = Array.from(read('README.md').matchAll(/^\| (`[\w-]+`)(.*) \|$/gm), ([, name = '', cells = '']) => ({
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

test('a link to nowhere is found', () => {
  assert.is(brokenLink('README.md', 'docs/guarantees.md#links'), undefined)
  assert.match(brokenLink('README.md', 'docs/nowhere.md') ?? '', 'is not there')
  assert.match(brokenLink('README.md', 'docs/guarantees.md#nowhere') ?? '', 'no heading')
})

test.run()

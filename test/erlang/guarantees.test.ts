/** docs/guarantees.md: every number stands once, and what it cites as proof exists. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'

const test = suite('guarantees')
const root = fileURLToPath(new URL('../../', import.meta.url))
const page = readFileSync(`${root}docs/guarantees.md`, 'utf8')
const NUMBERS = Array.from({ length: 31 }, (_, i) => `G${i + 1}`)

const sorted = (names: readonly (string | undefined)[]): string[] =>
  names.flatMap((name) => name ?? []).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))

test('every guarantee is stated once', () => {
  assert.equal(sorted([...page.matchAll(/^\| \*\*(G\d+)\*\* \|/gm)].map(([, number]) => number)), NUMBERS)
})

test('every guarantee has a row of proof that names a test', () => {
  const rows = [...page.matchAll(/^\| (G\d+) \|(.*)$/gm)]
  assert.equal(sorted(rows.map(([, number]) => number)), NUMBERS)
  for (const [, number, cited = ''] of rows) assert.match(cited, /`test\/.+`/, number)
})

test('every scenario file that is cited for a guarantee has a scenario of it', () => {
  for (const [, number, file = ''] of page.matchAll(/^\| (G\d+) \| `(test\/erlang\/[^`]+)`/gm)) {
    const cited = [...readFileSync(root + file, 'utf8').matchAll(/\[([\d, ]+)\], '/g)]
    const numbers = new Set(cited.flatMap(([, list = '']) => list.split(', ').map((one) => `G${one}`)))
    assert.ok(numbers.has(number ?? ''), `${file} has no scenario of ${number}`)
  }
})

test('every file that is cited exists', () => {
  const files = new Set([...page.matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file))
  assert.ok(files.size > 10)
  for (const file of files) assert.ok(existsSync(root + file), file)
})

test.run()

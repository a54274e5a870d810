/** The links of all pages in Markdown lead to files and headings that are there. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { brokenLink, brokenLinks, linksOf, readPage } from './support/links.ts'
import { suite } from './support/suite.ts'

const test = suite('links')

const FOLDERS = ['', 'docs/', 'docs/api/', 'examples/']

const pagesIn = (folder: string): string[] =>
  readdirSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)))
    .filter((file) => file.endsWith('.md'))
    .map((file) => folder + file)

const pages = FOLDERS.flatMap(pagesIn)

test('no link of any page leads nowhere', () => {
  assert.ok(pages.length > 50, `${pages.length} pages`)
  assert.ok(pages.flatMap((page) => linksOf(readPage(page))).length > 500)
  assert.equal(
    pages.flatMap((page) => brokenLinks(page)),
    [],
  )
})

test('a link to nowhere is found', () => {
  assert.is(brokenLink('README.md', 'docs/guarantees.md#links'), undefined)
  assert.match(brokenLink('README.md', 'docs/nowhere.md') ?? '', 'is not there')
  assert.match(brokenLink('README.md', 'docs/guarantees.md#nowhere') ?? '', 'no heading')
})

test.run()

/** The threat model in docs/security.md names bounds, errors, tests and pages: each of them has to be there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite } from './support/suite.ts'

const test = suite('threat model')

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGE = 'docs/security.md'
const SOURCES = ['certs', 'transport', 'discovery', 'src']
/** The stages of an attack that the page must speak of. */
const STAGES = [
  'Before the gate',
  'On the way',
  'Past the gate',
  'Past TLS',
  'A member',
  'A relay',
  'A stranger in the DHT',
  'On the LAN',
  'Another user of the machine',
  'The TCP carrier',
  'Who makes what Skein is made of',
]

const page = readFileSync(join(ROOT, PAGE), 'utf8')
const model = page.slice(page.indexOf('## Threat model\n'), page.indexOf('\n## Identity\n'))
const rows = model.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| Attack'))

const code = SOURCES.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, folder, file), 'utf8')),
).join('\n')

const cellsOf = (row: string): string[] =>
  row
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim())
const quoted = (text: string, pattern: RegExp): string[] => Array.from(text.matchAll(pattern), ([, name = '']) => name)

test('every stage has rows, and every row an attack, a defence and a test', () => {
  for (const stage of STAGES) {
    const start = model.indexOf(`### ${stage}`)
    assert.ok(start >= 0, stage)
    const section = model.slice(start + 4).split('\n### ')[0]!
    assert.ok(rows.filter((row) => section.includes(row)).length >= 3, `${stage} has rows`)
  }
  for (const row of rows) {
    const [attack = '', defence = '', , tests = '', ...more] = cellsOf(row)
    assert.equal(more, [], row)
    assert.ok(attack !== '' && defence !== '', row)
    assert.ok(quoted(tests, /`(test\/[\w./-]+\.test\.ts)`/g).length > 0, `no test: ${row}`)
  }
})

test('the tests that it names exist', () => {
  const files = quoted(model, /`(test\/[\w./-]+)`/g)
  assert.ok(files.length > 50)
  assert.equal(
    files.filter((file) => !existsSync(join(ROOT, file))),
    [],
  )
})

test('the bounds that it names are constants in the code, and the errors are known', () => {
  const names = quoted(model, /`([A-Z][A-Z0-9]*_[A-Z0-9_]+|QUORUM|NEWCOMERS|STATEMENTS|ANNOUNCEMENTS)`/g)
  const errors = names.filter((name) => name.startsWith('ERR_SKEIN_'))
  const bounds = names.filter((name) => !errors.includes(name))
  assert.ok(bounds.length > 30 && errors.length > 0)
  assert.equal(
    bounds.filter((name) => !new RegExp(`const ${name}\\b`).test(code)),
    [],
  )
  assert.equal(
    errors.filter((name) => !code.includes(`${name}:`)),
    [],
  )
})

/** As a heading is named in a link. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')

test('its links lead somewhere', () => {
  const links = quoted(model, /\]\(([^)]+)\)/g)
  assert.ok(links.length > 5)
  for (const link of links) {
    const [file = '', anchor] = link.split('#')
    const path = file === '' ? join(ROOT, PAGE) : join(ROOT, dirname(PAGE), file)
    assert.ok(existsSync(path), link)
    if (anchor === undefined) continue
    const headings = Array.from(readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm), ([, text = '']) => anchorOf(text))
    assert.ok(headings.includes(anchor), link)
  }
})

test.run()

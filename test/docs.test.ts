/**
 * The code in the documentation: every block of TypeScript compiles, and where a line says in a comment what it gives, it
 * gives that. Links lead somewhere.
 *
 * A block with imports stands for itself; one without has the names of the package at hand, as readers of the page do.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../src/node.ts'
import { settled, startCluster } from './src/node-support.ts'
import { suite, type TestContext } from './support/suite.ts'

const test = suite('documentation')

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Entry points of the package, as blocks import them. */
const ENTRIES: Readonly<Record<string, string>> = {
  skein: 'src/index.ts',
  'skein/certs': 'certs/index.ts',
  'skein/discovery': 'discovery/index.ts',
  'skein/testing': 'src/testing/index.ts',
  'skein/transport': 'transport/index.ts',
}

/** What blocks speak of that other places of their page, or the reader, have made. */
const SURROUNDINGS = `
import { z } from 'zod'
import type { NodeRecord } from 'skein/discovery'
import type { Clock, Random } from 'skein/testing'
declare const node: import('skein').SkeinNode
declare const self: import('skein').Self
declare const counter: import('skein').Behaviour<unknown, unknown[]>
declare const gauge: import('skein').Behaviour<unknown>
declare const clock: Clock
declare const random: Random
declare const logger: import('skein').Logger
declare const record: NodeRecord
export const used = [z, node, self, counter, gauge, clock, random, logger, record]
`

interface Block {
  /** Page and number. */
  readonly name: string
  readonly imports: readonly string[]
  readonly lines: readonly string[]
}

const blocksOf = (page: string): Block[] => {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return Array.from(text.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = ''], index) => {
    const lines = code.split('\n')
    const isImport = (line: string): boolean => line.startsWith('import ')
    return {
      name: `${page.replaceAll(/\W/g, '-')}-${index + 1}.ts`,
      imports: lines.filter(isImport),
      lines: lines.filter((line) => !isImport(line)),
    }
  })
}

const pages = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
]
const blocks = pages.flatMap((page) => blocksOf(page))

/** Everything that `skein` exports. */
const allNames = (): string => {
  const lists = readFileSync(join(ROOT, 'src/index.ts'), 'utf8').matchAll(/^export (type )?\{(.*?)\}/gms)
  const names = Array.from(lists, ([, type = '', list = '']) =>
    list.split(',').flatMap((name) => (name.trim() === '' ? [] : [type + name.trim()])),
  )
  return `import { ${names.flat().join(', ')} } from 'skein'`
}

const folder = (t: TestContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'skein-docs-'))
  t.defer(() => rmSync(path, { recursive: true, force: true }))
  symlinkSync(join(ROOT, 'node_modules'), join(path, 'node_modules'))
  writeFileSync(join(path, 'package.json'), '{ "type": "module" }')
  return path
}

const entryPaths = (): [string, string][] => Object.entries(ENTRIES).map(([name, path]) => [name, join(ROOT, path)])

test(
  'every block compiles',
  async (t) => {
    assert.ok(blocks.length > 10, `${blocks.length} blocks`)
    const path = folder(t)
    for (const { name, imports, lines } of blocks) {
      const head = imports.length > 0 ? imports.join('\n') : allNames()
      // Within a function, a block may give its own meaning to what surrounds it.
      const body = `${head}\n${SURROUNDINGS}\nexport const block = async () => {\n${lines.join('\n')}\n}\n`
      writeFileSync(join(path, name), body)
    }
    const options = {
      noEmit: true,
      rootDir: '/',
      noUnusedLocals: false,
      noUnusedParameters: false,
      paths: Object.fromEntries(entryPaths().map(([name, entry]) => [name, [entry]])),
      typeRoots: [join(ROOT, 'node_modules/@types')],
    }
    const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: options, include: ['*.ts'] }
    writeFileSync(join(path, 'tsconfig.json'), JSON.stringify(config))
    const problems = await new Promise<string>((resolve) => {
      const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
      execFile(process.execPath, [compiler, '-p', path], { cwd: path }, (_error, stdout) => resolve(stdout))
    })
    // The sources have a check of their own.
    const ours = problems.split('\n').filter((line) => blocks.some(({ name }) => line.startsWith(name)))
    assert.equal(ours, [])
  },
  { deadlineMs: 120_000 },
)

/** `await something // 7` or `// { a: 1 }`. */
const TOLD = /^(await .*) \/\/ (\d+|\{.*\})$/

type RunBlock = (node: SkeinNode, equal: typeof assert.equal) => Promise<void>

for (const { name, imports, lines } of blocks.filter((block) => block.lines.some((line) => TOLD.test(line)))) {
  test(`${name} gives what it says`, async (t) => {
    const cluster = await startCluster(t, 1)
    const node = cluster.nodes[0] as SkeinNode
    const path = folder(t)
    const entries = new Map(entryPaths().map(([entry, file]) => [entry, pathToFileURL(file).href]))
    const head = (imports.length > 0 ? imports : [allNames()])
      .join('\n')
      .replaceAll(/from '(.*)'/g, (whole, entry: string) => `from '${entries.get(entry) ?? whole}'`)
    const body = lines
      .map((line) => line.replace(TOLD, 'equal($1, $2)').replace(/^const node = await startNode\(.*\)$/, ''))
      .join('\n')
    writeFileSync(join(path, name), `${head}\nexport const block = async (node, equal) => {\n${body}\n}\n`)
    const { block } = (await import(pathToFileURL(join(path, name)).href)) as { block: RunBlock }
    await settled(cluster, block(node, assert.equal))
  })
}

test.run()

/**
 * Writes docs/api, the reference of everything that the package exports, from the declarations that the compiler makes:
 * `npx tsx scripts/api-doc.ts`. With `--check` it only compares, and ends with exit code 1 if a page is out of date.
 *
 * What is marked @internal is left out. Types that a declaration needs and nobody can import stand below it.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'docs/api')
/** Longer tables of values are cut: another page has them. */
const MAX_CONST_LINES = 40

interface Entry {
  /** As it is imported. */
  readonly module: string
  readonly index: string
}

const ENTRIES: readonly Entry[] = [
  { module: 'skein', index: 'src/index.ts' },
  { module: 'skein/certs', index: 'certs/index.ts' },
  { module: 'skein/transport', index: 'transport/index.ts' },
  { module: 'skein/discovery', index: 'discovery/index.ts' },
  { module: 'skein/testing', index: 'src/testing/index.ts' },
]

interface Page {
  readonly file: string
  readonly title: string
  readonly about: string
  readonly module: string
  /** Beginnings of the paths of sources whose exports it shows; the first page that fits has them. */
  readonly sources: readonly string[]
}

const PAGES: readonly Page[] = [
  {
    file: 'behaviours.md',
    title: 'Servers, state machines, supervisors, tasks',
    about: 'See [gen-server](../gen-server.md), [state-machine](../state-machine.md), [supervisor](../supervisor.md).',
    module: 'skein',
    sources: ['src/behaviours/'],
  },
  {
    file: 'processes.md',
    title: 'Processes',
    about: 'See [processes](../processes.md) and [guarantees](../guarantees.md).',
    module: 'skein',
    sources: ['src/process/', 'src/pid.ts', 'src/signals.ts', 'src/wire/'],
  },
  {
    file: 'services.md',
    title: 'Names, groups, rooms, supervision over nodes, drain, registries',
    about:
      'See [global](../global.md), [groups](../groups.md), [rooms](../rooms.md), [distributed-supervisor](../distributed-supervisor.md), [registry](../registry.md).',
    module: 'skein',
    sources: ['src/services/'],
  },
  {
    file: 'streams-and-workers.md',
    title: 'Streams and workers',
    about: 'See [streams](../streams.md) and [workers](../workers.md).',
    module: 'skein',
    sources: ['src/streams/', 'src/workers/'],
  },
  {
    file: 'observing.md',
    title: 'Observing',
    about: 'See [observability](../observability.md) and [metrics](../metrics.md).',
    module: 'skein',
    sources: ['src/observe/', 'src/diagnostics.ts'],
  },
  {
    file: 'nodes.md',
    title: 'Nodes',
    about: 'See [configuration](../configuration.md), [discovery](../discovery.md), [membership](../membership.md).',
    module: 'skein',
    sources: [''],
  },
  ...['certs', 'transport', 'discovery', 'testing'].map((room) => ({
    file: `${room}.md`,
    title: `skein/${room}`,
    about:
      room === 'testing'
        ? 'See [testing](../testing.md).'
        : 'One room of the house by itself; see [ARCHITECTURE](../../ARCHITECTURE.md).',
    module: `skein/${room}`,
    sources: [''],
  })),
]

const KINDS = ['function', 'class', 'const', 'interface', 'type'] as const
type Kind = (typeof KINDS)[number]

interface Exported {
  readonly name: string
  readonly kind: Kind
  /** The comment above it, as text. */
  readonly about: string
  readonly declaration: string
  readonly page: Page
}

interface Statement {
  readonly name: string
  readonly kind: Kind
  readonly isExported: boolean
  readonly comment: string
  readonly text: string
}

const STATEMENT = /^(export )?(?:declare )?(?:abstract )?(function|class|const|interface|type) (\w+)/

/** The statements of a declaration file as the compiler writes them: each begins in the first column. */
const statementsOf = (text: string): Statement[] => {
  const found: Statement[] = []
  let comment: string[] = []
  let lines: string[] = []
  const finish = (): void => {
    const [head = ''] = lines
    const [, exported, kind, name] = STATEMENT.exec(head) ?? []
    if (name !== undefined) {
      const isExported = exported !== undefined
      found.push({ name, kind: kind as Kind, isExported, comment: comment.join('\n'), text: lines.join('\n') })
      comment = []
    }
    lines = []
  }
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('/**')) {
      finish()
      comment = [line]
    } else if (line.startsWith(' *') && lines.length === 0) comment.push(line)
    else if (STATEMENT.test(line)) {
      finish()
      lines = [line]
    } else if (/^(import|export) /.test(line)) finish()
    else lines.push(line)
  }
  finish()
  return found
}

const textOf = (comment: string): string =>
  comment
    .replace(/^\/\*\*\s?/, '')
    .replace(/\s*\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^ \* ?/, '').trim())
    .join('\n')
    .trim()

/** The body of a declaration, for readers: no `export declare`, no private members, two spaces. */
const shown = ({ text, kind }: Statement): string => {
  const lines = text
    .replace(/^export (declare )?/, '')
    .replace(/^declare /, '')
    .split('\n')
    .filter((line) => !/^ +(#private;|private )/.test(line))
    .map((line) => line.replace(/^( {4})+/, (indent) => ' '.repeat(indent.length / 2)))
  const isCut = kind === 'const' && lines.length > MAX_CONST_LINES
  return isCut ? [...lines.slice(0, 5), `  // and ${lines.length - 6} lines more`, '};'].join('\n') : lines.join('\n')
}

/** Names of an index, with the file that each comes from. */
const exportsOf = (index: string): [name: string, source: string][] =>
  Array.from(
    readFileSync(join(ROOT, index), 'utf8').matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm),
    ([, list = '', from = '']) =>
      list
        .split(',')
        .map((one) => one.trim().replace(/^type /, ''))
        .filter((one) => one !== '')
        .map((one): [string, string] => [one, posix.join(posix.dirname(index), from)]),
  ).flat()

/** What a declaration needs and nobody can import: statements of the same file, and what those need. */
const neededBy = (statement: Statement, all: readonly Statement[]): Statement[] => {
  const needed = new Set([statement])
  for (const one of needed) {
    for (const other of all) {
      const isHidden = !other.isExported && (other.kind === 'interface' || other.kind === 'type')
      if (isHidden && new RegExp(`\\b${other.name}\\b`).test(one.text)) needed.add(other)
    }
  }
  return [...needed].slice(1)
}

const withComment = (statement: Statement): string =>
  statement.comment === '' ? shown(statement) : `${statement.comment}\n${shown(statement)}`

/** A file is about one noun: what its header says first is about that. */
const isNoun = ({ kind }: Statement): boolean => kind === 'class' || kind === 'const' || kind === 'function'

/** The first paragraph above a source. */
const headerOf = (source: string): string => {
  const [comment = ''] = /^\/\*\*.*?\*\//s.exec(readFileSync(join(ROOT, source), 'utf8')) ?? []
  return textOf(comment).split('\n\n', 1)[0] ?? ''
}

const readExports = (declarations: string): Exported[] => {
  const files = new Map<string, Statement[]>()
  const statements = (source: string): Statement[] => {
    const known =
      files.get(source) ?? statementsOf(readFileSync(join(declarations, source.replace(/ts$/, 'd.ts')), 'utf8'))
    files.set(source, known)
    return known
  }
  return ENTRIES.flatMap(({ module, index }) =>
    exportsOf(index).map(([name, source]) => {
      const all = statements(source)
      const statement = all.find((one) => one.isExported && one.name === name)
      if (statement === undefined) throw new Error(`${source} declares no ${name}`)
      const page = PAGES.find((one) => one.module === module && one.sources.some((start) => source.startsWith(start)))
      if (page === undefined) throw new Error(`${name} of ${module} has no page`)
      const declaration = [shown(statement), ...neededBy(statement, all).map(withComment)].join('\n\n')
      const about = textOf(statement.comment) || (isNoun(statement) ? headerOf(source) : '')
      return { name, kind: statement.kind, about, declaration, page }
    }),
  )
}

const order = (one: Exported, other: Exported): number =>
  KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind) || (one.name < other.name ? -1 : 1)

const anchor = (name: string): string => name.toLowerCase()

/** Where a page links to a name: itself, or another page; `skein` has most of what other modules share. */
const linkTo = (name: string, page: Page, all: readonly Exported[]): string | undefined => {
  const places = all.filter((one) => one.name === name)
  const target = places.find((one) => one.page === page) ?? places[0]
  if (target === undefined) return undefined
  return `[${name}](${target.page === page ? '' : target.page.file}#${anchor(name)})`
}

const section = (one: Exported, all: readonly Exported[]): string => {
  const words = new Set(one.declaration.replaceAll(/\/\*\*.*?\*\//gs, '').match(/\b[A-Z]\w+\b/g) ?? [])
  words.delete(one.name)
  const links = [...words].sort().flatMap((word) => linkTo(word, one.page, all) ?? [])
  return [
    `## ${one.name}\n`,
    ...(one.about === '' ? [] : [`${one.about}\n`]),
    `\`\`\`ts\n${one.declaration}\n\`\`\`\n`,
    ...(links.length === 0 ? [] : [`Uses ${links.join(', ')}.\n`]),
  ].join('\n')
}

const pageText = (page: Page, all: readonly Exported[]): string => {
  const own = all.filter((one) => one.page === page).sort(order)
  return [`# ${page.title}\n`, `From \`${page.module}\`. ${page.about}\n`, ...own.map((one) => section(one, all))].join(
    '\n',
  )
}

/** Up to the end of the first sentence. */
const firstSentence = (text: string): string =>
  /^.*?[.:](?=\s|$)/s.exec(text)?.[0].replaceAll(/\s+/g, ' ').replace(/:$/, '.') ?? ''

const indexText = (all: readonly Exported[]): string => {
  const parts = PAGES.map((page) => {
    const rows = all
      .filter((one) => one.page === page)
      .sort(order)
      .map(
        ({ name, kind, about }) =>
          `| [${name}](${page.file}#${anchor(name)}) | ${kind} | ${firstSentence(about).replaceAll('|', '\\|')} |\n`,
      )
    return `\n## [${page.title}](${page.file})\n\nFrom \`${page.module}\`.\n\n| Name | Kind | |\n|---|---|---|\n${rows.join('')}`
  })
  return `# API\n\nEverything that the package exports. Made from the declarations by \`npm run docs:api\`. To learn it, begin
with [start](../start.md) and [concepts](../concepts.md); this is for looking things up.\n${parts.join('')}`
}

/** All pages by their file names. Takes some seconds: it runs the compiler. */
export const apiPages = (): Map<string, string> => {
  const declarations = mkdtempSync(join(tmpdir(), 'skein-api-'))
  try {
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const options = ['--emitDeclarationOnly', '--stripInternal', '--sourceMap', 'false', '--outDir', declarations]
    const { stdout, error } = spawnSync(
      process.execPath,
      [compiler, '-p', join(ROOT, 'tsconfig.build.json'), ...options],
      {
        encoding: 'utf8',
      },
    )
    if (error !== undefined || readdirSync(declarations).length === 0) throw error ?? new Error(stdout)
    const all = readExports(declarations)
    return new Map([
      ['README.md', indexText(all)],
      ...PAGES.map((page): [string, string] => [page.file, pageText(page, all)]),
    ])
  } finally {
    rmSync(declarations, { recursive: true, force: true })
  }
}

/** Files that are not what they should be, by name; also those that should not be there. */
export const outdatedPages = (pages: ReadonlyMap<string, string>): string[] => {
  const there = readdirSync(FOLDER)
  const changed = [...pages].filter(
    ([file, text]) => !there.includes(file) || readFileSync(join(FOLDER, file), 'utf8') !== text,
  )
  return [...changed.map(([file]) => file), ...there.filter((file) => !pages.has(file))]
}

const main = (): void => {
  const pages = apiPages()
  if (process.argv.includes('--check')) {
    const outdated = outdatedPages(pages)
    if (outdated.length === 0) return
    console.error(`docs/api is out of date (${outdated.join(', ')}): run "npm run docs:api"`)
    process.exitCode = 1
    return
  }
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  for (const [file, text] of pages) {
    mkdirSync(dirname(join(FOLDER, file)), { recursive: true })
    writeFileSync(join(FOLDER, file), text)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()

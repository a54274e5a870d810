/**
 * Writes docs/api, the reference of everything that the package exports, from the declarations that the compiler makes:
 * `npm run docs:api`. With `-- --check` it only compares, and ends with exit code 1 if a page is out of date.
 *
 * What is marked @internal is left out. Types that declarations need and nobody can import stand at the end of a page.
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

interface Entered {
  readonly statement: Statement
  readonly page: Page
  /** False for a type that a declaration needs and nobody can import. */
  readonly isExported: boolean
}

interface Statement {
  readonly name: string
  readonly kind: Kind
  readonly isExported: boolean
  /** The comment above it, as text. */
  readonly about: string
  readonly text: string
  /** The file that declares it. */
  readonly source: string
}

/** A file of declarations. */
interface Declarations {
  readonly statements: readonly Statement[]
  /** Names that it imports, with the name there and the file. */
  readonly imports: ReadonlyMap<string, readonly [name: string, source: string]>
}

const STATEMENT = /^(export )?(?:declare )?(?:abstract )?(function|class|const|interface|type) (\w+)/

/** The statements of a declaration file as the compiler writes them: each begins in the first column. */
const statementsOf = (text: string, source: string): Statement[] => {
  const header = headerOf(source)
  const found: Statement[] = []
  let comment: string[] = []
  let lines: string[] = []
  const finish = (): void => {
    const [, exported, word, name] = STATEMENT.exec(lines[0] ?? '') ?? []
    if (name !== undefined) {
      const declaration = lines.join('\n')
      // A function by an arrow is one all the same.
      const kind = /^export declare const \w+: (<.*>)?\(/.test(declaration) ? 'function' : (word as Kind)
      const told = textOf(comment.join('\n'))
      // Without a comment of its own the first statement gets that of the file, which fits where the file is about it.
      const isNoun = kind === 'class' || kind === 'const' || kind === 'function'
      const about = told !== '' && told !== header ? told : isNoun ? (header.split('\n\n', 1)[0] ?? '') : ''
      found.push({ name, kind, isExported: exported !== undefined, about, text: declaration, source })
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

/** Names of `import` or `export` lists from files of the project, with the name there and the file. */
const listed = (word: 'import' | 'export', text: string, source: string): [string, readonly [string, string]][] =>
  Array.from(
    text.matchAll(new RegExp(`^${word} (?:type )?\\{([^}]*)\\} from '(\\.[^']+)'`, 'gm')),
    ([, list = '', from = '']) =>
      list
        .split(',')
        .map((one) => one.trim().replace(/^type /, ''))
        .filter((one) => one !== '')
        .map((one): [string, readonly [string, string]] => {
          const [there = '', here = there] = one.split(' as ')
          return [here, [there, posix.join(posix.dirname(source), from)]]
        }),
  ).flat()

/** The comment above a source. */
const headerOf = (source: string): string =>
  textOf(/^\/\*\*.*?\*\//s.exec(readFileSync(join(ROOT, source), 'utf8'))?.[0] ?? '')

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

/** The declarations of the project as the compiler has written them into a folder, each file read once. */
class Sources {
  readonly #folder: string
  readonly #files = new Map<string, Declarations>()

  constructor(folder: string) {
    this.#folder = folder
  }

  of(source: string): Declarations {
    const known = this.#files.get(source)
    if (known !== undefined) return known
    const text = readFileSync(join(this.#folder, source.replace(/ts$/, 'd.ts')), 'utf8')
    const made = { statements: statementsOf(text, source), imports: new Map(listed('import', text, source)) }
    this.#files.set(source, made)
    return made
  }

  /** What a name means in a file. */
  find(name: string, source: string): Statement | undefined {
    const { statements, imports } = this.of(source)
    const [there, from] = imports.get(name) ?? []
    if (there !== undefined && from !== undefined) return this.find(there, from)
    return statements.find((one) => one.name === name)
  }
}

const readEntries = (sources: Sources): Entered[] =>
  ENTRIES.flatMap(({ module, index }) => {
    const names = listed('export', readFileSync(join(ROOT, index), 'utf8'), index)
    return names.map(([name, [there, source]]) => {
      const statement = sources.find(there, source)
      if (statement === undefined) throw new Error(`${source} declares no ${name}`)
      const page = PAGES.find((one) => one.module === module && one.sources.some((start) => source.startsWith(start)))
      if (page === undefined) throw new Error(`${name} of ${module} has no page`)
      return { statement, page, isExported: true }
    })
  })

const wordsOf = ({ name, text }: Statement): string[] => {
  const words = new Set(text.replaceAll(/\/\*\*.*?\*\//gs, '').match(/\b[A-Z]\w+\b/g) ?? [])
  words.delete(name)
  return [...words].sort()
}

/** With the types that these declarations need and nobody can import, on the first page that needs them. */
const withHidden = (entries: readonly Entered[], sources: Sources): Entered[] => {
  const all = [...entries]
  const known = new Set(all.map(({ statement }) => statement))
  for (const { statement, page } of all) {
    for (const word of wordsOf(statement)) {
      const found = sources.find(word, statement.source)
      if (found === undefined || known.has(found) || (found.kind !== 'interface' && found.kind !== 'type')) continue
      known.add(found)
      all.push({ statement: found, page, isExported: false })
    }
  }
  return all
}

const order = ({ statement: one }: Entered, { statement: other }: Entered): number =>
  KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind) || (one.name < other.name ? -1 : 1)

interface Placed extends Entered {
  /** Of its heading. */
  readonly anchor: string
}

/** All in the order in which the pages have them: what can be imported comes first. */
const placed = (all: readonly Entered[]): Placed[] =>
  PAGES.flatMap((page) => {
    const own = all.filter((one) => one.page === page).sort(order)
    const seen = new Map<string, number>()
    return [...own.filter((one) => one.isExported), ...own.filter((one) => !one.isExported)].map((one) => {
      // Headings that differ in capitals alone are told apart by a number, as GitHub does it.
      const name = one.statement.name.toLowerCase()
      const times = seen.get(name) ?? 0
      seen.set(name, times + 1)
      return { ...one, anchor: times === 0 ? name : `${name}-${times}` }
    })
  })

/** Where a page links to what a word means in a file: to itself, or to another page. */
const linkTo = (word: string, { statement, page }: Placed, all: readonly Placed[], sources: Sources): string[] => {
  const meant = sources.find(word, statement.source)
  const places = all.filter((one) => one.statement === meant)
  const target = places.find((one) => one.page === page) ?? places[0]
  if (target === undefined) return []
  return [`[${word}](${target.page === page ? '' : target.page.file}#${target.anchor})`]
}

const section = (one: Placed, all: readonly Placed[], sources: Sources): string => {
  const { statement, isExported } = one
  const links = wordsOf(statement).flatMap((word) => linkTo(word, one, all, sources))
  return [
    `${isExported ? '##' : '###'} ${statement.name}\n`,
    ...(statement.about === '' ? [] : [`${statement.about}\n`]),
    `\`\`\`ts\n${shown(statement)}\n\`\`\`\n`,
    ...(links.length === 0 ? [] : [`Uses ${links.join(', ')}.\n`]),
  ].join('\n')
}

const pageText = (page: Page, all: readonly Placed[], sources: Sources): string => {
  const own = all.filter((one) => one.page === page)
  const hidden = own.filter(({ isExported }) => !isExported)
  return [
    `# ${page.title}\n`,
    `From \`${page.module}\`. ${page.about}\n`,
    ...own.filter(({ isExported }) => isExported).map((one) => section(one, all, sources)),
    ...(hidden.length === 0 ? [] : ['## Types that go with them\n', 'They have no name to import.\n']),
    ...hidden.map((one) => section(one, all, sources)),
  ].join('\n')
}

const firstSentence = (text: string): string => (/^.*?[.](?=\s|$)/s.exec(text)?.[0] ?? '').replaceAll(/\s+/g, ' ')

const indexText = (all: readonly Placed[]): string => {
  const parts = PAGES.map((page) => {
    const rows = all
      .filter((one) => one.page === page && one.isExported)
      .map(({ statement: { name, kind, about }, anchor }) => {
        const text = firstSentence(about).replaceAll('|', '\\|')
        return `| [${name}](${page.file}#${anchor}) | ${kind} | ${text} |\n`
      })
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
    const sources = new Sources(declarations)
    const all = placed(withHidden(readEntries(sources), sources))
    const pages = PAGES.map((page): [string, string] => [page.file, pageText(page, all, sources)])
    return new Map([['README.md', indexText(all)], ...pages])
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

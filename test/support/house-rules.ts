/**
 * The rules of the house that neither compiler nor linter knows, as checks on source text.
 *
 * Text patterns, not a parser: a pattern can be outwitted, but by accident it hardly ever is. Comments and the contents
 * of quoted strings are blanked first (template literals count as code), with every line kept in its place.
 */
import { posix } from 'node:path'

export interface SourceFile {
  /** From the root of the project, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface Rule {
  readonly title: string
  /** Gives one `file:line: message` for each place that breaks the rule. */
  check(files: readonly SourceFile[]): string[]
}

/** Each room may import itself and the rooms before it. */
export const ROOMS: readonly string[] = ['certs', 'transport', 'discovery', 'src']

const MAX_LINES = 500

/** Packages wrapped in a single file, so that each can be replaced; a named file is the only one allowed. */
const WRAPPED_PACKAGES: ReadonlyMap<string, string | undefined> = new Map([
  ['@matrixai/quic', 'transport/quiche.ts'],
  ['@opentelemetry/api', 'src/observe/open-telemetry.ts'],
  ['multicast-dns', undefined],
  ['k-bucket', undefined],
  ['bencode', undefined],
])

/** Who may read the environment. */
const ENVIRONMENT_READERS: readonly string[] = ['certs/cookie.ts', 'src/config.ts', 'src/cli/']

/** Who may touch the machine's clock, timers and randomness; everybody else is given a Clock and a Random. */
const CLOCK_OWNERS: readonly string[] = [
  'transport/clock.ts', // the Clock itself
  'transport/virtual-clock.ts', // the simulator's Clock, which may yield to real time between steps
  'transport/random.ts', // the Random itself
  'src/cli/', // a program for people, not a protocol core
]

const isAmong = (path: string, allowed: readonly string[]): boolean =>
  allowed.some((entry) => (entry.endsWith('/') ? path.startsWith(entry) : path === entry))

const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g

const withoutComments = (text: string): string =>
  text.replace(COMMENT_OR_STRING, (found) => (found.startsWith('/') ? blank(found) : found))

const withoutCommentsAndStrings = (text: string): string =>
  text.replace(COMMENT_OR_STRING, (found) =>
    found.startsWith('/') ? blank(found) : `${found[0]}${blank(found.slice(1, -1))}${found[0]}`,
  )

const blank = (text: string): string => text.replace(/[^\n]/g, ' ')

/** `file:line: message` for each match of a global pattern in a version of the file's text. */
const places = (file: SourceFile, text: string, pattern: RegExp, message: (found: string) => string): string[] =>
  Array.from(text.matchAll(pattern), (match) => {
    const start = match.index + (match[0].length - match[0].trimStart().length)
    const line = text.slice(0, start).split('\n').length
    return `${file.path}:${line}: ${message(match[1] ?? match[0].trim())}`
  })

/** A rule that forbids a pattern in code, outside an allow list. */
const forbid = (
  title: string,
  pattern: RegExp,
  allowed: readonly string[],
  message: (found: string) => string,
): Rule => ({
  title,
  check: (files) =>
    files
      .filter((file) => !isAmong(file.path, allowed))
      .flatMap((file) => places(file, withoutCommentsAndStrings(file.text), pattern, message)),
})

/** Static imports, re-exports, import() and require(); the specifier is the first group. */
const IMPORT = /(?:\bfrom|\bimport|\bimport\(|\brequire\(|\brequire\.resolve\()\s*['"]([^'"\n]+)['"]/g

const importPlaces = (file: SourceFile, judge: (specifier: string) => string | undefined): string[] =>
  places(file, withoutComments(file.text), IMPORT, (specifier) => judge(specifier) ?? '').filter(
    (place) => !place.endsWith(': '),
  )

const importDirection: Rule = {
  title: `rooms import one way: ${ROOMS.join(' <- ')}`,
  check: (files) =>
    files.flatMap((file) =>
      importPlaces(file, (specifier) => {
        if (/^skein(\/|$)/.test(specifier)) return `imports its own package as '${specifier}'`
        if (!specifier.startsWith('.')) return undefined
        const room = roomOf(file.path)
        const target = roomOf(posix.normalize(posix.join(posix.dirname(file.path), specifier)))
        if (!ROOMS.includes(target)) return `imports '${specifier}', which lies outside the rooms`
        if (ROOMS.indexOf(target) > ROOMS.indexOf(room))
          return `${room} imports '${specifier}' from the higher room ${target}`
        return undefined
      }),
    ),
}

const roomOf = (path: string): string => path.split('/', 1)[0] ?? ''

const wrappedPackages: Rule = {
  title: 'wrapped packages are imported by one file each',
  check: (files) =>
    [...WRAPPED_PACKAGES].flatMap(([name, owner]) => {
      const byFile = files
        .map((file) => ({
          file,
          found: importPlaces(file, (specifier) =>
            specifier === name || specifier.startsWith(`${name}/`) ? `imports '${name}'` : undefined,
          ),
        }))
        .filter(({ found }) => found.length > 0)
      const allowed = owner ?? byFile[0]?.file.path
      return byFile
        .filter(({ file }) => file.path !== allowed)
        .flatMap(({ found }) => found.map((place) => `${place}, which only ${allowed} may`))
    }),
}

const fileLength: Rule = {
  title: `no file is longer than ${MAX_LINES} lines`,
  check: (files) =>
    files.flatMap(({ path, text }) => {
      const lines = text.trimEnd().split('\n').length
      return lines > MAX_LINES ? [`${path}:${lines}: ${lines} lines, ${MAX_LINES} are allowed`] : []
    }),
}

const moduleComment: Rule = {
  title: 'every file opens with a module comment',
  check: (files) =>
    files
      .filter(({ text }) => !/^(#![^\n]*\n)?\/\*\*/.test(text))
      .map(({ path }) => `${path}:1: does not open with a module comment`),
}

/** What is left undone or silenced, comments included. */
const nothingSilenced: Rule = {
  title: 'nothing is left undone or silenced',
  check: (files) =>
    files.flatMap((file) =>
      places(
        file,
        file.text,
        /\bTODO\b|\bFIXME\b|@ts-(?:ignore|nocheck|expect-error)/g,
        (found) => `${found} is not allowed`,
      ),
    ),
}

const TOP_LEVEL_STATE = new RegExp(
  [
    // Variables of a module that can be set again.
    String.raw`^(?:export )?(?:let|var) \w+`,
    // Collections that can be filled, unless their type forbids it.
    String.raw`^(?:export )?const \w+(?:: (?!Readonly|readonly)[^=\n]+)?\s=\s+(?:new (?:Weak)?(?:Map|Set)\b|\[\]|\{\}$)`,
    // The same as static members.
    String.raw`^ +static (?!readonly\b|async\b)#?\w+(?:: [^=\n]+)? = `,
    String.raw`^ +static readonly #?\w+(?:: (?!Readonly|readonly)[^=\n]+)? = (?:new (?:Weak)?(?:Map|Set)\b|\[\])`,
    String.raw`\bglobalThis[.\w]* = `,
  ].join('|'),
  'gm',
)

export const RULES: readonly Rule[] = [
  importDirection,
  wrappedPackages,
  forbid(
    'only the configuration reads the environment',
    /\bprocess\.env\b/g,
    ENVIRONMENT_READERS,
    (found) => `${found} is read outside the configuration`,
  ),
  forbid(
    'time and randomness are injected',
    /\b(?:Date\.now|performance\.now|Math\.random|process\.hrtime|setTimeout|setInterval|setImmediate)\b|\bnew Date\(\)/g,
    CLOCK_OWNERS,
    (found) => `${found} instead of an injected Clock or Random`,
  ),
  forbid('no module holds state', TOP_LEVEL_STATE, [], (found) => `"${found}" is shared by all nodes of the process`),
  forbid(
    'only the command line takes hold of the process',
    /\bprocess\.(?:on|once|exit|chdir|emitWarning|exitCode)\b/g,
    ['src/cli/', 'transport/at-exit.ts'],
    (found) => `${found} belongs to the program, not to a library`,
  ),
  forbid('only the command line prints', /\bconsole\.\w+/g, ['src/cli/'], (found) => `${found} in library code`),
  fileLength,
  moduleComment,
  nothingSilenced,
]

/**
 * Builds dist/ from the sources: one bundle with shared chunks for all entry points, and the declarations they need.
 *
 * A bundle, because hundreds of small modules take a third of a second to load and twice the room in the package. Names are
 * shortened but kept for `name` and for stack traces; dependencies stay outside, as the user's lock decides about them. What
 * lies in a room and is no TypeScript (pages, styles) is copied to the same place below dist/. Code of the command
 * line finds it there by `import.meta.url` as it does in the sources.
 *
 * dist/ is replaced at once when everything is there, so nobody sees half of it. Types are checked on the way: with an
 * error in them the old dist/ stays.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin, transform } from 'esbuild'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')
/** Beside dist/, so that the two never lie on different file systems, and what the source maps say of places is true after the move. */
const FRESH = join(ROOT, '.dist')
const ROOMS = ['certs', 'transport', 'discovery', 'src']
/** The oldest Node.js of `engines`. */
const TARGET = 'node20.19'

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
  readonly bin: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest

/** `src/index` for what the manifest calls `./dist/src/index.js`. */
const entries = [...Object.values(manifest.exports), ...Object.values(manifest.bin)].flatMap((target) => {
  const file = typeof target === 'string' ? target : target.default
  const [, entry] = /^(?:\.\/)?dist\/(.+)\.js$/.exec(file) ?? []
  return entry === undefined ? [] : [entry]
})

const inDist = (file: string): string => `./dist/${file.split(sep).join('/')}`

/** A chunk does not lie where its source did: files beside a source of the command line are looked for from the package on. */
const filesBesideSources: Plugin = {
  name: 'files beside sources',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]src[\\/]cli[\\/].+\.ts$/ }, ({ path }) => {
      const file = relative(ROOT, path)
      const contents = readFileSync(path, 'utf8')
      if (entries.includes(file.replace(/\.ts$/, '').split(sep).join('/'))) return { contents, loader: 'ts' }
      const url = `new URL('${inDist(file)}', import.meta.resolve('${manifest.name}/package.json')).href`
      return { contents: contents.replaceAll('import.meta.url', url), loader: 'ts' }
    })
  },
}

const bundle = async (): Promise<void> => {
  await build({
    absWorkingDir: ROOT,
    entryPoints: entries.map((entry) => ({ in: `${entry}.ts`, out: entry })),
    outdir: FRESH,
    chunkNames: 'chunks/[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: TARGET,
    minify: true,
    keepNames: true,
    sourcemap: 'linked',
    logLevel: 'warning',
    plugins: [filesBesideSources],
  })
  for (const program of Object.values(manifest.bin)) chmodSync(join(FRESH, relative('dist', program)), 0o755)
}

/** `src/node.d.ts` for './node.ts' in `src/index.d.ts`. */
const declarationsNamedIn = (file: string): string[] => {
  const text = readFileSync(join(FRESH, file), 'utf8')
  const specifiers = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g)
  return Array.from(specifiers, ([, specifier = '']) =>
    posix.join(posix.dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')),
  )
}

/**
 * Declarations of everything, of which those stay that an entry point leads to. Comments stay in those that an entry point
 * takes names from, which are what users read; what a module is within the house is left out there as well.
 */
const declare = (): void => {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  const program = join(dirname(compiler), 'bin', 'tsc')
  const args = ['-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--sourceMap', 'false', '--outDir', FRESH]
  execFileSync(process.execPath, [program, ...args], { cwd: ROOT, stdio: 'inherit' })
  const roots = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [posix.relative('dist', target.default).replace(/\.js$/, '.d.ts')],
  )
  const read = new Set([...roots, ...roots.flatMap(declarationsNamedIn)])
  const needed = new Set<string>()
  const follow = (file: string): void => {
    if (needed.has(file)) return
    needed.add(file)
    declarationsNamedIn(file).forEach(follow)
  }
  roots.forEach(follow)
  for (const path of readdirSync(FRESH, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.d.ts')) continue
    const file = path.split(sep).join('/')
    if (!needed.has(file)) {
      rmSync(join(FRESH, file))
      continue
    }
    const text = readFileSync(join(FRESH, file), 'utf8')
    const comments = read.has(file)
      ? /^\/\*\*[\s\S]*?\*\/\n(?=import |export (?:type )?[{*])/
      : /^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm
    writeFileSync(join(FRESH, file), text.replace(comments, ''))
  }
}

/** Pages keep their files, as browsers load them one by one. */
const copyFiles = async (): Promise<void> => {
  for (const room of ROOMS) {
    for (const file of readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })) {
      if (!file.isFile() || file.name.endsWith('.ts')) continue
      const path = relative(ROOT, join(file.parentPath, file.name))
      mkdirSync(dirname(join(FRESH, path)), { recursive: true })
      const [, loader] = /\.(js|css)$/.exec(path) ?? []
      const content = readFileSync(join(ROOT, path))
      const packed = loader === undefined ? content : await smaller(content.toString(), loader as 'js' | 'css')
      writeFileSync(join(FRESH, path), packed)
    }
  }
}

const smaller = async (code: string, loader: 'js' | 'css'): Promise<string> =>
  (await transform(code, { loader, minify: true })).code

rmSync(FRESH, { recursive: true, force: true })
declare()
await bundle()
await copyFiles()
rmSync(DIST, { recursive: true, force: true })
renameSync(FRESH, DIST)

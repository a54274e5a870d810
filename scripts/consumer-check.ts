/**
 * Uses the package as strangers would: packs it, installs the tarball elsewhere with its dependencies from the registry,
 * and lets the programs of test/consumers use it: plain ESM and CommonJS, TypeScript (NodeNext and bundler), esbuild, Jest,
 * NestJS. Looks at its size and at what `import` of it costs.
 *
 * tsx scripts/consumer-check.ts [NODE...]: other Node.js programs that have to load it and to exchange a message too.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const MAX_PACKED_BYTES = 500_000
/** What `import 'skein'` may take beyond starting Node.js, at best: one run tells of the machine's load, so a busy one gets more. */
const MAX_IMPORT_MS = 120
const IMPORTS = 10
const MOST_IMPORTS = 100
/** Time for one command; npm fetches three hundred packages for Jest and NestJS. */
const DEADLINE_MS = 300_000

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly bin: Readonly<Record<string, string>>
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CONSUMERS = join(ROOT, 'test', 'consumers')
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
const otherNodes = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'skein-consumer-'))

/** Runs a command and gives what it printed; if it fails, that is the error. On Windows npm is a script for the shell. */
const run = (command: string, args: readonly string[], cwd: string): string => {
  const shell = command === 'npm' && process.platform === 'win32'
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: DEADLINE_MS,
    shell,
  })
  if (status === 0) return stdout
  throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? `exit code ${status}`}\n${stdout}${stderr}`)
}

const expectOutput = (output: string, expected: string): void => {
  if (output.trim() !== expected) throw new Error(`expected "${expected}", but it says: ${output}`)
}

const pack = (): string => {
  const name = run('npm', ['pack', '--silent', '--pack-destination', folder], ROOT).trim().split('\n').at(-1)
  const tarball = join(folder, `${name}`)
  const { size } = statSync(tarball)
  console.log(`package: ${size} bytes packed`)
  if (size > MAX_PACKED_BYTES) throw new Error(`The package has ${size} bytes, ${MAX_PACKED_BYTES} are allowed.`)
  return tarball
}

/** A folder with the programs of a folder of test/consumers, and the package with what it needs. */
const consumer = (name: string, programs: string, tarball: string, ...flags: readonly string[]): string => {
  const place = join(folder, name)
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  cpSync(join(CONSUMERS, programs), place, { recursive: true })
  install(place, tarball, ...flags)
  return place
}

const install = (place: string, tarball: string, ...flags: readonly string[]): void => {
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...flags, tarball], place)
}

/** Every entry point with `import` and with `require` (which fails for modules that wait at their top level), and the program. */
const load = (node: string, place: string): void => {
  const modules = Object.keys(manifest.exports).filter((key) => !key.endsWith('.json'))
  const names = modules.map((key) => manifest.name + key.slice(1))
  const loads = (one: (name: string) => string): string =>
    names
      .map((name) => `if (Object.keys(${one(name)}).length === 0) throw new Error('${name} exports nothing')\n`)
      .join('')
  const esm = loads((name) => `await import('${name}')`)
  const cjs = loads((name) => `require('${name}')`)
  run(node, ['--input-type=module', '--eval', esm], place)
  run(node, ['--input-type=commonjs', '--eval', cjs], place)
  for (const program of Object.values(manifest.bin))
    run(node, [join(place, 'node_modules', manifest.name, program), '--help'], place)
}

const exchange = (node: string, place: string): void => {
  expectOutput(run(node, ['exchange.mjs'], place), 'hello, ESM, by port')
  expectOutput(run(node, ['exchange.cjs'], place), 'hello, CommonJS')
}

/** The compiler of this project with the declarations of the installed package, checked as well; no types but Node's. */
const compile = (place: string, files: readonly string[], options: Readonly<Record<string, unknown>>): void => {
  const compilerOptions = {
    strict: true,
    target: 'es2023',
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    outDir: 'out',
    rootDir: '.',
    ...options,
  }
  writeFileSync(join(place, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  run(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'], place)
}

const typescript = (place: string): void => {
  compile(place, ['main.ts', 'common.cts'], { module: 'nodenext' })
  expectOutput(run(process.execPath, [join('out', 'main.js')], place), SAID_BY_TYPESCRIPT)
  compile(place, ['main.ts'], { module: 'esnext', moduleResolution: 'bundler', noEmit: true })
}

const SAID_BY_TYPESCRIPT = '42, nodeup,nodedown, function, function'

/** Everything in one file but what cannot be: the native binary, and a library that is loaded by name when it is needed. */
const bundled = async (place: string): Promise<void> => {
  await build({
    absWorkingDir: place,
    entryPoints: ['main.ts'],
    outfile: join(place, 'bundle.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['@matrixai/quic', '@peculiar/x509'],
    // Dependencies that are CommonJS ask for Node's modules with `require`.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  })
  expectOutput(run(process.execPath, ['bundle.mjs'], place), SAID_BY_TYPESCRIPT)
}

/** Without optional dependencies there is no QUIC binary: the exchange goes over TCP. */
const withoutOptional = (tarball: string): void => {
  const place = consumer('without-optional', 'node', tarball, '--omit=optional')
  expectOutput(run(process.execPath, ['exchange.mjs'], place).split('\n').at(-2) ?? '', 'hello, ESM, by tcp')
}

const frameworks = (tarball: string): void => {
  const place = join(folder, 'frameworks')
  cpSync(CONSUMERS, place, { recursive: true })
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], place)
  install(place, tarball, '--no-save', '--ignore-scripts')
  const jest = join(place, 'node_modules', 'jest', 'bin', 'jest.js')
  run(process.execPath, ['--experimental-vm-modules', jest, '--rootDir', 'jest', '--testMatch', '**/*.test.mjs'], place)
  console.log('Jest: passes')
  const nest = join(place, 'nest')
  writeFileSync(join(nest, 'package.json'), JSON.stringify({ type: 'module' }))
  const decorators = { experimentalDecorators: true, emitDecoratorMetadata: true, skipLibCheck: true }
  compile(nest, ['main.ts'], { module: 'nodenext', ...decorators })
  expectOutput(run(process.execPath, [join('out', 'main.js')], nest), 'hello, Nest')
  console.log('NestJS: compiles and runs')
}

/** Best of several, beside Node.js doing nothing. */
const startUp = (place: string): void => {
  const best = { nothing: Number.POSITIVE_INFINITY, skein: Number.POSITIVE_INFINITY }
  const took = (code: string): number => {
    const startMs = performance.now()
    const { status } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { cwd: place })
    if (status !== 0) throw new Error(`${code} failed`)
    return performance.now() - startMs
  }
  let importMs = Number.POSITIVE_INFINITY
  for (let i = 0; i < IMPORTS || (importMs > MAX_IMPORT_MS && i < MOST_IMPORTS); i++) {
    best.nothing = Math.min(best.nothing, took('0'))
    best.skein = Math.min(best.skein, took(`import '${manifest.name}'`))
    importMs = best.skein - best.nothing
  }
  console.log(`import: ${importMs.toFixed()} ms beyond the ${best.nothing.toFixed()} ms of Node.js itself`)
  if (importMs > MAX_IMPORT_MS) throw new Error(`import '${manifest.name}' takes ${importMs.toFixed()} ms`)
}

try {
  const tarball = pack()
  const plain = consumer('plain', 'node', tarball)
  for (const node of [process.execPath, ...otherNodes]) {
    load(node, plain)
    exchange(node, plain)
    console.log(`Node.js ${run(node, ['--version'], plain).trim()}: loads with import and require, two nodes talk`)
  }
  startUp(plain)
  withoutOptional(tarball)
  console.log('without optional dependencies: two nodes talk over TCP')
  const typed = consumer('typescript', 'typescript', tarball)
  typescript(typed)
  console.log('TypeScript: NodeNext and bundler')
  await bundled(typed)
  console.log('esbuild: one file, runs')
  frameworks(tarball)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

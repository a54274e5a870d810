/**
 * Uses the package as a stranger would: packs it, unpacks it elsewhere, and loads every entry point with `import` and
 * with `require` (which fails for modules that wait at their top level), and runs the program. Needs no network: the
 * dependencies are borrowed from this folder.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DEADLINE_MS = 120_000

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly bin: Readonly<Record<string, string>>
}

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'skein-consumer-'))
const run = (command: string, args: readonly string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', timeout: DEADLINE_MS, stdio: ['ignore', 'pipe', 'inherit'] })

try {
  const tarball = run('npm', ['pack', '--silent', '--pack-destination', folder], root).trim().split('\n').at(-1)
  run('tar', ['-xzf', `${tarball}`], folder)
  const unpacked = join(folder, 'package')
  symlinkSync(join(root, 'node_modules'), join(unpacked, 'node_modules'))

  const consumer = join(folder, 'consumer')
  const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest
  mkdirSync(join(consumer, 'node_modules'), { recursive: true })
  symlinkSync(unpacked, join(consumer, 'node_modules', manifest.name))

  const modules = Object.keys(manifest.exports).filter((key) => !key.endsWith('.json'))
  const names = modules.map((key) => manifest.name + key.slice(1))
  const loads = (load: (name: string) => string): string =>
    names
      .map((name) => `if (Object.keys(${load(name)}).length === 0) throw new Error('${name} exports nothing')\n`)
      .join('')
  writeFileSync(
    join(consumer, 'esm.mjs'),
    loads((name) => `await import('${name}')`),
  )
  writeFileSync(
    join(consumer, 'cjs.cjs'),
    loads((name) => `require('${name}')`),
  )
  for (const script of ['esm.mjs', 'cjs.cjs']) run(process.execPath, [script], consumer)
  for (const program of Object.values(manifest.bin))
    run(process.execPath, [join(unpacked, program), '--help'], consumer)
  console.log(`loaded with import and with require: ${names.join(', ')}; ran: ${Object.keys(manifest.bin).join(', ')}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

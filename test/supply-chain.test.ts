/**
 * What Skein takes from others, and what it brings to its users: pinned versions, hashes, install scripts that were read, a
 * package that runs nothing when it is installed, and a list of parts for those who have to keep one (docs/supply-chain.md).
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { suite } from './support/suite.ts'

const test = suite('supply chain')

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

interface Manifest {
  readonly name: string
  readonly version: string
  readonly scripts?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly files?: readonly string[]
  readonly publishConfig?: Readonly<Record<string, unknown>>
}

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly hasInstallScript?: boolean
}

const json = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const manifest = (folder = ''): Manifest => json(join(folder, 'package.json')) as Manifest
const locked = (folder = ''): [path: string, entry: Locked][] => {
  const { lockfileVersion, packages } = json(join(folder, 'package-lock.json')) as {
    readonly lockfileVersion: number
    readonly packages: Readonly<Record<string, Locked>>
  }
  assert.is(lockfileVersion, 3)
  return Object.entries(packages).filter(([path]) => path !== '')
}
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

/** npm itself takes seconds to start on a busy machine. */
const NPM_DEADLINE_MS = 90_000

/** What is installed for this project: the package itself, and what benchmarks compare it with. */
const FOLDERS = ['', 'bench/peers']
/** With what the packed package is tried in, which is installed without scripts, and elsewhere (scripts/consumer-check.ts). */
const LOCKS = [...FOLDERS, 'test/consumers']
const EXACT = /^\d+\.\d+\.\d+$/
/** Where an entry may say that it comes from; most say nothing, which is the registry of whoever installs. */
const REGISTRY = 'https://registry.npmjs.org/'

/**
 * Entries without a hash: binaries for platforms that the lock was not written on. npm leaves them alone elsewhere, and checks
 * nothing but the version there (docs/supply-chain.md). Nothing else may be without one, and no more of these.
 */
const WITHOUT_HASH: Readonly<Record<string, number>> = {
  '@biomejs/cli-': 8,
  '@matrixai/quic-': 4,
  '@msgpackr-extract/msgpackr-extract-': 4,
  '@oxc-parser/binding-': 15,
  '@chainsafe/libp2p-quic-': 5,
  '@unrs/resolver-binding-': 17,
}

/** Packages that run something when they are installed, all of them for development only. Read: docs/supply-chain.md. */
const INSTALL_SCRIPTS = [
  {
    name: 'esbuild',
    version: '0.28.2',
    scripts: { postinstall: 'node install.js' },
    file: 'node_modules/esbuild/install.js',
    sha256: '612294e278914443bdcf81cb17f54afec34dbdd2ebd999a6ee187912320cc315',
  },
  {
    name: 'msgpackr-extract',
    version: '3.0.7',
    scripts: { install: 'node-gyp-build-optional-packages' },
    file: 'node_modules/node-gyp-build-optional-packages/bin.js',
    sha256: 'b6c3ee58c7199854c80d2a6a7a67292ec6c9be9b6de2125c8f8370afc3c6bff4',
  },
]
/** What npm runs when a package is installed from a registry. */
const AT_INSTALL = ['preinstall', 'install', 'postinstall']

test('every dependency is pinned to one version', () => {
  for (const folder of LOCKS) {
    const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = manifest(folder)
    const all = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    assert.ok(all.length >= 5)
    for (const [name, version] of all) assert.match(version, EXACT, `${folder} ${name}`)
  }
})

test('the locks name a registry at most, and a hash for whatever is installed here', () => {
  const without = new Map<string, number>()
  for (const folder of LOCKS) {
    for (const [path, { version, resolved, integrity, link, optional, os }] of locked(folder)) {
      assert.match(version ?? '', /^\d+\.\d+\.\d+(-[\w.]+)?$/, path)
      assert.is(link, undefined, `${path} is a link`)
      assert.ok(resolved === undefined || resolved.startsWith(REGISTRY), `${path} comes from ${resolved}`)
      if (integrity !== undefined) {
        assert.match(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, path)
        continue
      }
      assert.ok(optional === true && os !== undefined, `${path} has no hash`)
      const kind = Object.keys(WITHOUT_HASH).find((prefix) => nameOf(path).startsWith(prefix))
      assert.ok(kind !== undefined, `${path} has no hash`)
      without.set(kind, (without.get(kind) ?? 0) + 1)
      if (process.platform === 'linux' && process.arch === 'x64')
        assert.not(existsSync(join(ROOT, folder, path)), `${path} is installed without a hash`)
    }
  }
  for (const [prefix, count] of without) assert.ok(count <= WITHOUT_HASH[prefix]!, `${count} of ${prefix}`)
})

test('whatever runs a script when it is installed was read, is as it was, and is not for users', () => {
  const found = FOLDERS.flatMap((folder) => locked(folder)).filter(([, entry]) => entry.hasInstallScript)
  assert.equal(
    found.map(([path, { version }]) => ({ name: nameOf(path), version })),
    INSTALL_SCRIPTS.map(({ name, version }) => ({ name, version })),
  )
  for (const [path, { dev }] of found) assert.is(dev, true, `${path} is a dependency of users`)
  for (const { name, scripts, file, sha256 } of INSTALL_SCRIPTS) {
    const own = Object.entries(manifest(`node_modules/${name}`).scripts ?? {})
    assert.equal(Object.fromEntries(own.filter(([script]) => AT_INSTALL.includes(script))), scripts, name)
    const content = readFileSync(join(ROOT, file))
    assert.is(createHash('sha256').update(content).digest('hex'), sha256, `${file} has changed: read it again`)
  }
})

test(
  'nothing of ours runs on the machine of who installs it, and only what is meant to is packed',
  async () => {
    const { scripts = {}, files = [], publishConfig } = manifest()
    // `prepare` is run in a clone and for a dependency on git, never for a package from a registry.
    for (const name of AT_INSTALL) assert.is(scripts[name], undefined, name)
    assert.equal(publishConfig, { access: 'public', provenance: true })
    assert.ok(files.length > 0)
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT })
    const [packed] = JSON.parse(stdout) as { readonly files: readonly { readonly path: string }[] }[]
    const paths = packed!.files.map(({ path }) => path)
    const meant =
      /^(dist\/(chunks|src|transport|discovery|certs)\/.*\.(js|d\.ts|html|css|svg)|docs\/man\/skein\.1|[A-Z]+\.md|LICENSE|package\.json)$/
    assert.equal(
      paths.filter((path) => !meant.test(path)),
      [],
    )
    // npm would build with it, unasked.
    assert.not(paths.includes('binding.gyp'))
  },
  { deadlineMs: NPM_DEADLINE_MS },
)

interface Bom {
  readonly bomFormat: string
  readonly components: readonly {
    readonly purl: string
    readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
  }[]
}

test(
  'the list of parts has every package that a user gets on this platform, and no other',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'skein-sbom-'))
    t.defer(() => rmSync(folder, { recursive: true, force: true }))
    const { sbom = '' } = manifest().scripts ?? {}
    const [command = '', output] = sbom.split(' > ')
    assert.is(output, 'sbom.cdx.json')
    const [program = '', ...args] = command.split(' ')
    const { stdout } = await run(program, args, { cwd: ROOT, maxBuffer: 16 << 20 })
    const bom = JSON.parse(stdout) as Bom
    assert.is(bom.bomFormat, 'CycloneDX')
    const purl = (path: string, version = ''): string =>
      `pkg:npm/${nameOf(path).replace('@', '%40')}@${version}`.toLowerCase()
    const runtime = locked().filter(([path, { dev }]) => dev !== true && existsSync(join(ROOT, path)))
    assert.ok(runtime.length >= Object.keys(manifest().dependencies ?? {}).length)
    assert.equal(
      [...new Set(bom.components.map((component) => component.purl.toLowerCase()))].sort(),
      [...new Set(runtime.map(([path, { version }]) => purl(path, version)))].sort(),
    )
    for (const [path, { version, integrity }] of runtime) {
      if (integrity === undefined) continue
      const component = bom.components.find((one) => one.purl.toLowerCase() === purl(path, version))
      const sha512 = Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex')
      assert.is(component?.hashes?.[0]?.content, sha512, path)
    }
  },
  { deadlineMs: NPM_DEADLINE_MS },
)

test.run()

/** Every block of TypeScript in docs/testing.md runs as it stands there. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { suite, type TestContext } from '../../support/suite.ts'

const test = suite('testing page')

const root = fileURLToPath(new URL('../../../', import.meta.url))
const page = readFileSync(join(root, 'docs/testing.md'), 'utf8')
const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), (match) => match[1] as string)

/** The sources stand in for the package, which may not be built. */
const withSources = (code: string): string =>
  code
    .replaceAll(`'skein/testing'`, `'${join(root, 'src/testing/index.ts')}'`)
    .replaceAll(`'skein'`, `'${join(root, 'src/index.ts')}'`)

const runBlock = async (t: TestContext, code: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-page-'))
  t.defer(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const file = join(folder, 'block.mts')
  writeFileSync(file, withSources(code))
  await promisify(execFile)(process.execPath, ['--import', 'tsx', file], { cwd: folder, timeout: 30_000 })
}

test('there are blocks', () => {
  assert.ok(blocks.length >= 3)
})

for (const [index, code] of blocks.entries()) {
  test(`block ${index + 1}`, (t) => runBlock(t, code), { deadlineMs: 40_000 })
}

test('a block that fails is noticed', async (t) => {
  let failed = false
  await runBlock(
    t,
    `import { simulate } from 'skein/testing'\nawait simulate({ nodes: ['a'] }, () => { throw new Error('no') })`,
  ).catch((error: unknown) => {
    failed = String(error).includes('ERR_SKEIN_SCENARIO_FAILED') || String(error).includes('seed 1')
  })
  assert.ok(failed)
})

test.run()

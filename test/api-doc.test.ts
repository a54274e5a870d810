/** docs/api is what the declarations say, and has every export. */
import * as assert from 'uvu/assert'
import { apiPages, outdatedPages } from '../scripts/api-doc.ts'
import { suite } from './support/suite.ts'

const test = suite('API reference', { watchdogMs: 240_000 })

/** The compiler runs once, on a machine that may have other work. */
const DEADLINE_MS = 200_000

const ENTRIES: Readonly<Record<string, () => Promise<object>>> = {
  skein: () => import('../src/index.ts'),
  'skein/certs': () => import('../certs/index.ts'),
  'skein/transport': () => import('../transport/index.ts'),
  'skein/discovery': () => import('../discovery/index.ts'),
  'skein/testing': () => import('../src/testing/index.ts'),
}

test(
  'the pages are what the declarations say, and every value that can be imported is there',
  async () => {
    const pages = apiPages()
    assert.equal(outdatedPages(pages), [], 'run: npm run docs:api')
    for (const [module, load] of Object.entries(ENTRIES)) {
      const own = [...pages.values()].filter(
        (text) => text.includes(`\nFrom \`${module}\`.`) && !text.startsWith('# API'),
      )
      const headings = own.flatMap((text) => Array.from(text.matchAll(/^## (\w+)$/gm), ([, name]) => name))
      for (const name of Object.keys(await load())) assert.ok(headings.includes(name), `${module}: ${name}`)
      assert.is(new Set(headings).size, headings.length, module)
    }
    // What readers find: signatures with comments, links to the types in them, nothing internal.
    const node = pages.get('nodes.md') ?? ''
    assert.match(node, /## startNode\n\nStarts a node;/)
    assert.match(node, 'const startNode: (options?: StartOptions) => Promise<SkeinNode>;')
    assert.match(node, /Uses .*\[StartOptions\]\(#startoptions\)/)
    assert.match(node, '[Pid](processes.md#pid)')
    for (const [file, text] of pages) {
      for (const hidden of ['@internal', '#private', 'export declare']) assert.not.match(text, hidden, file)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()

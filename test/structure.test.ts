/**
 * The house checks itself: every rule of support/house-rules.ts on every file of the rooms. Each rule is first shown a
 * sample that breaks it (its canary), so that a rule that has gone blind is noticed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { ROOMS, RULES, type SourceFile } from './support/house-rules.ts'
import { suite } from './support/suite.ts'

const test = suite('structure')
const root = fileURLToPath(new URL('..', import.meta.url))

const files: readonly SourceFile[] = ROOMS.flatMap((room) =>
  readdirSync(`${root}${room}`, { recursive: true, encoding: 'utf8' })
    .map((path) => `${room}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(root + path, 'utf8') })),
)

/** For each rule a file with the lines in it that break the rule. */
const CANARIES: Readonly<Record<string, readonly { path: string; text: string; lines: readonly number[] }[]>> = {
  'rooms import one way: certs <- transport <- discovery <- src': [
    {
      path: 'certs/low.ts',
      text: `/* import '../src/node.ts' */
import { a } from './key.ts'
import { b } from '../transport/lane.ts'
export * from '../src/node.ts'
const late = await import('../discovery/source.ts')
import {
  wire,
} from '../bench/wire.ts'
import { startNode } from 'skein'
`,
      lines: [3, 4, 5, 8, 9],
    },
    {
      path: 'src/cli/high.ts',
      text: `import a from '../../certs/key.ts'\nimport b from '../../test/run.ts'`,
      lines: [2],
    },
  ],
  'wrapped packages are imported by one file each': [
    { path: 'discovery/mdns/first.ts', text: `import mdns from 'multicast-dns'`, lines: [] },
    { path: 'discovery/mdns/second.ts', text: `import mdns from 'multicast-dns'`, lines: [1] },
    { path: 'src/node.ts', text: `\nimport quiche from '@matrixai/quic/native/quiche.js'`, lines: [2] },
  ],
  'only the configuration reads the environment': [
    { path: 'src/node.ts', text: `// process.env\nconst name = process.env.SKEIN_NAME`, lines: [2] },
    { path: 'src/config.ts', text: 'const name = process.env.SKEIN_NAME', lines: [] },
  ],
  'time and randomness are injected': [
    {
      path: 'src/node.ts',
      text: `const a = Date.now()
const b = 'Date.now()'
setTimeout(run, 5)
const c = new Date()
const d = new Date(wall)
const e = clock.after(5, run)
import { setImmediate } from 'node:timers/promises'
const f = Math.random() + performance.now()
`,
      lines: [1, 3, 4, 7, 8, 8],
    },
    { path: 'transport/clock.ts', text: 'setTimeout(run, 5)', lines: [] },
  ],
  'no module holds state': [
    {
      path: 'src/node.ts',
      text: `let count = 0
export const nodes = new Map<string, Node>()
const queue: Task[] = []
const fixed: ReadonlyMap<string, string> = new Map([['a', 'b']])
const list: readonly string[] = []
const run = () => {
  let inner = 0
  const seen = new Set()
}
class Node {
  static made = 0
  static readonly limit = 5
  static readonly #known = new Set<string>()
}
const cache = new WeakMap<object, number>()
`,
      lines: [1, 2, 3, 11, 13, 15],
    },
  ],
  'only the command line takes hold of the process': [
    { path: 'src/node.ts', text: `process.on('exit', stop)\nprocess.nextTick(run)\nprocess.exit(1)`, lines: [1, 3] },
  ],
  'only the command line prints': [
    { path: 'src/node.ts', text: `console.log('started')`, lines: [1] },
    { path: 'src/cli/main.ts', text: `console.log('started')`, lines: [] },
  ],
  'no file is longer than 500 lines': [
    { path: 'src/long.ts', text: 'x\n'.repeat(501), lines: [501] },
    { path: 'src/short.ts', text: 'x\n'.repeat(500), lines: [] },
  ],
  'every file opens with a module comment': [
    { path: 'src/bare.ts', text: `import './a.ts'\n/** Late. */`, lines: [1] },
    { path: 'src/cli/main.ts', text: '#!/usr/bin/env node\n/** The program. */', lines: [] },
  ],
  'nothing is left undone or silenced': [
    { path: 'src/node.ts', text: `// ${'TO'}DO: later\n// @ts-${'ignore'}`, lines: [1, 2] },
  ],
}

test('there are files in every room', () => {
  for (const room of ROOMS)
    assert.ok(
      files.some(({ path }) => path.startsWith(`${room}/`)),
      `${room} is empty`,
    )
})

for (const rule of RULES) {
  test(rule.title, () => {
    const found = rule.check(files)
    assert.is(found.length, 0, found.join('\n'))
  })

  test(`canary: ${rule.title}`, () => {
    const samples = CANARIES[rule.title] ?? []
    const expected = samples.flatMap(({ path, lines }) => lines.map((line) => `${path}:${line}`))
    const found = rule.check(samples).map((place) => place.split(': ', 1)[0])
    assert.equal(found.sort(), expected.sort())
    assert.ok(found.length > 0, 'this rule has no canary')
  })
}

test.run()

/** docs/observability.md lists exactly the channels there are. */
import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'

const test = suite('observability page')

const page = readFileSync(new URL('../../../docs/observability.md', import.meta.url), 'utf8')

test('the table of channels', () => {
  const source = readFileSync(new URL('../../../src/diagnostics.ts', import.meta.url), 'utf8')
  const made = Array.from(source.matchAll(/channel\('(.*)'\)/g), ([, name]) => name)
  const listed = Array.from(page.matchAll(/^\| (skein:\w+) \|/gm), ([, name]) => name)
  assert.equal(
    listed,
    made.sort((a, b) => listed.indexOf(a) - listed.indexOf(b)),
  )
  assert.ok(made.length > 3)
})

test.run()

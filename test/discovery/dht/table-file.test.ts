import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { loadTable, MAX_SAVED_CONTACTS, saveTable } from '../../../discovery/dht/table-file.ts'
import { suite } from '../../support/suite.ts'

const test = suite('table file')
const id = new Uint8Array(20).fill(7)
const contacts = [
  { id: new Uint8Array(20).fill(1), address: { host: '192.0.2.1', port: 4433 } },
  { id: new Uint8Array(20).fill(2), address: { host: '2001:db8::1', port: 1 } },
]

test('what is saved is loaded; what is damaged is no table', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-table-'))
  t.defer(() => rm(folder, { recursive: true }))
  const file = join(folder, 'dht.json')
  assert.is(await loadTable(file), undefined)
  await saveTable(file, { id, contacts })
  assert.equal(await loadTable(file), { id, contacts })
  await saveTable(file, { id, contacts: [] })
  assert.equal(await loadTable(file), { id, contacts: [] }, 'replaced')
  assert.equal(await readdir(folder), ['dht.json'])
  const key = 'ab'.repeat(20)
  const damaged = [
    '',
    '{',
    'null',
    '[]',
    '"x"',
    '{"version":2,"id":"00","nodes":[]}',
    `{"version":1,"id":"${key}"}`,
    `{"version":1,"id":"${key.slice(1)}","nodes":[]}`,
    `{"version":1,"id":"${key}","nodes":[["${key}","no port"]]}`,
    'x'.repeat(100_000),
  ]
  for (const text of damaged) {
    await writeFile(file, text, { mode: 0o600 })
    assert.is(await loadTable(file), undefined, text.slice(0, 60))
  }
  const odd = [null, 5, [], [key], [key, 5], ['zz', '192.0.2.1:1'], [key, 'localhost:1'], [key, '192.0.2.1:1']]
  await writeFile(file, JSON.stringify({ version: 1, id: key, nodes: odd }))
  assert.is((await loadTable(file))?.contacts.length, 1, 'only what is a contact')
})

test('a file holds only so many contacts', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-table-'))
  t.defer(() => rm(folder, { recursive: true }))
  const file = join(folder, 'dht.json')
  const many = Array.from({ length: MAX_SAVED_CONTACTS + 5 }, () => contacts[1]!)
  await saveTable(file, { id, contacts: many })
  assert.is((await loadTable(file))?.contacts.length, MAX_SAVED_CONTACTS)
})

test.run()

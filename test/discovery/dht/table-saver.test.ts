/** Contacts that cannot be saved are told of once, and saved when they can be. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { loadTable } from '../../../discovery/dht/table-file.ts'
import { TableSaver } from '../../../discovery/dht/table-saver.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('saver of contacts')

const id = new Uint8Array(20).fill(7)
const contacts = [{ id: new Uint8Array(20).fill(1), address: { host: '192.0.2.1', port: 4433 } }]

test('a file that cannot be written is told of once, and once more when it can be', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-saver-'))
  t.defer(() => rm(folder, { recursive: true }))
  const inTheWay = join(folder, 'skein')
  await writeFile(inTheWay, '')
  const file = join(inTheWay, 'contacts')
  const clock = new VirtualClock()
  const told: (string | undefined)[] = []
  const saver = new TableSaver({ id, contacts: () => contacts }, file, clock, () => told.push(saver.failure))
  /** Until the next attempt has ended: then the one behind it is due at some time. */
  const attempt = async (dueMs: number): Promise<void> => {
    clock.runUntil(dueMs)
    while (clock.pending === 0) await nextTurn()
  }
  const failures = new Set<string | undefined>()
  for (const dueMs of [60_000, 16 * 60_000, 31 * 60_000]) {
    await attempt(dueMs)
    failures.add(saver.failure)
    assert.is(told.length, 1)
  }
  assert.is(failures.size, 1)
  const [failure = ''] = told
  assert.ok(failure.startsWith(`ERR_SKEIN_CONTACTS_FILE: ${file} cannot be written (`), failure)

  await rm(inTheWay)
  await attempt(46 * 60_000)
  assert.equal(told, [failure, undefined])
  assert.equal(await loadTable(file), { id, contacts })

  await rm(inTheWay, { recursive: true })
  await writeFile(inTheWay, '')
  await saver.stop()
  assert.is(saver.failure, failure)
  assert.is(told.length, 3)
})

test.run()

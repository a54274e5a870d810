/** Several members lost at once are a partition, one is a crash; and a partition ends. */
import * as assert from 'uvu/assert'
import { Partitions } from '../../../src/cluster/partitions.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('partitions')

const watch = () => {
  const clock = new VirtualClock()
  const told: string[] = []
  const partitions = new Partitions(clock, {
    partitioned: (lost) => told.push(`lost ${lost.join(' ')}`),
    healed: (back, missing) => told.push(`back ${back.join(' ')} missing ${missing.join(' ')}`.trim()),
  })
  const pass = (ms: number): Promise<unknown> => clock.run({ untilMs: clock.now() + ms })
  return { partitions, told, pass }
}

test('two within moments are told once, and told again when all are back', async () => {
  const { partitions, told, pass } = watch()
  partitions.lost('1', 'a')
  await pass(1500)
  partitions.lost('2', 'b')
  await pass(10_000)
  assert.equal(told, ['lost a b'])
  partitions.up('2')
  assert.is(told.length, 1)
  partitions.up('1')
  assert.equal(told, ['lost a b', 'back b a missing'])
  await pass(3_600_000)
  assert.is(told.length, 2)
})

test('one alone is none, nor are two far apart, nor one that is back at once', async () => {
  const { partitions, told, pass } = watch()
  partitions.lost('1', 'a')
  await pass(5000)
  partitions.lost('2', 'b')
  await pass(1000)
  partitions.lost('3', 'c')
  partitions.up('3')
  partitions.up('1')
  await pass(5000)
  assert.equal(told, [])
})

test('who does not come back is missing', async () => {
  const { partitions, told, pass } = watch()
  for (const id of ['1', '2', '3']) partitions.lost(id, id)
  await pass(60_000)
  partitions.up('1')
  partitions.up('1')
  await pass(60_000)
  assert.equal(told, ['lost 1 2 3', 'back 1 missing 2 3'])
})

test('who is lost again during it belongs to it; who is never back is forgotten in the end', async () => {
  const { partitions, told, pass } = watch()
  partitions.lost('1', 'a')
  partitions.lost('2', 'b')
  await pass(5000)
  partitions.up('1')
  partitions.lost('1', 'a')
  await pass(5000)
  partitions.lost('4', 'd')
  partitions.lost('5', 'e')
  await pass(5000)
  assert.equal(told, ['lost a b', 'lost b a d e'])
  await pass(3_700_000)
  partitions.up('1')
  await pass(5000)
  assert.is(told.length, 2)
  partitions.stop()
})

test('somebody who is lost again and again does not keep it from being told', async () => {
  const { partitions, told, pass } = watch()
  for (const id of ['1', '2']) partitions.lost(id, id)
  for (let round = 0; round < 20; round++) {
    partitions.lost('3', '3')
    await pass(500)
    partitions.up('3')
    await pass(500)
  }
  assert.equal(told.slice(0, 1), ['lost 1 2'])
})

test.run()

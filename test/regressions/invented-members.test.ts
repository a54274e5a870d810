/**
 * The table of members takes 4096, and one member could tell of as many that do not exist: then nobody's word of a real one
 * was taken any more. One that was only told of now makes room, by whoever told of the most.
 */
import * as assert from 'uvu/assert'
import { newRecord } from '../../src/cluster/membership/member-record.ts'
import { Roster } from '../../src/cluster/membership/roster.ts'
import { suite } from '../support/suite.ts'

const test = suite('invented members')

const MAX_MEMBERS = 4096

const rosterOf = (): Roster =>
  new Roster({
    selfId: 'self',
    selfIncarnation: '0000000000000001',
    listener: { joined: () => {}, suspected: () => {}, cleared: () => {}, left: () => {} },
    isFull: () => true,
    knownChanged: () => {},
  })

const add = (roster: Roster, id: string, toldBy?: string): boolean => {
  const fits = roster.makesRoom(toldBy ?? '')
  if (fits) roster.add(newRecord({ id, name: `${id}@host`, incarnation: '0000000000000001' }, 0, toldBy))
  return fits
}

test('a full table of inventions has room for what others tell, and none for more of them', () => {
  const roster = rosterOf()
  for (let i = 0; i < MAX_MEMBERS; i++) assert.ok(add(roster, `invented-${i}`, 'liar'))
  assert.not.ok(add(roster, 'one-more', 'liar'))
  for (let i = 0; i < 500; i++) assert.ok(add(roster, `real-${i}`, 'honest'), String(i))
  assert.is([...roster.records()].length, MAX_MEMBERS)
  assert.is(roster.record('invented-0'), undefined, 'the oldest went first')
  assert.ok(roster.record('invented-4000'))
})

test('whoever was met makes no room', () => {
  const roster = rosterOf()
  for (let i = 0; i < MAX_MEMBERS; i++) add(roster, `member-${i}`, 'teller')
  for (const record of roster.records()) {
    record.connection = { isHidden: false, seenAt: [] }
    roster.settle(record)
  }
  assert.not.ok(add(roster, 'late', 'another'))
  assert.is([...roster.records()].length, MAX_MEMBERS)
})

test.run()

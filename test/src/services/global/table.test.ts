import * as assert from 'uvu/assert'
import { Origin, Pid } from '../../../../src/pid.ts'
import type { ChannelPeer } from '../../../../src/services/channel.ts'
import { type Claim, claimOf, isGlobalName, readEntry } from '../../../../src/services/global/claim.ts'
import { Table } from '../../../../src/services/global/table.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('table of global names')

const stampOf = (time: number): string => time.toString(16).padStart(16, '0')

const peerOf = (letter: string): ChannelPeer => {
  const origin = new Origin(`${letter}@h`, letter.repeat(32), '0123456789abcdef')
  return { pid: new Pid(origin, 1), node: origin.name, id: origin.id, incarnation: origin.incarnation }
}

const claim = (owner: ChannelPeer, time: number, number = 1): Claim =>
  claimOf('x', [number, stampOf(time), stampOf(time), false], owner, owner.pid.origin)

test('the oldest claim is the best, in whatever order they come', () => {
  const [a, b, c] = ['a', 'b', 'c'].map(peerOf) as [ChannelPeer, ChannelPeer, ChannelPeer]
  const claims = [claim(a, 3), claim(b, 1), claim(c, 2)]
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ]) {
    const changes: string[] = []
    const table = new Table((before, after) => changes.push(`${before?.pid.node} ${after?.pid.node}`))
    for (const index of order) table.put(claims[index] as Claim)
    assert.equal(
      table.claims('x').map(({ pid }) => pid.node),
      ['b@h', 'c@h', 'a@h'],
    )
    assert.is(table.best('x')?.pid.node, 'b@h')
    assert.is(table.size, 1)
    table.remove('x', b)
    assert.is(table.best('x')?.pid.node, 'c@h')
    table.remove('x', b)
    table.remove('x', a)
    table.remove('x', c)
    assert.equal(table.names(), [])
    assert.equal(table.claims('x'), [])
    assert.is(changes.at(-1), 'c@h undefined')
  }
})

test('of one age the lower node id comes first; one owner has one claim', () => {
  const [a, b] = [peerOf('a'), peerOf('b')]
  const table = new Table(() => {})
  table.put(claim(b, 1))
  table.put(claim(a, 1))
  assert.is(table.best('x')?.owner, a)
  table.put(claim(a, 2, 9))
  assert.is(table.claims('x').length, 2)
  assert.is(table.claimOf('x', a)?.pid.number, 9)
  assert.is(table.best('x')?.owner, b)
})

test('entries that are none', () => {
  const good = [1, stampOf(1), stampOf(2), false]
  assert.equal(readEntry(good), good)
  for (const bad of [
    undefined,
    {},
    [],
    [...good, 1],
    [0, ...good.slice(1)],
    [1.5, ...good.slice(1)],
    [1, 'x', stampOf(2), false],
    [1, stampOf(2), stampOf(1), false],
    [1, stampOf(1), stampOf(2), 1],
  ]) {
    assert.throws(() => readEntry(bad))
  }
})

test('names', () => {
  for (const name of ['x', 'a name', 'ü', '/', '😀', 'x'.repeat(255)]) assert.ok(isGlobalName(name), name)
  for (const name of ['', 'x'.repeat(256), 'a\nb', '\u0000', '\ud800', 7, undefined]) assert.not(isGlobalName(name))
})

test.run()

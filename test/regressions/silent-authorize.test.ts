/** An `authorize` of rooms that never answered kept its place among those who wait: after 10 000 of them nobody got in. */
import * as assert from 'uvu/assert'
import type { RoomSocket, SkeinNode } from '../../src/index.ts'
import { ending, pass, settled, startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('authorize without an answer')

const socket = (): RoomSocket => ({
  readyState: 1,
  bufferedAmount: 0,
  send() {},
  close() {},
  addEventListener() {},
})

test('it is refused after half a minute, and the places are free again', async (t) => {
  const cluster = await startCluster(t, 1)
  const [node] = cluster.nodes as [SkeinNode]
  const rooms = node.rooms({
    authorize: ({ as }) => (as === 'silent' ? new Promise<boolean>(() => {}) : true),
  })
  const silent = Array.from({ length: 10_000 }, () => ending(rooms.join('lobby', socket(), { as: 'silent' })))
  const full = ending(rooms.join('lobby', socket(), { as: 'anna' }))
  await pass(cluster, 29_000)
  assert.is(full.code, 'ERR_SKEIN_LIMIT')
  assert.ok(silent.every(({ code }) => code === undefined))
  await pass(cluster, 2000)
  assert.ok(silent.every(({ code }) => code === 'ERR_SKEIN_ROOM_REFUSED'))
  await settled(cluster, rooms.join('lobby', socket(), { as: 'anna' }))
  assert.is(rooms.count('lobby'), 1)
})

test.run()

/** Keys by number between two processes over QUIC, and members that announce what they may not. */
import * as assert from 'uvu/assert'
import { CONTROL, encodeNumber } from '../../src/cluster/control.ts'
import { encodeKeys } from '../../src/wire/key-tables.ts'
import { NodeProcess } from '../support/node-process.ts'
import { suite } from '../support/suite.ts'
import { Rogue } from './support.ts'

const test = suite('key tables over QUIC')

test(
  'records cross both ways, and after a reconnect',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
    await Promise.all([a.up(b.name), b.up(a.name)])
    const [here, there] = [await a.puppet('here'), await b.puppet('there')]
    const record = (i: number): unknown => ({ sequence: i, content: { text: 'x'.repeat(i * 40), sequence: -i } })
    const exchange = async (): Promise<void> => {
      for (const [from, to] of [
        [here, there],
        [there, here],
      ] as const) {
        for (let i = 0; i < 60; i++) await from.send(to.pid, record(i))
        for (let i = 0; i < 60; i++) assert.equal((await to.mailbox.next()).value, record(i))
      }
    }
    await exchange()
    await a.do('disconnect', b.name)
    await Promise.all([a.down(b.name), b.down(a.name)])
    await b.do('connect', a.address)
    await Promise.all([a.up(b.name), b.up(a.name)])
    await exchange()
  },
  { deadlineMs: 30_000 },
)

test('too many keys, and acknowledgements of what was never announced, cost the connection', async (t) => {
  const node = await NodeProcess.start(t, { name: 'node' })
  const many = Array.from({ length: 100 }, (_, i) => `key-${i}`)
  const frames: readonly (readonly [number, Uint8Array])[][] = [
    [
      [CONTROL.keys, encodeKeys(many)],
      [CONTROL.keys, encodeKeys(many)],
    ],
    [[CONTROL.keys, new Uint8Array(3)]],
    [[CONTROL.keysKnown, encodeNumber(7)]],
  ]
  for (const [i, bad] of frames.entries()) {
    const rogue = await Rogue.dial(t, node, { capabilities: ['keys'] })
    await rogue.up
    for (const [type, body] of bad) rogue.lanes.control(type, body)
    assert.is((await rogue.closed).code, 'ERR_SKEIN_PROTOCOL', String(i))
  }
})

test.run()

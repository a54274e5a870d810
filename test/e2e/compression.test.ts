/** The option `compression` between two processes over QUIC, and members that send bombs instead. */
import { brotliCompressSync, constants } from 'node:zlib'
import * as assert from 'uvu/assert'
import { writeVarint } from '../../src/wire/codec-varint.ts'
import { PACKED } from '../../src/wire/packing.ts'
import { systemRandom } from '../../transport/random.ts'
import { NodeProcess } from '../support/node-process.ts'
import { suite } from '../support/suite.ts'
import { Rogue } from './support.ts'

const test = suite('compression')

const rows = (first: number): unknown =>
  Array.from({ length: 1000 }, (_, row) => ({ row: first + row, name: `user-${row % 50}`, state: 'waiting' }))

test(
  'what packs crosses in a fraction of the datagrams, and equal, also to a node without the option',
  async (t) => {
    const packs = { compression: { aboveBytes: 4096 }, maxDatagramBytes: 1350 }
    const a = await NodeProcess.start(t, { name: 'a', ...packs })
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address], maxDatagramBytes: 1350 })
    await Promise.all([a.up(b.name), b.up(a.name)])
    let puppets = 0
    const datagrams = async (from: NodeProcess, to: NodeProcess, content: (i: number) => unknown): Promise<number> => {
      const receiver = await to.puppet(`to-${++puppets}`)
      const sender = await from.puppet(`of-${++puppets}`)
      const before = (await to.do('counters')).received ?? 0
      for (let i = 0; i < 8; i++) await sender.send(receiver.pid, content(i))
      for (let i = 0; i < 8; i++) assert.equal((await receiver.mailbox.next()).value, content(i))
      return ((await to.do('counters')).received ?? 0) - before
    }
    const noise = Array.from({ length: 8 }, () => Buffer.from(systemRandom.bytes(40_000)))
    const packed = await datagrams(a, b, rows)
    const plain = await datagrams(b, a, rows)
    assert.ok(packed < plain / 2, `${packed} datagrams packed, ${plain} as it is`)
    await datagrams(a, b, (i) => noise[i])
  },
  { deadlineMs: 30_000 },
)

test('a bomb costs its sender the connection, and nothing else', async (t) => {
  const node = await NodeProcess.start(t, { name: 'node' })
  const target = await node.puppet('target')
  const bomb = brotliCompressSync(Buffer.alloc(16 << 20), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: 20 },
  })
  const memoryBefore = await node.do('memory')
  for (const sizeBytes of [16 << 20, 2 << 20, bomb.length * 256, 10]) {
    const rogue = await Rogue.dial(t, node)
    await rogue.up
    const body = Buffer.alloc(16)
    body[0] = PACKED
    const start = writeVarint(body, 1, sizeBytes)
    const head = Buffer.alloc(16)
    const headLength = writeVarint(head, writeVarint(head, 0, 1), target.pid.number)
    rogue.lanes.sender().send(0x01, head, headLength, Buffer.concat([body.subarray(0, start), bomb]))
    assert.is((await rogue.closed).code, 'ERR_SKEIN_BAD_MESSAGE')
  }
  assert.is(target.mailbox.all.length, 0)
  assert.ok((await node.do('memory')) - memoryBefore < 64 << 20)
  await target.send(target.pid, 'still here')
  assert.is((await target.mailbox.next()).value, 'still here')
})

test.run()

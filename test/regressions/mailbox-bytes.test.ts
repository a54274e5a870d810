/**
 * A mailbox counted messages only: 65 536 messages of 64 KiB, 4 GiB, could wait in a process that took nothing before its
 * senders were held back. Bytes that came over a wire count as well.
 */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { FairShare } from '../../src/process/fair-share.ts'
import { MAILBOX_HIGH_WATER_BYTES, MAILBOX_LIMIT_BYTES, Mailbox } from '../../src/process/mailbox.ts'
import { systemClock } from '../../transport/clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('mailbox bytes')

const mailbox = (): Mailbox<number> =>
  new Mailbox(new FairShare(systemClock), systemClock, {
    onFull: 'block',
    highWater: 65_536,
    limit: 1_048_576,
    hardLimit: 1_048_576,
  })

const MIB = 1 << 20

test('many bytes press a mailbox like many messages, until half of them are taken', async () => {
  const box = mailbox()
  const count = MAILBOX_HIGH_WATER_BYTES / MIB + 1
  let relieved = false
  for (let i = 0; i < count; i++) {
    assert.not.ok(box.pressed, `after ${i} messages`)
    box.push(i, MIB)
  }
  assert.ok(box.pressed)
  box.onceRelieved(() => {
    relieved = true
  })
  for (let i = 0; i < count / 2 - 1; i++) await box.next()
  assert.not.ok(relieved)
  await box.next()
  assert.ok(relieved)
})

test('one message larger than the mark is taken, and its end lifts the pressure', async () => {
  const box = mailbox()
  box.push(1, MAILBOX_HIGH_WATER_BYTES + 1)
  assert.ok(box.pressed)
  assert.is((await box.next()).value, 1)
  assert.not.ok(box.pressed)
})

test('a mailbox is full of bytes too, for those who cannot be held back', () => {
  const box = mailbox()
  for (let bytes = 0; bytes < MAILBOX_LIMIT_BYTES; bytes += 16 * MIB) {
    assert.not.ok(box.full)
    box.push(0, 16 * MIB)
  }
  assert.ok(box.full)
  box.close(() => new Error('ended'))
  assert.not.ok(box.pressed)
})

test('the bytes of a message leave with it, whichever is taken and however the ring lies', async () => {
  const sizes = fc.array(fc.record({ push: fc.boolean(), heavy: fc.boolean(), at: fc.nat(20) }), { maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(sizes, async (steps) => {
      const box = mailbox()
      // The heavy ones weigh just over half of the mark, so two press the mailbox, and it is relieved at none.
      let model: { id: number; heavy: boolean }[] = []
      for (const [id, { push, heavy, at }] of steps.entries()) {
        if (push) {
          box.push(id, heavy ? MAILBOX_HIGH_WATER_BYTES / 2 + 1 : 1)
          model.push({ id, heavy })
        } else if (model.length > 0) {
          const { id: wanted } = model[at % model.length]!
          assert.is(await box.receive((message) => message === wanted, 0), wanted)
          model = model.filter((entry) => entry.id !== wanted)
        }
        const heavies = model.filter((entry) => entry.heavy).length
        if (heavies >= 2) assert.ok(box.pressed)
        if (heavies === 0) assert.not.ok(box.pressed)
      }
      for (const { id } of model) assert.is((await box.next()).value, id)
      assert.not.ok(box.pressed)
    }),
    { seed: 7, numRuns: 300 },
  )
})

test.run()

/** A mailbox with a consumer: what it finds, what a receive of its own finds, and what ends it. */
import * as assert from 'uvu/assert'
import { type Behaviour, CallEntry, CastEntry } from '../../../src/process/behaviour.ts'
import { FairShare, MESSAGES_PER_TURN } from '../../../src/process/fair-share.ts'
import { Mailbox } from '../../../src/process/mailbox.ts'
import type { Self } from '../../../src/process/self.ts'
import { announceStarted, serve } from '../../../src/process/serve.ts'
import { systemClock } from '../../../transport/clock.ts'
import { suite } from '../../support/suite.ts'
import { loneNode, turns } from './process-support.ts'

const test = suite('mailbox consumer')

const newMailbox = (share = new FairShare(systemClock)): Mailbox =>
  new Mailbox(share, systemClock, { onFull: 'block', highWater: 8, limit: 1e6, hardLimit: 1e6 })

const never = (): void => assert.unreachable('nothing fails here')

const serving = (run: (self: Self) => Promise<void> | void): Behaviour<unknown> =>
  Object.assign(run, { traits: { serves: true, announces: true } })

test('what waited before it began is taken first, in order', async () => {
  const box = newMailbox()
  const got: unknown[] = []
  for (let n = 0; n < 5; n++) box.push(n)
  box.serve((entry) => void got.push(entry), never)
  box.push(5)
  assert.equal(got, [], 'not within the call')
  await turns()
  assert.equal(got, [0, 1, 2, 3, 4, 5])
})

test('takes one entry at a time, also what it sends itself, and never runs within a push', async () => {
  const box = newMailbox()
  const got: unknown[] = []
  let depth = 0
  box.serve((entry) => {
    assert.is(++depth, 1)
    got.push(entry)
    if ((entry as number) < 3) box.push((entry as number) + 1)
    depth--
  }, never)
  box.push(0)
  await turns()
  assert.equal(got, [0, 1, 2, 3])
})

test('a receive within a handler gets messages, not entries, past what waits', async (t) => {
  const { processes } = loneNode(t)
  const got: unknown[] = []
  const pid = processes.spawn(
    serving((self) => {
      serve(self, async (entry) => {
        got.push(entry instanceof CastEntry ? `cast ${entry.message}` : entry instanceof CallEntry ? 'call' : entry)
        if (entry !== 'collect') return
        got.push(await self.receive((message) => message === 'wanted'))
        const call = (await self.receive()) as { type: string; from: never; request: unknown }
        got.push([call.type, call.request])
        self.reply(call.from, 'here')
        got.push(await self.receive())
      })
      announceStarted(self)
    }),
  )
  processes.send(pid, 'collect')
  const reply = processes.call(pid, 'request')
  processes.cast(pid, 'wanted')
  processes.cast(pid, 'next')
  assert.is(await reply, 'here')
  await turns()
  processes.cast(pid, 'last')
  await turns()
  assert.equal(got, ['collect', 'wanted', ['call', 'request'], 'next', 'cast last'])
})

test('a receive in an asynchronous start finds casts as messages; the rest goes to the consumer', async (t) => {
  const { processes } = loneNode(t)
  const got: unknown[] = []
  const pid = processes.spawn(
    serving(async (self) => {
      got.push(await self.receive((message) => message === 2))
      serve(self, (entry) => void got.push(entry instanceof CastEntry ? ['cast', entry.message] : entry))
      announceStarted(self)
    }),
  )
  for (const n of [1, 2, 3]) processes.cast(pid, n)
  await turns()
  assert.equal(got, [2, ['cast', 1], ['cast', 3]])
})

test('a receive left waiting goes first; when it is served or gives up, the consumer goes on', async () => {
  const box = newMailbox()
  const got: unknown[] = []
  let left: Promise<unknown> | undefined
  box.serve((entry) => {
    got.push(entry)
    if (entry === 'begin') left = box.receive((message) => message === 'wanted', Number.POSITIVE_INFINITY)
  }, never)
  for (const entry of ['begin', 1, 2]) box.push(entry)
  await turns()
  assert.equal(got, ['begin'])
  box.push('wanted')
  await turns()
  assert.is(await left, 'wanted')
  assert.equal(got, ['begin', 1, 2])
})

test('is pressed while its consumer is at work, and relieved when that is through', async () => {
  const box = newMailbox()
  let go = (): void => {}
  let relieved = false
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  box.serve(() => gate, never)
  for (let n = 0; n < 12; n++) box.push(n)
  await turns()
  assert.ok(box.pressed)
  box.onceRelieved(() => {
    relieved = true
  })
  go()
  await turns()
  assert.ok(relieved)
  assert.is(box.size, 0)
})

test('closed in the middle: nothing more is taken, and a late error is passed on once', async () => {
  const box = newMailbox()
  const got: unknown[] = []
  const errors: unknown[] = []
  let fail = (_: Error): void => {}
  box.serve(
    (entry) => {
      got.push(entry)
      return new Promise<void>((_, reject) => {
        fail = reject
      })
    },
    (error) => errors.push(error),
  )
  for (const n of [1, 2]) box.push(n)
  await turns()
  box.close(() => new Error('ended'))
  const late = new Error('late')
  fail(late)
  box.push(3)
  await turns()
  assert.equal(got, [1])
  assert.equal(errors, [late])
})

test('closed by its own handler: the rest of the slice is not taken', async () => {
  const box = newMailbox()
  const got: unknown[] = []
  box.serve((entry) => {
    got.push(entry)
    if (entry === 2) box.close(() => new Error('ended'))
  }, never)
  for (const n of [1, 2, 3]) box.push(n)
  await turns()
  assert.equal(got, [1, 2])
})

test('a flooded one takes turns with others, and with input', async () => {
  const share = new FairShare(systemClock)
  const flooded = newMailbox(share)
  const light = newMailbox(share)
  let taken = 0
  let whenLight = 0
  let whenInput = 0
  flooded.serve(() => void taken++, never)
  light.serve(() => {
    whenLight = taken
  }, never)
  const count = 5 * MESSAGES_PER_TURN
  for (let n = 0; n < count; n++) flooded.push(n)
  light.push('one')
  setImmediate(() => {
    whenInput = taken
  })
  while (taken < count) await turns()
  assert.ok(whenLight > 0 && whenLight <= 128, `the light one came after ${whenLight}`)
  assert.ok(whenInput > 0 && whenInput <= MESSAGES_PER_TURN, `input came after ${whenInput}`)
})

test.run()

/** Processes that serve: one entry at a time, each with its kind, and an orderly start and end. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { type Behaviour, CallEntry, CastEntry } from '../../../src/process/behaviour.ts'
import { announceStarted, serve } from '../../../src/process/serve.ts'
import { suite } from '../../support/suite.ts'
import { loneNode } from './process-support.ts'

const test = suite('serve')

const serving = (onEntry: (entry: unknown) => void | Promise<void>): Behaviour<unknown> =>
  Object.assign(
    (self: Parameters<Behaviour<unknown>>[0]) => {
      serve(self, onEntry)
      announceStarted(self)
    },
    { traits: { serves: true, announces: true } },
  )

test('entries come in order with their kinds, and the process lives on', async (t) => {
  const { processes } = loneNode(t)
  const seen: string[] = []
  const pid = processes.spawn(
    serving((entry) => {
      if (entry instanceof CastEntry) seen.push(`cast ${entry.message}`)
      else if (entry instanceof CallEntry) processes.reply(entry.from, seen.length)
      else seen.push(`info ${entry}`)
    }),
  )
  processes.send(pid, 1)
  processes.cast(pid, 2)
  assert.is(await processes.call(pid, 'how many'), 2)
  assert.equal(seen, ['info 1', 'cast 2'])
  assert.ok(processes.isAlive(pid))
})

test('an entry waits for the one before, and an error ends the process', async (t) => {
  const { processes } = loneNode(t)
  const order: string[] = []
  const pid = processes.spawn(
    serving(async (entry) => {
      order.push(`begin ${entry}`)
      await new Promise((resolve) => setImmediate(resolve))
      order.push(`end ${entry}`)
      if (entry === 2) throw new Error('two')
    }),
  )
  const ended = new Promise((resolve) => {
    processes.spawn(async (self) => {
      self.monitor(pid)
      resolve(await self.receive())
    })
  })
  for (const n of [1, 2, 3]) processes.send(pid, n)
  const down = (await ended) as { reason: Error }
  assert.is(down.reason.message, 'two')
  assert.equal(order, ['begin 1', 'end 1', 'begin 2', 'end 2'])
})

test('start waits for the announcement, and hears of an end before it', async (t) => {
  const { processes } = loneNode(t)
  let announce = (): void => {}
  const slow: Behaviour<unknown> = Object.assign(
    async (self: Parameters<Behaviour<unknown>>[0]) => {
      serve(self, () => {})
      await new Promise<void>((resolve) => {
        announce = resolve
      })
      announceStarted(self)
    },
    { traits: { serves: true, announces: true } },
  )
  let started = false
  const starting = processes.start(slow).then(() => {
    started = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.not(started)
  announce()
  await starting
  const failing: Behaviour<unknown> = Object.assign(
    () => {
      throw new Error('no')
    },
    { traits: { serves: true, announces: true } },
  )
  try {
    await processes.start(failing)
    assert.unreachable()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_START_FAILED'))
    assert.is((error.cause as Error).message, 'no')
  }
})

test.run()

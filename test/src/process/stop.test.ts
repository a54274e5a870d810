/** The orderly stop of a node's processes: who traps exits may end by itself, in bounded time. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { DEFAULT_SHUTDOWN_MS } from '../../../src/process/processes.ts'
import type { Self } from '../../../src/process/self.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { codeOf, loneNode, thrown, turns } from './process-support.ts'

const test = suite('stop')

/** Traps exits and ends this long after it is asked to, or never. */
const stubborn =
  (log: string[], name: string, lastsMs: number | undefined) =>
  async (self: Self<unknown>): Promise<void> => {
    self.trapExit = true
    const { pid, reason } = (await self.receive()) as { pid: { number: number }; reason: unknown }
    log.push(`${name} asked: ${reason} by ${pid.number}`)
    if (lastsMs === undefined) await self.receive(() => false)
    else if (lastsMs > 0) await self.receive(() => false, { timeoutMs: lastsMs }).catch(() => {})
    log.push(`${name} over`)
  }

test('who traps exits is asked and ends by itself; others end at once; the stop waits for no more than that', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const log: string[] = []
  node.processes.spawn(stubborn(log, 'quick', 0))
  node.processes.spawn(stubborn(log, 'slow', 200))
  const plain = node.processes.spawn(async (self) => {
    self.signal.addEventListener('abort', () => log.push('plain aborted'))
    await self.receive()
  })
  await turns()
  let stoppedMs = 0
  const stopping = node.processes.stop().then(() => {
    stoppedMs = clock.now()
  })
  assert.not(node.processes.isAlive(plain))
  await clock.run({ until: () => stoppedMs > 0 })
  await stopping
  assert.equal(log, [
    'plain aborted',
    'quick asked: shutdown by 0',
    'quick over',
    'slow asked: shutdown by 0',
    'slow over',
  ])
  assert.is(stoppedMs, 200)
})

test('who does not end in time is ended', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const log: string[] = []
  const pid = node.processes.spawn(stubborn(log, 'stubborn', undefined))
  await turns()
  let isOver = false
  const stopping = node.processes.stop().then(() => {
    isOver = true
  })
  await clock.run({ untilMs: DEFAULT_SHUTDOWN_MS - 1 })
  assert.ok(node.processes.isAlive(pid))
  await clock.run({ until: () => isOver })
  await stopping
  assert.not(node.processes.isAlive(pid))
  assert.equal(log, ['stubborn asked: shutdown by 0'])
})

test('while it ends a process can still send, call and wait, but nothing new begins', async (t) => {
  const node = loneNode(t)
  const log: unknown[] = []
  node.processes.spawn(
    async (self: Self<unknown>) => {
      self.trapExit = true
      for await (const message of self) {
        const { type, from } = message as { type: string; from: never }
        if (type === 'call') {
          self.reply(from, 'saved')
          return
        }
      }
    },
    { name: 'store' },
  )
  node.processes.spawn(async (self: Self<unknown>) => {
    self.trapExit = true
    await self.receive()
    log.push(await self.call('store' as never, 'save'))
    log.push(thrown(() => self.spawn(() => {})))
    self.sendAfter(1, self.pid, 'later')
    log.push(await self.receive())
  })
  await turns()
  await node.processes.stop()
  assert.equal(log, ['saved', 'ERR_SKEIN_STOPPED', 'later'])
  assert.is(await codeOf(node.processes.call('store' as never, 1 as never)), 'ERR_SKEIN_STOPPED')
})

test('a process that crashes while it ends is reported, and holds nothing up', async (t) => {
  const node = loneNode(t)
  node.processes.spawn(async (self: Self<unknown>) => {
    self.trapExit = true
    await self.receive()
    throw new Error('could not save')
  })
  await turns()
  await Promise.all([node.processes.stop(), node.processes.stop()])
  const [report] = node.reports
  assert.is(report?.type, 'crashed')
  assert.not(isSkeinError(report?.type === 'crashed' && report.reason))
})

test.run()

/** One process: its life, its exit signals, and what is left to a function whose process has ended. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { Pid } from '../../../src/pid.ts'
import type { Self } from '../../../src/process/self.ts'
import { suite } from '../../support/suite.ts'
import { actor, actors, brief, codeOf, loneNode, pair, thrown, turns } from './process-support.ts'

const test = suite('process')

test('runs its function with arguments after spawn has returned, and ends normally with it', async (t) => {
  const node = loneNode(t)
  const watcher = await actor(node)
  const seen: unknown[] = []
  const pid = node.processes.spawn(
    (self: Self, a: number, b: string) => {
      seen.push(self.pid, self.node, a, b)
    },
    {},
    1,
    'two',
  )
  watcher.self.monitor(pid)
  assert.equal(seen, [])
  assert.ok(node.processes.isAlive(pid))
  await turns()
  assert.equal(seen, [pid, 'lone@test', 1, 'two'])
  assert.not(node.processes.isAlive(pid))
  assert.equal(watcher.log.map(brief), ['DOWN normal'])
  assert.equal(node.reports, [])
})

test('what a function throws is the reason, and is reported', async (t) => {
  const node = loneNode(t)
  const watcher = await actor(node)
  const error = new Error('bug')
  const bad = [
    node.processes.spawn(() => {
      throw error
    }),
    node.processes.spawn(async () => {
      await turns()
      throw error
    }),
  ]
  for (const pid of bad) watcher.self.monitor(pid)
  await turns()
  await turns()
  assert.equal(
    watcher.log.map((message) => (message as { reason: unknown }).reason === error),
    [true, true],
  )
  assert.equal(
    node.reports.map((report) => [report.type, 'pid' in report && bad.includes(report.pid as Pid<unknown>)]),
    [
      ['crashed', true],
      ['crashed', true],
    ],
  )
})

test('exit ends the process at once, even if the function catches what it throws', async (t) => {
  const node = loneNode(t)
  const watcher = await actor(node)
  const steps: unknown[] = []
  const pid = node.processes.spawn(async (self) => {
    try {
      self.exit('enough')
    } catch (error) {
      steps.push(isSkeinError(error, 'ERR_SKEIN_PROCESS_ENDED') && error.cause, node.processes.isAlive(self.pid))
    }
  })
  watcher.self.monitor(pid)
  await turns()
  assert.equal(steps, ['enough', false])
  assert.equal(watcher.log.map(brief), ['DOWN enough'])
  assert.equal(node.reports, [])
})

test('the table of exit signals', async (t) => {
  const table: [sent: string, trapping: boolean, alive: boolean, heard: string | undefined][] = [
    ['normal', false, true, undefined],
    ['normal', true, true, 'EXIT normal'],
    ['shutdown', false, false, undefined],
    ['shutdown', true, true, 'EXIT shutdown'],
    ['killed', true, true, 'EXIT killed'],
    ['kill', false, false, undefined],
    ['kill', true, false, undefined],
  ]
  const net = pair(t)
  const [here] = await actors(net.a, 1)
  const there = await actor(net.b)
  for (const sender of [here!, there]) {
    for (const [reason, trapping, alive, heard] of table) {
      const victim = await actor(net.a, trapping)
      const ref = here!.self.monitor(victim.self.pid)
      sender.self.exit(victim.self.pid, reason)
      await net.flow()
      assert.is(net.a.processes.isAlive(victim.self.pid), alive, `${reason} trapping ${trapping}`)
      assert.equal(victim.log.map(brief), heard === undefined ? [] : [heard])
      if (heard !== undefined) assert.ok(sender.self.pid.equals((victim.log[0] as { pid: Pid }).pid))
      const down = here!.log.find((message) => ref.equals((message as { ref: unknown }).ref))
      assert.is(down && brief(down), alive ? undefined : `DOWN ${reason === 'kill' ? 'killed' : reason}`)
    }
  }
})

test('exit normal to oneself ends the process, unless it traps', async (t) => {
  const node = loneNode(t)
  const plain = await actor(node, false)
  const trapping = await actor(node, true)
  plain.self.exit(plain.self.pid, 'normal')
  trapping.self.exit(trapping.self.pid, 'normal')
  await turns()
  assert.not(node.processes.isAlive(plain.self.pid))
  assert.equal(trapping.log.map(brief), ['EXIT normal'])
})

test('a signal of the node itself bears process number 0', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  net.a.processes.exit(one.self.pid, 'here')
  net.b.processes.exit(one.self.pid, 'there')
  await net.flow()
  assert.equal(one.log, [
    { type: 'EXIT', pid: new Pid(net.a.origin, 0), reason: 'here' },
    { type: 'EXIT', pid: new Pid(net.b.origin, 0), reason: 'there' },
  ])
})

test('an end from outside is final for everybody at that instant', async (t) => {
  const node = loneNode(t)
  const watcher = await actor(node)
  const steps: unknown[] = []
  let self: Self | undefined
  const pid = node.processes.spawn(
    async (own) => {
      self = own
      own.signal.addEventListener('abort', () => steps.push('aborted', isSkeinError(own.signal.reason)))
      try {
        for await (const message of own) steps.push(message)
        steps.push('unreachable')
      } catch (error) {
        steps.push((error as Error & { code: string }).code, (error as Error).cause)
        throw error
      } finally {
        steps.push('finally')
      }
    },
    { name: 'named' },
  )
  watcher.self.link(pid)
  watcher.self.monitor(pid)
  await turns()
  node.processes.send(pid, 'first')
  await turns()
  node.processes.exit(pid, 'kill')
  assert.equal(steps, ['first', 'aborted', true])
  assert.not(node.processes.isAlive(pid))
  assert.is(node.processes.whereis('named'), undefined)
  assert.equal(node.processes.list(), [watcher.self.pid])
  await turns()
  assert.equal(steps, ['first', 'aborted', true, 'ERR_SKEIN_PROCESS_ENDED', 'killed', 'finally'])
  assert.equal(watcher.log.map(brief), ['EXIT killed', 'DOWN killed'])
  assert.equal(node.reports, [], 'the error that unwinds a function is no crash')
  assert.ok(self?.signal.aborted)
})

test('a process ended before its function began never runs it', async (t) => {
  const node = loneNode(t)
  let ran = false
  const pid = node.processes.spawn(() => {
    ran = true
  })
  node.processes.exit(pid, 'kill')
  await turns()
  assert.not(ran)
  await node.processes.stop()
})

test('the dead send nothing and are told when they ask', async (t) => {
  const node = loneNode(t)
  const other = await actor(node)
  const { self } = await actor(node)
  const timer = self.sendAfter(60_000, other.self.pid, 'x')
  node.processes.exit(self.pid, 'kill')
  assert.not(self.send(other.self.pid, 'x'))
  assert.not(self.cast(other.self.pid, 'x'))
  self.link(other.self.pid)
  self.unlink(other.self.pid)
  self.exit(other.self.pid, 'kill')
  self.monitorNodes(true)
  const code = 'ERR_SKEIN_PROCESS_ENDED'
  assert.is(await codeOf(self.receive()), code)
  assert.is(await codeOf(self[Symbol.asyncIterator]().next()), code)
  assert.is(await codeOf(self.call(other.self.pid, 1)), code)
  assert.is(await codeOf(self.drained(other.self.pid)), code)
  for (const ask of [
    () => self.monitor(other.self.pid),
    () => self.spawn(() => {}),
    () => self.register('ghost'),
    () => self.sendAfter(1, other.self.pid, 'x'),
    () => self.exit('again'),
  ]) {
    assert.is(thrown(ask), code)
  }
  assert.ok(self.cancelTimer(timer))
  await turns()
  assert.equal(other.log, [])
  assert.ok(node.processes.isAlive(other.self.pid))
})

test('an error after the end is reported, and is no unhandled rejection', async (t) => {
  const node = loneNode(t)
  const pid = node.processes.spawn(async (self) => {
    await self.receive().catch(() => {})
    throw new Error('in the clean-up')
  })
  await turns()
  node.processes.exit(pid, 'kill')
  await turns()
  assert.is(node.reports.length, 1)
  assert.is(node.reports[0]?.type, 'failedAfterEnd')
})

test('spawnLink and spawnMonitor see even the shortest life', async (t) => {
  const node = loneNode(t)
  const { self, log } = await actor(node)
  const fail = (): void => {
    throw new Error('early')
  }
  const linked = self.spawnLink(fail)
  await turns()
  const { pid, ref } = self.spawnMonitor(fail)
  await turns()
  const [exit, down] = log as { type: string; pid: Pid; ref?: unknown }[]
  assert.is(exit?.type, 'EXIT')
  assert.is(exit?.pid, linked)
  assert.is(down?.pid, pid)
  assert.is(down?.ref, ref)
})

test('only a function can be spawned', (t) => {
  const node = loneNode(t)
  assert.is(
    thrown(() => node.processes.spawn('code' as unknown as () => void)),
    'ERR_SKEIN_BAD_ARGUMENT',
  )
})

test('receive with a type guard narrows the message', async (t) => {
  const node = loneNode(t)
  type Message = { type: 'number'; n: number } | { type: 'text'; text: string }
  const got: unknown[] = []
  const pid = node.processes.spawn<Message, []>(async (self) => {
    const text = await self.receive((message) => message.type === 'text')
    const number = await self.receive((message): message is Message & { type: 'number' } => message.type === 'number')
    got.push(text, number.n)
  })
  node.processes.send(pid, { type: 'number', n: 1 })
  node.processes.send(pid, { type: 'text', text: 'x' })
  await turns()
  assert.equal(got, [{ type: 'text', text: 'x' }, 1])
})

test.run()
